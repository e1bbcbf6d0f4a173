"""``run_study``: a study in, all of its run folders out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphtask.errors import ArgumentError
from graphtask.study.driver import Report, drive
from graphtask.study.engines.local import LocalEngine
from graphtask.study.engines.protocol import Engine
from graphtask.study.progress import Silence, StudyProgress
from graphtask.study.spec import Study, load_study
from graphtask.workers import n_cores


def run_study(
    study: Study | str | Path | Mapping[str, Any],
    *,
    jobs: int | None = None,
    gpus: Sequence[int] | None = None,
    jobs_per_gpu: int = 1,
    engine: Engine | None = None,
    retries: int = 2,
    progress: bool = True,
) -> Report:
    """Train every run of a study that is not finished yet.

    A run that fails costs only itself. One whose process dies (killed, no memory left) is begun again and goes on from
    its last checkpoint. Stopped or killed, the same call goes on where everything was. Several calls, also on several
    machines with shared storage, may work on one study at a time: none does what another one is doing.

    Args:
        study: A study, or what `load_study` makes one of.
        jobs: Processes on the CPU; None is as many as there are cores for the threads of each.
        gpus: Numbers of the GPUs to use; None is all of them, unless the study asks for the CPU.
        jobs_per_gpu: Processes on each GPU.
        engine: Does the jobs somewhere else; then ``jobs``, ``gpus`` and ``jobs_per_gpu`` are its own matter.
        retries: How often in a row a run is begun again, at most, whose process died without a new checkpoint; at
            least 0.
        progress: Whether to report on standard error.

    Returns:
        How many runs are finished, and why the others are not.

    Raises:
        ArgumentError: An option is outside its range.
        RunError: The folder holds another study, or cannot be used.
        RunInterruptedError: Ctrl-C or SIGTERM; the state of all runs is saved.

    Example:
        >>> import graphtask as gt
        >>> study = gt.load_study("studies/digits.toml")  # doctest: +SKIP
        >>> gt.run_study(study).n_finished  # doctest: +SKIP
        6
        >>> gt.study_results(study)[["data", "seed", "accuracy_pruned", "sparsity"]]  # doctest: +SKIP
    """
    if not isinstance(study, Study):
        study = load_study(study)
    if retries < 0:
        raise ArgumentError(f"retries is {retries}; use at least 0")
    if engine is None:
        engine = local_engine(study, jobs=jobs, gpus=gpus, jobs_per_gpu=jobs_per_gpu)
    study.save()
    reporter = StudyProgress(study, engine) if progress else Silence()
    return drive(study, engine, retries=retries, reporter=reporter)


def local_engine(
    study: Study, *, jobs: int | None, gpus: Sequence[int] | None, jobs_per_gpu: int = 1
) -> LocalEngine:
    """The processes that a study gets on this machine; arguments as those of `run_study`.

    Raises:
        ArgumentError: An argument is outside its range, or there is no such GPU here.
    """
    wants_gpu = any(job.device in {"auto", "cuda"} for job in study.jobs)
    there = _n_gpus() if gpus or (gpus is None and jobs is None and wants_gpu) else 0
    chosen = range(there) if gpus is None else gpus
    if chosen:
        engine = LocalEngine(n_jobs=jobs, gpus=chosen, jobs_per_gpu=jobs_per_gpu)
        if max(chosen) >= there:
            raise ArgumentError(
                f"there is no GPU {max(chosen)}: PyTorch sees {there} here; leave gpus out for the CPU"
            )
        return engine
    threads = max(job.threads for job in study.jobs)
    return LocalEngine(n_jobs=min(jobs or max(1, n_cores() // threads), len(study.jobs)))


def _n_gpus() -> int:
    import torch

    return torch.cuda.device_count()
