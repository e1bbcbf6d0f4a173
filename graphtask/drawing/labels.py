"""Places for node labels that cover no node, no edge and no other label."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graphtask.types import BoolArray, FloatArray

_DIRECTIONS = (90, -90, 45, 135, -45, -135, 0, 180, 67, 113, -67, -113, 22, 158, -22, -158)  # degrees
_GAPS = (1.5, 4.0, 7.0)  # points between the node and its label
_INWARD = 6.0  # points on edges that a label may cover rather than lie inside the picture
_APART = np.array([4.0, 0.5])  # points between two labels


class Text(NamedTuple):
    """Text with its width and height in points."""

    content: str
    width: float
    height: float


class Label(NamedTuple):
    """A label to be placed; all lengths are in points."""

    texts: Sequence[Text]
    """Forms of the text, the longest first; a shorter one is chosen where the others have no free place."""
    anchor: FloatArray
    """Center of its node, shape (2,)."""
    radius: float
    """Radius of its node."""
    is_required: bool = False
    """If True the shortest form is placed even if it covers something; otherwise the label is omitted."""


class PlacedText(NamedTuple):
    """Text of a label, and its center."""

    content: str
    center: FloatArray


def place_labels(
    labels: Sequence[Label], *, nodes: FloatArray, radii: FloatArray, curves: FloatArray, bounds: FloatArray
) -> list[PlacedText | None]:
    """Return the text and the place of every label, or None for labels without a free place.

    Args:
        labels: Labels in the order in which they choose a place.
        nodes: Centers of all nodes, shape (nodes, 2).
        radii: Radius of every node.
        curves: Points on the edges, shape (points, 2).
        bounds: Lower left and upper right corner of the picture.

    Example:
        >>> label = Label([Text("a", 8.0, 8.0)], np.zeros(2), 3.0)
        >>> box = np.array([[-50.0, -50.0], [50.0, 50.0]])
        >>> place_labels(
        ...     [label], nodes=np.zeros((1, 2)), radii=np.array([3.0]), curves=np.zeros((0, 2)), bounds=box
        ... )
        [PlacedText(content='a', center=array([0. , 8.5]))]
    """
    taken: list[FloatArray] = []  # centers and half sizes
    found: list[PlacedText | None] = []
    for label in labels:
        placed = None
        for text in label.texts:
            half = np.array([text.width, text.height]) / 2
            centers = label.anchor + _offsets(label.radius, half)
            covered = _covered(centers, half, nodes=nodes, radii=radii, curves=curves, bounds=bounds)
            for box in taken:
                covered += 20 * (np.abs(centers - box[:2]) < half + box[2:] + _APART).all(axis=1)
            cost = covered + _inward(centers, label.anchor, bounds) if label.is_required else covered
            best = int(np.argmin(cost))
            is_last = text is label.texts[-1]
            if covered[best] == 0 or (is_last and label.is_required):
                placed = PlacedText(text.content, centers[best])
                taken.append(np.concatenate([centers[best], half]))
                break
        found.append(placed)
    return found


def _covered(
    centers: FloatArray,
    half: FloatArray,
    *,
    nodes: FloatArray,
    radii: FloatArray,
    curves: FloatArray,
    bounds: FloatArray,
) -> FloatArray:
    """Return the number of points on edges in the box at each place, more for nodes and the space outside."""
    low, high = centers.min(axis=0) - half - 1, centers.max(axis=0) + half + 1
    near = curves[((curves > low) & (curves < high)).all(axis=1)]
    on_nodes = (_distances(nodes, centers, half) < radii + 0.5).sum(axis=1)
    is_outside = ((centers - half < bounds[0]) | (centers + half > bounds[1])).any(axis=1)
    return np.asarray(_inside(near, centers, half).sum(axis=1) + 20.0 * on_nodes + 1000.0 * is_outside)


def _inward(centers: FloatArray, anchor: FloatArray, bounds: FloatArray) -> FloatArray:
    """Return penalties of places on the side of the middle, where the next picture of a grid has other edges."""
    middle, half = bounds.mean(axis=0), (bounds[1] - bounds[0]) / 2
    along = (centers - anchor) / np.linalg.norm(centers - anchor, axis=1, keepdims=True)
    return np.asarray(_INWARD * np.maximum(along @ ((middle - anchor) / half) - 0.3, 0))


def _offsets(radius: float, half: FloatArray) -> FloatArray:
    """Return centers of boxes around a node: near ones first, above and below before the sides."""
    offsets = []
    for gap in _GAPS:
        for degrees in _DIRECTIONS:
            angle = math.radians(degrees)
            direction = np.round([math.cos(angle), math.sin(angle)], 6)
            touch = np.sign(direction) * half * (np.abs(direction) > 0.3)
            offsets.append(direction * (radius + gap) + touch)
    return np.array(offsets)


def _inside(points: FloatArray, centers: FloatArray, half: FloatArray) -> BoolArray:
    return np.asarray((np.abs(points[None] - centers[:, None]) < half + 0.8).all(axis=2))


def _distances(points: FloatArray, centers: FloatArray, half: FloatArray) -> FloatArray:
    beyond = np.maximum(np.abs(points[None] - centers[:, None]) - half, 0)
    distances: FloatArray = np.hypot(beyond[..., 0], beyond[..., 1])
    return distances
