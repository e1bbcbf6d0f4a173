"""What a training run tells the person who waits for it, on standard error."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

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

from graphtask.terminal import shown

T = TypeVar("T")


class Reporter(Protocol):
    """Hears of every step and every epoch."""

    def step(self, *, epoch: int, loss: float | None, accuracy: float | None) -> None:
        """One step is done; ``loss`` and ``accuracy`` (in [0, 1]) are of this epoch so far, None if not known yet."""

    def epoch(self, row: dict[str, Any]) -> None:
        """One epoch is done; ``row`` is its line of the metrics table."""


class Silence:
    """A reporter that reports nothing."""

    def step(self, *, epoch: int, loss: float | None, accuracy: float | None) -> None:
        """Say nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Say nothing."""


class ProgressBar:
    """A bar with loss, accuracy, price and live edges on a terminal; one line an epoch elsewhere.

    Args:
        n_epochs: Epochs of the whole run.
        n_steps: Steps of one epoch.
        n_done: Steps already done by an earlier, interrupted call.
        n_edges: Edges of the graph.
        connections: Price of all connections at the start, and how many are live.
        title: What is being trained.
    """

    def __init__(
        self,
        *,
        n_epochs: int,
        n_steps: int,
        n_done: int,
        n_edges: int,
        connections: tuple[float, int],
        title: str,
    ) -> None:
        self._n_epochs = n_epochs
        self._n_edges = n_edges
        self._network = self._describe(*connections)
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(shown(title), total=n_epochs * n_steps, completed=n_done, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, *, epoch: int, loss: float | None, accuracy: float | None) -> None:
        """Move the bar by one step."""
        learned = "" if loss is None or accuracy is None else f"loss {loss:.3f}, accuracy {accuracy:.1%}, "
        state = f"epoch {epoch + 1}/{self._n_epochs}: {learned}{self._network}"
        self._bar.update(self._task, advance=1, state=state)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show what the epoch gave."""
        self._network = self._describe(row["resource_loss"], row["live_edges"])
        if not self._console.is_terminal:
            self._console.print(
                f"epoch {row['epoch']}/{self._n_epochs}: loss {row['train_loss']:.4f}, "
                f"accuracy {row['train_accuracy']:.1%}, test accuracy {row['test_accuracy']:.1%}, "
                f"{self._network}, {row['seconds']:.1f} s",
                soft_wrap=True,
                highlight=False,
            )

    def _describe(self, price: float, live_edges: int) -> str:
        return f"price {price:.1f}, live edges {live_edges}/{self._n_edges}"


def tracked(items: Sequence[T], *, title: str, visible: bool = True) -> Iterator[T]:
    """The items, one after the other, with a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    yield from track(
        items,
        description=shown(title),
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
    )
