"""Files inside of archives (.zip, .tar, .tar.gz), read one after the other and never unpacked to the disk.

Names that lead out of the archive and links are harmless that way, and still refused, because nobody means them well.
What an archive may expand to is limited, for each member and for all of them together.
"""

import gzip
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.limits import check_bytes

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_BASE_TOTAL = 1 << 30  # bytes that any archive may expand to,
_MAX_RATIO = 200  # and as many more for each byte that it has
_MAX_HEADER = 1 << 20
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
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
)


class Member(NamedTuple):
    """A file inside of an archive."""

    place: int
    """How many members stand before it in the archive."""
    name: str
    """Its path in the archive."""
    problem: str
    """Why it is not read, or nothing."""
    read: Callable[[], bytes]
    """Gives its bytes, until the next member is asked for. Raises `FormatError`."""


def is_archive(path: str) -> bool:
    """Whether the name of a file says that it is an archive."""
    return path.lower().endswith(SUFFIXES)


def members(path: str) -> Iterator[Member]:
    """The files in an archive, in its order.

    Raises:
        FormatError: The archive cannot be read, is damaged, or expands to more than it is worth.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.zip"
        >>> with zipfile.ZipFile(path, "w") as archive:
        ...     archive.writestr("a.edges", "0 1")
        ...     archive.writestr("../b.edges", "0 1")
        >>> [(member.name, member.problem) for member in members(str(path))]
        [('a.edges', ''), ('../b.edges', 'its name leads out of the archive')]
    """
    with _as_format_errors():
        if not Path(path).is_file():
            raise FormatError("is not a regular file; give the name of an archive")
        yield from (_zip_members if path.lower().endswith(".zip") else _tar_members)(path)


def _zip_members(path: str) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _check_total(sum(info.file_size for info in infos), path)
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
                raise FormatError("is compressed in a way that is not read; use deflate")
            with archive.open(info) as file:
                return file.read(info.file_size + 1)

    return read


def _tar_members(path: str) -> Iterator[Member]:
    total = 0
    with (
        _opened(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_Info) as archive,
    ):
        for index, info in enumerate(archive):
            archive.members.clear()  # type: ignore[attr-defined]  # or it would remember every one
            total += max(info.size, 0)
            _check_total(total, path)
            if not info.isdir():
                problem = _problem(info.name, is_link=info.issym() or info.islnk())
                yield Member(index, info.name, problem, _tar_reader(archive, info))
        while rest := stream.read(_PIECE):  # only at the end does gzip say whether its checksum is right
            total += len(rest)
            _check_total(total, path)


def _tar_reader(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with _as_format_errors():
            check_bytes(info.size)
            file = archive.extractfile(info) if info.isreg() else None
            if file is None:
                raise FormatError("is not a regular file")
            content = file.read()
            if len(content) != info.size:
                raise FormatError("is cut off")
            return content

    return read


class _Info(tarfile.TarInfo):
    """A tar header that cannot make us read more than a header is worth."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _LONG_HEADERS and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header is larger than {_MAX_HEADER:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    if path.lower().endswith(".tar"):
        with Path(path).open("rb") as file:
            yield file
    else:
        with gzip.open(path) as file:
            yield file


@contextmanager
def _as_format_errors() -> Iterator[None]:
    try:
        yield
    except FormatError:
        raise
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FormatError(f"cannot be read: {reason or type(error).__name__}") from error


def _check_total(n_bytes: int, path: str) -> None:
    if n_bytes > _BASE_TOTAL + _MAX_RATIO * os.stat(path).st_size:  # noqa: PTH116 - a path as it was given
        raise FormatError(
            "expands to more than 200 times its size; unpack it if you trust it, and name the folder"
        )


def _problem(name: str, *, is_link: bool) -> str:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (parts[:1] and parts[0].endswith(":")):
        return "its name leads out of the archive"
    return "is a link; links in archives are not followed" if is_link else ""
