"""Files inside archives (.zip, .tar, .tar.gz), read sequentially and never unpacked to the disk.

Names that lead out of the archive and links would be harmless, and are refused nevertheless. The size to which an
archive may expand is limited, for each member and in total, and so is everything that tarfile parses as a header.
"""

import gzip
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.limits import check_bytes
from graphtask.storage.regular import open_regular

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_BASE_TOTAL = 1 << 30  # bytes to which any archive may expand,
_MAX_RATIO = 200  # and additional bytes for each byte of its own
_MAX_HEADER = 64 << 10
_MAX_HEADERS = 64 << 20  # bytes of all headers of an archive
_DIGITS = re.compile(rb"\d{33}")
_PIECE = 1 << 20
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,  # also of encrypted members
    LookupError,  # of tarfile, about cut headers
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
)


class Member(NamedTuple):
    """A file inside an archive."""

    place: int
    """Number of members before it in the archive."""
    name: str
    """Path in the archive."""
    problem: str
    """Why it is not read; else empty."""
    read: Callable[[], bytes]
    """Return its bytes; valid until the next member is requested. Raises `FormatError`."""


def is_archive(path: str) -> bool:
    """Return True if the suffix of a path is that of an archive."""
    return path.lower().endswith(SUFFIXES)


def members(path: str) -> Iterator[Member]:
    """Yield the files in an archive, in its order.

    Raises:
        FormatError: The archive cannot be read, is damaged, or expands to more than 200 times its size.

    Example:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/two.zip"
        >>> with zipfile.ZipFile(path, "w") as archive:
        ...     archive.writestr("a.edges", "0 1")
        ...     archive.writestr("../b.edges", "0 1")
        >>> [(member.name, member.problem) for member in members(path)]
        [('a.edges', ''), ('../b.edges', 'its name leads out of the archive')]
    """
    with _as_format_errors(), open_regular(path) as file:
        if path.lower().endswith(".zip"):
            yield from _zip_members(file)
        else:
            yield from _tar_members(file, is_compressed=not path.lower().endswith(".tar"))


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        _check_total(sum(info.file_size for info in infos), file)
        for index, info in enumerate(infos):
            if not info.is_dir():
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                yield Member(
                    index, info.filename, _problem(info.filename, is_link=is_link), _zip_reader(archive, info)
                )


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with _as_format_errors():
            check_bytes(info.file_size)
            if info.compress_type not in _METHODS:
                raise FormatError("uses an unsupported compression method; use deflate")
            with archive.open(info) as file:
                return file.read(info.file_size + 1)

    return read


def _tar_members(file: BinaryIO, *, is_compressed: bool) -> Iterator[Member]:
    total = headers = end = 0
    with (
        gzip.open(file) if is_compressed else nullcontext(file) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_Info) as archive,
    ):
        for index, info in enumerate(archive):
            # The bytes since the last member, without its content, are headers.
            headers += max(info.offset_data - end, 0)
            end = info.offset_data + max(info.size, 0)
            if headers > _MAX_HEADERS:
                raise FormatError(f"has more than {_MAX_HEADERS >> 20} MiB of headers")
            archive.members.clear()  # type: ignore[attr-defined]  # else memory grows with every member
            total += max(info.size, 0)
            _check_total(total, file)
            if not info.isdir():
                problem = _problem(info.name, is_link=info.issym() or info.islnk())
                yield Member(index, info.name, problem, _tar_reader(archive, info))
        while rest := stream.read(_PIECE):  # gzip verifies its checksum only at the end
            total += len(rest)
            _check_total(total, file)


def _tar_reader(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with _as_format_errors():
            check_bytes(info.size)
            file = archive.extractfile(info) if info.isreg() else None
            if file is None:
                raise FormatError("is not a regular file")
            content = file.read()
            if len(content) != info.size:
                raise FormatError("is truncated")
            return content

    return read


class _Info(tarfile.TarInfo):
    """A tar header whose extension headers are checked before tarfile parses them.

    Before Python 3.11.10, tarfile needs quadratic time for long runs of digits (CVE-2024-6232).
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type not in _LONG_HEADERS:
            return super()._proc_member(archive)  # type: ignore[misc,no-any-return]
        if not 0 <= self.size <= _MAX_HEADER:
            raise tarfile.ReadError(f"a header is larger than {_MAX_HEADER:,} bytes")
        stream = archive.fileobj
        content = stream.read(self._block(self.size))  # type: ignore[attr-defined]
        if _DIGITS.search(content):
            raise tarfile.ReadError("a header has a number of more than 32 digits")
        archive.fileobj = _Replay(stream, content)
        try:
            return super()._proc_member(archive)  # type: ignore[misc,no-any-return]
        finally:
            archive.fileobj = stream


class _Replay:
    """A stream that returns content that was already read from it once more."""

    def __init__(self, stream: Any, content: bytes) -> None:
        self._stream = stream
        self._content: bytes | None = content

    def read(self, size: int) -> bytes:
        content, self._content = self._content, None
        return self._stream.read(size) if content is None else content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _as_format_errors() -> Iterator[None]:
    try:
        yield
    except FormatError:
        raise
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FormatError(f"cannot be read: {reason or type(error).__name__}") from error


def _check_total(n_bytes: int, file: BinaryIO) -> None:
    if n_bytes > _BASE_TOTAL + _MAX_RATIO * os.fstat(file.fileno()).st_size:
        raise FormatError(
            f"expands to more than {_MAX_RATIO} times its size; if you trust it, unpack it and name the folder"
        )


def _problem(name: str, *, is_link: bool) -> str:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (parts[:1] and parts[0].endswith(":")):
        return "its name leads out of the archive"
    return "it is a link; links in archives are not followed" if is_link else ""
