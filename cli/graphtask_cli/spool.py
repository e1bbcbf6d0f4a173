"""Rows in a temporary file: the columns of a table and their types are known only after its last row."""

import gzip
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from graphtask.errors import GraphtaskError
from graphtask.storage.parquet_table import add_kind

Row = dict[str, Any]


class Spool:
    """Rows of plain values (numbers, texts, flags, None), kept in a temporary file in the order of arrival.

    Attributes:
        kinds: The columns in the order of arrival, and the types of the values in each.
        n_rows: Number of rows.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, set[type]] = {}
        self.n_rows = 0
        with _named_folder():
            self._file = tempfile.TemporaryFile(prefix="graphtask-")  # noqa: SIM115 - closed by __exit__
        self._packed = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1)

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row.

        Raises:
            GraphtaskError: The folder of temporary files is full.
        """
        for column, value in row.items():
            add_kind(self.kinds.setdefault(column, set()), value)
        with _named_folder():
            self._packed.write(json.dumps(row).encode() + b"\n")
        self.n_rows += 1

    def rows(self) -> Iterator[Row]:
        """Yield all rows; afterwards none can be added.

        Raises:
            GraphtaskError: The folder of temporary files is full.
        """
        with _named_folder():
            self._packed.close()
            self._file.flush()
        self._file.seek(0)
        with gzip.GzipFile(fileobj=self._file) as packed:
            for line in packed:
                yield json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk, which `add` or `rows` reported
            self._packed.close()
        with suppress(OSError):
            self._file.close()


@contextmanager
def _named_folder() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir() if tempfile.tempdir else "the folder of temporary files"
        raise GraphtaskError(f"{folder}: {error.strerror or error}; set TMPDIR to another folder") from error
