"""What every reader of images needs: what can go wrong with files, and how large a data set is."""

import pickle
import struct
import tokenize
import zipfile
import zlib
from typing import NamedTuple

# What zipfile, numpy, torchvision and Pillow raise on damaged files.
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
    """How many images there are, as they come from their source, and the shape of each: height, width, channels."""

    n_train: int
    n_test: int
    shape: tuple[int, int, int]
    n_classes: int


def reason_of(error: BaseException) -> str:
    """The first line of what an error says."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().partition("\n")[0] or type(error).__name__
