"""Graphs in lines of text: an edge list (source, target and attributes of each edge), or an adjacency matrix."""

import ast
import re
from collections.abc import Callable
from itertools import chain, islice
from typing import Any, NamedTuple, NoReturn

import numpy as np

from graphtask.errors import FormatError
from graphtask.graph import NAME, WEIGHT
from graphtask.storage import node_link
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import number_or_text, text_of
from graphtask.storage.cells import is_text_cell, parse_text
from graphtask.storage.limits import MAX_NODES, check_size
from graphtask.storage.matrix import dense_parts
from graphtask.storage.text_rows import Row, Table
from graphtask.storage.values import from_json, one_line
from graphtask.validation import counted

SOURCES = frozenset(
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
        "startid",
    ]
)
TARGETS = frozenset(
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
        "endid",
    ]
)
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+|[+-]?(?:inf|nan)", re.IGNORECASE
)
_DIRECTIONS = {"directed": True, "undirected": False}
_PROBLEM = re.compile(rb"(?:c[^\n]*\n|\s*\n)*+p[ \t]+[a-z]+[ \t]+([0-9]+)[ \t]+([0-9]+)[ \t]*\r?\n")
_POINT = re.compile(r"[.eE]")
_BOOLEANS = {"True": "1", "False": "0", "TRUE": "1", "FALSE": "0"}
_MISSING = frozenset({"NA", "N/A", "null", "None"})
_BRACKETS = frozenset("[]")
_COUNT = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_TIME = "time"
_MAX_ENTRIES = 20_000_000
_MAX_HEAD = 4_000  # characters in which a genotype begins
_MAX_RECORD = 10_000  # characters of the attributes of one edge


