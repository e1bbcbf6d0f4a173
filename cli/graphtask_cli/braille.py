"""Adjacency matrices of graphs in braille characters, for terminals."""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import igraph
    from rich.text import Text

_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of the 4 × 2 dots of a character
_BLANK = 0x2800
_COLORS = ("blue", "cyan", "green", "yellow", "magenta", "red")


def braille(dots: npt.NDArray[np.bool_]) -> list[str]:
    """Return a matrix as lines of braille characters, each for 4 rows and 2 columns.

    Example:
        >>> braille(np.eye(4, dtype=bool))
        ['⠑⢄']
    """
    rows, columns = -(-dots.shape[0] // 4), -(-dots.shape[1] // 2)
    padded = np.zeros((4 * rows, 2 * columns), dtype=bool)
    padded[: dots.shape[0], : dots.shape[1]] = dots
    codes = np.einsum("rick,ik->rc", padded.reshape(rows, 4, columns, 2), _BITS) + _BLANK
    return ["".join(map(chr, line)) for line in codes]


def adjacency_picture(initial: "igraph.Graph", pruned: "igraph.Graph", *, height: int) -> "Text":
    """Return the adjacency matrix of a pruned graph among the nodes of its initial graph, the color of a block its stage.

    Rows are sources and columns targets, in topological order; a dot on the diagonal is a node that is left.
    A dot stands for several nodes where the initial graph has more than ``4 * height``.

    Args:
        initial: Graph before pruning.
        pruned: Graph on some of its nodes.
        height: Largest number of lines, at least 1.
    """
    from rich.text import Text

    from graphtask.graph import NAME, edge_names, node_order, stages

    order = node_order(initial)
    scale = max(1, math.ceil(len(order) / (4 * height)))
    place = {initial.vs[vertex][NAME]: position // scale for position, vertex in enumerate(order)}
    dots = np.zeros((math.ceil(len(order) / scale),) * 2, dtype=bool)
    for source, target in [*((name, name) for name in pruned.vs[NAME]), *edge_names(pruned)]:
        dots[place[source], place[target]] = True
    stage = stages(initial)[order][::scale]
    picture = Text()
    for row, line in enumerate(braille(dots)):
        for column, character in enumerate(line):
            own, other = int(stage[4 * row]), int(stage[2 * column])
            picture.append(character, style=_COLORS[own % len(_COLORS)] if own == other else "default")
        picture.append("\n")
    return picture
