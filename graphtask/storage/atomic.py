"""Files that are either complete or absent, and never written through a symbolic link."""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from graphtask.errors import GraphtaskError


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary handle whose bytes become the file ``path`` when the block ends, all at once or not at all.

    The bytes go to a temporary file next to the target (``handle.name`` is its path, for libraries that open files
    themselves), reach the disk, and take the target's name in one step. If the block raises, or the process dies,
    the target stays as it was. A symbolic link in the target's place is replaced, and the file that it points to
    stays as it was; a file that is replaced keeps its permissions.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        GraphtaskError: The folder is missing or cannot be written to, the target is not a regular file, or the disk
            is full.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with write_atomically(target) as file:
        ...     _ = file.write(b"done")
        >>> target.read_text()
        'done'
    """
    try:
        target = _checked(path)
        temporary = target.parent / f"{_temporary_prefix(target)}{secrets.token_hex(8)}.tmp"
        handle = temporary.open("xb")
    except (OSError, ValueError, TypeError) as error:
        raise GraphtaskError(_message(path, error)) from error
    try:
        with handle:
            yield handle
        _to_disk(temporary)
        if target.is_file() and not target.is_symlink():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        _folder_to_disk(target.parent)
    except OSError as error:
        # An OSError about another file comes from the block and has the better message.
        if error.filename in {None, str(temporary), str(target)}:
            raise GraphtaskError(_message(path, error)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed writers of ``path`` have left.

    Only for callers who hold a lock on the file: a writer at work would lose what it writes.

    Example:
        >>> import tempfile
        >>> remove_leftovers(Path(tempfile.mkdtemp()) / "note.txt")
    """
    target = Path(path)
    for leftover in target.parent.glob(f"{_temporary_prefix(target)}*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink(missing_ok=True)


def check_target(target: Path) -> None:
    """Raise now what `write_atomically` would raise when the work is done.

    Raises:
        GraphtaskError: The folder is missing or cannot be written to, or the target is not a regular file.
    """
    if not target.parent.is_dir():
        raise GraphtaskError(f"cannot write {target}: there is no folder {target.parent}; make it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise GraphtaskError(
            f"cannot write {target}: you may not write into {target.parent}; choose another folder"
        )
    if target.is_dir():
        raise GraphtaskError(f"cannot write {target}: it is a folder; give the name of a file")
    if target.exists() and not target.is_file():
        raise GraphtaskError(
            f"cannot write {target}: it is a device or a pipe; give the name of a regular file"
        )


def check_folder(folder: Path) -> None:
    """Raise now what creating a folder, or writing into it, would raise later; nothing is created or written.

    Raises:
        GraphtaskError: A file stands in its place or above it, or the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> check_folder(Path(tempfile.mkdtemp()) / "runs" / "digits")
    """
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise GraphtaskError(f"cannot write into {folder}: {there} is not a folder; choose another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise GraphtaskError(
            f"cannot write into {folder}: you may not write into {there}; choose another one"
        )


def check_inside(root: Path, folder: Path) -> None:
    """Raise if the way from ``root`` to ``folder`` leads through a symbolic link; ``root`` itself may be one.

    Raises:
        GraphtaskError: It does.

    Example:
        >>> import tempfile
        >>> check_inside(Path(tempfile.gettempdir()), Path(tempfile.gettempdir()) / "digits" / "seed-0")
    """
    place = root
    for part in folder.relative_to(root).parts:
        place = place / part
        if place.is_symlink():
            raise GraphtaskError(
                f"{place}: is a symbolic link, and runs in {root} are not written elsewhere; replace it by the folder"
            )


def _checked(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if (
        "\0" in target.name
    ):  # the temporary file has another name, so the system would complain only at the end
        raise ValueError("embedded null character")
    check_target(target)
    return target


def _temporary_prefix(target: Path) -> str:
    # A digest, so that a long name stays within the limits of the file system.
    return f".graphtask-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


def _to_disk(path: Path) -> None:
    # Opened again, because a library may have put another file under the handle's name.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    # Not every system opens folders; then the rename is still atomic, only later on disk.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _message(path: object, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot write {path}: {reason}; nothing was left half-written"
