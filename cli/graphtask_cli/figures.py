"""Pictures in files."""

from pathlib import Path
from typing import TYPE_CHECKING

from graphtask_cli.messages import note
from graphtask_cli.tables import records_of, write_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def check_figure_path(path: Path) -> None:
    """Check that a picture can be written, before the work is done.

    Raises:
        ArgumentError: The suffix of the file is unknown.
        GraphtaskError: The folder does not exist or is not writable.
    """
    from graphtask.drawing.picture import SUFFIXES
    from graphtask.errors import ArgumentError
    from graphtask.storage.atomic import check_target

    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(
            f"{path}: the suffix of a picture must be .svg, .pdf or .png, got {path.suffix!r}"
        )
    check_target(path)


def save_plot(figure: "Figure", path: Path, data: "pd.DataFrame") -> None:
    """Write a picture, and its data next to it as CSV."""
    import graphtask as gt

    note(f"wrote {gt.plot.save(figure, path)}")
    table = path.with_name(f"{path.stem}-data.csv")
    write_table(records_of(data), table)
    note(f"wrote {table}")
