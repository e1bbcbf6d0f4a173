"""Bytes of untrusted files, and messages about them; both within bounds."""

import os

from graphtask.errors import FormatError
from graphtask.storage.limits import check_bytes
from graphtask.storage.regular import open_regular
from graphtask.validation import invalid

_MESSAGE_LENGTH = 600


def load(path: str | os.PathLike[str]) -> bytes:
    """Return all bytes of a regular file.

    Raises:
        FormatError: It cannot be read, is a folder, a device or a pipe, or is larger than any graph file may be.
        ArgumentError: ``path`` is not a path.
    """
    try:
        with open_regular(path) as file:
            check_bytes(os.fstat(file.fileno()).st_size)
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
