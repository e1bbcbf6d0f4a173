"""Checkpoints of a run in progress: saved on time, on request to stop, and verified when they are read.

The previous checkpoint is kept next to the newest one, in case a disk damages the newest.
"""

import contextlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from graphtask.errors import RunError, RunInterruptedError
from graphtask.runs.checkpoint_file import read_payload, write_payload
from graphtask.runs.history import EdgeHistory, history_of
from graphtask.runs.layout import CHECKPOINT, HISTORY, PREVIOUS_CHECKPOINT
from graphtask.runs.metrics import write_metrics
from graphtask.storage.atomic import write_atomically
from graphtask.training.loop import Trainer


class Checkpointer:
    """Saves the state of a trainer on time, and stops it on request.

    Of several processes the leader writes, and all stop after the same step when one of them receives the request.

    Args:
        trainer: The run in progress.
        folder: The run folder; None saves nothing.
        seconds: Seconds between checkpoints within an epoch.
    """

    def __init__(self, trainer: Trainer, folder: Path | None, seconds: float) -> None:
        self.trainer = trainer
        self.folder = folder
        self.stop = False
        self._seconds = seconds
        self._saved = time.monotonic()

    def after_step(self) -> None:
        """Save if it is time.

        Raises:
            RunInterruptedError: A stop was requested; the state is saved.
        """
        if self.trainer.processes.anywhere(self.stop):
            self._save()
            self.trainer.processes.anywhere(False)  # wait until the leader has written
            raise RunInterruptedError(
                f"stopped in epoch {self.trainer.epoch + 1} of {self.trainer.config.optimization.epochs}; everything is saved in "
                f"{self.folder}: run the same command again to resume"
            )
        if time.monotonic() - self._saved > self._seconds:
            self._save()

    def after_epoch(self) -> None:
        """Save, and bring the tables in the folder up to date."""
        self._save()
        if self.folder is not None and self.trainer.processes.leads:
            write_records(self.trainer, self.folder)

    def _save(self) -> None:
        self.trainer.check_finite()
        if self.folder is not None and self.trainer.processes.leads:
            save_checkpoint(self.folder, self.trainer.state_dict())
        self._saved = time.monotonic()


@contextlib.contextmanager
def stop_requests(checkpointer: Checkpointer) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a stop after the current step; the second one acts at once.

    With several processes every signal is such a request: torchrun sends another SIGTERM as soon as the first process
    has ended.
    """
    if checkpointer.folder is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(_number: int, _frame: FrameType | None) -> None:
        checkpointer.stop = True
        if checkpointer.trainer.processes.size == 1:
            restore()

    for number in signals:
        signal.signal(number, request)
    try:
        yield
    finally:
        restore()


def edge_history(trainer: Trainer) -> EdgeHistory:
    """Return the history that a trainer has recorded so far."""
    return history_of(trainer.module, [weights.numpy() for weights in trainer.history])


def write_records(trainer: Trainer, folder: Path) -> None:
    """Write the metrics table and the edge history so far into the run folder."""
    write_metrics(folder, trainer.rows)
    edge_history(trainer).save(folder / HISTORY)


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values) as the newest checkpoint of ``folder``."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with contextlib.suppress(FileNotFoundError):
        os.replace(folder / CHECKPOINT, folder / PREVIOUS_CHECKPOINT)  # noqa: PTH105 - os.replace is the atomic one, by name
    with write_atomically(folder / CHECKPOINT) as file:
        write_payload(file, buffer.getbuffer())


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Read the newest intact checkpoint.

    Returns:
        The state, None if there is no checkpoint yet; and a warning, empty if there is none.

    Raises:
        RunError: There are checkpoints, and all of them are damaged.
    """
    problems: list[str] = []
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        if not os.path.lexists(folder / name):
            continue
        try:
            return _state(folder, name), "; ".join(problems)
        except RunError as error:
            problems.append(f"{error}; going back to the one before it")
    if problems:
        raise RunError(f"{folder}: no checkpoint can be read; delete the folder to train from the start")
    return None, ""


def restore_state(trainer: Trainer, state: dict[str, Any], folder: Path) -> None:
    """Set a trainer to the state in a checkpoint of ``folder``.

    Raises:
        RunError: The state is that of another network, optimizer or version of graphtask.
    """
    try:
        _check_state(trainer, state)
        trainer.load_state_dict(state)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise RunError(
            f"{folder}: the checkpoint does not match the run ({type(error).__name__}); delete the folder to train from "
            f"the start"
        ) from error


def _check_state(trainer: Trainer, state: dict[str, Any]) -> None:
    """Raise unless the counters, rows and history of a state fit each other and the network.

    Raises:
        ValueError: They do not.
        LookupError: One is missing.
    """
    epoch, step, rows, history = (state[key] for key in ("epoch", "step", "rows", "history"))
    n_edges = len(trainer.module.edge_weight)
    fits = (
        type(epoch) is int
        and 0 <= epoch <= trainer.config.optimization.epochs
        and type(step) is int
        and 0 <= step <= len(trainer.train)
        and isinstance(state["seconds"], float)
        and isinstance(rows, list)
        and [row["epoch"] for row in rows] == list(range(1, epoch + 1))
        and history.shape == (epoch + 1, n_edges)
    )
    if not fits:
        raise ValueError("the parts of the state do not fit each other")


def _state(folder: Path, name: str) -> dict[str, Any]:
    payload = read_payload(folder, name)
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    # The sum was right, so another program wrote it; torch.load then raises errors of many kinds.
    except Exception as error:
        raise RunError(
            f"{folder / name}: the checkpoint is damaged ({type(error).__name__} while reading)"
        ) from error
    if not isinstance(state, dict):
        raise RunError(f"{folder / name}: the checkpoint is damaged (no state)")
    return state
