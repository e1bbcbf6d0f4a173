"""Child processes that answer requests: one pool for measuring graphs (`corpus`) and for training (`study`).

A child is a plain process with two pipes. A request is one line of JSON, followed by ``size`` bytes if it has that key;
the reply is one line of JSON. Properties that the tests check:

- A child that dies costs one request; the next request starts another child.
- A child never imports from the current folder, unless it is asked for a module of the user (`graphtask.named`): it
  starts with ``-P``, an explicit ``sys.path``, and the graphtask package of its parent.
- A child never runs the caller's ``__main__`` again, and Ctrl-C in a terminal reaches only the parent.
- A child ends when its parent ends, for whatever reason and in whatever computation it is.

``docs/architecture.md`` compares this with joblib/loky and pebble, which lack one or another of these.
"""

import contextlib
import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Literal, NamedTuple, Self, TypeVar

from graphtask.errors import GraphtaskError
from graphtask.named import ignore_local_settings

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Environment variables that limit the threads of linear-algebra libraries."""

_START_SECONDS = 120.0  # for a child to import its libraries and reply to the greeting
_END_SECONDS = 60.0  # for a child to end that stopped replying
_SAVE_SECONDS = 60.0  # for a child to save its state after its parent has ended
_IMPORT_BYTES = 120 << 20  # for igraph, NumPy and SciPy
_BLAS_BYTES = 80 << 20  # OpenBLAS allocates 32 MiB for NumPy and as much for SciPy
_PR_SET_PDEATHSIG = 1  # of prctl(2)

# The path is set before anything but the standard library is imported. The package is loaded by its file, because a
# folder of the path may hold another installation of graphtask.
_PROGRAM = """
import json, sys
file, parent, sys.path[:] = json.loads(sys.argv[1])
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("graphtask", file)
sys.modules["graphtask"] = module_from_spec(spec)
try:
    spec.loader.exec_module(sys.modules["graphtask"])
    from graphtask.workers import end_with_parent, prepare
    {protect}
    prepare()
    from {module} import serve
except BaseException as error:
    print(json.dumps(dict(failure=" ".join(f"{{type(error).__name__}}: {{error}}".split()))))
    sys.exit(1)
