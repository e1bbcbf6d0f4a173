"""Lines of text, taken apart into cells: what edge lists and adjacency matrices have in common."""

import csv
from collections.abc import Iterator
from typing import NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.values import one_line

_COMMENTS = ("#", "%", "//")
_SPACES = ""  # the separator that stands for any white space
_MAX_LINE = 1 << 20
_MAX_CELLS = 20_000_000
_OTHER_FORMATS = ("<", "{", "[", "PK\x03", "graph [", "graph\n[")


class Row(NamedTuple):
    """The cells of one line, without white space around them, and the number of the line."""

    cells: list[str]
    line: int


def rows(content: bytes, *, commas: bool) -> list[Row]:
    r"""The lines that hold something, taken apart into cells.

    Lines that start with ``#``, ``%`` or ``//`` are comments. The separator is the one of comma, semicolon and tab
    that the first line has most of, else white space; cells may be quoted unless white space separates them.

    Args:
        content: The bytes of the file: UTF-8 text.
        commas: Whether the name of the file promises separators (.csv, .tsv); then white space is none.

    Raises:
        FormatError: It is no text, or one that another format would explain; the message names the line.

    Example:
        >>> [row.cells for row in rows(b"# a comment\n1 2 0.5\n2 3 0.25\n", commas=False)]
        [['1', '2', '0.5'], ['2', '3', '0.25']]
    """
    text = _text(content)
    lines = list(_lines(text))
    if not lines:
        raise FormatError("holds no line with an edge")
    separator = _separator(lines[0][1], commas=commas)
    found = []
    n_cells = 0
    for row in _spaced(lines) if separator == _SPACES else _separated(lines, separator):
        n_cells += len(row.cells)
        if n_cells > _MAX_CELLS:
            raise FormatError(f"has more than {_MAX_CELLS:,} cells; graphs of that size are not read")
        found.append(row)
    return found


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text") from None
    if "\0" in text:
        raise FormatError("is no text: it has a zero byte")
    if text.lstrip().startswith(_OTHER_FORMATS):
        raise FormatError(
            f"is no table of edges: it starts with {one_line(text.lstrip()[:20])}; check its suffix"
        )
    return text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > _MAX_LINE:
            raise FormatError(f"line {number}: is longer than {_MAX_LINE:,} characters")
        if line.strip() and not line.lstrip().startswith(_COMMENTS):
            yield number, line


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


def _spaced(lines: list[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if "{" in line:
            yield Row(line.strip().split(None, 2), number)
        else:
            yield Row((line.partition(" #")[0] if "#" in line else line).split(), number)


def _separated(lines: list[tuple[int, str]], separator: str) -> Iterator[Row]:
    reader = csv.reader((line for _, line in lines), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            yield Row([cell.strip() for cell in cells], lines[reader.line_num - 1][0])
    except csv.Error as error:
        number = lines[min(reader.line_num, len(lines)) - 1][0]
        raise FormatError(f"line {number}: {error}") from None
