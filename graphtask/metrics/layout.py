"""How elongated a graph is when it is laid out by Kamada & Kawai's springs.

The cost function, its start and its optimiser are those of networkx's ``kamada_kawai_layout`` (BSD-3-Clause), and the
operations come in its order, so that the layout is the same to the last bit: a local minimum depends on rounding.
No step here runs in several threads, so the result does not depend on their number either.
"""

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from graphtask.metrics.view import FloatArray, GraphView, UndefinedMetricError

Position = FloatArray  # x and y of the vertices in turn, of shape (2·nodes,)
Cost = Callable[[Position], tuple[float, FloatArray]]

_PULL = 1e-3  # weight of the term that keeps the mean position near the origin
_MAX_CALLS = 15_000  # of the cost, and of iterations: scipy's limits
_IMPATIENT_WORK = 4e8  # nodes² · calls spent on a layout that nobody asked for by name; some 20 s


class Elongation(NamedTuple):
    """The elongation of the layout with the lowest cost, and the standard deviation over all starts."""

    best: float
    spread: float


def pca_elongation(view: GraphView) -> float:
    """2·(V1 − 0.5), where V1 is the share of variance on the first principal axis of the Kamada-Kawai layout.

    The layout is that of the undirected, unweighted graph, from a circle of the vertices in topological order. It is
    not defined for graphs that are not connected: springs between their parts have no length.

    Example:
        >>> import graphtask as gt
        >>> round(gt.measure(gt.chain_dag(20))["pca_elongation"], 4)
        1.0
    """
    return view.once(_elongation).best


def pca_elongation_spread(view: GraphView) -> float:
    """Standard deviation (of the sample) of `pca_elongation` over ``layout_starts`` starts."""
    if view.options.layout_starts == 1:
        raise UndefinedMetricError("one start has no spread; ask for layout_starts of at least 2")
    return view.once(_elongation).spread


def layout(view: GraphView) -> FloatArray:
    """Positions of shape (nodes, 2), in vertex order: the lowest cost over all starts."""
    costs, positions = zip(*view.once(_layouts), strict=True)
    best: FloatArray = positions[int(np.argmin(costs))]
    return best


def _elongation(view: GraphView) -> Elongation:
    values = [_elongation_of(position) for _, position in view.once(_layouts)]
    best = int(np.argmin([cost for cost, _ in view.once(_layouts)]))
    return Elongation(values[best], float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)


def _layouts(view: GraphView) -> list[tuple[float, FloatArray]]:
    """Cost and positions from every start."""
    if view.n_nodes < 2:
        raise UndefinedMetricError(f"a layout of {view.n_nodes} nodes has no variance")
    order = view.order
    cost = spring_cost(_distances(view)[np.ix_(order, order)])
    found = []
    for places in _places(view):
        value, minimum = _minimise(_counted(cost, view), _circle(view.n_nodes)[places].ravel())
        positions = np.empty((view.n_nodes, 2))
        positions[order] = minimum.reshape(-1, 2)
        found.append((value, positions))
    return found


def _counted(cost: Cost, view: GraphView) -> Cost:
    if view.patient:
        return cost
    left = int(_IMPATIENT_WORK / view.n_nodes**2)

    def counted(position: Position) -> tuple[float, FloatArray]:
        nonlocal left
        left -= 1
        if left < 0:
            raise UndefinedMetricError(
                "the layout of so many nodes takes long to settle (ask for it by name)"
            )
        return cost(position)

    return counted


def _elongation_of(positions: FloatArray) -> float:
    """(λ1 − λ2)/(λ1 + λ2) of the covariance, which is 2·(λ1/(λ1 + λ2) − 0.5)."""
    x, y = (positions - positions.mean(axis=0)).T
    var_x, var_y, covariance = (float(np.add.reduce(product)) for product in (x * x, y * y, x * y))
    if var_x + var_y == 0:
        raise UndefinedMetricError("all nodes of the layout are in one place")
    return math.hypot(var_x - var_y, 2 * covariance) / (var_x + var_y)


