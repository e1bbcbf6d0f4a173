"""Accuracy and sparsity over the threshold of pruning: the paper's Fig. 2."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphtask.columns import ACCURACY, with_accuracy
from graphtask.drawing.grouped import Group, draw_mean, groups_of, require_columns, share_legend, tidy
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import INK, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVES = {"test_accuracy": "test accuracy", "sparsity": "sparsity"}
_MARKS = {"suggested_threshold": ("suggested τ", "o"), "critical_threshold": ("critical τ", "x")}
_GAP = 10**0.4  # between 0 and the smallest positive threshold, on the logarithmic axis
_ROW = 0.16  # inches, for the marks of one data set


def draw_sweep(table: "pd.DataFrame") -> "Figure":
    """Draw test accuracy (or the score of another task) and sparsity over τ, with the critical and the suggested τ of every run below.

    Runs of the same data set and prior are shown by their mean at shared thresholds, with a band of one standard
    deviation. Accuracy ends where the first of them becomes disconnected. The axis is logarithmic, with τ = 0 on its
    left.

    Args:
        table: Table of `graphtask.sweep`; for several runs, their tables in one (`pandas.concat`), with different
            names in the column ``run``.

    Raises:
        ArgumentError: The table has other columns or no rows.

    Example:
        >>> import pandas as pd
        >>> row = dict(
        ...     run="0", dataset="digits", prior="full", critical_threshold=0.5, suggested_threshold=0.01
        ... )
        >>> rows = [row | dict(threshold=t, test_accuracy=0.9, sparsity=t) for t in (0.0, 0.01, 0.5)]
        >>> [axes.get_title(loc="left") for axes in draw_sweep(pd.DataFrame(rows)).axes]
        ['test accuracy', 'sparsity', '', '']
    """
    table, score = with_accuracy(table)
    needed = {"run", "dataset", "prior", "threshold", *_CURVES, *_MARKS}
    require_columns(table, needed, made_by="graphtask.sweep")
    positive = table.loc[table["threshold"] > 0, "threshold"]
    least = float(positive.min()) if len(positive) else 1e-4
    shifted = table.assign(at=_shifted(table["threshold"], least))
    groups = groups_of(shifted)
    is_relative = "relative" in table and bool(table["relative"].all())
    kind = "relative threshold" if is_relative else "threshold"
    height = 0.2 + _ROW * len(groups)
    figure = new_figure(figsize=(WIDTH, 3.1 + height), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, height_ratios=[2.4, height])
    for axes, (column, title) in zip(panels[0], _CURVES.items(), strict=True):
        for group in groups:
            draw_mean(axes, group, x="at", y=column)
        tidy(axes, title=title.replace(ACCURACY, score))
    if score == ACCURACY:
        panels[0, 0].set_ylim(0, 1.02)
    panels[0, 1].set_ylim(-0.02, 1.02)
    for axes in panels[1]:
        _draw_marks(axes, groups, least)
        tidy(axes, xlabel=f"{kind} τ")
        axes.grid(visible=False)
    _set_axis(panels[1, 0], least, float(np.nanmax(shifted[["at", *_MARKS]].to_numpy(dtype=float))))
    share_legend(panels[0, 0], panels[1, 0], columns=4)
    return figure


def _shifted(thresholds: npt.ArrayLike, least: float) -> npt.NDArray[np.float64]:
    """Return places on the logarithmic axis: 0 to the left of the smallest positive threshold."""
    values = np.asarray(thresholds, dtype=np.float64)
    return np.where(values > 0, values, least / _GAP)


def _draw_marks(axes: "Axes", groups: list[Group], least: float) -> None:
    for place, group in enumerate(groups):
        runs = group.rows.drop_duplicates("run")
        for column, (_, marker) in _MARKS.items():
            axes.scatter(
                _shifted(runs[column].dropna(), least),
                np.full(int(runs[column].notna().sum()), place),
                marker=marker,
                s=14,
                color=group.color,
                linewidths=1.0,
                alpha=0.8,
            )
    for label, marker in _MARKS.values():
        axes.scatter([], [], marker=marker, s=14, color=INK, label=label)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_yticks([])


def _set_axis(axes: "Axes", least: float, largest: float) -> None:
    """Make the axis logarithmic, with 0 as its leftmost tick, up to the largest threshold or mark."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(least / _GAP / 1.15, max(largest * 1.15, least * 10))
    decades = [tick for tick in LogLocator().tick_values(least, largest) if least <= tick <= largest * 1.01]
    labels = [f"$10^{{{round(np.log10(tick))}}}$" for tick in decades]
    axes.xaxis.set_major_locator(FixedLocator([least / _GAP, *decades]))
    axes.xaxis.set_major_formatter(FixedFormatter(["0", *labels]))
    axes.xaxis.set_minor_locator(NullLocator())
