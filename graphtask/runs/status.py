"""Status of a run: finished or not, and the reason why not."""

import contextlib
from pathlib import Path

from graphtask.errors import GraphtaskError
from graphtask.runs.files import read_file
from graphtask.runs.layout import DIVERGED, MANIFEST, WEIGHTS
from graphtask.storage.atomic import write_atomically
from graphtask.storage.regular import is_file

NOT_FINISHED = "the run is not finished; run the same train command again to finish it"

NO_MANIFEST = (
    f"the run has no {MANIFEST}, so its files cannot be verified; run the same train command again to write it, "
    "or accept the files as they are with graphtask check --write"
)


def is_finished(folder: Path) -> bool:
    """Return True if the run in ``folder`` is finished: its manifest, the last file, is there."""
    return is_file(folder / MANIFEST)


def explain_status(folder: Path) -> str:
    """Return the reason why the run in ``folder`` is not finished, and the remedy.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> explain_status(folder)
        'the run is not finished; run the same train command again to finish it'
        >>> record_divergence(folder, "the loss is not finite in epoch 1 of 5; lower the learning rate")
        >>> explain_status(folder)
        'the run is not finished: the loss is not finite in epoch 1 of 5; lower the learning rate'
    """
    if (folder / WEIGHTS).exists():  # of an earlier version, or killed just before the last file
        return NO_MANIFEST
    if not (folder / DIVERGED).exists():
        return NOT_FINISHED
    try:
        reason = " ".join(read_file(folder, DIVERGED).decode().split())
    except (GraphtaskError, ValueError):
        reason = ""
    return f"the run is not finished: {reason}" if reason else NOT_FINISHED


def record_divergence(folder: Path, reason: str) -> None:
    """Record in the run folder why its training diverged; a folder that cannot be written to is left alone."""
    with contextlib.suppress(OSError, GraphtaskError), write_atomically(folder / DIVERGED) as file:
        file.write(f"{reason}\n".encode())


def forget_divergence(folder: Path) -> None:
    """Remove the record of `record_divergence`, because the run is tried again."""
    with contextlib.suppress(OSError):
        (folder / DIVERGED).unlink(missing_ok=True)
