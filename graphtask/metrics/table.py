"""Graphs in, rows out."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import igraph
import numpy as np

from graphtask.errors import ArgumentError
from graphtask.metrics.metric import Value
from graphtask.metrics.registry import Selection, evaluate, select
from graphtask.metrics.view import SMALL, GraphView, LayoutOrder, Options

if TYPE_CHECKING:
    import pandas as pd

UNDEFINED = "undefined"

_TOGETHER = 128  # small graphs that are prepared at a time

Row = dict[str, Value]


def measure(
    graph: igraph.Graph,
    *,
    metrics: str | Sequence[str] = "paper",
    channels: int | None = None,
    in_channels: int | None = None,
    n_classes: int | None = None,
    layout_starts: int = 1,
    layout_seed: int = 0,
    layout_order: LayoutOrder = "topological",
) -> Row:
    """The metrics of one graph: a value for every column, and in ``undefined`` why some are NaN or −inf.

    Args:
        graph: Any graph. What it does not have (two inputs have no paths between input and output) is NaN, or −inf
            where that is the logarithm of nothing; ``undefined`` then reads ``"metric: reason; metric: reason"``.
        metrics: A set of metrics (``"paper"``), or names of metrics; see `graphtask.metrics.registry`.
        channels: Channels of stage 0, for ``parameters``; by default what the provenance of the graph says.
        in_channels: Channels of the images; by default what the provenance says, or else 3.
        n_classes: Outputs of the head; by default what the provenance says, or else 10.
        layout_starts: Starts of the layout behind ``pca_elongation``; the lowest cost wins. With more than one,
            ``pca_elongation_spread`` is the standard deviation over them.
        layout_seed: Seed of the starts after the first.
        layout_order: Order of the nodes on the first circle: ``"topological"`` as numbered (published values), or
            ``"canonical"``, for which isomorphic graphs have equal values.

    Raises:
        ArgumentError: An argument is out of range, or a metric is unknown.

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
    _check_graph(graph, "graph")
    selection = select(metrics, options=options)
    return _row(GraphView(graph, options, patient=selection.by_name), selection)


def measure_all(
    graphs: Iterable[igraph.Graph],
    *,
    metrics: str | Sequence[str] = "paper",
    channels: int | None = None,
    in_channels: int | None = None,
    n_classes: int | None = None,
    layout_starts: int = 1,
    layout_seed: int = 0,
    layout_order: LayoutOrder = "topological",
) -> "pd.DataFrame":
    """A `pandas.DataFrame` with one row for each graph, in the order given; see `measure` for the arguments.

    Stages that only some of the graphs have get columns, too; the others are NaN there.

    Raises:
        ArgumentError: An argument is out of range, a metric is unknown, or something is not a graph.

    Example:
        >>> import graphtask as gt
        >>> table = gt.measure_all([gt.chain_dag(5), gt.full_dag(5)], metrics=["edges", "max_path"])
        >>> table[["edges", "max_path"]].values.tolist()
        [[4, 4], [10, 4]]
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
    if isinstance(graphs, igraph.Graph) or not isinstance(graphs, Iterable):
        raise ArgumentError("measure_all measures several graphs; use measure for one")
    rows: list[Row] = []
    stages: set[int] = set()
    for views in _together(graphs, options, selection):
        for prepare in {metric.prepare for metric in selection.metrics if metric.prepare}:
            prepare(views)
        for view in views:
            rows.append(_row(view, selection))
            stages.update(view.stages if selection.per_stage else ())
    return _frame(rows, selection.columns(stages))


def _together(
    graphs: Iterable[igraph.Graph], options: Options, selection: Selection
) -> Iterator[list[GraphView]]:
    """Views of the graphs in their order, as many at a time as fit into little memory."""
    views: list[GraphView] = []
    for position, graph in enumerate(graphs):
        _check_graph(graph, f"number {position} of the graphs")
        views.append(GraphView(graph, options, patient=selection.by_name))
        if len(views) == _TOGETHER or views[-1].n_nodes > SMALL:
            yield views
            views = []
    yield views


def _check_graph(graph: object, what: str) -> None:
    if not isinstance(graph, igraph.Graph):
        raise ArgumentError(f"{what} is a {type(graph).__name__}, not an igraph.Graph")


def _row(view: GraphView, selection: Selection) -> Row:
    row: Row = {}
    reasons = []
    for column, metric, at in selection.cells(view.stages if selection.per_stage else ()):
        row[column], reason = evaluate(metric, view, *at)
        if reason:
            reasons.append(
                f"{column}: {reason.replace('; ', ', ')}"
            )  # what separates reasons is in none of them
    row[UNDEFINED] = "; ".join(reasons)
    return row


def _frame(rows: list[Row], columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    for row in rows:
        missing = [f"{column}: the graph has no such stage" for column in columns if column not in row]
        if missing:
            row[UNDEFINED] = "; ".join(filter(None, [str(row[UNDEFINED]), *missing]))
    data = {column: _column([row.get(column, math.nan) for row in rows]) for column in columns}
    return pd.DataFrame({**data, UNDEFINED: [row[UNDEFINED] for row in rows]})


def _column(values: list[Value]) -> Any:
    """Whole numbers and flags stay what they are unless some are missing; those become floats with NaN."""
    kinds = {type(value) for value in values}
    if kinds <= {bool} or kinds <= {int} or str in kinds:
        return values
    return np.asarray(values, dtype=np.float64)
