r"""CSV tables: every digit of their numbers, every byte of their names, and no cell that a spreadsheet runs.

A spreadsheet evaluates text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return. Names of files,
archive members and provenance come from strangers, so such text gets a leading apostrophe in CSV files and in CSV on
standard output, which spreadsheets do not display. `read_csv` removes it. Numbers stay as they are, and so do the
texts in JSON and Parquet.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"''*[=+\-@\t\r]")
_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # those that stand for no byte of a file name


def csv_lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    r"""Yield the lines of a CSV file, sequentially; the first row is usually the header.

    Args:
        rows: Cells of each row: texts, numbers, flags, or None for an empty cell.

    Example:
        >>> list(csv_lines([["graph", "edges"], ["=SUM(A1)", -3], [None, 0.1]]))
        ['graph,edges\n', "'=SUM(A1),-3\n", ',0.1\n']
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(["" if cell is None else quoted(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def quoted(cell: Any) -> Any:
    """Return a cell that no spreadsheet evaluates: text that looks like a formula gets a leading apostrophe.

    Example:
        >>> quoted("=HYPERLINK(1)"), quoted("-o.graphml"), quoted(-1.5), quoted("cdigits")
        ("'=HYPERLINK(1)", "'-o.graphml", -1.5, 'cdigits')
    """
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unquoted(cell: Any) -> Any:
    """Return the inverse of `quoted`.

    Example:
        >>> unquoted("'=HYPERLINK(1)"), unquoted("'tis"), unquoted(-1.5)
        ('=HYPERLINK(1)', "'tis", -1.5)
    """
    return cell[1:] if isinstance(cell, str) and _QUOTED.match(cell) else cell


def encoded(text: str) -> bytes:
    r"""Return a text in UTF-8; bytes of a file name that are not UTF-8 stay, other lone surrogates are spelled out.

    Example:
        >>> encoded("na\udcffme"), encoded("\ud800")
        (b'na\xffme', b'\\ud800')
    """
    spelled = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return spelled.encode("utf-8", errors="surrogateescape")


def read_csv(source: str | os.PathLike[str] | IO[bytes]) -> "pd.DataFrame":
    r"""Read a table of `csv_lines`, with every digit of its numbers.

    Args:
        source: A path or a binary file.

    Raises:
        ValueError: It is not such a table.
        OSError: It cannot be read.

    Example:
        >>> import io
        >>> table = read_csv(io.BytesIO(b"graph,x\n'=a,0.30000000000000004\n"))
        >>> table.loc[0, "graph"], table.loc[0, "x"]
        ('=a', np.float64(0.30000000000000004))
    """
    import pandas as pd

    # Before 3.1, pandas rounds every third number by default.
    major, minor = map(int, pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}
    table: pd.DataFrame = pd.read_csv(source, low_memory=False, encoding_errors="backslashreplace", **exact)
    table.columns = pd.Index([unquoted(name) for name in table.columns])
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            table.isetitem(place, table.iloc[:, place].map(unquoted, na_action="ignore").array)
    return table
