"""How many nodes a stage has, as a distribution over whole numbers: what occurred, and what lies near it.

Counts of pruned nodes vary less than a Poisson variable with their mean, which rules out the negative binomial. So
the observed counts n_1 … n_N are smoothed instead, each by a two-sided geometric (discrete Laplace) kernel,

    P(n) ∝ e^(t·n) · Σ_g q^|n − n_g| / Z_g,   Z_g = Σ_{n ≥ least} q^|n − n_g|,

with the q of the largest leave-one-out likelihood (at t = 0). Every n ≥ least has a chance. Kernels that the least
cuts off on one side would raise the mean; the tilt t brings it back to that of the counts. q is at least
1/(2N + 3): where no count ever differed, the next one does with probability 1/(N + 2), Laplace's rule of succession
(and t is 0).

Source:
    Titterington & Bowman, J. Stat. Comput. Simul. 21 (1985), on kernels for ordered discrete data.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from graphtask.types import FloatArray, IntArray

_WIDEST = 0.9
_GRID = 64
_NEGLIGIBLE = 1e-18
_STEEPEST = 50.0


@dataclass(frozen=True, eq=False)
class SizeLaw:
    """The distribution of one count.

    Args:
        values: Counts that occurred, increasing, shape (values,).
        times: How often each did, shape (values,).
        least: The smallest count that is possible.
        q: Decay of the kernel, in (0, 0.9].
        tilt: t, so that e^t·q < 1.

    Example:
        >>> law = SizeLaw.fit(np.array([4, 5, 5, 6]), least=1)
        >>> float(law.probability.sum().round(12)), law.probability.argmax() + law.least
        (1.0, np.int64(5))
    """

    values: IntArray
    times: IntArray
    least: int
    q: float
    tilt: float = 0.0

    @classmethod
    def fit(cls, counts: IntArray, *, least: int) -> "SizeLaw":
        """The law of observed counts, shape (graphs,), none below ``least``."""
        values, times = np.unique(counts, return_counts=True)
        narrowest = 1 / (2 * len(counts) + 3)
        if len(values) == 1:
            return cls(values, times, least, narrowest)
        grid = np.exp(np.linspace(np.log(narrowest), np.log(_WIDEST), _GRID))
        scores = [_left_out(values, times, least, q) for q in grid]
        law = cls(values, times, least, float(grid[int(np.argmax(scores))]))
        return replace(law, tilt=_tilt_to_mean(law, float(np.mean(counts))))

    @cached_property
    def probability(self) -> FloatArray:
        """P(least), P(least + 1) … up to where nothing that matters is left."""
        return np.asarray(np.exp(self._log_shares - self._log_total))

    @cached_property
    def _log_shares(self) -> FloatArray:
        reach = int(np.ceil(np.log(_NEGLIGIBLE) / (np.log(self.q) + max(self.tilt, 0.0))))
        return self._log_share(np.arange(self.least, int(self.values.max()) + reach + 1))

    @cached_property
    def _log_total(self) -> float:
        return float(np.logaddexp.reduce(self._log_shares))

    def _log_share(self, counts: IntArray) -> FloatArray:
        """Logarithms of what the probabilities of the counts are proportional to."""
        kernel = _log_kernel(counts, self.values, self.least, self.q)
        kernel = kernel + np.log(self.times / self.times.sum())
        return np.asarray(np.logaddexp.reduce(kernel, axis=1) + self.tilt * counts)

    def log_probability(self, count: int) -> float:
        """The ln P of a count; −inf below the least."""
        if count < self.least:
            return -np.inf
        return float(self._log_share(np.asarray([count]))[0]) - self._log_total

    @property
    def mean(self) -> float:
        """The expected count."""
        return float(self.probability @ (self.least + np.arange(len(self.probability))))

    @property
    def entropy(self) -> float:
        """−Σ P ln P, in nats."""
        positive = self.probability[self.probability > 0]
        return float(-(positive * np.log(positive)).sum())

    def draw(self, rng: np.random.Generator) -> int:
        """One count."""
        cumulated = np.cumsum(self.probability)
        place = np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right")
        return self.least + min(int(place), len(cumulated) - 1)


def _tilt_to_mean(law: SizeLaw, mean: float) -> float:
    """The tilt at which the law has this mean; the counts differ, so there is one."""
    from scipy.optimize import brentq

    highest = -np.log(law.q)
    bounds = (-_STEEPEST, 0.5 * highest)
    if replace(law, tilt=bounds[0]).mean >= mean or replace(law, tilt=bounds[1]).mean <= mean:
        return 0.0
    return float(brentq(lambda tilt: replace(law, tilt=tilt).mean - mean, *bounds, xtol=1e-9))


def _log_kernel(counts: IntArray, center: IntArray, least: int, q: float) -> FloatArray:
    """Logarithms of the probability of every count (rows) around every center (columns); far away the power underflows."""
    total = (1 + q - q ** (center - least + 1.0)) / (1 - q)
    return np.asarray(np.abs(counts[:, None] - center) * np.log(q) - np.log(total))


def _left_out(values: IntArray, times: IntArray, least: int, q: float) -> float:
    """Σ ln P of every count under the law of the others, but for a constant."""
    kernel = _log_kernel(values, values, least, q)
    # A value that occurred once has no other at its own place.
    others = times - np.eye(len(values))
    with np.errstate(divide="ignore"):
        terms = kernel + np.log(others)
    return float(times @ np.logaddexp.reduce(terms, axis=1))
