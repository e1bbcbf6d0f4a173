"""Maximum mean discrepancy and energy distance of two samples, for many permutations at once.

Both are the same quadratic form of a matrix K of similarities of all pairs of the pooled sample,

    D = mean K over pairs within a + mean K over pairs within b − 2 · mean K over pairs between a and b,

with a kernel for the squared MMD and with minus the distances for the energy distance.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.distance import pdist, squareform

from graphtask.inference.permutations import ROUNDING
from graphtask.types import BoolArray, FloatArray

Estimator = Literal["unbiased", "biased"]


@dataclass(frozen=True)
class Discrepancy:
    """D as a function of the labels.

    The biased estimator takes means over all pairs, including those of a member with itself. The unbiased one excludes
    these, and for paired samples also the pairs of a member of a with its own partner in b, which are not independent. For sets of the same size both give the same p-value.
    """

    similarities: FloatArray
    """K, shape (n_a + n_b, n_a + n_b), symmetric; the first set comes first."""
    n_a: int
    """Members of the first set."""
    paired: bool
    """True if member i of the second set is the partner of member i of the first."""
    estimator: Estimator
    """``unbiased`` or ``biased``."""

    def __call__(self, members: BoolArray) -> FloatArray:
        """Return D for indicators of the first set, shape (permutations, n_a + n_b) → shape (permutations,)."""
        within_a, within_b, between = self.means(members)
        return within_a + within_b - 2 * between

    def means(self, members: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the mean similarity within the first set, within the second, and between them, for each permutation."""
        counted = self._counted()
        matrix = np.where(counted, self.similarities, 0.0)
        first = members.astype(np.float64)
        toward = first @ matrix
        inside = (toward * first).sum(axis=1)
        around = toward.sum(axis=1)
        outside = matrix.sum() - 2 * around + inside
        n_pairs = self._n_pairs()
        return inside / n_pairs[0], outside / n_pairs[1], (around - inside) / n_pairs[2]

    @property
    def rounding(self) -> float:
        """Difference of two values of D that is due to rounding."""
        return float(ROUNDING * np.abs(self.similarities).max(initial=0.0))

    def _counted(self) -> BoolArray:
        n = len(self.similarities)
        counted = np.ones((n, n), dtype=np.bool_)
        if self.estimator == "unbiased":
            np.fill_diagonal(counted, val=False)
            if self.paired:
                ones = np.arange(self.n_a)
                counted[ones, ones + self.n_a] = counted[ones + self.n_a, ones] = False
        return counted

    def _n_pairs(self) -> tuple[int, int, int]:
        n_a, n_b = self.n_a, len(self.similarities) - self.n_a
        if self.estimator == "biased":
            return n_a**2, n_b**2, n_a * n_b
        return n_a * (n_a - 1), n_b * (n_b - 1), n_a * (n_a - 1 if self.paired else n_b)


def distances(points: FloatArray) -> FloatArray:
    """Return Euclidean distances of all pairs of rows, shape (rows, rows)."""
    return np.asarray(squareform(pdist(points)), dtype=np.float64)


def median_bandwidth(apart: FloatArray) -> float:
    """Return the median distance over all pairs of members; if it is 0 the mean, and if that is 0 as well, 1.

    Example:
        >>> median_bandwidth(distances(np.array([[0.0], [1.0], [3.0]])))
        2.0

    Source:
        Gretton et al., A kernel two-sample test, JMLR 13 (2012), section 8.
    """
    between = squareform(apart, checks=False)
    return float(np.median(between)) or float(between.mean()) or 1.0


def rbf(apart: FloatArray, *, bandwidth: float) -> FloatArray:
    """Return exp(−d²/(2·bandwidth²)) of distances d."""
    return np.asarray(np.exp(-0.5 * np.square(apart / bandwidth)), dtype=np.float64)


def inhomogeneity(similarities: FloatArray, *, n_a: int, paired: bool) -> float:
    """Return H, the discrepancy relative to the distance between the sets: 0 for no difference, 1 if each set is one point.

    With the squared distances q(x, y) = k(x, x) + k(y, y) − 2·k(x, y) that a kernel implies, H = MMD² / E q(X, Y);
    with the distances of the energy distance, H = energy / (2·E‖X − Y‖). Both are unbiased in the numerator, so H
    is about 0, possibly slightly negative, without a difference, for any number of graphs.

    Source:
        Székely & Rizzo, Energy statistics, J. Stat. Plan. Inference 143 (2013), section 6.1.
    """
    form = Discrepancy(similarities, n_a=n_a, paired=paired, estimator="unbiased")
    members = (np.arange(len(similarities)) < n_a)[None]
    difference = float(form(members)[0])
    own = np.diag(similarities)
    between = float(own[:n_a].mean() + own[n_a:].mean() - 2 * form.means(members)[2][0])
    return difference / between if between > form.rounding else 0.0
