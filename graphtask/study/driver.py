"""Drive a study: pass its jobs to an engine until every run is finished or has failed.

Several drivers may work on one study at the same time: a run folder is locked by the process that trains in it, and
a driver waits for runs of other drivers.
"""

import contextlib
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from typing import NamedTuple

from graphtask.engines.protocol import Ending, Engine
from graphtask.errors import RunInterruptedError
from graphtask.study.job import Job, Jobs
from graphtask.study.progress import Reporter
from graphtask.study.status import Mark, forget_failure, is_settled, mark_of, record_failure, state_of

_LOOK = 0.5  # seconds between two progress reports
_BUSY = 2.0  # seconds until the next look at a run of another driver


class Report(NamedTuple):
    """Summary of a call of `graphtask.Study.run`."""

    n_finished: int
    """Number of finished runs."""
    failed: dict[str, str]
    """Reasons of the others in one line, by the name of the run."""


def drive(study: Jobs, engine: Engine, *, retries: int, reporter: Reporter) -> Report:
    """Train every run of a study that is not finished.

    Args:
        study: The study; its folder exists.
        engine: Performs the jobs.
        retries: Retries of a run whose process died, before each new checkpoint.
        reporter: Receives progress events.

    Raises:
        RunInterruptedError: Ctrl-C or SIGTERM; the state of all runs is saved.
    """
    driver = _Driver(study.jobs, engine, retries, reporter)
    with _sigterm_as_ctrl_c(), engine, reporter:
        try:
            driver.run()
        except KeyboardInterrupt:
            driver.stop()
            raise RunInterruptedError(
                f"interrupted; the state is saved in {study.out}; run the same command again to resume"
            ) from None
    return Report(len(study.jobs) - len(driver.failed), driver.failed)


class _Driver:
    """Waiting, running and failed jobs."""

    def __init__(self, jobs: Sequence[Job], engine: Engine, retries: int, reporter: Reporter) -> None:
        self._engine = engine
        self._retries = retries
        self._reporter = reporter
        self._waiting = deque(jobs)
        self._postponed: list[tuple[float, Job]] = []  # with the time of the next look
        self._running: dict[Future[Ending], Job] = {}
        self._deaths: Counter[str] = Counter()  # since the last checkpoint
        self._marks: dict[str, Mark] = {}  # of runs when they were started
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        while self._waiting or self._running or self._postponed:
            self._resume_postponed()
            slots = self._engine.slots()
            while self._waiting and len(self._running) < slots:
                self._begin(self._waiting.popleft())
            self._wait()
            self._reporter.look(list(self._running.values()))

    def stop(self) -> None:
        """Let running jobs save their state and end."""
        self._reporter.stopping(list(self._running.values()))
        self._engine.stop()
        for future in as_completed(self._running):
            self._settle(self._running[future], future.result())

    def _begin(self, job: Job) -> None:
        state = state_of(job)
        if is_settled(state):
            self._reporter.end(job, Ending("finished"), is_new=False)
        elif state.word == "running":
            self._postpone(job)
        else:
            forget_failure(job)
            self._marks[job.name] = mark_of(job)
            self._running[self._engine.submit(job)] = job
            self._reporter.begin(job)

    def _postpone(self, job: Job) -> None:
        self._postponed.append((time.monotonic() + _BUSY, job))

    def _resume_postponed(self) -> None:
        now = time.monotonic()
        self._waiting.extend(job for due, job in self._postponed if due <= now)
        self._postponed = [(due, job) for due, job in self._postponed if due > now]

    def _wait(self) -> None:
        if self._running:
            done, _ = wait(self._running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in done:
                self._end(self._running.pop(future), future.result())
        elif not self._waiting:
            time.sleep(_LOOK)

    def _end(self, job: Job, ending: Ending) -> None:
        # A process that was stopped, but not by this driver, is retried like one that died.
        if ending.kind in {"died", "interrupted"}:
            self._retry(job, ending)
            return
        if ending.kind in {"busy", "refused"}:
            self._postpone(job)
        self._settle(job, ending)

    def _retry(self, job: Job, ending: Ending) -> None:
        """Retry a job whose process died, unless the last retries brought no new checkpoint."""
        if mark_of(job) != self._marks[job.name]:
            self._deaths[job.name] = 0
        if self._deaths[job.name] >= self._retries:
            self._settle(job, Ending("failed", ending.reason))
            return
        self._deaths[job.name] += 1
        self._waiting.appendleft(job)
        self._reporter.again(job, ending, number=self._deaths[job.name], of=self._retries)

    def _settle(self, job: Job, ending: Ending) -> None:
        """Report an ending, and record a failure."""
        if ending.kind == "failed":
            self.failed[job.name] = ending.reason
            record_failure(job, ending.reason)
        self._reporter.end(job, ending, is_new=True)


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
