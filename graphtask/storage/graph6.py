"""Graphs in the formats graph6, digraph6 and sparse6 of nauty."""

import numpy as np

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts
from graphtask.storage.limits import MAX_EDGES, check_size

_HEADERS = (b">>graph6<<", b">>digraph6<<", b">>sparse6<<")


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in the one line of a graph6, digraph6 or sparse6 file.

    A digraph6 line begins with ``&``, a sparse6 line with ``:``; the other two are undirected.

    Raises:
        FormatError: The file has several lines, or is damaged.

    Example:
        >>> parse(b"&BP?").edges
        [(0, 1), (1, 2)]
        >>> parse(b"Bw").directed
        False
    """
    lines = content.split()
    if len(lines) != 1:
        raise FormatError(f"must hold one graph, got {len(lines)}; split it into one file a graph")
    line = lines[0]
    for header in _HEADERS:
        line = line.removeprefix(header)
    mark = line[:1] if line[:1] in {b"&", b":"} else b""
    codes = np.frombuffer(line[len(mark) :], dtype=np.uint8)
    if len(codes) == 0 or codes.min() < 63 or codes.max() > 126:
        raise FormatError("is not graph6: it has characters other than ? … ~")
    n_nodes, used = _size(codes - 63)
    check_size(n_nodes, 0, n_cells=n_nodes, n_bytes=len(content))
    bits = np.unpackbits((codes[used:] - 63)[:, None], axis=1)[:, 2:].reshape(-1)
    edges = _sparse(bits, n_nodes) if mark == b":" else _dense(bits, n_nodes, directed=mark == b"&")
    return Parts(
        n_nodes=n_nodes,
        edges=edges,
        graph_values={},
        vertex_columns={NAME: [str(node) for node in range(n_nodes)]},
        edge_columns={},
        directed=mark == b"&",
    )


def _size(values: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> tuple[int, int]:
    """Return the number of nodes and the length of its code."""
    length = 1 if values[0] != 63 else 4 if len(values) > 1 and values[1] != 63 else 8
    if len(values) < length:
        raise FormatError("ends within the number of nodes")
    digits = values[0:1] if length == 1 else values[1:4] if length == 4 else values[2:8]
    number = 0
    for digit in digits.tolist():
        number = number << 6 | digit
    return number, length


def _dense(
    bits: "np.ndarray[tuple[int], np.dtype[np.uint8]]", n_nodes: int, *, directed: bool
) -> list[tuple[int, int]]:
    n_pairs = n_nodes * n_nodes if directed else n_nodes * (n_nodes - 1) // 2
    if not n_pairs <= len(bits) < n_pairs + 6:
        raise FormatError(f"a graph of {n_nodes:,} nodes must have {n_pairs:,} bits, got {len(bits):,}")
    present = np.flatnonzero(bits[:n_pairs])
    check_size(n_nodes, len(present), n_cells=0, n_bytes=0)
    if directed:
        return list(map(tuple, np.stack(np.divmod(present, max(n_nodes, 1)), axis=1).tolist()))
    # Pairs in the order (0,1), (0,2), (1,2), (0,3) …: column j begins at j(j−1)/2.
    starts = np.arange(n_nodes) * (np.arange(n_nodes) - 1) // 2
    column = np.searchsorted(starts, present, side="right") - 1
    return list(map(tuple, np.stack([present - starts[column], column], axis=1).tolist()))


def _sparse(bits: "np.ndarray[tuple[int], np.dtype[np.uint8]]", n_nodes: int) -> list[tuple[int, int]]:
    width = max(n_nodes - 1, 1).bit_length()
    n_units = len(bits) // (width + 1)
    units = bits[: n_units * (width + 1)].reshape(n_units, width + 1)
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
    values = (units[:, 1:].astype(np.int64) * weights).sum(axis=1).tolist()
    edges: list[tuple[int, int]] = []
    node = 0
    for step, value in zip(units[:, 0].tolist(), values, strict=True):
        node += step
        if value >= n_nodes or node >= n_nodes:
            break  # padding
        if value > node:
            node = value
        else:
            edges.append((value, node))
        if len(edges) > MAX_EDGES:
            raise FormatError(
                f"the graph has more than {MAX_EDGES:,} edges; graphs of that size are not read"
            )
    return edges
