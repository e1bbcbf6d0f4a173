"""Kamada-Kawai layout for drawings: input on the left, nodes in their order."""

import math
from typing import NamedTuple

import igraph
import numpy as np

from graphtask.graph import node_order
from graphtask.layout.kamada_kawai import Cost, stress_cost
from graphtask.types import FloatArray

_EFFORT = 2e7  # pairs of nodes looked at from each start; large graphs start close to their result
_ELONGATED = 0.625  # share of variance on the first axis from which a layout counts as elongated (as in q1d)


class _Layout(NamedTuple):
    points: FloatArray
    cost: float


class _MainAxis(NamedTuple):
    direction: FloatArray
    share: float  # of the variance


def kamada_kawai(graph: igraph.Graph) -> FloatArray:
    """Return positions for drawing, shape (nodes, 2), in vertex order; deterministic.

    Kamada and Kawai's stress of the undirected, unweighted graph, minimized from two starts: nodes on a disk from left
    to right in topological order, and classical scaling of their distances. The lower cost wins, but a round layout
    must be clearly better than the first, which keeps the order of the nodes. The result is rotated: input left,
    output right. The layout behind ``pca_elongation`` has its own, published start.

    Example:
        >>> import graphtask as gt
        >>> positions = kamada_kawai(gt.chain_dag(5, stages=1))
        >>> bool((positions[1:, 0] > positions[:-1, 0]).all())
        True
    """
    order = node_order(graph)
    distances = np.asarray(graph.distances(mode="all"), dtype=np.float64)
    cost = stress_cost(distances)
    in_order, by_distance = (
        _relaxed(cost, start)
        for start in (_ordered_disk(order) * distances.max(), _classical_scaling(distances))
    )
    margin = 1.0 if _main_axis(by_distance.points).share >= _ELONGATED else 0.97
    chosen = by_distance if by_distance.cost < margin * in_order.cost else in_order
    turned = _turned(chosen.points, order)
    return _turned(_twins_in_order(turned, distances, order), order)


def _twins_in_order(positions: FloatArray, distances: FloatArray, order: list[int]) -> FloatArray:
    """Return the same layout with interchangeable nodes in topological order from left to right.

    Two nodes with equal distances to all others may change places at no cost, so the optimizer leaves them in any
    order. In a full DAG these are all nodes.
    """
    n_nodes = len(order)
    blocks: dict[tuple[bytes, bool], list[int]] = {}
    adjacent = distances == 1
    for is_joined, rows in ((False, adjacent), (True, adjacent | np.eye(n_nodes, dtype=np.bool_))):
        for node in order:
            blocks.setdefault((rows[node].tobytes(), is_joined), []).append(node)
    result = positions.copy()
    for twins in blocks.values():
        if len(twins) > 1:
            spots = sorted(positions[twins].tolist())
            result[twins] = spots
    return result


def _relaxed(cost: Cost, start: FloatArray) -> _Layout:
    from scipy.optimize import minimize

    steps = int(np.clip(_EFFORT / len(start) ** 2, 25, 500))
    found = minimize(cost, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return _Layout(found.x.reshape(-1, 2), float(found.fun))


def _ordered_disk(order: list[int]) -> FloatArray:
    """Return points spread evenly over a disk, assigned from left to right in the given order of the nodes."""
    index = np.arange(len(order))
    radius, angle = np.sqrt((index + 0.5) / len(order)), index * math.pi * (3 - math.sqrt(5))
    points = 0.5 * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    positions = np.empty_like(points)
    positions[order] = points[np.argsort(points[:, 0], kind="stable")]
    return positions


def _classical_scaling(distances: FloatArray) -> FloatArray:
    n_nodes = len(distances)
    if n_nodes < 4:
        return np.stack([np.arange(n_nodes, dtype=np.float64), np.zeros(n_nodes)], axis=1)
    squared = distances**2
    gram = -0.5 * (squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean())
    values, vectors = _largest_two(gram)
    jitter = 1e-3 * np.stack([np.cos(np.arange(n_nodes)), np.sin(np.arange(n_nodes))], axis=1)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) + jitter, dtype=np.float64)


def _largest_two(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the two largest eigenvalues of a symmetric matrix, and their vectors in columns."""
    from scipy.linalg import eigh
    from scipy.sparse.linalg import ArpackError, eigsh

    n_rows = len(matrix)
    try:
        values, vectors = eigsh(matrix, k=2, which="LA", v0=np.linspace(1.0, 2.0, n_rows))
    except ArpackError:  # with many equal eigenvalues, as for a full DAG, some versions fail to converge
        values, vectors = eigh(matrix, subset_by_index=(n_rows - 2, n_rows - 1))
    return values, vectors


def _turned(positions: FloatArray, order: list[int]) -> FloatArray:
    """Return the layout rotated: input on the left and in the upper half."""
    centered = positions - positions.mean(axis=0)
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order)) - (len(order) - 1) / 2
    onward = ranks @ centered
    main = _main_axis(positions)
    axis = main.direction if main.share >= _ELONGATED else onward
    length = np.linalg.norm(axis)
    axis = axis / length if length > 0 else np.array([1.0, 0.0])
    if axis @ onward < 0:
        axis = -axis
    turned: FloatArray = centered @ np.array([[axis[0], -axis[1]], [axis[1], axis[0]]])
    if turned[order[0], 1] < 0:
        turned[:, 1] *= -1
    return turned


def _main_axis(positions: FloatArray) -> _MainAxis:
    centered = positions - positions.mean(axis=0)
    spread, axes = np.linalg.eigh(centered.T @ centered)
    return _MainAxis(axes[:, 1], float(spread[1] / max(spread.sum(), 1e-300)))
