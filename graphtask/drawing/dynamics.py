"""Edge dynamics of several runs: the paper's Fig. 6."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphtask.drawing.curves import HasMagnitudes, draw_history_on
from graphtask.drawing.grouped import Group, draw_mean, groups_of, require_columns, share_legend, tidy
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import INK, LEGEND, TEXT, WIDTH
from graphtask.drawing.text import shortened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARS = {"dsc_largest_first": "largest", "dsc_smallest_first": "smallest"}


def draw_dynamics(
    table: "pd.DataFrame",
    overlap: "pd.DataFrame",
    history: "HasMagnitudes | npt.ArrayLike",
    *,
    threshold: float = 0.006,
    kept: npt.ArrayLike | None = None,
    title: str = "",
) -> "Figure":
    """Draw the weights of one run over the epochs, and the overlap of early edges with the final ones for all runs.

    Args:
        table: What `graphtask.dynamics.dynamics_table` gave.
        overlap: What `graphtask.dynamics.table.overlap_table` gave for the same runs.
        history: The history of one run, for the two panels above; see `graphtask.plot.draw_history`.
        threshold: Where pruning cuts.
        kept: Which edges of that run are kept, shape (edges,).
        title: What that run is called.

    Raises:
        ArgumentError: A table has other columns or no rows, or a shape does not fit.
    """
    from matplotlib.ticker import MaxNLocator

    require_columns(
        table,
        {"run", "dataset", "prior", "edges", "eliminated", *_BARS},
        made_by="graphtask.dynamics.dynamics_table",
    )
    require_columns(
        overlap, {"run", "dataset", "prior", "epoch", "dsc_first", "dsc_final"}, made_by="overlap_table"
    )
    figure = new_figure(figsize=(WIDTH, 5.0), layout="constrained")
    mosaic: Any = [["kept"] * 3 + ["removed"] * 3, ["first"] * 2 + ["final"] * 2 + ["bars"] * 2]
    panels: dict[str, Axes] = figure.subplot_mosaic(mosaic)
    panels["removed"].sharey(panels["kept"])
    draw_history_on((panels["kept"], panels["removed"]), history, threshold=threshold, kept=kept)
    if title:
        panels["kept"].set_title(
            f"{shortened(title)}: {panels['kept'].get_title()}", fontsize=TEXT + 1, color=INK
        )
    groups = groups_of(overlap)
    for name, words in (("first", "epoch 1"), ("final", "the end")):
        axes = panels[name]
        for group in groups:
            draw_mean(axes, group, x="epoch", y=f"dsc_{name}")
        tidy(axes, title=f"overlap with {words}", xlabel="epoch", ylabel="DSC")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.set_ylim(0, 1.02)
        axes.set_xlim(1, max(overlap["epoch"].max(), 2))
    _draw_bars(panels["bars"], groups_of(table))
    share_legend(panels["first"])
    return figure


def _draw_bars(axes: "Axes", groups: list[Group]) -> None:
    """Fig. 6b: the retained edges, and as many that are largest or smallest after the first epoch.

    k of m edges, drawn by chance, share k/m with any other k.
    """
    for offset, (column, words) in zip((-0.2, 0.2), _BARS.items(), strict=True):
        for place, group in enumerate(groups):
            values = group.rows[column].to_numpy(dtype=np.float64)
            values = values[np.isfinite(values)]
            if not len(values):
                continue
            axes.bar(
                place + offset,
                values.mean(),
                width=0.36,
                color=group.color if words == "largest" else "white",
                edgecolor=group.color,
                linewidth=1.2,
                yerr=values.std(ddof=1) if len(values) > 1 else None,
                error_kw={"ecolor": INK, "elinewidth": 0.8, "capsize": 1.5},
            )
    for place, group in enumerate(groups):
        chance = (group.rows["edges"] / (group.rows["edges"] + group.rows["eliminated"])).mean()
        axes.plot([place - 0.42, place + 0.42], [chance] * 2, color=INK, linewidth=1.0, linestyle=(0, (2, 1)))
    for words, color in (("largest", INK), ("smallest", "white")):
        axes.bar(0, 0, color=color, edgecolor=INK, label=words)
    axes.plot([], [], color=INK, linewidth=1.0, linestyle=(0, (2, 1)), label="chance")
    tidy(axes, title="kept edges in epoch 1", ylabel="DSC")
    axes.set_xticks([])
    axes.set_ylim(0, 1.35)  # room for the legend above bars of 1
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.legend(**{**LEGEND, "columnspacing": 0.8, "handlelength": 1.0}, loc="upper right", ncols=2)
