"""What keeps a run from being lost: checkpoints when it is time, and a clean stop when somebody asks for one."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pandas as pd

from graphtask.errors import RunInterruptedError
from graphtask.graph import edge_names
from graphtask.runs.history import EdgeHistory
from graphtask.storage.atomic import write_atomically
from graphtask.training.checkpoint import save_checkpoint
from graphtask.training.folder import HISTORY, METRICS
from graphtask.training.loop import Trainer


class Keeper:
    """Saves the state of a trainer when it is time, and stops it when somebody asked for that.

    Of several processes the leader writes, and all stop after the same step when one of them was asked to.

    Args:
        trainer: The run in progress.
        folder: Where to save; None keeps nothing.
        seconds: Between checkpoints within an epoch.
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
            RunInterruptedError: A stop was asked for; the state is saved.
        """
        if self.trainer.processes.anywhere(self.stop):
            self._save()
            self.trainer.processes.anywhere(False)  # wait until the leader has written
            raise RunInterruptedError(
                f"stopped in epoch {self.trainer.epoch + 1} of {self.trainer.regime.epochs}; everything is saved in "
                f"{self.folder}: run the same command again to go on"
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
def stop_requests(keeper: Keeper) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a stop after the current step; the second one acts at once.

    Not so for several processes: torchrun sends another SIGTERM as soon as the first of them has ended.
    """
    if keeper.folder is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(_number: int, _frame: FrameType | None) -> None:
        keeper.stop = True
        if keeper.trainer.processes.size == 1:
            restore()

    for number in signals:
        signal.signal(number, request)
    try:
        yield
    finally:
        restore()


def edge_history(trainer: Trainer) -> EdgeHistory:
    """The history that a trainer has recorded so far."""
    return EdgeHistory(
        edges=tuple(edge_names(trainer.module.graph)),
        w=np.stack([weights.numpy() for weights in trainer.history]),
        gate=trainer.module.gate,
    )


def write_records(trainer: Trainer, folder: Path) -> None:
    """Write the metrics table and the edge history so far into the folder of the run."""
    with write_atomically(folder / METRICS) as file:
        pd.DataFrame(trainer.rows).to_csv(file, index=False)
    edge_history(trainer).save(folder / HISTORY)
