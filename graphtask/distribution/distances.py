"""Edge probabilities by the stages of both ends and by distance; single pairs are shrunk towards them.

Input and output count as stages of their own: trained networks connect them more than other nodes. Distances are
counted in nodes along the topological order, in classes half an octave wide (1, 2, 3, 4-5, 6-7, 8-11, 12-15,
16-23 …). Each class is shrunk towards the rate of its pair of stages, and that towards the rate of all pairs, each
step with one strength for all (`graphtask.distribution.shrinkage`).
"""

from typing import NamedTuple

import numpy as np

from graphtask.distribution.shrinkage import pooled_rates, shrunk_rates
from graphtask.types import FloatArray, IntArray

_OCTAVES = 2 ** np.arange(1, 40, dtype=np.int64)
CLASS_STARTS: IntArray = np.concatenate([[1], np.sort(np.append(_OCTAVES, _OCTAVES // 2 * 3))])


class DistanceRates(NamedTuple):
    """Probability of an edge for every pair of roles (see `roles`) and class of distance."""

    rate: FloatArray
    """Shape (roles, roles, classes)."""
    edges: IntArray
    """Observed edges, same shape."""
    pairs: IntArray
    """Observed pairs of nodes, same shape."""

    def at(self, source: IntArray, target: IntArray, distance: IntArray) -> FloatArray:
        """Return the probability of an edge between nodes of these roles at these distances."""
        classes = np.minimum(distance_class(distance), self.rate.shape[2] - 1)
        return np.asarray(self.rate[source, target, classes])


def roles(stage: IntArray, *, n_stages: int) -> IntArray:
    """Return the stages of nodes in topological order, but ``n_stages`` for the input, ``n_stages`` + 1 for the output.

    Example:
        >>> roles(np.array([0, 0, 1, 1]), n_stages=2).tolist()
        [2, 0, 1, 3]
    """
    result = np.array(stage, dtype=np.int64)
    result[0], result[-1] = n_stages, n_stages + 1
    return result


def role_names(n_stages: int) -> list[str]:
    """Return the names of the roles: ``stage 0`` …, ``input``, ``output``."""
    return [*(f"stage {stage}" for stage in range(n_stages)), "input", "output"]


def distance_class(distance: IntArray) -> IntArray:
    """Return the class of every distance (at least 1), counted from 0.

    Example:
        >>> distance_class(np.arange(1, 13)).tolist()
        [0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6]
    """
    return np.asarray(np.searchsorted(CLASS_STARTS, distance, side="right") - 1)


def fit_distance_rates(edges: IntArray, pairs: IntArray, *, strength: float | None = None) -> DistanceRates:
    """Fit the rates to counts, each of shape (roles, roles, classes).

    Args:
        edges: Observed edges.
        pairs: Observed pairs of nodes.
        strength: Weight of the rate of a pair of stages for each of its classes, in pairs; None estimates it.

    Example:
        >>> found = fit_distance_rates(np.array([[[10, 0]]]), np.array([[[10, 90]]]), strength=0)
        >>> found.rate.tolist()
        [[[1.0, 0.0]]]
    """
    n_roles, _, n_classes = edges.shape
    block = np.repeat(np.arange(n_roles**2), n_classes)
    k, n = edges.ravel(), pairs.ravel()
    together = np.zeros(n_roles**2, dtype=np.int64)
    of_block = np.stack([np.bincount(block, weights=values, minlength=n_roles**2) for values in (k, n)])
    overall = pooled_rates(of_block[0], of_block[1], together, n_groups=1)
    mean = shrunk_rates(*of_block, mean=overall[together], group=together, n_groups=1).rate
    # One strength for all: the few classes of one block do not determine a strength of their own.
    one = np.zeros_like(block)
    rate = shrunk_rates(k, n, mean=mean[block], group=one, n_groups=1, strength=strength).rate
    return DistanceRates(rate.reshape(edges.shape), edges, pairs)
