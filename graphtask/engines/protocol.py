"""Interface of the engines that perform tasks, on this machine or elsewhere.

A task is a run of a study or a part of a corpus; its result is files in a folder that all machines share. A driver
selects the tasks and their order; an engine only performs them, in a process that may die without harm to others, and
returns an `Ending`:

- ``finished``: the files are complete;
- ``failed``: it is impossible, for the reason given; a retry would fail again;
- ``died``: the process ended before the task did (a signal, no memory, a lost machine); a retry may succeed;
- ``busy``: another process is performing this task;
- ``refused``: the machine cannot perform it, but another one can; nothing was started;
- ``interrupted``: `Engine.stop` was called, and the state is saved.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from concurrent.futures import Future


class Ending(NamedTuple):
    """Outcome of a task."""

    kind: Literal["finished", "failed", "died", "busy", "refused", "interrupted"]
    reason: str = ""
    """Reason in one line; may be empty."""


class Task(Protocol):
    """Unit of work that travels as values that JSON can hold."""

    @property
    def worker(self) -> str:
        """Module of graphtask that performs it.

        Its function ``perform_values`` turns the result of `to_dict` into an `Ending`; its function ``serve`` does so
        for the requests of a parent process (`graphtask.workers`).
        """

    @property
    def name(self) -> str:
        """Name in messages."""

    @property
    def out(self) -> Path:
        """Folder of the results of all tasks, absolute."""

    @property
    def log(self) -> Path:
        """File that receives all output of processes on this machine."""

    @property
    def threads(self) -> int:
        """CPU threads."""

    @property
    def device(self) -> str:
        """Device, such as ``cpu``, ``auto`` or ``cuda:1``."""

    @property
    def names_code(self) -> bool:
        """Return True if it imports code of the user, which may be in the current folder."""

    def on_cpu(self) -> "Task":
        """Return the task for a machine whose GPUs belong to others."""

    def to_dict(self) -> Mapping[str, Any]:
        """Return the task as values that JSON can hold."""


class Tasks(Protocol):
    """Tasks with their common folder; `graphtask.Study` is one."""

    @property
    def out(self) -> Path:
        """Folder of all results."""

    @property
    def jobs(self) -> Sequence[Task]:
        """Tasks, in the order in which they start."""


class Engine(Protocol):
    """Processes, on this machine or elsewhere, that perform tasks; a context manager that ends them.

    Leaving the context ends running tasks at once. An engine serves one driver.
    """

    def slots(self) -> int:
        """Return the number of tasks that can run in parallel; may change while a cluster grows or shrinks.

        Raises an error if no task can run any more.
        """

    def submit(self, job: Task) -> "Future[Ending]":
        """Start a task; never called for more tasks than there are slots.

        The future always has a result: errors are endings. It raises only if no task can run at all.
        """

    def stop(self) -> None:
        """Ask all running tasks to save their state and to end; returns at once, and the futures then get results."""

    def __enter__(self) -> Self:
        """Start; processes may start now or with the first task."""

    def __exit__(self, *_: object) -> None:
        """End all processes."""
