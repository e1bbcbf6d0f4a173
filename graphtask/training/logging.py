"""Callbacks that log a run to TensorBoard or Weights & Biases, through their own packages."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.errors import ArgumentError
from graphtask.training.callbacks import Callback
from graphtask.validation import install_hint, invalid

if TYPE_CHECKING:
    from graphtask.training.loop import Trainer


class TensorBoard(Callback):
    """Write every number of the metrics table to TensorBoard after each epoch, and a histogram of the edge weights.

    A run that is resumed replaces the epochs that it repeats.

    Args:
        folder: Folder of the event files; `tensorboard --logdir` shows it.

    Raises:
        ArgumentError: The package tensorboard is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = str(folder)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ArgumentError(
                f"TensorBoard needs the package tensorboard; {install_hint('tensorboard')}"
            ) from error
        self._kind: Any = SummaryWriter
        self._writer: Any = None

    def start(self, trainer: "Trainer") -> None:
        """Open the event file."""
        self._writer = self._kind(self._folder, purge_step=trainer.epoch + 1)

    def epoch(self, trainer: "Trainer", row: dict[str, Any]) -> None:
        """Write the row of the epoch."""
        for name, value in _scalars(row).items():
            self._writer.add_scalar(name, value, row["epoch"])
        weights = trainer.trained.edge_weights().detach().abs().cpu()
        self._writer.add_histogram("edge_weight", weights, row["epoch"])

    def end(self, trainer: "Trainer") -> None:  # noqa: ARG002 - the signature is that of the base class
        """Close the event file."""
        self._writer.close()


class WandB(Callback):
    """Log every number of the metrics table to Weights & Biases after each epoch.

    Args:
        run: The result of ``wandb.init``, or any object with a method ``log(values, step=…, commit=…)``.

    Raises:
        ArgumentError: The object has no such method.

    Example:
        >>> class Printer:
        ...     def log(self, values, step, commit):
        ...         print(step, sorted(values)[:2])
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> options = {"data": digits, "channels": 2, "epochs": 1, "progress": False}
        >>> run = gt.train(gt.full_dag(3), callbacks=[WandB(Printer())], **options)
        1 ['edge_change', 'learning_rate']
    """

    def __init__(self, run: Any) -> None:
        if not callable(getattr(run, "log", None)):
            raise invalid("run", "the result of wandb.init, or an object with a method log", run)
        self._run = run

    def epoch(self, trainer: "Trainer", row: dict[str, Any]) -> None:  # noqa: ARG002 - as in the base class
        """Log the row of the epoch."""
        # Without `commit`, an epoch with a step is not shown before the next one.
        self._run.log(_scalars(row), step=row["epoch"], commit=True)


def _scalars(row: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a row; those that are missing (NaN) are left out."""
    return {name: value for name, value in row.items() if name != "epoch" and value == value}  # noqa: PLR0124
