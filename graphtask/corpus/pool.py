"""Several processes that measure graphs; one that dies costs one row, and another takes its place.

Not `multiprocessing`: that runs the caller's main module again in every process, and its pools break as a whole when
one process dies. Here, each process is a plain child with two pipes and one thread that waits for it.
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
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from graphtask.corpus.rows import ERROR, SHA256, Row, Settings, sha256
from graphtask.corpus.startup import THREADS
from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.storage.content import about

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from graphtask.corpus.startup import prepare; prepare(); "
    "from graphtask.corpus.worker import serve; serve()"
)


class Pool:
    """Processes that measure graphs, started when there is something to do; leave it with `close`.

    Args:
        settings: What is done with every graph.
        jobs: How many processes there are at most.
    """

    def __init__(self, settings: Settings, *, jobs: int) -> None:
        start = {"settings": settings.to_json(), "modules": _modules(settings)}
        self._workers = [_Worker(json.dumps(start).encode()) for _ in range(jobs)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="graphtask-worker")

    def submit(self, file: str, *, path: str, content: bytes | None) -> Future[Row]:
        """The row of a graph, later; arguments as those of `graphtask.corpus.worker.answer`."""
        return self._threads.submit(self._ask, file, path, content)

    def close(self) -> None:
        """End all processes; what is still being measured is lost."""
        for worker in self._workers:
            worker.end(for_good=True)
        self._threads.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, file: str, path: str, content: bytes | None) -> Row:
        worker = self._free.get()
        try:
            return worker.ask(file, path, content)
        finally:
            self._free.put(worker)


class _Worker:
    """One process, or the next one after it has died."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def ask(self, file: str, path: str, content: bytes | None) -> Row:
        request: dict[str, Any] = {"file": file}
        request |= {"path": path} if content is None else {"size": len(content)}
        message = json.dumps(request).encode() + b"\n" + (content or b"")
        reply = self._reply_to(message)
        if reply:
            return json.loads(reply)  # type: ignore[no-any-return]
        why = self.end()
        error = GraphtaskError(f"the process that measured it ended ({why}); its memory may have run out")
        return {ERROR: about(file, error), SHA256: "" if content is None else sha256(content)}

    def end(self, *, for_good: bool = False) -> str:
        """End the process, and say how it ended."""
        with self._lock:
            self._is_over = self._is_over or for_good
            process, self._process = self._process, None
        if process is None:
            return "it never began"
        if for_good:
            process.kill()
        status = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                pipe.close()  # type: ignore[union-attr]
        if status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
        return f"status {status}"

    def _reply_to(self, message: bytes) -> bytes:
        """The line that answers the message; nothing if the process dies over it."""
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(message)
            process.stdin.flush()
            return process.stdout.readline()
        except (OSError, ValueError):
            return b""

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_over:
                raise GraphtaskError("the processes have been ended")
            process = self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _PROGRAM, json.dumps([str(entry) for entry in sys.path])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | dict.fromkeys(THREADS, "1"),
                process_group=0 if os.name == "posix" else None,  # Ctrl-C is for us to deal with
            )
        reply = self._reply_to(self._start + b"\n")
        if not reply:
            raise GraphtaskError(f"no process to measure graphs can be started ({self.end()}); use --jobs 1")
        failure = json.loads(reply)["failure"]
        if failure:
            raise ArgumentError(f"the metrics are not known in other processes ({failure}); use jobs=1")
        return process


def _modules(settings: Settings) -> Sequence[str]:
    """The modules that register the metrics that are not our own; other processes have to load them."""
    names = {getattr(metric.compute, "__module__", "") for metric in settings.selection.metrics}
    foreign = sorted(name for name in names if not name.startswith("graphtask."))
    if "__main__" in foreign or "" in foreign:
        raise ArgumentError(
            "a metric that was registered in a script is unknown in other processes; "
            "register it in a module that can be imported, or use jobs=1"
        )
    return foreign
