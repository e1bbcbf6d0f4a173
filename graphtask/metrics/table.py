"""Tables of metrics: one row per graph."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphtask.metrics.metric import Metric, Value
from graphtask.metrics.registry import Selection, evaluate, select
from graphtask.metrics.view import SMALL, GraphView, LayoutOrder, Options
from graphtask.storage.geometric_parts import remedy
from graphtask.storage.objects import GraphLike, as_igraph, is_graph
from graphtask.validation import invalid

if TYPE_CHECKING:
    import pandas as pd

UNDEFINED = "undefined"

_BATCH = 128  # small graphs that are prepared in one batch

Row = dict[str, Value]


def measure(
    graph: GraphLike,
    *,
    metrics: str | Sequence[str] = "paper",
    channels: int | None = None,
    in_channels: int | None = None,
    n_classes: int | None = None,
    layout_starts: int = 1,
    layout_seed: int = 0,
    layout_order: LayoutOrder = "topological",
) -> Row:
    """Measure one graph: a value for every column, and in ``undefined`` the reasons why some are NaN or −inf.

    Args:
        graph: Any graph. A metric that is undefined for it is NaN, or −inf for the logarithm
            of 0; ``undefined`` then reads ``"metric: reason; metric: reason"``.
        metrics: A set of metrics (``"paper"``), or names of metrics; see `graphtask.metrics.registry`.
        channels: Channels of stage 0, for ``parameters``; by default those of the provenance.
        in_channels: Channels of the images; by default those of the provenance, or else 3.
        n_classes: Outputs of the head; by default those of the provenance, or else 10.
        layout_starts: Starts of the layout behind ``pca_elongation``; the lowest cost wins. With more than one,
            ``pca_elongation_spread`` is the standard deviation over them.
        layout_seed: Random seed of the starts after the first.
        layout_order: Order of the nodes on the first circle: ``"topological"`` as numbered (published values), or
            ``"canonical"``, for which isomorphic graphs have equal values.

    Returns:
        Column names and values: counts as int, flags as bool, others as float, rounded to the error of the metric.

    Raises:
        ArgumentError: An argument is out of range, or a metric is unknown.
        GraphError: ``graph`` is not a graph.

    Example:
        >>> import graphtask as gt
        >>> row = gt.measure(gt.full_dag(60, stages=3), channels=11)
        >>> row["parameters"], row["mean_path"], row["edge_connectivity"], row["undefined"]
        (863300, 30.0, 59, '')
    """
    options = Options(
        channels=channels,
        in_channels=in_channels,
        n_classes=n_classes,
        layout_starts=layout_starts,
        layout_seed=layout_seed,
        layout_order=layout_order,
    )
    selection = select(metrics, options=options)
    return _row(GraphView(as_igraph(graph), options, allow_slow=selection.by_name), selection)


def measure_all(
    graphs: Iterable[GraphLike] | Mapping[str, GraphLike],
    *,
    metrics: str | Sequence[str] = "paper",
    channels: int | None = None,
    in_channels: int | None = None,
    n_classes: int | None = None,
    layout_starts: int = 1,
    layout_seed: int = 0,
    layout_order: LayoutOrder = "topological",
) -> "pd.DataFrame":
    """Measure several graphs: a `pandas.DataFrame` with one row for each, in the order given.

    Every column has one dtype, whatever the graphs: float64 with NaN, ``Int64`` for counts, ``boolean`` for flags,
    both with ``pd.NA``, and object for text. Reasons of undefined values are in ``table.attrs["undefined"]``, a
    dictionary ``{label of the row: {column: reason}}``; `with_reasons` adds them as a text column. The table itself
    is numeric, so that it can be passed to scikit-learn.

    Args:
        graphs: Graphs; of a mapping, the keys become the index of the table.
        metrics: As in `measure`; so are all other arguments.
        channels: Channels of stage 0.
        in_channels: Channels of the images.
        n_classes: Outputs of the head.
        layout_starts: Starts of the layout.
        layout_seed: Random seed of the starts after the first.
        layout_order: Order of the nodes on the first circle.

    Returns:
        The table. Stages that only some of the graphs have get columns too, undefined for the others.

    Raises:
        ArgumentError: An argument is out of range, a metric is unknown, or ``graphs`` is a single graph.
        GraphError: One of ``graphs`` is not a graph.

    Example:
        >>> import graphtask as gt
        >>> table = gt.measure_all(
        ...     {"chain": gt.chain_dag(5), "full": gt.full_dag(5)}, metrics=["edges", "max_path"]
        ... )
        >>> table.loc["full"].tolist(), table.dtypes.astype(str).tolist()
        ([10, 4], ['Int64', 'Int64'])
    """
    options = Options(
        channels=channels,
        in_channels=in_channels,
        n_classes=n_classes,
        layout_starts=layout_starts,
        layout_seed=layout_seed,
        layout_order=layout_order,
    )
    selection = select(metrics, options=options)
    if is_graph(graphs) or not isinstance(graphs, Iterable):
        raise invalid(
            "graphs", "several graphs", graphs, remedy=remedy(graphs) or "for one graph, use measure"
        )
    names = list(graphs) if isinstance(graphs, Mapping) else None
    rows: list[Row] = []
    stages: set[int] = set()
    for views in _batches(graphs.values() if isinstance(graphs, Mapping) else graphs, options, selection):
        for prepare in {metric.prepare for metric in selection.metrics if metric.prepare}:
            prepare(views)
        for view in views:
            rows.append(_row(view, selection))
            stages.update(view.stages if selection.per_stage else ())
    return _frame(rows, selection.cells(sorted(stages)), names)


def with_reasons(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table of `measure_all` with a last column ``undefined``: the reasons, as in `measure`.

    Example:
        >>> import graphtask as gt
        >>> with_reasons(gt.measure_all([gt.chain_dag(5, stages=1)], metrics=["parameters"]))["undefined"][0]
        'parameters: unknown channel count (pass channels=11, or --channels 11)'
    """
    reasons: Mapping[Any, Mapping[str, str]] = table.attrs.get(UNDEFINED, {})
    return table.assign(**{UNDEFINED: [_joined(reasons.get(label, {})) for label in table.index]})


