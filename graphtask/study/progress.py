"""What a study tells the person who waits for it, on standard error."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from graphtask.study.engines.protocol import Ending, Engine
from graphtask.study.job import Job
from graphtask.study.spec import Study
from graphtask.study.status import State, seconds_left, state_of
from graphtask.validation import counted

_PLAIN_SECONDS = 60.0  # between two lines about the whole, where there is no terminal
_SHOWN_RUNS = 24

_UNFINISHED: Mapping[str, Callable[[State, Ending], str]] = {
    "busy": lambda *_: "another process is training it; waiting for that",
    "refused": lambda _, ending: f"{ending.reason}; waiting for another machine",
    "interrupted": lambda state, _: (
        f"saved after {state.epoch} of {counted(state.job.config.optimization.epochs, 'epoch')}"
    ),
    "died": lambda _, ending: f"{ending.reason}; it will go on from its last checkpoint",
}
"""What is said of a run that has neither been finished nor failed."""


class Reporter(Protocol):
    """Hears how a study goes; a context manager."""

    def begin(self, job: Job) -> None:
        """A job was given to the engine."""

    def again(self, job: Job, ending: Ending, *, number: int, of: int) -> None:
        """Its process died; it will be begun again, for the ``number``-th of at most ``of`` times since a checkpoint."""

    def end(self, job: Job, ending: Ending, *, is_new: bool) -> None:
        """A job has ended; ``is_new`` is False for a run that was finished before."""

    def look(self, running: Sequence[Job]) -> None:
        """Some time has passed; these are running."""

    def stopping(self, running: Sequence[Job]) -> None:
        """A stop was asked for, and these are saving their state."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Silence:
    """A reporter that reports nothing."""

    def begin(self, job: Job) -> None:
        """Say nothing."""

    def again(self, job: Job, ending: Ending, *, number: int, of: int) -> None:
        """Say nothing."""

    def end(self, job: Job, ending: Ending, *, is_new: bool) -> None:
        """Say nothing."""

    def look(self, running: Sequence[Job]) -> None:
        """Say nothing."""

    def stopping(self, running: Sequence[Job]) -> None:
        """Say nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class StudyProgress:
    """On a terminal, a bar for the study and a line for every running run; elsewhere a line where something happens.

    Args:
        study: The study.
        engine: What does it; tells how much is done at a time.
    """

    def __init__(self, study: Study, engine: Engine) -> None:
        self._engine = engine
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._states = {job.name: State(job, "waiting") for job in study.jobs}
        self._begun: dict[str, float] = {}
        self._ended = 0
        self._failed = 0
        self._said = time.monotonic()
        self._live = Live(console=self._console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        for name, state in self._states.items():
            self._states[name] = state_of(state.job)
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, job: Job) -> None:
        """Say from where it goes on."""
        state = self._update(job)
        self._begun[job.name] = time.monotonic()
        self._say(f"{job.name}: " + (f"goes on after epoch {state.epoch}" if state.epoch else "begins"))

    def again(self, job: Job, ending: Ending, *, number: int, of: int) -> None:
        """Say why."""
        self._say(
            f"{job.name}: {ending.reason}; begins again ({number} of at most {of} times before its next checkpoint)"
        )

    def end(self, job: Job, ending: Ending, *, is_new: bool) -> None:
        """Say what came of it."""
        state = self._update(job)
        if ending.kind in _UNFINISHED:
            self._say(f"{job.name}: {_UNFINISHED[ending.kind](state, ending)}")
            return
        self._ended += 1
        self._failed += ending.kind != "finished"
        if ending.kind != "finished":
            self._states[job.name] = state._replace(word="failed")
            self._say(f"{job.name}: failed: {ending.reason}")
        elif is_new:
            self._say(f"{job.name}: finished, {_learned(state)}{_remark(ending)}")

    def look(self, running: Sequence[Job]) -> None:
        """Show how far everything is."""
        states = [self._update(job)._replace(word="running") for job in running]
        if self._console.is_terminal:
            self._live.update(self._picture(states), refresh=True)
        elif time.monotonic() - self._said > _PLAIN_SECONDS:
            self._say("; ".join([self._summary(), *(_line(state) for state in states)]))

    def stopping(self, running: Sequence[Job]) -> None:
        """Ask for patience."""
        self._live.stop()  # from now on there are only lines
        if running:
            runs = "1 run saves its" if len(running) == 1 else f"{len(running)} runs save their"
            self._say(f"stopping: {runs} state; Ctrl-C again ends everything at once")

    def _first_epoch(self, state: State) -> str:
        """How long a run has been at work, as long as no epoch tells how far it is."""
        begun = self._begun.get(state.job.name)
        if state.epoch or begun is None:
            return ""
        return f", {duration(time.monotonic() - begun)} in the first one"

    def _update(self, job: Job) -> State:
        self._states[job.name] = state_of(job)
        return self._states[job.name]

    def _say(self, message: str) -> None:
        self._said = time.monotonic()
        self._console.print(f"[{self._ended}/{len(self._states)}] {message}", markup=False)

    def _summary(self) -> str:
        left = seconds_left(self._states.values(), slots=self._engine.slots())
        time_left = "" if left is None else f", about {duration(left)} left"
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._ended} of {counted(len(self._states), 'run')} done{time_left}{failed}"

    def _picture(self, running: list[State]) -> RenderableType:
        done = sum(state.epoch for state in self._states.values())
        total = sum(state.job.config.optimization.epochs for state in self._states.values())
        width = min(20, self._console.width // 8)
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(width=width)
        # The rest of the line and no more: lines that grow and shrink make all others jump.
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        grid.add_row(Text("all"), ProgressBar(total, done, width=width), Text(self._summary()))
        for state in running[:_SHOWN_RUNS]:
            epochs = state.job.config.optimization.epochs
            bar = ProgressBar(epochs, state.epoch, width=width)
            grid.add_row(Text(state.job.name), bar, Text(_about(state) + self._first_epoch(state)))
        more = len(running) - _SHOWN_RUNS
        return Group(grid, Text(f"… and {more} more")) if more > 0 else grid


def duration(seconds: float) -> str:
    """A length of time for people.

    Example:
        >>> [duration(value) for value in (4, 75, 3600 * 5 + 60 * 7, 86400 * 3 + 3600)]
        ['4 s', '1 min 15 s', '5 h 7 min', '3 d 1 h']
    """
    whole = round(seconds)
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def _line(state: State) -> str:
    return f"{state.job.name} {_about(state)}"


def _about(state: State) -> str:
    left = ""
    if state.seconds_per_epoch is not None and state.epochs_left:
        left = f", {duration(state.seconds_per_epoch * state.epochs_left)} left"
    return (
        f"epoch {state.epoch}/{state.job.config.optimization.epochs}"
        + left
        + (f", {_learned(state)}" if state.epoch else "")
    )


def _learned(state: State) -> str:
    if state.test_accuracy is None:
        return "no epoch yet"
    return f"test accuracy {state.test_accuracy:.1%}, live edges {state.live_edges}"


def _remark(ending: Ending) -> str:
    return f" ({ending.reason})" if ending.reason else ""
