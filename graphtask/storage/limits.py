"""How large the graphs are that files may hold, so that no file can ask for more memory than it is worth."""

from graphtask.errors import FormatError

MAX_BYTES = 256 << 20
MAX_NODES = 2_000_000
MAX_EDGES = 8_000_000
MAX_CELLS = 2_000_000  # values that attributes have room for, present or not; and one more for each byte


def check_size(n_nodes: int, n_edges: int, *, n_cells: int, n_bytes: int) -> None:
    """Raise unless a graph of this size is read.

    Args:
        n_nodes: Number of nodes.
        n_edges: Number of edges.
        n_cells: Number of values that its attributes have room for: elements times attributes.
        n_bytes: Size of the file; a small one may not ask for much memory.

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


def check_bytes(n_bytes: int, *, limit: int | None = None) -> None:
    """Raise unless a file of this size is read.

    Args:
        n_bytes: Size of the file.
        limit: The largest size that its format has; by default `MAX_BYTES`.

    Raises:
        FormatError: The file is larger.
    """
    most = MAX_BYTES if limit is None else min(limit, MAX_BYTES)
    if n_bytes > most:
        raise FormatError(f"is larger than {most:,} bytes; graphs of that size are not read")
