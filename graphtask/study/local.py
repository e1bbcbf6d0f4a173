"""Processes for the jobs of a study on this machine: as many as its GPUs or CPU cores can serve."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphtask.engines.local import LocalEngine
from graphtask.validation import integer, invalid
from graphtask.workers import n_cores

if TYPE_CHECKING:
    from graphtask.study.job import Job


def local_engine(
    jobs: "Sequence[Job]", *, n_jobs: int | None, gpus: Sequence[int] | None, jobs_per_gpu: int = 1
) -> LocalEngine:
    """Return the processes for these jobs on this machine; arguments as those of `graphtask.Study.run`.

    Raises:
        ArgumentError: An argument is out of range, or this machine has no such GPU.
    """
    may_use_gpu = any(job.device in {"auto", "cuda"} for job in jobs)
    available = _n_gpus() if gpus or (gpus is None and n_jobs is None and may_use_gpu) else 0
    selected = range(available) if gpus is None else gpus
    if selected:
        engine = LocalEngine(n_jobs=n_jobs, gpus=selected, jobs_per_gpu=jobs_per_gpu)
        if max(selected) >= available:
            raise invalid("gpus", f"numbers below {available}, the GPUs that PyTorch finds", max(selected))
        return engine
    threads = max(job.threads for job in jobs)
    n_processes = max(1, n_cores() // threads) if n_jobs is None else integer(n_jobs, name="n_jobs")
    return LocalEngine(n_jobs=min(n_processes, len(jobs)))


def _n_gpus() -> int:
    import torch

    return torch.cuda.device_count()
