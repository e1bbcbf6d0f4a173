"""Lines of text split into cells, for edge lists and adjacency matrices."""

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.builder import text_of
from graphtask.storage.limits import check_size
from graphtask.storage.values import one_line

_COMMENTS = ("#", "%", "//")
_SPACES = ""  # the separator that stands for any white space
_MAX_LINE = 1 << 20
_DECIMAL_COMMA = re.compile(r"^\s*[^\s,]+\s+[^\s,]+\s+[+-]?[0-9]*,[0-9]+(\s|$)")  # a b 0,5
_QUOTED = re.compile(r'(?<!\S)"([^"]*)"(?!\S)|(\S+)')
_SEP = re.compile(r"\s*sep=.?\s*")  # first line of Excel
_OTHER_FORMATS = ("<", "{", "[", "PK\x03", "graph [", "graph\n[")


class Row(NamedTuple):
    """Cells of one line, without white space around them, and the number of the line."""

    cells: list[str]
    line: int


class Table:
    r"""Lines of a text that are not empty and not comments, split into cells on demand.

    Lines that start with ``#``, ``%`` or ``//`` are comments. The separator is the one of comma, semicolon, tab and
    vertical bar that is most frequent in the first line (semicolon or tab, if there is one: commas are then decimal),
    else white space; cells may be quoted. A first line ``sep=;`` is skipped.

    Args:
        content: Bytes of the file: text in UTF-8, or in UTF-16 with a byte order mark.
        commas: Whether the name of the file promises separators (.csv, .tsv); then white space does not separate.

    Attributes:
        n_lines: Number of lines.
        first: First line.
        decimal_comma: Whether a comma within a number is a decimal comma, because it separates no cells.

    Raises:
        FormatError: It is not text, or text of another format; the message names the line.

    Example:
        >>> [row.cells for row in Table(b"# a comment\n1 2 0.5\n2 3 0.25\n", commas=False)]
        [['1', '2', '0.5'], ['2', '3', '0.25']]
    """

    def __init__(self, content: bytes, *, commas: bool) -> None:
        self._text = _text(content)
        if _SEP.fullmatch(self._text.partition("\n")[0]):
            self._text = self._text.partition("\n")[2]
        first = next(self._lines(), None)
        if first is None:
            raise FormatError("has no line with an edge")
        self._separator = _separator(first[1], commas=commas)
        self.decimal_comma = self._separator != ","
        self.n_lines = sum(1 for _ in self._lines())
        check_size(0, self.n_lines - 1, n_cells=0, n_bytes=0)
        self.first = next(iter(self))

    def __iter__(self) -> Iterator[Row]:
        """Yield the cells of each line."""
        return (
            _spaced(self._lines())
            if self._separator == _SPACES
            else _separated(self._lines(), self._separator)
        )

    def _lines(self) -> Iterator[tuple[int, str]]:
        start, number, length = 0, 0, len(self._text)
        while start < length:
            end = self._text.find("\n", start)
            end = length if end < 0 else end
            number += 1
            if end - start > _MAX_LINE:
                raise FormatError(f"line {number}: is longer than {_MAX_LINE:,} characters")
            line = self._text[start:end]
            start = end + 1
            if line.strip() and not line.lstrip().startswith(_COMMENTS):
                yield number, line


def _text(content: bytes) -> str:
    text = text_of(content)
    head = text[:_MAX_LINE].lstrip()
    if head.startswith(_OTHER_FORMATS):
        raise FormatError(f"is not a table of edges: it starts with {one_line(head[:20])}; check its suffix")
    return text


def _separator(line: str, *, commas: bool) -> str:
    start = line.partition("{")[0]  # of an edge as networkx writes it: 1 2 {'weight': 0.5, 'w': 1.0}
    for separator in ("\t", ";", ",", "|"):  # a comma next to the others is a decimal comma
        if separator in start:
            if separator == "," and not commas and _DECIMAL_COMMA.search(line):
                return _SPACES
            return separator
    if commas:
        raise FormatError(
            f"the line {one_line(line)} has no separator (comma, semicolon, tab or |); name the file .txt"
        )
    return _SPACES


def _spaced(lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if "{" in line:
            yield Row(line.strip().split(None, 2), number)
        elif '"' in line:
            yield Row([quoted or word for quoted, word in _QUOTED.findall(line)], number)
        else:
            yield Row((line.partition(" #")[0] if "#" in line else line).split(), number)


def _separated(lines: Iterator[tuple[int, str]], separator: str) -> Iterator[Row]:
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for at, line in lines:
            number = at
            yield line

    try:
        for cells in csv.reader(texts(), delimiter=separator, strict=True, skipinitialspace=True):
            yield Row([cell.strip() for cell in cells], number)
    except csv.Error as error:
        raise FormatError(f"line {number}: {error}") from None
