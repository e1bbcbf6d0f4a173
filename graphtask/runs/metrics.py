"""Metrics table of a run, one row per epoch: ``metrics.csv``."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.columns import named_after, score_of
from graphtask.runs.files import damaged, read_file
from graphtask.runs.layout import METRICS
from graphtask.storage.atomic import write_atomically
from graphtask.storage.csv_table import read_csv

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = (
    *("epoch", "learning_rate", "train_loss", "test_loss", "train_accuracy", "test_accuracy"),
    *("resource_loss", "live_edges", "seconds"),
)
"""Columns of every metrics table; the accuracies of another task are named after its score."""

_KNOWN = ("epoch", "resource_loss", "live_edges")
"""Columns without gaps; the others have one where nothing was measured: test images before the last epoch of a run
with a validation split, loss and time of a custom training loop."""


def write_metrics(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the metrics table of the epochs so far."""
    import pandas as pd

    with write_atomically(folder / METRICS) as file:
        pd.DataFrame(rows).to_csv(file, index=False)


def read_metrics(folder: Path) -> "pd.DataFrame":
    """Read the metrics table of a run: at least one row, epochs 1, 2, 3 …, numbers that are finite or missing.

    Raises:
        RunError: The file is missing or damaged.
    """
    import numpy as np

    content = read_file(folder, METRICS)
    try:
        table = read_csv(io.BytesIO(content))
    except (ValueError, OverflowError) as error:  # of pandas, of UTF-8
        raise damaged(folder, METRICS, str(error)) from error
    required = named_after(score_of(table.columns), REQUIRED).values()
    missing = [name for name in required if name not in table]
    if missing:
        raise damaged(folder, METRICS, f"no column {missing[0]}")
    for name in required:
        values = table[name]
        if name not in _KNOWN:
            values = values.dropna()
        if table[name].dtype.kind not in "if" or not np.isfinite(values.to_numpy()).all():
            raise damaged(folder, METRICS, f"column {name} has values that are not finite numbers")
    if len(table) == 0 or table["epoch"].tolist() != list(range(1, len(table) + 1)):
        raise damaged(folder, METRICS, "the epochs are not 1, 2, 3 …")
    return table
