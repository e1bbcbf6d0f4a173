"""Doing a study: its jobs are given to an engine until every run is finished or has failed.

Several drivers may work on one study at the same time: a run folder is locked by the process that trains in it, and
what another driver is doing is waited for.
"""

import contextlib
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from typing import NamedTuple

from graphtask.errors import RunInterruptedError
from graphtask.study.engines.protocol import Ending, Engine
from graphtask.study.job import Job
from graphtask.study.progress import Reporter
from graphtask.study.spec import Study
from graphtask.study.status import Mark, forget_failure, is_settled, mark_of, note_failure, state_of

_LOOK = 0.5  # seconds between two looks at how far the runs are
_BUSY = 2.0  # seconds until a run is looked at again that somebody else is training


class Report(NamedTuple):
    """What came of a study."""

    n_finished: int
    """Runs that are finished now."""
    failed: dict[str, str]
    """The other ones: name of the run, and why, in one line."""


def drive(study: Study, engine: Engine, *, retries: int, reporter: Reporter) -> Report:
    """Do every run of a study that is not finished.

    Args:
        study: The study; its folder exists.
        engine: What does the jobs.
        retries: How often in a row a run is begun again, at most, whose process died without a new checkpoint.
        reporter: Hears how it goes.

    Raises:
        RunInterruptedError: Ctrl-C or SIGTERM; the state of all runs is saved.
    """
    driver = _Driver(study, engine, retries, reporter)
    with _sigterm_as_ctrl_c(), engine, reporter:
        try:
            driver.run()
        except KeyboardInterrupt:
            driver.stop()
            raise RunInterruptedError(
                f"stopped; everything is saved in {study.out}: run the same command again to go on"
            ) from None
    return Report(len(study.jobs) - len(driver.failed), driver.failed)


class _Driver:
    """What is still to be done, and what has failed."""

    def __init__(self, study: Study, engine: Engine, retries: int, reporter: Reporter) -> None:
        self._engine = engine
        self._retries = retries
        self._reporter = reporter
        self._waiting = deque(study.jobs)
        self._elsewhere: list[tuple[float, Job]] = []  # with the time at which to look again
        self._running: dict[Future[Ending], Job] = {}
        self._deaths: Counter[str] = Counter()  # since the last checkpoint
        self._marks: dict[str, Mark] = {}  # where runs were when they were begun
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        while self._waiting or self._running or self._elsewhere:
            self._return_from_elsewhere()
            slots = self._engine.slots()
            while self._waiting and len(self._running) < slots:
                self._begin(self._waiting.popleft())
            self._wait()
            self._reporter.look(list(self._running.values()))

    def stop(self) -> None:
        """Let the running jobs save and end."""
        self._reporter.stopping(list(self._running.values()))
        self._engine.stop()
        for future in as_completed(self._running):
            self._settle(self._running[future], future.result())

    def _begin(self, job: Job) -> None:
        state = state_of(job)
        if is_settled(state):
            self._reporter.end(job, Ending("finished"), is_new=False)
        elif state.word == "running":
            self._put_off(job)
        else:
            forget_failure(job)
            self._marks[job.name] = mark_of(job)
            self._running[self._engine.submit(job)] = job
            self._reporter.begin(job)

    def _put_off(self, job: Job) -> None:
        self._elsewhere.append((time.monotonic() + _BUSY, job))

    def _return_from_elsewhere(self) -> None:
        now = time.monotonic()
        self._waiting.extend(job for due, job in self._elsewhere if due <= now)
        self._elsewhere = [(due, job) for due, job in self._elsewhere if due > now]

    def _wait(self) -> None:
        if self._running:
            done, _ = wait(self._running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in done:
                self._end(self._running.pop(future), future.result())
        elif not self._waiting:
            time.sleep(_LOOK)

    def _end(self, job: Job, ending: Ending) -> None:
        # Somebody stopped the process, but not the study: the same as if it had died.
        if ending.kind in {"died", "interrupted"}:
            self._begin_again(job, ending)
            return
        if ending.kind in {"busy", "refused"}:
            self._put_off(job)
        self._settle(job, ending)

    def _begin_again(self, job: Job, ending: Ending) -> None:
        """Begin again what has died, unless that was tried as often as it may be without getting any further."""
        if mark_of(job) != self._marks[job.name]:
            self._deaths[job.name] = 0
        if self._deaths[job.name] >= self._retries:
            self._settle(job, Ending("failed", ending.reason))
            return
        self._deaths[job.name] += 1
        self._waiting.appendleft(job)
        self._reporter.again(job, ending, number=self._deaths[job.name], of=self._retries)

    def _settle(self, job: Job, ending: Ending) -> None:
        """Report an ending, and remember a failure."""
        if ending.kind == "failed":
            self.failed[job.name] = ending.reason
            note_failure(job, ending.reason)
        self._reporter.end(job, ending, is_new=True)


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
