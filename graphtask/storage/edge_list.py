"""Graphs in lines of text: an edge list (source, target, and what else an edge has), or an adjacency matrix."""

import ast
import re
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from graphtask.errors import FormatError
from graphtask.graph import NAME, WEIGHT
from graphtask.storage.assembly import Parts
from graphtask.storage.limits import check_size
from graphtask.storage.matrix import dense_parts
from graphtask.storage.text_rows import Row, Table
from graphtask.storage.values import one_line
from graphtask.validation import counted

_SOURCES = frozenset(
    [
        "source",
        "src",
        "from",
        "tail",
        "start",
        "parent",
        "predecessor",
        "u",
        "i",
        "node1",
        "id1",
        "sourceid",
        "fromid",
        "fromnode",
        "fromnodeid",
        "sourcenode",
    ]
)
_TARGETS = frozenset(
    [
        "target",
        "tgt",
        "dst",
        "to",
        "head",
        "end",
        "child",
        "successor",
        "v",
        "j",
        "node2",
        "id2",
        "targetid",
        "toid",
        "tonode",
        "tonodeid",
        "targetnode",
    ]
)
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+|[+-]?(?:inf|nan)", re.IGNORECASE
)
_DIRECTIONS = {"directed": True, "undirected": False}
_BRACKETS = frozenset("[]")
_MAX_ENTRIES = 20_000_000
_MAX_RECORD = 10_000  # characters of the attributes of one edge


def parse(content: bytes) -> Parts:
    r"""The parts of the graph in a text file: an edge list, or an adjacency matrix.

    A line of an edge list is ``source target`` or ``source target weight``, or what a first line with names of
    columns says (``source,target,weight,color``: any words for source and target that are in use), or what
    networkx writes: ``source target {'weight': 0.5}``. Nodes are named as in the file, and stand in the order in
    which they come up. A first line counts as names of columns if it names no node of another line.

    A square table of numbers with a zero diagonal is an adjacency matrix, with or without the names of the nodes in
    the first line and column. (A table of three columns could be both; but where one reading gives a graph without
    cycles, the other has a self-loop.)

    Raises:
        FormatError: A line is neither; the message names it.

    Example:
        >>> parse(b"# from to\na b\nb c\n").edges, parse(b"0 1 1\n0 0 1\n0 0 0\n").edges
        ([(0, 1), (1, 2)], [(0, 1), (0, 2), (1, 2)])
    """
    return _parts(Table(content, commas=False), n_bytes=len(content))


def parse_separated(content: bytes) -> Parts:
    """As `parse`, of a file whose name says that its columns are separated by commas, semicolons or tabs."""
    return _parts(Table(content, commas=True), n_bytes=len(content))


def _parts(table: Table, *, n_bytes: int) -> Parts:
    header = _header(table)
    if header is not None:
        return _edges(_under(header, table, n_bytes=n_bytes))
    return _matrix(table) or _edges(_bare(table, n_bytes=n_bytes))


# Adjacency matrices ------------------------------------------------------------------------------------------------


def _matrix(table: Table) -> Parts | None:
    """The parts of an adjacency matrix, or None if the table is none."""
    width = len(table.first.cells)
    if table.n_lines not in {width, width + 1}:
        return None
    if width * width > _MAX_ENTRIES:
        raise FormatError(f"has more than {_MAX_ENTRIES:,} cells; store large matrices as .npz")
    names, body = _names_and_body([row.cells for row in table])
    size = len(body)
    if size < 2 or any(len(cells) != size for cells in body):
        return None
    if not all(_NUMBER.fullmatch(cell) for cells in body for cell in cells):
        return None
    matrix = np.array([[float(cell) for cell in cells] for cells in body])
    if (size == 2 or (size == 3 and names is None)) and not _is_no_edge_list(matrix):
        return None
    return dense_parts(matrix, names=names)


def _names_and_body(lines: list[list[str]]) -> tuple[list[str] | None, list[list[str]]]:
    first, others = lines[0], lines[1:]
    has_corner = first[0] == "" or not _NUMBER.fullmatch(first[-1])
    if len(first) == len(lines) and has_corner and first[1:] == [cells[0] for cells in others]:
        return first[1:], [cells[1:] for cells in others]
    if len(first) == len(others) and not any(_NUMBER.fullmatch(cell) for cell in first):
        return first, others
    return None, lines


def _is_no_edge_list(matrix: np.ndarray[Any, Any]) -> bool:
    return not matrix.diagonal().any() and bool((matrix[:, 0] == matrix[:, 1]).any())


# Edge lists --------------------------------------------------------------------------------------------------------


class _EdgeList:
    """The edges found so far, and what is known about them."""

    def __init__(self) -> None:
        self.position: dict[str, int] = {}
        self.edges: list[tuple[int, int]] = []
        self.columns: dict[str, list[Any]] = {}

    def add(self, row: Row, source: str, target: str) -> None:
        """One more edge."""
        for name in (source, target):
            if not name:
                _refuse(row, "an edge lacks its source or its target")
            if name in _BRACKETS:
                _refuse(row, "a bracket is no node; check the suffix of the file")
        place = self.position.setdefault
        self.edges.append((place(source, len(self.position)), place(target, len(self.position))))


