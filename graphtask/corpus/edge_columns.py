"""Edge lists in a column of a Parquet file: one graph per row, read in groups of rows and never as a whole.

A cell is the text of an edge list (text or bytes), or a list of edges: pairs of node numbers or names, which a third
number may follow, or objects with source and target. What the file claims about its size is checked before anything is decoded.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.edge_list import SOURCES, TARGETS
from graphtask.storage.limits import MAX_EDGES, check_bytes
from graphtask.storage.regular import open_regular
from graphtask.validation import suggestion

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIX = ".parquet"

_MAX_ROWS = 1_000_000  # next to one for each byte of the file
_MAX_VALUES = 64 << 20  # of the column in a row group
_BASE_TOTAL = 1 << 30  # bytes to which the column of any row group may expand,
_MAX_RATIO = 200  # and additional bytes for each byte of the file
_BATCH = 256  # rows decoded together


class Cell(NamedTuple):
    """A row of the column."""

    row: int
    content: bytes | None
    """Text of its edge list; None if it cannot be read."""
    problem: str = ""
    """Reason, if it cannot be read."""


def count_rows(path: str, column: str) -> int:
    """Return the number of rows of a file whose column can hold edge lists.

    Raises:
        FormatError: The file is damaged or too large, or has no such column.
    """
    with _table(path) as (file, n_bytes):
        _check_column(file, column, n_bytes=n_bytes)
        return int(file.metadata.num_rows)


def edge_lists(path: str, column: str, rows: Sequence[int]) -> Iterator[Cell]:
    r"""Yield the cells of these rows.

    Args:
        path: The file.
        column: Name of the column.
        rows: Numbers of the rows, from 0, in ascending order.

    Raises:
        FormatError: The file is damaged or too large, or has no such column.

    Example:
        >>> import tempfile, pyarrow, pyarrow.parquet
        >>> path = f"{tempfile.mkdtemp()}/graphs.parquet"
        >>> pyarrow.parquet.write_table(pyarrow.table({"edges": [[[0, 1]], [[0, 1], [1, 2]], None]}), path)
        >>> [cell.content for cell in edge_lists(path, "edges", [1])]
        [b'0\t1\n1\t2\n']
        >>> [cell.problem for cell in edge_lists(path, "edges", [2])]
        ['the cell is empty']
    """
    with _table(path) as (file, n_bytes):
        _check_column(file, column, n_bytes=n_bytes)
        start, waiting = 0, list(rows)
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            wanted = [row - start for row in waiting if start <= row < end]
            if wanted:
                for cell in _cells(file, column, group, wanted):
                    yield cell._replace(row=cell.row + start)
            start = end
        for row in waiting:
            if row >= start:
                yield Cell(row, None, "the row is no longer in the table")


def _cells(file: "pq.ParquetFile", column: str, group: int, wanted: list[int]) -> Iterator[Cell]:
    """Yield cells of a row group, whose rows are counted from its first; damage concerns the rows that follow."""
    remaining = iter(wanted)
    row = next(remaining, None)
    start = 0
    try:
        for batch in file.iter_batches(_BATCH, row_groups=[group], columns=[column]):
            while row is not None and row < start + len(batch):
                yield _cell(batch.column(0), row - start)._replace(row=row)
                row = next(remaining, None)
            if row is None:
                return
            start += len(batch)
        problem = "the row is missing"
    except (ValueError, OSError, MemoryError) as error:  # the errors of pyarrow are ValueErrors and OSErrors
        problem = f"the table is damaged: {error}"
    while row is not None:
        yield Cell(row, None, problem)
        row = next(remaining, None)


def _cell(values: "pa.Array", index: int) -> Cell:
    value = values[index]
    if not value.is_valid:
        return Cell(index, None, "the cell is empty")
    try:
        return Cell(index, _content(value))
    except FormatError as error:
        return Cell(index, None, str(error))


def _content(value: Any) -> bytes:
    """Return the text of an edge list."""
    if not hasattr(value, "values"):  # text or bytes
        content = value.as_py()
        content = content.encode() if isinstance(content, str) else content
        check_bytes(len(content))
        return content
    if len(value.values) > MAX_EDGES:
        raise FormatError(f"the graph has more than {MAX_EDGES:,} edges; graphs of that size are not read")
    edges = value.as_py()
    if edges and isinstance(edges[0], dict):
        order = _field_order(list(edges[0]))
        edges = [edge and [edge[name] for name in order] for edge in edges]
    if not all(edge and len(edge) in {2, 3} and None not in edge for edge in edges):
        raise FormatError("an edge must be a pair, or a pair and a weight, without missing values")
    return "".join("\t".join(map(str, edge)) + "\n" for edge in edges).encode()


def _field_order(names: list[str]) -> list[str]:
    """Return the fields of an edge with source and target first, if they have the usual names."""
    words = {name: "".join(filter(str.isalnum, name.lower())) for name in names}
    source = next((name for name in names if words[name] in SOURCES), None)
    target = next((name for name in names if words[name] in TARGETS), None)
    if source is None or target is None:
        return names
    return [source, target, *(name for name in names if name not in {source, target})]


@contextmanager
def _table(path: str) -> Iterator[tuple["pq.ParquetFile", int]]:
    """Open a file, and return it with its size; every error of pyarrow becomes a `FormatError`."""
    import pyarrow.parquet as pq

    try:
        with open_regular(path) as content, pq.ParquetFile(content) as file:
            yield file, os.fstat(content.fileno()).st_size
    except FormatError:
        raise
    except (ValueError, OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FormatError(f"cannot be read: {' '.join(reason.split())}") from error


def _check_column(file: "pq.ParquetFile", column: str, *, n_bytes: int) -> None:
    """Raise if the column cannot hold edge lists, or is larger than any file of this size should be."""
    schema = file.schema_arrow
    index = schema.get_field_index(column)
    if index < 0:
        raise FormatError(f"the table has no column {column!r}; {suggestion(column, schema.names)}")
    if not _is_edge_list(schema.field(index).type):
        raise FormatError(
            f"column {column!r} must hold edge lists (text, bytes, or lists of pairs), got {schema.field(index).type}"
        )
    n_rows = file.metadata.num_rows
    if n_rows > _MAX_ROWS + n_bytes:
        raise FormatError(
            f"has {n_rows:,} rows in {n_bytes:,} bytes; write tables of at most {_MAX_ROWS:,} rows"
        )
    for group in range(file.metadata.num_row_groups):
        _check_row_group(file.metadata.row_group(group), column, limit=_BASE_TOTAL + _MAX_RATIO * n_bytes)


def _check_row_group(group: Any, column: str, *, limit: int) -> None:
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.path_in_schema.split(".")[0] != column:
            continue
        if chunk.total_uncompressed_size > limit or chunk.num_values > _MAX_VALUES:
            raise FormatError(
                f"has a row group whose column {column!r} expands to {chunk.total_uncompressed_size:,} bytes and "
                f"{chunk.num_values:,} values; write smaller row groups"
            )


def _is_edge_list(kind: "pa.DataType") -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    if any(
        test(kind)
        for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    ):
        return True
    if not _is_list(kind):
        return False
    edge = kind.value_type
    parts = (
        [field.type for field in edge]
        if types.is_struct(edge)
        else [edge.value_type]
        if _is_list(edge)
        else []
    )
    return bool(parts) and all(
        types.is_integer(part) or types.is_floating(part) or types.is_string(part) for part in parts
    )


def _is_list(kind: "pa.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
