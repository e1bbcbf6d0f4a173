"""Progress of a study on standard error."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from graphtask.columns import shown_score, words
from graphtask.engines.protocol import Ending, Engine
from graphtask.live import LiveBars
from graphtask.study.job import Job
from graphtask.study.status import State, seconds_left, state_of
from graphtask.terminal import duration, shown
from graphtask.validation import counted

_PLAIN_SECONDS = 60.0  # between two summaries, if standard error is not a terminal
_SHOWN_RUNS = 24
_NOTES = 6  # last events that a notebook shows

_UNFINISHED: Mapping[str, Callable[[State, Ending], str]] = {
    "busy": lambda *_: "another process is training it; waiting for that",
    "refused": lambda _, ending: f"{ending.reason}; waiting for another machine",
    "interrupted": lambda state, _: (
        f"saved after {state.epoch} of {counted(state.job.config.optimization.epochs, 'epoch')}"
    ),
    "died": lambda _, ending: f"{ending.reason}; it will resume from its last checkpoint",
}
"""Messages about runs that neither finished nor failed."""


class Reporter(Protocol):
    """Receiver of progress events; a context manager."""

    def begin(self, job: Job) -> None:
        """Receive that a job was passed to the engine."""

    def again(self, job: Job, ending: Ending, *, number: int, of: int) -> None:
        """Receive that its process died; retry ``number`` of at most ``of`` since its last checkpoint follows."""

    def end(self, job: Job, ending: Ending, *, is_new: bool) -> None:
        """Receive that a job ended; ``is_new`` is False for a run that was finished before."""

    def look(self, running: Sequence[Job]) -> None:
        """Receive the running jobs, twice a second."""

    def stopping(self, running: Sequence[Job]) -> None:
        """Receive that the study was interrupted; these jobs save their state."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Silence:
    """Reporter without output."""

    def begin(self, job: Job) -> None:
        """Do nothing."""

    def again(self, job: Job, ending: Ending, *, number: int, of: int) -> None:
        """Do nothing."""

    def end(self, job: Job, ending: Ending, *, is_new: bool) -> None:
        """Do nothing."""

    def look(self, running: Sequence[Job]) -> None:
        """Do nothing."""

    def stopping(self, running: Sequence[Job]) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class StudyProgress:
    """Progress bars for the study and each running run on a terminal; elsewhere one line per event.

    Args:
        jobs: Jobs of the study.
        engine: Performs them; its number of slots enters the remaining time.
    """

    def __init__(self, jobs: Sequence[Job], engine: Engine) -> None:
        self._engine = engine
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._states = {job.name: State(job, "waiting") for job in jobs}
        self._begun: dict[str, float] = {}
        self._moved: dict[str, float] = {}  # when the last epoch of a run ended
        self._ended = 0
        self._failed = 0
        self._printed = time.monotonic()
        self._bars_of_notebook = LiveBars() if self._console.is_jupyter else None
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        for name, state in self._states.items():
            self._states[name] = state_of(state.job)
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._show_in_notebook([], is_last=True)

    def begin(self, job: Job) -> None:
        """Print where it starts."""
        state = self._update(job)
        self._begun[job.name] = time.monotonic()
        self._print(f"{job.name} " + (f"resumed after epoch {state.epoch}" if state.epoch else "started"))

    def again(self, job: Job, ending: Ending, *, number: int, of: int) -> None:
        """Print the reason."""
        self._print(f"{job.name}: {ending.reason}; retry {number} of {of} before its next checkpoint")

    def end(self, job: Job, ending: Ending, *, is_new: bool) -> None:
        """Print the result."""
        state = self._update(job)
        if ending.kind in _UNFINISHED:
            self._print(f"{job.name}: {_UNFINISHED[ending.kind](state, ending)}")
            return
        self._ended += 1
        self._failed += ending.kind != "finished"
        if ending.kind != "finished":
            self._states[job.name] = state._replace(word="failed")
            self._print(f"{job.name} failed: {ending.reason}")
        elif is_new:
            self._print(f"{job.name} finished, {_result(state)}{_remark(ending)}")

    def look(self, running: Sequence[Job]) -> None:
        """Update the progress bars."""
        states = [self._update(job)._replace(word="running") for job in running]
        if self._bars_of_notebook is not None:
            self._show_in_notebook(states)
        elif self._console.is_terminal:
            self._live.update(self._bars(states), refresh=True)
        elif time.monotonic() - self._printed > _PLAIN_SECONDS:
            self._print("; ".join([self._summary(), *(_line(state) for state in states)]))

    def stopping(self, running: Sequence[Job]) -> None:
        """Print that the state is being saved."""
        self._live.stop()  # only lines follow
        if running:
            runs = "1 run saves its" if len(running) == 1 else f"{len(running)} runs save their"
            self._print(f"interrupted: {runs} state; press Ctrl-C again to end at once")

    def _about(self, state: State) -> str:
        """Return the progress of a run; in its first epoch, with the time since it started."""
        begun = self._begun.get(state.job.name)
        return _about(state, None if state.epoch or begun is None else time.monotonic() - begun)

    def _epochs_done(self, state: State) -> float:
        """Return the epochs of a run, with an estimate of the part of the epoch in progress."""
        if state.word != "running" or not state.seconds_per_epoch or not state.epochs_left:
            return state.epoch
        since = time.monotonic() - self._moved.get(state.job.name, time.monotonic())
        return state.epoch + min(since / state.seconds_per_epoch, 0.95)

    def _update(self, job: Job) -> State:
        state = state_of(job)
        if state.epoch != self._states[job.name].epoch:
            self._moved[job.name] = time.monotonic()
        self._states[job.name] = state
        return state

    def _print(self, message: str) -> None:
        self._printed = time.monotonic()
        line = f"[{self._ended}/{len(self._states)}] {message}"
        if self._bars_of_notebook is not None:
            self._notes.append(line)
        else:
            self._console.print(shown(line), markup=False)

    def _show_in_notebook(self, running: Sequence[State], *, is_last: bool = False) -> None:
        if self._bars_of_notebook is None:
            return
        share = self._epochs_of_all(running) / max(sum(map(_n_epochs, self._states.values())), 1)
        rows = [
            (self._epochs_done(state) / _n_epochs(state), _line(state)) for state in running[:_SHOWN_RUNS]
        ]
        self._bars_of_notebook.update([(share, self._summary()), *rows], notes=self._notes, is_last=is_last)

    def _summary(self) -> str:
        left = seconds_left(self._states.values(), slots=self._engine.slots())
        time_left = "" if left is None else f", about {duration(left)} left"
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._ended} of {counted(len(self._states), 'run')} finished{time_left}{failed}"

    def _epochs_of_all(self, running: Sequence[State]) -> float:
        now = {state.job.name: state for state in running}
        return sum(self._epochs_done(now.get(name, state)) for name, state in self._states.items())

    def _bars(self, running: list[State]) -> RenderableType:
        width = min(20, self._console.width // 8)
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(width=width)
        # A fixed width: columns that grow and shrink move all others.
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        done, total = self._epochs_of_all(running), sum(map(_n_epochs, self._states.values()))
        grid.add_row(Text("all"), _bar(done, total, width=width), Text(self._summary()))
        for state in running[:_SHOWN_RUNS]:
            bar = _bar(self._epochs_done(state), _n_epochs(state), width=width)
            grid.add_row(Text(shown(state.job.name)), bar, Text(self._about(state)))
        more = len(running) - _SHOWN_RUNS
        return Group(grid, Text(f"… and {more} more")) if more > 0 else grid


def _bar(done: float, total: int, *, width: int) -> ProgressBar:
    """Return a bar that moves also before the first epoch has ended."""
    return ProgressBar(total, done, width=width, pulse=not done, animation_time=time.monotonic())


def _n_epochs(state: State) -> int:
    return state.job.config.optimization.epochs


def _line(state: State) -> str:
    return f"{state.job.name} {_about(state)}"


def _about(state: State, elapsed: float | None = None) -> str:
    n_epochs = _n_epochs(state)
    parts = [f"epoch {min(state.epoch + 1, n_epochs)}/{n_epochs}"]
    if elapsed is not None:
        parts.append(duration(elapsed))
    if state.seconds_per_epoch is not None and state.epochs_left:
        parts.append(f"{duration(state.seconds_per_epoch * state.epochs_left)} left")
    if state.epoch:
        parts.append(_result(state))
    return " · ".join(parts)


def _result(state: State) -> str:
    if state.test_score is None:
        return "no epoch yet"
    return f"test {words(state.score)} {shown_score(state.test_score, state.score)}, live edges {state.live_edges}"


def _remark(ending: Ending) -> str:
    return f" ({ending.reason})" if ending.reason else ""