serve()
"""

T = TypeVar("T")

AtEnd = Literal["exit", "save"]
"""What a child does when its parent ends: exit at once, or receive SIGTERM so that it saves its state."""


def n_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# In the parent process


Kind = Literal["replied", "ended", "not started", "stopped"]
"""What became of a request: ``not started`` if no child could be started for it, ``stopped`` if the pool was closed."""


class Reply(NamedTuple):
    """Reply of a child process, or the reason why there is none."""

    values: dict[str, Any] | None
    """The reply; None if the child ended first."""
    problem: str = ""
    """How the child ended, such as ``SIGKILL`` or ``status 1``; else empty."""
    kind: "Kind" = "replied"


class Pool:
    """Child processes that answer requests; started on first use, replaced when they die.

    Args:
        module: Module with the function ``serve()`` that the children run, such as ``"graphtask.corpus.worker"``.
        environments: Additional environment variables, one mapping for each child.
        at_end: What a child does when this process ends; see `AtEnd`.
        keys: Keys that every reply has; a child with another reply is ended.
        greeting: First request to every child; its reply comes before all others.
        log: File that receives everything the children print; None is standard error of this process.
    """

    def __init__(
        self,
        module: str,
        *,
        environments: Sequence[Mapping[str, str]],
        at_end: AtEnd,
        keys: Sequence[str] = (),
        greeting: bytes = b"",
        log: Path | None = None,
    ) -> None:
        start = _Start(module, at_end, log)
        self._children = [
            _Child(start, environment, frozenset(keys), greeting) for environment in environments
        ]
        self._free: SimpleQueue[_Child] = SimpleQueue()
        for child in self._children:
            self._free.put(child)
        # A thread per child that lives as long as the pool: Linux ends children with the thread that started them.
        self._threads = ThreadPoolExecutor(len(self._children), thread_name_prefix="graphtask-worker")

    def __len__(self) -> int:
        return len(self._children)

    def submit(self, request: bytes, *, then: Callable[[Reply], T]) -> "Future[T]":
        """Send a request to the next free child.

        Args:
            request: Result of `encoded`.
            then: Turns the reply into the result of the future.
        """
        return self._threads.submit(self._ask, request, then)

    def stop(self) -> None:
        """Close the requests of all children: they save and end; nothing is started any more."""
        for child in self._children:
            child.stop()

    def close(self) -> None:
        """End all children at once; pending requests are lost."""
        for child in self._children:
            child.kill()
        self._threads.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: bytes, then: Callable[[Reply], T]) -> T:
        child = self._free.get()
        try:
            return then(child.ask(request))
        finally:
            self._free.put(child)


def encoded(values: Mapping[str, Any], content: bytes | None = None) -> bytes:
    """Return a request as bytes.

    Args:
        values: Anything that JSON can hold.
        content: Bytes that accompany it.
    """
    size = {} if content is None else {"size": len(content)}
    return json.dumps({**values, **size}).encode() + b"\n" + (content or b"")


class _Start(NamedTuple):
    """Command and environment of a child process."""

    module: str
    at_end: AtEnd
    log: Path | None

    def process(self, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        package = str(Path(__file__).with_name("__init__.py"))
        arguments = json.dumps([package, os.getpid(), child_path()])
        protect = "end_with_parent(parent)" if self.at_end == "exit" else ""
        program = _PROGRAM.format(module=self.module, protect=protect)
        isolation = "-I" if sys.flags.isolated else "-P"
        safe = {"PYTHONSAFEPATH": "1"}  # also for the processes that a child may start
        with self._log_file() as log:
            return subprocess.Popen(  # noqa: S603 - a program of our own
                [sys.executable, isolation, "-c", program, arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), **safe, **environment},
                process_group=0 if os.name == "posix" else None,  # Ctrl-C is for the parent to handle
            )

    def _log_file(self) -> "contextlib.AbstractContextManager[IO[Any] | int | None]":
        if self.log is None:
            return contextlib.nullcontext()
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            # Not through a link, which may lead to any file.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            return os.fdopen(os.open(self.log, flags, 0o666), "ab")
        except OSError:
            return contextlib.nullcontext(subprocess.DEVNULL)


class _Child:
    """One child process, or the next one after it has died."""

    def __init__(
        self, start: _Start, environment: Mapping[str, str], keys: frozenset[str], greeting: bytes
    ) -> None:
        self.environment = environment
        self._start = start
        self._keys = keys
        self._greeting = greeting
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    def ask(self, request: bytes) -> Reply:
        try:
            failed = self._greet()
        except OSError as error:
            return Reply(None, error.strerror or str(error), "not started")
        if failed is not None:
            return failed
        values = self._exchange(request)
        if values is not None and self._keys <= values.keys():
            return Reply(values)
        how = self._ended("ended")
        failure = values.get("failure") if values is not None else None
        return Reply(None, str(failure), "not started") if failure else how

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def kill(self) -> None:
        self._is_stopped = True
        # Before anything that takes the lock: a request may be waiting to be read by a process that hangs.
        self._kill_process()
        self.stop()
        self._kill_process()  # it was being started
        self._bury()

    def _kill_process(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def _greet(self) -> Reply | None:
        """Start a process if there is none; return the reason if that is impossible."""
        with self._lock:
            if self._is_stopped:
                return Reply(None, "the pool was closed", "stopped")
            if self._process is not None:
                return None
            process = self._process = self._start.process(self.environment)
        if not self._greeting:
            return None
        # A library may wait without end for memory that there is not.
        timer = threading.Timer(_START_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            values = self._exchange(self._greeting)
        finally:
            timer.cancel()
        if values is not None and not values.get("failure"):
            return None
        if values is not None:  # it may still be there
            process.kill()
        how = self._ended("not started")
        return how if values is None else Reply(None, str(values["failure"]), how.kind)

    def _exchange(self, request: bytes) -> dict[str, Any] | None:
        """Return the reply to a request; None if the process ends or does not send an object in JSON."""
        # Written under the lock, so that `stop` never closes a pipe in the middle of a request.
        with self._lock:
            process = self._process
            if process is None or self._is_stopped:
                return None
            try:
                process.stdin.write(request)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            except (OSError, ValueError):
                return None
        try:
            line = process.stdout.readline()  # type: ignore[union-attr]
            values = json.loads(line) if line.endswith(b"\n") else None  # else it was killed while it wrote
        except (OSError, ValueError, RecursionError):
            return None  # not valid JSON, or the pipe was closed
        return values if isinstance(values, dict) else None

    def _ended(self, kind: Literal["ended", "not started"]) -> Reply:
        how = self._bury()
        return Reply(None, how, "stopped" if self._is_stopped else kind)

    def _bury(self) -> str:
        """Wait for the process to end; return how it ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return "it was ended before"
        try:
            status = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipe, or sent nonsense, and stays
            process.kill()
            status = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                pipe.close()  # type: ignore[union-attr]
        if status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
        return f"status {status}"


