"""Bytes of untrusted files, and messages about them; both within bounds."""

import os
import stat
from pathlib import Path

from graphtask.errors import FormatError
from graphtask.storage.limits import check_bytes
from graphtask.validation import invalid

_MESSAGE_LENGTH = 600


def load(path: str | os.PathLike[str]) -> bytes:
    """Return all bytes of a regular file.

    Raises:
        FormatError: It cannot be read, is a folder, a device or a pipe, or is larger than any graph file may be.
        ArgumentError: ``path`` is not a path.
    """
    try:
        file_path = Path(path)
        found = file_path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe may never end
            raise FormatError("is not a regular file; give the name of a graph file")
        check_bytes(found.st_size)
        with file_path.open("rb") as file:
            content = file.read()
        check_bytes(len(content))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}") from error
    except TypeError:
        raise invalid("path", "the name of a graph file", path) from None
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"cannot be read: {error}") from error
    return content


def about(place: object, error: Exception) -> str:
    """Return a message of one short line that names the file of an error.

    Args:
        place: Path of the file, or another name for it.
        error: The error.
    """
    text = os.fsdecode(place) if isinstance(place, str | bytes | os.PathLike) else repr(place)
    line = " ".join(f"{text if text.isprintable() else repr(text)}: {error}".splitlines())
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]} …"
