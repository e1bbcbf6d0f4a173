"""Closeness vitality: the total distance with a node minus that without it."""

import igraph

from graphtask.metrics.distances import undirected
from graphtask.metrics.metric import AUTHORS, LARGE, ROUNDING, Metric
from graphtask.metrics.simple import CONNECTED, require_budget, require_connected
from graphtask.metrics.view import GraphView


def mean_closeness_vitality(view: GraphView) -> float:
    """Mean over the nodes of the sum of distances that is gone with it, divided by n; negative ones count as 0.

    A node whose removal cuts the graph in pieces has a vitality of −∞, and counts as 0, too.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(5), metrics="mean_closeness_vitality")
        {'mean_closeness_vitality': 0.8, 'undefined': ''}
    """
    require_connected(view, least=2)
    n = view.n_nodes
    require_budget(view, 2.0 * n * n * (view.n_edges + n))
    bare = igraph.Graph(n=n, edges=view.edges.tolist())
    cutting = set(bare.articulation_points())
    total = undirected(view).total // 2
    gained = (total - _total_without(bare, node) for node in range(n) if node not in cutting)
    return sum(max(gain, 0) for gain in gained) / n**2


def _total_without(graph: igraph.Graph, node: int) -> int:
    """Σ d over all pairs of vertices but this one, which does not cut the graph."""
    rest = graph.copy()
    rest.delete_vertices([node])
    n = rest.vcount()
    return round(rest.average_path_length(directed=False) * (n * (n - 1) / 2)) if n > 1 else 0


METRICS = (
    Metric(
        name="mean_closeness_vitality",
        compute=mean_closeness_vitality,
        error=ROUNDING,
        formula="mean over the nodes of max(0, W(G) − W(G − node))/n, W = Σ d(i, j) over i < j, directions ignored",
        low=0.0,
        meaning="nodes lie far out and are no shortcuts",
        defined_when=f"{CONNECTED}, with two nodes",
        cost="O(n²·m), skipped beyond 3e9 steps",
        source=f"{AUTHORS}: closeness_vitality_mean; Brandes & Erlebach, Network Analysis (2005)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
)
