"""Local efficiency: distances among the neighbors of a node without it."""

import math
from typing import Any

import numpy as np

from graphtask.metrics.metric import AUTHORS, LARGE, ROUNDING, Metric
from graphtask.metrics.simple import SIMPLE, degrees, require_budget, require_simple, symmetric
from graphtask.metrics.view import GraphView


def local_efficiency(view: GraphView) -> float:
    """Mean over the nodes of the efficiency of the graph of their neighbors; 0 with fewer than two of them.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(5), metrics="local_efficiency")
        {'local_efficiency': 1.0, 'undefined': ''}
    """
    require_simple(view)
    require_budget(view, float((degrees(view).total ** 3).sum()))
    matrix = symmetric(view).astype(np.float32)
    near = [np.flatnonzero(row) for row in matrix]
    values = [_efficiency(matrix[np.ix_(nodes, nodes)]) for nodes in near if len(nodes) > 1]
    return math.fsum(values) / view.n_nodes


def _efficiency(adjacent: Any) -> float:
    """Mean of 1/d over all pairs; breadth-first from all vertices simultaneously."""
    n_pairs = len(adjacent) * (len(adjacent) - 1)
    known = adjacent > 0
    np.fill_diagonal(known, True)
    n_known = int(np.count_nonzero(known)) - len(adjacent)
    total, distance = float(n_known), 1
    while n_known < n_pairs:
        known |= (known.astype(np.float32) @ adjacent) > 0
        distance += 1
        n_now = int(np.count_nonzero(known)) - len(adjacent)
        if n_now == n_known:
            break
        total += (n_now - n_known) / distance
        n_known = n_now
    return total / n_pairs


METRICS = (
    Metric(
        name="local_efficiency",
        compute=local_efficiency,
        error=ROUNDING,
        formula="mean over the nodes of the mean of 1/d over the pairs of their neighbors, paths among these only",
        low=0.0,
        high=1.0,
        meaning="neighbors of a node stay near without it (directions ignored)",
        defined_when=SIMPLE,
        cost="O(Σ d³), skipped beyond 3e9 steps",
        source=f"{AUTHORS}: local_efficiency; Latora & Marchiori, Phys. Rev. Lett. 87, 198701 (2001)",
        sets=("extended",),
        max_nodes=LARGE,
    ),
)
