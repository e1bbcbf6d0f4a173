"""Curves of a training run: edge weights, loss and accuracy."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from graphtask.columns import ACCURACY, with_accuracy
from graphtask.drawing.grouped import from_zero, groups_of, require_columns, share_legend, tidy
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import ACROSS, INK, LEGEND, REMOVED, TEXT, WIDTH, WITHIN
from graphtask.pruning import kept_edges
from graphtask.types import BoolArray
from graphtask.validation import invalid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class HasMagnitudes(Protocol):
    """Protocol of a run's history."""

    @property
    def magnitudes(self) -> npt.NDArray[np.float64]:
        """Shape (epochs + 1, edges)."""


def draw_history(
    history: "npt.ArrayLike | HasMagnitudes", *, threshold: float = 0.006, kept: npt.ArrayLike | None = None
) -> "Figure":
    """Draw edge weights over the epochs: edges that pruning keeps, and edges that it removes.

    Args:
        history: Magnitudes of the weights at the start and at the end of every epoch, shape (epochs + 1, edges), or
            the history of a run, which has them.
        threshold: Pruning threshold; drawn as a dashed line.
        kept: True for edges that are kept, shape (edges,); by default those that pruning the last weights keeps, dead paths
            removed. For an array of magnitudes without paths: edges at or above the threshold at the end.

    Raises:
        ArgumentError: A shape does not fit.

    Example:
        >>> import numpy as np
        >>> figure = draw_history(np.array([[0.5, 0.5], [0.2, 0.004]]))
        >>> [axes.get_title() for axes in figure.axes]
        ['kept (1)', 'removed (1)']
    """
    figure = new_figure(figsize=(WIDTH, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_history_on((left, right), history, threshold=threshold, kept=kept)
    return figure


def draw_history_on(
    panels: "tuple[Axes, Axes]",
    history: "npt.ArrayLike | HasMagnitudes",
    *,
    threshold: float,
    kept: npt.ArrayLike | None = None,
) -> None:
    """Draw the panels of `draw_history`: kept edges and removed ones.

    Raises:
        ArgumentError: A shape does not fit.
    """
    from matplotlib.collections import LineCollection

    values = np.asarray(getattr(history, "magnitudes", history), dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 1:
        raise invalid("history", "of shape (epochs + 1, edges)", values)
    chosen = _kept(history, values[-1], threshold) if kept is None else np.asarray(kept, dtype=np.bool_)
    if chosen.shape != values.shape[1:]:
        raise invalid("kept", f"of shape ({values.shape[1]},), one value for each edge", chosen)
    floor = threshold / 100 if threshold > 0 else 1e-5
    epochs = np.arange(len(values))
    for axes, mask, title, color in (
        (panels[0], chosen, "kept", WITHIN),
        (panels[1], ~chosen, "removed", REMOVED),
    ):
        curves = np.maximum(values[:, mask], floor)
        lines = np.stack([np.broadcast_to(epochs[:, None], curves.shape), curves], axis=2).transpose(1, 0, 2)
        opacity = float(np.clip(12 / max(len(lines), 1), 0.06, 0.8))
        axes.add_collection(
            LineCollection(list(lines), colors=color, linewidths=0.8, alpha=opacity), autolim=False
        )
        if len(lines):
            axes.plot(epochs, np.median(curves, axis=1), color=INK, linewidth=1.8, label="median")
        axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.set_yscale("log")
        axes.set_ylim(floor, 1.2)
        axes.set_xlim(0, max(len(values) - 1, 1))
        axes.set_title(f"{title} ({mask.sum():,})", fontsize=TEXT + 1, color=INK)
        axes.set_xlabel("epoch", fontsize=TEXT)
        _plain(axes)
    panels[0].set_ylabel("edge weight |tanh w|", fontsize=TEXT)


def _kept(
    history: "npt.ArrayLike | HasMagnitudes", weights: npt.NDArray[np.float64], threshold: float
) -> BoolArray:
    edges = getattr(history, "edges", None)
    return weights >= threshold if edges is None else kept_edges(edges, weights, threshold=threshold)


def draw_curves(metrics: "pd.DataFrame") -> "Figure":
    """Loss, accuracy and live edges over the epochs of a run, from its table of metrics per epoch.

    Args:
        metrics: Columns ``epoch``, ``train_loss``, ``test_loss``, ``train_accuracy``, ``test_accuracy`` (shares
            of 1; or another score) and ``live_edges``, as in ``run.metrics``.

    Raises:
        ArgumentError: A column is missing.

    Example:
        >>> import pandas as pd
        >>> row = dict(
        ...     epoch=1, train_loss=2.0, test_loss=1.9, train_accuracy=0.3, test_accuracy=0.4, live_edges=60
        ... )
        >>> len(draw_curves(pd.DataFrame([row])).axes)
        3
    """
    metrics, score = with_accuracy(metrics)
    panels = {
        "loss": {"train_loss": "training", "test_loss": "test"},
        score: {"train_accuracy": "training", "test_accuracy": "test"},
        "live edges": {"live_edges": "live edges"},
    }
    missing = {"epoch", *(column for columns in panels.values() for column in columns)} - set(metrics.columns)
    if missing:
        raise invalid(
            "metrics", f"a table with the column {min(missing)!r}", metrics, remedy="pass run.metrics"
        )
    figure = new_figure(figsize=(WIDTH, 2.2), layout="constrained")
    for axes, (title, columns) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for (column, label), color in zip(columns.items(), (ACROSS, WITHIN)[-len(columns) :], strict=True):
            axes.plot(metrics["epoch"], metrics[column], color=color, linewidth=1.6, label=label)
        axes.set_title(title, fontsize=TEXT + 1, color=INK)
        axes.set_xlabel("epoch", fontsize=TEXT)
        if len(columns) > 1:
            axes.legend(**{**LEGEND, "handlelength": 1.6})
        _plain(axes)
    return figure


def draw_progress(table: "pd.DataFrame") -> "Figure":
    """Draw test accuracy and live edges over the epochs of several runs: a line each, a color per data set and prior.

    Args:
        table: Metrics of the runs in one table, with the columns ``run``, ``dataset``, ``prior``, ``epoch``,
            ``test_accuracy`` and ``live_edges``.

    Raises:
        ArgumentError: A column is missing, or there are no rows.

    Example:
        >>> import pandas as pd
        >>> row = dict(run="a", dataset="d", prior="full", epoch=1, test_accuracy=0.5, live_edges=9)
        >>> [axes.get_title(loc="left") for axes in draw_progress(pd.DataFrame([row])).axes]
        ['test accuracy', 'live edges']
    """
    from matplotlib.ticker import MaxNLocator

    table, score = with_accuracy(table)
    panels = {"test_accuracy": f"test {score}", "live_edges": "live edges"}
    require_columns(table, {"run", "dataset", "prior", "epoch", *panels}, made_by="progress_table")
    figure = new_figure(figsize=(WIDTH, 2.6), layout="constrained")
    both = figure.subplots(1, 2)
    for axes, (column, title) in zip(both, panels.items(), strict=True):
        for group in groups_of(table):
            for index, (_, rows) in enumerate(group.rows.groupby("run", sort=False)):
                label = group.label if index == 0 else None
                marker = "o" if len(rows) == 1 else None
                axes.plot(
                    rows["epoch"],
                    rows[column],
                    color=group.color,
                    linewidth=1.2,
                    alpha=0.8,
                    label=label,
                    marker=marker,
                )
        tidy(axes, title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        if title in {f"test {ACCURACY}", "live edges"}:  # other scores may be negative
            from_zero(axes)
    share_legend(both[0])
    return figure


def _plain(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TEXT - 1)
    axes.grid(visible=True, axis="y", linewidth=0.4, alpha=0.4)