def child_path() -> list[str]:
    """Return ``sys.path`` for a child process, without the current folder.

    Example:
        >>> "" in child_path()
        False
    """
    try:
        here = os.path.realpath(Path.cwd())
    except OSError:  # the current folder was removed
        here = ""
    entries = [str(entry) for entry in sys.path]
    return [entry for entry in entries if entry and os.path.realpath(entry) != here]


# In a child process


def prepare() -> None:
    """Prepare a process that measures, before large libraries are imported; without effect on those imported already.

    Linear algebra gets one thread, unless the environment says otherwise: the matrices are small. And igraph is
    imported without matplotlib, which takes longer to import than everything else together.

    Raises:
        GraphtaskError: There is not enough memory to import the libraries.
    """
    ignore_local_settings()
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    if "numpy" not in sys.modules:
        _check_memory(_IMPORT_BYTES, "libraries")
    if sys.modules.keys().isdisjoint({"igraph", "matplotlib"}):
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # an import of it fails
        try:
            import igraph  # noqa: F401
        finally:
            del sys.modules["matplotlib"]


def end_with_parent(parent: int) -> None:
    """Let the kernel end this process when its parent ends, if it is Linux; elsewhere `Parent` does it.

    Args:
        parent: Process id of the parent.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os._exit(1)


def reserve_blas() -> None:
    """Let the linear-algebra libraries of NumPy and SciPy allocate their buffers now.

    OpenBLAS allocates its buffers with the first product, keeps them, and retries without end if there is no memory.

    Raises:
        GraphtaskError: There is not enough memory.

    Example:
        >>> reserve_blas()
    """
    import numpy as np
    from scipy.linalg import blas

    _check_memory(_BLAS_BYTES, "linear algebra")
    matrix = np.eye(4)
    blas.dgemm(1.0, matrix, matrix @ matrix)


def _check_memory(n_bytes: int, purpose: str) -> None:
    # Private memory, as libraries allocate it: shared memory does not count against some limits.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {}
    try:
        mmap.mmap(-1, n_bytes, **private).close()
    except OSError as error:
        raise GraphtaskError(
            f"out of memory: {n_bytes >> 20} MiB for {purpose} cannot be allocated; end other programs, or raise the limit"
        ) from error


class Parent:
    """The parent process, as a child sees it: requests in, replies out.

    Standard output is redirected to standard error, so that whatever prints is not taken for a reply.

    Args:
        at_end: What to do when the parent ends or closes the requests; see `AtEnd`.
    """

    def __init__(self, at_end: AtEnd) -> None:
        self._replies = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._requests: SimpleQueue[tuple[dict[str, Any], bytes | None] | None] = SimpleQueue()
        self._at_end = at_end
        threading.Thread(target=self._listen, args=(sys.stdin.buffer,), daemon=True).start()

    def requests(self) -> Iterator[tuple[dict[str, Any], bytes | None]]:
        """Yield requests with the bytes that accompany them, until the parent closes them."""
        while (received := self._requests.get()) is not None:
            yield received

    def reply(self, values: Mapping[str, Any]) -> None:
        """Send the reply to the last request."""
        with contextlib.suppress(BrokenPipeError):  # the parent has ended; so will this process
            self._replies.write(json.dumps(values).encode() + b"\n")
            self._replies.flush()

    def _listen(self, stream: IO[bytes]) -> None:
        """Queue requests, and end this process when they end, in the middle of a computation too."""
        while (line := stream.readline()).endswith(b"\n"):  # a part of a line: its writer was killed
            values = json.loads(line)
            size = values.pop("size", None)
            content = None if size is None else stream.read(size)
            if size is not None and len(content or b"") < size:
                break
            self._requests.put((values, content))
        if self._at_end == "exit":
            os._exit(0)
        self._requests.put(None)
        os.kill(os.getpid(), signal.SIGTERM)
        _after(_SAVE_SECONDS, lambda: os._exit(1))


def _after(seconds: float, action: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
