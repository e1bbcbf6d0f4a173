"""Kamada-Kawai stress for many graphs of the same size, every pair of nodes computed once.

Results have the bits of `KamadaKawaiStress`, which computes all ordered pairs: sums take the pairs in the same order
(`graphtask.layout.pairwise_sum`). Layouts are columns of all arrays; small batches are not worth the calls.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from graphtask.layout.kamada_kawai import (
    PULL,
    KamadaKawaiStress,
    aligned,
    energies,
    pair_terms,
    small_batch_for,
)
from graphtask.layout.pairwise_sum import Order, adder, numpy_order, order_of, row_adder
from graphtask.types import FloatArray, IntArray

_PAIRS = 24 * 30 * 60  # of nodes, in all batch; larger arrays are slower to read than they save calls
_MAX_BATCH = 32  # beyond which calls on larger arrays gain nothing more
_MIN_BATCH = 5  # batch from which this is faster than `stress`
_NO_BUFFER = 16  # elements; numpy copies what it broadcasts if more than one row fits into its buffer


def batch_size_for(n_nodes: int, n_graphs: int) -> int:
    """Return the best batch size for these graphs."""
    batch = min(n_graphs, _MAX_BATCH, 2 * _PAIRS // n_nodes**2)
    if batch >= _MIN_BATCH and _matches_unbatched(n_nodes):
        return batch
    return min(n_graphs, small_batch_for(n_nodes))


def stress_for(n_nodes: int, *, batch: int) -> "KamadaKawaiStress | BatchedStress":
    """Return the faster implementation for this batch size."""
    return (KamadaKawaiStress if batch < _MIN_BATCH else BatchedStress)(n_nodes, batch=batch)


class BatchedStress:
    """½ Σ_ij (|x_i − x_j|/d_ij − 1)² and a pull to the origin, and its gradient; used as `KamadaKawaiStress` are.

    Args:
        n_nodes: Number of nodes of each graph.
        batch: Number of graphs.

    Example:
        >>> stress = BatchedStress(2, batch=6)
        >>> stress.load(0, np.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> stress.positions[0] = [-1.0, 0.0, 1.0, 0.0]  # twice as far apart as they should be
        >>> stress.evaluate(1)
        [1.0]
        >>> stress.gradients[0].tolist()
        [-2.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, n_nodes: int, *, batch: int) -> None:
        n = n_nodes
        self.inverse = aligned(n // 2, n, batch)
        """1/d of each pair, of each graph."""
        self.inverse[:] = 1
        self.positions = np.tile(
            np.arange(2.0 * n), (batch, 1)
        )  # apart from each other while a slot is not used
        """x and y of the nodes in turn, for each graph."""
        self.gradients = np.zeros((batch, 2 * n))
        """Gradients after `evaluate`, in the same order."""
        self._softening = np.eye(n) * 1e-3
        self._kernel = _kernel(self)

    def load(self, slot: int, distances: FloatArray) -> None:
        """Set the distances of a slot, of shape (nodes, nodes)."""
        inverse = 1 / (distances + self._softening)
        self.inverse[:, :, slot] = inverse.ravel()[_pairs(len(distances)).nodes]

    def move(self, slot: int, *, to: int) -> None:
        """Copy a slot to another one."""
        self.inverse[:, :, to] = self.inverse[:, :, slot]
        for array in (self.positions, self.gradients):
            array[to] = array[slot]

    def evaluate(self, n_active: int) -> list[float]:
        """Return the stress of the first ``n_active`` slots at their positions, and fill `gradients`."""
        return self._kernel()[:n_active]


class _Pairs(NamedTuple):
    """Every pair of nodes: row s − 1, column i is that of node i and the one s places further, round a circle.

    For an even number of nodes, the pairs of the last row come twice.
    """

    nodes: IntArray
    """i·nodes + j for each pair, of shape (nodes // 2, nodes)."""
    forces: Order
    """For each node, its pairs with the others in their order; −1 for those that it comes first in."""
    costs: list[Order]
    """All ordered pairs, row by row, as numpy sums them."""


@cache
def _pairs(n_nodes: int) -> _Pairs:
    n = n_nodes
    first, second = np.indices((n, n))
    apart = (second - first) % n
    is_near = apart <= n // 2
    place = np.where(is_near, (apart - 1) * n + first, (n - apart - 1) * n + second)
    np.fill_diagonal(place, -1)
    others = ~np.eye(n, dtype=np.bool_)
    forces = order_of(
        place.T[others].reshape(n, n - 1).tolist(), factors=np.where(is_near, 1.0, -1.0).T[others]
    )
    costs = [order_of(level) for level in numpy_order(place.ravel().tolist(), n_rows=n // 2 * n)]
    node, step = np.arange(n), np.arange(1, n // 2 + 1)[:, None]
    return _Pairs(node * n + (node + step) % n, forces, costs)


@cache
def _matches_unbatched(n_nodes: int) -> bool:
    """Return True if numpy and scipy add in the order assumed here, which neither guarantees."""
    if row_adder() is None:
        return False
    both = BatchedStress(n_nodes, batch=2), KamadaKawaiStress(n_nodes, batch=2)
    costs = []
    for stress in both:
        rng = np.random.default_rng(0)
        for slot in range(2):
            lengths = rng.integers(1, 4, (n_nodes, n_nodes))
            stress.load(slot, np.maximum(lengths, lengths.T) * (1.0 - np.eye(n_nodes)))
            stress.positions[slot] = rng.standard_normal(2 * n_nodes)
        costs.append(stress.evaluate(2))
    return costs[0] == costs[1] and bool((both[0].gradients == both[1].gradients).all())


def _kernel(stress: BatchedStress) -> Callable[[], list[float]]:
    """Return a function that evaluates all slots, on preallocated arrays, with the operations of `KamadaKawaiStress`."""
    batch, n = len(stress.positions), stress.positions.shape[1] // 2
    n_pairs, pairs = n // 2 * n, _pairs(n)
    difference, length = aligned(2, n // 2, n, batch), aligned(n // 2, n, batch)
    values = aligned(n_pairs + sum(len(order.starts) - 1 for order in pairs.costs), batch)
    squares, totals, costs = values[:n_pairs].reshape(length.shape), values[n_pairs:], values[-1]
    to_terms = pair_terms(difference, stress.inverse, length, squares)
    add_squares, row = [], n_pairs
    for order in pairs.costs:
        add_squares.append(adder(order, values, values[row : row + len(order.starts) - 1]))
        row += len(order.starts) - 1
    forces = np.empty((2, n, batch))
    add_forces = [
        adder(pairs.forces, terms.reshape(n_pairs, batch), sums)
        for terms, sums in zip(difference, forces, strict=True)
    ]
    circle = np.empty((2, 2 * n, batch))  # the nodes twice, so that those behind the last are the first again
    nodes, again = circle[:, :n], circle[:, n:]
    further = sliding_window_view(circle, n, axis=1)[:, 1 : n // 2 + 1].swapaxes(2, 3)
    here = nodes[:, None]
    by_axis, gradients = (
        array.reshape(batch, n, 2).transpose(2, 1, 0) for array in (stress.positions, stress.gradients)
    )
    centers, pulls = np.empty((2, 1, batch)), np.empty((2, 1, batch))
    x, y = centers[:, 0]
    pull, minus_two = np.array(PULL), np.array(-2.0)
    add, subtract, multiply = np.add, np.subtract, np.multiply
    total, set_buffer = np.add.reduce, np.setbufsize

    def evaluate() -> list[float]:
        nodes[...] = by_axis
        again[...] = nodes
        usual = set_buffer(_NO_BUFFER)
        try:
            subtract(here, further, difference)
        finally:
            set_buffer(usual)
        to_terms()
        totals.fill(0)
        for add_level in add_squares:
            add_level()
        forces.fill(0)
        for add_axis in add_forces:
            add_axis()
        multiply(forces, minus_two, forces)
        total(nodes, 1, out=centers, keepdims=True)
        multiply(centers, pull, pulls)
        add(forces, pulls, gradients)
        return energies(costs, x, y)

    return evaluate
