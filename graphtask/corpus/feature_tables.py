"""Tables of features that were measured before, read back from the files that the commands write."""

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.errors import FormatError
from graphtask.storage.content import about, load
from graphtask.storage.csv_table import read_csv

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".json", ".parquet")

_INFINITE = {"inf": float("inf"), "-inf": float("-inf")}


def read_table(path: str | os.PathLike[str]) -> "pd.DataFrame":
    r"""Read a table with a row for each graph, as `graphtask metrics -o` and `graphtask study results -o` write it.

    Args:
        path: A .csv, .json (a list of objects) or .parquet file.

    Raises:
        FormatError: The file cannot be read, holds no table or no rows, or has another suffix.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "features.csv"
        >>> _ = path.write_text("graph,data,max_path,log_paths\na,cmnist,3,inf\nb,,4,\n")
        >>> table = read_table(path)
        >>> table["log_paths"].tolist(), table["data"].fillna("").tolist()
        ([inf, nan], ['cmnist', ''])
    """
    suffix = Path(path).suffix.lower()
    try:
        return _checked(load(path) if suffix in SUFFIXES else b"", suffix)
    except FormatError as error:
        raise FormatError(about(path, error)) from None


def _checked(content: bytes, suffix: str) -> "pd.DataFrame":
    if suffix not in SUFFIXES:
        raise FormatError(f"is no table; give one of {', '.join(SUFFIXES)}")
    try:
        table = _parsed(content, suffix)
    except FormatError:
        raise
    except (ValueError, OSError, RecursionError) as error:  # the errors of pandas and pyarrow are ValueErrors
        raise FormatError(f"cannot be read as a table: {error}") from error
    if not len(table):
        raise FormatError("the table has no rows; measure at least one graph")
    return table


def _parsed(content: bytes, suffix: str) -> "pd.DataFrame":
    import pandas as pd

    if suffix == ".csv":
        return read_csv(io.BytesIO(content))
    if suffix == ".parquet":
        return pd.read_parquet(io.BytesIO(content))
    rows = json.loads(content)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError("is no list of rows; a graph in JSON is not a table")
    return pd.DataFrame([{name: _number(value) for name, value in row.items()} for row in rows])


def _number(value: Any) -> Any:
    """JSON has no infinities; our tables spell them."""
    return _INFINITE.get(value, value) if isinstance(value, str) else value