def _header(table: Table) -> list[str] | None:
    """The names of the columns in the first line, if that is what it holds."""
    first = table.first.cells
    words = ["".join(filter(str.isalnum, cell.lower())) for cell in first]
    source = next((index for index, word in enumerate(words) if word in _SOURCES), None)
    target = next((index for index, word in enumerate(words) if word in _TARGETS), None)
    if source is None or target is None:
        return None
    ends = {first[source], first[target]}
    for row in islice(table, 1, None):
        if not ends.isdisjoint(row.cells[index] for index in (source, target) if index < len(row.cells)):
            return None
    if len(set(first)) < len(first):
        _refuse(table.first, "two columns have the same name")
    return [
        "source" if index == source else "target" if index == target else name
        for index, name in enumerate(first)
    ]


def _edges(found: _EdgeList) -> Parts:
    check_size(len(found.position), len(found.edges), n_cells=0, n_bytes=0)
    columns = {name: values for name, values in found.columns.items() if any(v is not None for v in values)}
    directed = _direction(columns)
    return Parts(
        n_nodes=len(found.position),
        edges=found.edges,
        graph_values={},
        vertex_columns={NAME: list(found.position)},
        edge_columns=columns,
        directed=directed,
    )


def _bare(table: Table, *, n_bytes: int) -> _EdgeList:
    """Edges of lines without names of columns."""
    found = _EdgeList()
    for index, row in enumerate(table):
        if not 2 <= len(row.cells) <= 3:
            _refuse(
                row,
                f"{counted(len(row.cells), 'cell')}; an edge is: source target [weight], "
                f"and more columns need a first line with their names (source target weight …)",
            )
        found.add(row, row.cells[0], row.cells[1])
        for name, value in _attributes(row, row.cells[2]).items() if len(row.cells) == 3 else ():
            values = found.columns.setdefault(name, [])
            if len(values) < index:
                check_size(0, 0, n_cells=len(found.columns) * index, n_bytes=n_bytes)
                values.extend([None] * (index - len(values)))
            values.append(value)
    for values in found.columns.values():
        values.extend([None] * (len(found.edges) - len(values)))
    return found


def _under(header: list[str], table: Table, *, n_bytes: int) -> _EdgeList:
    """Edges of lines under names of columns."""
    if table.n_lines == 1:
        raise FormatError("holds names of columns and no edge")
    check_size(0, 0, n_cells=len(header) * table.n_lines, n_bytes=n_bytes)
    source, target = header.index("source"), header.index("target")
    others = [
        (index, WEIGHT if title.lower() == WEIGHT else title)
        for index, title in enumerate(header)
        if title and index not in {source, target}
    ]
    found = _EdgeList()
    texts: dict[str, list[str]] = {name: [] for _, name in others}
    for row in islice(table, 1, None):
        if len(row.cells) != len(header):
            _refuse(row, f"{counted(len(row.cells), 'cell')} under {len(header)} names of columns")
        found.add(row, row.cells[source], row.cells[target])
        for index, name in others:
            cell = row.cells[index]
            if name == WEIGHT and cell and not _NUMBER.fullmatch(cell):
                _refuse(row, f"the weight {one_line(cell)} is no number")
            texts[name].append(cell)
    found.columns = {name: _converted(cells) for name, cells in texts.items()}
    return found


def _attributes(row: Row, text: str) -> dict[str, Any]:
    """The attributes of an edge: its weight, or a dict as Python writes it."""
    if _NUMBER.fullmatch(text):
        return {WEIGHT: float(text)}
    if not text.startswith("{"):
        _refuse(row, f"{one_line(text)} is no weight; more columns need a first line with their names")
    if text == "{}":
        return {}
    try:
        values = ast.literal_eval(text if len(text) <= _MAX_RECORD else "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        _refuse(row, f"{one_line(text)} are no attributes; networkx writes them as {{'weight': 0.5}}")
    return values


def _converted(cells: list[str]) -> list[Any]:
    """The cells as whole numbers if all are (those that are empty aside), else as floats, else as text."""
    for convert in (_whole, _number):
        try:
            return [convert(cell) if cell else None for cell in cells]
        except ValueError:
            continue
    return [cell or None for cell in cells]


def _whole(cell: str) -> int:
    if not cell.isascii() or "_" in cell:
        raise ValueError(cell)
    return int(cell)


def _number(cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(cell)
    return float(cell)


def _direction(columns: dict[str, list[Any]]) -> bool:
    """Whether the edges are directed; takes out the column ``Type`` of Gephi that says so."""
    name = next((name for name in columns if name.lower() == "type"), None)
    kinds = {str(value).lower() for value in columns[name]} if name is not None else set()
    if name is None or not kinds <= set(_DIRECTIONS):
        return True
    del columns[name]
    if len(kinds) > 1:
        raise FormatError("some edges are undirected, others are not; give all of them a direction, or none")
    return _DIRECTIONS[kinds.pop()]


def _refuse(row: Row, message: str) -> NoReturn:
    raise FormatError(f"line {row.line}: {message}")
