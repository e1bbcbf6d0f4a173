"""Distances: lengths, in edges, of the shortest paths between all pairs of nodes.

Sums over blocks of rows, so that the table of all distances is never in memory at once.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from graphtask.metrics.metric import AUTHORS, LARGE, ROUNDING, Metric
from graphtask.metrics.simple import CONNECTED, ONE_PATH, SIMPLE, require_connected, require_simple
from graphtask.metrics.view import SMALL, GraphView
from graphtask.types import FloatArray, IntArray


class Distances(NamedTuple):
    """Sums of the distances between vertices, of a vertex to itself left out; all arrays of shape (nodes,)."""

    n_reached: IntArray
    """Vertices that can be reached from each."""
    n_reaching: IntArray
    """Vertices that reach each."""
    to_each: FloatArray
    """Sum of the distances of those to each."""
    furthest: FloatArray
    """Distance from each to the vertex furthest away among those reached."""
    harmonic: float
    """Σ 1/d over all ordered pairs."""
    total: int
    """Σ d over all ordered pairs that are connected."""


def directed(view: GraphView) -> Distances:
    """Distances along the edges of a simple DAG."""
    return view.cached(_directed)


def undirected(view: GraphView) -> Distances:
    """Distances in a simple DAG when directions do not matter."""
    return view.cached(_undirected)


def mean_shortest_path(view: GraphView) -> float:
    """Σ d(i, j)/(n(n − 1)) over the ordered pairs with a path from i to j; pairs without one add nothing.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.chain_dag(3), metrics=["mean_shortest_path", "wiener_index"])
        {'mean_shortest_path': 0.6666666666666666, 'wiener_index': 1.3333333333333333, 'undefined': ''}
    """
    require_simple(view, least=2)
    return directed(view).total / (view.n_nodes * (view.n_nodes - 1))


def closeness_output(view: GraphView) -> float:
    """r/Σd · r/(n − 1), where r is the number of nodes that reach the output, and d their distances to it."""
    require_simple(view, least=2)
    lengths = view.graph.distances(source=[view.ends.output], mode="in")[0]
    reaching = [length for length in lengths if 0 < length < math.inf]
    return float(len(reaching) ** 2 / sum(reaching)) / (view.n_nodes - 1)


def mean_closeness(view: GraphView) -> float:
    """Mean over the nodes of r/Σd · r/(n − 1), 0 where no other node reaches it."""
    require_simple(view, least=2)
    known = directed(view)
    return float((known.n_reaching**2 / np.maximum(known.to_each, 1)).mean()) / (view.n_nodes - 1)


def mean_betweenness(view: GraphView) -> float:
    """Mean over the nodes of the share of shortest paths through it, which is Σ (d − 1)/(n(n − 1)(n − 2)).

    Every shortest path of length d has d − 1 inner nodes, and the shares of a pair's shortest paths add up to 1.
    """
    require_simple(view, least=3)
    known, n = directed(view), view.n_nodes
    return (known.total - int(known.n_reached.sum())) / (n * (n - 1) * (n - 2))


def global_reaching_centrality(view: GraphView) -> float:
    """Σ (c_max − c)/(n − 1), where c is the share of the other nodes that a node reaches."""
    require_simple(view, least=2)
    reached, others = directed(view).n_reached, view.n_nodes - 1
    return int((reached.max() - reached).sum()) / others**2


def wiener_index(view: GraphView) -> float:
    """Σ d over all unordered pairs, divided by their number."""
    require_connected(view, least=2)
    return undirected(view).total / (view.n_nodes * (view.n_nodes - 1))


def radius(view: GraphView) -> int:
    """The distance from a most central node to the node furthest away from it."""
    require_connected(view)
    return int(undirected(view).furthest.min())


def diameter(view: GraphView) -> int:
    """The largest distance."""
    require_connected(view)
    return int(undirected(view).furthest.max())


def global_efficiency(view: GraphView) -> float:
    """Mean of 1/d over all pairs, 0 for pairs that are not connected."""
    require_simple(view, least=2)
    return undirected(view).harmonic / (view.n_nodes * (view.n_nodes - 1))


def efficiency(view: GraphView) -> float:
    """1/d between the input and the output."""
    require_simple(view, least=2)
    ends = view.ends
    return 1 / int(view.graph.distances(source=[ends.input], target=[ends.output], mode="all")[0][0])


def _directed(view: GraphView) -> Distances:
    return _summed(view, mode="out")


def _undirected(view: GraphView) -> Distances:
    return _summed(view, mode="all")


def _summed(view: GraphView, *, mode: str) -> Distances:
    require_simple(view)
    n = view.n_nodes
    n_reached, n_reaching = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    to_each, furthest = np.zeros(n), np.zeros(n)
    counts = np.zeros(n + 1, dtype=np.int64)
    for start, rows in _blocks(view, mode=mode):
        connected = np.isfinite(rows) & (rows > 0)
        rows[~connected] = 0.0
        block = slice(start, start + len(rows))
        n_reached[block], furthest[block] = connected.sum(axis=1), rows.max(axis=1)
        n_reaching += connected.sum(axis=0)
        to_each += rows.sum(axis=0)
        counts += np.bincount(rows.astype(np.int64).ravel(), minlength=n + 1)
    lengths = np.arange(1, n + 1)
    harmonic = math.fsum((counts[1:] / lengths).tolist())
    return Distances(n_reached, n_reaching, to_each, furthest, harmonic, int(counts[1:] @ lengths))


def _blocks(view: GraphView, *, mode: str) -> Iterator[tuple[int, FloatArray]]:
    for start in range(0, view.n_nodes, SMALL):
        sources = range(start, min(start + SMALL, view.n_nodes))
        yield start, np.array(view.graph.distances(source=sources, mode=mode), dtype=np.float64)


METRICS = (
    Metric(
        name="mean_shortest_path",
        compute=mean_shortest_path,
        formula="Σ d(i, j)/(n(n − 1)) over the ordered pairs with a path along the edges; the others add 0",
        low=0.0,
        meaning="fewer shortcuts, more pairs with a path",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(n·m)",
        source=f"{AUTHORS}: average_shortest_path_length (as networkx 2 had it)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="closeness_output",
        compute=closeness_output,
        error=ROUNDING,
        formula="(n − 1)/Σ d(i, v), v the output, along the edges",
        low=0.0,
        high=1.0,
        meaning="more nodes near the output",
        defined_when=f"{ONE_PATH} that are not the same",
        cost="O(m)",
        source=f"{AUTHORS}: closeness_centrality; Wasserman & Faust (1994)",
        sets=("extended",),
    ),
    Metric(
        name="mean_closeness",
        compute=mean_closeness,
        error=ROUNDING,
        formula="mean over j of r²/((n − 1)·Σ d(i, j)), i the r nodes with a path to j along the edges",
        low=0.0,
        high=1.0,
        meaning="nodes are reached from more others in fewer steps",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(n·m)",
        source=f"{AUTHORS}: closeness_centrality_mean; Wasserman & Faust (1994)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="mean_betweenness",
        compute=mean_betweenness,
        formula="mean share of the shortest paths (directed) that lead through a node: Σ (d − 1)/(n(n − 1)(n − 2))",
        low=0.0,
        high=1.0,
        meaning="more pairs depend on others",
        defined_when=f"{SIMPLE}, with three nodes",
        cost="O(n·m)",
        source=f"{AUTHORS}: betweenness_centrality_mean; Freeman (1977)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="global_reaching_centrality",
        compute=global_reaching_centrality,
        formula="Σ (c_max − c)/(n − 1), c the share of the other nodes that a node reaches along the edges",
        low=0.0,
        high=1.0,
        meaning="more hierarchy",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(n·m)",
        source=f"{AUTHORS}: global_reaching_centrality; Mones et al., PLoS ONE 7, e33799 (2012)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="wiener_index",
        compute=wiener_index,
        formula="Σ d(i, j) over i < j / (n(n − 1)/2), directions ignored",
        low=1.0,
        meaning="nodes are further apart",
        defined_when=f"{CONNECTED}, with two nodes",
        cost="O(n·m)",
        source=f"{AUTHORS}: wiener_index",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="radius",
        compute=radius,
        formula="smallest over i of the largest d(i, j), directions ignored",
        low=0,
        meaning="no node is near all others",
        defined_when=CONNECTED,
        cost="O(n·m)",
        source=f"{AUTHORS}: radius",
        sets=("extended",),
        kind="count",
        max_nodes=LARGE,
    ),
    Metric(
        name="diameter",
        compute=diameter,
        formula="largest d(i, j), directions ignored",
        low=0,
        meaning="a longer graph",
        defined_when=CONNECTED,
        cost="O(n·m)",
        source=f"{AUTHORS}: diameter",
        sets=("extended",),
        kind="count",
        max_nodes=LARGE,
    ),
    Metric(
        name="global_efficiency",
        compute=global_efficiency,
        error=ROUNDING,
        formula="mean of 1/d(i, j) over all pairs, directions ignored",
        low=0.0,
        high=1.0,
        meaning="nodes are nearer to each other",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(n·m)",
        source=f"{AUTHORS}: global_efficiency; Latora & Marchiori, Phys. Rev. Lett. 87, 198701 (2001)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="efficiency",
        compute=efficiency,
        formula="1/d(u, v), u the input, v the output, directions ignored",
        low=0.0,
        high=1.0,
        meaning="a shorter way from the input to the output",
        defined_when=f"{ONE_PATH} that are not the same",
        cost="O(m)",
        source=f"{AUTHORS}: efficiency",
        sets=("extended",),
    ),
)
