"""Callbacks of a training run, and the progress bar, which is one of them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, track
from rich.table import Column

from graphtask.columns import shown_score, words
from graphtask.live import LiveBars, live_tracked
from graphtask.terminal import duration, shown

if TYPE_CHECKING:
    from graphtask.training.loop import Trainer

T = TypeVar("T")

_BAR_WIDTH = 20


class Callback:
    """Base class of callbacks: every method is called at its moment and does nothing unless overridden.

    The trainer has ``module``, ``trained`` (with ``ema`` the average of its weights, else the same), ``optimizer``,
    ``config``, ``task``, ``epoch``, ``step`` and ``rows``. Callbacks have no part in
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

    def step(self, trainer: "Trainer", *, loss: float | None, score: float | None) -> None:
        """Run after every step.

        Args:
            trainer: The run in progress.
            loss: Mean loss of this epoch so far; None on an accelerator, where reading it would wait.
            score: Score of this epoch so far on the training images, for classification the accuracy; None likewise.
        """

    def epoch(self, trainer: "Trainer", row: dict[str, Any]) -> None:
        """Run after every epoch, when its row of the metrics table is complete."""

    def end(self, trainer: "Trainer") -> None:
        """Run after the last step of this call, also if training ends with an error."""


class ProgressBar(Callback):
    """A bar with the time left, then as much else as the terminal is wide.

    In a notebook it is one display that is updated in place; without a terminal there is one line per epoch.

    Args:
        title: Name of the run.
    """

    def __init__(self, title: str) -> None:
        self._title = shown(title)
        self._console = Console(stderr=True)
        self._edges = ""
        self._penalty = ""
        self._live = LiveBars() if self._console.is_jupyter else None
        self._result = self._title
        self._bar = Progress(
            BarColumn(bar_width=_BAR_WIDTH, table_column=Column(no_wrap=True, min_width=_BAR_WIDTH)),
            TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(self._title, left="")

    def start(self, trainer: "Trainer") -> None:
        """Show the bar."""
        n_steps = len(trainer.train)
        self._describe(trainer, *trainer.edge_sums())
        self._bar.update(
            self._task,
            total=trainer.config.optimization.epochs * n_steps,
            completed=trainer.epoch * n_steps + trainer.step,
        )
        self._bar.start()

    def step(self, trainer: "Trainer", *, loss: float | None, score: float | None) -> None:
        """Move the bar by one step."""
        name = trainer.task.score.name
        seconds = self._bar.tasks[0].time_remaining
        left = "" if seconds is None else f"{duration(max(round(seconds), 0))} left"
        parts = [
            f"epoch {trainer.epoch + 1}/{trainer.config.optimization.epochs}",
            "" if score is None else f"{words(name)} {shown_score(score, name)}",
            self._edges,
            self._title,
            "" if loss is None else f"loss {loss:.3f}",
            self._penalty,
        ]
        if self._live is not None:
            self._bar.advance(self._task)
            self._live.update([(self._share, ", ".join(filter(None, [left, *parts])))])
            return
        width = self._console.width - _BAR_WIDTH - len(left) - 2
        self._bar.update(self._task, advance=1, left=left, description=fitting(parts, width=width))

    def epoch(self, trainer: "Trainer", row: dict[str, Any]) -> None:
        """Show the result of the epoch."""
        self._describe(trainer, row["resource_loss"], row["live_edges"])
        split = "validation" if "validation_loss" in row else "test"
        name = trainer.task.score.name
        train, held_out = (shown_score(row[f"{part}_{name}"], name) for part in ("train", split))
        self._result = (
            f"epoch {row['epoch']}/{trainer.config.optimization.epochs} · {duration(row['seconds'])}: "
            f"loss {row['train_loss']:.4f}, {words(name)} {train}, {split} {words(name)} {held_out}, {self._penalty}, "
            f"{self._edges}"
        )
        if self._live is None and not self._console.is_terminal:
            self._console.print(self._result, soft_wrap=True, highlight=False)

    def end(self, trainer: "Trainer") -> None:  # noqa: ARG002 - the signature is that of the base class
        """Remove the bar; in a notebook the result of the last epoch stays."""
        self._bar.stop()
        if self._live is not None:
            self._live.update([(self._share, self._result)], is_last=True)

    @property
    def _share(self) -> float | None:
        task = self._bar.tasks[0]
        return task.completed / task.total if task.total else None

    def _describe(self, trainer: "Trainer", resource_loss: float, live_edges: int) -> None:
        self._penalty = f"Σ|gate(w)| {resource_loss:.1f}"
        self._edges = f"live edges {live_edges}/{len(trainer.module.edge_weight)}"


def fitting(parts: Sequence[str], *, width: int) -> str:
    """Join the first parts that fit; empty ones are skipped.

    Example:
        >>> fitting(["epoch 1/16", "", "accuracy 9.1%", "live edges 66/66"], width=30)
        'epoch 1/16, accuracy 9.1%'
    """
    text = ""
    for part in filter(None, parts):
        longer = f"{text}, {part}" if text else part
        if len(longer) > width:
            break
        text = longer
    return text


def tracked(items: Sequence[T], *, title: str, visible: bool = True) -> Iterator[T]:
    """Yield the items, with a bar on standard error if that is a terminal, or in a notebook."""
    console = Console(stderr=True)
    if visible and console.is_jupyter:
        yield from live_tracked(items, title=title)
        return
    yield from track(
        items,
        description=shown(title),
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
    )
