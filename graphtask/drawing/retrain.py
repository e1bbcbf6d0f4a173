"""Full, thresholded and retrained networks: the paper's Fig. 5 and Table 3 as a picture."""

from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.columns import ACCURACY, with_accuracy
from graphtask.drawing.grouped import Group, from_zero, groups_of, require_columns, share_legend, tidy
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import INK, TEXT, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NETWORKS = {
    "full": ("full", "#454b5a"),
    "thresholded": ("thresholded", "#cdb07c"),
    "retrained": ("retrained, same C", "#0072b2"),
    "retrained_fit": ("retrained, fitted C", "#d55e00"),
}
_OTHERS = ("#009e73", "#cc79a7", "#56b4e9")
_LONGEST = 12  # characters of a data set's name that fit under its place


def draw_retraining(table: "pd.DataFrame") -> "Figure":
    """Test accuracy (or the score of another task) of the full, the thresholded and the retrained networks, and how long their epochs take.

    A dot is a run; a bar is the mean over the runs of a data set and prior, with ± one standard deviation.

    Args:
        table: What `graphtask.training.compare_retrained` gave; for several runs, those tables in one (`pandas.concat`).

    Raises:
        ArgumentError: The table has other columns or no rows.

    Example:
        >>> import pandas as pd
        >>> row = dict(run="0", dataset="digits", prior="full")
        >>> table = pd.DataFrame(
        ...     [
        ...         row | dict(network="full", test_accuracy=0.9, epoch_time_ratio=1.0),
        ...         row | dict(network="retrained", test_accuracy=0.92, epoch_time_ratio=0.4),
        ...     ]
        ... )
        >>> [axes.get_title(loc="left") for axes in draw_retraining(table).axes]
        ['test accuracy', 'time of an epoch, full = 1']
    """
    table, score = with_accuracy(table)
    needed = {"run", "dataset", "prior", "network", "test_accuracy", "epoch_time_ratio"}
    require_columns(table, needed, made_by="graphtask.training.compare_retrained")
    figure = new_figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.4, 1])
    groups = groups_of(table)
    names = list(dict.fromkeys(table["network"]))
    _draw_networks(left, groups, names, "test_accuracy")
    tidy(left, title=f"test {score}")
    if score == ACCURACY:
        _within_shares(left)
    timed = table.loc[table["epoch_time_ratio"].notna(), "network"].unique()
    _draw_networks(right, groups, [name for name in names if name in timed], "epoch_time_ratio")
    right.axhline(1.0, color=INK, linewidth=0.6, linestyle=(0, (3, 2)))
    tidy(right, title="time of an epoch, full = 1")
    from_zero(right)
    labels = [group.label.replace(", ", ",\n") for group in groups]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    is_wide = len(groups) > 3 or longest > _LONGEST
    tilt: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if is_wide else {}
    for axes in (left, right):
        axes.set_xticks(range(len(groups)), labels, fontsize=TEXT - (1.5 if is_wide else 1), **tilt)
        axes.set_xlim(-0.55, len(groups) - 0.45)
    share_legend(left, columns=4)
    return figure


def _draw_networks(axes: "Axes", groups: list[Group], names: list[str], column: str) -> None:
    """Draw the networks of each group next to each other."""
    others = iter(_OTHERS * len(names))
    step = 0.8 / max(len(names), 1)
    for index, name in enumerate(names):
        label, color = _NETWORKS.get(name) or (name, next(others))
        offset = (index - (len(names) - 1) / 2) * step
        for place, group in enumerate(groups):
            values = group.rows.loc[group.rows["network"] == name, column].to_numpy(dtype=np.float64)
            values = values[np.isfinite(values)]
            if not len(values):
                continue
            at = place + offset
            axes.plot([at - 0.38 * step, at + 0.38 * step], [values.mean()] * 2, color=color, linewidth=2.2)
            if len(values) > 1:
                axes.errorbar(
                    at, values.mean(), yerr=values.std(ddof=1), color=color, elinewidth=1.0, capsize=2
                )
            spread = np.linspace(-0.2, 0.2, len(values)) * step if len(values) > 1 else [0.0]
            axes.scatter(at + np.asarray(spread), values, s=10, color=color, alpha=0.6, linewidths=0)
        axes.plot([], [], color=color, linewidth=2.2, label=label)


def _within_shares(axes: "Axes") -> None:
    """From a little below the lowest bar to at most 1: differences of a percent shall be seen."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.0), min(high, 1.005))
