"""Where the nodes of a graph go in a picture."""

import math

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.graph import node_order

FloatArray = npt.NDArray[np.float64]

_ELONGATED = 0.625  # share of variance on the first axis from which a layout counts as elongated (as in q1d)


def kamada_kawai(graph: igraph.Graph) -> FloatArray:
    """Positions for drawing, shape (nodes, 2), in the graph's vertex order; the same every time.

    igraph's Kamada-Kawai minimisation of the undirected, unweighted graph from two starts (nodes spread over a
    disk in topological order; classical scaling of the distances), of which the one with the lower cost is
    kept, turned so that the input is on the left and the output on the right. It is made to look right; the
    layout that `pca_elongation` is measured on has its own, published start.

    Example:
        >>> import graphtask as gt
        >>> positions = kamada_kawai(gt.chain_dag(5, stages=1))
        >>> bool((positions[1:, 0] > positions[:-1, 0]).all())
        True
    """
    distances = np.asarray(graph.distances(mode="all"), dtype=np.float64)
    order = node_order(graph)
    best, lowest = np.zeros((graph.vcount(), 2)), math.inf
    for start, width in ((_ordered_disk(order), 2.0), (_classical_scaling(distances), 1.0)):
        # igraph aims at a layout of about √n across; a disk twice as wide contracts without losing its order.
        scaled = start * width * math.sqrt(graph.vcount()) / max(float(np.ptp(start, axis=0).max()), 1e-9)
        layout = graph.layout_kamada_kawai(maxiter=100 * graph.vcount(), seed=scaled.tolist())
        positions = np.asarray(layout.coords, dtype=np.float64)
        cost = _cost(positions, distances)
        if (
            cost < 0.99 * lowest
        ):  # the first start keeps the order, so it wins unless the other is clearly better
            best, lowest = positions, cost
    return _turned(best, order)


def _ordered_disk(order: list[int]) -> FloatArray:
    """Points spread evenly over a disk, handed out from left to right in the given order of the nodes."""
    index = np.arange(len(order))
    radius, angle = np.sqrt((index + 0.5) / len(order)), index * math.pi * (3 - math.sqrt(5))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    positions = np.empty_like(points)
    positions[order] = points[np.argsort(points[:, 0], kind="stable")]
    return positions


def _classical_scaling(distances: FloatArray) -> FloatArray:
    from scipy.sparse.linalg import eigsh

    n_nodes = len(distances)
    if n_nodes < 4:
        return np.stack([np.arange(n_nodes, dtype=np.float64), np.zeros(n_nodes)], axis=1)
    squared = distances**2
    gram = -0.5 * (squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean())
    values, vectors = eigsh(gram, k=2, v0=np.linspace(1.0, 2.0, n_nodes))
    jitter = 1e-3 * np.stack([np.cos(np.arange(n_nodes)), np.sin(np.arange(n_nodes))], axis=1)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) + jitter, dtype=np.float64)


def _cost(positions: FloatArray, distances: FloatArray) -> float:
    """Kamada and Kawai's energy of the layout at its best scale, relative to that of all nodes in one point."""
    pairs = np.triu_indices(len(positions), 1)
    apart = np.hypot(*(positions[pairs[0]] - positions[pairs[1]]).T)
    ratio = apart / distances[pairs]
    return float(1.0 - ratio.sum() ** 2 / (len(ratio) * (ratio**2).sum()))


def _turned(positions: FloatArray, order: list[int]) -> FloatArray:
    """The same layout with its input side on the left, and its input in the upper half."""
    centred = positions - positions.mean(axis=0)
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order)) - (len(order) - 1) / 2
    onward = ranks @ centred
    spread, axes = np.linalg.eigh(centred.T @ centred)
    axis = axes[:, 1] if spread[1] >= _ELONGATED * spread.sum() else onward
    length = np.linalg.norm(axis)
    axis = axis / length if length > 0 else np.array([1.0, 0.0])
    if axis @ onward < 0:
        axis = -axis
    turned: FloatArray = centred @ np.array([[axis[0], -axis[1]], [axis[1], axis[0]]])
    if turned[order[0], 1] < 0:
        turned[:, 1] *= -1
    return turned
