"""CSV tables with every digit of their numbers."""

import os
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def read_csv(source: str | os.PathLike[str] | IO[bytes]) -> "pd.DataFrame":
    r"""Read a table; before 3.1, pandas rounds every third number unless it is told not to.

    Args:
        source: A path or a binary file.

    Raises:
        ValueError: It is no such table.
        OSError: It cannot be read.

    Example:
        >>> import io
        >>> read_csv(io.BytesIO(b"x\n0.30000000000000004\n")).loc[0, "x"]
        np.float64(0.30000000000000004)
    """
    import pandas as pd

    major, minor = map(int, pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}
    table: pd.DataFrame = pd.read_csv(source, low_memory=False, **exact)
    return table
