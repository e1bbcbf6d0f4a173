"""Which relabelings a permutation test looks at, and the p-value that follows from them.

A test of "the two sets come from one distribution" compares a statistic with its values after the labels were dealt
out anew: over all graphs, or, for paired sets, within each pair. Where there are few ways to do that, all are looked
at and the p-value is exact; otherwise it comes from a random sample that counts the observed labeling as one of its
members, so that the test holds its level at every sample size (Phipson & Smyth 2010; Hemerik & Goeman 2018).
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
class Relabelings:
    """The ways to deal the labels out that a test looks at; the observed one comes first."""

    n_a: int
    """Members of the first set; they are the first of the pooled sample."""
    n_b: int
    """Members of the second set."""
    paired: bool
    """Whether labels are only swapped within pairs: member i of the first set and member i of the second."""
    n_permutations: int
    """The most relabelings to look at besides the observed one."""
    seed: int
    """Seed of the random sample."""

    @property
    def n_distinct(self) -> int:
        """How many ways there are, the observed one included."""
        return 2**self.n_a if self.paired else math.comb(self.n_a + self.n_b, self.n_a)

    @property
    def exact(self) -> bool:
        """Whether all of them are looked at."""
        return self.n_distinct <= self.n_permutations

    @property
    def n_drawn(self) -> int:
        """Relabelings that are looked at: all of them, or the random ones besides the observed one."""
        return self.n_distinct if self.exact else self.n_permutations

    @property
    def least_p(self) -> float:
        """The smallest p-value that a statistic can give that does not mind which set is called the first."""
        mirrored = 2 if self.paired or self.n_a == self.n_b else 1
        return mirrored / self.n_distinct if self.exact else 1 / (1 + self.n_permutations)

    def batches(self) -> Iterator[BoolArray]:
        """Who belongs to the first set: arrays of shape (relabelings, n_a + n_b), small enough for memory."""
        rows = max(1, _CELLS // (self.n_a + self.n_b))
        yield from self._all(rows) if self.exact else self._some(rows)

    def _all(self, rows: int) -> Iterator[BoolArray]:
        # Both iterators start with the observed labeling.
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


def relabelings(n_a: int, n_b: int, *, paired: bool, n_permutations: int, seed: int) -> Relabelings:
    """The relabelings of a test between sets of ``n_a`` and ``n_b`` members.

    Args:
        n_a: Members of the first set, at least 2.
        n_b: Members of the second set, at least 2; as many as ``n_a`` if paired.
        paired: Whether labels are only swapped within pairs.
        n_permutations: Random relabelings; all are looked at instead if there are not more than these. At least 1.
        seed: Seed of the random ones, at least 0.

    Raises:
        ArgumentError: A number is out of range, or the sets of a paired test differ in size.

    Example:
        >>> few = relabelings(3, 3, paired=False, n_permutations=999, seed=0)
        >>> few.exact, few.n_distinct, few.least_p
        (True, 20, 0.1)
        >>> [int(members.sum()) for members in few.batches()]
        [60]
    """
    if n_a < 2 or n_b < 2:
        raise ArgumentError(f"the sets have {n_a} and {n_b} members; a test needs at least 2 in each")
    if paired and n_a != n_b:
        raise ArgumentError(
            f"paired sets have as many members each, in the same order; these have {n_a} and {n_b}"
        )
    return Relabelings(
        n_a=n_a,
        n_b=n_b,
        paired=paired,
        n_permutations=integer(n_permutations, name="n_permutations", least=1),
        seed=integer(seed, name="seed", least=0),
    )


def null_distribution(statistic: Callable[[BoolArray], FloatArray], *, labelings: Relabelings) -> FloatArray:
    """The statistic under every relabeling; the first value is the observed one.

    Args:
        statistic: From indicators of the first set, shape (relabelings, members), to values whose first axis is that
            of the relabelings.
        labelings: What to look at.
    """
    return np.concatenate([statistic(members) for members in labelings.batches()])


def p_values(null: FloatArray, *, rounding: FloatArray | float = 0.0) -> FloatArray:
    """The share of relabelings with a statistic at least as large as the observed one, which is the first of them.

    Args:
        null: Values under the relabelings along the first axis, the observed one first.
        rounding: Differences that are not larger count as ties, and ties count as at least as large.

    Example:
        >>> p_values(np.array([2.0, 1.0, 2.0, 0.0])).tolist()
        0.5
    """
    return np.asarray((null >= null[0] - rounding).mean(axis=0), dtype=np.float64)
