"""Edges within and between stages."""

from collections import Counter

import numpy as np

from graphtask.metrics.metric import AUTHORS, Metric
from graphtask.metrics.simple import require_edge, require_simple
from graphtask.metrics.view import GraphView, UndefinedMetricError
from graphtask.types import IntArray

_STAGED = "a DAG without parallel edges whose stages never fall along an edge"


def steps(view: GraphView) -> IntArray:
    """By how much the stage rises along every edge, of shape (edges,)."""
    return view.cached(_steps)


def intrastage(view: GraphView) -> float:
    """The share of the edges that stay inside their stage.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(4, stages=2), metrics=["intrastage", "edges_stage_a_b"])["edges_stage_0_1"]
        4
    """
    require_edge(view)
    return int(np.count_nonzero(steps(view) == 0)) / view.n_edges


def interstage(view: GraphView) -> float:
    """The share of the edges that lead into the next stage."""
    require_edge(view)
    return int(np.count_nonzero(steps(view) == 1)) / view.n_edges


def outer_edges(view: GraphView) -> float:
    """The share of the edges that lead into another stage."""
    require_edge(view)
    return int(np.count_nonzero(steps(view))) / view.n_edges


def hops_per_node(view: GraphView) -> float:
    """The number of edges that leave out a stage, for every node."""
    return int(np.count_nonzero(steps(view) > 1)) / view.n_nodes


def reduce_fraction(view: GraphView) -> float:
    """The number of reduce blocks, one for each node and later stage that it has an edge into, for every node."""
    rising = view.edges[steps(view) > 0]
    blocks = {*zip(rising[:, 0].tolist(), view.stage[rising[:, 1]].tolist(), strict=True)}
    return len(blocks) / view.n_nodes


def edges_between(view: GraphView, first: int, second: int) -> int:
    """The number of edges from one stage to another."""
    return view.cached(_edges_per_pair)[first, second]


def _steps(view: GraphView) -> IntArray:
    require_simple(view)
    rise: IntArray = view.stage[view.edges[:, 1]] - view.stage[view.edges[:, 0]]
    if bool((rise < 0).any()):
        raise UndefinedMetricError("the stage falls along an edge")
    return rise


def _edges_per_pair(view: GraphView) -> Counter[tuple[int, int]]:
    _ = steps(view)
    ends = view.stage[view.edges]
    return Counter(zip(ends[:, 0].tolist(), ends[:, 1].tolist(), strict=True))


METRICS = (
    Metric(
        name="reduce_fraction",
        compute=reduce_fraction,
        formula="number of reduce blocks / n; a block for every node and later stage that it has an edge into",
        low=0.0,
        meaning="more ways into lower resolutions",
        defined_when=_STAGED,
        cost="O(m)",
        source=f"{AUTHORS}: reduce_frac",
        sets=("extended",),
    ),
    Metric(
        name="intrastage",
        compute=intrastage,
        formula="share of the edges with both ends in one stage",
        low=0.0,
        high=1.0,
        meaning="fewer changes of resolution",
        defined_when=f"{_STAGED}, with an edge",
        cost="O(m)",
        source=f"{AUTHORS}: intrastage",
        sets=("extended",),
    ),
    Metric(
        name="interstage",
        compute=interstage,
        formula="share of the edges from a stage k to stage k + 1",
        low=0.0,
        high=1.0,
        meaning="more changes of resolution, by one stage",
        defined_when=f"{_STAGED}, with an edge",
        cost="O(m)",
        source=f"{AUTHORS}: interstage",
        sets=("extended",),
    ),
    Metric(
        name="outer_edges",
        compute=outer_edges,
        formula="share of the edges between different stages: 1 − intrastage",
        low=0.0,
        high=1.0,
        meaning="more changes of resolution",
        defined_when=f"{_STAGED}, with an edge",
        cost="O(m)",
        source=f"{AUTHORS}: outter_edges",
        sets=("extended",),
    ),
    Metric(
        name="hops_per_node",
        compute=hops_per_node,
        formula="number of edges over two stages or more / n",
        low=0.0,
        meaning="more edges leave a stage out",
        defined_when=_STAGED,
        cost="O(m)",
        source=f"{AUTHORS}: hops_per_node (they had three stages)",
        sets=("extended",),
    ),
    Metric(
        name="edges_stage_a_b",
        compute=edges_between,
        formula="number of edges from stage a to stage b, a ≤ b",
        low=0,
        meaning="the two stages are more closely connected",
        defined_when=f"{_STAGED}; a column for every pair if there are at most 64 stages",
        cost="O(m)",
        source="standard",
        sets=("extended",),
        kind="count",
    ),
)
