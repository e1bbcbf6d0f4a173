"""Nodes of a graph to be drawn, and the probabilities of its edges."""

from typing import NamedTuple

import numpy as np

from graphtask.types import FloatArray, IntArray


class EdgeProbabilities(NamedTuple):
    """Nodes in topological order, the input first and the output last, with an edge-probability matrix."""

    names: list[str]
    stage: IntArray
    """Shape (nodes,)."""
    probability: FloatArray
    """Probability of an edge from every node (row) to every other (column), 0 on and below the diagonal, shape (nodes, nodes)."""


def bernoulli_entropy(probability: FloatArray) -> FloatArray:
    """Return −p ln p − (1 − p) ln(1 − p), in nats; 0 at 0 and 1.

    Example:
        >>> bernoulli_entropy(np.array([0.0, 0.5, 1.0])).round(4).tolist()
        [0.0, 0.6931, 0.0]
    """
    from scipy.special import entr

    return np.asarray(entr(probability) + entr(1 - probability))


def shifted(probability: FloatArray, shift: float) -> FloatArray:
    """Return the probabilities with ``shift`` added to their log-odds; 0 and 1 stay.

    Example:
        >>> shifted(np.array([0.0, 0.5, 1.0]), np.log(3)).round(12).tolist()
        [0.0, 0.75, 1.0]
    """
    odds = probability * np.exp(shift)
    return np.asarray(odds / (odds + (1 - probability)))


def logs(probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the logarithms of p and of 1 − p."""
    with np.errstate(divide="ignore"):
        return np.log(probability), np.log1p(-probability)
