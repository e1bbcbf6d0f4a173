"""Measure files: rows in the order of the files, computed in parallel, with a bounded number of files in memory."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

from graphtask.corpus.cache import RowCache
from graphtask.corpus.contents import Content, contents
from graphtask.corpus.entries import Entry, find
from graphtask.corpus.partitioned import PART_SIZE, EngineFactory, engine_factory, measure_parts
from graphtask.corpus.pool import MeasuringPool
from graphtask.corpus.rows import ERROR, FILE, KEPT_STAGES, SHA256, Row, Settings, sha256
from graphtask.corpus.worker import answer
from graphtask.errors import ArgumentError, RunError
from graphtask.metrics.view import LayoutOrder, Options
from graphtask.priors.orient import Order
from graphtask.pruning import check_relative
from graphtask.reading import Reading, ReadOptions
from graphtask.storage.content import about
from graphtask.validation import counted, integer
from graphtask.workers import n_cores, reserve_blas

_AHEAD = 64  # rows per process that may wait for an earlier one
_BYTES_AHEAD = 256 << 20
_MANY = 24  # files from which on starting processes saves time


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
    relative: bool = False,
    stages: int | Sequence[int] | None = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    drop_isolated: bool = False,
    reading: Reading = "strict",
    column: str | None = None,
    schemes: Collection[str] = (),
    n_jobs: int | None = 1,
    cache: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    engine: Literal["local", "ray"] | EngineFactory | None = None,
    part_size: int = PART_SIZE,
) -> Iterator[Row]:
    """Measure a corpus of graphs; yield one row per graph, in the order of the files.

    A row has ``file``; the origin of the graph: ``dataset``, ``prior``, ``seed``, ``threshold`` (None if unknown); its
    metrics; ``undefined``, the reasons for values that are NaN; ``reading``, the changes made while reading; ``error`` and
    ``sha256``. A graph that cannot be
    measured has the reason in ``error``, and no metrics; so has a folder without graphs, and a pattern without matches.
    Rows do not depend on the number of processes, and are not kept: a corpus may be larger than memory.

    With ``out``, the rows become a folder of Parquet files, before the first of them is yielded. A call that is
    interrupted is resumed by the same call: parts that are there are verified and kept. A process or machine that is
    lost costs the time of its part. The files of ``out`` make one table (`read_table`, `pandas.read_parquet`).

    Args:
        paths: Graph files; folders, which stand for all graphs in them; run folders; archives (.zip, .tar, .tar.gz);
            tables (.parquet) with ``column``; URLs with ``schemes``; and patterns such as ``"graphs/**/*.gml"``.
        metrics: Name of a set of metrics, or names; see `measure`, also for the next six.
        channels: Channels of stage 0.
        in_channels: Channels of the images.
        n_classes: Outputs of the head.
        layout_starts: Number of starts of the layout for ``pca_elongation``.
        layout_seed: Random seed of the starts after the first.
        layout_order: ``"topological"`` or ``"canonical"``; see `measure`.
        threshold: Prune the graphs with this threshold first.
        relative: Compare weights relative to the strongest edge into the same node with the threshold; see `prune`.
        stages: For graphs without stages; others keep theirs, and a warning counts them. See `read`, also for the
            next five.
        join: If True, several inputs (outputs) get one new node.
        merge: If True, duplicate edges become one.
        order: For graphs that are undirected or have cycles.
        drop_isolated: If True, nodes without edges are removed.
        reading: ``"auto"`` chooses the options that a graph needs.
        column: Column of edge lists in .parquet files, a graph per row: text, or lists of pairs of nodes.
        schemes: Schemes of URLs that may be opened through fsspec, such as ``["https"]`` (extra ``urls``).
        n_jobs: Number of processes. 1 measures in this one; None selects one per core from 24 files on, with ``out``
            always; on a cluster, as many as fit. Custom metrics must be registered in a module that other processes
            can import.
        cache: File (or folder for it) that caches rows: a graph whose bytes have not changed is not measured again with
            the same settings, the same code of graphtask, and the same versions of igraph, numpy and scipy.
        out: Folder of Parquet files, on storage that all machines share; excludes ``cache``.
        engine: With ``out``: ``"local"``, processes on this machine (the default); ``"ray"``, the Ray cluster of this
            machine; or a function that returns an engine for the parts, such as
            ``lambda parts: gt.engines.RayEngine(parts, address="head:6379")``.
        part_size: With ``out``: graphs per file.

    Raises:
        ArgumentError: An argument is out of range, a metric is unknown, or the engine is not available.
        GraphtaskError: ``out`` cannot be written to, or has other files.
        RunError: Parts of ``out`` are missing, because their processes died again and again.

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
        reading=ReadOptions(
            stages=stages, join=join, merge=merge, order=order, drop_isolated=drop_isolated, reading=reading
        ),
        threshold=threshold,
        relative=relative,
    )
    if out is None:
        if engine is not None:
            raise ArgumentError("engine needs out, a folder on storage that all machines share")
        return measure_entries(
            find(paths, column=column, schemes=schemes), settings, n_jobs=n_jobs, cache=cache
        )
    if cache is not None:
        raise ArgumentError("cache cannot be combined with out, whose parts are kept themselves")
    check_relative(relative, threshold=threshold)
    report = measure_parts(
        find(paths, exclude=[out], column=column, schemes=schemes),
        settings,
        out=Path(out),
        engine=engine_factory(engine or "local", n_jobs=n_jobs),
        part_size=part_size,
        notify=warnings.warn,
    )
    report_kept(report.n_kept, warnings.warn)
    for name, reason in report.failed.items():
        raise RunError(f"{counted(len(report.failed), 'part')} of {os.fspath(out)} failed; {name}: {reason}")
    return report.rows()


