"""Acquire a run folder for training: lock it, create or compare its config, record the machine."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import igraph

from graphtask.errors import RunError
from graphtask.runs.checkpoint_file import read_payload
from graphtask.runs.config import check_same_run, is_extension, write_config
from graphtask.runs.layout import CHECKPOINT, CONFIG, INITIAL, LOCK, MANIFEST, OUTCOME, TRAINED, WEIGHTS
from graphtask.runs.lock import lock_run
from graphtask.runs.provenance import record_environment
from graphtask.runs.status import forget_divergence, is_finished
from graphtask.storage.graphml import write


@contextlib.contextmanager
def acquire_run(
    folder: Path | None,
    config: dict[str, Any],
    initial: igraph.Graph,
    *,
    environment: Callable[[], dict[str, Any]],
) -> Iterator[None]:
    """Hold a run folder for this process: created if missing, refused if it holds another run or is in use.

    Args:
        folder: The run folder; None holds nothing.
        config: Settings of the run, as in ``config.json``.
        initial: Graph before training.
        environment: Returns the description of this machine; called if the run is not finished.

    Raises:
        RunInUseError: Another process holds the lock.
        RunError: The folder holds another run, or cannot be used.
    """
    if folder is None:
        yield
        return
    with lock_run(folder):
        if (folder / CONFIG).exists() and is_extension(folder, config):
            reopen_run(folder, config)
        elif (folder / CONFIG).exists():
            check_same_run(folder, config)
        else:
            others = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
            if others and not (folder / INITIAL).exists():
                raise RunError(
                    f"{folder}: the folder is not empty ({others[0]} …) and holds no run; choose another one"
                )
            write(initial, folder / INITIAL)
            write_config(folder, config)
        if not is_finished(folder):  # a finished run is opened, not trained
            forget_divergence(folder)
            record_environment(folder, environment())
        yield


def reopen_run(folder: Path, config: dict[str, Any]) -> None:
    """Turn a finished run into an unfinished one with more epochs, which resumes from its final state.

    A kill at any moment leaves a run that either command, the old one or the new one, completes.

    Args:
        folder: The run folder; this process holds its lock.
        config: Settings with the new number of epochs.

    Raises:
        RunError: The final state is missing or damaged; the run is left as it was.
    """
    if is_finished(folder):
        try:
            read_payload(folder, CHECKPOINT)
        except RunError as error:
            raise RunError(
                f"{folder}: {CHECKPOINT} is missing or damaged, so the run cannot be trained further; train in another folder"
            ) from error
    for name in (MANIFEST, WEIGHTS, TRAINED, OUTCOME):
        (folder / name).unlink(missing_ok=True)
    write_config(folder, config)
