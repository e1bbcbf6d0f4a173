"""Communicability of the input, of the output, and of all pairs: means of a matrix exponential, in logarithms.

A mean over a row needs no matrix exponential: exp(M)·x is a sum of non-negative vectors, so nothing cancels.
"""

import math
from typing import Any

import numpy as np

from graphtask.metrics.metric import AUTHORS, LARGE, ROUNDING, Metric
from graphtask.metrics.simple import ONE_PATH, SIMPLE, degrees, neighbors, require_simple
from graphtask.metrics.view import SMALL, GraphView
from graphtask.types import FloatArray

_NEGLIGIBLE = 1e-18  # the rest, as a share of the sum
_HUGE = 2.0**500


def ln_communicability_start_mean(view: GraphView) -> float:
    """The logarithm of the mean over j of [exp(A + Aᵀ)]_uj, u the input.

    Example:
        >>> import graphtask as gt
        >>> name = "ln_communicability_start_mean"
        >>> gt.measure(gt.chain_dag(2), metrics=name)[name]  # 1 − ln 2
        0.30685281944
    """
    require_simple(view)
    return _log_mean_from(view, view.ends.input)


def ln_communicability_end_mean(view: GraphView) -> float:
    """The logarithm of the mean over j of [exp(A + Aᵀ)]_vj, v the output."""
    require_simple(view)
    return _log_mean_from(view, view.ends.output)


def ln_communicability_directed_mean(view: GraphView) -> float:
    """The logarithm of the mean over all n(n + 1)/2 pairs i ≤ j, in topological order, of [exp(A)]_ij."""
    require_simple(view)
    n = view.n_nodes
    matrix = view.adjacency if n <= SMALL else _sparse_adjacency(view)
    largest = int(degrees(view).incoming.max())
    return _log_sum_of_exponential(matrix, np.ones(n), radius=largest) - math.log(n * (n + 1) / 2)


def _log_mean_from(view: GraphView, node: int) -> float:
    start = np.zeros(view.n_nodes)
    start[node] = 1.0
    largest = int(degrees(view).total.max())
    return _log_sum_of_exponential(neighbors(view), start, radius=largest) - math.log(view.n_nodes)


def _log_sum_of_exponential(matrix: Any, start: FloatArray, *, radius: float) -> float:
    """The logarithm ln Σ_i [exp(matrix)·start]_i, no row sum of the matrix above ``radius``."""
    term, total, log_scale, k = start, float(start.sum()), 0.0, 0
    while True:
        k += 1
        term = (matrix @ term) / k
        size = float(term.sum())
        total += size
        if k > radius and size * radius < _NEGLIGIBLE * total * (k + 1 - radius):
            return math.log(total) + log_scale
        if total > _HUGE:
            term, total, log_scale = term / _HUGE, total / _HUGE, log_scale + math.log(_HUGE)


def _sparse_adjacency(view: GraphView) -> Any:
    from scipy.sparse import csr_array

    n = view.n_nodes
    return csr_array((np.ones(view.n_edges), (view.edges[:, 0], view.edges[:, 1])), shape=(n, n))


METRICS = (
    Metric(
        name="ln_communicability_start_mean",
        compute=ln_communicability_start_mean,
        error=ROUNDING,
        formula="ln of the mean over all nodes j of [exp(A + Aᵀ)]_uj, u the input",
        meaning="more and shorter walks from the input to anywhere, edges taken in both directions",
        defined_when=ONE_PATH,
        cost="O(m·d_max)",
        source=f"{AUTHORS}: communicability_start_mean",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="ln_communicability_end_mean",
        compute=ln_communicability_end_mean,
        error=ROUNDING,
        formula="ln of the mean over all nodes j of [exp(A + Aᵀ)]_vj, v the output",
        meaning="more and shorter walks from the output to anywhere, edges taken in both directions",
        defined_when=ONE_PATH,
        cost="O(m·d_max)",
        source=f"{AUTHORS}: communicability_end_mean",
        sets=("extended",),
        max_nodes=LARGE,
    ),
    Metric(
        name="ln_communicability_directed_mean",
        compute=ln_communicability_directed_mean,
        error=ROUNDING,
        formula="ln (Σ_ij [exp(A)]_ij / (n(n + 1)/2)): the mean over the pairs that a DAG can connect, i = j included",
        meaning="more and shorter paths between all pairs",
        defined_when=SIMPLE,
        cost="O(m·d_max)",
        source=f"{AUTHORS}: expA_mean",
        sets=("extended",),
        max_nodes=LARGE,
    ),
)
