"""Metrics table of a run, one row per epoch: ``metrics.csv``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.errors import RunError
from graphtask.runs.layout import METRICS
from graphtask.storage.atomic import write_atomically
from graphtask.storage.csv_table import read_csv

if TYPE_CHECKING:
    import pandas as pd


def write_metrics(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the metrics table of the epochs so far."""
    import pandas as pd

    with write_atomically(folder / METRICS) as file:
        pd.DataFrame(rows).to_csv(file, index=False)


def read_metrics(folder: Path) -> "pd.DataFrame":
    """Read the metrics table of a finished run.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        table = read_csv(folder / METRICS)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder}: the run is damaged ({error}); delete the folder and train again"
        ) from error
    if "test_accuracy" not in table:
        raise RunError(f"{folder}: its files are not of one run; delete the folder and train again")
    return table
