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
MAX_LENGTH = 24  # characters shown; tooltips have the whole text


class Label(NamedTuple):
    """A label to be placed; all lengths are in points."""

    text: str
    anchor: FloatArray
    """Center of its node, shape (2,)."""
    radius: float
    """Radius of its node."""
    size: tuple[float, float]
    """Width and height of the text."""
    is_required: bool = False
    """If True it is placed at the best position, even if that covers something; otherwise it is omitted."""


def shortened(text: object, *, length: int = MAX_LENGTH) -> str:
    r"""Return a text in one line of at most ``length`` printable characters.

    Example:
        >>> shortened("a" * 30), shortened("two\nlines")
        ('aaaaaaaaaaaaaaaaaaaaaaa…', 'two lines')
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def centers_of_labels(
    labels: Sequence[Label], *, nodes: FloatArray, radii: FloatArray, curves: FloatArray, bounds: FloatArray
) -> list[FloatArray | None]:
    """Return the center of every label, or None for labels without a free place.

    Args:
        labels: Labels in the order in which they choose a place.
        nodes: Centers of all nodes, shape (nodes, 2).
        radii: Radius of every node.
        curves: Points on the edges, shape (points, 2).
        bounds: Lower left and upper right corner of the picture.

    Example:
        >>> label = Label("a", np.zeros(2), 3.0, (8.0, 8.0))
        >>> box = np.array([[-50.0, -50.0], [50.0, 50.0]])
        >>> centers_of_labels(
        ...     [label], nodes=np.zeros((1, 2)), radii=np.array([3.0]), curves=np.zeros((0, 2)), bounds=box
        ... )
        [array([0. , 8.5])]
    """
    placed: list[FloatArray] = []  # centers and half sizes
    found: list[FloatArray | None] = []
    for label in labels:
        half = np.array(label.size) / 2
        centers = label.anchor + _offsets(label.radius, half)
        reach = _GAPS[-1] + label.radius + 2 * float(half.max()) + 1
        near = (
            np.abs(curves - label.anchor).max(axis=1) < reach if len(curves) else np.zeros(0, dtype=np.bool_)
        )
        covered = _inside(curves[near], centers, half).sum(axis=1)
        if label.is_required:
            covered = covered + _inward(centers, label.anchor, bounds)
        covered = covered + 20 * (_distances(nodes, centers, half) < radii + 0.5).sum(axis=1)
        for box in placed:
            covered = covered + 20 * (np.abs(centers - box[:2]) < half + box[2:] + _APART).all(axis=1)
        outside = (centers - half < bounds[0]) | (centers + half > bounds[1])
        covered = covered + 1000 * outside.any(axis=1)
        best = int(np.argmin(covered))
        if covered[best] > 0 and not label.is_required:
            found.append(None)
            continue
        found.append(centers[best])
        placed.append(np.concatenate([centers[best], half]))
    return found


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
