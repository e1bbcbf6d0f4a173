"""Where the jobs of a study are done: the interface that every engine has.

`graphtask.study.driver` decides what is to be done and in which order; an engine only does it, somewhere. It calls
`graphtask.study.worker.perform` in a process that may die without harm to others, and says how that ended:

- ``finished``: the run is complete in its folder;
- ``failed``: it cannot be done, for the reason given; trying again would give the same;
- ``died``: the process ended before the job did (a signal, no memory left, a lost machine); trying again may help;
- ``busy``: somebody else is training this run at the moment;
- ``refused``: the machine that got it cannot do it, and another one can; nothing was begun;
- ``interrupted``: `Engine.stop` was called, and the state is saved.

Jobs can be pickled, and travel as JSON values through `Job.to_dict` and `Job.from_dict`.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from graphtask.study.job import Job

if TYPE_CHECKING:
    from concurrent.futures import Future


class Ending(NamedTuple):
    """How a job ended."""

    kind: Literal["finished", "failed", "died", "busy", "refused", "interrupted"]
    reason: str = ""
    """In one line; empty if there is nothing to say."""


class Engine(Protocol):
    """Processes, on this machine or elsewhere, that do jobs; a context manager that ends them.

    Leaving the context ends at once whatever still runs. An engine may be used for one study only.
    """

    def slots(self) -> int:
        """How many jobs can be done at a time; may change while a cluster grows or shrinks.

        Asked again and again while jobs are done. Raises if none can be done any more.
        """

    def submit(self, job: Job) -> "Future[Ending]":
        """Begin a job; it is never asked to do more at a time than it has slots.

        The future always has a result: whatever goes wrong is an `Ending`. It raises only if no job at all can be done.
        """

    def stop(self) -> None:
        """Ask all running jobs to save their state and to end; returns at once, and the futures then get results."""

    def __enter__(self) -> Self:
        """Begin; processes may be started now or with the first job."""

    def __exit__(self, *_: object) -> None:
        """End all processes."""
