"""The cost of Kamada & Kawai's springs, for a few graphs of the same size at once; `many_springs` is for more.

The cost function is that of networkx's ``kamada_kawai_layout`` (BSD-3-Clause), and the operations come in its order,
so that values and gradients are the same to the last bit: where a minimization ends depends on rounding. What is
computed for a graph does not depend on the graphs beside it.
"""

import math
from collections.abc import Callable

import numpy as np

from graphtask.types import FloatArray

Cost = Callable[[FloatArray], tuple[float, FloatArray]]

PULL = 1e-3  # weight of the term that keeps the mean position near the origin
_PAIRS = 4 * 64**2  # of nodes, in all lanes: what fits into the cache of a core
_LANES = 4  # beyond which calls on larger arrays gain nothing more


def few_lanes_for(n_nodes: int) -> int:
    """How many graphs of this size are best laid out together here."""
    return max(1, min(_LANES, _PAIRS // max(n_nodes, 1) ** 2))


class Springs:
    """½ Σ_ij (|x_i − x_j|/d_ij − 1)² and a pull to the origin, and its gradient, of up to ``lanes`` graphs.

    Args:
        n_nodes: Number of nodes of each graph.
        lanes: Number of graphs.

    Example:
        >>> springs = Springs(2, lanes=1)
        >>> springs.load(0, np.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> springs.positions[0] = [-1.0, 0.0, 1.0, 0.0]  # twice as far apart as they should be
        >>> springs.evaluate(1)
        [1.0]
        >>> springs.gradients[0].tolist()
        [-2.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, n_nodes: int, *, lanes: int) -> None:
        n = n_nodes
        self.inverse = aligned(lanes, n, n)
        """1/d_ij of each graph."""
        self._softening = np.eye(n) * 1e-3
        self.positions = np.zeros((lanes, 2 * n))
        """x and y of the nodes in turn, for each graph."""
        self.gradients = np.zeros((lanes, 2 * n))
        """What `evaluate` found, in the same order."""
        scratch = aligned(5 * lanes * n * n)
        self._kernels = [_kernel(self, k + 1, scratch) for k in range(lanes)]

    def load(self, lane: int, distances: FloatArray) -> None:
        """Let the springs of a lane have these lengths, of shape (nodes, nodes)."""
        np.divide(1, distances + self._softening, out=self.inverse[lane])

    def move(self, lane: int, *, to: int) -> None:
        """Copy all that a lane holds to another lane."""
        for array in (self.inverse, self.positions, self.gradients):
            array[to] = array[lane]

    def evaluate(self, n_lanes: int) -> list[float]:
        """The costs of the first lanes at their positions; their gradients are in `gradients` then."""
        return self._kernels[n_lanes - 1]()


def spring_cost(distances: FloatArray) -> Cost:
    """The cost and the gradient for one graph, as a function of positions."""
    springs = Springs(len(distances), lanes=1)
    springs.load(0, distances)

    def cost(position: FloatArray) -> tuple[float, FloatArray]:
        springs.positions[0] = position
        (value,) = springs.evaluate(1)
        return value, springs.gradients[0].copy()

    return cost


def _kernel(springs: "Springs", k: int, scratch: FloatArray) -> Callable[[], list[float]]:
    """What evaluates the first ``k`` lanes, on arrays that are laid out for it once.

    The sums over the rows run one row after the other, as in networkx's einsum. The gradient there is the difference
    of two sums that are each other's negative, which is −2 times one of them, exactly.
    """
    n = springs.positions.shape[1] // 2
    parts = scratch[: 5 * k * n * n].reshape(5, k, n, n)
    difference, (dx, dy, length, offset, squares) = parts[:2], parts
    inverse, diagonal, flat = (
        springs.inverse[:k],
        length.reshape(k, n * n)[:, :: n + 1],
        squares.reshape(k, n * n),
    )
    # Differences of all pairs as a product with ones, which rounds nothing: [x 1]·[1 −x]ᵀ; faster than broadcasting.
    left, right = np.ones((2, k, n, 2)), np.ones((2, k, 2, n))
    plus, minus = left[..., 0], right[:, :, 1]
    by_axis, gradients = (
        array[:k].reshape(k, n, 2).transpose(2, 0, 1) for array in (springs.positions, springs.gradients)
    )
    running, forces, pulls, costs = np.empty((2, k, n)), np.empty((2, k, n)), np.empty((2, k, 1)), np.empty(k)
    centers, one, pull, minus_two = running[:, :, -1:], np.array(1.0), np.array(-PULL), np.array(-2.0)
    # Local names and positional results: the calls below cost as much as their arithmetic on small graphs.
    add, subtract, multiply, divide, negative = np.add, np.subtract, np.multiply, np.divide, np.negative
    square, sqrt, matmul, einsum = np.square, np.sqrt, np.matmul, np.einsum
    total, accumulate = np.add.reduce, np.add.accumulate

    def evaluate() -> list[float]:
        plus[...] = by_axis
        negative(by_axis, minus)
        matmul(left, right, difference)
        square(dx, length)
        square(dy, offset)
        add(length, offset, length)
        sqrt(length, length)
        diagonal[...] = 1e-3  # times 1/1e-3 is exactly 1: no spring between a node and itself
        multiply(length, inverse, offset)
        subtract(offset, one, offset)
        square(offset, squares)
        total(flat, 1, out=costs)
        divide(one, length, length)
        multiply(offset, inverse, offset)
        multiply(dx, length, dx)
        multiply(dx, offset, dx)
        multiply(dy, length, dy)
        multiply(dy, offset, dy)
        einsum("cbij->cbj", difference, out=forces)
        multiply(forces, minus_two, forces)
        accumulate(minus, 2, None, running)
        multiply(centers, pull, pulls)
        add(forces, pulls, gradients)
        return [
            0.5 * cost + 0.5 * PULL * (x * x + y * y)
            for cost, (x,), (y,) in zip(costs.tolist(), *centers.tolist(), strict=True)
        ]

    return evaluate


def aligned(*shape: int) -> FloatArray:
    """An uninitialized array that starts on a cache line; unaligned ones make vector instructions slow."""
    size = math.prod(shape)
    raw = np.empty(size + 8)
    start = -raw.ctypes.data % 64 // 8
    return raw[start : start + size].reshape(shape)
