"""Why a run is not finished, as its folder tells, and what to do about it."""

import contextlib
from pathlib import Path

from graphtask.errors import GraphtaskError
from graphtask.runs.layout import DIVERGED, WEIGHTS
from graphtask.storage.atomic import write_atomically

GO_ON = "the run is not finished; run the same train command again to finish it"


def is_finished(folder: Path) -> bool:
    """Return True if the run in ``folder`` is finished."""
    return (folder / WEIGHTS).exists()


def unfinished(folder: Path) -> str:
    """What to say of the run in ``folder``, which is not finished.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> unfinished(folder)
        'the run is not finished; run the same train command again to finish it'
        >>> note_divergence(folder, "the loss is not finite in epoch 1 of 5; lower the learning rate")
        >>> unfinished(folder)
        'the run is not finished: the loss is not finite in epoch 1 of 5; lower the learning rate'
    """
    try:
        reason = " ".join((folder / DIVERGED).read_text(encoding="utf-8").split())
    except (OSError, ValueError):
        reason = ""
    return f"the run is not finished: {reason}" if reason else GO_ON


def note_divergence(folder: Path, reason: str) -> None:
    """Remember in the run folder why its training came to no end, for everybody who asks later."""
    # What could not be noted is still reported now.
    with contextlib.suppress(OSError, GraphtaskError), write_atomically(folder / DIVERGED) as file:
        file.write(f"{reason}\n".encode())


def forget_divergence(folder: Path) -> None:
    """Take the note back, because the run is tried again."""
    with contextlib.suppress(OSError):
        (folder / DIVERGED).unlink(missing_ok=True)
