"""Undirected graphs in the format of METIS: a line with the sizes, then the neighbors of each vertex, from 1."""

import numpy as np

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import text_of
from graphtask.storage.limits import check_size
from graphtask.storage.values import one_line


def parse(content: bytes) -> Parts:
    r"""Return the parts of the graph of a METIS file.

    The first line has the numbers of vertices and edges and, optionally, a format of up to three digits (sizes and
    weights of vertices, weights of edges) and the number of weights of a vertex. Weights of edges become ``weight``;
    sizes and weights of vertices become ``vertex_size`` and ``vertex_weight``, the first of several.

    Raises:
        FormatError: The text is not such a file, or its lines do not fit its sizes.

    Example:
        >>> parse(b"% a path\n3 2\n2\n1 3\n2\n").edges
        [(0, 1), (1, 2)]
    """
    lines = [
        line for line in text_of(content).removesuffix("\n").split("\n") if not line.lstrip().startswith("%")
    ]
    while lines and not lines[0].strip():
        del lines[0]
    n_nodes, n_edges, has_size, n_weights, has_edge_weights = _header(lines[0] if lines else "")
    check_size(n_nodes, n_edges, n_cells=0, n_bytes=len(content))
    rows = lines[1 : n_nodes + 1]
    if len(rows) < n_nodes or any(line.strip() for line in lines[n_nodes + 1 :]):
        raise FormatError(f"must have {n_nodes:,} lines after the first, one for each vertex")
    columns: dict[str, list[float]] = {"vertex_size": [], "vertex_weight": []}
    weights: dict[tuple[int, int], float] = {}
    for node, line in enumerate(rows):
        numbers = _numbers(line)
        n_front = has_size + n_weights
        step = 1 + has_edge_weights
        neighbors = numbers[n_front::step]
        if len(numbers) < n_front or (len(numbers) - n_front) % step:
            raise FormatError(f"the line of vertex {node + 1} has too few numbers")
        if not all(1 <= neighbor <= n_nodes and neighbor == int(neighbor) for neighbor in neighbors):
            raise FormatError(f"the line of vertex {node + 1} names a vertex that does not exist")
        for name, present, place in (("vertex_size", has_size, 0), ("vertex_weight", n_weights, has_size)):
            columns[name] += [numbers[place]] if present else []
        values = numbers[n_front + 1 :: step] if has_edge_weights else [1.0] * len(neighbors)
        for neighbor, weight in zip(neighbors, values, strict=True):
            other = int(neighbor) - 1
            weights[min(node, other), max(node, other)] = weight
    if len(weights) != n_edges:
        raise FormatError(f"has {len(weights):,} edges, but its first line says {n_edges:,}")
    return Parts(
        n_nodes=n_nodes,
        edges=list(weights),
        graph_values={},
        vertex_columns={NAME: [str(node + 1) for node in range(n_nodes)]}
        | {name: values for name, values in columns.items() if values},
        edge_columns={"weight": list(weights.values())} if has_edge_weights else {},
        directed=False,
    )


def _header(line: str) -> tuple[int, int, bool, int, bool]:
    words = line.split()
    if not 2 <= len(words) <= 4 or not all(word.isdecimal() and len(word) < 16 for word in words):
        raise FormatError(
            f"is not a METIS file: its first line must hold the numbers of vertices and edges, got {one_line(line)}"
        )
    form = words[2].zfill(3) if len(words) > 2 else "000"
    if len(form) > 3 or set(form) - {"0", "1"}:
        raise FormatError(f"the format of a METIS file must have up to three digits 0 or 1, got {words[2]}")
    n_weights = int(words[3]) if len(words) > 3 else 1
    return int(words[0]), int(words[1]), form[0] == "1", n_weights * (form[1] == "1"), form[2] == "1"


def _numbers(line: str) -> list[float]:
    try:
        found: list[float] = np.asarray(line.split(), dtype=np.float64).tolist()
    except ValueError:
        raise FormatError(f"a line of a METIS file must hold numbers, got {one_line(line)}") from None
    return found
