"""Interface of the engines that perform the jobs of a study, on this machine or elsewhere.

`graphtask.study.driver` selects the jobs and their order; an engine only performs them. It calls
`graphtask.study.worker.perform` in a process that may die without harm to others, and returns an `Ending`:

- ``finished``: the run is complete in its folder;
- ``failed``: it is impossible, for the reason given; a retry would fail again;
- ``died``: the process ended before the job did (a signal, no memory, a lost machine); a retry may succeed;
- ``busy``: another process is training this run;
- ``refused``: the machine cannot perform it, but another one can; nothing was started;
- ``interrupted``: `Engine.stop` was called, and the state is saved.

Jobs can be pickled, and travel as JSON values through `Job.to_dict` and `Job.from_dict`.
"""

from typing import TYPE_CHECKING, Protocol, Self

from graphtask.study.job import Ending, Job

if TYPE_CHECKING:
    from concurrent.futures import Future


class Engine(Protocol):
    """Processes, on this machine or elsewhere, that perform jobs; a context manager that ends them.

    Leaving the context ends running jobs at once. An engine serves one study.
    """

    def slots(self) -> int:
        """Return the number of jobs that can run in parallel; may change while a cluster grows or shrinks.

        Raises an error if no job can run any more.
        """

    def submit(self, job: Job) -> "Future[Ending]":
        """Start a job; never called for more jobs than there are slots.

        The future always has a result: errors are endings. It raises only if no job can run at all.
        """

    def stop(self) -> None:
        """Ask all running jobs to save their state and to end; returns at once, and the futures then get results."""

    def __enter__(self) -> Self:
        """Start; processes may start now or with the first job."""

    def __exit__(self, *_: object) -> None:
        """End all processes."""
