"""Lines of text, taken apart into cells: what edge lists and adjacency matrices have in common."""

import csv
from collections.abc import Iterator
from typing import NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.limits import check_size
from graphtask.storage.values import one_line

_COMMENTS = ("#", "%", "//")
_SPACES = ""  # the separator that stands for any white space
_MAX_LINE = 1 << 20
_OTHER_FORMATS = ("<", "{", "[", "PK\x03", "graph [", "graph\n[")


class Row(NamedTuple):
    """The cells of one line, without white space around them, and the number of the line."""

    cells: list[str]
    line: int


class Table:
    r"""The lines of a text that hold something, taken apart into cells whenever they are asked for.

    Lines that start with ``#``, ``%`` or ``//`` are comments. The separator is the one of comma, semicolon and tab
    that the first line has most of, else white space; cells may be quoted unless white space separates them.

    Args:
        content: The bytes of the file: UTF-8 text.
        commas: Whether the name of the file promises separators (.csv, .tsv); then white space is none.

    Attributes:
        n_lines: How many lines hold something.
        first: The first of them.

    Raises:
        FormatError: It is no text, or one that another format would explain; the message names the line.

    Example:
        >>> [row.cells for row in Table(b"# a comment\n1 2 0.5\n2 3 0.25\n", commas=False)]
        [['1', '2', '0.5'], ['2', '3', '0.25']]
    """

    def __init__(self, content: bytes, *, commas: bool) -> None:
        self._text = _text(content)
        first = next(self._lines(), None)
        if first is None:
            raise FormatError("holds no line with an edge")
        self._separator = _separator(first[1], commas=commas)
        self.n_lines = sum(1 for _ in self._lines())
        check_size(0, self.n_lines - 1, n_cells=0, n_bytes=0)
        self.first = next(iter(self))

    def __iter__(self) -> Iterator[Row]:
        """Give the cells of one line after the other."""
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
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text") from None
    if "\0" in text:
        raise FormatError("is no text: it has a zero byte")
    head = text[:_MAX_LINE].lstrip()
    if head.startswith(_OTHER_FORMATS):
        raise FormatError(f"is no table of edges: it starts with {one_line(head[:20])}; check its suffix")
    return text


def _separator(line: str, *, commas: bool) -> str:
    start = line.partition("{")[0]  # of an edge as networkx writes it: 1 2 {'weight': 0.5, 'w': 1.0}
    count, separator = max((start.count(mark), mark) for mark in (",", ";", "\t"))
    if count:
        return separator
    if commas:
        raise FormatError(
            f"the line {one_line(line)} has neither comma nor semicolon nor tab; call the file .txt"
        )
    return _SPACES


def _spaced(lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if "{" in line:
            yield Row(line.strip().split(None, 2), number)
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
