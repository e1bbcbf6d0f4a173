"""Child processes that measure graphs; a process that dies costs the row of one graph."""

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Self

from graphtask.corpus.rows import ERROR, SHA256, Row, Settings, sha256
from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.storage.content import about
from graphtask.workers import Pool, Reply, encoded


class MeasuringPool:
    """Processes that measure graphs; a context manager that ends them.

    Args:
        settings: What is done with every graph.
        n_jobs: Number of processes.

    Raises:
        ArgumentError: A metric is registered in a script, which other processes cannot import.
    """

    def __init__(self, settings: Settings, *, n_jobs: int) -> None:
        modules = custom_modules(settings)
        self._has_measured = False
        self._pool = Pool(
            "graphtask.corpus.worker",
            environments=[{}] * n_jobs,
            at_end="exit",
            keys=(ERROR, SHA256),
            greeting=encoded({"settings": settings.to_json(), "modules": modules}),
        )

    def submit(self, file: str, *, path: str, content: bytes | None) -> Future[Row]:
        """Measure a graph; arguments as those of `graphtask.corpus.worker.answer`.

        The future raises `GraphtaskError` if no process can be started at all.
        """
        values = {"file": file} | ({"path": path} if content is None else {})
        digest = "" if content is None else sha256(content)
        return self._pool.submit(encoded(values, content), then=partial(self._row, file, digest))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def _row(self, file: str, digest: str, reply: Reply) -> Row:
        self._has_measured |= reply.kind in {"replied", "ended"}
        if reply.values is not None:
            return reply.values
        if reply.kind == "ended":
            reason = f"the process that measured it ended ({reply.problem}); its memory may have run out"
        else:
            reason = f"no process to measure graphs can be started ({reply.problem}); use n_jobs=1"
            if not self._has_measured:
                raise ArgumentError(reason)
        return {ERROR: about(file, GraphtaskError(reason)), SHA256: digest}


def custom_modules(settings: Settings) -> Sequence[str]:
    """Return the modules that register metrics other than those of graphtask; other processes import them.

    Raises:
        ArgumentError: A metric is registered in a script, which other processes cannot import.
    """
    names = {getattr(metric.compute, "__module__", "") for metric in settings.selection.metrics}
    foreign = sorted(name for name in names if not name.startswith("graphtask."))
    if "__main__" in foreign or "" in foreign:
        raise ArgumentError(
            "metrics registered in a script cannot be used in other processes; register them in a module that can be "
            "imported, or use n_jobs=1"
        )
    return foreign
