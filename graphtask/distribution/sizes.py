"""Distribution of the number of nodes of a stage: the observed counts and their neighborhood.

Counts of pruned nodes vary less than a Poisson variable with their mean, which rules out the negative binomial. The
observed counts n_1 … n_N are smoothed instead, each by a two-sided geometric (discrete Laplace) kernel,

    P(n) ∝ e^(t·n) · Σ_g q^|n − n_g| / Z_g,   Z_g = Σ_{n ≥ least} q^|n − n_g|,

with the q of the largest leave-one-out likelihood (at t = 0). Every n ≥ least is possible. Kernels that the least
truncates on one side would raise the mean; the tilt t restores the mean of the counts. q is at least 1/(2N + 3):
where no count ever differed, the next one differs with probability 1/(N + 2), Laplace's rule of succession (and t is
0).

Source:
    Titterington & Bowman, J. Stat. Comput. Simul. 21 (1985), on kernels for ordered discrete data.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from graphtask.types import FloatArray, IntArray

_WIDEST = 0.6  # leaves room for the tilt that conditioning on valid graphs needs
_GRID = 64
_NEGLIGIBLE = 1e-18
_STEEPEST = 50.0
_LARGEST_DECAY = 0.8  # of e^t·q


@dataclass(frozen=True, eq=False)
class SizeDistribution:
    """Distribution of one count.

    Args:
        values: Counts that occurred, increasing, shape (values,).
        times: How often each did, shape (values,).
        least: Smallest possible count.
        q: Decay of the kernel, in (0, 0.6].
        tilt: t, so that e^t·q < 1.

    Example:
        >>> sizes = SizeDistribution.fit(np.array([4, 5, 5, 6]), least=1)
        >>> float(sizes.probability.sum().round(12)), sizes.probability.argmax() + sizes.least
        (1.0, np.int64(5))
    """

    values: IntArray
    times: IntArray
    least: int
    q: float
    tilt: float = 0.0

    @classmethod
    def fit(cls, counts: IntArray, *, least: int) -> "SizeDistribution":
        """Fit the distribution to observed counts, shape (graphs,), none below ``least``."""
        values, times = np.unique(counts, return_counts=True)
        narrowest = 1 / (2 * len(counts) + 3)
        if len(values) == 1:
            return cls(values, times, least, narrowest)
        grid = np.exp(np.linspace(np.log(narrowest), np.log(_WIDEST), _GRID))
        scores = [_left_out(values, times, least, q) for q in grid]
        sizes = cls(values, times, least, float(grid[int(np.argmax(scores))]))
        return replace(sizes, tilt=_tilt_to_mean(sizes, float(np.mean(counts))))

    def tilted(self, further: float) -> "SizeDistribution":
        """Return the distribution with e^(further·n) as a further factor, as far as the tail decays."""
        return replace(self, tilt=self.tilt + min(further, self.largest_tilt))

    @property
    def largest_tilt(self) -> float:
        """Largest further tilt at which the tail decays."""
        return float(np.log(_LARGEST_DECAY / self.q)) - self.tilt

    @cached_property
    def probability(self) -> FloatArray:
        """P(least), P(least + 1) … up to where the rest is negligible."""
        return np.asarray(np.exp(self._log_shares - self._log_total))

    @cached_property
    def _log_shares(self) -> FloatArray:
        reach = int(np.ceil(np.log(_NEGLIGIBLE) / (np.log(self.q) + max(self.tilt, 0.0))))
        return self._log_share(np.arange(self.least, int(self.values.max()) + reach + 1))

    @cached_property
    def _log_total(self) -> float:
        return float(np.logaddexp.reduce(self._log_shares))

    def _log_share(self, counts: IntArray) -> FloatArray:
        """Return the logarithms of the probabilities of the counts, but for a constant."""
        kernel = _log_kernel(counts, self.values, self.least, self.q)
        kernel = kernel + np.log(self.times / self.times.sum())
        return np.asarray(np.logaddexp.reduce(kernel, axis=1) + self.tilt * counts)

    @cached_property
    def log_probabilities(self) -> list[float]:
        """Ln P(least), ln P(least + 1) …, as far as `probability` goes."""
        return [float(value) for value in self._log_shares - self._log_total]

    def log_probability(self, count: int) -> float:
        """Return ln P of a count; −inf below the least."""
        if count < self.least:
            return -np.inf
        if count - self.least < len(self.log_probabilities):
            return self.log_probabilities[count - self.least]
        return float(self._log_share(np.asarray([count]))[0]) - self._log_total

    @property
    def mean(self) -> float:
        """Expected count."""
        return float(self.probability @ (self.least + np.arange(len(self.probability))))

    @property
    def entropy(self) -> float:
        """−Σ P ln P, in nats."""
        positive = self.probability[self.probability > 0]
        return float(-(positive * np.log(positive)).sum())

    def quantile(self, share: float) -> int:
        """Return the smallest count that is not exceeded with probability ``share``."""
        return self.least + int(np.searchsorted(np.cumsum(self.probability), share))

    def draw(self, rng: np.random.Generator) -> int:
        """Return one random count."""
        cumulated = self._cumulated
        place = np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right")
        return self.least + min(int(place), len(cumulated) - 1)

    @cached_property
    def _cumulated(self) -> FloatArray:
        return np.asarray(np.cumsum(self.probability))


def _tilt_to_mean(sizes: SizeDistribution, mean: float) -> float:
    """Return the tilt at which the distribution has this mean; the counts differ, so there is one."""
    from scipy.optimize import brentq

    highest = -np.log(sizes.q)
    bounds = (-_STEEPEST, 0.5 * highest)
    if replace(sizes, tilt=bounds[0]).mean >= mean or replace(sizes, tilt=bounds[1]).mean <= mean:
        return 0.0
    return float(brentq(lambda tilt: replace(sizes, tilt=tilt).mean - mean, *bounds, xtol=1e-9))


def _log_kernel(counts: IntArray, center: IntArray, least: int, q: float) -> FloatArray:
    """Return the logarithm of the probability of every count (rows) around every center (columns)."""
    total = (1 + q - q ** (center - least + 1.0)) / (1 - q)
    return np.asarray(np.abs(counts[:, None] - center) * np.log(q) - np.log(total))


def _left_out(values: IntArray, times: IntArray, least: int, q: float) -> float:
    """Return Σ ln P of every count under the distribution of the others, but for a constant."""
    kernel = _log_kernel(values, values, least, q)
    # A value that occurred once has no other at its own place.
    others = times - np.eye(len(values))
    with np.errstate(divide="ignore"):
        terms = kernel + np.log(others)
    return float(times @ np.logaddexp.reduce(terms, axis=1))
