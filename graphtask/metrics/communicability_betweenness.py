"""Communicability betweenness: the share of walks between two nodes through a third, length k weighted by 1/k!.

Estrada, Higham & Hatano, Physica A 388, 764 (2009). They subtract two matrix exponentials, which leaves nothing but
rounding where walks are rare. Here a walk through r is split where it first arrives at r, and the parts are counted:

    walks(p → q through r, of length k) = Σ_j first arrivals(p → r, after j steps) · walks(r → q, of length k − j)

All of it is a sum of non-negative numbers, so every share is exact to rounding.
"""

import math

import numpy as np

from graphtask.metrics.distances import undirected
from graphtask.metrics.metric import AUTHORS, ROUNDING, Metric
from graphtask.metrics.simple import CONNECTED, degrees, require_budget, require_connected, symmetric
from graphtask.metrics.view import SMALL, GraphView, UndefinedMetricError
from graphtask.metrics.walks import log_factorials
from graphtask.types import FloatArray, IntArray

_LOG_NEGLIGIBLE = -40.0
_LOG_RANGE = 690.0
_BLOCK = 4_000_000  # numbers in memory


def mean_communicability_betweenness(view: GraphView) -> float:
    """Mean over r of Σ_{p≠q, p≠r, q≠r} (share of the walks p → q that lead through r)/((n − 1)(n − 2)).

    Example:
        >>> import graphtask as gt
        >>> name = "mean_communicability_betweenness"
        >>> round(gt.measure(gt.chain_dag(3), metrics=name)[name], 6)
        0.427415
    """
    require_connected(view, least=3)
    n = view.n_nodes
    matrix = symmetric(view)
    radius = _radius_bound(view)
    shortest = -math.lgamma(int(undirected(view).furthest.max()) + 1)
    n_terms = _terms_needed(radius, log_lower_bound=shortest)
    require_budget(view, 0.1 * n * n * n_terms * (n_terms + 3 * n))
    # Powers of M/s, s a power of two near the root of the radius, stay inside float64, and so do s^k/k!.
    log_scale = round(math.log2(radius) / 2) * math.log(2)
    if shortest < -_LOG_RANGE or n_terms * max(log_scale, math.log(radius) - log_scale) > _LOG_RANGE:
        raise UndefinedMetricError("its walks leave the range of floating-point numbers")
    lengths = np.arange(n_terms)
    sums = lengths[:, None] + lengths
    weights = np.where(sums < n_terms, np.exp(sums * log_scale - log_factorials(2 * n_terms)[sums]), 0.0)
    scaled = matrix * math.exp(-log_scale)
    every, through = np.zeros((n, n)), np.zeros((n, n))
    step = max(1, _BLOCK // (n * max(n, n_terms)))
    for start in range(0, n, step):
        middle = np.arange(start, min(start + step, n))
        walks, arrivals = _walks(scaled, middle, n_terms)
        every[middle] = np.tensordot(walks, weights[0], axes=([2], [0])).T
        ways = (arrivals.transpose(1, 0, 2) @ weights) @ walks.transpose(1, 2, 0)
        ways[np.arange(len(middle)), :, middle] = 0.0
        through += ways.sum(axis=0)
    np.fill_diagonal(through, 0.0)
    return float((through / every).sum()) / (n * (n - 1) * (n - 2))


def _walks(matrix: FloatArray, ends: IntArray, n_terms: int) -> tuple[FloatArray, FloatArray]:
    """Walks to each of ``ends``, and those that arrive for the first time, of shape (nodes, ends, lengths)."""
    columns = np.arange(len(ends))
    walks = np.zeros((len(matrix), len(ends), n_terms))
    arrivals = np.zeros_like(walks)
    walk = np.zeros((len(matrix), len(ends)))
    walk[ends, columns] = 1.0
    arrival = walk
    for length in range(n_terms):
        walks[:, :, length] = walk
        if length > 0:
            arrival[ends, columns] = 0.0  # what is there already does not arrive
            arrivals[:, :, length] = arrival
        walk, arrival = matrix @ walk, matrix @ arrival
    return walks, arrivals


def _radius_bound(view: GraphView) -> float:
    """An upper bound of the spectral radius: the largest mean degree of a neighborhood (Collatz, Wielandt)."""
    total = degrees(view).total
    return float(((symmetric(view) @ total) / total).max())


def _terms_needed(radius: float, *, log_lower_bound: float) -> int:
    """Number of terms of Σ radius^k/k! after which the rest is negligible compared to the bound."""
    k = np.arange(max(256, math.ceil(8 * radius)) + math.ceil(-log_lower_bound))
    small = k * math.log(radius) - log_factorials(len(k)) < log_lower_bound + _LOG_NEGLIGIBLE
    small[: math.ceil(2 * radius)] = False  # from there on each is less than half the one before
    return int(np.argmax(small))


METRICS = (
    Metric(
        name="mean_communicability_betweenness",
        compute=mean_communicability_betweenness,
        error=ROUNDING,
        formula="mean over r, and over the pairs p, q of other nodes, of ([exp(M)]_pq − [exp(M without r)]_pq)/[exp(M)]_pq, "
        "M = A + Aᵀ",
        low=0.0,
        high=1.0,
        meaning="more walks depend on nodes between (directions ignored)",
        defined_when=f"{CONNECTED}, with three nodes, of a diameter below about 160",
        cost="O(n³·(d_max + diameter)²), skipped beyond 3e9 steps",
        source=f"{AUTHORS}: communicability_betweenness_centrality_mean; Estrada et al., Physica A 388, 764 (2009)",
        sets=("extended",),
        max_nodes=2 * SMALL,
    ),
)
