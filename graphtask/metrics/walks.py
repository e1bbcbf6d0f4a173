"""Counting walks between two vertices: [M^k]_uv for all k up to a length.

Every count is a sum of products of non-negative numbers, so nothing cancels: counts below 2^53 are exact, and
larger ones have a relative error of a few units in the last place for every factor.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from graphtask.types import FloatArray, IntArray

_NARROW = 900  # exponents of a vector may differ by this much before float64 would lose its small entries
_VANISHED = -(2**62)  # exponent that represents zero


def count_walks(matrix: FloatArray, start: int, end: int, *, length: int) -> FloatArray:
    """[M^k]_{start,end} for k = 0 … ``length``, by baby steps and giant steps over a dense matrix.

    Example:
        >>> count_walks(np.array([[0.0, 1.0], [0.0, 0.0]]), 0, 1, length=3)
        array([0., 1., 0., 0.])
    """
    n = len(matrix)
    stride = 8 if length < 64 else 16
    baby = np.zeros((n, stride))
    baby[end, 0] = 1.0
    power, width = matrix, 1
    while width < stride:
        baby[:, width : 2 * width] = power @ baby[:, :width]
        power = power @ power
        width *= 2
    giant = np.zeros((length // stride + 1, n))
    giant[0, start] = 1.0
    for before, after in pairwise(giant):
        np.dot(before, power, out=after)
    counts: FloatArray = (giant @ baby).ravel()[: length + 1]
    return counts


@lru_cache(maxsize=8)
def _log_factorial_table(size: int) -> FloatArray:
    return np.array([math.lgamma(k + 1) for k in range(size)])


def log_factorials(count: int) -> FloatArray:
    """The logarithms ln k! for k = 0 … ``count`` − 1."""
    return _log_factorial_table(1 << max(8, (count - 1).bit_length()))[:count]


def log_sum_exp(logs: FloatArray) -> float:
    """The logarithm ln Σ e^x, where x may be −inf.

    Example:
        >>> log_sum_exp(np.array([-np.inf, 0.0, 0.0])) == math.log(2)
        True
    """
    top = float(logs.max())
    return top if math.isinf(top) else top + math.log(float(np.exp(logs - top).sum()))


class Scaled(NamedTuple):
    """Non-negative numbers m·2^e with m in [0.5, 1), or 0; beyond the range of float64."""

    mantissa: FloatArray
    exponent: IntArray


class Sparse(NamedTuple):
    """A non-negative matrix as a product (``matrix @ x``), and as rows of entries for vectors of a wide range."""

    matrix: Any
    rows: IntArray
    starts: IntArray
    columns: IntArray
    values: FloatArray


def sparse(row: IntArray, column: IntArray, n: int) -> Sparse:
    """The n × n matrix that counts the pairs (row, column)."""
    from scipy.sparse import csr_array

    matrix = csr_array((np.ones(len(row)), (row, column)), shape=(n, n))
    matrix.sum_duplicates()
    pointers = matrix.indptr.astype(np.int64)
    rows = np.flatnonzero(np.diff(pointers) > 0)
    fast = matrix.toarray() if matrix.nnz > n * n / 8 else matrix
    return Sparse(fast, rows, pointers[rows], matrix.indices.astype(np.int64), matrix.data)


def log_walks(forward: Sparse, backward: Sparse, start: int, end: int, *, n: int) -> Iterator[float]:
    """The logarithms ln [M^k]_{start,end} for k = 0, 1, 2 …, met in the middle.

    ``backward`` is M, which carries from the end; ``forward`` is Mᵀ, which carries from the start.
    """
    left, right = _unit(start, n), _unit(end, n)
    while True:
        yield _log_dot(left, right)
        left = _times(forward, left)
        yield _log_dot(left, right)
        right = _times(backward, right)


def _unit(index: int, n: int) -> Scaled:
    mantissa, exponent = np.zeros(n), np.full(n, _VANISHED, dtype=np.int64)
    mantissa[index], exponent[index] = 0.5, 1
    return Scaled(mantissa, exponent)


def _log_dot(left: Scaled, right: Scaled) -> float:
    both = np.flatnonzero((left.mantissa > 0) & (right.mantissa > 0))
    if len(both) == 0:
        return -math.inf
    exponent = left.exponent[both] + right.exponent[both]
    top = int(exponent.max())
    total = float(_shifted(left.mantissa[both] * right.mantissa[both], exponent - top).sum())
    return math.log(total) + top * math.log(2)


def _times(matrix: Sparse, vector: Scaled) -> Scaled:
    present = vector.exponent[vector.mantissa > 0]
    if len(present) == 0:
        return vector
    top = int(present.max())
    if top - int(present.min()) < _NARROW:
        product = matrix.matrix @ _shifted(vector.mantissa, vector.exponent - top)
        return _scaled(product, np.full(len(product), top, dtype=np.int64))
    exponent = vector.exponent[matrix.columns]
    tops = np.maximum.reduceat(exponent, matrix.starts)
    lengths = np.diff(np.append(matrix.starts, len(matrix.columns)))
    terms = _shifted(
        vector.mantissa[matrix.columns] * matrix.values,
        np.maximum(exponent - np.repeat(tops, lengths), _VANISHED),
    )
    product = np.zeros(len(vector.mantissa))
    product[matrix.rows] = np.add.reduceat(terms, matrix.starts)
    exponents = np.zeros(len(product), dtype=np.int64)
    exponents[matrix.rows] = tops
    return _scaled(product, exponents)


def _shifted(mantissa: FloatArray, exponent: IntArray) -> FloatArray:
    return np.ldexp(mantissa, np.maximum(exponent, -5000).astype(np.int32))


def _scaled(values: FloatArray, exponent: IntArray) -> Scaled:
    mantissa, shift = np.frexp(values)
    return Scaled(mantissa, np.where(mantissa > 0, exponent + shift, _VANISHED))