def _distances(view: GraphView) -> FloatArray:
    n = view.n_nodes
    reach = (
        _dense_distances(view) if view.n_edges > n * n / 8 else view.graph.distances(mode="all", weights=None)
    )
    distances = np.asarray(reach, dtype=np.float64)
    if not np.isfinite(distances).all():
        raise UndefinedMetricError("the graph is not connected")
    return distances


def _dense_distances(view: GraphView) -> FloatArray:
    """Breadth-first search from all vertices at once: a few products of matrices when distances are short."""
    n = view.n_nodes
    near = np.zeros((n, n), dtype=np.float32)
    near[view.edges[:, 0], view.edges[:, 1]] = near[view.edges[:, 1], view.edges[:, 0]] = 1
    np.fill_diagonal(near, 1)
    reached, distance = near > 0, 1
    distances = np.where(reached, 1.0, math.inf)
    np.fill_diagonal(distances, 0.0)
    while not reached.all():
        distance += 1
        new = (reached.astype(np.float32) @ near > 0) & ~reached
        if not new.any():
            break
        distances[new] = distance
        reached |= new
    return distances


@lru_cache(maxsize=64)
def _circle(n: int) -> FloatArray:
    """The circular layout of networkx: angles rounded to float32, centred, and scaled to reach ±1."""
    theta = (np.linspace(0, 1, n + 1)[:-1] * 2 * np.pi).astype(np.float32)
    circle = np.column_stack([np.cos(theta), np.sin(theta)]).astype(np.float64)
    circle -= circle.mean(axis=0)
    circle *= 1 / np.abs(circle).max()
    circle.flags.writeable = False
    return circle


def _places(view: GraphView) -> list[Any]:
    """Which place on the circle each vertex starts from: the order itself, then shuffles."""
    words = np.random.PCG64(view.options.layout_seed)
    shuffles = [
        np.argsort(words.random_raw(view.n_nodes), kind="stable")
        for _ in range(view.options.layout_starts - 1)
    ]
    return [slice(None), *shuffles]


def spring_cost(distances: FloatArray) -> Cost:
    """Kamada & Kawai's cost and its gradient as a function of positions; ½ Σ_ij (|x_i − x_j|/d_ij − 1)² and a pull.

    The sums over the rows run one row after the other, as in networkx's einsum. The gradient there is the difference
    of two sums that are each other's negative, which is −2 times one of them, exactly; −2 is part of the weights.
    """
    n = len(distances)
    inverse, weight, length, offset = (_buffer(n, n) for _ in range(4))
    difference, squares = _buffer(2, n, n), _buffer(2, n, n)
    (dx, dy), (square_x, square_y) = difference, squares
    np.divide(1, distances + np.eye(n) * 1e-3, out=inverse)
    np.multiply(inverse, -2.0, out=weight)
    diagonal, flat, one, push = length.reshape(-1)[:: n + 1], square_x.reshape(-1), np.array(1.0), -_PULL
    # Differences of all pairs as a product with ones, which rounds nothing: [x 1]·[1 −x]ᵀ; faster than broadcasting.
    left, right = np.ones((2, n, 2)), np.ones((2, 2, n))
    positions, opposites = left[:, :, 0], right[:, 1, :]
    running = np.empty((2, n))
    opposite_centre = running[:, -1]
    # Local names and positional results: the calls below cost as much as their arithmetic on a small graph.
    add, subtract, multiply, divide, negative = np.add, np.subtract, np.multiply, np.divide, np.negative
    square, sqrt, matmul, empty = np.square, np.sqrt, np.matmul, np.empty
    total, accumulate = np.add.reduce, np.add.accumulate

    def cost(position: Position) -> tuple[float, FloatArray]:
        xy = position.reshape(n, 2).T
        positions[...] = xy
        negative(xy, opposites)
        matmul(left, right, difference)
        square(difference, squares)
        add(square_x, square_y, length)
        sqrt(length, length)
        diagonal.fill(1e-3)  # times 1/1e-3 is exactly 1: no spring between a node and itself
        multiply(length, inverse, offset)
        subtract(offset, one, offset)
        square(offset, square_x)
        value = 0.5 * float(total(flat))
        divide(one, length, length)
        multiply(offset, weight, offset)
        multiply(dx, length, dx)
        multiply(dx, offset, dx)
        multiply(dy, length, dy)
        multiply(dy, offset, dy)
        accumulate(opposites, 1, None, running)
        x, y = opposite_centre.tolist()
        gradient = empty((n, 2))
        add(total(difference, 1).T, multiply(opposite_centre, push), gradient)
        return value + 0.5 * _PULL * (x * x + y * y), gradient.reshape(-1)

    return cost


