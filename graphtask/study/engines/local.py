"""An engine of processes on this machine; one that dies costs its job a retry, and another takes its place.

Plain children with two pipes, as in `graphtask.corpus.pool`. They live as long as the engine, so that PyTorch is loaded
once in each. When the driver dies their stdin ends, and they save and end themselves.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Self

from graphtask.corpus.startup import THREADS
from graphtask.errors import ArgumentError
from graphtask.study.engines.protocol import Ending
from graphtask.study.job import Job

LOG = "study.log"
"""In the folder of all runs: whatever the processes print."""

_PATIENCE = 60.0  # seconds for a process to end that has stopped to answer

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from graphtask.corpus.startup import prepare; prepare(); "
    "from graphtask.study.worker import serve; serve()"
)


class LocalEngine:
    """Processes on this machine.

    Args:
        jobs: How many there are on the CPU, at least 1; not with ``gpus``.
        gpus: Numbers of GPUs; each process sees one of them.
        jobs_per_gpu: Processes on each GPU, at least 1.

    Raises:
        ArgumentError: An argument is outside its range.

    Example:
        >>> LocalEngine(gpus=[0, 1], jobs_per_gpu=2).slots()
        4
    """

    def __init__(self, *, jobs: int | None = None, gpus: Sequence[int] = (), jobs_per_gpu: int = 1) -> None:
        if gpus and jobs is not None:
            raise ArgumentError("give jobs, or gpus and jobs_per_gpu, not both")
        for name, value in (("jobs", 1 if jobs is None else jobs), ("jobs_per_gpu", jobs_per_gpu)):
            if value < 1:
                raise ArgumentError(f"{name} is {value}; use at least 1")
        if any(gpu < 0 for gpu in gpus) or len(set(gpus)) < len(gpus):
            raise ArgumentError(
                f"gpus are {', '.join(map(str, gpus))}; name each of them once, counted from 0"
            )
        # Round robin: with few jobs, every GPU has something to do.
        places = [_gpu_settings(gpu) for _ in range(jobs_per_gpu) for gpu in gpus] or [{}] * (jobs or 1)
        self._workers = [_Worker(settings) for settings in places]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(len(self._workers), thread_name_prefix="graphtask-study")

    def slots(self) -> int:
        """How many processes there are."""
        return len(self._workers)

    def submit(self, job: Job) -> "Future[Ending]":
        """Do a job in the next free process."""
        return self._threads.submit(self._ask, job)

    def stop(self) -> None:
        """Ask all processes to save and to end."""
        for worker in self._workers:
            worker.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)

    def _ask(self, job: Job) -> Ending:
        worker = self._free.get()
        try:
            return worker.ask(job)
        finally:
            self._free.put(worker)


class _Worker:
    """One process, or the next one after it has died."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def ask(self, job: Job) -> Ending:
        try:
            reply = self._reply_to(job)
        except OSError as error:
            return Ending("died", f"no process can be started ({error.strerror})")
        ending = ending_of(reply)
        if ending is not None:
            return ending
        how = self._buried()
        if self._is_over:
            return Ending("interrupted", "the process was ended")
        hint = "; its memory may have run out" if how == "SIGKILL" else f"; {job.out / LOG} may say more"
        return Ending("died", f"the process that trained it ended ({how}){hint}")

    def stop(self) -> None:
        with self._lock:
            self._is_over = True
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def kill(self) -> None:
        self.stop()
        with self._lock:
            process = self._process
        if process is not None:
            process.kill()
            self._buried()

    def _reply_to(self, job: Job) -> bytes:
        """The line that answers; nothing if the process dies over it, or is to do nothing any more."""
        with self._lock:
            if self._is_over:
                return b""
            if self._process is None:
                self._process = self._started(job.out)
            process = self._process
            try:
                process.stdin.write(json.dumps(job.to_dict()).encode() + b"\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            except (OSError, ValueError):
                return b""
        try:
            return process.stdout.readline()  # type: ignore[union-attr]
        except (OSError, ValueError):
            return b""

    def _started(self, out: Path) -> subprocess.Popen[bytes]:
        with _log(out) as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _PROGRAM, json.dumps([str(entry) for entry in sys.path])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # The number of threads of PyTorch itself is set by each job.
                env=os.environ | dict.fromkeys(THREADS, "1") | self._settings,
                process_group=0 if os.name == "posix" else None,  # Ctrl-C is for the driver to deal with
            )

    def _buried(self) -> str:
        """Wait for the process to be gone, and say how it ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return "it never began"
        status = self._status_of(process)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                pipe.close()  # type: ignore[union-attr]
        if status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
        return f"status {status}"

    def _status_of(self, process: "subprocess.Popen[bytes]") -> int:
        """Wait for the process to end, for a while; one that has closed its pipe and stays is of no use."""
        try:
            return process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def ending_of(reply: bytes) -> Ending | None:
    """The ending that a process has sent; None unless the whole line has come: it was killed while it wrote.

    Example:
        >>> ending_of(b'{"kind": "fini') is None
        True
    """
    try:
        return Ending(**json.loads(reply)) if reply.endswith(b"\n") else None
    except (ValueError, TypeError):
        return None


def _log(out: Path) -> "contextlib.AbstractContextManager[IO[Any] | int]":
    try:
        out.mkdir(parents=True, exist_ok=True)
        return (out / LOG).open("ab")
    except OSError:
        return contextlib.nullcontext(subprocess.DEVNULL)


def _gpu_settings(gpu: int) -> dict[str, str]:
    """The environment in which a process sees one GPU, counted among those that this process sees."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if visible and gpu >= len(visible):
        raise ArgumentError(f"there is no GPU {gpu}; CUDA_VISIBLE_DEVICES names {len(visible)}")
    return {"CUDA_VISIBLE_DEVICES": visible[gpu] if visible else str(gpu)}
