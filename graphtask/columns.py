"""Columns of the tables of runs: one name has one meaning and one dtype in all of them, so that tables join.

The meaning of each is in ``docs/tables.md``, which a test compares with `KINDS` and with the tables.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

KINDS: Mapping[str, type] = {
    **dict.fromkeys(("run", "dataset", "prior", "status", "error", "reason", "message", "damaged"), str),
    **dict.fromkeys(("network", "decided_on", "place", "source", "undefined"), str),
    **dict.fromkeys(("seed", "epoch", "epochs", "runs", "left", "images", "threads", "test_images"), int),
    **dict.fromkeys(("channels", "parameters", "nodes", "edges", "live_edges", "eliminated", "top_k"), int),
    **dict.fromkeys(("threshold", "critical_threshold", "suggested_threshold"), float),
    **dict.fromkeys(
        ("test_accuracy", "test_accuracy_pruned", "trained_accuracy", "decision_accuracy"), float
    ),
    **dict.fromkeys(
        ("test_loss", "edge_l1", "edge_change", "a_percent", "b_epochs", "c_percent", "d_epochs"), float
    ),
    **dict.fromkeys(("dsc_largest_first", "dsc_smallest_first", "dsc_top_k"), float),
    **dict.fromkeys(("dsc_first", "dsc_final", "dsc_retained"), float),
    **dict.fromkeys(("seconds_per_epoch", "seconds_std", "seconds_left", "epoch_time_ratio"), float),
    **dict.fromkeys(("hours_per_run", "hours_left", "longest"), float),
    **dict.fromkeys(("settled", "relative"), bool),
}
"""Type of the values of each column; other columns are metrics."""


def typed_table(
    rows: Sequence[Mapping[str, Any]], *, columns: Iterable[str], metrics: Mapping[str, type] | None = None
) -> "pd.DataFrame":
    """Return a table with nullable integers and bools; missing floats are NaN.

    Args:
        rows: Values of each row; a missing one is absent, None or, in a column of integers or bools, not finite.
        columns: Columns in their order.
        metrics: Types of the columns that are not in `KINDS`.

    Example:
        >>> table = typed_table(
        ...     [{"seed": 0}, {"paths": 3}], columns=["seed", "paths"], metrics={"paths": int}
        ... )
        >>> table.dtypes.astype(str).tolist()
        ['Int64', 'Int64']
    """
    import pandas as pd

    kinds = {**KINDS, **(metrics or {})}
    names = list(columns)
    arrays = {name: _column([row.get(name) for row in rows], kinds[name]) for name in names}
    return pd.DataFrame(arrays, columns=names)


def with_dtypes(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table of other origin with the dtypes of `typed_table`; its metrics stay as they are.

    Example:
        >>> import pandas as pd
        >>> with_dtypes(pd.DataFrame({"seed": [None], "x": [1.5]})).dtypes.astype(str).tolist()
        ['Int64', 'float64']
    """
    known = {name: _column(table[name].tolist(), KINDS[name]) for name in table.columns if name in KINDS}
    return table.assign(**known)


def _column(values: list[Any], kind: type) -> Any:
    import pandas as pd

    if kind is str:
        return values
    if kind is float:
        return pd.array([math.nan if value is None else value for value in values], dtype="float64")
    known = [
        None if value is None or value is pd.NA or not math.isfinite(value) else value for value in values
    ]
    return pd.array(known, dtype="Int64" if kind is int else "boolean")