def _buffer(*shape: int) -> FloatArray:
    """An uninitialised array that starts on a cache line; unaligned ones make vector instructions slow."""
    size = math.prod(shape)
    raw = np.empty(size + 8)
    start = -raw.ctypes.data % 64 // 8
    return raw[start : start + size].reshape(shape)


def _minimise(cost: Cost, start: Position) -> tuple[float, Position]:
    """The local minimum that L-BFGS-B finds with scipy's defaults: its cost and its position."""
    steps = _reverse_communication()
    return _minimise_publicly(cost, start) if steps is None else _minimise_directly(cost, start, steps)


def _minimise_publicly(cost: Cost, start: Position) -> tuple[float, Position]:
    from scipy.optimize import minimize

    gradient: FloatArray = start

    def value(position: Position) -> float:
        nonlocal gradient
        result, gradient = cost(position)
        return result

    # scipy asks for the gradient where it has just asked for the value.
    found = minimize(value, start, method="L-BFGS-B", jac=lambda _: gradient)
    return float(found.fun), found.x


@cache
def _reverse_communication() -> Any:
    """The L-BFGS-B stepper of scipy in the releases whose private interface is the one used below, or else None.

    scipy's checks around each call cost as much as the cost of a small graph; the tests hold both ways to the same bits.
    """
    import scipy

    major, minor = (int(part) for part in scipy.__version__.split(".")[:2])
    if not (1, 15) <= (major, minor) <= (1, 17):
        return None
    try:
        from scipy.optimize._lbfgsb import setulb
    except ImportError:
        return None
    return setulb


def _minimise_directly(cost: Cost, start: Position, steps: Any) -> tuple[float, Position]:
    n, memory = len(start), 10
    x, gradient = start.copy(), np.zeros(n)
    value: Any = np.array(0.0)
    bounds, kinds = np.zeros(n), np.zeros(n, dtype=np.int32)
    work = np.zeros(2 * memory * n + 5 * n + 11 * memory**2 + 8 * memory)
    state = [
        np.zeros(size, dtype=kind)
        for size, kind in ((3 * n, np.int32), (2, np.int32), (4, np.int32), (44, np.int32), (29, np.float64))
    ]
    integers, task, flags, counters, numbers = state
    line_search = np.zeros(2, dtype=np.int32)
    wanted = task.data  # numbers of numpy are slow to read
    factor = 2.2204460492503131e-09 / np.finfo(np.float64).eps
    n_iterations = n_calls = 0
    while True:
        steps(
            memory, x, bounds, bounds, kinds, value, gradient, factor, 1e-5, work,
            integers, task, flags, counters, numbers, 20, line_search,
        )  # fmt: skip
        if wanted[0] == 3:
            value, gradient = cost(x)
            n_calls += 1
        elif wanted[0] == 1:
            n_iterations += 1
            if n_iterations >= _MAX_CALLS or n_calls > _MAX_CALLS:
                task[:] = 5, 504
        else:
            return float(value), x
