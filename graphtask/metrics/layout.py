"""Elongation of a graph in its Kamada-Kawai layout.

The cost function, its start and its optimizer are those of networkx's ``kamada_kawai_layout`` (BSD-3-Clause), and the
operations come in its order (`graphtask.layout`), so that the layout is the same to the last bit: a local result
depends on rounding. No step runs in several threads, so the result does not depend on their number either.
"""

import contextlib
import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from graphtask.layout.lbfgs import LayoutProblem, LayoutResult, minimize_all
from graphtask.metrics.invariant import canonical_order
from graphtask.metrics.view import SMALL, GraphView, UndefinedMetricError
from graphtask.types import FloatArray, IntArray
from graphtask.validation import counted

_MAX_WORK = 4e8  # nodes² · calls spent on a layout not selected by name; about 20 s

_MOST_STEPS = 16  # of a search by products of matrices, before one along the edges is faster


class Elongation(NamedTuple):
    """The elongation of the layout with the lowest cost, and the standard deviation over all starts."""

    best: float
    spread: float


def pca_elongation(view: GraphView) -> float:
    """2·(V1 − 0.5), where V1 is the share of variance on the first principal axis of the Kamada-Kawai layout.

    The layout is that of the undirected, unweighted graph, from a circle of the vertices in topological order. It is
    not defined for graphs that are not connected: distances between their components are infinite.

    Example:
        >>> import graphtask as gt
        >>> round(gt.measure(gt.chain_dag(20))["pca_elongation"], 4)
        1.0
    """
    return view.cached(_elongation).best


def pca_elongation_spread(view: GraphView) -> float:
    """Standard deviation (of the sample) of `pca_elongation` over ``layout_starts`` starts."""
    if view.options.layout_starts == 1:
        raise UndefinedMetricError("one start has no spread (pass layout_starts=10, or --layout-starts 10)")
    return view.cached(_elongation).spread


def layout(view: GraphView) -> FloatArray:
    """Positions of shape (nodes, 2), in vertex order: the lowest cost over all starts."""
    layouts = view.cached(_layouts)
    return layouts[_best(layouts)].position


def _elongation(view: GraphView) -> Elongation:
    layouts = view.cached(_layouts)
    values = [_elongation_of(found.position) for found in layouts]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Elongation(values[_best(layouts)], spread)


def _best(layouts: Sequence[LayoutResult]) -> int:
    return int(np.argmin([found.cost for found in layouts]))


def _layouts(view: GraphView) -> list[LayoutResult]:
    """Local minimize_all from every start, with positions of shape (nodes, 2) in vertex order."""
    layouts = []
    for result in view.cached(_results):
        if result is None:
            raise UndefinedMetricError(
                "the layout needs many steps to converge (select it by name to compute it)"
            )
        positions = np.empty((view.n_nodes, 2))
        positions[_start_order(view)] = result.position.reshape(-1, 2)
        layouts.append(LayoutResult(result.cost, positions))
    return layouts


def _results(view: GraphView) -> list[LayoutResult | None]:
    return minimize_all(view.cached(_problems))


def prepare_layouts(views: Sequence[GraphView]) -> None:
    """Compute the layouts of several small graphs in one batch, with the bits that each has unbatched.

    Errors are raised later, where the metrics of the graph are computed.
    """
    problems: dict[GraphView, list[LayoutProblem]] = {}
    for view in views:
        if view.n_nodes > SMALL:
            continue
        with contextlib.suppress(Exception):
            problems[view] = view.cached(_problems)
    found = iter(minimize_all(chain.from_iterable(problems.values())))
    for view, own in problems.items():
        view.store(_results, list(islice(found, len(own))))


def _problems(view: GraphView) -> list[LayoutProblem]:
    if view.n_nodes < 2:
        raise UndefinedMetricError(f"a layout of {counted(view.n_nodes, 'node')} has no variance")
    order = _start_order(view)
    distances = _distances(view)[np.ix_(order, order)]
    max_calls = None if view.allow_slow else int(_MAX_WORK / view.n_nodes**2)
    circle = _circle(view.n_nodes)
    return [LayoutProblem(distances, circle[places].ravel(), max_calls) for places in _places(view)]


def _start_order(view: GraphView) -> IntArray:
    """Return the order in which the vertices are placed on the circle of the first start."""
    return canonical_order(view) if view.options.layout_order == "canonical" else view.order


def _elongation_of(positions: FloatArray) -> float:
    """(λ1 − λ2)/(λ1 + λ2) of the covariance, which is 2·(λ1/(λ1 + λ2) − 0.5)."""
    x, y = (positions - positions.mean(axis=0)).T
    var_x, var_y, covariance = (float(np.add.reduce(product)) for product in (x * x, y * y, x * y))
    if var_x + var_y == 0:
        raise UndefinedMetricError("all nodes of the layout coincide")
    return math.hypot(var_x - var_y, 2 * covariance) / (var_x + var_y)


def _distances(view: GraphView) -> FloatArray:
    n = view.n_nodes
    distances = _dense_distances(view) if n <= SMALL or view.n_edges > n * n / 8 else None
    if distances is None:
        distances = np.asarray(view.graph.distances(mode="all", weights=None), dtype=np.float64)
    if not np.isfinite(distances).all():
        raise UndefinedMetricError("the graph is not connected")
    return distances


def _dense_distances(view: GraphView) -> FloatArray | None:
    """Breadth-first search from all vertices simultaneously, a product of matrices for each step; None if it takes many."""
    n = view.n_nodes
    near = np.eye(n, dtype=np.float32)
    near[view.edges[:, 0], view.edges[:, 1]] = near[view.edges[:, 1], view.edges[:, 0]] = 1
    reached, missing = near, near == 0
    distances, n_missing = np.ones((n, n)), np.count_nonzero(missing)
    np.fill_diagonal(distances, 0.0)
    for _ in range(_MOST_STEPS):
        if n_missing == 0:
            return distances
        distances += missing  # one more for those that are not reached yet
        reached = np.minimum(reached @ near, 1)
        missing, n_before = reached == 0, n_missing
        n_missing = np.count_nonzero(missing)
        if n_missing == n_before:
            distances[missing] = math.inf
            return distances
    return None


@lru_cache(maxsize=64)
def _circle(n: int) -> FloatArray:
    """The circular layout of networkx: angles rounded to float32, centered, and scaled to reach ±1."""
    theta = (np.linspace(0, 1, n + 1)[:-1] * 2 * np.pi).astype(np.float32)
    circle = np.column_stack([np.cos(theta), np.sin(theta)]).astype(np.float64)
    circle -= circle.mean(axis=0)
    circle *= 1 / np.abs(circle).max()
    circle.flags.writeable = False
    return circle


def _places(view: GraphView) -> list[Any]:
    """Places on the circle that the vertices start from: the order itself, then shuffles."""
    if view.options.layout_starts == 1:
        return [slice(None)]
    words = np.random.PCG64(view.options.layout_seed)
    shuffles = [
        np.argsort(words.random_raw(view.n_nodes), kind="stable")
        for _ in range(view.options.layout_starts - 1)
    ]
    return [slice(None), *shuffles]
