"""Number of trainable parameters of the network of a graph, as a polynomial in its channels.

One convolution/BN pair from ``a`` to ``b`` channels, BN(Conv3×3) + BN(Conv1×1) without bias, holds
9ab + ab + 4b parameters. With ``C·2^s`` channels in stage s, the sum over all blocks is quadratic in C.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import igraph
import numpy as np

from graphtask.graph import edge_array, stages
from graphtask.types import IntArray

_FEW_STAGES = 8  # up to this number, stages are not renumbered


class ParameterPolynomial(NamedTuple):
    """Number of parameters as ``square·C² + linear·C + constant``."""

    square: int
    linear: int
    constant: int

    def at(self, channels: int) -> int:
        """Return the number of parameters at ``channels`` channels in stage 0."""
        return (self.square * channels + self.linear) * channels + self.constant


def parameter_polynomial(
    graph: igraph.Graph, *, in_channels: int = 3, n_classes: int = 10
) -> ParameterPolynomial:
    """Return the number of trainable parameters of the compiled network, as a polynomial in its channels C.

    It counts one input block, one node block for every other node, one reduce block for every pair of a node and
    a later stage that it has an edge into, one weight per edge, and a linear head.

    Args:
        graph: A valid architecture graph (see `graphtask.check_graph`).
        in_channels: Channels of the images.
        n_classes: Outputs of the head.

    Example:
        >>> import graphtask as gt
        >>> parameter_polynomial(gt.full_dag(60, stages=3))
        ParameterPolynomial(square=6990, linear=1430, constant=1780)
        >>> parameter_polynomial(gt.full_dag(60, stages=3)).at(11)
        863300
    """
    return polynomial_of(edge_array(graph), stages(graph), in_channels=in_channels, n_classes=n_classes)


def polynomial_of(
    edges: IntArray, stage: IntArray, *, in_channels: int, n_classes: int
) -> ParameterPolynomial:
    """Return the polynomial from arrays: edges of shape (edges, 2), and the stage of every vertex."""
    first, last = int(stage.min()), int(stage.max())  # of the input and the output: stages never decrease
    square = -10 * 4**first  # the input node has a block of its own, from the image's channels
    linear = 10 * in_channels * 2**first + n_classes * 2**last
    for before, after, n_blocks in _blocks(edges, stage):
        square += n_blocks * 10 * 2 ** (before + after)
        linear += n_blocks * 4 * 2**after
    return ParameterPolynomial(square, linear, len(edges) + n_classes)


def _blocks(edges: IntArray, stage: IntArray) -> Iterator[tuple[int, int, int]]:
    """Yield stage before, stage after and number of blocks: one per node, and one per node and later stage it feeds."""
    if stage.max() < _FEW_STAGES:
        levels, level = np.arange(_FEW_STAGES), stage
    else:
        levels, level = np.unique(stage, return_inverse=True)
    n_levels = len(levels)
    source, target = level[edges[:, 0]], level[edges[:, 1]]
    rising = np.flatnonzero(source != target)
    feeds = _distinct(edges[rising, 0] * n_levels + target[rising], len(stage) * n_levels)
    node, after = divmod(feeds, n_levels)
    pairs = np.concatenate([level * (n_levels + 1), level[node] * n_levels + after])
    for pair, n_blocks in Counter(pairs.tolist()).items():
        yield int(levels[pair // n_levels]), int(levels[pair % n_levels]), n_blocks


def _distinct(keys: IntArray, n_possible: int) -> IntArray:
    """Return the distinct keys below ``n_possible``, by a table if it is not much longer than the keys."""
    if n_possible > 8 * len(keys) + 4096:
        return np.unique(keys)
    seen = np.zeros(n_possible, dtype=np.bool_)
    seen[keys] = True
    return np.flatnonzero(seen)
