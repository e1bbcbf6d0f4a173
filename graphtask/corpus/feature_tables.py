"""Read tables of features from the files that the commands write."""

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.errors import FormatError
from graphtask.storage.content import about, load
from graphtask.storage.csv_table import read_csv

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".json", ".parquet")

_MAX_CELLS = 20_000_000

_INFINITE = {"inf": float("inf"), "-inf": float("-inf")}


def read_table(path: str | os.PathLike[str]) -> "pd.DataFrame":
    r"""Read a table with one row per graph, as `graphtask metrics -o` and `graphtask study results -o` write it.

    Args:
        path: A .csv, .json (a list of objects) or .parquet file, or a folder of .parquet files with equal columns.

    Raises:
        FormatError: The file cannot be read, has no rows, more than 20 million cells, or another suffix.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "features.csv"
        >>> _ = path.write_text("graph,dataset,max_path,log_paths\na,cmnist,3,inf\nb,,4,\n")
        >>> table = read_table(path)
        >>> table["log_paths"].tolist(), table["dataset"].fillna("").tolist()
        ([inf, nan], ['cmnist', ''])
    """
    if os.path.isdir(path):  # noqa: PTH112 - a path stays as it was given
        return _from_folder(path)
    return _from_file(path)


def _from_folder(path: str | os.PathLike[str]) -> "pd.DataFrame":
    import pandas as pd

    tables: list[pd.DataFrame] = []
    n_cells = 0
    for file in sorted(Path(path).glob("[!._]*.parquet")):
        tables.append(_from_file(file))
        n_cells += tables[-1].size
        if n_cells > _MAX_CELLS or list(tables[-1].columns) != list(tables[0].columns):
            problem = (
                "has other columns than the files before it" if n_cells <= _MAX_CELLS else _too_large(n_cells)
            )
            raise FormatError(about(file, FormatError(problem)))
    if not tables:
        raise FormatError(about(path, FormatError("the folder has no .parquet file")))
    return pd.concat(tables, ignore_index=True)


def _from_file(path: str | os.PathLike[str]) -> "pd.DataFrame":
    suffix = Path(path).suffix.lower()
    try:
        return _checked(load(path) if suffix in SUFFIXES else b"", suffix)
    except FormatError as error:
        raise FormatError(about(path, error)) from None


def _checked(content: bytes, suffix: str) -> "pd.DataFrame":
    if suffix not in SUFFIXES:
        raise FormatError(f"is not a table; the suffix must be one of {', '.join(SUFFIXES)}")
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
        _check_cells(content.count(b",") + content.count(b"\n"))
        return read_csv(io.BytesIO(content))
    if suffix == ".parquet":
        return _from_parquet(content)
    rows = json.loads(content)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError("is not a list of rows; a graph in JSON is not a table")
    _check_cells(len(rows) * len({name for row in rows for name in row}))
    return pd.DataFrame([{name: _number(value) for name, value in row.items()} for row in rows])


def _from_parquet(content: bytes) -> "pd.DataFrame":
    """Return the table of a Parquet file whose size was checked before its rows are decoded."""
    import pandas as pd
    import pyarrow.parquet as pq
    from pyarrow import types

    file = pq.ParquetFile(io.BytesIO(content))
    _check_cells(file.metadata.num_rows * file.metadata.num_columns)
    nested = [field.name for field in file.schema_arrow if types.is_nested(field.type)]
    if nested:
        raise FormatError(f"has the nested column {nested[0]!r}; cells must be numbers or text")
    # Texts as references into a dictionary: a long one may be repeated in every row.
    texts = [
        field.name
        for field in file.schema_arrow
        if types.is_string(field.type) or types.is_large_string(field.type) or types.is_binary(field.type)
    ]
    table = pq.read_table(io.BytesIO(content), read_dictionary=texts).to_pandas(ignore_metadata=True)
    for name in texts:
        values = table[name].array
        choices = np.array([*values.categories, None], dtype=object)
        # The code of a missing value is -1; with another type, pandas would copy the texts.
        table[name] = pd.Series(choices[values.codes], index=table.index, dtype=object)
    return table  # type: ignore[no-any-return]


def _check_cells(n_cells: int) -> None:
    if n_cells > _MAX_CELLS:
        raise FormatError(_too_large(n_cells))


def _too_large(n_cells: int) -> str:
    return f"has {n_cells:,} cells; tables of more than {_MAX_CELLS:,} are not read"


def _number(value: Any) -> Any:
    """Return infinities, which JSON lacks, from their names."""
    return _INFINITE.get(value, value) if isinstance(value, str) else value
