"""Tables whose columns have the same dtypes with and without missing values."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_DTYPES = {bool: "boolean", int: "Int64", float: "float64"}


def typed_table(rows: Sequence[Mapping[str, Any]], *, columns: Mapping[str, type | None]) -> "pd.DataFrame":
    """Return a table with nullable integers and bools; missing floats are NaN.

    Args:
        rows: Values of each row; a missing one is absent or None.
        columns: Columns in their order, with the type of their values; None infers it.

    Example:
        >>> table = typed_table([{"seed": 0, "x": 1}, {"seed": 1}], columns={"seed": int, "x": None})
        >>> table.dtypes.astype(str).tolist()
        ['Int64', 'Int64']
    """
    import pandas as pd

    arrays = {name: _column([row.get(name) for row in rows], kind) for name, kind in columns.items()}
    return pd.DataFrame(arrays, columns=list(columns))


def _column(values: list[Any], kind: type | None) -> Any:
    import pandas as pd

    dtype = _DTYPES.get(kind or _kind(values))  # type: ignore[arg-type]
    if dtype == "float64":
        values = [math.nan if value is None else value for value in values]
    return values if dtype is None else pd.array(values, dtype=dtype)  # type: ignore[call-overload]


def _kind(values: list[Any]) -> type | None:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1:
        return kinds.pop()
    return float if kinds <= {int, float} else None
