"""Engine on a Ray cluster: every task takes CPUs, and a share of a GPU, on one of its nodes.

Results are files in a folder that all nodes must share; Ray transports only tasks and endings. Ray itself retries
nothing: the drivers do, `graphtask.study.driver` from the last checkpoint.
"""

import contextlib
import importlib
import math
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from graphtask.engines.cluster_watch import ClusterWatch, knock
from graphtask.engines.protocol import Ending, Task, Tasks
from graphtask.engines.shared_folder import Mark
from graphtask.errors import ArgumentError, RunError
from graphtask.types import DISTRIBUTION
from graphtask.validation import counted, install_hint, integer, invalid

_PATIENCE = 120.0  # seconds for a node to find the folder
_PATIENCE_WITH_HEAD = 40.0  # seconds without a head; after 60 Ray ends this process by itself


class RayEngine:
    """Nodes of a Ray cluster; connects on first use.

    Args:
        study: The study, or the parts of a corpus; its folder must be on storage that all nodes share.
        address: Address of the cluster: ``auto`` (the one of this machine), ``host:port``, or ``ray://host:10001`` from
            outside. If the cluster requires a token, set ``RAY_AUTH_MODE=token`` and ``RAY_AUTH_TOKEN`` (or have the
            token in ``~/.ray/auth_token``).
        gpus_per_run: GPUs of a run, or a share of one; None is 1 if the cluster has GPUs and the study may use them,
            else 0, and then runs use the CPU. The CPUs of a run are its threads.
        n_jobs: Runs in parallel; None is the number that fits on the cluster. A cluster that grows on demand needs a
            number.

    Raises:
        ArgumentError: Ray is not installed, or an argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> study = gt.Study.read("studies/paper.toml")  # doctest: +SKIP
        >>> study.run(engine=gt.engines.RayEngine(study, gpus_per_run=0.25))  # doctest: +SKIP
    """

    def __init__(
        self,
        study: Tasks,
        *,
        address: str = "auto",
        gpus_per_run: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        if n_jobs is not None:
            integer(n_jobs, name="n_jobs")
        _check_gpus_per_run(gpus_per_run, study)
        _use_token(address)
        self._ray = _imported_ray()
        self._study = study
        self._address = address
        self._gpus = gpus_per_run
        self._n_jobs = n_jobs
        self._cpus = max(job.threads for job in study.jobs)
        self._is_connected = False
        self._is_own = False
        self._is_lost = False
        self._mark: Mark | None = None
        self._running: dict[Future[Ending], Any] = {}
        self._refusing: set[str] = set()  # nodes that cannot take part
        self._is_over = False
        self._watch: ClusterWatch | None = None
        self._task: Any = None
        self._context = contextlib.ExitStack()

    def slots(self) -> int:
        """Return the number of runs that the present cluster can perform in parallel; at least 1, which may wait for a node.

        Raises:
            RunError: The cluster is lost.
        """
        self._connect()
        if self._watch is not None and self._watch.seconds_since_seen() > _PATIENCE_WITH_HEAD:
            self._is_lost = True
            raise RunError(
                f"the Ray cluster at {self._watch.address} is lost; when it is back, run the same command again to resume"
            )
        if self._n_jobs is not None:
            return self._n_jobs
        nodes = self._watch.nodes if self._watch else self._nodes()
        return max(1, sum(self._room(node) for node in nodes if node["NodeID"] not in self._refusing))

    def submit(self, job: Task) -> "Future[Ending]":
        """Perform a task on a node with enough free CPUs and GPUs."""
        gpus = self._gpus or 0.0
        if not gpus:  # the GPUs of a node belong to those who asked Ray for them
            job = job.on_cpu()
        options: dict[str, Any] = {"num_cpus": job.threads, "num_gpus": gpus, "name": f"graphtask {job.name}"}
        if self._refusing:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(self._refusing))})"}
        assert self._mark is not None
        future: Future[Ending] = Future()
        reference = self._task.options(**options).remote(job.worker, job.to_dict(), self._mark)
        self._running[future] = reference
        reference.future().add_done_callback(lambda done: self._end(future, done))
        return future

    def stop(self) -> None:
        """Ask all runs to save their state and to end."""
        self._is_over = True
        self._cancel(force=False)

    def __enter__(self) -> Self:
        self._connect()
        # Ray prints events of nodes on standard output, which is for results.
        self._context.enter_context(contextlib.redirect_stdout(sys.stderr))
        try:
            self._mark = Mark.leave(self._study.out)
            self._context.callback(self._mark.remove)
            self._check_nodes(self._mark)
            self._task = self._ray.remote(max_retries=0, scheduling_strategy="SPREAD")(_perform)
            self._watch = ClusterWatch(_server(self._ray, self._address), self._nodes)
            self._context.callback(self._watch.stop)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        if not self._is_lost:  # else every call waits for the cluster
            self._cancel(force=True)
        self._context.close()
        if self._is_own and not self._is_lost:
            self._ray.shutdown()
        self._is_connected = self._is_own = False
        self._watch = None

    def _connect(self) -> None:
        if self._is_connected:
            return
        if not self._ray.is_initialized():
            with _sigterm_kept():
                self._is_own = True
                names_code = any(job.names_code for job in self._study.jobs)
                _connect(self._ray, self._address, with_current_folder=names_code)
        self._is_connected = True
        if self._gpus is None:
            wanted = any(job.device in {"auto", "cuda"} for job in self._study.jobs)
            self._gpus = float(wanted and any(node["Resources"].get("GPU") for node in self._nodes()))
        if self._n_jobs is None and not any(map(self._room, self._nodes())):
            raise ArgumentError(
                f"no node of the cluster has {counted(self._cpus, 'CPU')} and {self._gpus:g} GPUs for a run; use fewer threads or GPUs "
                f"per run, or pass n_jobs for a cluster that grows on demand"
            )

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _room(self, node: Mapping[str, Any]) -> int:
        """Return the number of runs that fit on a node."""
        resources = node["Resources"]
        by_cpu = int(resources.get("CPU", 0) / self._cpus)
        return min(by_cpu, runs_on_gpus(int(resources.get("GPU", 0)), self._gpus)) if self._gpus else by_cpu

    def _check_nodes(self, mark: Mark) -> None:
        """Let every node that will perform runs look for the folder."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        look = self._ray.remote(_problem)
        asked = {
            look.options(
                num_cpus=0,
                max_retries=2,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            ).remote(mark, version(DISTRIBUTION)): node["NodeManagerAddress"]
            for node in self._nodes()
            if self._room(node)
        }
        answered, silent = (
            self._ray.wait(list(asked), num_returns=len(asked), timeout=_PATIENCE) if asked else ([], [])
        )
        problems = {asked[reference]: self._answer(reference) for reference in answered}
        problems |= {asked[reference]: f"it does not reply within {_PATIENCE:g} s" for reference in silent}
        for node, problem in problems.items():
            if problem:
                raise RunError(
                    f"node {node} of the cluster cannot be used: {problem}; all nodes need the same graphtask, and the output "
                    f"folder on shared storage"
                )

    def _answer(self, reference: Any) -> str:
        try:
            return str(self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            return _summary(error)

    def _cancel(self, *, force: bool) -> None:
        for reference in list(self._running.values()):
            with contextlib.suppress(Exception):  # it has ended, or the cluster is lost
                self._ray.cancel(reference, force=force)

    def _end(self, future: "Future[Ending]", done: "Future[tuple[str, str, str]]") -> None:
        self._running.pop(future, None)
        future.set_result(self._ending(done))

    def _ending(self, done: "Future[tuple[str, str, str]]") -> Ending:
        error = done.exception()
        if error is None:
            kind, reason, node = done.result()
            if kind == "refused":
                self._refusing.add(node)
            return Ending(kind, reason)  # type: ignore[arg-type]  # it was one on the node
        if self._is_over or isinstance(error, self._ray.exceptions.TaskCancelledError):
            return Ending("interrupted", "the task was cancelled")
        return Ending("died", f"its process on the cluster ended ({_summary(error)})")


def runs_on_gpus(n_gpus: int, gpus_per_run: float) -> int:
    """Return the number of runs that fit on the GPUs of a node; a share is always of one GPU.

    Example:
        >>> runs_on_gpus(2, 0.25), runs_on_gpus(2, 0.4), runs_on_gpus(3, 2)
        (8, 4, 1)
    """
    if gpus_per_run < 1:
        return n_gpus * math.floor(round(1 / gpus_per_run, 9))
    return int(n_gpus // gpus_per_run)


def _perform(worker: str, values: dict[str, Any], mark: Mark) -> tuple[str, str, str]:
    """Perform a task on a node; return its ending, and the node.

    Args:
        worker: Module of graphtask; see `Task.worker`.
        values: Result of `Task.to_dict`.
        mark: Mark in the folder of the results.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    problem = mark.problem()
    if problem:  # a node that joined later; another one may perform it
        return "refused", f"node {socket.gethostname()} of the cluster cannot be used: {problem}", node
    ending = importlib.import_module(worker).perform_values(values)
    return ending.kind, ending.reason, node


