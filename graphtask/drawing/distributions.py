"""Pictures of distributions of graphs: which edges are likely, and whether sampled graphs are like the observed ones."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from graphtask.drawing.artists import ROW, Look, add_legend, draw_graph, legend_rows
from graphtask.drawing.graphs import drawing_of
from graphtask.drawing.grouped import COLORS, from_zero
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import INK, LEGEND, REMOVED, TEXT, WIDTH, WITHIN, stage_colors
from graphtask.drawing.text import fitted, group_names, n_columns, shortened
from graphtask.errors import ArgumentError
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.types import FloatArray
from graphtask.validation import counted, invalid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 5  # panels in a row
_SQUARE = 2.6  # inches, the height of a matrix
_PANEL = 1.5  # inches, the height of a row of panels
_LONGEST_TITLE = 19  # characters that fit above a panel
_LINES = ("-", (0, (4, 1.2)), (0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)))  # within a stage, to the next, and beyond
_SPREAD = 0.26  # how far dots may lie from the middle of their column
_MOST_DOTS = 200  # for each set of graphs; the rest is in the box


def draw_distribution(
    probabilities: "pd.DataFrame", mean_graph: GraphLike, *, title: str | None = None
) -> "Figure":
    """Draw the probabilities of the edges, and next to them the mean graph.

    Where nodes correspond the probabilities are a matrix with a row for every source and a column for every target,
    lines between the stages; otherwise they are curves over the distance, one for each two stages (edges of the
    input and of the output are in the table only).

    Args:
        probabilities: What ``distribution.edge_probabilities()`` gives.
        mean_graph: What ``distribution.mean_graph()`` gives: its edges are as wide as they are likely.
        title: A line above both.

    Raises:
        ArgumentError: The table has other columns.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(8, seed=seed) for seed in range(5)]
        >>> fitted = gt.GraphDistribution.fit(graphs, correspond=True)
        >>> figure = draw_distribution(fitted.edge_probabilities(), fitted.mean_graph())
        >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
        ['probability of an edge', 'mean graph: 8 nodes, 18 edges']
    """
    mean_graph = valid_graph(mean_graph, name="mean_graph")
    drawing = drawing_of(mean_graph, Look())
    legend = legend_rows(drawing)
    above, below = 0.3 + (0.25 if title else 0.0), ROW * len(legend) + 0.12
    height = above + _SQUARE + 0.4 + below
    figure = new_figure(figsize=(WIDTH, height))
    left = figure.add_axes((0.5 / WIDTH, (below + 0.4) / height, 1.2 * _SQUARE / WIDTH, _SQUARE / height))
    right = figure.add_axes((1 - 2.65 / WIDTH, below / height, 2.6 / WIDTH, (_SQUARE + 0.4) / height))
    if {"source", "target", "probability"} <= set(probabilities.columns):
        _draw_matrix(left, probabilities)
    elif {"shortest", "longest", "probability"} <= set(probabilities.columns):
        _draw_curves(left, probabilities)
    else:
        raise invalid(
            "probabilities",
            "a table of edge probabilities",
            type(probabilities).__name__,
            remedy="pass distribution.edge_probabilities()",
        )
    draw_graph(right, drawing)
    box = right.get_position()
    add_legend(right, legend, Look(), middle=(0.5 - box.x0) / box.width)
    size = f"{counted(mean_graph.vcount(), 'node')}, {counted(mean_graph.ecount(), 'edge')}"
    for axes, text in ((left, "probability of an edge"), (right, f"mean graph: {size}")):
        axes.set_title(text, loc="left", fontsize=TEXT + 0.5, color=INK)
    if title:
        _set_title(figure, title)
    return figure


def draw_observed_sampled(
    observed: "pd.DataFrame",
    sampled: "pd.DataFrame",
    *,
    metrics: Sequence[str] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw the metrics of observed and of sampled graphs, a panel for each: dots, and a box over the quartiles.

    Args:
        observed: A table with a row for each graph, as `measure_all` gives it.
        sampled: The same of graphs that were sampled.
        metrics: Columns to show; by default those that are finite numbers for some graph of either table, and differ
            between any two of them.
        title: A line above the panels.

    Raises:
        ArgumentError: A column is missing, or there is nothing to show.

    Example:
        >>> import graphtask as gt
        >>> tables = [gt.measure_all([gt.random_dag(9, seed=s + n) for s in range(5)]) for n in (0, 5)]
        >>> figure = draw_observed_sampled(*tables, metrics=["edges", "mean_path"])
        >>> [axes.get_title() for axes in figure.axes]
        ['edges', 'mean_path']
    """
    chosen = list(metrics) if metrics is not None else _telling(observed, sampled)
    missing = [name for name in chosen if name not in observed.columns or name not in sampled.columns]
    if missing:
        raise ArgumentError(
            f"there is no column {missing[0]!r} in both tables; give tables of gt.measure_all"
        )
    if not chosen:
        raise ArgumentError(
            "no metric varies, so there is nothing to draw; name metrics, or take other graphs"
        )
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    height = _PANEL * rows + 0.35 + (0.3 if title else 0.0)
    figure = new_figure(figsize=(WIDTH if columns > 2 else 1.6 * columns + 0.6, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colors = (REMOVED, WITHIN)
    for axes, name in zip(panels, chosen, strict=False):
        _draw_sets(axes, [_finite(observed[name]), _finite(sampled[name])], colors)
        axes.set_title(_in_lines(name), fontsize=TEXT - 0.5, color=INK)
    for axes in panels[len(chosen) :]:
        figure.delaxes(axes)
    _legend(figure, [f"observed ({len(observed):,})", f"sampled ({len(sampled):,})"], colors)
    if title:
        _set_title(figure, title)
    return figure


def draw_features(
    table: "pd.DataFrame",
    labels: Sequence[str],
    *,
    notes: Mapping[str, str] | None = None,
    title: str | None = None,
) -> "Figure":
    r"""Draw each metric by group, a panel for each: a dot for every graph, and a box over the quartiles.

    Args:
        table: A row for each graph, as `measure_all` gives it.
        labels: Group of each graph.
        notes: Line below the title of a metric, such as the result of a test.
        title: A line above the panels.

    Raises:
        ArgumentError: The numbers of rows and labels differ, or no metric varies.

    Example:
        >>> import graphtask as gt
        >>> table = gt.measure_all([gt.priors.erdos_renyi_dag(9, p=p, seed=1) for p in (0.3, 0.4, 0.8)])
        >>> figure = draw_features(table[["edges", "nodes"]], ["a", "a", "b"], notes={"edges": "p = 0.3"})
        >>> [axes.get_title() for axes in figure.axes]
        ['edges\np = 0.3']
    """
    if len(table) != len(labels):
        raise invalid("labels", f"one for each of the {counted(len(table), 'row')} of the table", len(labels))
    names = list(dict.fromkeys(labels))
    groups = [table[[label == name for label in labels]] for name in names]
    chosen = _telling(table, table)
    if not chosen:
        raise ArgumentError("table must have a metric that varies; give a table of gt.measure_all")
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    height = (_PANEL + 0.2) * rows + 0.35 + (0.3 if title else 0.0)
    width = WIDTH if columns > 2 else 1.6 * columns + 0.6
    figure = new_figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colors = [color for color, _ in zip(cycle(COLORS), names, strict=False)]
    for axes, name in zip(panels, chosen, strict=False):
        _draw_sets(axes, [_finite(group[name]) for group in groups], colors)
        lines = [_in_lines(name), *([notes[name]] if notes and name in notes else [])]
        axes.set_title("\n".join(lines), fontsize=TEXT - 0.5, color=INK)
    for axes in panels[len(chosen) :]:
        figure.delaxes(axes)
    short = group_names(name or "(no data set)" for name in names).values()
    texts = [f"{name} ({len(group):,})" for name, group in zip(short, groups, strict=True)]
    _legend(figure, texts, colors)
    if title:
        _set_title(figure, title)
    return figure


def _set_title(figure: "Figure", title: str) -> None:
    line = fitted(title, width=0.97 * figure.get_size_inches()[0], size=TEXT + 2)
    figure.suptitle(line, fontsize=TEXT + 2, color=INK, fontweight="bold", x=0.01, ha="left")


def _draw_matrix(axes: "Axes", table: "pd.DataFrame") -> None:
    from matplotlib.colors import PowerNorm

    stage = dict(zip(table["source"], table["source_stage"], strict=True))
    stage |= dict(zip(table["target"], table["target_stage"], strict=True))
    position = _reference_order(table)
    matrix = np.full((len(position), len(position)), np.nan)
    rows, columns = (table[end].map(position).to_numpy() for end in ("source", "target"))
    matrix[rows, columns] = table["probability"].to_numpy()
    # The square root of the probability, so that rare edges can be seen next to frequent ones.
    image = axes.imshow(matrix, cmap="magma_r", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    ordered = [stage[name] for name in position]
    for border in np.flatnonzero(np.diff(ordered)) + 0.5:
        axes.axvline(border, color=INK, linewidth=0.5, alpha=0.5)
        axes.axhline(border, color=INK, linewidth=0.5, alpha=0.5)
    axes.set_xlabel("target, in the reference order", fontsize=TEXT)
    axes.set_ylabel("source", fontsize=TEXT)
    axes.tick_params(labelsize=TEXT - 1)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, ticks=[0, 0.05, 0.2, 0.5, 1])
    bar.ax.tick_params(labelsize=TEXT - 1)
    bar.outline.set_visible(False)


def _reference_order(table: "pd.DataFrame") -> dict[str, int]:
    """Names in the reference order: rows of the table go by source; everything else comes last, by its distance."""
    sources = dict.fromkeys(table["source"])
    ends = table.loc[~table["target"].isin(sources), ["source", "target", "distance"]]
    place = {name: index for index, name in enumerate(sources)}
    rest = {
        target: place[source] + distance
        for source, target, distance in ends.itertuples(index=False, name=None)
    }
    names = [*sources, *sorted(rest, key=lambda name: rest[name])]
    return {name: index for index, name in enumerate(names)}


def _draw_curves(axes: "Axes", table: "pd.DataFrame") -> None:
    inner = table[
        table["source_group"].str.startswith("stage") & table["target_group"].str.startswith("stage")
    ]
    stage = {
        end: inner[f"{end}_group"].str.removeprefix("stage ").astype(int) for end in ("source", "target")
    }
    pairs = sorted(set(zip(stage["source"].tolist(), stage["target"].tolist(), strict=True)))
    colors = stage_colors(max((second for _, second in pairs), default=0) + 1)
    for first, second in pairs:
        rows = inner[(stage["source"] == first) & (stage["target"] == second)]
        reach = np.sqrt(rows["shortest"] * rows["longest"])
        axes.plot(
            reach,
            rows["probability"],
            color=colors[first],
            linestyle=_LINES[min(second - first, len(_LINES) - 1)],
            linewidth=1.4,
            marker="o",
            markersize=2.5,
            label=f"{first} → {second}",
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    from_zero(axes)
    axes.set_xlabel("distance in topological order, nodes", fontsize=TEXT)
    axes.set_ylabel("probability", fontsize=TEXT)
    axes.tick_params(labelsize=TEXT - 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", linewidth=0.4, alpha=0.4)
    axes.legend(
        title="stages", title_fontsize=TEXT - 1, **{**LEGEND, "handlelength": 2.2, "fontsize": TEXT - 1}
    )


def _draw_sets(axes: "Axes", sets: Sequence[FloatArray], colors: Sequence[str]) -> None:
    for place, (values, color) in enumerate(zip(sets, colors, strict=True)):
        if len(values) == 0:
            axes.text(
                place, 0.5, "undefined", transform=axes.get_xaxis_transform(), ha="center", fontsize=TEXT - 2
            )
            continue
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        axes.bar(place, high - low, width=0.75, bottom=low, color=color, alpha=0.18, linewidth=0, zorder=1)
        axes.plot([place - 0.375, place + 0.375], [median, median], color=color, linewidth=1.6, zorder=3)
        dots = values[:_MOST_DOTS]
        # Spread by the golden ratio: even, and the same every time.
        aside = ((np.arange(len(dots)) * 0.618034) % 1 - 0.5) * 2 * _SPREAD
        size = 9.0 if len(dots) <= 40 else 3.0
        axes.scatter(place + aside, dots, s=size, color=color, alpha=0.65, linewidths=0, zorder=2)
    axes.set_xlim(-0.6, len(sets) - 0.4)
    axes.use_sticky_edges = False
    axes.margins(y=0.08)
    axes.autoscale_view(scalex=False)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(labelsize=TEXT - 1.5)
    whole = all((values == values.round()).all() for values in sets)
    axes.locator_params(axis="y", nbins=4, integer=whole)
    axes.grid(visible=True, axis="y", linewidth=0.4, alpha=0.4)


def _in_lines(name: str) -> str:
    """A long name of a metric in two lines, cut after an underscore."""
    if len(name) <= _LONGEST_TITLE or "_" not in name[:_LONGEST_TITLE]:
        return shortened(name, length=_LONGEST_TITLE)
    cut = name.rindex("_", 0, _LONGEST_TITLE) + 1
    return f"{name[:cut]}\n{shortened(name[cut:], length=_LONGEST_TITLE)}"


def _legend(figure: "Figure", texts: Sequence[str], colors: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=color, markersize=4, label=text)
        for text, color in zip(texts, colors, strict=True)
    ]
    columns = n_columns(texts, most=4, width=figure.get_size_inches()[0])
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **LEGEND)


def _telling(observed: "pd.DataFrame", sampled: "pd.DataFrame") -> list[str]:
    chosen = []
    for name in observed.columns:
        if name not in sampled.columns or not {observed[name].dtype.kind, sampled[name].dtype.kind} <= set(
            "iuf"
        ):
            continue
        values = np.concatenate([_finite(observed[name]), _finite(sampled[name])])
        if len(np.unique(values)) > 1:
            chosen.append(str(name))
    return chosen


def _finite(column: "pd.Series[float]") -> FloatArray:
    values = column.to_numpy(dtype=np.float64)
    return np.asarray(values[np.isfinite(values)])
