"""Layered (Sugiyama) layout of DAGs: layers from left to right, few crossings, edges routed between the nodes.

Layers are longest paths, compacted; stages occupy consecutive layers. Every edge that spans several layers passes
through one dummy node per layer. The order within the layers is the best of barycenter sweeps (Sugiyama, Tagawa &
Toda, IEEE Trans. SMC 11, 1981) from the order of igraph's Sugiyama layout and from a depth-first order. Heights minimize the squared steepness of the edges for this order, by
alternating least squares with a result distance in every layer (pool-adjacent-violators).
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import igraph
import numpy as np

from graphtask.types import FloatArray, IntArray

_ORDER_SWEEPS = 24  # over all layers, alternately from either side
_SWEEPS = 24  # over all layers, alternately from either side
_DUMMY_SIZE = 0.45  # height that an edge takes up, in those of a node
_PULL = 0.03  # towards the middle, as a share of the weight of the edges


class Layered(NamedTuple):
    """A layered layout."""

    positions: FloatArray
    """Layer and height of every node, shape (nodes, 2)."""
    routes: list[FloatArray]
    """Points that every edge passes through, its ends included, shape (points, 2) each."""


def layers_of(n_nodes: int, edges: IntArray, order: Sequence[int], stage: IntArray) -> IntArray:
    """Return the layer of every node: edges lead to later layers, and so do stages.

    Args:
        n_nodes: Number of nodes.
        edges: Source and target of every edge, shape (edges, 2).
        order: Nodes in a topological order that is sorted by stage.
        stage: Stage of every node.

    Example:
        >>> layers_of(
        ...     4, np.array([[0, 1], [1, 2], [0, 3], [2, 3]]), range(4), np.zeros(4, dtype=int)
        ... ).tolist()
        [0, 1, 2, 3]
    """
    before: list[list[int]] = [[] for _ in range(n_nodes)]
    after: list[list[int]] = [[] for _ in range(n_nodes)]
    for source, target in edges.tolist():
        before[target].append(source)
        after[source].append(target)
    layer = np.zeros(n_nodes, dtype=np.int64)
    first, last, current = 0, -1, None
    for node in order:
        if stage[node] != current:
            first, current = last + 1, stage[node]
        layer[node] = max([first, *(layer[other] + 1 for other in before[node])])
        last = max(last, int(layer[node]))
    bound = {int(s): int(layer[stage == s].max()) for s in np.unique(stage)}
    for node in reversed(list(order)):  # shorten edges: nodes with more successors move towards them
        if len(after[node]) > len(before[node]) > 0:
            latest = min(layer[other] for other in after[node]) - 1
            layer[node] = min(latest, bound[int(stage[node])])
    return layer


def n_dummies(edges: IntArray, layer: IntArray) -> int:
    """Return the number of dummy nodes that `layered` needs; its time grows with their number."""
    return int((layer[edges[:, 1]] - layer[edges[:, 0]] - 1).sum()) if len(edges) else 0


def layered(n_nodes: int, edges: IntArray, layer: IntArray) -> Layered:
    """Return positions and edge routes with few crossings.

    Args:
        n_nodes: Number of nodes.
        edges: Source and target of every edge, shape (edges, 2).
        layer: Layer of every node; larger at the target of an edge than at its source.

    Example:
        >>> found = layered(3, np.array([[0, 1], [1, 2], [0, 2]]), np.array([0, 1, 2]))
        >>> found.positions[:, 0].tolist(), [len(route) for route in found.routes]
        ([0.0, 1.0, 2.0], [2, 2, 3])
    """
    layers = layer.tolist()
    chains = []
    for source, target in edges.tolist():
        dummies = range(len(layers), len(layers) + layers[target] - layers[source] - 1)
        layers += range(layers[source] + 1, layers[target])
        chains.append([source, *dummies, target])
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    members = _fewest_crossings(layers, pairs)
    height = _heights(members, pairs, n_nodes)
    points = np.stack([np.asarray(layers, dtype=np.float64), height], axis=1)
    return Layered(points[:n_nodes], [points[chain] for chain in chains])


def _fewest_crossings(layers: list[int], pairs: list[tuple[int, int]]) -> list[IntArray]:
    """Return the points of every layer in an order with few crossings: the best of barycenter sweeps from two starts."""
    expanded = igraph.Graph(n=len(layers), edges=pairs, directed=True)
    by_igraph = np.asarray(expanded.layout_sugiyama(layers=layers, maxiter=200).coords).reshape(-1, 2)[:, 0]
    by_depth_first = np.empty(len(layers))
    by_depth_first[_depth_first(expanded)] = np.arange(len(layers))
    layer = np.asarray(layers)
    found = []
    for start in (by_igraph, by_depth_first):
        members = [np.flatnonzero(layer == k) for k in range(int(layer.max(initial=0)) + 1)]
        members = [nodes[np.argsort(start[nodes], kind="stable")] for nodes in members if len(nodes)]
        found.append(_swept(members, layer, pairs))
    return min(found, key=lambda result: result[0])[1]


def _depth_first(graph: igraph.Graph) -> list[int]:
    seen: dict[int, None] = {}
    waiting = [node for node in range(graph.vcount() - 1, -1, -1) if graph.degree(node, mode="in") == 0]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen[node] = None
            waiting += reversed(graph.successors(node))
    return list(seen)


def _swept(
    members: list[IntArray], layer: IntArray, pairs: list[tuple[int, int]]
) -> tuple[int, list[IntArray]]:
    """Return the fewest crossings found in sweeps from this order, and the order that has them."""
    n_points = len(layer)
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    between = [np.flatnonzero(layer[first] == k) for k in range(len(members))]
    place = np.empty(n_points)
    for nodes in members:
        place[nodes] = np.arange(len(nodes))
    best = (_n_crossings(place, first, second, between), members)
    for sweep in range(_ORDER_SWEEPS):
        members = list(members)
        forward = sweep % 2 == 0
        here, there = (second, first) if forward else (first, second)
        for k in range(1, len(members)) if forward else range(len(members) - 2, -1, -1):
            ids = between[k - 1] if forward else between[k]
            count = np.bincount(here[ids], minlength=n_points)[members[k]]
            total = np.bincount(here[ids], place[there[ids]], minlength=n_points)[members[k]]
            wanted = np.where(count > 0, total / np.maximum(count, 1), place[members[k]])
            members[k] = members[k][np.argsort(wanted, kind="stable")]
            place[members[k]] = np.arange(len(members[k]))
        crossings = _n_crossings(place, first, second, between)
        if crossings < best[0]:
            best = (crossings, members)
    return best


def _n_crossings(place: FloatArray, first: IntArray, second: IntArray, between: list[IntArray]) -> int:
    """Return the number of pairs of edges between adjacent layers that cross: inversions of their ends."""
    crossings = 0
    for ids in between:
        order = np.lexsort((place[second[ids]], place[first[ids]]))
        ends: list[float] = []
        for end in place[second[ids]][order].tolist():
            at = bisect_right(ends, end)
            crossings += len(ends) - at
            ends.insert(at, end)
    return crossings


def _heights(members: list[IntArray], pairs: list[tuple[int, int]], n_nodes: int) -> FloatArray:
    """Return heights in the order of every layer, with short and straight edges."""
    n_points = sum(map(len, members))
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    is_dummy = np.arange(n_points) >= n_nodes
    weight = np.where(
        is_dummy[first] & is_dummy[second], 6.0, np.where(is_dummy[first] | is_dummy[second], 2.0, 1.0)
    )
    total = np.bincount(first, weight, n_points) + np.bincount(second, weight, n_points)
    size = np.where(is_dummy, _DUMMY_SIZE, 1.0)
    floors = []
    height = np.zeros(n_points)
    for nodes in members:
        gaps = (size[nodes[1:]] + size[nodes[:-1]]) / 2
        floor = np.concatenate([[0.0], np.cumsum(gaps)])
        floors.append(floor - floor.mean())
        height[nodes] = floors[-1]
    incident = _incident(first, second, weight, n_points)
    for sweep in range(_SWEEPS):
        for nodes, floor in list(zip(members, floors, strict=True))[:: 1 if sweep % 2 == 0 else -1]:
            wanted = np.array(
                [(weights * height[others]).sum() for others, weights in map(incident.__getitem__, nodes)]
            )
            wanted = wanted / np.maximum(total[nodes] * (1 + _PULL), 1e-9)
            height[nodes] = _increasing(wanted - floor, np.maximum(total[nodes], 1e-9)) + floor
    return height


def _incident(
    first: IntArray, second: IntArray, weight: FloatArray, n_points: int
) -> list[tuple[IntArray, FloatArray]]:
    """Return the neighbors of every point, with the weights of the edges to them."""
    ends, others = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.argsort(ends, kind="stable")
    bounds = np.searchsorted(ends[order], np.arange(n_points + 1))
    both = np.concatenate([weight, weight])[order]
    return [(others[order][low:high], both[low:high]) for low, high in pairwise(bounds)]


def _increasing(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted least-squares fit that never decreases (pool-adjacent-violators)."""
    blocks: list[list[float]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, heavy, length = blocks.pop()
            last = blocks[-1]
            blocks[-1] = [
                (last[0] * last[1] + mean * heavy) / (last[1] + heavy),
                last[1] + heavy,
                last[2] + length,
            ]
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])
