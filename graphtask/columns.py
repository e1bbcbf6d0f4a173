"""Columns of the tables of runs: one name has one meaning and one dtype in all of them, so that tables join.

The meaning of each is in ``docs/tables.md``, which a test compares with `KINDS` and with the tables.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

KINDS: Mapping[str, type] = {
    **dict.fromkeys(("run", "dataset", "prior", "status", "error", "reason", "message", "damaged"), str),
    **dict.fromkeys(("network", "decided_on", "place", "source", "undefined", "reading"), str),
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


ACCURACY = "accuracy"
"""Score of classification; other tasks have columns of their own score, such as ``test_r2`` for ``test_accuracy``."""

TASK_SCORES: Mapping[str, str] = {
    "classification": ACCURACY,
    "regression": "r2",
    "multilabel": "f1",
    "segmentation": "iou",
}
"""Score of each built-in task; here, so that the progress of a study is read without PyTorch."""

SCORED = (
    *("train_accuracy", "validation_accuracy", "test_accuracy", "test_accuracy_pruned"),
    *("trained_accuracy", "decision_accuracy"),
)
"""Columns that have the name of the score in them."""

_OF_TEST = re.compile(r"test_(?!loss$|images$)(\w+?)(_pruned)?")


def score_of(columns: Iterable[str]) -> str:
    """Return the name of the score in the columns of a table: ``accuracy``, unless it has another.

    Example:
        >>> score_of(["epoch", "test_loss", "test_r2"]), score_of(["epoch"])
        ('r2', 'accuracy')
    """
    found = [match[1] for name in columns if (match := _OF_TEST.fullmatch(name))]
    return found[0] if found and ACCURACY not in found else ACCURACY


def named_after(score: str, names: Iterable[str] = SCORED) -> dict[str, str]:
    """Return the names that columns have for a score.

    Example:
        >>> named_after("r2", ["epoch", "test_accuracy"])
        {'epoch': 'epoch', 'test_accuracy': 'test_r2'}
    """
    return {name: name.replace(ACCURACY, score) if name in SCORED else name for name in names}


def with_accuracy(table: "pd.DataFrame") -> "tuple[pd.DataFrame, str]":
    """Return a table with the columns of its score named as those of the accuracy, and the score in words.

    So pictures and reports of every task read the same columns.

    Example:
        >>> import pandas as pd
        >>> table, words = with_accuracy(pd.DataFrame({"test_pixel_accuracy": [0.5]}))
        >>> list(table), words
        (['test_accuracy'], 'pixel accuracy')
    """
    score = score_of(table.columns)
    names = {new: old for old, new in named_after(score).items()}
    return table.rename(columns=names), words(score)


def words(score: str) -> str:
    """Return the name of a score in words."""
    return score.replace("_", " ")


def shown_score(value: float, score: str, *, digits: int = 1) -> str:
    """Return a score as text: a percentage for accuracies, else four digits.

    Example:
        >>> shown_score(0.5, "accuracy"), shown_score(0.5, "r2")
        ('50.0%', '0.5')
    """
    return f"{value:.{digits}%}" if words(score).endswith(ACCURACY) else f"{value:.4g}"


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
