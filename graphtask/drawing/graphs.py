"""Pictures of architecture graphs."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import igraph
import numpy as np

from graphtask.drawing.artists import (
    ABOVE,
    ROW,
    Drawing,
    EdgeKind,
    Look,
    NodeKind,
    add_legend,
    draw_graph,
    edge_entries,
    ends_of,
    figure_of,
    legend_rows,
    limits_of,
    new_axes,
    omitted_entries,
    scale_of,
    stage_entries,
)
from graphtask.drawing.picture import new_figure
from graphtask.drawing.placement import Layout, Placement, joint_placements, place
from graphtask.drawing.style import ACROSS, DEAD, LEGEND, TEXT, WEAK, WIDTH, WITHIN
from graphtask.drawing.text import fitted
from graphtask.errors import ArgumentError
from graphtask.graph import edge_array, stages
from graphtask.pruning import PrunedParts, pruned_parts
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.types import BoolArray, FloatArray
from graphtask.validation import counted, invalid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(
    graph: GraphLike,
    *others: GraphLike,
    threshold: float | None = None,
    layout: Layout = None,
    labels: str | None = None,
    weak: Literal["light", "hidden"] = "light",
    title: str | None = None,
    names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
    node_size: float | None = None,
    cmap: str = "viridis",
    font: str | None = None,
    font_size: float = TEXT,
) -> "Figure":
    """Draw a graph: nodes colored by stage, edges as wide as their weight, the input on the left.

    Edges inside a stage are dark, edges to a later stage light. With a threshold, edges below it are light gray
    (or hidden), and the paths that are then dead are red and dashed, with hollow nodes. Several graphs are drawn
    next to each other with nodes of the same name in the same place: ``draw(before, after)``.

    Args:
        graph: A valid architecture graph. Edges without a ``weight`` are all equally wide.
        *others: More graphs, drawn next to the first with the same layout.
        threshold: Pruning threshold, e.g. 0.006; needs a trained graph. By default nothing is marked.
        layout: ``"layered"``, ``"stages"``, ``"kamada-kawai"``, ``"circle"``, ``"file"`` (vertex attributes ``x`` and
            ``y``), or positions of shape (nodes, 2) in vertex order. Default: layered for sparse graphs (at most
            three edges per node and 150 nodes), Kamada-Kawai for others.
        labels: Vertex attribute to show at the nodes, such as ``"name"`` or ``"op"``; None for no labels. Long labels
            lose their middle; the legend has the number of labels that found no free place and are omitted.
        weak: Edges below the threshold are drawn ``"light"`` or ``"hidden"``.
        title: Line above the picture.
        names: Lines above several graphs; by default before and after, or 1, 2, 3 ….
        ax: Axes to draw on; by default those of a new figure.
        figsize: Width and height of a new figure in inches; by default the width of a text column.
        node_size: Diameter of the nodes in points; by default chosen for the density.
        cmap: Colormap of the stages, such as ``"viridis"`` or ``"cividis"``.
        font: Font family of all text.
        font_size: Font size in points.

    Returns:
        The figure. The last line of a notebook cell shows it; `save_figure` (``gt.plot.save``) writes it.

    Raises:
        GraphError: The graph is not valid, or there is a threshold and it has no weights.
        ArgumentError: An argument is out of range or does not fit the graph.

    Example:
        >>> import graphtask as gt
        >>> figure = gt.draw(gt.banded_dag(30, bandwidth=4, stages=3), title="banded")
        >>> figure.axes[0].get_title(loc="left")
        'banded'
    """
    look = Look(
        threshold=threshold,
        labels=labels,
        weak=weak,
        node_size=node_size,
        cmap=cmap,
        font=font,
        font_size=font_size,
    )
    if others:
        if ax is not None:
            raise ArgumentError("ax must be omitted for several graphs; draw them one by one", argument="ax")
        graphs = dict(zip(_names(names, 1 + len(others)), (graph, *others), strict=True))
        return _grid(graphs, look, layout=layout, same_layout=True, title=title, figsize=figsize)
    graph = valid_graph(graph)
    drawing = drawing_of(graph, look, layout)
    legend = legend_rows(drawing, width=_width(ax, figsize))
    axes = ax if ax is not None else new_axes(drawing, figsize, n_rows=len(legend))
    n_omitted = draw_graph(axes, drawing)
    add_legend(axes, legend, look, n_omitted=n_omitted)
    if title:
        line = fitted(title, width=_width(axes, figsize), size=font_size + 1.5, font=font)
        axes.set_title(line, loc="left", fontweight="bold", **look.text(font_size + 1.5))
    return figure_of(axes)


def draw_grid(
    graphs: Mapping[str, GraphLike],
    *,
    threshold: float | None = None,
    layout: Layout = None,
    same_layout: bool = False,
    labels: str | None = None,
    weak: Literal["light", "hidden"] = "light",
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    node_size: float | None = None,
    cmap: str = "viridis",
    font: str | None = None,
    font_size: float = TEXT,
) -> "Figure":
    """Draw several graphs in rows, each under its key and its size.

    Args:
        graphs: Valid architecture graphs by title, in reading order.
        threshold: As in `draw`, for all of them; so are the other arguments.
        layout: Name of a layout.
        same_layout: Put nodes of the same name in the same place: the layout of the union of all graphs. Nodes and
            edges then have one scale: equal weights are equally wide.
        labels: Vertex attribute to show at the nodes.
        weak: Edges below the threshold are drawn ``"light"`` or ``"hidden"``.
        title: Line above all of them.
        figsize: Width and height in inches.
        node_size: Diameter of the nodes in points.
        cmap: Colormap of the stages.
        font: Font family of all text.
        font_size: Font size in points.

    Raises:
        GraphError: A graph is not valid.
        ArgumentError: There is no graph, or an argument does not fit one of them.

    Example:
        >>> import graphtask as gt
        >>> figure = draw_grid({"full": gt.full_dag(8), "banded": gt.banded_dag(8, bandwidth=2)})
        >>> len(figure.axes)
        2
    """
    look = Look(
        threshold=threshold,
        labels=labels,
        weak=weak,
        node_size=node_size,
        cmap=cmap,
        font=font,
        font_size=font_size,
    )
    return _grid(graphs, look, layout=layout, same_layout=same_layout, title=title, figsize=figsize)


def _width(ax: "Axes | None", figsize: tuple[float, float] | None) -> float:
    """Return the width of a picture in inches."""
    if ax is not None:
        return float(ax.get_position().width * figure_of(ax).get_size_inches()[0])
    return WIDTH if figsize is None else figsize[0]


def _names(names: Sequence[str] | None, n_graphs: int) -> list[str]:
    if names is None:
        return ["before", "after"] if n_graphs == 2 else [str(k + 1) for k in range(n_graphs)]
    if isinstance(names, str) or len(names) != n_graphs or len(set(names)) != n_graphs:
        raise invalid("names", f"{n_graphs} different names, one for each graph", names)
    return list(names)


def _grid(
    graphs: Mapping[str, GraphLike],
    look: Look,
    *,
    layout: Layout,
    same_layout: bool,
    title: str | None,
    figsize: tuple[float, float] | None,
) -> "Figure":
    if not graphs:
        raise ArgumentError("graphs must have at least one graph to draw", argument="graphs")
    every = [valid_graph(graph, name=f"graphs[{name!r}]") for name, graph in graphs.items()]
    placements = joint_placements(every, layout) if same_layout else [place(graph, layout) for graph in every]
    parts = [_parts(graph, look.threshold) for graph in every]
    drawn = [
        _drawing(graph, look, placement, own)
        for graph, placement, own in zip(every, placements, parts, strict=True)
    ]
    limits = np.stack([limits_of(placement) for placement in placements])
    shared = scale_of(drawn) if same_layout else None
    columns = min(len(every), max(2, min(5, math.ceil(math.sqrt(len(every))))))
    rows = math.ceil(len(every) / columns)
    width = figsize[0] if figsize else max(2.1, WIDTH / columns) * columns
    header, footer = (ABOVE if title else 0.0), 2 * ROW + 0.1
    if figsize is None and same_layout and columns == 2:
        width = 1.5 * WIDTH
    cell = width / columns
    inside = _cell_height(limits, cell) if figsize is None else (figsize[1] - header - footer) / rows - 0.6
    height = header + (inside + 0.6) * rows + footer
    figure = new_figure(figsize=(width, height))
    n_omitted = 0
    for index, (name, one, own) in enumerate(zip(graphs, drawn, parts, strict=True)):
        row, column = divmod(index, columns)
        middle, top = (column + 0.5) / columns, 1 - (header + (inside + 0.6) * row) / height
        box = (middle - 0.46 / columns, top - 0.5 / height - inside / height, 0.92 / columns, inside / height)
        n_omitted += draw_graph(figure.add_axes(box), one, shared=shared)
        n_removed = int((own.weak_edges | own.dead_edges).sum())
        left = f"{one.graph.ecount() - n_removed:,} of " if n_removed else ""
        size = f"{counted(one.graph.vcount(), 'node')}, {left}{counted(one.graph.ecount(), 'edge')}"
        line = fitted(name, width=0.95 * cell, size=look.font_size, font=look.font)
        for text, below, more in ((line, 0.2, {"fontweight": "bold"}), (size, 0.34, {"alpha": 0.8})):
            figure.text(
                middle, top - below / height, text, ha="center", **look.text(look.font_size - 0.5), **more
            )
    if title:
        spot = {"x": 0.1 / width, "y": 1 - 0.12 / height, "ha": "left", "va": "top"}
        line = fitted(title, width=width - 0.2, size=look.font_size + 1.5, font=look.font)
        figure.suptitle(line, fontweight="bold", **spot, **look.text(look.font_size + 1.5))
    _add_grid_legend(figure, drawn, look, n_omitted)
    return figure


def _cell_height(limits: FloatArray, cell: float) -> float:
    """Return inches for the tallest of the graphs, between a quarter and the whole of the width of a cell."""
    extent = limits[:, 1] - limits[:, 0]
    return 0.92 * cell * float(np.clip((extent[:, 1] / extent[:, 0]).max(), 0.25, 1.0))


def _add_grid_legend(figure: "Figure", drawn: Sequence[Drawing], look: Look, n_omitted: int) -> None:
    largest = max(drawn, key=lambda one: int(stages(one.graph).max()))
    legend = {**LEGEND, "fontsize": look.font_size}
    bottom = 0.02 / figure.get_size_inches()[1]
    kinds = {name: handle for one in drawn for name, handle in edge_entries(one, counts=False)}
    below = [*kinds.values(), *omitted_entries(look, n_omitted)]
    for handles, row in ((stage_entries(largest), 1), (below, 0)):
        height = bottom + row * ROW / figure.get_size_inches()[1]
        figure.add_artist(
            figure.legend(
                handles=handles,
                loc="lower center",
                bbox_to_anchor=(0.5, height),
                borderpad=0.2,
                borderaxespad=0.0,
                ncols=max(len(handles), 1),
                **(legend if row else {**legend, "handlelength": 1.6}),
            )
        )


def drawing_of(graph: igraph.Graph, look: Look, layout: Layout = None) -> Drawing:
    """Return the drawing of one graph, in a layout that ignores its weak edges."""
    parts = _parts(graph, look.threshold)
    return _drawing(graph, look, place(graph, layout, ignored=parts.weak_edges), parts)


def _drawing(graph: igraph.Graph, look: Look, placement: Placement, parts: PrunedParts) -> Drawing:
    """Return the kinds of edges and nodes of a graph: kept, weak and dead ones."""
    across, kept = _across(graph), ~(parts.weak_edges | parts.dead_edges)
    is_shown = look.weak != "hidden"
    weak = f"below {look.threshold:g}" if look.threshold is not None else ""
    edge_kinds = (
        EdgeKind("within", "within a stage", kept & ~across, WITHIN, 3),
        EdgeKind("across", "across stages", kept & across, ACROSS, 2),
        EdgeKind(
            *("weak", weak if is_shown else f"{weak}, not shown", parts.weak_edges, WEAK, 1),
            width=0.5,
            has_heads=False,
            is_shown=is_shown,
        ),
        EdgeKind("dead", "dead path", parts.dead_edges, DEAD, 4, width=0.7, is_dashed=True),
    )
    node_kinds = (
        NodeKind("live", "", ~parts.dead_nodes),
        NodeKind("dead", "dead node", parts.dead_nodes, rim=DEAD, face="white"),
    )
    return Drawing(graph, placement, look, edge_kinds, node_kinds, ends_of(graph))


def _across(graph: igraph.Graph) -> BoolArray:
    """Return True for edges to a later stage."""
    ends = stages(graph)[edge_array(graph)]
    return np.asarray(ends[:, 0] < ends[:, 1])


def _parts(graph: igraph.Graph, threshold: float | None) -> PrunedParts:
    if threshold is not None:
        return pruned_parts(graph, threshold=threshold)
    no_edge = np.zeros(graph.ecount(), dtype=np.bool_)
    return PrunedParts(no_edge, no_edge, np.zeros(graph.vcount(), dtype=np.bool_))
