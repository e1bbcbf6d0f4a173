"""Tables that are larger than memory: rows go to a temporary file as they come, and from there into the result.

The columns of a table and their types are known only when its last row is, so that no row can be written before.
"""

import gzip
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from graphtask_cli.output import TEXTS, check_table_path

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

_ROWS = 5_000  # of a Parquet row group
_INT64 = range(-(2**63), 2**63)


class Spool:
    """Rows of plain values (numbers, texts, flags, None), kept in a temporary file in the order in which they came.

    Attributes:
        kinds: The columns, in the order in which they came up, and the types of the values in each.
        n_rows: How many rows there are.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, set[type]] = {}
        self.n_rows = 0
        self._file = tempfile.TemporaryFile(prefix="graphtask-")  # noqa: SIM115 - closed by __exit__
        self._packed = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1)

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        for column, value in row.items():
            kinds = self.kinds.setdefault(column, set())
            if value is not None:
                kinds.add(float if type(value) is int and value not in _INT64 else type(value))
        self._packed.write(json.dumps(row).encode() + b"\n")
        self.n_rows += 1

    def rows(self) -> Iterator[Row]:
        """All rows; none can be added any more."""
        self._packed.close()
        self._file.seek(0)
        with gzip.GzipFile(fileobj=self._file) as packed:
            for line in packed:
                yield json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._packed.close()
        self._file.close()


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Row], *, kinds: Mapping[str, set[type]]
) -> None:
    """Write rows, one after the other, as CSV, JSON or Parquet; the file appears whole or not at all.

    Args:
        path: The file; its suffix is the format.
        columns: The columns.
        rows: The rows; what a row does not have is empty.
        kinds: The types of the values in each column; for Parquet.

    Raises:
        ArgumentError: The suffix is another one.
        GraphtaskError: The file cannot be written.
    """
    from graphtask.storage.atomic import write_atomically

    check_table_path(path)
    with write_atomically(path) as file:
        if path.suffix == ".parquet":
            _write_parquet(file, columns, rows, kinds)
            return
        for text in TEXTS[path.suffix[1:]](columns, rows):
            file.write(text.encode("utf-8", errors="surrogateescape"))


def _write_parquet(
    file: IO[bytes], columns: Sequence[str], rows: Iterable[Row], kinds: Mapping[str, set[type]]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {column: _arrow_type(kinds.get(column, set())) for column in columns}
    schema = pa.schema(list(types.items()))
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema) as writer:
        while group := list(islice(remaining, _ROWS)):
            arrays = [_array([row.get(column) for row in group], kind) for column, kind in types.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _arrow_type(kinds: set[type]) -> "pa.DataType":
    import pyarrow as pa

    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _array(values: list[Any], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if kind == pa.string():
        values = [None if value is None else _unicode(str(value)) for value in values]
    elif kind == pa.float64():
        values = [None if value is None else float(value) for value in values]
    else:  # a whole number or a flag cannot be NaN
        values = [None if isinstance(value, float) else value for value in values]
    return pa.array(values, type=kind)


def _unicode(text: str) -> str:
    """The text without the marks that stand for bytes of a file name that is not UTF-8."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
