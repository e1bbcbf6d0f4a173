"""How many nodes a stage has, as a distribution over whole numbers: what occurred, and what lies near it.

Counts of pruned nodes vary less than a Poisson variable with their mean, which rules out the negative binomial. So
the observed counts n_1 … n_N are smoothed instead, each by a two-sided geometric (discrete Laplace) kernel,

    P(n) = 1/N · Σ_g q^|n − n_g| / Z_g,   Z_g = Σ_{n ≥ least} q^|n − n_g|,

with the q of the largest leave-one-out likelihood. Every n ≥ least has a chance; as the sums are geometric, P adds up
to 1 exactly. q is at least 1/(2N + 3): where no count ever differed, the next one does with probability 1/(N + 2),
Laplace's rule of succession.

Source:
    Titterington & Bowman, J. Stat. Comput. Simul. 21 (1985), on kernels for ordered discrete data.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graphtask.comparison.shrinkage import FloatArray
from graphtask.graph import IntArray

_WIDEST = 0.9
_GRID = 64
_NEGLIGIBLE = 1e-18


@dataclass(frozen=True, eq=False)
class SizeLaw:
    """The distribution of one count.

    Args:
        values: Counts that occurred, increasing, shape (values,).
        times: How often each did, shape (values,).
        least: The smallest count that is possible.
        q: Decay of the kernel, in (0, 1).

    Example:
        >>> law = SizeLaw.fit(np.array([4, 5, 5, 6]), least=1)
        >>> float(law.probability.sum().round(12)), law.probability.argmax() + law.least
        (1.0, np.int64(5))
    """

    values: IntArray
    times: IntArray
    least: int
    q: float

    @classmethod
    def fit(cls, counts: IntArray, *, least: int) -> "SizeLaw":
        """The law of observed counts, shape (graphs,), none below ``least``."""
        values, times = np.unique(counts, return_counts=True)
        narrowest = 1 / (2 * len(counts) + 3)
        if len(values) == 1:
            return cls(values, times, least, narrowest)
        grid = np.exp(np.linspace(np.log(narrowest), np.log(_WIDEST), _GRID))
        scores = [_left_out(values, times, least, q) for q in grid]
        return cls(values, times, least, float(grid[int(np.argmax(scores))]))

    @cached_property
    def probability(self) -> FloatArray:
        """P(least), P(least + 1) … up to where nothing that matters is left."""
        reach = int(np.ceil(np.log(_NEGLIGIBLE) / np.log(self.q)))
        counts = np.arange(self.least, int(self.values.max()) + reach + 1)
        kernel = np.exp(_log_kernel(counts, self.values, self.least, self.q))
        return np.asarray(kernel @ (self.times / self.times.sum()))

    def log_probability(self, count: int) -> float:
        """The ln P of a count; −inf below the least."""
        if count < self.least:
            return -np.inf
        kernel = _log_kernel(np.asarray([count]), self.values, self.least, self.q)[0]
        return float(np.logaddexp.reduce(kernel + np.log(self.times / self.times.sum())))

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


def _log_kernel(counts: IntArray, centre: IntArray, least: int, q: float) -> FloatArray:
    """Logarithms of the probability of every count (rows) around every centre (columns); far away the power underflows."""
    total = (1 + q - q ** (centre - least + 1.0)) / (1 - q)
    return np.asarray(np.abs(counts[:, None] - centre) * np.log(q) - np.log(total))


def _left_out(values: IntArray, times: IntArray, least: int, q: float) -> float:
    """Σ ln P of every count under the law of the others, but for a constant."""
    kernel = _log_kernel(values, values, least, q)
    # A value that occurred once has no other at its own place.
    others = times - np.eye(len(values))
    with np.errstate(divide="ignore"):
        terms = kernel + np.log(others)
    return float(times @ np.logaddexp.reduce(terms, axis=1))
