"""Communicability between the input and the output: walks of every length k, each weighted by 1/k!.

Estrada & Hatano, Communicability in complex networks, Phys. Rev. E 77, 036111 (2008). All terms of the series are
non-negative, so summing them is exact to rounding, where a matrix exponential by scaling and squaring or by
eigenvalues loses everything on long, thin graphs. The sum ends when a bound on the rest is below rounding.
"""

import math
from itertools import count

import numpy as np

from graphtask.metrics.paths import counts_by_length, require_edges
from graphtask.metrics.view import SMALL, GraphView
from graphtask.metrics.walks import Sparse, count_walks, log_factorials, log_sum_exp, log_walks, sparse
from graphtask.types import FloatArray

_LOG_NEGLIGIBLE = -40.0  # e^−40 of the sum: below the rounding of float64
_LOG_RANGE = 690.0  # ln of what float64 can hold, with a margin


def ln_communicability(view: GraphView) -> float:
    """The communicability ln [exp(A + Aᵀ)]_uv of the undirected graph, as in networkx, in logarithms.

    Example:
        >>> import graphtask as gt
        >>> round(gt.measure(gt.chain_dag(60))["ln_communicability"], 6)
        -184.517711
    """
    require_edges(view)
    return between(view, *view.ends)


def between(view: GraphView, start: int, end: int) -> float:
    """The communicability ln [exp(A + Aᵀ)] of any two vertices of a graph that has one input and one output."""
    if view.n_nodes == 1:
        return 0.0
    if view.n_nodes > SMALL:
        return _between_in_large(view, start, end)
    symmetric = view.adjacency + view.adjacency.T
    degrees = symmetric.sum(axis=1)
    log_radius = math.log(float((symmetric @ degrees / degrees).max()))
    at_ends = (start, end) == view.ends
    at_least = view.cached(ln_communicability_directed) if at_ends else -math.lgamma(view.n_nodes)
    n_terms = _terms_needed(log_radius, log_lower_bound=at_least)
    # A power of two near the root of the spectral radius keeps the counts of long walks inside float64.
    log2_scale = round(log_radius / 2 / math.log(2))
    log_scale = log2_scale * math.log(2)
    if n_terms * max(log_scale, log_radius - log_scale) > _LOG_RANGE:
        return _between_in_large(view, start, end)
    counts = count_walks(symmetric * 2.0**-log2_scale, start, end, length=n_terms)
    return _weighted(counts, log_scale=log_scale)


def ln_communicability_directed(view: GraphView) -> float:
    """The directed communicability ln [exp(A)]_uv: paths of length k weighted by 1/k!."""
    require_edges(view)
    ends = view.ends
    if view.n_nodes <= SMALL:
        return _weighted(counts_by_length(view), log_scale=0.0)
    backward = sparse(view.edges[:, 0], view.edges[:, 1], view.n_nodes)
    forward = sparse(view.edges[:, 1], view.edges[:, 0], view.n_nodes)
    inner = view.n_nodes - 2
    log_parallel = math.log(float(backward.values.max()))

    def log_rest(k: int) -> float:
        # A path of length k is a choice of k − 1 inner vertices, and of one of the parallel edges at each step.
        if k > inner:
            return -math.inf
        if math.exp(log_parallel) * (inner - k) > 0.5 * k * (k + 1):
            return math.inf
        log_choices = math.lgamma(inner + 1) - math.lgamma(k + 1) - math.lgamma(inner - k + 1)
        return log_choices + (k + 1) * log_parallel - math.lgamma(k + 2) + math.log(2)

    terms = log_walks(forward, backward, ends.input, ends.output, n=view.n_nodes)
    total = -math.inf
    for k in count():
        total = float(np.logaddexp(total, next(terms) - math.lgamma(k + 1)))
        if log_rest(k) < total + _LOG_NEGLIGIBLE:
            return total
    raise AssertionError


def _weighted(counts: FloatArray, *, log_scale: float) -> float:
    """The logarithm ln Σ_k w_k·s^k/k!."""
    k = np.flatnonzero(counts)
    return log_sum_exp(np.log(counts[k]) + k * log_scale - log_factorials(len(counts))[k])


def _terms_needed(log_radius: float, *, log_lower_bound: float) -> int:
    """Number of terms of Σ w_k/k!, where w_k ≤ radius^k, after which the rest is negligible."""
    size = 256
    while True:
        k = np.arange(size)
        bounds = k * log_radius - log_factorials(size)
        small = bounds < log_lower_bound + _LOG_NEGLIGIBLE
        # Beyond twice the radius each bound is less than half the one before.
        small[: math.ceil(2 * math.exp(log_radius))] = False
        if small.any():
            return int(np.argmax(small))
        size *= 2


def _between_in_large(view: GraphView, start: int, end: int) -> float:
    n = view.n_nodes
    both = np.concatenate([view.edges, view.edges[:, ::-1]])
    matrix = sparse(both[:, 0], both[:, 1], n)
    log_radius = math.log(_radius_bound(matrix, n))
    radius = math.exp(log_radius)
    terms = log_walks(matrix, matrix, start, end, n=n)
    total = -math.inf
    for k in count():
        total = float(np.logaddexp(total, next(terms) - math.lgamma(k + 1)))
        if k < 1.01 * radius:
            continue
        log_rest = (k + 1) * log_radius - math.lgamma(k + 2) - math.log1p(-radius / (k + 2))
        if log_rest < total + _LOG_NEGLIGIBLE:
            return total
    raise AssertionError


def _radius_bound(matrix: Sparse, n: int) -> float:
    """An upper bound of the spectral radius: the largest mean degree of a neighborhood (Collatz, Wielandt)."""
    degrees = matrix.matrix @ np.ones(n)
    return float((matrix.matrix @ degrees / degrees).max())
