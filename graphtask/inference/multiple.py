"""Corrections of p-values for several tests: the probability of any false rejection stays below the level."""

import numpy as np
import numpy.typing as npt

from graphtask.inference.permutations import ROUNDING
from graphtask.types import FloatArray


def holm(p: npt.ArrayLike) -> FloatArray:
    """Return Holm's adjusted p-values: the probability of any false rejection is at most the level.

    The i-th smallest of m p-values is multiplied by m − i + 1, and none is less than a smaller one's. NaN
    stands for tests that are not part of the family; they stay NaN and do not count.

    Args:
        p: P-values, shape (tests,).

    Example:
        >>> holm([0.01, 0.04, float("nan"), 0.03]).round(3).tolist()
        [0.03, 0.06, nan, 0.06]

    Source:
        Holm, Scand. J. Stat. 6 (1979).
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full_like(values, np.nan)
    family = np.flatnonzero(np.isfinite(values))
    order = family[np.argsort(values[family], kind="stable")]
    scaled = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def westfall_young(null: FloatArray) -> FloatArray:
    """Return adjusted p-values by the largest statistic under the same permutations (step-down maxT).

    Like Holm's they bound the probability of any false rejection, but account for the dependence of the tests:
    redundant metrics cost nothing, and the smallest possible value is not multiplied by the number of tests. Each
    statistic is first divided by its root mean square over the permutations.

    Args:
        null: Statistics (large ones are extreme) under the permutations, shape (permutations, tests), observed first.

    Source:
        Westfall & Young, Resampling-based multiple testing (1993), algorithm 2.8.
    """
    if null.shape[1] == 0:
        return np.zeros(0)
    scale = np.sqrt(np.square(null).mean(axis=0))
    scaled = null / np.where(scale > 0, scale, 1.0)
    order = np.argsort(-scaled[0], kind="stable")
    # For each test: the largest of the statistics that are no more extreme than its own, in every permutation.
    largest = np.maximum.accumulate(scaled[:, order[::-1]], axis=1)[:, ::-1]
    reached = (largest >= scaled[0, order] - ROUNDING * np.abs(scaled).max(initial=1.0)).mean(axis=0)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(reached)
    return adjusted
