"""Threes of nodes: how often two neighbors of a node are connected, and which way the edges point."""

from typing import Any, NamedTuple

import numpy as np

from graphtask.metrics.metric import AUTHORS, ROUNDING, Metric
from graphtask.metrics.simple import (
    SIMPLE,
    degrees,
    require_budget,
    require_edge,
    require_simple,
    symmetric,
)
from graphtask.metrics.view import SMALL, GraphView
from graphtask.types import FloatArray, IntArray


class Triads(NamedTuple):
    """Number of threes of nodes with two or three edges among them, by Davis and Leinhardt's names."""

    down: int
    """021D, B ← A → C."""
    up: int
    """021U, B → A ← C."""
    chained: int
    """021C, A → B → C."""
    transitive: int
    """030T, A → B → C and A → C."""


def triads(view: GraphView) -> Triads:
    """The census of a simple DAG.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.metrics.view import Options
        >>> triads(GraphView(gt.full_dag(4), Options()))
        Triads(down=0, up=0, chained=0, transitive=4)
    """
    return view.cached(_triads)


def triangles(view: GraphView) -> IntArray:
    """Number of triangles at every vertex of a simple DAG, directions ignored."""
    return view.cached(_triangles)


def triads_021D(view: GraphView) -> float:  # noqa: N802  the name of the field
    """Number of B ← A → C for every edge."""
    require_edge(view)
    return triads(view).down / view.n_edges


def triads_021U(view: GraphView) -> float:  # noqa: N802
    """Number of B → A ← C for every edge."""
    require_edge(view)
    return triads(view).up / view.n_edges


def triads_021C(view: GraphView) -> float:  # noqa: N802
    """Number of A → B → C for every edge."""
    require_edge(view)
    return triads(view).chained / view.n_edges


def triads_030T(view: GraphView) -> float:  # noqa: N802
    """Number of A → B → C with A → C for every edge."""
    require_edge(view)
    return triads(view).transitive / view.n_edges


def transitivity(view: GraphView) -> float:
    """The share of the ordered pairs of successors of a node that are connected by an edge in this order."""
    require_simple(view)
    outgoing = degrees(view).outgoing
    pairs = int((outgoing * (outgoing - 1)).sum())
    return triads(view).transitive / pairs if pairs else 0.0


def mean_clustering(view: GraphView) -> float:
    """Mean over the nodes of triangles/(d(d − 1)); nodes with fewer than two neighbors count as 0."""
    total = degrees(view).total
    return float((triangles(view) / np.maximum(total * (total - 1), 1)).mean())


def mean_effective_size(view: GraphView) -> float:
    """Mean over all nodes but those without successors of d − 2·triangles/d."""
    leading = _leading(view)
    total = degrees(view).total[leading]
    return float((total - 2 * triangles(view)[leading] / total).mean())


def mean_constraint(view: GraphView) -> float:
    """Mean over all nodes but those without successors of Σ_j (p_ij + Σ_q p_iq·p_qj)², j the neighbors of i."""
    leading = _leading(view)
    return float(view.cached(_constraint)[leading].mean())


def _leading(view: GraphView) -> IntArray:
    require_edge(view)
    return np.flatnonzero(degrees(view).outgoing)


def _triads(view: GraphView) -> Triads:
    known = degrees(view)
    transitive = int(triangles(view).sum()) // 3
    down = int((known.outgoing * (known.outgoing - 1) // 2).sum())
    up = int((known.incoming * (known.incoming - 1) // 2).sum())
    chained = int((known.incoming * known.outgoing).sum())
    return Triads(down - transitive, up - transitive, chained - transitive, transitive)


def _triangles(view: GraphView) -> IntArray:
    require_simple(view)
    if view.n_nodes <= SMALL:
        matrix = symmetric(view)
        twice: FloatArray = ((matrix @ matrix) * matrix).sum(axis=1)
        return np.rint(twice / 2).astype(np.int64)
    total = degrees(view).total
    shares: FloatArray = np.asarray(view.graph.transitivity_local_undirected(mode="zero"), dtype=np.float64)
    return np.rint(shares * (total * (total - 1) / 2)).astype(np.int64)


def _constraint(view: GraphView) -> FloatArray:
    """Constraint of every vertex; with weights of one, p_ij = 1/d_i for the neighbors j of i."""
    total = np.maximum(degrees(view).total, 1)
    if view.n_nodes <= SMALL:
        matrix = symmetric(view)
        shares = matrix / total[:, None]
        constraint: FloatArray = ((shares + shares @ shares) ** 2 * matrix).sum(axis=1)
        return constraint
    return _constraint_of_large(view, total)


def _constraint_of_large(view: GraphView, total: IntArray) -> FloatArray:
    from scipy.sparse import csr_array

    n = view.n_nodes
    both = np.concatenate([view.edges, view.edges[:, ::-1]])
    matrix: Any = csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n, n))
    shares: Any = csr_array((1 / total[both[:, 0]], (both[:, 0], both[:, 1])), shape=(n, n))
    require_budget(view, 10.0 * float((total**2).sum()))
    constraint = np.zeros(n)
    for start in range(0, n, SMALL):
        rows = slice(start, start + SMALL)
        local = (shares[rows] + shares[rows] @ shares).multiply(matrix[rows])
        constraint[rows] = local.multiply(local).sum(axis=1)
    return constraint


METRICS = (
    Metric(
        name="triads_021D",
        compute=triads_021D,
        formula="number of B ← A → C, B and C not connected / m",
        low=0.0,
        meaning="more forks",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(Σ d²)",
        source=f"{AUTHORS}: 021D; Davis & Leinhardt (1972)",
        sets=("extended",),
    ),
    Metric(
        name="triads_021U",
        compute=triads_021U,
        formula="number of B → A ← C, B and C not connected / m",
        low=0.0,
        meaning="more joins",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(Σ d²)",
        source=f"{AUTHORS}: 021U; Davis & Leinhardt (1972)",
        sets=("extended",),
    ),
    Metric(
        name="triads_021C",
        compute=triads_021C,
        formula="number of A → B → C, A and C not connected / m",
        low=0.0,
        meaning="more steps without a shortcut",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(Σ d²)",
        source=f"{AUTHORS}: 021C; Davis & Leinhardt (1972)",
        sets=("extended",),
    ),
    Metric(
        name="triads_030T",
        compute=triads_030T,
        formula="number of A → B → C with A → C / m",
        low=0.0,
        meaning="more short skip connections",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(Σ d²)",
        source=f"{AUTHORS}: 030T; Davis & Leinhardt (1972)",
        sets=("extended",),
    ),
    Metric(
        name="transitivity",
        compute=transitivity,
        formula="number of 030T / Σ d_out(d_out − 1): the directed reading of networkx, at most 1/2 for a DAG",
        low=0.0,
        high=0.5,
        meaning="successors of a node are connected more often",
        defined_when=SIMPLE,
        cost="O(Σ d²)",
        source=f"{AUTHORS}: transitivity",
        sets=("extended",),
    ),
    Metric(
        name="mean_clustering",
        compute=mean_clustering,
        error=ROUNDING,
        formula="mean of triangles/(d(d − 1)), Fagiolo's directed clustering: half the undirected for a DAG",
        low=0.0,
        high=0.5,
        meaning="neighbors of a node are connected more often",
        defined_when=SIMPLE,
        cost="O(Σ d²)",
        source=f"{AUTHORS}: average_clustering; Fagiolo, Phys. Rev. E 76, 026107 (2007)",
        sets=("extended",),
    ),
    Metric(
        name="mean_effective_size",
        compute=mean_effective_size,
        error=ROUNDING,
        formula="mean of d − 2·triangles/d over the nodes with successors, directions ignored",
        low=0.0,
        meaning="neighbors of a node are less connected to each other",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(Σ d²)",
        source=f"{AUTHORS}: effective_size_mean; Burt, Structural Holes (1992)",
        sets=("extended",),
    ),
    Metric(
        name="mean_constraint",
        compute=mean_constraint,
        error=ROUNDING,
        formula="mean of Σ_j (p_ij + Σ_q p_iq·p_qj)², p_ij = 1/d_i, over the nodes with successors, directions ignored",
        low=0.0,
        meaning="nodes depend on few neighbors that depend on each other",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(Σ d²)",
        source=f"{AUTHORS}: constraint_mean; Burt, Structural Holes (1992)",
        sets=("extended",),
    ),
)
