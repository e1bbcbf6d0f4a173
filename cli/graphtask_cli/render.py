"""Results on standard output: tables for people, CSV and JSON for programs."""

import io
import math
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from graphtask.storage.csv_table import encoded
from graphtask.storage.parquet_table import plain
from graphtask.terminal import shown, shown_lines
from graphtask_cli.tables import TEXTS, Record, column_names

if TYPE_CHECKING:
    from rich.table import Table

_SENTENCE = 36  # characters from which a cell is text that may be wrapped
_PAGE = 120  # columns of wrapped text without a terminal
_UNLIMITED = 100_000
_MISSING = "–"
_NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]\d+)?|[-+]?inf|–|yes|no|")


def show(records: Sequence[Record], *, form: str, wrapped: bool = False) -> None:
    """Print the records: ``csv`` and ``json`` in full precision, ``table`` rounded and fitted to the terminal.

    In JSON a value that is not a number is ``null``, and infinities are the strings ``"inf"`` and ``"-inf"``.

    Args:
        records: The rows.
        form: ``table``, ``csv`` or ``json``.
        wrapped: Wrap sentences in a table in files and pipes too.
    """
    if form == "table":
        click.echo(_as_table(records, wrapped=wrapped), nl=False)
    else:
        show_rows(column_names(records), records, form=form)


def show_rows(columns: Sequence[str], records: Iterable[Record], *, form: str) -> None:
    """Print records as CSV or JSON while they arrive.

    A terminal gets escapes in place of control characters; a pipe or a file gets every byte.
    """
    for text in TEXTS[form](columns, records):
        click.echo(shown_lines(text) if sys.stdout.isatty() else encoded(text), nl=False)


def show_turned(records: Sequence[Record]) -> None:
    """Print the records as the columns of a table for people, for few records of many values."""
    lines = [
        [shown(name), *(rounded(record.get(name)) for record in records)] for name in column_names(records)
    ]
    filled = [line for line in lines if any(line[1:])]
    click.echo(_rendered(_grid(filled[0], filled[1:])), nl=False)


def rounded(value: Any) -> str:
    """Return a value for people: four significant digits, thousands separated, control characters escaped.

    >>> [rounded(value) for value in (863300, 0.123456, 36.04, 1e-9, float("nan"), True, None, [20, 20])]
    ['863,300', '0.1235', '36.04', '1e-09', '–', 'yes', '', '20/20']
    """
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _rounded_float(value)
    if isinstance(value, list | tuple):
        return "/".join(rounded(part) for part in value)
    return shown(value)


def _rounded_float(value: float) -> str:
    if math.isnan(value):
        return _MISSING
    if value == 0:
        return "0"  # also the negative zero
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def mean_and_spread(mean: float, spread: float) -> str:
    """Return a mean with its standard deviation: two digits of the deviation, and the mean to the same place.

    >>> [mean_and_spread(0.92849, 0.00152), mean_and_spread(54.06, 12.5), mean_and_spread(19936, 2053)]
    ['0.9285 ± 0.0015', '54 ± 12', '19,936 ± 2,053']
    >>> (
    ...     mean_and_spread(21.654, float("nan")),
    ...     mean_and_spread(3565.0, 0.0),
    ...     mean_and_spread(float("nan"), 0.0),
    ... )
    ('21.65', '3,565 ± 0', '')
    """
    if math.isnan(mean):
        return ""
    if not spread > 0:
        return rounded(mean) if math.isnan(spread) else f"{mean:,.10g} ± 0"
    n_digits = min(max(1 - math.floor(math.log10(spread)), 0), 6)
    return f"{mean:,.{n_digits}f} ± {spread:,.{n_digits}f}"


def with_spreads(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return rows for people: values called ``x_mean`` and ``x_std`` become one cell, called ``x``.

    >>> with_spreads([{"dataset": "digits", "edges_mean": 30.0, "edges_std": 3.0}])
    [{'dataset': 'digits', 'edges': '30.0 ± 3.0'}]
    """
    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for name, value in record.items():
            base = name.removesuffix("_mean")
            if name != base:
                row[base] = mean_and_spread(value, record[f"{base}_std"])
            elif not name.endswith("_std"):
                row[name] = value
        rows.append(row)
    return rows


def missing_as_none(value: Any) -> Any:
    """Return None in place of NaN, for cells that stay empty."""
    return value if value == value else None  # noqa: PLR0124


def _as_table(records: Sequence[Record], *, wrapped: bool = False) -> str:
    if not records:
        return ""
    names = column_names(records)
    headers = list(map(shown, names))
    if len(records) == 1:
        cells = [[header, rounded(records[0].get(name))] for header, name in zip(headers, names, strict=True)]
        return _rendered(_grid([], cells))
    lines = [headers, *([rounded(record.get(name)) for name in names] for record in records)]
    width = _terminal_width()
    if width is None or _width(lines) <= width or _has_sentences(lines):
        return _rendered(_grid(lines[0], lines[1:]), otherwise=_PAGE if wrapped else _UNLIMITED)
    return "\n".join(_rendered(_grid(block[0], block[1:])) for block in _blocks(_turned(lines), width))


def _has_sentences(lines: list[list[str]]) -> bool:
    """Return True if the table is read line by line, with cells that may be wrapped."""
    return any(len(cell) > _SENTENCE for line in lines for cell in line[1:])


def _blocks(lines: list[list[str]], width: int) -> list[list[list[str]]]:
    """Return the table in parts that are narrow enough, each with the first column in front."""
    blocks, start, n_columns = [], 1, len(lines[0])
    while start < n_columns:
        end = start + 1
        while end < n_columns and _width([[line[0], *line[start : end + 1]] for line in lines]) <= width:
            end += 1
        blocks.append([[line[0], *line[start:end]] for line in lines])
        start = end
    return blocks


def _turned(lines: list[list[str]]) -> list[list[str]]:
    return [list(line) for line in zip(*lines, strict=True)]


def _width(lines: list[list[str]]) -> int:
    from rich.cells import cell_len

    return sum(max(map(cell_len, column)) + 2 for column in _turned(lines))


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, show_header=bool(header), show_edge=False, pad_edge=False, padding=(0, 0, 0, 1)
    )
    columns = list(zip(*rows, strict=True))
    for index, cells in enumerate(columns):
        numeric = bool(header) and all(_NUMBER.fullmatch(cell) for cell in cells)
        table.add_column(
            Text(header[index] if header else ""),
            justify="right" if numeric else "left",
            no_wrap=max(map(len, cells)) <= _SENTENCE,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _rendered(table: "Table", *, otherwise: int = _UNLIMITED) -> str:
    """Return the table as text, as wide as the terminal, or ``otherwise`` columns without one."""
    from rich.console import Console

    width = _terminal_width()
    text = io.StringIO()
    console = Console(
        file=text, width=width or otherwise, force_terminal=width is not None, legacy_windows=False
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _terminal_width() -> int | None:
    """Return the columns of the terminal, or None for files and pipes, in which nothing is cut off."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
