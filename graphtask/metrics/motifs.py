"""Motifs: how often each connected pattern of three and of four nodes occurs as an induced subgraph of a DAG.

A DAG has 4 such patterns of three nodes and 24 of four. A motif is named by its edges between the nodes 0, 1, 2 (and 3)
in topological order: ``motif_01_02_12`` is the feed-forward loop 0 → 1 → 2 with 0 → 2. Of all names that a pattern could
have, it is the first in alphabetical order.
"""

from functools import cache
from itertools import combinations, permutations, product

import igraph
import numpy as np

from graphtask.metrics.metric import Metric
from graphtask.metrics.simple import SIMPLE, degrees, require_budget, require_simple
from graphtask.metrics.triads import triads
from graphtask.metrics.view import SMALL, GraphView
from graphtask.types import FloatArray

Edges = tuple[tuple[int, int], ...]

_PAIRS: Edges = tuple(combinations(range(4), 2))
_DENSE_STEPS = 40.0  # multiplications in the time in which igraph tries one neighbor of a subgraph
_STEPS = 12.0  # steps of the budget in this time

_TRIADS: dict[Edges, str] = {
    ((0, 1), (0, 2)): "down",
    ((0, 1), (1, 2)): "chained",
    ((0, 2), (1, 2)): "up",
    ((0, 1), (0, 2), (1, 2)): "transitive",
}
_COMMON_NAMES = {
    "motif_01_02": "021D, fan-out",
    "motif_01_12": "021C, chain",
    "motif_02_12": "021U, fan-in",
    "motif_01_02_12": "030T, feed-forward loop",
    "motif_01_02_03": "fan-out to three",
    "motif_03_13_23": "fan-in from three",
    "motif_01_12_23": "chain",
    "motif_02_03_12_13": "bi-fan",
    "motif_01_02_13_23": "bi-parallel, diamond",
    "motif_01_02_03_12_13_23": "transitive tournament",
}


def motif_count(view: GraphView, edges: Edges) -> int:
    """Return the number of induced subgraphs with three or four nodes that are isomorphic to these edges.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.metrics.view import Options
        >>> view = GraphView(gt.full_dag(5), Options())
        >>> motif_count(view, ((0, 1), (0, 2), (1, 2))), motif_count(view, ((0, 1), (1, 2), (2, 3)))
        (10, 0)
    """
    if edges in _TRIADS:
        return int(getattr(triads(view), _TRIADS[edges]))
    return view.cached(_fours)[edges]


def name_of(edges: Edges) -> str:
    """Return the name of a motif.

    Example:
        >>> name_of(((0, 1), (1, 2)))
        'motif_01_12'
    """
    return "_".join(["motif", *(f"{source}{target}" for source, target in edges)])


@cache
def _patterns() -> tuple[Edges, ...]:
    """Return the motif of each of the 64 sets of edges between four nodes in order; isomorphic sets have the same."""
    sets = [
        tuple(pair for pair, chosen in zip(_PAIRS, bits, strict=True) if chosen)
        for bits in product((0, 1), repeat=6)
    ]
    return tuple(
        min(
            tuple(sorted((order[i], order[j]) for i, j in edges))
            for order in permutations(range(4))
            if all(order[i] < order[j] for i, j in edges)
        )
        for edges in sets
    )


@cache
def _motifs() -> tuple[Edges, ...]:
    """Return the 24 connected motifs of four nodes, those with few edges first."""
    connected = {edges for edges in _patterns() if _graph(edges).is_connected(mode="weak")}
    return tuple(sorted(connected, key=lambda edges: (len(edges), edges)))


def _graph(edges: Edges) -> igraph.Graph:
    return igraph.Graph(n=4, edges=edges, directed=True)


def _fours(view: GraphView) -> dict[Edges, int]:
    require_simple(view)
    n_steps = _most_found(view) * 2 * view.n_edges / view.n_nodes
    if view.n_nodes <= SMALL and view.n_nodes**4 <= _DENSE_STEPS * n_steps:
        return _by_products(view.adjacency[np.ix_(view.order, view.order)])
    require_budget(view, _STEPS * n_steps)
    found = view.graph.motifs_randesu(size=4)
    return {motif: int(found[_graph(motif).isoclass()]) for motif in _motifs()}


def _most_found(view: GraphView) -> float:
    """Return a bound for the number of connected sets of four nodes: that of their spanning trees, and of all sets."""
    known = degrees(view).total.astype(np.float64)
    ends = known[view.edges] - 1
    n_trees = (ends[:, 0] * ends[:, 1]).sum() + (known * (known - 1) * (known - 2)).sum() / 6
    return float(min(n_trees, view.n_nodes**4 / 24))


def _by_products(matrix: FloatArray) -> dict[Edges, int]:
    """Count the motifs of four nodes by products of matrices.

    Args:
        matrix: Adjacency matrix with the nodes in topological order.
    """
    counts = np.zeros(64)
    for first in range(len(matrix) - 3):
        counts += _with_first(matrix, first)
    result = dict.fromkeys(_motifs(), 0)
    for count, edges in zip(counts.tolist(), _patterns(), strict=True):
        if edges in result:
            result[edges] += round(count)
    return result


def _with_first(matrix: FloatArray, first: int) -> FloatArray:
    """Count the sets of edges between four nodes i < j < k < l with i = ``first``, by their place in `_patterns`.

    For each j, a node behind it has one of four kinds, by its edges from i and j. Pairs k < l are counted by the kinds
    of both (a of k, b of l) and by the edge between them.
    """
    later, from_first = matrix[first + 1 :, first + 1 :], matrix[first, first + 1 :]
    kind = (2 * from_first + later).astype(np.int64)
    is_kind = (
        np.equal(kind[:, None], np.arange(4)[:, None]) * np.triu(np.ones_like(later), 1)[:, None]
    )  # of k: jak
    reached = (is_kind.reshape(-1, len(later)) @ later).reshape(is_kind.shape)
    linked = reached @ is_kind.transpose(0, 2, 1)  # jab
    every = (np.cumsum(is_kind, axis=2) - is_kind) @ is_kind.transpose(0, 2, 1)
    pairs = np.stack([every - linked, linked], axis=-1)
    with_edge = from_first @ pairs.reshape(len(later), -1)
    by_edge = np.stack([pairs.sum(axis=0).reshape(-1) - with_edge, with_edge])  # edges ij; ik, jk, il, jl, kl
    return by_edge.reshape((2,) * 6).transpose(0, 1, 3, 2, 4, 5).reshape(64)


def _metric(edges: Edges) -> Metric:
    name = name_of(edges)
    arrows = ", ".join(f"{i} → {j}" for i, j in edges)
    common = f" ({_COMMON_NAMES[name]})" if name in _COMMON_NAMES else ""
    three = edges in _TRIADS
    return Metric(
        name=name,
        compute=lambda view: motif_count(view, edges),
        formula=f"number of induced subgraphs {arrows}{common}",
        low=0,
        meaning="a more frequent motif",
        defined_when=SIMPLE,
        cost="O(Σ d²)" if three else "O(n⁴), or in proportion to the connected sets of four nodes",
        source="Milo et al., Science 298, 824 (2002)",
        sets=("motifs",),
        kind="count",
    )


METRICS = tuple(_metric(edges) for edges in (*_TRIADS, *_motifs()))
