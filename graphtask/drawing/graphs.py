"""Pictures of architecture graphs."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.drawing.layout import kamada_kawai
from graphtask.drawing.style import ACROSS, INK, LEGEND, REMOVED, TEXT, WIDTH, WITHIN, stage_colors
from graphtask.errors import ArgumentError
from graphtask.graph import WEIGHT, check_graph, edge_array, input_node, output_node, stages
from graphtask.pruning import PrunedParts, pruned_parts
from graphtask.types import BoolArray, FloatArray, IntArray
from graphtask.validation import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_ABOVE, _BELOW = 0.35, 0.5  # inches for the title and for the legend
_BEND = 0.10  # height of an edge's control point, as a share of the edge's length
_RASTER_FROM = 10_000  # edges from which vector files carry the edges as an image


class _Style(NamedTuple):
    """Sizes in points, chosen for the density of one graph on one pair of axes."""

    node: float  # diameter
    line: float  # width of the strongest edge
    head: float  # length of an arrow head; 0 for none
    text: float
    unit: float  # points per unit of the axes


def draw(
    graph: igraph.Graph,
    *,
    threshold: float | None = None,
    layout: npt.ArrayLike | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """A picture of the graph: nodes colored by stage, edges as wide as their weight, the input on the left.

    Edges inside a stage are dark, edges to a later stage light. With a threshold, whatever pruning with it would
    remove is red: edges below it as thin lines, edges above it that would lead nowhere as dashed lines.

    Args:
        graph: A valid architecture graph. Edges without a ``weight`` are all equally wide.
        threshold: Where pruning would cut, e.g. 0.006; needs a trained graph. Nothing is red by default.
        layout: Positions of the vertices, shape (nodes, 2), in the graph's vertex order; by default
            `kamada_kawai`.
        title: A line above the picture.
        ax: Axes to draw on; by default a new figure of fitting size.

    Returns:
        The figure, for `save_figure` or for matplotlib's own ``savefig``.

    Raises:
        GraphError: The graph is not valid, or there is a threshold and it has no weights.
        ArgumentError: ``threshold`` or ``layout`` does not fit the graph.

    Example:
        >>> import graphtask as gt
        >>> figure = gt.draw(gt.banded_dag(30, bandwidth=4, stages=3), title="banded")
        >>> figure.axes[0].get_title(loc="left")
        'banded'
    """
    check_graph(graph)
    positions = kamada_kawai(graph) if layout is None else _given_layout(graph, layout)
    parts = _parts(graph, threshold)
    axes = ax if ax is not None else _new_axes(positions)
    _draw_graph(axes, graph, positions, parts)
    _add_legend(axes, _node_entries(_n_stages(graph), parts), _edge_entries(graph, parts, threshold))
    if title:
        axes.set_title(title, loc="left", fontsize=TEXT + 1.5, color=INK, fontweight="bold")
    return _figure_of(axes)


def draw_grid(
    graphs: Mapping[str, igraph.Graph], *, threshold: float | None = None, title: str | None = None
) -> "Figure":
    """One picture of several graphs, in rows, each under its key and its size.

    Args:
        graphs: Valid architecture graphs by title, in reading order.
        threshold: As in `draw`, for all of them.
        title: A line above all of them.

    Raises:
        GraphError: A graph is not valid.
        ArgumentError: There is no graph, or the threshold does not fit one of them.

    Example:
        >>> import graphtask as gt
        >>> figure = draw_grid({"full": gt.full_dag(8), "banded": gt.banded_dag(8, bandwidth=2)})
        >>> len(figure.axes)
        2
    """
    from matplotlib.figure import Figure

    if not graphs:
        raise ArgumentError("there is no graph to draw")
    for graph in graphs.values():
        check_graph(graph)
    columns = min(len(graphs), max(2, min(5, math.ceil(math.sqrt(len(graphs))))))
    rows = math.ceil(len(graphs) / columns)
    cell = max(2.1, WIDTH / columns)
    width, header = cell * columns, _ABOVE if title else 0.0
    height = header + 0.85 * cell * rows + _BELOW
    figure = Figure(figsize=(width, height))
    for index, (name, graph) in enumerate(graphs.items()):
        row, column = divmod(index, columns)
        middle, top = (column + 0.5) / columns, 1 - (header + 0.85 * cell * row) / height
        inside = (0.85 * cell - 0.6) / height
        axes = figure.add_axes((middle - 0.46 / columns, top - 0.5 / height - inside, 0.92 / columns, inside))
        _draw_graph(axes, graph, kamada_kawai(graph), _parts(graph, threshold))
        size = f"{counted(graph.vcount(), 'node')}, {counted(graph.ecount(), 'edge')}"
        for text, below, look in ((name, 0.2, {"fontweight": "bold"}), (size, 0.34, {"alpha": 0.8})):
            figure.text(
                middle, top - below / height, text, ha="center", fontsize=TEXT - 0.5, color=INK, **look
            )
    if title:
        place = {"x": 0.1 / width, "y": 1 - 0.12 / height, "ha": "left", "va": "top"}
        figure.suptitle(title, fontsize=TEXT + 1.5, color=INK, fontweight="bold", **place)
    nothing = PrunedParts(*(np.zeros(0, np.bool_),) * 3)
    figure.legend(
        handles=_node_entries(max(map(_n_stages, graphs.values())), nothing),
        loc="lower center",
        ncols=10,
        **LEGEND,
    )
    return figure


def _given_layout(graph: igraph.Graph, layout: npt.ArrayLike) -> FloatArray:
    positions = np.asarray(layout, dtype=np.float64)
    if positions.shape != (graph.vcount(), 2) or not np.isfinite(positions).all():
        raise ArgumentError(
            f"the layout has shape {positions.shape}; give one finite (x, y) for each of the {graph.vcount()} vertices"
        )
    return positions


def _parts(graph: igraph.Graph, threshold: float | None) -> PrunedParts:
    if threshold is not None:
        return pruned_parts(graph, threshold=threshold)
    no_edge = np.zeros(graph.ecount(), dtype=np.bool_)
    return PrunedParts(no_edge, no_edge, np.zeros(graph.vcount(), dtype=np.bool_))


def _new_axes(positions: FloatArray) -> "Axes":
    from matplotlib.figure import Figure

    (left, low), (right, high) = _limits(positions)
    inside = (WIDTH - 0.2) * min((high - low) / (right - left), 0.9)
    total = inside + _ABOVE + _BELOW
    figure = Figure(figsize=(WIDTH, total))
    return figure.add_axes((0.1 / WIDTH, _BELOW / total, 1 - 0.2 / WIDTH, inside / total))


def _frame(axes: "Axes", positions: FloatArray, *, n_edges: int) -> _Style:
    """Set the limits of the axes around the nodes, and choose sizes that suit what has to fit in there."""
    low, high = _limits(positions)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_axis_off()
    box = axes.get_position()
    inches = np.array([box.width, box.height]) * _figure_of(axes).get_size_inches()
    unit = float((72 * inches / (high - low)).min())
    room = unit * _typical_gap(positions)
    scale = float(np.clip(inches.max() / WIDTH, 0.3, 1.0)) ** 0.5
    line = scale * float(np.clip(2.6 * (120 / max(n_edges, 1)) ** 0.25, 0.7, 2.6))
    return _Style(
        node=float(np.clip(0.45 * room, 3.0, 14.0)),
        line=line,
        head=float(np.clip(0.16 * room, 0.0, 6.0)) if n_edges <= 300 else 0.0,
        text=TEXT * scale,
        unit=unit,
    )


def _limits(positions: FloatArray) -> FloatArray:
    """Lower left and upper right corner of a frame around the nodes that is at least a fifth as high as wide."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    half = np.maximum((high - low) / 2 + 0.06 * extent, 0.11 * extent)
    middle = (low + high) / 2
    return np.stack([middle - half, middle + half])


