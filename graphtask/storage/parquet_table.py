"""Tables in Parquet: columns typed by the values in them, pages with checksums."""

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from graphtask.storage.csv_table import encoded

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP = 5_000  # rows of a row group
_INT64 = range(-(2**63), 2**63)


def add_kind(kinds: set[type], value: Any) -> None:
    """Add the type of a value to the types of its column; integers beyond 64 bits count as floats."""
    value = plain(value)
    if value is not None:
        kinds.add(float if type(value) is int and value not in _INT64 else type(value))


def plain(value: Any) -> Any:
    """Return the Python value of a numpy scalar, and paths as text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "item") else value


def cell(value: Any) -> Any:
    """Return a value for one cell: a sequence as text with slashes."""
    value = plain(value)
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else value


def write_parquet(
    file: IO[bytes],
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    *,
    kinds: Mapping[str, set[type]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write rows, one by one.

    Args:
        file: Receives the bytes.
        columns: The columns.
        rows: The rows; a missing value is null.
        kinds: Types of the values in each column; see `add_kind`.
        metadata: Texts in the footer of the file.

    Example:
        >>> import io, pyarrow.parquet
        >>> file = io.BytesIO()
        >>> write_parquet(file, ["edges"], [{"edges": 3}, {}], kinds={"edges": {int}})
        >>> pyarrow.parquet.read_table(file).to_pydict()
        {'edges': [3, None]}
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = schema_of(columns, kinds).with_metadata(dict(metadata or {}) or None)
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        while group := list(islice(remaining, _ROW_GROUP)):
            arrays = [
                _array([row.get(column) for row in group], kind)
                for column, kind in zip(columns, schema.types, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def schema_of(columns: Sequence[str], kinds: Mapping[str, set[type]]) -> "pa.Schema":
    """Return the columns with their Arrow types."""
    import pyarrow as pa

    return pa.schema([(_unicode(column), _arrow_type(kinds.get(column, set()))) for column in columns])


def _arrow_type(kinds: set[type]) -> "pa.DataType":
    import pyarrow as pa

    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _array(values: list[Any], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    cells = [cell(value) for value in values]
    if kind == pa.string():
        cells = [None if value is None else _unicode(str(value)) for value in cells]
    elif kind == pa.float64():
        cells = [None if value is None else float(value) for value in cells]
    else:  # an integer or a flag cannot be NaN
        cells = [None if isinstance(value, float) else value for value in cells]
    return pa.array(cells, type=kind)


def _unicode(text: str) -> str:
    """Return the text without the marks that stand for bytes of a file name that is not UTF-8."""
    return encoded(text).decode("utf-8", errors="replace")
