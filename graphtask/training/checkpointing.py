"""Checkpoints of a run in progress: saved on time, on request to stop, and verified when they are read.

A checkpoint file is one line, ``graphtask checkpoint 1 <sha256 of the rest>``, followed by the output of `torch.save`.
The previous checkpoint is kept next to the newest one, in case a disk damages the newest.
"""

import contextlib
import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from graphtask.errors import RunError, RunInterruptedError
from graphtask.graph import edge_names
from graphtask.runs.history import EdgeHistory
from graphtask.runs.layout import CHECKPOINT, HISTORY, PREVIOUS_CHECKPOINT
from graphtask.runs.metrics import write_metrics
from graphtask.storage.atomic import write_atomically
from graphtask.training.loop import Trainer

_MAGIC = b"graphtask checkpoint 1 "


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
    return EdgeHistory(
        edges=tuple(edge_names(trainer.module.graph)),
        w=np.stack([weights.numpy() for weights in trainer.history]),
        gate=trainer.module.gate,
    )


def write_records(trainer: Trainer, folder: Path) -> None:
    """Write the metrics table and the edge history so far into the run folder."""
    write_metrics(folder, trainer.rows)
    edge_history(trainer).save(folder / HISTORY)


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values) as the newest checkpoint of ``folder``."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    header = _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    with contextlib.suppress(FileNotFoundError):
        os.replace(folder / CHECKPOINT, folder / PREVIOUS_CHECKPOINT)  # noqa: PTH105 - os.replace is the atomic one, by name
    with write_atomically(folder / CHECKPOINT) as file:
        file.write(header)
        file.write(payload)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Read the newest intact checkpoint.

    Returns:
        The state, None if there is no checkpoint yet; and a warning, empty if there is none.

    Raises:
        RunError: There are checkpoints, and all of them are damaged.
    """
    problems: list[str] = []
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        path = folder / name
        if not path.exists():
            continue
        try:
            return _read(path), "; ".join(problems)
        except RunError as error:
            problems.append(f"{error}; going back to the one before it")
    if problems:
        raise RunError(f"{folder}: no checkpoint can be read; delete the folder to train from the start")
    return None, ""


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: the checkpoint cannot be read ({error.strerror})") from error
    header, _, payload = content.partition(b"\n")
    if header != _MAGIC + hashlib.sha256(payload).hexdigest().encode():
        raise RunError(f"{path}: the checkpoint is damaged (its sha256 does not match)")
    state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    assert isinstance(state, dict)
    return state
