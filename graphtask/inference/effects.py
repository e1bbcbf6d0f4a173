"""Effect sizes of two sets of numbers, with confidence intervals."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr, ndtri

from graphtask.types import FloatArray

_STEP = 1e-9  # next to an observed share of 0 or 1
_NODES = 400  # of the integral behind the intervals


class Effect(NamedTuple):
    """Effect size with its confidence interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


_UNDEFINED = Effect(math.nan, math.nan, math.nan)


def hedges_g(a: FloatArray, b: FloatArray, *, paired: bool = False, confidence: float = 0.95) -> Effect:
    """Return Hedges' g: the difference of the means, a − b, in standard deviations, corrected for the bias of small samples.

    Unpaired, with s the pooled standard deviation and f = n_a + n_b − 2: g = J·(mean a − mean b)/s. Paired, with s the
    standard deviation of the differences and f = n − 1: g = J·mean(a − b)/s, in units of the variation of the
    differences between pairs and not comparable with the unpaired one. J = Γ(f/2)/(√(f/2)·Γ((f − 1)/2)). The interval is
    that of the true difference in standard deviations, which needs no correction; it inverts the noncentral t
    distribution, is exact for normal values with equal variances, and an approximation otherwise.

    Args:
        a: Values of the first set, at least 2.
        b: Values of the second set, at least 2; as many if paired.
        paired: ``a[i]`` and ``b[i]`` are partners.
        confidence: Level of the interval, above 0 and below 1.

    Returns:
        NaN where the values (or the differences) are constant, and for two pairs, which have no unbiased g.

    Example:
        >>> effect = hedges_g(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]))
        >>> [round(number, 2) for number in effect]
        [0.8, -0.78, 2.68]

    Source:
        Hedges, J. Educ. Stat. 6 (1981); Cumming & Finch, Educ. Psychol. Meas. 61 (2001) for the interval.
    """
    if paired:
        differences = a - b
        shift, spread = float(differences.mean()), float(differences.std(ddof=1))
        freedom, weight = len(a) - 1, math.sqrt(len(a))
    else:
        freedom, weight = len(a) + len(b) - 2, math.sqrt(len(a) * len(b) / (len(a) + len(b)))
        squares = np.square(a - a.mean()).sum() + np.square(b - b.mean()).sum()
        shift, spread = float(a.mean() - b.mean()), math.sqrt(squares / freedom)
    if freedom < 2 or spread <= 1e-12 * max(np.abs(a).max(), np.abs(b).max()):
        return _UNDEFINED
    size = shift / spread
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    low, high = _noncentrality(size * weight, freedom, confidence)
    return Effect(correction * size, low / weight, high / weight)


def cliffs_delta(a: FloatArray, b: FloatArray, *, paired: bool = False, confidence: float = 0.95) -> Effect:
    """Return Cliff's δ, the probability that a value of a is the larger one minus the opposite, from −1 to 1.

    δ = P(x > y) − P(x < y) over all pairs of a value x of a and y of b, equal to 2·AUC − 1; paired, over the given
    pairs only. The interval is Newcombe's (method 5) for the AUC, paired Wilson's for the share of pairs (a tie is
    half a win); both stay within [−1, 1] and have a positive width even where the sets do not overlap.

    Args:
        a: Values of the first set, at least 2.
        b: Values of the second set, at least 2; as many if paired.
        paired: ``a[i]`` and ``b[i]`` are partners.
        confidence: Level of the interval, above 0 and below 1.

    Example:
        >>> [
        ...     round(number, 2)
        ...     for number in cliffs_delta(np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 4.0]))
        ... ]
        [0.67, -0.28, 0.95]

    Source:
        Cliff, Psychol. Bull. 114 (1993); Newcombe, Stat. Med. 25 (2006) 559; Wilson, JASA 22 (1927).
    """
    z = float(ndtri(0.5 + confidence / 2))
    wins = np.sign(a - b) if paired else np.sign(a[:, None] - b[None, :])
    area = 0.5 + 0.5 * float(wins.mean())

    def variance(theta: float) -> float:
        product = theta * (1 - theta)
        if paired:
            return product / len(a)
        others = 0.5 * (len(a) + len(b)) - 1
        return product * (1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (len(a) * len(b))

    # An area of 0 or 1 is a root of its own equation, but not the wanted one.
    below, above = max(area - _STEP, 0.0), min(area + _STEP, 1.0)
    low = _root(lambda theta: area - theta - z * math.sqrt(variance(theta)), 0.0, below)
    high = _root(lambda theta: theta - area - z * math.sqrt(variance(theta)), above, 1.0)
    return Effect(2 * area - 1, 2 * low - 1, 2 * high - 1)


def _noncentrality(t: float, freedom: int, confidence: float) -> tuple[float, float]:
    """Return the noncentralities at which t is at the upper, and at the lower, limit."""
    tail = (1 - confidence) / 2
    reach = 10 + 10 * abs(t)
    low = _root(lambda delta: 1 - noncentral_t_cdf(t, freedom, delta) - tail, -reach, reach)
    high = _root(lambda delta: noncentral_t_cdf(t, freedom, delta) - tail, -reach, reach)
    return low, high


def noncentral_t_cdf(t: float, freedom: int, noncentrality: float) -> float:
    """Return P(T ≤ t) = E Φ(t·s − δ) with s² ~ χ²/f of f degrees of freedom, as an integral over the quantiles of s.

    SciPy's function of this name returns NaN for some large t.
    """
    spreads, weights = _spreads(freedom)
    return float(weights @ ndtr(t * spreads - noncentrality))


@cache
def _spreads(freedom: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    halves_of_chi2 = gammaincinv(freedom / 2, (nodes + 1) / 2)
    return np.sqrt(2 * halves_of_chi2 / freedom), weights / 2


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of a monotone function between two bounds; without one, the bound with the smaller value."""
    at_low, at_high = function(low), function(high)
    if at_low * at_high >= 0:
        return low if abs(at_low) <= abs(at_high) else high
    return float(brentq(function, low, high, xtol=1e-12))
