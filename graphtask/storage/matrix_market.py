"""Adjacency matrices in the Matrix Market exchange format, as SuiteSparse and scipy write them."""

from typing import Any

import numpy as np

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import text_of
from graphtask.storage.limits import check_size
from graphtask.storage.matrix import sparse_parts
from graphtask.storage.values import one_line

_MAX_HEADER = 1_000


def parse(content: bytes) -> Parts:
    r"""Return the parts of the graph whose adjacency matrix a ``.mtx`` file holds.

    The entry i j is the edge i→j; entries other than 1 are weights. A ``symmetric`` matrix is an undirected graph.

    Raises:
        FormatError: The text is not a square real matrix in this format.

    Example:
        >>> parse(b"%%MatrixMarket matrix coordinate real general\n3 3 2\n1 2 0.5\n2 3 1\n").edges
        [(0, 1), (1, 2)]
    """
    lines = text_of(content).split("\n")
    words = lines[0][:_MAX_HEADER].lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        raise FormatError("is not a Matrix Market file: its first line must be %%MatrixMarket matrix …")
    layout, field, symmetry = words[2:]
    if field not in {"real", "integer", "pattern", "double"} or symmetry not in {"general", "symmetric"}:
        raise FormatError(
            f"holds a matrix that is {field} and {symmetry}; an adjacency matrix is real and general"
        )
    body = [line for line in lines[1:] if line.strip() and not line.lstrip().startswith("%")]
    if not body:
        raise FormatError("the line with the size of the matrix is missing")
    sizes = _numbers(body[0], np.int64)
    read = {"coordinate": _coordinates, "array": _array}.get(layout)
    if read is None:
        raise FormatError(f"the layout {one_line(layout)} is unknown; use coordinate or array")
    if len(sizes) != (3 if layout == "coordinate" else 2) or sizes[0] != sizes[1]:
        raise FormatError("the adjacency matrix must be square, with the sizes in one line")
    n_nodes = int(sizes[0])
    check_size(n_nodes, 0, n_cells=n_nodes, n_bytes=len(content))
    rows, columns, entries = read(body[1:], sizes, field == "pattern", symmetry == "symmetric")
    if symmetry == "symmetric":
        rows, columns = np.minimum(rows, columns), np.maximum(rows, columns)
    return sparse_parts(n_nodes, rows, columns, entries)._replace(directed=symmetry == "general")


_Triples = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def _coordinates(lines: list[str], sizes: Any, is_pattern: bool, _is_symmetric: bool) -> _Triples:
    width = 2 if is_pattern else 3
    if len(lines) != sizes[2]:
        raise FormatError(f"has {len(lines):,} entries, but its second line declares {int(sizes[2]):,}")
    table = _numbers(" ".join(lines), np.float64)
    if len(table) != width * len(lines):
        raise FormatError(f"an entry must have {width} numbers")
    table = table.reshape(-1, width)
    places = table[:, :2]
    if not np.array_equal(places, np.round(places)) or (len(places) and np.abs(places).max() > 2**31):
        raise FormatError("the place of an entry must be two whole numbers")
    whole = places.astype(np.int64) - 1
    return whole[:, 0], whole[:, 1], np.ones(len(lines)) if is_pattern else table[:, 2]


def _array(lines: list[str], sizes: Any, is_pattern: bool, is_symmetric: bool) -> _Triples:
    size = int(sizes[0])
    entries = _numbers(" ".join(lines), np.float64)
    expected = size * (size + 1) // 2 if is_symmetric else size * size
    if is_pattern or len(entries) != expected:
        raise FormatError(
            f"a dense matrix of {size} rows must have {expected:,} entries, got {len(entries):,}"
        )
    if is_symmetric:
        columns, rows = np.triu_indices(size)
    else:
        columns, rows = np.divmod(np.arange(size * size), max(size, 1))
    present = entries != 0
    return rows[present], columns[present], entries[present]


def _numbers(text: str, kind: Any) -> np.ndarray[Any, Any]:
    try:
        return np.array(text.split(), dtype=kind)
    except (ValueError, OverflowError):
        raise FormatError("a number of the matrix cannot be read") from None
