"""Files in, rows out: as many as there are, in their order, and never more of them in memory than are being worked on."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import NamedTuple

from graphtask.corpus.cache import RowCache
from graphtask.corpus.contents import Content, contents
from graphtask.corpus.entries import Entry, find
from graphtask.corpus.pool import Pool
from graphtask.corpus.rows import ERROR, FILE, KEPT_STAGES, SHA256, Row, Settings, sha256
from graphtask.corpus.worker import answer
from graphtask.errors import ArgumentError
from graphtask.metrics.view import LayoutOrder, Options
from graphtask.priors.orient import Order
from graphtask.reading import ReadOptions
from graphtask.storage.content import about

_AHEAD = 64  # graphs for each process that may be waiting for an earlier one
_BYTES_AHEAD = 256 << 20
_MANY = 24  # files from which starting processes pays


def measure_files(
    paths: Iterable[str | os.PathLike[str]],
    *,
    metrics: str | Sequence[str] = "paper",
    channels: int | None = None,
    in_channels: int | None = None,
    n_classes: int | None = None,
    layout_starts: int = 1,
    layout_seed: int = 0,
    layout_order: LayoutOrder = "topological",
    threshold: float | None = None,
    stages: int | Sequence[int] | None = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    jobs: int | None = 1,
    cache: str | os.PathLike[str] | None = None,
) -> Iterator[Row]:
    """Rows for a corpus of graphs, one after the other: ``file``, where the graph came from, its metrics, ``sha256``.

    A graph that cannot be measured has a row with the reason in ``error``, and no metrics; so has a folder without
    graphs, and a pattern that matches nothing. Rows come in the order of the files, whatever the number of processes,
    and are not kept: a corpus may be larger than memory.

    Args:
        paths: Graph files, folders, runs, archives and patterns, as `graphtask.corpus.entries.find` takes them.
        metrics: A set of metrics, or names; see `measure`, also for the next six.
        channels: Channels of stage 0.
        in_channels: Channels of the images.
        n_classes: Outputs of the head.
        layout_starts: Starts of the layout behind ``pca_elongation``.
        layout_seed: Seed of the starts after the first.
        layout_order: ``"topological"`` or ``"canonical"``; see `measure`.
        threshold: Prune the graphs with this threshold first.
        stages: For graphs without stages, others keep theirs (a warning says how many); see `read`, also for the
            next three.
        join: Whether several inputs (outputs) get one new vertex.
        merge: Whether duplicate edges become one.
        order: For graphs that are undirected or have cycles.
        jobs: Number of processes. 1 measures in this one; None takes as many as there are cores, if the files are
            many. Metrics of your own have to be registered in a module that other processes can import.
        cache: A file (or a folder for it) that remembers rows: a graph whose bytes have not changed is not measured
            again with the same settings, the same code of graphtask, and the same versions of igraph, numpy and scipy.

    Raises:
        ArgumentError: An argument is out of range, or a metric is unknown.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> gt.write(gt.full_dag(5), folder / "full.graphml")
        >>> _ = (folder / "broken.edges").write_text("?")
        >>> for row in gt.measure_files([folder], metrics=["edges"]):
        ...     print(pathlib.Path(row["file"]).name, row.get("edges"), row["error"] != "")
        broken.edges None True
        full.graphml 10 False
    """
    settings = Settings(
        metrics=metrics if isinstance(metrics, str) else list(metrics),
        options=Options(
            channels=channels,
            in_channels=in_channels,
            n_classes=n_classes,
            layout_starts=layout_starts,
            layout_seed=layout_seed,
            layout_order=layout_order,
        ),
        reading=ReadOptions(stages=stages, join=join, merge=merge, order=order),
        threshold=threshold,
    )
    return measure_entries(find(paths), settings, jobs=jobs, cache=cache)


def measure_entries(
    entries: Sequence[Entry],
    settings: Settings,
    *,
    jobs: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    notify: Callable[[str], object] = warnings.warn,
) -> Iterator[Row]:
    """The rows of these entries; see `measure_files`.

    Args:
        entries: What `graphtask.corpus.entries.find` found.
        settings: What is done with every graph.
        jobs: Number of processes; None for as many as there are cores, if the entries are many.
        cache: Where rows are remembered.
        notify: Takes a message if the cache cannot be used, or if graphs keep other stages than those asked for.

    Raises:
        ArgumentError: ``jobs`` is out of range, or a metric is unknown, here or in other processes.
    """
    n_jobs = _n_jobs(jobs, len(entries))
    _ = settings.selection
    return _told_of_stages(_rows(entries, settings, jobs=n_jobs, cache=cache, notify=notify), notify)


def _told_of_stages(rows: Iterable[Row], notify: Callable[[str], object]) -> Iterator[Row]:
    """The rows; in the end, say how many graphs did not get the stages that were asked for."""
    n_kept = 0
    for row in rows:
        n_kept += row.pop(KEPT_STAGES, False)
        yield row
    if n_kept:
        graphs = (
            "1 graph keeps the stages that it has"
            if n_kept == 1
            else f"{n_kept} graphs keep the stages that they have"
        )
        notify(f"{graphs}; stages=… (on the command line: --stages) is for graphs without")


class _Pending(NamedTuple):
    """A row that comes later."""

    entry: Entry
    future: Future[Row]
    key: bytes | None
    n_bytes: int


def _n_jobs(jobs: int | None, n_entries: int) -> int:
    if jobs is None:
        n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return n_cores if n_entries >= _MANY else 1
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise ArgumentError(f"jobs={jobs!r} does not work; give a whole number of at least 1")
    return min(jobs, max(n_entries, 1))


def _rows(
    entries: Sequence[Entry],
    settings: Settings,
    *,
    jobs: int,
    cache: str | os.PathLike[str] | None,
    notify: Callable[[str], object],
) -> Iterator[Row]:
    with ExitStack() as stack:
        known = None if cache is None else RowCache(cache, settings, notify=notify)
        if known is not None:
            stack.callback(known.close)
        pool = Pool(settings, jobs=jobs) if jobs > 1 else None
        if pool is not None:
            stack.enter_context(pool)
        waiting: deque[_Pending] = deque()
        for task in contents(entries, needs_content=known is not None):
            pending = _begun(task, settings, pool, known)
            waiting.append(pending)
            while waiting and (waiting[0].future.done() or _is_enough(waiting, jobs)):
                yield _ended(waiting.popleft(), known)
        while waiting:
            yield _ended(waiting.popleft(), known)


def _is_enough(waiting: deque[_Pending], jobs: int) -> bool:
    return len(waiting) > _AHEAD * jobs or sum(pending.n_bytes for pending in waiting) > _BYTES_AHEAD


def _begun(task: Content, settings: Settings, pool: Pool | None, known: RowCache | None) -> _Pending:
    """The row of the task, or its promise: from the cache, from this process, or from another one."""
    entry, content = task.entry, task.content
    if task.error is not None:
        return _Pending(entry, _done({ERROR: about(entry.file, task.error), SHA256: ""}), None, 0)
    key = None
    if known is not None and content is not None:
        digest = sha256(content)
        key = known.key(digest, entry.file)
        row = known.get(key)
        if row is not None:
            return _Pending(entry, _done(row | {ERROR: "", SHA256: digest}), None, 0)
    if pool is None:
        row = answer(entry.file, path=entry.path, content=content, settings=settings)
        return _Pending(entry, _done(row), key, 0)
    future = pool.submit(entry.file, path=entry.path, content=content)
    return _Pending(entry, future, key, len(content or b""))


def _ended(pending: _Pending, known: RowCache | None) -> Row:
    row = pending.future.result()
    if known is not None and pending.key is not None and not row[ERROR]:
        known.put(pending.key, {name: value for name, value in row.items() if name not in {ERROR, SHA256}})
    return {FILE: pending.entry.file} | row


def _done(row: Row) -> Future[Row]:
    future: Future[Row] = Future()
    future.set_result(row)
    return future
