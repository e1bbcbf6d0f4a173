"""Tables in files: CSV, JSON and Parquet, written whole or not at all."""

import json
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.storage.csv_table import csv_lines, encoded
from graphtask.storage.parquet_table import add_kind, cell, plain, write_parquet

if TYPE_CHECKING:
    import pandas as pd

Record = Mapping[str, Any]

TABLE_SUFFIXES = (".csv", ".json", ".parquet")


def records_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows of a table of the library."""
    import pandas as pd

    return [
        {str(name): math.nan if value is pd.NA else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def column_names(records: Iterable[Record]) -> list[str]:
    """Return the names of all values in the order of their first appearance."""
    return list(dict.fromkeys(name for record in records for name in record))


def check_table_path(path: Path) -> None:
    """Check that a table can be written, before the work is done.

    Raises:
        ArgumentError: `write_table` does not know the suffix.
        GraphtaskError: The folder does not exist or is not writable.
    """
    from graphtask.errors import ArgumentError
    from graphtask.storage.atomic import check_target

    if path.suffix not in TABLE_SUFFIXES:
        raise ArgumentError(
            f"{path}: the suffix of a table must be .csv, .json or .parquet, got {path.suffix!r}"
        )
    check_target(path)


def write_table(records: Sequence[Record], path: Path) -> None:
    """Write the records as CSV, JSON or Parquet, by the suffix of the path.

    Raises:
        ArgumentError: The suffix is another one.
        GraphtaskError: The file cannot be written.
    """
    kinds: dict[str, set[type]] = {name: set() for name in column_names(records)}
    for record in records:
        for name, value in record.items():
            add_kind(kinds[name], value)
    write_rows(path, list(kinds), records, kinds=kinds)


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Record], *, kinds: Mapping[str, set[type]]
) -> None:
    """Write rows, one by one, as CSV, JSON or Parquet; the file appears whole or not at all.

    Args:
        path: The file; its suffix is the format.
        columns: The columns.
        rows: The rows; a missing value is an empty cell.
        kinds: Types of the values in each column, for Parquet; see `add_kind`.

    Raises:
        ArgumentError: The suffix is another one.
        GraphtaskError: The file cannot be written.
    """
    from graphtask.storage.atomic import write_atomically

    check_table_path(path)
    with write_atomically(path) as file:
        if path.suffix == ".parquet":
            write_parquet(file, columns, rows, kinds=kinds)
            return
        for text in TEXTS[path.suffix[1:]](columns, rows):
            file.write(encoded(text))


def csv_texts(columns: Sequence[str], records: Iterable[Record]) -> Iterator[str]:
    """Yield the lines of a CSV file; see `graphtask.storage.csv_table` for cells that look like formulas."""
    yield from csv_lines([columns])
    yield from csv_lines([cell(record.get(name)) for name in columns] for record in records)


def json_texts(columns: Sequence[str], records: Iterable[Record]) -> Iterator[str]:
    """Yield the pieces of a JSON list of objects."""
    separator = "["
    for record in records:
        values = {name: _strict(record.get(name)) for name in columns}
        yield separator + "\n" + textwrap.indent(json.dumps(values, indent=2, allow_nan=False), "  ")
        separator = ","
    yield "[]\n" if separator == "[" else "\n]\n"


TEXTS: dict[str, Callable[[Sequence[str], Iterable[Record]], Iterator[str]]] = {
    "csv": csv_texts,
    "json": json_texts,
}


def _strict(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
