"""Z, the probability that independent nodes and edges make a valid graph: exact for few nodes, estimated for many.

Exact: nodes are added in topological order. The state after each of them says which nodes are absent, present without
a successor yet, or present with one, and how many edges there are: 3^n·n²/2 states instead of 2^(n(n−1)/2) edge sets.

Estimated: Z(λ) = E[λ^violations] is 1 for λ = 1 and Z for λ = 0. Parallel chains with the stationary distribution
P(G)·λ^violations (`graphtask.distribution.conditioned`) pass through a ladder of decreasing λ; each ratio
Z(λ')/Z(λ) = E_λ[(λ'/λ)^violations] is a mean over chains and sweeps, and the scatter of the chains gives its error.

Source:
    Gelman & Meng, Simulating normalizing constants, Stat. Sci. 13 (1998).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from graphtask.types import FloatArray, IntArray

MOST_EXACT = 10  # nodes of an exact sum: 3^9 states for each number of edges
N_CHAINS = 64
LADDER = (1.0, 0.8, 0.62, 0.47, 0.35, 0.25, 0.17, 0.11, 0.065, 0.03, 0.0)  # λ
N_WARM = 3  # sweeps after a change of λ that still depend on the one before
N_SWEEPS = 10  # averaged over at each λ
N_POWERS = 6  # of a factor of the sizes


class LogNormalizer(NamedTuple):
    """Natural logarithm of Z."""

    value: float
    error: float
    """Standard error; 0 if exact."""


def exact_sizes(presence: FloatArray, edge: FloatArray) -> FloatArray:
    """Return the probabilities of valid graphs with n nodes and m edges, shape (nodes + 1, pairs + 1).

    Args:
        presence: π of every node, 1 for the first and the last one, shape (nodes,).
        edge: θ, 0 on and below the diagonal, shape (nodes, nodes).

    Example:
        >>> exact_sizes(np.array([1.0, 0.5, 1.0]), np.triu(np.full((3, 3), 0.5), 1))[2:].tolist()
        [[0.0, 0.25, 0.0, 0.0], [0.0, 0.0, 0.0625, 0.0625]]
    """
    n = len(edge)
    # States along the axis of each node: absent, without successor, with successor; numbers of edges on the last axis.
    states = np.zeros((3, int((edge > 0).sum()) + 1))
    states[1, 0] = 1.0
    for node in range(1, n):
        lonely, entered = states, np.zeros_like(states)
        for source in np.flatnonzero(edge[:node, node]).tolist():
            lonely, entered = _with_source(lonely, entered, source, edge[source, node])
        absent = states * (1 - presence[node])
        states = np.stack([absent, entered * presence[node], np.zeros_like(states)], axis=-2)
    done = np.moveaxis(states, n - 1, 0)[1][None]  # the first axis counts the present nodes
    for _ in range(n - 1):  # every other node is absent or has a successor
        absent, present = done[:, 0], done[:, 2]
        done = np.concatenate([absent, np.zeros_like(absent[:1])])
        done[1:] += present
    return np.concatenate([np.zeros_like(done[:1]), done])


def by_ladder(violations: Callable[[float], IntArray]) -> LogNormalizer:
    """Estimate ln Z.

    Args:
        violations: Advances the chains at λ by a sweep and returns the violations of every chain, shape (chains,).
    """
    value, influence = 0.0, np.zeros(1)
    for now, following in pairwise(LADDER):
        for _ in range(N_WARM):
            violations(now)
        counts = np.stack([violations(now) for _ in range(N_SWEEPS)])
        with np.errstate(divide="ignore"):
            ratios = np.power(following / now, counts).mean(axis=0)
        mean = float(ratios.mean())
        if mean == 0:
            return LogNormalizer(-np.inf, np.inf)
        value += float(np.log(mean))
        influence = influence + ratios / mean  # of each chain on ln Z, over all steps
    return LogNormalizer(value, float(influence.std(ddof=1) / np.sqrt(len(influence))))


def by_powers(measure: Callable[[float], FloatArray]) -> LogNormalizer:
    """Estimate ln E[h] over valid graphs, along the powers of a factor h from 0 to 1.

    Args:
        measure: Advances the chains at a power of h by a sweep and returns ln h of every chain, NaN for one whose graph
            is not valid, shape (chains,).
    """
    value, influence = 0.0, np.zeros(1)
    for now, following in pairwise(np.linspace(0, 1, N_POWERS + 1).tolist()):
        for _ in range(N_WARM):
            measure(now)
        logs = np.stack([measure(now) for _ in range(N_SWEEPS)])
        valid = np.isfinite(logs)
        ratios = np.where(valid, np.exp((following - now) * logs), 0.0).mean(axis=0)
        shares = valid.mean(axis=0)
        value += float(np.log(ratios.mean() / shares.mean()))
        influence = influence + ratios / ratios.mean() - shares / shares.mean()
    return LogNormalizer(value, float(influence.std(ddof=1) / np.sqrt(len(influence))))


def _with_source(
    lonely: FloatArray, entered: FloatArray, source: int, theta: float
) -> tuple[FloatArray, FloatArray]:
    """Let a node have an edge from ``source`` with probability θ; who has no predecessor yet, and who has."""
    lonely, entered = (np.moveaxis(values, source, 0) for values in (lonely, entered))
    with_edge = lonely + entered
    keeps = np.array([1.0, 1 - theta, 1 - theta])  # an absent node has no edge
    keeps = keeps.reshape(3, *[1] * (lonely.ndim - 1))
    new_lonely = lonely * keeps
    new_entered = entered * keeps
    new_entered[2, ..., 1:] += theta * (with_edge[1] + with_edge[2])[..., :-1]
    return np.moveaxis(new_lonely, 0, source), np.moveaxis(new_entered, 0, source)
