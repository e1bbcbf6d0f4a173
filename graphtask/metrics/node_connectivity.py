"""Node connectivity: the number of node-disjoint paths from one node to another."""

import igraph
import numpy as np

from graphtask.metrics.metric import AUTHORS, LARGE, Metric
from graphtask.metrics.simple import SIMPLE, require_budget, require_simple
from graphtask.metrics.view import GraphView
from graphtask.types import FloatArray, IntArray


def mean_node_connectivity(view: GraphView) -> float:
    """Mean over all ordered pairs of nodes of the number of paths, along the edges, that share no inner node.

    Bounds settle most pairs: there are at least as many paths as common neighbors between the two (and one
    more if they are connected), and at most as many as successors of the first that reach the second. The others
    get a maximum flow through a graph that has two vertices for each, with an edge of capacity 1 between them.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(4), metrics="mean_node_connectivity")  # (1 + 2 + 3 + 1 + 2 + 1)/12 pairs
        {'mean_node_connectivity': 0.8333333333333334, 'undefined': ''}
    """
    require_simple(view, least=2)
    n = view.n_nodes
    least, most = _bounds(view)
    open_pairs = np.argwhere(least < most)
    require_budget(view, 10.0 * len(open_pairs) * (view.n_edges + n))
    total = int(least[least == most].sum())
    if len(open_pairs):
        flow = _split(view)
        total += sum(int(flow.maxflow_value(n + first, second)) for first, second in open_pairs.tolist())
    return total / (n * (n - 1))


def _bounds(view: GraphView) -> tuple[IntArray, IntArray]:
    adjacency = view.adjacency
    reaches = _reaches(view)
    least = adjacency + adjacency @ adjacency
    most = np.minimum(adjacency @ reaches, reaches @ adjacency)
    least = np.maximum(least, most > 0)
    return np.rint(least).astype(np.int64), np.rint(most).astype(np.int64)


def _reaches(view: GraphView) -> FloatArray:
    """1 where there is a path (of any length, also 0) from the row's vertex to the column's."""
    reaches = np.eye(view.n_nodes)
    successors = view.graph.get_adjlist(mode="out")
    for node in view.order[::-1].tolist():
        if successors[node]:
            np.maximum(reaches[node], reaches[successors[node]].max(axis=0), out=reaches[node])
    return reaches


def _split(view: GraphView) -> igraph.Graph:
    """Every vertex i as an edge i → n + i, and every edge i → j as n + i → j."""
    n = view.n_nodes
    inside = np.stack([np.arange(n), np.arange(n) + n], axis=1)
    edges = np.concatenate([inside, view.edges + np.array([n, 0])])
    return igraph.Graph(n=2 * n, edges=edges.tolist(), directed=True)


METRICS = (
    Metric(
        name="mean_node_connectivity",
        compute=mean_node_connectivity,
        formula="mean over all ordered pairs i ≠ j of the largest number of paths i → j without a common inner node",
        low=0.0,
        meaning="more ways that do not depend on each other",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="a maximum flow for up to n²/2 pairs, skipped beyond 3e9 steps",
        source=f"{AUTHORS}: average_node_connectivity; Beineke et al., Discrete Math. 252, 31 (2002)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
)
