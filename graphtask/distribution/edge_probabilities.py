"""The nodes of a graph that is being drawn, and how likely its edges are."""

from typing import NamedTuple

import numpy as np

from graphtask.types import FloatArray, IntArray


class Skeleton(NamedTuple):
    """Nodes in topological order, the input first and the output last."""

    names: list[str]
    stage: IntArray
    """Shape (nodes,)."""
    probability: FloatArray
    """Of an edge from every node (row) to every other (column), 0 on and below the diagonal, shape (nodes, nodes)."""
    may_shrink: bool
    """Whether nodes that get no edge are left out, instead of getting one."""


def bernoulli_entropy(probability: FloatArray) -> FloatArray:
    """H(p) = −p ln p − (1 − p) ln(1 − p), in nats; 0 at 0 and 1.

    Example:
        >>> bernoulli_entropy(np.array([0.0, 0.5, 1.0])).round(4).tolist()
        [0.0, 0.6931, 0.0]
    """
    from scipy.special import entr

    return np.asarray(entr(probability) + entr(1 - probability))
