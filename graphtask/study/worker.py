"""What is done with one job, and a process that does jobs for another one: requests on stdin, answers on stdout.

A request is a line, a job as JSON; the answer is one, too, ``{"kind": …, "reason": …}`` of an `Ending`.
When stdin ends, because the driver wants a stop or has died, the run in progress saves its state and ends.
"""

import contextlib
import gc
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import IO

import filelock

from graphtask.errors import GraphtaskError, RunInterruptedError, RunInUseError
from graphtask.study.engines.protocol import Ending
from graphtask.study.job import Job
from graphtask.study.outcome import record_outcome
from graphtask.training.config import DataConfig


def perform(job: Job) -> Ending:
    """Train the run of a job, or go on with it, and record its outcome; whatever goes wrong is an `Ending`.

    PyTorch is loaded with the first job and stays. To save its state on SIGTERM, a run has to be in the main thread.
    """
    try:
        return _performed(job)
    except RunInUseError as error:
        return Ending("busy", str(error))
    except RunInterruptedError as error:
        return Ending("interrupted", str(error))
    except GraphtaskError as error:
        return Ending("failed", _line(error))
    except Exception as error:  # noqa: BLE001 - one run never takes the others down
        return Ending("failed", f"{job.folder}: {_about(error)}")
    finally:
        _tidy_up()


def serve() -> None:
    """Do the jobs that come in on stdin until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints is not to be taken for an answer
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while line := requests.get():
            ending = perform(Job.from_dict(json.loads(line)))
            answers.write(json.dumps(ending._asdict()).encode() + b"\n")
            answers.flush()


def _listen(stream: IO[bytes], requests: "SimpleQueue[bytes]") -> None:
    """Hand on what comes in; at its end, ask for a stop as the system would."""
    while (line := stream.readline()).endswith(b"\n"):  # a part of a line: its writer was killed
        requests.put(line)
    requests.put(b"")
    os.kill(os.getpid(), signal.SIGTERM)


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
    """Make sure that the data are there; one process at a time, because all of them want the same files."""
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
        return f"out of memory ({_line(error)}); use a smaller batch_size, fewer channels, or fewer runs at a time"
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: BaseException | str) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _tidy_up() -> None:
    """Give back the memory that the run held on a GPU: others wait for it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        # In some releases of PyTorch this raises after a capture that failed; the next run may do without the memory.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
