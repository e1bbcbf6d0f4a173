"""Engine of processes on this machine; a process that dies costs its task a retry.

The processes live as long as the engine, so that each imports its libraries once. When the driver ends, for whatever reason,
they save their state and end.
"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from graphtask.engines.protocol import Ending
from graphtask.errors import ArgumentError
from graphtask.validation import integer, invalid
from graphtask.workers import Pool, Reply, encoded

if TYPE_CHECKING:
    from concurrent.futures import Future

    from graphtask.engines.protocol import Task


class LocalEngine:
    """Processes on this machine.

    Args:
        n_jobs: Number of processes on the CPU, at least 1; not together with ``gpus``.
        gpus: Numbers of GPUs; each process sees one of them.
        jobs_per_gpu: Processes per GPU, at least 1.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> LocalEngine(gpus=[0, 1], jobs_per_gpu=2).slots()
        4
    """

    def __init__(self, *, n_jobs: int | None = None, gpus: Sequence[int] = (), jobs_per_gpu: int = 1) -> None:
        if gpus and n_jobs is not None:
            raise ArgumentError("n_jobs cannot be combined with gpus; use jobs_per_gpu")
        n_processes = 1 if n_jobs is None else integer(n_jobs, name="n_jobs")
        integer(jobs_per_gpu, name="jobs_per_gpu")
        if any(gpu < 0 for gpu in gpus) or len(set(gpus)) < len(gpus):
            raise invalid("gpus", "different numbers >= 0", list(gpus))
        # Round robin: with few jobs, every GPU is used.
        self._places = [_gpu_variables(gpu) for _ in range(jobs_per_gpu) for gpu in gpus] or [
            {}
        ] * n_processes
        self._pool: Pool | None = None
        self._is_stopped = False

    def slots(self) -> int:
        """Return the number of processes."""
        return len(self._places)

    def submit(self, job: "Task") -> "Future[Ending]":
        """Perform a task in the next free process."""
        if self._pool is None:
            self._pool = Pool(
                job.worker,
                environments=self._places,
                at_end="save",
                keys=Ending._fields,
                log=job.log,
            )
        if self._is_stopped:
            self._pool.stop()
        return self._pool.submit(encoded(job.to_dict()), then=partial(_ending, job.log))

    def stop(self) -> None:
        """Ask all processes to save and to end."""
        self._is_stopped = True
        if self._pool is not None:
            self._pool.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close()


def _ending(log: Path, reply: Reply) -> Ending:
    if reply.kind == "replied":
        assert reply.values is not None
        return Ending(**{name: reply.values[name] for name in Ending._fields})
    if reply.kind == "stopped":
        return Ending("interrupted", "the process was ended")
    if reply.kind == "not started":
        return Ending("died", f"no process can be started ({reply.problem})")
    hint = "its memory may have run out" if reply.problem == "SIGKILL" else f"see {log}"
    return Ending("died", f"its process ended ({reply.problem}); {hint}")


def _gpu_variables(gpu: int) -> Mapping[str, str]:
    """Return the environment in which a process sees one GPU, counted among those that this process sees."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if visible and gpu >= len(visible):
        raise invalid("gpus", f"numbers below {len(visible)}, the GPUs that CUDA_VISIBLE_DEVICES lists", gpu)
    return {"CUDA_VISIBLE_DEVICES": visible[gpu] if visible else str(gpu)}
