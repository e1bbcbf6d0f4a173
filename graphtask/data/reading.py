"""Shared parts of all readers of images: the errors of damaged files, and the size of a source."""

import pickle
import struct
import tokenize
import zipfile
import zlib
from typing import NamedTuple

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


def reason_of(error: BaseException) -> str:
    """Return the first line of the message of an error."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().partition("\n")[0] or type(error).__name__