def _batches(
    graphs: Iterable[GraphLike], options: Options, selection: Selection
) -> Iterator[list[GraphView]]:
    """Yield views of the graphs in their order, in batches that fit into little memory."""
    views: list[GraphView] = []
    for position, graph in enumerate(graphs):
        checked = as_igraph(graph, name=f"graphs[{position}]")
        views.append(GraphView(checked, options, allow_slow=selection.by_name))
        if len(views) == _BATCH or views[-1].n_nodes > SMALL:
            yield views
            views = []
    yield views


def _row(view: GraphView, selection: Selection) -> Row:
    row: Row = {}
    reasons = {}
    for column, metric, at in selection.cells(view.stages if selection.per_stage else ()):
        row[column], reason = evaluate(metric, view, *at)
        if reason:
            reasons[column] = reason.replace("; ", ", ")  # "; " separates the reasons
    row[UNDEFINED] = _joined(reasons)
    return row


def _joined(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{column}: {reason}" for column, reason in reasons.items())


def _separated(text: str) -> dict[str, str]:
    pairs = (part.partition(": ") for part in text.split("; ") if part)
    return {column: reason for column, _, reason in pairs}


def _frame(
    rows: list[Row], cells: list[tuple[str, Metric, tuple[int, ...]]], names: list[Any] | None
) -> "pd.DataFrame":
    import pandas as pd

    index = pd.Index(names) if names is not None else pd.RangeIndex(len(rows))
    data = {
        column: pd.Series([row.get(column, math.nan) for row in rows], index=index, dtype=object)
        for column, _, _ in cells
    }
    table = pd.DataFrame({column: _typed(data[column], metric) for column, metric, _ in cells}, index=index)
    reasons = [
        _separated(str(row[UNDEFINED]))
        | {column: "the graph has no such stage" for column, _, _ in cells if column not in row}
        for row in rows
    ]
    table.attrs[UNDEFINED] = {label: found for label, found in zip(index, reasons, strict=True) if found}
    return table


def _typed(values: "pd.Series[Any]", metric: Metric) -> "pd.Series[Any]":
    """Return a column in the dtype of its metric; undefined counts and flags are ``pd.NA``."""
    import pandas as pd

    if metric.kind == "text":
        return values
    if metric.kind == "number":
        return pd.to_numeric(values, errors="coerce").astype("float64")
    finite = values.map(lambda value: value if math.isfinite(value) else pd.NA)
    return finite.astype("Int64" if metric.kind == "count" else "boolean")
