"""Sums of whole rows in a given order; the last bit of a sum depends on it.

The values of a slot are one column, and a row holds those of all slots at one place. scipy's product of a sparse
matrix with such rows adds them in the order in which the matrix stores them, in one call.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphtask.types import FloatArray

_BLOCK, _STRANDS = 128, 8  # of numpy's pairwise summation: see `numpy_order`


class Order(NamedTuple):
    """Rows that each of several sums adds, and their order: a sparse matrix, row by row."""

    starts: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    factors: FloatArray
    """1 or −1 for each of them."""


def order_of(sums: Sequence[Sequence[int]], *, factors: FloatArray | None = None) -> Order:
    """Return the order in which each sum lists its rows."""
    starts = np.cumsum([0, *map(len, sums)], dtype=np.int32)
    rows = np.fromiter(chain.from_iterable(sums), dtype=np.int32, count=starts[-1])
    return Order(starts, rows, np.ones(len(rows)) if factors is None else factors)


def adder(order: Order, values: FloatArray, totals: FloatArray) -> Callable[[], None]:
    """Return a function that adds rows of ``values`` to those of ``totals``.

    Args:
        order: Rows of each sum.
        values: Of shape (rows, batch), contiguous.
        totals: Of shape (sums, batch), contiguous.

    Example:
        >>> values, totals = np.array([[1.0], [2.0], [4.0]]), np.zeros((2, 1))
        >>> adder(order_of([[0, 2], [1]]), values, totals)()
        >>> totals.ravel().tolist()
        [5.0, 2.0]
    """
    shape = len(order.starts) - 1, len(values), values.shape[1]
    return partial(row_adder(), *shape, *order, values.reshape(-1), totals.reshape(-1))


@cache
def row_adder() -> Any:
    """Return scipy's private function that adds rows, or None in releases without it."""
    try:
        from scipy.sparse._sparsetools import csr_matvecs
    except ImportError:
        return None
    return csr_matvecs


def numpy_order(places: Sequence[int], *, n_rows: int) -> list[list[list[int]]]:
    """Return the order in which ``numpy.sum`` adds a contiguous array: sums of sums by level, each a list of rows.

    Up to 128 values are added in 8 strands that are joined in the end; more are halved, at a multiple of 8.

    Args:
        places: The row of each value, or −1 for one that is 0, which changes no sum.
        n_rows: Number of rows of values. The sums get the rows after them, in the order returned;
            the last of them is that of all.

    Example:
        >>> numpy_order([0, 1, -1, 2], n_rows=3)
        [[[0, 1, 2]]]
        >>> numpy_order(range(9), n_rows=9)[-1]  # the last value is added when the 8 strands are one
        [[21, 22, 8]]
    """
    sums = _Sums(n_rows)
    _halved(sums, places, 0, len(places))
    return sums.by_level()


class _Sums:
    """Sums of rows and of earlier sums, which are the rows after them."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._terms: list[list[int]] = []
        self._levels: list[int] = []

    def add(self, terms: list[int]) -> int:
        """Add a sum and return its row."""
        parts = [self._levels[term - self._n_rows] for term in terms if term >= self._n_rows]
        self._terms.append(terms)
        self._levels.append(max(parts, default=-1) + 1)
        return self._n_rows + len(self._terms) - 1

    def by_level(self) -> list[list[list[int]]]:
        """Return the sums by level, those without dependencies first, with their rows in that order."""
        ordered = sorted(range(len(self._terms)), key=self._levels.__getitem__)
        row = list(range(self._n_rows)) + [0] * len(ordered)
        for place, index in enumerate(ordered):
            row[self._n_rows + index] = self._n_rows + place
        levels: list[list[list[int]]] = [[] for _ in range(max(self._levels) + 1)]
        for index in ordered:
            levels[self._levels[index]].append([row[term] for term in self._terms[index]])
        return levels


def _halved(sums: _Sums, places: Sequence[int], start: int, stop: int) -> int:
    """Return the row of the sum of the values from ``start`` to ``stop``, in numpy's order."""
    count = stop - start
    if count > _BLOCK:
        middle = start + count // 2 - count // 2 % _STRANDS
        return sums.add([_halved(sums, places, start, middle), _halved(sums, places, middle, stop)])
    first: list[int] = []
    even = stop - count % _STRANDS
    if count >= _STRANDS:
        strands = [sums.add(_present(places[start + k : even : _STRANDS])) for k in range(_STRANDS)]
        while len(strands) > 2:
            strands = [sums.add(strands[k : k + 2]) for k in range(0, len(strands), 2)]
        first = strands
    return sums.add(first + _present(places[even:stop]))


def _present(places: Iterable[int]) -> list[int]:
    return [place for place in places if place >= 0]
