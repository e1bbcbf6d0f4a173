"""Callbacks of a training run, and the progress bar, which is one of them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

if TYPE_CHECKING:
    from graphtask.training.loop import Trainer

T = TypeVar("T")


class Callback:
    """Base class of callbacks: every method is called at its moment and does nothing unless overridden.

    The trainer has ``module``, ``optimizer``, ``config``, ``epoch``, ``step`` and ``rows``. Callbacks have no part in
    the saved state of a run: after a resumption `start` is called again, with ``trainer.epoch`` and ``trainer.step``
    where training resumes. Of several processes only the first one calls them.

    Example:
        >>> class PrintAccuracy(Callback):
        ...     def epoch(self, trainer, row):
        ...         print(f"epoch {row['epoch']} of {trainer.config.optimization.epochs}")
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(
        ...     gt.full_dag(3), data=digits, channels=2, epochs=2, progress=False, callbacks=[PrintAccuracy()]
        ... )
        epoch 1 of 2
        epoch 2 of 2
    """

    def start(self, trainer: "Trainer") -> None:
        """Run before the first step of this call."""

    def step(self, trainer: "Trainer", *, loss: float | None, accuracy: float | None) -> None:
        """Run after every step.

        Args:
            trainer: The run in progress.
            loss: Mean cross-entropy of this epoch so far; None on an accelerator, where reading it would wait.
            accuracy: Training accuracy of this epoch so far, in [0, 1]; None likewise.
        """

    def epoch(self, trainer: "Trainer", row: dict[str, Any]) -> None:
        """Run after every epoch, when its row of the metrics table is complete."""

    def end(self, trainer: "Trainer") -> None:
        """Run after the last step of this call, also if training ends with an error."""


class ProgressBar(Callback):
    """A bar with time left, accuracy and live edges on a terminal; one line per epoch elsewhere.

    Args:
        title: Name of the run.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console(stderr=True)
        self._network = ""
        # The bar and the time left come first: what is right of the edge of a narrow terminal is cut off.
        self._bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("left,"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[state]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(title, state="")

    def start(self, trainer: "Trainer") -> None:
        """Show the bar."""
        n_steps = len(trainer.train)
        resource_loss, live_edges = trainer.edge_sums()
        self._network = _network(trainer, resource_loss, live_edges)
        self._bar.update(
            self._task,
            total=trainer.config.optimization.epochs * n_steps,
            completed=trainer.epoch * n_steps + trainer.step,
        )
        self._bar.start()

    def step(self, trainer: "Trainer", *, loss: float | None, accuracy: float | None) -> None:
        """Move the bar by one step."""
        learned = "" if loss is None or accuracy is None else f"loss {loss:.3f}, accuracy {accuracy:.1%}, "
        epoch = f"epoch {trainer.epoch + 1}/{trainer.config.optimization.epochs}"
        self._bar.update(self._task, advance=1, state=f"{epoch}: {learned}{self._network}")

    def epoch(self, trainer: "Trainer", row: dict[str, Any]) -> None:
        """Show the result of the epoch."""
        self._network = _network(trainer, row["resource_loss"], row["live_edges"])
        if not self._console.is_terminal:
            split = "validation" if "validation_accuracy" in row else "test"
            self._console.print(
                f"epoch {row['epoch']}/{trainer.config.optimization.epochs}: loss {row['train_loss']:.4f}, "
                f"accuracy {row['train_accuracy']:.1%}, {split} accuracy {row[f'{split}_accuracy']:.1%}, "
                f"{self._network}, {row['seconds']:.1f} s",
                soft_wrap=True,
                highlight=False,
            )

    def end(self, trainer: "Trainer") -> None:  # noqa: ARG002 - the signature is that of the base class
        """Remove the bar."""
        self._bar.stop()


def tracked(items: Sequence[T], *, title: str, visible: bool = True) -> Iterator[T]:
    """Yield the items, with a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    yield from track(
        items,
        description=title,
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
    )


def _network(trainer: "Trainer", resource_loss: float, live_edges: int) -> str:
    return f"Σ|gate(w)| {resource_loss:.1f}, live edges {live_edges}/{len(trainer.module.edge_weight)}"
