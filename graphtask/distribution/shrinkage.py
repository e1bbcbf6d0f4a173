"""Shrunk rates: the share of successes in few trials, shrunk towards the rate of a whole group.

An item i of group g has k_i successes in n_i trials. Its rate comes from a Beta distribution of its group, with mean
m_g and strength s_g (the prior is worth s_g trials):

    θ_i ~ Beta(m_g·s_g, (1 − m_g)·s_g),   k_i ~ Binomial(n_i, θ_i),   E[θ_i | k_i] = (k_i + m_g·s_g)/(n_i + s_g)

The mean is given, or the pooled rate of the group with Jeffreys' half a success and half a failure,
(Σk + ½)/(Σn + 1). The strength is where the marginal (beta-binomial) likelihood of the group is largest,

    Σ_i ln B(k_i + m·s, n_i − k_i + (1 − m)·s) − ln B(m·s, (1 − m)·s),

between `WEAKEST` and `STRONGEST`: groups whose rates differ no more than random draws have no finite maximum.

Source:
    Empirical Bayes with the beta-binomial distribution; Skellam, J. R. Stat. Soc. B 10 (1948); Efron & Morris, J. Am.
    Stat. Assoc. 70 (1975); Gelman et al., Bayesian Data Analysis, chapter 5.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from graphtask.types import FloatArray, IntArray

WEAKEST, STRONGEST = 0.1, 10_000.0  # weight of a prior, in trials
_COARSE = 26  # strengths of the first grid; five a decade
_REFINEMENTS = 24  # steps of the golden section, each 0.618 of the one before
_GOLDEN = (np.sqrt(5.0) - 1) / 2


class Shrunk(NamedTuple):
    """Shrunk rates, with the strength of the shrinkage."""

    rate: FloatArray
    """Posterior mean of every item, shape (items,)."""
    strength: FloatArray
    """Weight of the prior of each group, in trials, shape (groups,)."""


def pooled_rates(successes: IntArray, trials: IntArray, group: IntArray, *, n_groups: int) -> FloatArray:
    """Return (Σk + ½)/(Σn + 1) of every group, shape (groups,); ½ for a group without trials.

    Args:
        successes: k, shape (items,).
        trials: n, shape (items,).
        group: The group of every item, 0 … ``n_groups`` − 1, shape (items,).
        n_groups: Number of groups.

    Example:
        >>> pooled_rates(np.array([1, 2]), np.array([2, 4]), np.array([0, 0]), n_groups=2).tolist()
        [0.5, 0.5]
    """
    k = np.bincount(group, weights=successes, minlength=n_groups)
    n = np.bincount(group, weights=trials, minlength=n_groups)
    return np.asarray((k + 0.5) / (n + 1))


def shrunk_rates(
    successes: IntArray,
    trials: IntArray,
    *,
    mean: FloatArray,
    group: IntArray,
    n_groups: int,
    strength: float | None = None,
) -> Shrunk:
    """Return the posterior mean of every item's rate; the module docstring has the formula.

    Args:
        successes: k, shape (items,).
        trials: n, shape (items,).
        mean: Rate that each item is shrunk towards, in (0, 1), shape (items,).
        group: The items that share a strength, 0 … ``n_groups`` − 1, shape (items,).
        n_groups: Number of groups.
        strength: Weight of the prior in trials, from 0 (raw shares; the mean where there are no trials) to infinity
            (the mean alone); None estimates it for each group.

    Example:
        >>> k, n = np.array([0, 3]), np.array([3, 3])
        >>> mean, group = np.array([0.5, 0.5]), np.array([0, 0])
        >>> shrunk_rates(k, n, mean=mean, group=group, n_groups=1, strength=3).rate.tolist()
        [0.25, 0.75]
    """
    if strength is None:
        strengths = likeliest_strengths(successes, trials, mean=mean, group=group, n_groups=n_groups)
    else:
        strengths = np.full(n_groups, float(strength))
    own = strengths[group]
    # As a weight of the mean, because the strength may be infinite.
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = np.where(trials > 0, successes / trials, mean)
        trust = np.where(trials > 0, 1 / (1 + own / trials), 0.0)
    return Shrunk(np.asarray(trust * raw + (1 - trust) * mean), strengths)


def likeliest_strengths(
    successes: IntArray, trials: IntArray, *, mean: FloatArray, group: IntArray, n_groups: int
) -> FloatArray:
    """Return the strength of every group at which its marginal likelihood is largest, shape (groups,).

    Arguments are those of `shrunk_rates`. A group without trials has the largest strength.

    Example:
        >>> alike, apart = np.array([5, 5, 5, 5]), np.array([0, 10, 0, 10])
        >>> half, ten, one = np.full(8, 0.5), np.full(8, 10), np.repeat([0, 1], 4)
        >>> found = likeliest_strengths(np.append(alike, apart), ten, mean=half, group=one, n_groups=2)
        >>> found.round(1).tolist()
        [10000.0, 0.1]
    """
    # Items with the same counts, mean and group count once.
    rows = np.stack([group, successes, trials, mean], axis=1)[trials > 0]
    kinds, count = np.unique(rows, axis=0, return_counts=True)
    place = kinds[:, 0].astype(np.int64)

    def log_likelihood(log_strength: FloatArray) -> FloatArray:
        terms = count * _log_marginal(kinds[:, 1], kinds[:, 2], kinds[:, 3], np.exp(log_strength)[place])
        return np.asarray(np.bincount(place, weights=terms, minlength=n_groups))

    grid = np.linspace(np.log(WEAKEST), np.log(STRONGEST), _COARSE)
    values = np.stack([log_likelihood(np.full(n_groups, at)) for at in grid])
    # A flat likelihood is no evidence of different rates: the last of equals is the strongest.
    best = _COARSE - 1 - np.argmax(values[::-1] >= values.max(axis=0) - 1e-9, axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _COARSE - 1)]
    inside = _golden_section(log_likelihood, low, high)
    at_edge = (best == 0) | (best == _COARSE - 1)
    better = log_likelihood(inside) > values[best, np.arange(n_groups)] + 1e-9
    return np.asarray(np.exp(np.where(at_edge & ~better, grid[best], inside)))


def _log_marginal(k: FloatArray, n: FloatArray, mean: FloatArray, strength: FloatArray) -> FloatArray:
    from scipy.special import betaln

    a, b = mean * strength, (1 - mean) * strength
    return np.asarray(betaln(k + a, n - k + b) - betaln(a, b))


def _golden_section(
    function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return the maximum of a function of one number between two bounds; all groups at once."""
    for _ in range(_REFINEMENTS):
        width = _GOLDEN * (high - low)
        left, right = high - width, low + width
        keep_left = function(left) > function(right)
        low, high = np.where(keep_left, low, left), np.where(keep_left, right, high)
    return np.asarray((low + high) / 2)