def measure_entries(
    entries: Sequence[Entry],
    settings: Settings,
    *,
    n_jobs: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    notify: Callable[[str], object] = warnings.warn,
) -> Iterator[Row]:
    """Yield the rows of these entries; see `measure_files`.

    Args:
        entries: Result of `graphtask.corpus.entries.find`.
        settings: What is done with every graph.
        n_jobs: Number of processes; None selects one per core from 24 entries on.
        cache: File (or folder for it) that caches rows.
        notify: Receives a message if the cache cannot be used, or if graphs keep stages other than those requested.

    Raises:
        ArgumentError: ``n_jobs`` is out of range, or a metric is unknown, here or in other processes.
    """
    n_processes = _n_processes(n_jobs, len(entries))
    _ = settings.selection
    check_relative(settings.relative, threshold=settings.threshold)
    return _with_notice(rows_of(entries, settings, n_jobs=n_processes, cache=cache, notify=notify), notify)


def _with_notice(rows: Iterable[Row], notify: Callable[[str], object]) -> Iterator[Row]:
    """Yield the rows; at the end, report how many graphs kept stages other than those requested."""
    n_kept = 0
    for row in rows:
        n_kept += row.pop(KEPT_STAGES, False)
        yield row
    report_kept(n_kept, notify)


def report_kept(n_kept: int, notify: Callable[[str], object]) -> None:
    """Report how many graphs kept stages other than those requested, if any."""
    graphs = (
        "1 graph keeps the stages that it has"
        if n_kept == 1
        else f"{n_kept} graphs keep the stages that they have"
    )
    if n_kept:
        notify(f"{graphs}; stages (--stages) applies to graphs without")


class _Pending(NamedTuple):
    """A row that is being computed."""

    entry: Entry
    future: Future[Row]
    key: bytes | None
    n_bytes: int


def _n_processes(n_jobs: int | None, n_entries: int) -> int:
    if n_jobs is None:
        return n_cores() if n_entries >= _MANY else 1
    return min(integer(n_jobs, name="n_jobs"), max(n_entries, 1))


def rows_of(
    entries: Sequence[Entry],
    settings: Settings,
    *,
    n_jobs: int = 1,
    is_isolated: bool = False,
    cache: str | os.PathLike[str] | None = None,
    notify: Callable[[str], object] = warnings.warn,
) -> Iterator[Row]:
    """Yield the rows of these entries, with `KEPT_STAGES`; arguments as those of `measure_entries`.

    Args:
        entries: Result of `graphtask.corpus.entries.find`.
        settings: What is done with every graph.
        n_jobs: Number of processes.
        is_isolated: If True, one process is a child process too, which may die without harm.
        cache: File (or folder for it) that caches rows.
        notify: Receives a message if the cache cannot be used.
    """
    with ExitStack() as stack:
        known = None if cache is None else RowCache(cache, settings, notify=notify)
        if known is not None:
            stack.callback(known.close)
        pool = (
            stack.enter_context(MeasuringPool(settings, n_jobs=n_jobs)) if n_jobs > 1 or is_isolated else None
        )
        if pool is None:
            reserve_blas()
        waiting: deque[_Pending] = deque()
        for task in contents(entries, needs_content=known is not None):
            pending = _begun(task, settings, pool, known)
            waiting.append(pending)
            while waiting and (waiting[0].future.done() or _is_enough(waiting, n_jobs)):
                yield _ended(waiting.popleft(), known)
        while waiting:
            yield _ended(waiting.popleft(), known)


def _is_enough(waiting: deque[_Pending], n_jobs: int) -> bool:
    return len(waiting) > _AHEAD * n_jobs or sum(pending.n_bytes for pending in waiting) > _BYTES_AHEAD


def _begun(task: Content, settings: Settings, pool: MeasuringPool | None, known: RowCache | None) -> _Pending:
    """Return the row of the task as a future: from the cache, from this process, or from another one."""
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
