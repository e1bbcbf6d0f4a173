"""Bounds on the graphs in files, so that memory stays in proportion to the size of a file."""

import math
from collections.abc import Sequence

from graphtask.errors import FormatError

MAX_BYTES = 256 << 20
MAX_NODES = 2_000_000
MAX_EDGES = 8_000_000
_MAX_DIMENSIONS = 64  # of a tensor
MAX_CELLS = 2_000_000  # attribute values, present or absent, next to one for each byte


def check_size(n_nodes: int, n_edges: int, *, n_cells: int, n_bytes: int) -> None:
    """Raise if a graph is too large to be read.

    Args:
        n_nodes: Number of nodes.
        n_edges: Number of edges.
        n_cells: Number of attribute values, present or absent: elements times attributes.
        n_bytes: Size of the file.

    Raises:
        FormatError: There are too many nodes, edges, or values.
    """
    for count, limit, what in (
        (n_nodes, MAX_NODES, "nodes"),
        (n_edges, MAX_EDGES, "edges"),
        (n_cells, MAX_CELLS + n_bytes, "attribute values, present or absent"),
    ):
        if count > limit:
            raise FormatError(f"the graph has more than {limit:,} {what}; graphs of that size are not read")


def n_elements(sizes: Sequence[int]) -> int:
    """Return the number of elements of a tensor.

    Raises:
        FormatError: No tensor has these sizes.

    Example:
        >>> n_elements([8, 3, 3])
        72
    """
    fits = len(sizes) <= _MAX_DIMENSIONS and all(0 <= size < 2**63 for size in sizes)
    count = math.prod(sizes) if fits else -1
    if not 0 <= count < 2**63:
        raise FormatError(f"has a tensor of {len(sizes):,} dimensions that no computer holds")
    return count


def check_bytes(n_bytes: int, *, limit: int | None = None) -> None:
    """Raise if a file is too large to be read.

    Args:
        n_bytes: Size of the file.
        limit: Largest size of its format; by default `MAX_BYTES`.

    Raises:
        FormatError: The file is larger.
    """
    most = MAX_BYTES if limit is None else min(limit, MAX_BYTES)
    if n_bytes > most:
        raise FormatError(f"is larger than {most:,} bytes; graphs of that size are not read")
