"""The graph as a network of resistors of one ohm, directions ignored: everything follows from L⁺.

L is the Laplacian D − A − Aᵀ, and L⁺ = (L + J/n)⁻¹ − J/n its pseudo-inverse, where J is a matrix of ones.
"""

import numpy as np

from graphtask.metrics.metric import AUTHORS, LARGE, ROUNDING, Metric
from graphtask.metrics.simple import CONNECTED, degrees, require_budget, require_connected, symmetric
from graphtask.metrics.view import GraphView
from graphtask.types import FloatArray

_BLOCK = 4_000_000  # numbers in memory


def mean_current_flow_closeness(view: GraphView) -> float:
    """Mean over i of 1/Σ_j R_ij, where R_ij = L⁺_ii + L⁺_jj − 2·L⁺_ij is the resistance between i and j.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.chain_dag(2), metrics="mean_current_flow_closeness")["mean_current_flow_closeness"]
        1.0
    """
    require_connected(view, least=2)
    diagonal = np.diagonal(view.cached(_inverse))
    return float((1 / (view.n_nodes * diagonal + diagonal.sum())).mean())


def mean_current_flow_betweenness(view: GraphView) -> float:
    """Mean over the nodes of the current through it, averaged over all pairs of other nodes as poles.

    The current on an edge with poles s and t is |x_s − x_t|, where x is the difference of two rows of L⁺; the sum
    over all pairs follows from the sorted x. Through a node flows half the sum over its edges.
    """
    require_connected(view, least=3)
    n = view.n_nodes
    require_budget(view, 16.0 * n * view.n_edges)
    inverse = view.cached(_inverse)
    rank = 2.0 * np.arange(n) - (n - 1)
    currents = 0.0
    step = max(1, _BLOCK // n)
    for start in range(0, view.n_edges, step):
        ends = view.edges[start : start + step]
        currents += float((np.sort(inverse[ends[:, 0]] - inverse[ends[:, 1]], axis=1) @ rank).sum())
    return (currents - n * (n - 1) / 2) * 2 / (n * (n - 1) * (n - 2))


def mean_second_order(view: GraphView) -> float:
    """Mean over the nodes of the standard deviation of a random walk's return times, divided by n.

    The walk is made uniform by loops: it moves to each neighbor with probability 1/d_max. Hitting times then are
    n·d_max·(L⁺_jj − L⁺_ij), which makes the variance 2n²·d_max·L⁺_jj − n(n − 1).
    """
    require_connected(view, least=2)
    n = view.n_nodes
    if n == 2:
        return 0.0  # it returns every second step
    largest = int(degrees(view).total.max())
    variance = 2 * n * n * largest * np.diagonal(view.cached(_inverse)) - n * (n - 1)
    return float(np.sqrt(np.maximum(variance, 0)).mean()) / n


def _inverse(view: GraphView) -> FloatArray:
    matrix = symmetric(view)
    mean = 1 / view.n_nodes
    return np.asarray(np.linalg.inv(np.diag(matrix.sum(axis=1)) - matrix + mean) - mean, dtype=np.float64)


METRICS = (
    Metric(
        name="mean_current_flow_closeness",
        compute=mean_current_flow_closeness,
        error=ROUNDING,
        formula="mean over i of 1/Σ_j R_ij, R the resistance between nodes when every edge has one ohm",
        low=0.0,
        meaning="nodes are nearer to each other over all ways (directions ignored)",
        defined_when=f"{CONNECTED}, with two nodes",
        cost="O(n³)",
        source=f"{AUTHORS}: current_flow_closeness_centrality_mean; Brandes & Fleischer, STACS (2005)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="mean_current_flow_betweenness",
        compute=mean_current_flow_betweenness,
        error=ROUNDING,
        formula="mean current through a node, over all pairs of other nodes as poles of one ampere",
        low=0.0,
        high=1.0,
        meaning="nodes carry more for others (directions ignored)",
        defined_when=f"{CONNECTED}, with three nodes",
        cost="O(n³ + m·n·log n), skipped beyond 3e9 steps",
        source=f"{AUTHORS}: current_flow_betweenness_centrality_mean; Brandes & Fleischer, STACS (2005)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="mean_second_order",
        compute=mean_second_order,
        error=ROUNDING,
        formula="mean over the nodes of √(2n²·d_max·L⁺_jj − n(n − 1))/n: deviation of a random walk's return times",
        low=0.0,
        meaning="a random walk comes back less regularly (directions ignored)",
        defined_when=f"{CONNECTED}, with two nodes",
        cost="O(n³)",
        source=f"{AUTHORS}: second_order_centrality_mean; Kermarrec et al., Comput. Commun. 34, 619 (2011)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
)
