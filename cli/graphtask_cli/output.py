"""Results on standard output (tables for people, CSV and JSON for programs), and tables in files."""

import csv
import io
import json
import math
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.progress import Progress
    from rich.table import Table

Record = Mapping[str, Any]

_SENTENCE = 36  # characters from which a cell is text that may be wrapped
_PAGE = 120  # columns of what is wrapped where there is no terminal
_ENDLESS = 100_000
_NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]\d+)?|[-+]?inf|nan|yes|no|")

TABLE_SUFFIXES = (".csv", ".json", ".parquet")


def proposal(*words: object) -> str:
    """A call of this program that can be pasted, wherever it lies."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "graphtask" else "graphtask"
    return shlex.join([program, *map(str, words)])


def show(records: Sequence[Record], *, form: str, wrapped: bool = False) -> None:
    """Print the records: ``csv`` and ``json`` in full precision, ``table`` rounded and laid out for the terminal.

    In JSON a value that is not a number is ``null``, and infinities are the strings ``"inf"`` and ``"-inf"``.

    Args:
        records: The rows.
        form: ``table``, ``csv`` or ``json``.
        wrapped: Whether a table with sentences is wrapped in files and pipes, too; nothing is cut off there.
    """
    if form == "table":
        click.echo(_as_table(records, wrapped=wrapped), nl=False)
        return
    for text in TEXTS[form](_columns(records), records):
        click.echo(text, nl=False)


def show_turned(records: Sequence[Record]) -> None:
    """Print the records as the columns of a table for people, for few records of many values."""
    columns = _columns(records)
    lines = [[name, *(rounded(record.get(name)) for record in records)] for name in columns]
    click.echo(_rendered(_grid(lines[0], lines[1:])), nl=False)


def write_table(records: Sequence[Record], path: Path) -> None:
    """Write the records as CSV, JSON or Parquet, by the suffix of the path; the file appears whole or not at all.

    Raises:
        ArgumentError: The suffix is another one.
        GraphtaskError: The file cannot be written.
    """
    from graphtask.storage.atomic import write_atomically

    check_table_path(path)
    if path.suffix == ".parquet":
        content = _as_parquet(records)
    else:
        text = "".join(TEXTS[path.suffix[1:]](_columns(records), records))
        content = text.encode("utf-8", errors="surrogateescape")
    with write_atomically(path) as file:
        file.write(content)


def check_table_path(path: Path) -> None:
    """Raise now rather than after the work is done.

    Raises:
        ArgumentError: `write_table` does not know the suffix.
        GraphtaskError: There is no such folder.
    """
    from graphtask.errors import ArgumentError
    from graphtask.storage.atomic import check_target

    if path.suffix not in TABLE_SUFFIXES:
        raise ArgumentError(f"{path}: cannot write a {path.suffix!r} table; use .csv, .json or .parquet")
    check_target(path)


def check_figure_path(path: Path) -> None:
    """Raise now rather than after the work is done.

    Raises:
        ArgumentError: `graphtask.save_figure` does not know the suffix.
        GraphtaskError: There is no such folder.
    """
    from graphtask.drawing.picture import SUFFIXES
    from graphtask.errors import ArgumentError
    from graphtask.storage.atomic import check_target

    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{path}: cannot draw a {path.suffix!r} file; use .svg, .pdf or .png")
    check_target(path)


def records_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table of the library."""
    import pandas as pd

    return [
        {str(name): math.nan if value is pd.NA else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def save_plot(figure: "Figure", path: Path, data: "pd.DataFrame") -> None:
    """Write a picture, and what it shows beside it as CSV; say so."""
    import graphtask as gt

    note(f"wrote {gt.save_figure(figure, path)}")
    table = path.with_name(f"{path.stem}-data.csv")
    write_table(records_of(data), table)
    note(f"wrote {table}")


def progress(*, visible: bool = True) -> "Progress":
    """A progress bar on stderr, which shows nothing unless stderr is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not (visible and console.is_terminal))


def note(message: str) -> None:
    """Say something beside the result, on stderr."""
    click.echo(f"graphtask: {message}", err=True)


def rounded(value: Any) -> str:
    """A value for people: four significant digits, thousands apart.

    >>> [rounded(value) for value in (863300, 0.123456, 36.04, 1e-9, float("nan"), True, None, [20, 20])]
    ['863,300', '0.1235', '36.04', '1e-09', 'nan', 'yes', '', '20/20']
    """
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "/".join(rounded(part) for part in value)
    return str(value)


def mean_and_spread(mean: float, spread: float) -> str:
    """A mean with its standard deviation, for people: two digits of the deviation, and the mean as far as those reach.

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
    """Rows for people: values called ``x_mean`` and ``x_std`` become one cell, called ``x``.

    >>> with_spreads([{"data": "digits", "edges_mean": 30.0, "edges_std": 3.0}])
    [{'data': 'digits', 'edges': '30.0 ± 3.0'}]
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


def _as_table(records: Sequence[Record], *, wrapped: bool = False) -> str:
    if not records:
        return ""
    columns = _columns(records)
    if len(records) == 1:
        return _rendered(_grid([], [[name, rounded(records[0].get(name))] for name in columns]))
    lines = [columns, *([rounded(record.get(name)) for name in columns] for record in records)]
    room = _terminal_width()
    if room is None or _width(lines) <= room or _has_sentences(lines):
        return _rendered(_grid(lines[0], lines[1:]), otherwise=_PAGE if wrapped else _ENDLESS)
    return "\n".join(_rendered(_grid(block[0], block[1:])) for block in _blocks(_turned(lines), room))


def _has_sentences(lines: list[list[str]]) -> bool:
    """Whether the table is made to be read line by line, with cells that may be wrapped."""
    return any(len(cell) > _SENTENCE for line in lines for cell in line[1:])


def _blocks(lines: list[list[str]], room: int) -> list[list[list[str]]]:
    """The table in parts that are narrow enough, each with the first column in front."""
    blocks, start, width = [], 1, len(lines[0])
    while start < width:
        end = start + 1
        while end < width and _width([[line[0], *line[start : end + 1]] for line in lines]) <= room:
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


def _rendered(table: "Table", *, otherwise: int = _ENDLESS) -> str:
    """The table as text, as wide as the terminal; elsewhere it has ``otherwise`` columns of room."""
    from rich.console import Console

    room = _terminal_width()
    text = io.StringIO()
    Console(file=text, width=room or otherwise, force_terminal=room is not None, legacy_windows=False).print(
        table
    )
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _terminal_width() -> int | None:
    """Columns of the terminal that stdout is, or None: into files and pipes nothing is ever cut off."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def csv_texts(columns: Sequence[str], records: Iterable[Record]) -> Iterator[str]:
    """The lines of a CSV file, one after the other."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for cells in chain([columns], ([_cell(record.get(name)) for name in columns] for record in records)):
        writer.writerow(cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return "" if value is None else value


def json_texts(columns: Sequence[str], records: Iterable[Record]) -> Iterator[str]:
    """The pieces of a JSON list of objects, one after the other."""
    separator = "["
    for record in records:
        plain = {name: _strict(record.get(name)) for name in columns}
        yield separator + "\n" + textwrap.indent(json.dumps(plain, indent=2, allow_nan=False), "  ")
        separator = ","
    yield "[]\n" if separator == "[" else "\n]\n"


def _strict(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _as_parquet(records: Sequence[Record]) -> bytes:
    import pandas as pd

    columns = _columns(records)
    frame = pd.DataFrame(
        [[_plain(record.get(name)) for name in columns] for record in records], columns=columns
    )
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _columns(records: Iterable[Record]) -> list[str]:
    """The names of all values, in the order in which they first appear."""
    return list(dict.fromkeys(name for record in records for name in record))


def _plain(value: Any) -> Any:
    """The Python value that a numpy scalar stands for; paths as strings."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "item") else value


TEXTS: dict[str, Callable[[Sequence[str], Iterable[Record]], Iterator[str]]] = {
    "csv": csv_texts,
    "json": json_texts,
}
