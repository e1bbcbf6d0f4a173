"""Adjacency matrices: a nonzero entry at row i and column j is an edge from node i to node j."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphtask.errors import FormatError
from graphtask.graph import NAME, WEIGHT
from graphtask.storage.assembly import Parts
from graphtask.storage.limits import check_size
from graphtask.types import IntArray


def dense_parts(matrix: npt.NDArray[Any], *, names: Sequence[str] | None = None) -> Parts:
    """Return the parts of the graph with a dense adjacency matrix of shape (nodes, nodes).

    Raises:
        FormatError: The matrix is not square, or its entries are not finite numbers.

    Example:
        >>> dense_parts(np.array([[0, 0.5], [0, 0]])).edges
        [(0, 1)]
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        shape = " × ".join(map(str, matrix.shape))
        raise FormatError(f"an adjacency matrix must be square, got the shape {shape}")
    _check_numbers(matrix)
    check_size(len(matrix), int(np.count_nonzero(matrix)), n_cells=0, n_bytes=0)
    rows, columns = np.nonzero(matrix)
    return sparse_parts(matrix.shape[0], rows, columns, matrix[rows, columns], names=names)


def sparse_parts(
    n_nodes: int,
    rows: IntArray,
    columns: IntArray,
    entries: npt.NDArray[Any],
    *,
    names: Sequence[str] | None = None,
) -> Parts:
    """Return the parts of the graph with these entries of its adjacency matrix; entries of one place are added.

    Entries other than 1 are the weights of the edges.

    Raises:
        FormatError: A place is outside of the matrix, an entry is not a finite number, or there are too many.
    """
    check_size(n_nodes, len(entries), n_cells=n_nodes, n_bytes=0)
    _check_numbers(entries)
    for places in (rows, columns):
        if places.dtype.kind not in "iu" or (len(places) and not 0 <= places.min() <= places.max() < n_nodes):
            raise FormatError(
                f"an entry of the adjacency matrix is outside of its {n_nodes} rows and columns"
            )
    keys, inverse = np.unique(rows.astype(np.int64) * n_nodes + columns.astype(np.int64), return_inverse=True)
    sums = np.zeros(len(keys))
    np.add.at(sums, inverse.reshape(-1), entries.astype(np.float64))
    present = sums != 0
    ends = np.stack(np.divmod(keys[present], max(n_nodes, 1)), axis=1)
    weights = sums[present]
    return Parts(
        n_nodes=n_nodes,
        edges=list(map(tuple, ends.tolist())),
        graph_values={},
        vertex_columns={} if names is None else {NAME: list(names)},
        edge_columns={} if bool((weights == 1).all()) else {WEIGHT: weights.tolist()},
    )


def edge_parts(
    edges: npt.NDArray[Any], *, weights: npt.NDArray[Any] | None = None, n_nodes: int = 0
) -> Parts:
    """Return the parts of the graph with an edge list of integers, of shape (2, edges) or (edges, 2).

    Args:
        edges: Source and target of each edge. An array of shape (2, 2) has a row for the sources.
        weights: Weight of each edge, of shape (edges,).
        n_nodes: Number of nodes, if it is larger than the largest end.

    Raises:
        FormatError: The array has another shape or type, or an end is negative.

    Example:
        >>> edge_parts(np.array([[0, 1, 0], [1, 2, 2]]), weights=np.array([0.5, 1, 0.25])).edges
        [(0, 1), (1, 2), (0, 2)]
    """
    if edges.ndim != 2 or 2 not in edges.shape or edges.dtype.kind not in "iu":
        shape = " × ".join(map(str, edges.shape))
        raise FormatError(f"an edge list must be integers of the shape 2 × edges, got {edges.dtype} {shape}")
    ends = edges if edges.shape[0] == 2 else edges.T
    if weights is not None and weights.shape != ends.shape[1:]:
        raise FormatError(f"{ends.shape[1]} edges must have as many weights, got {weights.size}")
    if ends.size and ends.min() < 0:
        raise FormatError("an end of an edge is negative")
    n_nodes = max(n_nodes, int(ends.max(initial=-1)) + 1)
    check_size(n_nodes, ends.shape[1], n_cells=n_nodes, n_bytes=edges.nbytes)
    return Parts(
        n_nodes=n_nodes,
        edges=list(zip(*ends.tolist(), strict=True)),
        graph_values={},
        vertex_columns={},
        edge_columns={} if weights is None else {WEIGHT: weights.tolist()},
    )


def _check_numbers(entries: npt.NDArray[Any]) -> None:
    if entries.dtype.kind not in "biuf":
        raise FormatError(f"an adjacency matrix must hold numbers, got {entries.dtype}")
    if not np.isfinite(entries).all():
        raise FormatError(
            "an adjacency matrix must hold finite numbers, got NaN or infinity; write 0 for a missing edge"
        )
