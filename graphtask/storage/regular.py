"""Reading of regular files only: pipes and devices are refused without blocking, sizes are bounded."""

import errno
import os
import stat
from typing import BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; symbolic links to regular files are followed.

    Raises:
        OSError: The file cannot be opened, or is a pipe, a device, a socket or a folder; ``strerror`` has the reason.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
        >>> path.write_bytes(b"done")
        4
        >>> with open_regular(path) as file:
        ...     file.read()
        b'done'
    """
    # Opening a pipe waits for its other end, unless it is non-blocking.
    descriptor = os.open(path, _FLAGS)
    try:
        _check_regular(descriptor, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return True if a path is a file; False too where permissions hide it.

    Example:
        >>> is_file("no/such/file")
        False
    """
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises PermissionError before Python 3.14


def read_regular(path: str | os.PathLike[str], *, limit: int) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file.
        limit: Largest size in bytes.

    Raises:
        OSError: The file cannot be read, is not a regular file, or is larger; ``strerror`` has the reason.
    """
    with open_regular(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        content = file.read() if n_bytes <= limit else b""
    if max(n_bytes, len(content)) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", os.fspath(path))
    return content


def _check_regular(descriptor: int, path: str | os.PathLike[str]) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a file")
        raise OSError(errno.EINVAL, f"it is {kind}; a regular file is required", os.fspath(path))
