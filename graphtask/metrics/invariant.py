"""Isomorphism-invariant hash and canonical vertex order of staged graphs.

Exact, not a heuristic like Weisfeiler and Leman's colors: the graph is brought into a canonical form by BLISS
(Junttila & Kaski, ALENEX 2007), and that is hashed. BLISS reads only undirected graphs, but
accepts vertex colors. The color of a vertex is its stage, and the lengths of the longest paths to it and from it: along an edge
the first of these lengths grows, so colors also encode the direction of every edge.
"""

import hashlib
from typing import NamedTuple

import igraph
import numpy as np

from graphtask.graph import STAGE
from graphtask.metrics.metric import Metric
from graphtask.metrics.simple import SIMPLE, require_simple
from graphtask.metrics.view import GraphView
from graphtask.types import IntArray

_DIGITS = 32


def invariant_hash(view: GraphView) -> str:
    """32 hexadecimal digits, the same for two graphs if and only if they are isomorphic with equal stages.

    Names and weights are not read. Hashes are comparable if they were made with the same release of igraph.

    Example:
        >>> import graphtask as gt
        >>> first = gt.dag_from_predicate(
        ...     5, lambda i, j: (i, j) in {(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)}, stages=1
        ... )
        >>> second = gt.dag_from_predicate(
        ...     5, lambda i, j: (i, j) in {(0, 2), (2, 4), (0, 1), (1, 3), (3, 4)}, stages=1
        ... )
        >>> gt.measure(first, metrics="invariant_hash") == gt.measure(second, metrics="invariant_hash")
        True
    """
    require_simple(view)
    return view.cached(_hash)


def canonical_order(view: GraphView) -> IntArray:
    """Return the vertices in a topological order that does not depend on how they are numbered.

    Vertices are sorted by stage, by the longest path to them, and then by their place in the canonical form of BLISS.
    Only vertices that an automorphism exchanges may change places.

    Raises:
        UndefinedMetricError: The graph is not a DAG, or has parallel edges.
    """
    require_simple(view)
    return view.cached(_canonical).order


class _Canonical(NamedTuple):
    graph: igraph.Graph
    """The canonical form; its vertices have a ``rank``."""
    colors: IntArray
    """Stage, depth and height of each rank, shape (ranks, 3)."""
    order: IntArray


def _hash(view: GraphView) -> str:
    canonical = view.cached(_canonical)
    _ = view.stage  # only staged graphs have a hash
    edges = np.sort(np.array(canonical.graph.get_edgelist(), dtype=np.int64).reshape(-1, 2), axis=1)
    form = np.concatenate(
        [
            [view.n_nodes],
            canonical.colors[canonical.graph.vs["rank"]].ravel(),
            edges[np.lexsort(edges.T)].ravel(),
        ]
    )
    return hashlib.sha256(form.astype("<i8").tobytes()).hexdigest()[:_DIGITS]


def _canonical(view: GraphView) -> _Canonical:
    colors, ranks = np.unique(_colors(view), axis=0, return_inverse=True)
    graph = igraph.Graph(n=view.n_nodes, edges=view.edges.tolist())
    graph.vs["rank"] = ranks.tolist()
    graph.vs["vertex"] = list(range(view.n_nodes))
    # Attributes, because releases 0.11 and 1.0 of igraph number the permutation in opposite directions.
    canonical = graph.permute_vertices(graph.canonical_permutation(sh="fl", color=ranks.tolist()))
    rank, vertex = (np.asarray(canonical.vs[name], dtype=np.int64) for name in ("rank", "vertex"))
    return _Canonical(canonical, colors, vertex[np.argsort(rank, kind="stable")])


def _colors(view: GraphView) -> IntArray:
    """Stage, longest path to it, and longest path from it, of every vertex."""
    order = view.order.tolist()
    depth = _longest(order, view.graph.get_adjlist(mode="in"))
    height = _longest(order[::-1], view.graph.get_adjlist(mode="out"))
    stage = view.stage if STAGE in view.graph.vs.attributes() else np.zeros(view.n_nodes, dtype=np.int64)
    return np.stack([stage, depth, height], axis=1)


def _longest(order: list[int], before: list[list[int]]) -> list[int]:
    length = [0] * len(order)
    for node in order:
        length[node] = 1 + max((length[other] for other in before[node]), default=-1)
    return length


METRICS = (
    Metric(
        name="invariant_hash",
        compute=invariant_hash,
        formula="hash of the canonical form: equal if and only if graphs are isomorphic with equal stages",
        meaning="nothing; equal values are duplicates",
        defined_when=f"{SIMPLE}, every vertex with a stage",
        cost="that of BLISS, in practice near O(m·log n)",
        source="Junttila & Kaski, ALENEX (2007)",
        sets=("extended",),
        kind="text",
    ),
)
