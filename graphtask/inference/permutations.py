"""Permutations of the labels of two sets, and the p-value of a permutation test.

A test of "the two sets come from one distribution" compares a statistic with its values under permuted labels: over
all graphs, or, for paired sets, within each pair. If there are few permutations, all are used and the p-value is
exact; otherwise it comes from a random sample that counts the observed labels as one of its members, so that the test
holds its level at every sample size (Phipson & Smyth 2010; Hemerik & Goeman 2018).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.types import BoolArray, FloatArray, IntArray
from graphtask.validation import integer

_CELLS = 2**22  # of one batch: 32 MB of doubles
ROUNDING = 1e-10  # statistics that differ by less, relative to what they are sums of, count as equal


@dataclass(frozen=True, kw_only=True)
class Permutations:
    """Permutations of the labels that a test uses; the observed labels come first."""

    n_a: int
    """Members of the first set; they are the first of the pooled sample."""
    n_b: int
    """Members of the second set."""
    paired: bool
    """True if labels are only swapped within pairs: member i of the first set and member i of the second."""
    n_permutations: int
    """Largest number of permutations besides the observed labels."""
    seed: int
    """Random seed of the sample."""

    @property
    def n_distinct(self) -> int:
        """Number of different permutations, the observed labels included."""
        return 2**self.n_a if self.paired else math.comb(self.n_a + self.n_b, self.n_a)

    @property
    def exact(self) -> bool:
        """True if all of them are used."""
        return self.n_distinct <= self.n_permutations

    @property
    def n_drawn(self) -> int:
        """Permutations that are used: all of them, or the random ones besides the observed labels."""
        return self.n_distinct if self.exact else self.n_permutations

    @property
    def least_p(self) -> float:
        """Smallest attainable p-value of a statistic that is symmetric in the two sets."""
        mirrored = 2 if self.paired or self.n_a == self.n_b else 1
        return mirrored / self.n_distinct if self.exact else 1 / (1 + self.n_permutations)

    def batches(self) -> Iterator[BoolArray]:
        """Yield indicators of the first set: arrays of shape (permutations, n_a + n_b), small enough for memory."""
        rows = max(1, _CELLS // (self.n_a + self.n_b))
        yield from self._all(rows) if self.exact else self._some(rows)

    def _all(self, rows: int) -> Iterator[BoolArray]:
        # Both iterators start with the observed labels.
        splits: Iterator[tuple[int, ...]] = (
            product((True, False), repeat=self.n_a)
            if self.paired
            else combinations(range(self.n_a + self.n_b), self.n_a)
        )
        while batch := list(islice(splits, rows)):
            yield self._within_pairs(np.asarray(batch)) if self.paired else self._over_all(np.asarray(batch))

    def _some(self, rows: int) -> Iterator[BoolArray]:
        rng = np.random.Generator(np.random.PCG64(self.seed))
        yield (np.arange(self.n_a + self.n_b) < self.n_a)[None]
        for start in range(0, self.n_permutations, rows):
            size = min(rows, self.n_permutations - start)
            if self.paired:
                yield self._within_pairs(rng.random((size, self.n_a)) < 0.5)
            else:
                order = np.argsort(rng.random((size, self.n_a + self.n_b)), axis=1, kind="stable")
                yield self._over_all(order[:, : self.n_a])

    def _within_pairs(self, kept: BoolArray) -> BoolArray:
        return np.concatenate([kept, ~kept], axis=1)

    def _over_all(self, chosen: IntArray) -> BoolArray:
        members = np.zeros((len(chosen), self.n_a + self.n_b), dtype=np.bool_)
        np.put_along_axis(members, chosen, values=True, axis=1)
        return members


def permutations_of(n_a: int, n_b: int, *, paired: bool, n_permutations: int, seed: int) -> Permutations:
    """Return the permutations of a test between sets of ``n_a`` and ``n_b`` members.

    Args:
        n_a: Members of the first set, at least 2.
        n_b: Members of the second set, at least 2; as many as ``n_a`` if paired.
        paired: Swap labels only within pairs.
        n_permutations: Random permutations; all are used instead if they are no more than these. At least 1.
        seed: Random seed, at least 0.

    Raises:
        ArgumentError: A number is out of range, or the sets of a paired test differ in size.

    Example:
        >>> few = permutations_of(3, 3, paired=False, n_permutations=999, seed=0)
        >>> few.exact, few.n_distinct, few.least_p
        (True, 20, 0.1)
        >>> [int(members.sum()) for members in few.batches()]
        [60]
    """
    if n_a < 2 or n_b < 2:
        raise ArgumentError(f"a and b must have at least 2 graphs each, got {n_a} and {n_b}")
    if paired and n_a != n_b:
        raise ArgumentError(f"a and b must have as many graphs each for paired=True, got {n_a} and {n_b}")
    return Permutations(
        n_a=n_a,
        n_b=n_b,
        paired=paired,
        n_permutations=integer(n_permutations, name="n_permutations", least=1),
        seed=integer(seed, name="seed", least=0),
    )


def null_distribution(
    statistic: Callable[[BoolArray], FloatArray], *, permutations: Permutations
) -> FloatArray:
    """Return the statistic under every permutation; the first value is the observed one.

    Args:
        statistic: From indicators of the first set, shape (permutations, members), to values whose first axis is that
            of the permutations.
        permutations: Permutations to use.
    """
    return np.concatenate([statistic(members) for members in permutations.batches()])


def p_values(null: FloatArray, *, rounding: FloatArray | float = 0.0) -> FloatArray:
    """Return the share of permutations with a statistic at least as large as the observed one, the first of them.

    Args:
        null: Values under the permutations along the first axis, the observed one first.
        rounding: Differences that are no larger count as ties, and ties as at least as large.

    Example:
        >>> p_values(np.array([2.0, 1.0, 2.0, 0.0])).tolist()
        0.5
    """
    return np.asarray((null >= null[0] - rounding).mean(axis=0), dtype=np.float64)