def parse(content: bytes) -> Parts:
    r"""Return the parts of the graph in a text file: an edge list, an adjacency matrix, or a cell.

    A line of an edge list is ``source target``, ``source target weight`` or ``source target weight time``; or it has
    the columns of a first line with names (``source,target,weight,color``: any usual words for source and target);
    or it is in the form of networkx, ``source target {'weight': 0.5}``. Nodes are named as in the file, in the order
    of first use. A first line holds names of columns if it names no node of another line. The number of nodes, and
    that of edges, may come first, in lines of their own or in one. Numbers may have a decimal comma where another
    separator is in use.

    A square table of numbers with a zero diagonal is an adjacency matrix, with or without the names of the nodes in
    the first line and column; with names, blank cells are zeros. (A table of three columns could be both; but where
    one reading gives a graph without cycles, the other has a self-loop.)

    A NAS-Bench-201 string or a DARTS genotype is read by `graphtask.storage.cells`, JSON by `node_link`. Lines of
    DIMACS (``p``, ``e``, ``a``) are edges, too.

    Raises:
        FormatError: A line is neither; the message names it.

    Example:
        >>> parse(b"# from to\na b\nb c\n").edges, parse(b"0 1 1\n0 0 1\n0 0 0\n").edges
        ([(0, 1), (1, 2)], [(0, 1), (0, 2), (1, 2)])
    """
    head = content[:_MAX_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n'\"")
    if head.startswith(b"|") or b"Genotype(" in head:
        text = text_of(content)
        if is_text_cell(text):
            return parse_text(text)
    if head.startswith((b"[", b"{")):
        document = _json(content)
        if document is not None:
            return document
    return _dimacs(content) or _parts(Table(content, commas=False), n_bytes=len(content))


def parse_separated(content: bytes) -> Parts:
    """Return the parts like `parse`, for a file whose name promises columns separated by comma, semicolon or tab."""
    return _parts(Table(content, commas=True), n_bytes=len(content))


def _parts(table: Table, *, n_bytes: int) -> Parts:
    header = _header(table)
    if header is not None:
        return _edges(_under(header, table, n_bytes=n_bytes))
    matrix = _matrix(table)
    if matrix is not None:
        return matrix
    header = _numbered_header(table)
    return _edges(_bare(table, n_bytes=n_bytes) if header is None else _under(header, table, n_bytes=n_bytes))


def _json(content: bytes) -> Parts | None:
    """Return the parts of a graph in JSON, as cells of tables hold it; None if the text is not JSON."""
    if len(content) > node_link.MAX_BYTES:
        return None
    try:
        document = from_json(text_of(content))
    except ValueError:
        return None
    return node_link.document_parts(document, n_bytes=len(content))


def _dimacs(content: bytes) -> Parts | None:
    """Return the parts of a file of DIMACS, or None if it has no line such as ``p edge 4 5`` first."""
    match = _PROBLEM.match(content)
    if match is None:
        return None
    lines = [line.split(None, 1) for line in content[match.end() :].splitlines()]
    edges = [line[1] for line in lines if len(line) == 2 and line[0] in {b"e", b"a"}]
    listed = b"\n".join([b" ".join(match.group(1, 2)), *edges])
    directed = not any(line[:1] == [b"e"] for line in lines)
    return _parts(Table(listed, commas=False), n_bytes=len(content))._replace(directed=directed)


# Adjacency matrices ------------------------------------------------------------------------------------------------


def _matrix(table: Table) -> Parts | None:
    """Return the parts of an adjacency matrix, or None if the table is not one."""
    width = len(table.first.cells)
    if table.n_lines not in {width, width + 1}:
        return None
    if width * width > _MAX_ENTRIES:
        raise FormatError(f"has more than {_MAX_ENTRIES:,} cells; store large matrices as .npz")
    names, body = _names_and_body([row.cells for row in table])
    size = len(body)
    if size < 2 or any(len(cells) != size for cells in body):
        return None
    read = _decimal if table.decimal_comma else str
    body = [[read(cell) or ("0" if names is not None else "") for cell in cells] for cells in body]
    if all(cell in _BOOLEANS for cells in body for cell in cells):
        body = [[_BOOLEANS[cell] for cell in cells] for cells in body]
    if not all(_NUMBER.fullmatch(cell) for cells in body for cell in cells):
        return None
    matrix = np.array([[float(cell) for cell in cells] for cells in body])
    if (size == 2 or (size == 3 and names is None)) and not _is_no_edge_list(matrix):
        return None
    if names is not None and names == table.first.cells and matrix.diagonal().any() and _are_numbered(names):
        return None  # the first line is an edge
    return dense_parts(matrix, names=names)


def _names_and_body(lines: list[list[str]]) -> tuple[list[str] | None, list[list[str]]]:
    first, others = lines[0], lines[1:]
    has_corner = first[0] == "" or not _NUMBER.fullmatch(first[-1])
    if len(first) == len(lines) and has_corner and first[1:] == [cells[0] for cells in others]:
        return first[1:], [cells[1:] for cells in others]
    if len(first) == len(others) and (not any(map(_NUMBER.fullmatch, first)) or _are_numbered(first)):
        return first, others
    return None, lines


def _are_numbered(names: list[str]) -> bool:
    """Return True for 0, 1, 2, …, as pandas numbers the columns of a matrix."""
    return len(names) > 2 and names == [str(index) for index in range(len(names))]


def _is_no_edge_list(matrix: np.ndarray[Any, Any]) -> bool:
    return not matrix.diagonal().any() and bool((matrix[:, 0] == matrix[:, 1]).any())


# Edge lists --------------------------------------------------------------------------------------------------------


class _EdgeList:
    """Edges found so far, and their attributes."""

    def __init__(self) -> None:
        self.position: dict[str, int] = {}
        self.edges: list[tuple[int, int]] = []
        self.columns: dict[str, list[Any]] = {}

    def add(self, row: Row, source: str, target: str) -> None:
        """Add an edge."""
        for name in (source, target):
            if not name:
                _refuse(row, "an edge lacks its source or its target")
            if name in _BRACKETS:
                _refuse(row, "a bracket is not a node; check the suffix of the file")
        place = self.position.setdefault
        self.edges.append((place(source, len(self.position)), place(target, len(self.position))))


def _header(table: Table) -> list[str] | None:
    """Return the names of the columns, if the first line holds them."""
    first = table.first.cells
    words = ["".join(filter(str.isalnum, cell.lower())) for cell in first]
    source = next((index for index, word in enumerate(words) if word in SOURCES), None)
    target = next((index for index, word in enumerate(words) if word in TARGETS), None)
    if source is None or target is None:
        return None
    ends = {first[source], first[target]}
    for row in islice(table, 1, None):
        if not ends.isdisjoint(row.cells[index] for index in (source, target) if index < len(row.cells)):
            return None
    titles = list(filter(None, first))
    if len(set(titles)) < len(titles):
        _refuse(table.first, "two columns have the same name")
    return [
        "source" if index == source else "target" if index == target else name
        for index, name in enumerate(first)
    ]


def _numbered_header(table: Table) -> list[str] | None:
    """Return the names of the columns in a first line of unknown words: words above numbers, in the ends or after them."""
    first = table.first.cells
    if len(first) < 2 or len(set(first)) < len(first) or table.n_lines == 1:
        return None
    place = 2 if len(first) > 2 else 0  # of a column that has words in the first line only
    if first[place].startswith("{") or any(_is_value(cell, table) for cell in first[place : place + 2]):
        return None
    for row in islice(table, 1, None):
        is_same_kind = len(row.cells) == len(first) and not set(first[:2]) & set(row.cells[:2])
        if not is_same_kind or not all(
            _is_value(cell, table) for cell in row.cells[place : (place or 1) + 1]
        ):
            return None
    return ["source", "target", *first[2:]]


def _is_value(cell: str, table: Table) -> bool:
    """Return True for a number, or for a cell without a value."""
    return not cell or _NUMBER.fullmatch(_decimal(cell) if table.decimal_comma else cell) is not None


def _edges(found: _EdgeList) -> Parts:
    check_size(len(found.position), len(found.edges), n_cells=0, n_bytes=0)
    columns = {name: values for name, values in found.columns.items() if any(v is not None for v in values)}
    directed = _direction(columns)
    return Parts(
        n_nodes=len(found.position),
        edges=found.edges,
        graph_values={},
        vertex_columns={NAME: _whole_names(list(found.position))},
        edge_columns=columns,
        directed=directed,
    )


def _whole_names(names: list[str]) -> list[str]:
    """Return names that are whole numbers with a point, as numpy and pandas write ints, without it."""
    if not all(map(_POINT.search, names)) or not all(map(_NUMBER.fullmatch, names)):
        return names
    numbers = [float(name) for name in names]
    if len(set(numbers)) < len(names) or not all(
        number.is_integer() and abs(number) < 1 << 53 for number in numbers
    ):
        return names
    return [str(int(number)) for number in numbers]


def _bare(table: Table, *, n_bytes: int) -> _EdgeList:
    """Return the edges of lines without names of columns."""
    found = _EdgeList()
    counts = _counts(table)
    for row in islice(table, counts.n_lines, None):
        if not any(row.cells):  # as spreadsheets end
            continue
        index = len(found.edges)
        if not 2 <= len(row.cells) <= 4:
            _refuse(
                row,
                f"has {counted(len(row.cells), 'cell')}; an edge is: source target [weight [time]], "
                f"and more columns need a first line with their names (source target weight …)",
            )
        found.add(row, row.cells[0], row.cells[1])
        for name, value in _bare_attributes(row, decimal_comma=table.decimal_comma).items():
            values = found.columns.setdefault(name, [])
            if len(values) < index:
                check_size(0, 0, n_cells=len(found.columns) * index, n_bytes=n_bytes)
                values.extend([None] * (index - len(values)))
            values.append(value)
    for values in found.columns.values():
        values.extend([None] * (len(found.edges) - len(values)))
    if not found.edges:
        raise FormatError("has counts but no edge")
    _add_isolated(found, counts.n_nodes)
    return found


class _Counts(NamedTuple):
    """Lines with counts before the edges."""

    n_lines: int
    n_nodes: int


def _counts(table: Table) -> _Counts:
    """Return the counts of nodes and edges before the edges, where a file has them."""
    first = [row.cells for row in islice(table, 3)]
    n_single = next((index for index, cells in enumerate(first) if len(cells) != 1), len(first))
    if 1 <= n_single <= 2 and all(_COUNT.fullmatch(cells[0]) for cells in first[:n_single]):
        return _Counts(n_single, int(first[0][0]))
    if len(first[0]) != 2 or not all(map(_COUNT.fullmatch, first[0])):
        return _Counts(0, 0)
    n_nodes, n_edges = map(int, first[0])
    is_header = n_edges == table.n_lines - 1 and n_edges > 0
    if is_header and all(_is_end(cell, n_nodes) for row in islice(table, 1, None) for cell in row.cells[:2]):
        return _Counts(1, n_nodes)
    return _Counts(0, 0)


def _is_end(cell: str, n_nodes: int) -> bool:
    return _COUNT.fullmatch(cell) is not None and int(cell) <= n_nodes


def _add_isolated(found: _EdgeList, n_nodes: int) -> None:
    """Add the nodes that a count promises and no edge names, where nodes are numbered from 0 or 1."""
    if not len(found.position) < n_nodes <= MAX_NODES or not all(map(_COUNT.fullmatch, found.position)):
        return
    first = min(map(int, found.position), default=0)
    if first > 1 or max(map(int, found.position)) >= n_nodes + first:
        return
    for number in range(first, n_nodes + first):
        found.position.setdefault(str(number), len(found.position))


def _bare_attributes(row: Row, *, decimal_comma: bool) -> dict[str, Any]:
    """Return the attributes in the columns after source and target."""
    values = _attributes(row, row.cells[2], decimal_comma=decimal_comma) if len(row.cells) > 2 else {}
    if len(row.cells) > 3:
        if not _NUMBER.fullmatch(row.cells[3]):
            _refuse(row, f"the time must be a number, got {one_line(row.cells[3])}")
        values[_TIME] = number_or_text(row.cells[3])
    return values


def _decimal(cell: str) -> str:
    """Return a number with a decimal point; any other text unchanged."""
    return cell.replace(",", ".") if _DECIMAL.fullmatch(cell) else cell


def _under(header: list[str], table: Table, *, n_bytes: int) -> _EdgeList:
    """Return the edges of lines under names of columns."""
    if table.n_lines == 1:
        raise FormatError("has names of columns but no edge")
    check_size(0, 0, n_cells=len(header) * table.n_lines, n_bytes=n_bytes)
    source, target = header.index("source"), header.index("target")
    others = [
        (index, WEIGHT if title.lower() == WEIGHT else title)
        for index, title in enumerate(header)
        if title and index not in {source, target}
    ]
    found = _EdgeList()
    read = _decimal if table.decimal_comma else str
    texts: dict[str, list[str]] = {name: [] for _, name in others}
    rows = (row for row in islice(table, 1, None) if any(row.cells))
    first = next(rows, table.first)
    shift = len(first.cells) == len(header) + 1 and first.cells[0] == "1"  # R numbers rows, under no title
    for row in chain([first], rows):
        cells = row.cells[shift:]
        if len(cells) != len(header):
            _refuse(row, f"has {counted(len(row.cells), 'cell')} under {len(header)} names of columns")
        found.add(row, cells[source], cells[target])
        for index, name in others:
            cell = cells[index]
            if cell in _MISSING:
                cell = ""
            if name == WEIGHT and cell and not _NUMBER.fullmatch(read(cell)):
                _refuse(row, f"the weight must be a number, got {one_line(cell)}")
            texts[name].append(cell)
    found.columns = {name: _converted(cells, read) for name, cells in texts.items()}
    return found


def _attributes(row: Row, text: str, *, decimal_comma: bool) -> dict[str, Any]:
    """Return the attributes of an edge from its weight, or from a dict in the syntax of Python."""
    text = _decimal(text) if decimal_comma else text
    if _NUMBER.fullmatch(text):
        return {WEIGHT: float(text)}
    if not text.startswith("{"):
        _refuse(
            row,
            f"the weight must be a number, got {one_line(text)}; more columns need a first line with their names",
        )
    if text == "{}":
        return {}
    try:
        values = ast.literal_eval(text if len(text) <= _MAX_RECORD else "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        _refuse(row, f"{one_line(text)} are not attributes; networkx writes them as {{'weight': 0.5}}")
    return values


def _converted(cells: list[str], read: Callable[[str], str]) -> list[Any]:
    """Return the cells as ints if all that are not empty are, else as floats, else as text."""
    for convert in (_whole, _number):
        try:
            return [convert(read(cell)) if cell else None for cell in cells]
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
    """Return True if the edges are directed; removes the column ``Type`` of Gephi, which declares it."""
    name = next((name for name in columns if name.lower() == "type"), None)
    kinds = {str(value).lower() for value in columns[name]} if name is not None else set()
    if name is None or not kinds <= set(_DIRECTIONS):
        return True
    del columns[name]
    if len(kinds) > 1:
        raise FormatError("has both directed and undirected edges; give all of them one type")
    return _DIRECTIONS[kinds.pop()]


def _refuse(row: Row, message: str) -> NoReturn:
    raise FormatError(f"line {row.line}: {message}")
