"""How likely an edge is by the stages of its ends and by how far it leads; what single pairs are shrunk towards.

Distances are counted in nodes along the topological order, and are put in classes half an octave wide (1, 2, 3, 4-5,
6-7, 8-11, 12-15, 16-23 …): a law of distance that is the same within a class. Each class is shrunk towards the rate
of its pair of stages, and that towards the rate of all pairs; see `graphtask.comparison.shrinkage`.
"""

from typing import NamedTuple

import numpy as np

from graphtask.comparison.shrinkage import FloatArray, pooled_rates, shrunk_rates
from graphtask.graph import IntArray

_OCTAVES = 2 ** np.arange(1, 40, dtype=np.int64)
CLASS_STARTS: IntArray = np.concatenate([[1], np.sort(np.append(_OCTAVES, _OCTAVES // 2 * 3))])


class DistanceLaw(NamedTuple):
    """The probability of an edge for every pair of stages and class of distance."""

    rate: FloatArray
    """Shape (stages, stages, classes)."""
    edges: IntArray
    """Observed edges, same shape."""
    pairs: IntArray
    """Observed pairs of nodes, same shape."""

    def at(self, source_stage: IntArray, target_stage: IntArray, distance: IntArray) -> FloatArray:
        """The probability of an edge between nodes of these stages at these distances."""
        classes = np.minimum(distance_class(distance), self.rate.shape[2] - 1)
        return np.asarray(self.rate[source_stage, target_stage, classes])


def distance_class(distance: IntArray) -> IntArray:
    """The class of every distance (at least 1), counted from 0.

    Example:
        >>> distance_class(np.arange(1, 13)).tolist()
        [0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6]
    """
    return np.asarray(np.searchsorted(CLASS_STARTS, distance, side="right") - 1)


def fit_distance_law(edges: IntArray, pairs: IntArray, *, strength: float | None = None) -> DistanceLaw:
    """The law of counts, each of shape (stages, stages, classes).

    Args:
        edges: How many edges there were.
        pairs: How many pairs of nodes there were.
        strength: Pairs that the rate of a pair of stages is worth for each of its classes; None estimates it.

    Example:
        >>> law = fit_distance_law(np.array([[[10, 0]]]), np.array([[[10, 90]]]), strength=0)
        >>> law.rate.tolist()
        [[[1.0, 0.0]]]
    """
    n_stages, _, n_classes = edges.shape
    block = np.repeat(np.arange(n_stages**2), n_classes)
    k, n = edges.ravel(), pairs.ravel()
    together = np.zeros(n_stages**2, dtype=np.int64)
    of_block = np.stack([np.bincount(block, weights=values, minlength=n_stages**2) for values in (k, n)])
    overall = pooled_rates(of_block[0], of_block[1], together, n_groups=1)
    mean = shrunk_rates(*of_block, mean=overall[together], group=together, n_groups=1).rate
    rate = shrunk_rates(k, n, mean=mean[block], group=block, n_groups=n_stages**2, strength=strength).rate
    return DistanceLaw(rate.reshape(edges.shape), edges, pairs)
