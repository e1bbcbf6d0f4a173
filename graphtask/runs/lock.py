"""Lock of a run folder: one process trains a run at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from graphtask.errors import RunError, RunInUseError
from graphtask.runs.layout import LOCK, WRITTEN
from graphtask.storage.atomic import remove_leftovers


@contextlib.contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, which is created if missing, and remove the leftovers of killed writers.

    Raises:
        RunInUseError: Another process holds the lock.
        RunError: The folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_lock(folder)
        # Not 0: `is_locked` holds the lock for a moment, too.
        lock = filelock.FileLock(folder / LOCK, timeout=0.5)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunInUseError(
            f"{folder}: another process is training this run; wait for it, or stop it"
        ) from error
    except OSError as error:
        raise RunError(
            f"{folder}: the run folder cannot be used ({error.strerror}); choose another one"
        ) from error
    try:
        for name in WRITTEN:
            remove_leftovers(folder / name)
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return True if a process is training the run in ``folder`` at this moment."""
    path = folder / LOCK
    if path.is_symlink() or not path.is_file():
        return False
    lock = filelock.FileLock(path, timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False  # a folder that cannot be used


def _check_lock(folder: Path) -> None:
    # Releases of filelock before 3.20.1 follow a link and empty the file that it points to.
    path = folder / LOCK
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise RunError(f"{path}: is a link, a pipe or a folder instead of a lock file; delete it")
