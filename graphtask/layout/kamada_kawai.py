"""Kamada-Kawai stress and its gradient for a few graphs of the same size; `BatchedStress` is for more.

The cost function is that of networkx's ``kamada_kawai_layout`` (BSD-3-Clause), and the operations come in its order,
so that values and gradients are the same to the last bit: where a minimization ends depends on rounding. What is
computed for a graph does not depend on the other graphs of the batch.
"""

import math
from collections.abc import Callable

import numpy as np

from graphtask.types import FloatArray

Cost = Callable[[FloatArray], tuple[float, FloatArray]]

PULL = 1e-3  # weight of the term that keeps the mean position near the origin
_PAIRS = 4 * 64**2  # of nodes, in all batch: what fits into the cache of a core
_MAX_BATCH = 4  # beyond which calls on larger arrays gain nothing more


def small_batch_for(n_nodes: int) -> int:
    """Return the best batch size for graphs of this size."""
    return max(1, min(_MAX_BATCH, _PAIRS // max(n_nodes, 1) ** 2))


class KamadaKawaiStress:
    """½ Σ_ij (|x_i − x_j|/d_ij − 1)² and a pull to the origin, and its gradient, of up to ``batch`` graphs.

    Args:
        n_nodes: Number of nodes of each graph.
        batch: Number of graphs.

    Example:
        >>> stress = KamadaKawaiStress(2, batch=1)
        >>> stress.load(0, np.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> stress.positions[0] = [-1.0, 0.0, 1.0, 0.0]  # twice as far apart as they should be
        >>> stress.evaluate(1)
        [1.0]
        >>> stress.gradients[0].tolist()
        [-2.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, n_nodes: int, *, batch: int) -> None:
        n = n_nodes
        self.inverse = aligned(batch, n, n)
        """1/d_ij of each graph."""
        self._softening = np.eye(n) * 1e-3
        self.positions = np.zeros((batch, 2 * n))
        """x and y of the nodes in turn, for each graph."""
        self.gradients = np.zeros((batch, 2 * n))
        """Gradients after `evaluate`, in the same order."""
        scratch = aligned(4 * batch * n * n)
        self._kernels = [_kernel(self, k + 1, scratch) for k in range(batch)]

    def load(self, slot: int, distances: FloatArray) -> None:
        """Set the distances of a slot, of shape (nodes, nodes)."""
        np.divide(1, distances + self._softening, out=self.inverse[slot])

    def move(self, slot: int, *, to: int) -> None:
        """Copy a slot to another one."""
        for array in (self.inverse, self.positions, self.gradients):
            array[to] = array[slot]

    def evaluate(self, n_active: int) -> list[float]:
        """Return the stress of the first ``n_active`` slots at their positions, and fill `gradients`."""
        return self._kernels[n_active - 1]()


def stress_cost(distances: FloatArray) -> Cost:
    """Return stress and gradient of one graph as a function of positions."""
    stress = KamadaKawaiStress(len(distances), batch=1)
    stress.load(0, distances)

    def cost(position: FloatArray) -> tuple[float, FloatArray]:
        stress.positions[0] = position
        (value,) = stress.evaluate(1)
        return value, stress.gradients[0].copy()

    return cost


def _kernel(stress: "KamadaKawaiStress", k: int, scratch: FloatArray) -> Callable[[], list[float]]:
    """Return a function that evaluates the first ``k`` slots, on preallocated arrays.

    The sums over the rows run one row after the other, as in networkx's einsum. The gradient there is the difference
    of two sums that are each other's negative, which is −2 times one of them, exactly.
    """
    n = stress.positions.shape[1] // 2
    parts = scratch[: 4 * k * n * n].reshape(4, k, n, n)
    difference, length, squares = parts[:2], parts[2], parts[3]
    diagonal, flat = (array.reshape(k, n * n) for array in (difference[0], squares))
    diagonal = diagonal[:, :: n + 1]
    to_terms = pair_terms(difference, stress.inverse[:k], length, squares)
    # Differences of all pairs as a product with ones, which rounds nothing: [x 1]·[1 −x]ᵀ; faster than broadcasting.
    left, right = np.ones((2, k, n, 2)), np.ones((2, k, 2, n))
    plus, minus = left[..., 0], right[:, :, 1]
    by_axis, gradients = (
        array[:k].reshape(k, n, 2).transpose(2, 0, 1) for array in (stress.positions, stress.gradients)
    )
    running, forces, pulls, costs = np.empty((2, k, n)), np.empty((2, k, n)), np.empty((2, k, 1)), np.empty(k)
    centers, pull, minus_two = running[:, :, -1:], np.array(-PULL), np.array(-2.0)
    x, y = centers[:, :, 0]
    add, multiply, negative, matmul, einsum = np.add, np.multiply, np.negative, np.matmul, np.einsum
    total, accumulate = np.add.reduce, np.add.accumulate

    def evaluate() -> list[float]:
        plus[...] = by_axis
        negative(by_axis, minus)
        matmul(left, right, difference)
        diagonal[...] = 1e-3  # times 1/1e-3 is exactly 1: no distance between a node and itself
        to_terms()
        total(flat, 1, out=costs)
        einsum("cbij->cbj", difference, out=forces)
        multiply(forces, minus_two, forces)
        accumulate(minus, 2, None, running)
        multiply(centers, pull, pulls)
        add(forces, pulls, gradients)
        return energies(costs, x, y)

    return evaluate


def pair_terms(
    difference: FloatArray, inverse: FloatArray, length: FloatArray, squares: FloatArray
) -> Callable[[], None]:
    """Return a function that turns the differences of pairs into their forces, and fills ``squares``.

    Args:
        difference: x_i − x_j and y_i − y_j; then −½ of the force of each pair on i.
        inverse: 1/d_ij.
        length: Scratch of the same shape.
        squares: (|x_i − x_j|/d_ij − 1)².
    """
    dx, dy = difference
    # Local names and positional results: the calls below cost as much as their arithmetic on small graphs.
    add, subtract, multiply, divide, square, sqrt = (
        np.add, np.subtract, np.multiply, np.divide, np.square, np.sqrt,
    )  # fmt: skip
    offset, one = squares, np.array(1.0)

    def to_terms() -> None:
        square(dx, length)
        square(dy, offset)
        add(length, offset, length)
        sqrt(length, length)
        multiply(length, inverse, offset)
        subtract(offset, one, offset)
        divide(one, length, length)
        multiply(dx, length, dx)
        multiply(dy, length, dy)
        multiply(offset, inverse, length)
        multiply(dx, length, dx)
        multiply(dy, length, dy)
        square(offset, squares)

    return to_terms


def energies(costs: FloatArray, x: FloatArray, y: FloatArray) -> list[float]:
    """Return the stress of each graph, given its sum over ordered pairs and the sums of its x and y."""
    return [
        0.5 * cost + 0.5 * PULL * (at_x * at_x + at_y * at_y)
        for cost, at_x, at_y in zip(costs.tolist(), x.tolist(), y.tolist(), strict=True)
    ]


def aligned(*shape: int) -> FloatArray:
    """Return an uninitialized array that starts on a cache line; unaligned ones slow down vector instructions."""
    size = math.prod(shape)
    raw = np.empty(size + 8)
    start = -raw.ctypes.data % 64 // 8
    return raw[start : start + size].reshape(shape)
