"""Shared parts of all readers of images: the errors of damaged files, and the size of a source."""

import pickle
import stat
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from graphtask.errors import DataError

# Errors that zipfile, numpy, torchvision and Pillow raise on damaged files.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class SourceSize(NamedTuple):
    """Number of images in a source, before any transform, and the shape of each: height, width, channels."""

    n_train: int
    n_test: int
    shape: tuple[int, int, int]
    n_classes: int


def check_regular(path: Path) -> None:
    """Raise if a path is a pipe, a socket or a device, whose opening or reading could block for ever.

    Raises:
        DataError: It is not a regular file.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # opening it gives the better message
    if not stat.S_ISREG(mode):
        raise DataError(
            f"{path}: must be a regular file or a folder of images; it is a pipe, a socket or a device"
        )


def reason_of(error: BaseException) -> str:
    """Return the first line of the message of an error."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().partition("\n")[0] or type(error).__name__
