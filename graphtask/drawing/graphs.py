"""Pictures of architecture graphs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import igraph
import numpy as np

from graphtask.drawing.labels import Label, centers_of_labels, shortened
from graphtask.drawing.picture import new_figure
from graphtask.drawing.placement import Layout, Placement, joint_placements, place
from graphtask.drawing.style import ACROSS, BAND, DEAD, INK, LEGEND, TEXT, WEAK, WIDTH, WITHIN, stage_colors
from graphtask.errors import ArgumentError
from graphtask.graph import NAME, WEIGHT, check_graph, edge_array, input_node, output_node, stages
from graphtask.pruning import PrunedParts, pruned_parts
from graphtask.types import BoolArray, FloatArray
from graphtask.validation import choice, counted, invalid, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_ABOVE, _ROW = 0.35, 0.19  # inches for the title and for one row of the legend
_RASTER_FROM = 10_000  # edges from which vector files carry the edges as an image
_MAX_HEADS = 150  # edges up to which arrow heads are drawn
_MAX_WIDTH = 3.0  # points, of the strongest edge

_DASHES: Any = (0, (2.5, 1.2))
_PLATE: Any = {"boxstyle": "square,pad=0.05", "facecolor": "white", "alpha": 0.7, "linewidth": 0}


@dataclass(frozen=True, kw_only=True)
class Look:
    """Options of a drawing besides the graph and its layout; see `draw`."""

    threshold: float | None = None
    labels: str | None = None
    weak: Literal["light", "hidden"] = "light"
    node_size: float | None = None
    cmap: str = "viridis"
    font: str | None = None
    font_size: float = TEXT

    def __post_init__(self) -> None:
        choice(self.weak, name="weak", choices=("light", "hidden"))
        if self.node_size is not None:
            number(self.node_size, name="node_size", least=0.5, most=200)
        number(self.font_size, name="font_size", least=1, most=100)
        stage_colors(1, cmap=self.cmap)

    def text(self, size: float) -> dict[str, Any]:
        """Return the arguments of a text: names are never read as formulas."""
        family = {} if self.font is None else {"fontfamily": self.font}
        return {"fontsize": size, "color": INK, "parse_math": False, **family}


class _Sizes(NamedTuple):
    """Sizes in points for the density of one graph on one pair of axes."""

    node: float  # diameter
    line: float  # width of the strongest edge
    head: float  # length of an arrow head; 0 for none
    text: float
    unit: float  # points per unit of the axes

    @property
    def ring(self) -> float:
        """Diameter of the ring around the input and the output."""
        return 1.35 * self.node + 2.5


class _Drawn(NamedTuple):
    """One graph with everything that is computed before the first artist is made."""

    graph: igraph.Graph
    placement: Placement
    parts: PrunedParts
    look: Look

    @property
    def kept(self) -> BoolArray:
        """True for edges that pruning keeps."""
        return ~(self.parts.weak_edges | self.parts.dead_edges)


def draw(
    graph: igraph.Graph,
    *others: igraph.Graph,
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
            ``y``), or positions of shape (nodes, 2) in vertex order. Default: layered for sparse graphs (up to three
            edges per node), Kamada-Kawai for others.
        labels: Vertex attribute to show at the nodes, such as ``"name"`` or ``"op"``; None for no labels. A label
            without a free place is omitted.
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
    check_graph(graph)
    parts = _parts(graph, threshold)
    drawn = _Drawn(graph, place(graph, layout, ignored=parts.weak_edges), parts, look)
    legend = _legend_rows(drawn)
    axes = ax if ax is not None else _new_axes(drawn, figsize, n_rows=len(legend))
    _draw_graph(axes, drawn)
    _add_legend(axes, legend, look)
    if title:
        axes.set_title(title, loc="left", fontweight="bold", **look.text(font_size + 1.5))
    return _figure_of(axes)


def draw_grid(
    graphs: Mapping[str, igraph.Graph],
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
        same_layout: Put nodes of the same name in the same place: the layout of the union of all graphs.
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


def _names(names: Sequence[str] | None, n_graphs: int) -> list[str]:
    if names is None:
        return ["before", "after"] if n_graphs == 2 else [str(k + 1) for k in range(n_graphs)]
    if isinstance(names, str) or len(names) != n_graphs or len(set(names)) != n_graphs:
        raise invalid("names", f"{n_graphs} different names, one for each graph", names)
    return list(names)


def _grid(
    graphs: Mapping[str, igraph.Graph],
    look: Look,
    *,
    layout: Layout,
    same_layout: bool,
    title: str | None,
    figsize: tuple[float, float] | None,
) -> "Figure":
    if not graphs:
        raise ArgumentError("graphs must have at least one graph to draw", argument="graphs")
    for graph in graphs.values():
        check_graph(graph)
    every = list(graphs.values())
    placements = joint_placements(every, layout) if same_layout else [place(graph, layout) for graph in every]
    drawn = [
        _Drawn(graph, placement, _parts(graph, look.threshold), look)
        for graph, placement in zip(every, placements, strict=True)
    ]
    limits = np.stack([_limits(placement) for placement in placements])
    shared = np.stack([limits[:, 0].min(axis=0), limits[:, 1].max(axis=0)]) if same_layout else None
    columns = min(len(every), max(2, min(5, math.ceil(math.sqrt(len(every))))))
    rows = math.ceil(len(every) / columns)
    width = figsize[0] if figsize else max(2.1, WIDTH / columns) * columns
    header, footer = (_ABOVE if title else 0.0), 2 * _ROW + 0.1
    if figsize is None and same_layout and columns == 2:
        width = 1.5 * WIDTH
    cell = width / columns
    inside = _cell_height(limits, cell) if figsize is None else (figsize[1] - header - footer) / rows - 0.6
    height = header + (inside + 0.6) * rows + footer
    figure = new_figure(figsize=(width, height))
    for index, (name, one) in enumerate(zip(graphs, drawn, strict=True)):
        row, column = divmod(index, columns)
        middle, top = (column + 0.5) / columns, 1 - (header + (inside + 0.6) * row) / height
        box = (middle - 0.46 / columns, top - 0.5 / height - inside / height, 0.92 / columns, inside / height)
        _draw_graph(figure.add_axes(box), one, limits=shared)
        size = f"{counted(one.graph.vcount(), 'node')}, {counted(one.graph.ecount(), 'edge')}"
        for text, below, more in ((_title(name), 0.2, {"fontweight": "bold"}), (size, 0.34, {"alpha": 0.8})):
            figure.text(
                middle, top - below / height, text, ha="center", **look.text(look.font_size - 0.5), **more
            )
    if title:
        spot = {"x": 0.1 / width, "y": 1 - 0.12 / height, "ha": "left", "va": "top"}
        figure.suptitle(title, fontweight="bold", **spot, **look.text(look.font_size + 1.5))
    _add_grid_legend(figure, drawn, look)
    return figure


def _cell_height(limits: FloatArray, cell: float) -> float:
    """Return inches for the tallest of the graphs, between a quarter and the whole of the width of a cell."""
    extent = limits[:, 1] - limits[:, 0]
    return 0.92 * cell * float(np.clip((extent[:, 1] / extent[:, 0]).max(), 0.25, 1.0))


def _title(name: object) -> str:
    text = " ".join(str(name).split())
    return text if len(text) <= 44 else text[:43] + "…"


def _add_grid_legend(figure: "Figure", drawn: Sequence[_Drawn], look: Look) -> None:
    largest = max(drawn, key=lambda one: int(stages(one.graph).max()))
    nothing = PrunedParts(*(np.zeros(0, np.bool_),) * 3)
    legend = {**LEGEND, "fontsize": look.font_size}
    bottom = 0.02 / figure.get_size_inches()[1]
    kinds = {name: handle for one in drawn for name, handle in _edge_kinds(one, counts=False)}
    for handles, row in ((_node_entries(largest, nothing), 1), (list(kinds.values()), 0)):
        height = bottom + row * _ROW / figure.get_size_inches()[1]
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


def _parts(graph: igraph.Graph, threshold: float | None) -> PrunedParts:
    if threshold is not None:
        return pruned_parts(graph, threshold=threshold)
    no_edge = np.zeros(graph.ecount(), dtype=np.bool_)
    return PrunedParts(no_edge, no_edge, np.zeros(graph.vcount(), dtype=np.bool_))


def _new_axes(drawn: _Drawn, figsize: tuple[float, float] | None, *, n_rows: int) -> "Axes":
    (left, low), (right, high) = _limits(drawn.placement)
    below = _ROW * n_rows + 0.12
    if figsize is None:
        inside = (WIDTH - 0.2) * min((high - low) / (right - left), 0.9)
        figsize = (WIDTH, inside + _ABOVE + below)
    width, height = figsize
    figure = new_figure(figsize=figsize)
    inside = max(height - _ABOVE - below, 0.3 * height)
    return figure.add_axes((0.1 / width, below / height, 1 - 0.2 / width, inside / height))


def _frame(axes: "Axes", drawn: _Drawn, limits: FloatArray) -> _Sizes:
    """Set the limits of the axes around the nodes, and choose sizes that suit the space."""
    box = axes.get_position()
    inches = np.array([box.width, box.height]) * _figure_of(axes).get_size_inches()
    unit = float((72 * inches / (limits[1] - limits[0])).min())
    low, high = limits.mean(axis=0) + np.array([[-36.0], [36.0]]) * inches / unit  # fill the axes
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_axis_off()
    gap = unit * _typical_gap(drawn.placement.positions)
    scale = float(np.clip(inches.max() / WIDTH, 0.3, 1.0)) ** 0.5
    n_edges = int(drawn.kept.sum())
    line = scale * float(np.clip(2.6 * (120 / max(n_edges, 1)) ** 0.25, 0.7, 2.6))
    node = drawn.look.node_size or float(np.clip(0.45 * gap, 3.0, 14.0))
    return _Sizes(
        node=node,
        line=min(line, _MAX_WIDTH, 0.6 * node),
        head=float(np.clip(0.16 * gap, 3.5, 6.0)) if n_edges <= _MAX_HEADS and gap > 14 else 0.0,
        text=drawn.look.font_size * scale,
        unit=unit,
    )


def _limits(placement: Placement) -> FloatArray:
    """Return corners of a frame around nodes and edges that is at least a fifth as high as wide."""
    points = np.concatenate([placement.positions, *placement.curves])
    low, high = points.min(axis=0), points.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    half = np.maximum((high - low) / 2 + [0.08 * extent, 0.06 * extent], 0.11 * extent)
    middle = (low + high) / 2
    return np.stack([middle - half, middle + half])


def _typical_gap(positions: FloatArray) -> float:
    """Return a distance from a node to its nearest neighbor that most nodes exceed."""
    from scipy.spatial import cKDTree

    if len(positions) < 2:
        return 1.0
    distances, _ = cKDTree(positions).query(positions, k=2)
    return float(np.quantile(distances[:, 1], 0.2))


def _draw_graph(axes: "Axes", drawn: _Drawn, *, limits: FloatArray | None = None) -> None:
    sizes = _frame(axes, drawn, _limits(drawn.placement) if limits is None else limits)
    prefix = f"axes{len(_figure_of(axes).axes)}"
    _draw_bands(axes, drawn)
    _draw_edges(axes, drawn, sizes, prefix)
    _draw_nodes(axes, drawn, sizes, prefix)
    _draw_labels(axes, drawn, sizes)


def _draw_bands(axes: "Axes", drawn: _Drawn) -> None:
    if len(drawn.placement.bands) > 1:
        for stage, left, right in drawn.placement.bands[1::2]:
            axes.axvspan(left, right, color=BAND, linewidth=0, zorder=0, gid=f"stage-{stage}")


def n_stages_of(graph: igraph.Graph) -> int:
    """Return the number of stages, counting empty ones."""
    return int(stages(graph).max()) + 1


def _across(graph: igraph.Graph) -> BoolArray:
    """Return True for edges to a later stage."""
    ends = stages(graph)[edge_array(graph)]
    return np.asarray(ends[:, 0] < ends[:, 1])


def _draw_edges(axes: "Axes", drawn: _Drawn, sizes: _Sizes, prefix: str) -> None:
    graph, parts = drawn.graph, drawn.parts
    across, kept = _across(graph), drawn.kept
    widths = sizes.line * _relative_weights(graph)
    radius = np.full(graph.vcount(), 0.5 * sizes.node)
    radius[[input_node(graph), output_node(graph)]] = 0.5 * sizes.ring
    target = edge_array(graph)[:, 1]
    hidden = drawn.look.weak == "hidden"
    layers: list[tuple[str, BoolArray, str, FloatArray, Any, int]] = [
        ("weak", parts.weak_edges & ~np.bool_(hidden), WEAK, np.full(len(kept), 0.5), "solid", 1),
        ("across", kept & across, ACROSS, widths, "solid", 2),
        ("within", kept & ~across, WITHIN, widths, "solid", 3),
        ("dead", parts.dead_edges, DEAD, np.full(len(kept), min(0.7, sizes.line)), "dashed", 4),
    ]
    for name, chosen, color, width, dashes, order in layers:
        if not chosen.any():
            continue
        ids = np.flatnonzero(chosen)
        curves = [drawn.placement.curves[index] for index in ids]
        crowd = int(kept.sum()) if order in {2, 3} else len(curves)
        opacity = float(np.clip((250 / crowd) ** 0.5, 0.12, 0.95)) if order > 1 else 0.9
        gid = f"{prefix}-edges-{name}"
        _add_lines(
            axes, curves, width[ids], color=color, opacity=opacity, dashes=dashes, order=order, gid=gid
        )
        if len(curves) <= _RASTER_FROM:
            _add_tooltips(axes, gid, [_edge_text(graph, int(index)) for index in ids])
        if sizes.head > 0 and order > 1:
            heads = _heads(curves, width[ids], radius[target[ids]], sizes)
            _add_heads(axes, heads, color=color)


def _add_tooltips(axes: "Axes", gid: str, texts: list[str]) -> None:
    tooltips = getattr(_figure_of(axes), "tooltips", None)
    if tooltips is not None:
        tooltips[gid] = texts


def _edge_text(graph: igraph.Graph, index: int) -> str:
    edge = graph.es[index]
    text = f"{edge.source_vertex[NAME]} → {edge.target_vertex[NAME]}"
    weight = edge.attributes().get(WEIGHT)
    return text if weight is None else f"{text}, weight {weight:.4g}"


def _node_text(graph: igraph.Graph, index: int) -> str:
    vertex = graph.vs[index]
    op = vertex.attributes().get("op")
    kind = f", {op}" if op is not None else ""
    degrees = f"{vertex.indegree()} in, {vertex.outdegree()} out"
    return f"{vertex[NAME]}{kind}, stage {vertex['stage']}, {degrees}"


def _relative_weights(graph: igraph.Graph) -> FloatArray:
    """Return widths in (0, 1]: proportional to the weight, but never too thin to be seen."""
    if WEIGHT not in graph.es.attributes():
        return np.full(graph.ecount(), 0.5)
    weights = np.asarray(graph.es[WEIGHT], dtype=np.float64)
    return np.asarray(0.15 + 0.85 * weights / (weights.max(initial=0.0) or 1.0))


def _add_lines(
    axes: "Axes",
    curves: Sequence[FloatArray],
    widths: FloatArray,
    *,
    color: str,
    opacity: float,
    dashes: str,
    order: int,
    gid: str,
) -> None:
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path as Curve

    lines = PathCollection(
        [Curve(points, [Curve.MOVETO, *[Curve.CURVE4] * (len(points) - 1)]) for points in curves],
        facecolors="none",
        edgecolors=color,
        linewidths=widths,
        alpha=opacity,
        linestyles=dashes,
        capstyle="round",
        zorder=order,
        clip_on=False,
        gid=gid,
    )
    lines.set_rasterized(len(curves) > _RASTER_FROM)
    axes.add_collection(lines, autolim=False)


def _heads(curves: Sequence[FloatArray], widths: FloatArray, radius: FloatArray, sizes: _Sizes) -> FloatArray:
    """Return triangles, shape (heads, 3, 2), whose tips touch the target node; short edges have none."""
    ends = np.array([curve[-1] for curve in curves])
    length = ((0.6 + 0.4 * widths / sizes.line) * sizes.head / sizes.unit)[:, None]
    gap = (radius + 0.6)[:, None] / sizes.unit
    backs = np.array([_point_before(c, float(g)) for c, g in zip(curves, (gap + length)[:, 0], strict=True)])
    arrival = ends - backs
    arrival /= np.maximum(np.linalg.norm(arrival, axis=1, keepdims=True), 1e-12)
    aside = np.stack([-arrival[:, 1], arrival[:, 0]], axis=1)
    tip = ends - arrival * gap
    back = tip - arrival * length
    heads = np.stack([tip, back + 0.42 * aside * length, back - 0.42 * aside * length], axis=1)
    starts = np.array([curve[0] for curve in curves])
    has_space = np.linalg.norm(ends - starts, axis=1) > (2 * gap + length)[:, 0]
    return np.asarray(heads[has_space])


def _point_before(curve: FloatArray, distance: float) -> FloatArray:
    """Return the point on the last piece of a curve at this distance from its end."""
    points = _sampled(curve[-4:], 24)
    far = np.flatnonzero(np.linalg.norm(points - curve[-1], axis=1) >= distance)
    return np.asarray(points[far[-1]] if len(far) else curve[0])


def _sampled(curve: FloatArray, n_points: int) -> FloatArray:
    """Return points on every piece of a chain of cubic curves."""
    t = np.linspace(0, 1, n_points)[:, None]
    pieces = [curve[k : k + 4] for k in range(0, len(curve) - 1, 3)]
    points = [
        (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        for a, b, c, d in pieces
    ]
    return np.concatenate(points)


def _add_heads(axes: "Axes", heads: FloatArray, *, color: str) -> None:
    from matplotlib.collections import PolyCollection

    triangles = PolyCollection(
        list(heads), facecolors=color, edgecolors="white", linewidths=0.3, zorder=5, clip_on=False
    )
    axes.add_collection(triangles, autolim=False)


def _draw_nodes(axes: "Axes", drawn: _Drawn, sizes: _Sizes, prefix: str) -> None:
    graph, positions, dead = drawn.graph, drawn.placement.positions, drawn.parts.dead_nodes
    stage = stages(graph)
    palette = np.array(stage_colors(n_stages_of(graph), cmap=drawn.look.cmap))
    ends = [input_node(graph), output_node(graph)]
    axes.scatter(
        positions[ends, 0],
        positions[ends, 1],
        s=sizes.ring**2,
        facecolors="white",
        edgecolors=INK,
        linewidths=max(0.8, 0.08 * sizes.node),
        zorder=6,
        clip_on=False,
    )
    for name, chosen, face, rim in (
        ("live", ~dead, palette[stage], "white"),
        ("dead", dead, np.full(len(stage), "white"), DEAD),
    ):
        if not chosen.any():
            continue
        gid = f"{prefix}-nodes-{name}"
        axes.scatter(
            positions[chosen, 0],
            positions[chosen, 1],
            s=sizes.node**2,
            c=face[chosen],
            edgecolors=rim,
            linewidths=0.09 * sizes.node if name == "live" else max(0.8, 0.09 * sizes.node),
            zorder=7,
            clip_on=False,
            gid=gid,
        )
        _add_tooltips(axes, gid, [_node_text(graph, int(index)) for index in np.flatnonzero(chosen)])


def _draw_labels(axes: "Axes", drawn: _Drawn, sizes: _Sizes) -> None:
    """Write the labels, input and output first, where they cover nothing."""
    unit, graph = sizes.unit, drawn.graph
    positions = drawn.placement.positions * unit
    radii = np.full(graph.vcount(), 0.5 * sizes.node)
    ends = {input_node(graph): "input", output_node(graph): "output"}
    radii[list(ends)] = 0.5 * sizes.ring
    texts = dict(ends.items()) | _texts(graph, drawn.look.labels, ends)
    labels = [
        Label(
            text,
            positions[node],
            float(radii[node]),
            _text_size(text, sizes.text, drawn.look.font),
            node in ends,
        )
        for node, text in sorted(texts.items(), key=lambda pair: pair[0] not in ends)
    ]
    seen = np.flatnonzero(~drawn.parts.weak_edges) if drawn.look.weak == "hidden" else range(graph.ecount())
    curves = [_sampled(drawn.placement.curves[index] * unit, 16) for index in seen]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    centers = centers_of_labels(
        labels,
        nodes=positions,
        radii=radii,
        curves=np.concatenate(curves) if curves else np.zeros((0, 2)),
        bounds=np.array([[left, low], [right, high]]) * unit + np.array([[-6.0], [6.0]]),
    )
    for label, center in zip(labels, centers, strict=True):
        if center is not None:
            x, y = center / unit
            axes.text(
                x,
                y,
                label.text,
                ha="center",
                va="center",
                zorder=8,
                bbox=_PLATE,
                **drawn.look.text(sizes.text),
            )


def _texts(graph: igraph.Graph, labels: str | None, ends: Mapping[int, str]) -> dict[int, str]:
    if labels is None:
        return {}
    if not isinstance(labels, str) or labels not in graph.vs.attributes():
        known = ", ".join(sorted(graph.vs.attributes()))
        raise invalid("labels", f"a vertex attribute ({known}) or None", labels)
    texts = {}
    for node, value in enumerate(graph.vs[labels]):
        text = shortened(value) if value is not None else ""
        if node in ends:
            text = f"{text} ({ends[node]})" if text and text != ends[node] else ends[node]
        if text:
            texts[node] = text
    return texts


def _text_size(text: str, size: float, font: str | None) -> tuple[float, float]:
    """Return width and height in points."""
    import warnings

    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that the font lacks are drawn as boxes
        width, height, _ = text_to_path.get_text_width_height_descent(
            text, FontProperties(family=font, size=size), ismath=False
        )
    return float(width), max(float(height), size)


def _legend_rows(drawn: _Drawn) -> list[list["Line2D"]]:
    """Return the rows of the legend: stages, kinds of edges, and widths of weighted edges."""
    rows = [
        _node_entries(drawn, drawn.parts),
        [handle for _, handle in _edge_kinds(drawn, counts=True)],
        _width_entries(drawn),
    ]
    return [row for row in rows if row]


def _node_entries(drawn: _Drawn, parts: PrunedParts) -> list["Line2D"]:
    from matplotlib.lines import Line2D

    n_stages = n_stages_of(drawn.graph)
    colors = stage_colors(n_stages, cmap=drawn.look.cmap)
    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 6.5}
    entries = [
        Line2D([], [], color=colors[k], markeredgecolor="white", label=f"stage {k}", **dot)
        for k in range(0, n_stages, math.ceil(n_stages / 8))
    ]
    if parts.dead_nodes.any():
        label = f"dead node ({parts.dead_nodes.sum():,})"
        entries.append(Line2D([], [], color="white", markeredgecolor=DEAD, label=label, **dot))
    return entries


def _edge_kinds(drawn: _Drawn, *, counts: bool) -> list[tuple[str, "Line2D"]]:
    from matplotlib.lines import Line2D

    across, kept, threshold = _across(drawn.graph), drawn.kept, drawn.look.threshold
    weak = f"below {threshold:g}" if threshold is not None else ""
    if drawn.look.weak == "hidden":
        weak += ", not shown"
    kinds: tuple[tuple[BoolArray, str, str, Any], ...] = (
        (kept & ~across, "within a stage", WITHIN, "solid"),
        (kept & across, "across stages", ACROSS, "solid"),
        (drawn.parts.weak_edges, weak, WEAK, "solid"),
        (drawn.parts.dead_edges, "dead path", DEAD, _DASHES),
    )
    return [
        (
            label,
            Line2D(
                [],
                [],
                linewidth=1.8,
                color=color,
                linestyle=dashes,
                label=f"{label} ({chosen.sum():,})" if counts else label,
            ),
        )
        for chosen, label, color, dashes in kinds
        if chosen.any()
    ]


def _width_entries(drawn: _Drawn) -> list["Line2D"]:
    """Return sample lines of the largest weight, a half and a tenth of it."""
    from matplotlib.lines import Line2D

    if WEIGHT not in drawn.graph.es.attributes():
        return []
    weights = np.asarray(drawn.graph.es[WEIGHT], dtype=np.float64)
    if not drawn.kept.any() or np.ptp(weights) == 0:
        return []
    line = float(np.clip(2.6 * (120 / int(drawn.kept.sum())) ** 0.25, 0.7, 2.6))
    largest = float(weights.max())
    return [
        Line2D(
            [],
            [],
            linewidth=line * (0.15 + 0.85 * share),
            color=WITHIN,
            label=f"weight {share * largest:.2g}",
        )
        for share in (1.0, 0.5, 0.1)
    ]


def _add_legend(axes: "Axes", rows: Sequence[Sequence["Line2D"]], look: Look) -> None:
    """Add centered rows below the axes."""
    legend = {**LEGEND, "fontsize": look.font_size}
    if look.font is not None:
        del legend["fontsize"]
        legend["prop"] = {"family": look.font, "size": look.font_size}
    bottom = axes.get_position().height * float(_figure_of(axes).get_size_inches()[1])
    for index, handles in enumerate(rows):
        is_line = index > 0 or handles[0].get_linestyle() != "None"
        box = axes.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -(0.02 + index * _ROW) / bottom),
            borderpad=0.2,
            borderaxespad=0.0,
            ncols=len(handles),
            **({**legend, "handlelength": 1.6} if is_line else legend),
        )
        if index + 1 < len(rows):
            axes.add_artist(box)


def _figure_of(axes: "Axes") -> "Figure":
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure
