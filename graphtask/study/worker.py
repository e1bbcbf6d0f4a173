"""Training of one job, and the loop of a process that performs jobs for another one.

A request is a job (`Job.to_dict`), its reply an `Ending`. When the driver stops or dies, the run in progress saves its
state and ends.
"""

import contextlib
import gc
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import filelock

from graphtask.engines.protocol import Ending
from graphtask.errors import GraphtaskError, RunInterruptedError, RunInUseError
from graphtask.study.job import Job
from graphtask.study.outcome import record_outcome
from graphtask.training.config import DataConfig
from graphtask.workers import Parent


def perform(job: Job) -> Ending:
    """Train the run of a job, or resume it, and record its outcome; every error becomes an `Ending`.

    The first job imports PyTorch. A run saves its state on SIGTERM only if it is in the main thread.
    """
    try:
        return _performed(job)
    except RunInUseError as error:
        return Ending("busy", str(error))
    except RunInterruptedError as error:
        return Ending("interrupted", str(error))
    except GraphtaskError as error:
        return Ending("failed", _line(error))
    except Exception as error:  # noqa: BLE001 - one run never ends the others
        return Ending("failed", f"{job.folder}: {_about(error)}")
    finally:
        _tidy_up()


def perform_values(values: Mapping[str, Any]) -> Ending:
    """Perform the job of these values; see `Job.to_dict`."""
    return perform(Job.from_dict(values))


def serve() -> None:
    """Perform the jobs that the parent process sends until it ends."""
    parent = Parent("save")
    with contextlib.suppress(KeyboardInterrupt):
        for values, _ in parent.requests():
            parent.reply(perform_values(values)._asdict())


def _performed(job: Job) -> Ending:
    from graphtask.training.train import train

    if job.data.download:
        _download(job.data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        run = train(job.graph(), job.config, out=job.folder, progress=False)
    record_outcome(run, job)
    return Ending("finished", "; ".join(_warnings(caught)))


def _download(data: DataConfig) -> None:
    """Download the data if missing; one process at a time, because all need the same files."""
    from graphtask.data.catalog import load_data
    from graphtask.data.sources import data_root

    folder = data_root(data.root)
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "download.lock"):
        load_data(data.source, root=data.root, download=True)


def _warnings(caught: Iterable[warnings.WarningMessage]) -> Iterator[str]:
    return (_line(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning))


def _about(error: Exception) -> str:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return f"out of memory ({_line(error)}); use a smaller batch_size, fewer channels, or fewer runs in parallel"
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: BaseException | str) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _tidy_up() -> None:
    """Release the GPU memory of the run, for others that wait for it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        # Some releases of PyTorch raise here after a capture failed; the next run may not need the memory.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
