"""Graphs in the NET format of Pajek."""

import re
from collections.abc import Iterator
from typing import NoReturn

from graphtask.errors import FormatError
from graphtask.graph import WEIGHT
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import GraphBuilder, number_or_text, text_of
from graphtask.storage.limits import MAX_NODES, check_size
from graphtask.storage.values import one_line

_SECTIONS = frozenset({"vertices", "arcs", "edges", "arcslist", "edgeslist", "matrix", "network"})
_MAX_LINE = 1 << 20
_CELL = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<word>[^\s"]+))(?!\S)')


def parse(content: bytes) -> Parts:
    r"""Return the parts of the graph in a Pajek file.

    Vertices are named by their labels if these are unique, else by their numbers. Lines of ``*arcs`` and ``*edges``
    are ``source target weight``, those of ``*arcslist`` and ``*edgeslist`` ``source target target …``. ``*matrix`` is
    an adjacency matrix. Coordinates and drawing are left out.

    Raises:
        FormatError: The text is not Pajek, or has both arcs and edges; the message names the line.

    Example:
        >>> parts = parse(b'*vertices 3\n1 a\n2 "b c"\n3 d\n*arcs\n1 2 0.5\n2 3 1\n')
        >>> parts.vertex_columns["name"], parts.edges, parts.edge_columns
        (['a', 'b c', 'd'], [(0, 1), (1, 2)], {'weight': [0.5, 1]})
    """
    return _Reader(text_of(content)).parts()


class _Reader:
    """One text and the graph in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._builder = GraphBuilder(n_bytes=len(text))
        self._line = 0
        self._kinds: set[bool] = set()
        self._n_rows = 0

    def parts(self) -> Parts:
        section, n_nodes = "", -1
        for cells in self._rows():
            head = cells[0].lower()
            if head.startswith("*"):
                section = head[1:]
                if section not in _SECTIONS:
                    self._refuse(f"the section {one_line(cells[0])} is unknown")
                if section == "vertices":
                    n_nodes = self._declare(cells, n_nodes)
            elif section == "vertices":
                self._vertex(cells, n_nodes)
            elif section in {"arcs", "edges"}:
                self._edge(cells, n_nodes, directed=section == "arcs")
            elif section in {"arcslist", "edgeslist"}:
                for target in cells[1:]:
                    self._edge([cells[0], target], n_nodes, directed=section == "arcslist")
            elif section == "matrix":
                self._matrix_row(cells, n_nodes)
            elif section != "network":
                self._refuse("a Pajek file begins with *vertices")
        if n_nodes < 0:
            raise FormatError("has no *vertices, as a Pajek file has")
        if len(self._kinds) > 1:
            raise FormatError("has both arcs and edges; make all of them arcs, or all of them edges")
        parts = self._builder.parts(directed=self._kinds != {False})
        is_pattern = self._n_rows > 0 and set(parts.edge_columns.get(WEIGHT, [])) == {1}
        return parts._replace(edge_columns={}) if is_pattern else parts

    def _rows(self) -> Iterator[list[str]]:
        for number, line in enumerate(self._text.split("\n"), start=1):
            self._line = number
            if len(line) > _MAX_LINE:
                self._refuse(f"is longer than {_MAX_LINE:,} characters")
            stripped = line.strip()
            if stripped and not stripped.startswith("%"):
                yield self._cells(stripped)

    def _cells(self, line: str) -> list[str]:
        if '"' not in line:
            return line.split()
        cells, place = [], 0
        while place < len(line):
            found = _CELL.match(line, place)
            if found is None:
                self._refuse("has a quote inside a word, or one that does not end")
            cells.append(found["word"] if found["quoted"] is None else found["quoted"])
            place = found.end()
        return cells

    def _declare(self, cells: list[str], before: int) -> int:
        count = number_or_text(cells[1]) if len(cells) > 1 else None
        if before >= 0 or not isinstance(count, int) or not 0 <= count <= MAX_NODES:
            self._refuse(f"*vertices must be followed by the number of nodes, at most {MAX_NODES:,}, once")
        check_size(0, 0, n_cells=count, n_bytes=len(self._text))
        for number in range(1, count + 1):
            self._builder.add_node(str(number))
        return count

    def _vertex(self, cells: list[str], n_nodes: int) -> None:
        number = self._number(cells[0], n_nodes)
        if len(cells) > 1:
            self._builder.add_node(number, {"name": cells[1]})

    def _edge(self, cells: list[str], n_nodes: int, *, directed: bool) -> None:
        if len(cells) < 2:
            self._refuse("an edge lacks its target")
        self._kinds.add(directed)
        ends = [self._number(cell, n_nodes) for cell in cells[:2]]
        weight = number_or_text(cells[2]) if len(cells) > 2 else None
        if isinstance(weight, str):
            self._refuse(f"the weight must be a number, got {one_line(weight)}")
        self._builder.add_edge(ends[0], ends[1], {} if weight is None else {WEIGHT: weight})

    def _matrix_row(self, cells: list[str], n_nodes: int) -> None:
        self._n_rows += 1
        entries = [number_or_text(cell) for cell in cells]
        if (
            len(entries) != n_nodes
            or self._n_rows > n_nodes
            or any(isinstance(entry, str) for entry in entries)
        ):
            self._refuse(f"a row of the matrix must have {n_nodes} numbers, in {n_nodes} rows")
        self._kinds.add(True)
        for column, entry in enumerate(entries, start=1):
            if entry:
                self._builder.add_edge(str(self._n_rows), str(column), {WEIGHT: entry})

    def _number(self, cell: str, n_nodes: int) -> str:
        number = number_or_text(cell)
        if not isinstance(number, int) or not 1 <= number <= n_nodes:
            self._refuse(f"a vertex must be a number in [1, {n_nodes}], got {one_line(cell)}")
        return str(number)

    def _refuse(self, message: str) -> NoReturn:
        raise FormatError(f"line {self._line}: {message}")
