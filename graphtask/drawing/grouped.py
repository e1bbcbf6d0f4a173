"""Several runs in one picture: one color per data set and prior, mean curves with a band."""

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphtask.drawing.style import LEGEND, TEXT
from graphtask.drawing.text import group_names, n_columns
from graphtask.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Okabe and Ito's colors, distinct for color-blind readers, without yellow, which is too light for lines; then three of
# Tol's muted colors for further groups.
COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"),
    *("#882255", "#999933", "#332288"),
)


class Group(NamedTuple):
    """Rows of a table with one data set and prior."""

    label: str
    color: str
    rows: "pd.DataFrame"


def groups_of(table: "pd.DataFrame") -> list[Group]:
    """Return the rows of each data set and prior, in order of first occurrence.

    Priors are part of the label only if there are several.
    """
    several = len(table["prior"].unique()) > 1
    datasets, priors = (group_names(table[column]) for column in ("dataset", "prior"))
    found = table.groupby(["dataset", "prior"], sort=False, dropna=False)
    return [
        Group(datasets[str(dataset)] + (f", {priors[str(prior)]}" if several else ""), color, rows)
        for ((dataset, prior), rows), color in zip(found, _cycled(), strict=False)
    ]


def _cycled() -> Iterator[str]:
    return cycle(COLORS)


def draw_mean(axes: "Axes", group: Group, *, x: str, y: str) -> None:
    """Draw the mean of ``y`` over the runs of a group at every shared ``x``, with a band of one standard deviation.

    The curve has a gap where a run has no value: a mean over the other runs would not be comparable.
    """
    by_run = group.rows.pivot_table(index=x, columns="run", values=y, dropna=False, aggfunc="first")
    shared = group.rows.groupby(x)["run"].nunique()
    by_run = by_run.loc[shared.index[shared == group.rows["run"].nunique()]]
    mean = by_run.mean(axis=1, skipna=False).to_numpy(dtype=np.float64)
    spread = by_run.std(axis=1, skipna=False).fillna(0.0).to_numpy(dtype=np.float64)
    at = by_run.index.to_numpy(dtype=np.float64)
    axes.plot(at, mean, color=group.color, linewidth=1.5, label=group.label)
    axes.fill_between(at, mean - spread, mean + spread, color=group.color, alpha=0.18, linewidth=0)


def tidy(axes: "Axes", *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Titles and labels in the size of all pictures, no frame above and on the right, faint horizontal lines."""
    axes.set_title(title, fontsize=TEXT + 1, loc="left")
    axes.set_xlabel(xlabel, fontsize=TEXT)
    axes.set_ylabel(ylabel, fontsize=TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TEXT - 1)
    axes.grid(visible=True, axis="y", linewidth=0.4, alpha=0.4)


def from_zero(axes: "Axes") -> None:
    """Start the vertical axis at 0, with room above the largest value however little the values vary."""
    top = axes.dataLim.y1
    axes.set_ylim(0, 1.05 * top if np.isfinite(top) and top > 0 else None)


def share_legend(*panels: "Axes", columns: int = 5) -> None:
    """One legend for the figure, below all panels, of what some of them show."""
    found = [axes.get_legend_handles_labels() for axes in panels]
    handles = [handle for group, _ in found for handle in group]
    labels = [label for _, group in found for label in group]
    figure = panels[0].get_figure()
    assert figure is not None
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=n_columns(labels, most=columns),
        **{**LEGEND, "handlelength": 1.6},
    )


def require_columns(table: "pd.DataFrame", columns: set[str], *, made_by: str) -> None:
    """Raise unless the table has the columns and at least one row.

    Raises:
        ArgumentError: A column or all rows are missing.
    """
    missing = columns - set(table.columns)
    if missing:
        raise ArgumentError(
            f"table must have the column {min(missing)!r}; pass the table of {made_by}", argument="table"
        )
    if not len(table):
        raise ArgumentError(
            f"table must have at least one row; pass the table of {made_by}", argument="table"
        )