def _typical_gap(positions: FloatArray) -> float:
    """Median distance from a node to its nearest neighbor."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(positions).query(positions, k=2)
    return float(np.median(distances[:, 1]))


def _draw_graph(axes: "Axes", graph: igraph.Graph, positions: FloatArray, parts: PrunedParts) -> None:
    style = _frame(axes, positions, n_edges=int((~(parts.weak_edges | parts.dead_edges)).sum()))
    _draw_edges(axes, graph, positions, parts, style)
    _draw_nodes(axes, graph, positions, parts, style)
    _mark_ends(axes, graph, positions, style)


def _n_stages(graph: igraph.Graph) -> int:
    return int(stages(graph).max()) + 1


def _across(graph: igraph.Graph) -> BoolArray:
    """Which edges lead to a later stage."""
    ends = stages(graph)[edge_array(graph)]
    return np.asarray(ends[:, 0] < ends[:, 1])


def _draw_edges(
    axes: "Axes", graph: igraph.Graph, positions: FloatArray, parts: PrunedParts, style: _Style
) -> None:
    edges = edge_array(graph)
    across = _across(graph)
    widths = style.line * _relative_weights(graph)
    kept = ~(parts.weak_edges | parts.dead_edges)
    radius = np.full(graph.vcount(), 0.5 * style.node)
    radius[[input_node(graph), output_node(graph)]] = 0.5 * _ring(style)
    layers: list[tuple[BoolArray, str, FloatArray, str, int]] = [
        (parts.weak_edges, REMOVED, np.full(len(edges), 0.5), "solid", 1),
        (kept & across, ACROSS, widths, "solid", 2),
        (kept & ~across, WITHIN, widths, "solid", 3),
        (parts.dead_edges, REMOVED, np.full(len(edges), 1.0), "dashed", 4),
    ]
    for chosen, color, width, dashes, order in layers:
        if chosen.any():
            curve = _curves(positions, edges[chosen])
            crowd = int(kept.sum()) if order in {2, 3} else len(curve)
            opacity = float(np.clip((250 / crowd) ** 0.5, 0.12, 0.95)) * (0.6 if order == 1 else 1.0)
            _add_lines(axes, curve, width[chosen], color=color, opacity=opacity, dashes=dashes, order=order)
            if style.head > 0 and order > 1:
                heads = _heads(curve, width[chosen], radius[edges[chosen, 1]], style)
                _add_heads(axes, heads, color=color, opacity=min(1.0, 1.3 * opacity), order=order)


def _relative_weights(graph: igraph.Graph) -> FloatArray:
    """Widths in (0, 1]: in proportion to the weight, and never so thin that the edge cannot be seen."""
    if WEIGHT not in graph.es.attributes():
        return np.full(graph.ecount(), 0.5)
    weights = np.asarray(graph.es[WEIGHT], dtype=np.float64)
    return np.asarray(0.15 + 0.85 * weights / (weights.max() or 1.0))


def _curves(positions: FloatArray, edges: IntArray) -> FloatArray:
    """Start, control point and end of the quadratic curve of each edge, shape (edges, 3, 2)."""
    start, end = positions[edges[:, 0]], positions[edges[:, 1]]
    along = end - start
    control = (start + end) / 2 + _BEND * np.stack([-along[:, 1], along[:, 0]], axis=1)
    return np.stack([start, control, end], axis=1)


def _add_lines(
    axes: "Axes",
    curves: FloatArray,
    widths: FloatArray,
    *,
    color: str,
    opacity: float,
    dashes: str,
    order: int,
) -> None:
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path as Curve

    codes = [Curve.MOVETO, Curve.CURVE3, Curve.CURVE3]
    lines = PathCollection(
        [Curve(points, codes) for points in curves],
        facecolors="none",
        edgecolors=color,
        linewidths=widths,
        alpha=opacity,
        linestyles=dashes,
        capstyle="round",
        zorder=order,
    )
    lines.set_rasterized(len(curves) > _RASTER_FROM)
    axes.add_collection(lines, autolim=False)


def _heads(curves: FloatArray, widths: FloatArray, radius: FloatArray, style: _Style) -> FloatArray:
    """Triangles, shape (edges, 3, 2), whose tips touch the target node."""
    arrival = curves[:, 2] - curves[:, 1]
    arrival /= np.maximum(np.linalg.norm(arrival, axis=1, keepdims=True), 1e-12)
    aside = np.stack([-arrival[:, 1], arrival[:, 0]], axis=1)
    length = ((0.5 + 0.5 * widths / style.line) * style.head / style.unit)[:, None]
    tip = curves[:, 2] - arrival * (radius + 0.6)[:, None] / style.unit
    back = tip - arrival * length
    return np.stack([tip, back + 0.42 * aside * length, back - 0.42 * aside * length], axis=1)


def _add_heads(axes: "Axes", heads: FloatArray, *, color: str, opacity: float, order: int) -> None:
    from matplotlib.collections import PolyCollection

    triangles = PolyCollection(list(heads), facecolors=color, edgecolors="none", alpha=opacity, zorder=order)
    axes.add_collection(triangles, autolim=False)


def _draw_nodes(
    axes: "Axes", graph: igraph.Graph, positions: FloatArray, parts: PrunedParts, style: _Style
) -> None:
    stage = stages(graph)
    palette = np.array(stage_colors(_n_stages(graph)))
    for chosen, face, rim in (
        (~parts.dead_nodes, palette[stage], "white"),
        (parts.dead_nodes, np.full(len(stage), "white"), REMOVED),
    ):
        if not chosen.any():
            continue
        axes.scatter(
            positions[chosen, 0],
            positions[chosen, 1],
            s=style.node**2,
            c=face[chosen],
            edgecolors=rim,
            linewidths=0.09 * style.node,
            zorder=6,
            clip_on=False,
        )


def _mark_ends(axes: "Axes", graph: igraph.Graph, positions: FloatArray, style: _Style) -> None:
    for node, text in ((input_node(graph), "input"), (output_node(graph), "output")):
        axes.scatter(
            positions[node, 0],
            positions[node, 1],
            s=_ring(style) ** 2,
            facecolors="white",
            edgecolors=INK,
            linewidths=max(0.8, 0.08 * style.node),
            zorder=5,
            clip_on=False,
        )
        axes.annotate(
            text,
            positions[node],
            xytext=(0, 0.5 * _ring(style) + 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=style.text,
            color=INK,
            zorder=8,
            path_effects=_halo(),
        )


def _ring(style: _Style) -> float:
    """Diameter of the ring around the input and the output, in points."""
    return 1.35 * style.node + 2.5


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def _node_entries(n_stages: int, parts: PrunedParts) -> list["Line2D"]:
    from matplotlib.lines import Line2D

    colors = stage_colors(n_stages)
    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 6.5}
    entries = [
        Line2D([], [], color=colors[k], markeredgecolor="white", label=f"stage {k}", **dot)
        for k in range(0, n_stages, math.ceil(n_stages / 10))
    ]
    if parts.dead_nodes.any():
        label = f"dead node ({parts.dead_nodes.sum():,})"
        entries.append(Line2D([], [], color="white", markeredgecolor=REMOVED, label=label, **dot))
    return entries


def _edge_entries(graph: igraph.Graph, parts: PrunedParts, threshold: float | None) -> list["Line2D"]:
    from matplotlib.lines import Line2D

    across = _across(graph)
    kept = ~(parts.weak_edges | parts.dead_edges)
    rows: tuple[tuple[BoolArray, str, str, Any], ...] = (
        (kept & ~across, "within a stage", WITHIN, "solid"),
        (kept & across, "across stages", ACROSS, "solid"),
        (parts.weak_edges, f"below {threshold:g}" if threshold is not None else "", REMOVED, "solid"),
        (parts.dead_edges, "dead path", REMOVED, (0, (2.5, 1.2))),
    )
    return [
        Line2D([], [], linewidth=1.8, color=color, linestyle=dashes, label=f"{label} ({chosen.sum():,})")
        for chosen, label, color, dashes in rows
        if chosen.any()
    ]


def _add_legend(axes: "Axes", nodes: list["Line2D"], edges: list["Line2D"]) -> None:
    """Two centered rows below the axes: the nodes, and below them the edges."""
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderpad": 0.2}
    upper = axes.legend(handles=nodes, borderaxespad=0.2, ncols=len(nodes), **place, **LEGEND)
    axes.add_artist(upper)
    axes.legend(
        handles=edges, borderaxespad=1.8, ncols=len(edges), **place, **{**LEGEND, "handlelength": 1.6}
    )


def _figure_of(axes: "Axes") -> "Figure":
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure
