"""Permutations of several labels over the rows of a table: over all of them, or within blocks."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice, permutations, product

import numpy as np

from graphtask.types import IntArray

_CELLS = 2**21  # of one batch


@dataclass(frozen=True)
class OverAll:
    """Permutations of the labels over all rows, which are in the order of their labels."""

    groups: IntArray
    """Observed labels, 0 … labels − 1."""

    @property
    def n_distinct(self) -> int:
        """Number of different permutations."""
        sizes = np.bincount(self.groups).tolist()
        return math.factorial(sum(sizes)) // math.prod(map(math.factorial, sizes))

    def batches(self, n_random: int | None, seed: int) -> Iterator[IntArray]:
        """Yield labels of shape (permutations, rows), the observed ones first: all, or ``n_random`` random ones."""
        rows = max(1, _CELLS // len(self.groups))
        if n_random is None:
            yield from _in_batches(_dealt(tuple(np.bincount(self.groups).tolist())), rows)
            return
        rng = np.random.Generator(np.random.PCG64(seed))
        yield self.groups[None]
        for start in range(0, n_random, rows):
            size = min(rows, n_random - start)
            yield self.groups[np.argsort(rng.random((size, len(self.groups))), axis=1, kind="stable")]


@dataclass(frozen=True)
class WithinBlocks:
    """Permutations of the labels within blocks; rows are in the order of blocks, then of labels."""

    n_labels: int
    """Number of labels; each block has every one once."""
    n_blocks: int
    """Number of blocks."""

    @property
    def n_distinct(self) -> int:
        """Number of different permutations."""
        return int(math.factorial(self.n_labels) ** self.n_blocks)

    def batches(self, n_random: int | None, seed: int) -> Iterator[IntArray]:
        """Yield labels of shape (permutations, rows), the observed ones first: all, or ``n_random`` random ones."""
        rows = max(1, _CELLS // (self.n_labels * self.n_blocks))
        if n_random is None:
            orders = list(permutations(range(self.n_labels)))
            yield from _in_batches((sum(parts, ()) for parts in product(orders, repeat=self.n_blocks)), rows)
            return
        rng = np.random.Generator(np.random.PCG64(seed))
        yield np.tile(np.arange(self.n_labels), self.n_blocks)[None]
        for start in range(0, n_random, rows):
            size = min(rows, n_random - start)
            draws = rng.random((size, self.n_blocks, self.n_labels))
            yield np.argsort(draws, axis=2, kind="stable").reshape(size, -1)


Arrangements = OverAll | WithinBlocks


def _dealt(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield all different sequences with ``sizes[g]`` times the label g, the sorted one first."""
    n = sum(sizes)

    def place(label: int, free: tuple[int, ...], sequence: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if label == len(sizes):
            yield sequence
            return
        for chosen in combinations(free, sizes[label]):
            taken = set(chosen)
            filled = tuple(label if position in taken else old for position, old in enumerate(sequence))
            yield from place(label + 1, tuple(position for position in free if position not in taken), filled)

    yield from place(0, tuple(range(n)), (0,) * n)


def _in_batches(sequences: Iterator[tuple[int, ...]], rows: int) -> Iterator[IntArray]:
    while batch := list(islice(sequences, rows)):
        yield np.asarray(batch, dtype=np.int64)