def _problem(mark: Mark, wanted: str) -> str:
    """Return why a node cannot be used; empty if it can."""
    there = version(DISTRIBUTION)
    return mark.problem() if there == wanted else f"it has graphtask {there}, not {wanted}"


def _check_gpus_per_run(gpus: float | None, study: Tasks) -> None:
    if gpus is not None and not (0 <= gpus < math.inf and (gpus < 1 or gpus == int(gpus))):
        raise invalid("gpus_per_run", "a share below 1, or an integer >= 0", gpus)
    if gpus == 0 and any(job.device.startswith("cuda") for job in study.jobs):
        raise ArgumentError(
            "gpus_per_run must not be 0 for device cuda; use a share of a GPU, or another device"
        )


def _imported_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage report
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray prints a warning
    try:
        import ray
    except ImportError as error:
        raise ArgumentError(
            f"the engine ray needs Ray, which cannot be imported ({error}); install it: {install_hint('ray')}"
        ) from error
    return ray


def _connect(ray: Any, address: str, *, with_current_folder: bool) -> None:
    try:
        knock(address)
    except OSError as error:
        raise ArgumentError(
            f"no Ray cluster can be reached at {address!r} ({_summary(error)}); start one with `ray start --head`, or pass "
            f"the address of one"
        ) from error
    try:
        with contextlib.nullcontext() if with_current_folder else _empty_folder():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        raise ArgumentError(
            f"the Ray cluster at {address!r} cannot be used ({_summary(error)}); start one with `ray start --head`, or use "
            f"the token and mode of the running one: RAY_AUTH_MODE=token with RAY_AUTH_TOKEN=… or the token in "
            f"~/.ray/auth_token (`ray get-auth-token` prints it), else RAY_AUTH_MODE=disabled"
        ) from error


@contextlib.contextmanager
def _empty_folder() -> Iterator[None]:
    """Make an empty folder the current one: Ray puts it first in the path of all workers, before every library."""
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        yield


def _use_token(address: str) -> None:
    """Let Ray, before its import, use the token of this user for a cluster on this machine.

    With the address ``auto`` Ray does so itself; with ``127.0.0.1:6379`` its own cluster would refuse it.
    """
    if _is_local(address) and _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _is_local(address: str) -> bool:
    """Return True if an address is that of this machine; a token is never sent elsewhere unasked."""
    host = address.removeprefix("ray://").rpartition(":")[0].strip("[]")
    return host in {"localhost", "127.0.0.1", "::1", socket.gethostname()}


def _has_token() -> bool:
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path("~/.ray/auth_token").expanduser()
    return Path(path).is_file()


def _server(ray: Any, address: str) -> str:
    """Return the address of the head of the cluster."""
    return address if address.startswith("ray://") else str(ray.get_runtime_context().gcs_address)


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep the handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _summary(error: BaseException) -> str:
    """Return the type of an error of Ray, and the beginning of its message, which may be pages long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]).split(". ")[0][:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
