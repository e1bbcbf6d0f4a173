"""Artists of graph drawings: edges, nodes, labels and legends, from a description of what is drawing.

`Drawing` has every decision about a picture; the functions below turn it into artists of matplotlib.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import igraph
import numpy as np

from graphtask.drawing.labels import Label, Text, place_labels
from graphtask.drawing.picture import new_figure
from graphtask.drawing.placement import Placement
from graphtask.drawing.style import BAND, INK, LEGEND, TEXT, WIDTH, WITHIN, stage_colors
from graphtask.drawing.text import MAX_LENGTH, shortened, text_size
from graphtask.graph import NAME, WEIGHT, edge_array, input_node, output_node, stages
from graphtask.types import BoolArray, FloatArray
from graphtask.validation import choice, counted, invalid, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

ABOVE, ROW = 0.35, 0.19  # inches for the title and for one row of the legend
_RASTER_FROM = 10_000  # edges from which vector files carry the edges as an image
_MAX_POINTS = (
    200_000  # on edges, that labels must not cover; more than 16 on each piece only up to this number
)
_MAX_HEADS = 150  # edges up to which arrow heads are drawn
_MAX_WIDTH = 3.0  # points, of the strongest edge

_LENGTHS = (MAX_LENGTH, 17, 12)  # characters of the forms of a label
_DASHES: Any = (0, (2.5, 1.2))
_DOT: dict[str, Any] = {"linestyle": "none", "markersize": 6.5}
_AREA = {"o": 1.0, "s": 0.85, "D": 0.6}  # of markers, for equal apparent sizes
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


class Sizes(NamedTuple):
    """Sizes in points for the density of one graph on one pair of axes."""

    node: float  # diameter
    line: float  # width of the strongest edge
    head: float  # length of an arrow head; 0 for none
    text: float
    unit: float  # points per unit of the axes
    largest: float  # weight that the strongest edge has, or would have

    @property
    def ring(self) -> float:
        """Diameter of the ring around the input and the output."""
        return 1.35 * self.node + 2.5


class Scale(NamedTuple):
    """Extent and density that sizes are chosen for, of one graph or of several that are compared."""

    limits: FloatArray
    """Corners of the frame, shape (2, 2)."""
    gap: float
    """Distance between nodes."""
    n_edges: int
    largest: float
    """Largest weight."""


class EdgeKind(NamedTuple):
    """Edges that are drawn alike."""

    key: str
    """Part of the id of their group in SVG files."""
    label: str
    """Text in the legend."""
    chosen: BoolArray
    """True for these edges, shape (edges,)."""
    color: str
    order: int
    """Kinds of a higher order cover the others."""
    width: float | None = None
    """In points; None for a width by weight."""
    is_dashed: bool = False
    has_heads: bool = True
    is_shown: bool = True


class NodeKind(NamedTuple):
    """Nodes that are drawn alike."""

    key: str
    label: str
    """Text in the legend; empty for none."""
    chosen: BoolArray
    """True for these nodes, shape (nodes,)."""
    rim: str = "white"
    face: str | None = None
    """Color; None for that of the stage."""
    marker: str = "o"


def ends_of(graph: igraph.Graph) -> dict[int, str]:
    """Return the labels of the input and the output."""
    return {input_node(graph): "input", output_node(graph): "output"}


class Drawing(NamedTuple):
    """One graph with everything that is decided before the first artist is made."""

    graph: igraph.Graph
    placement: Placement
    look: Look
    edge_kinds: Sequence[EdgeKind]
    node_kinds: Sequence[NodeKind]
    ends: Mapping[int, str]
    """Nodes with a ring, and their labels: the input and the output."""

    @property
    def main(self) -> BoolArray:
        """True for edges whose width shows their weight; the others are marked."""
        chosen = np.zeros(self.graph.ecount(), dtype=np.bool_)
        for kind in self.edge_kinds:
            if kind.width is None:
                chosen |= kind.chosen
        return chosen


def new_axes(drawing: Drawing, figsize: tuple[float, float] | None, *, n_rows: int) -> "Axes":
    """Return axes of a new figure, with space for the title above and ``n_rows`` of the legend below."""
    (left, low), (right, high) = limits_of(drawing.placement)
    below = ROW * n_rows + 0.12
    if figsize is None:
        inside = (WIDTH - 0.2) * min((high - low) / (right - left), 0.9)
        figsize = (WIDTH, inside + ABOVE + below)
    width, height = figsize
    figure = new_figure(figsize=figsize)
    inside = max(height - ABOVE - below, 0.3 * height)
    return figure.add_axes((0.1 / width, below / height, 1 - 0.2 / width, inside / height))


def frame(axes: "Axes", drawing: Drawing, shared: Scale) -> Sizes:
    """Set the limits of the axes around the nodes, and choose sizes that suit the space."""
    box = axes.get_position()
    inches = np.array([box.width, box.height]) * figure_of(axes).get_size_inches()
    limits = shared.limits
    unit = float((72 * inches / (limits[1] - limits[0])).min())
    low, high = limits.mean(axis=0) + np.array([[-36.0], [36.0]]) * inches / unit  # fill the axes
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_axis_off()
    gap = unit * shared.gap
    scale = float(np.clip(inches.max() / WIDTH, 0.3, 1.0)) ** 0.5
    line = scale * float(np.clip(2.6 * (120 / max(shared.n_edges, 1)) ** 0.25, 0.7, 2.6))
    node = drawing.look.node_size or float(np.clip(0.45 * gap, 2.0, 14.0))
    return Sizes(
        node=node,
        line=min(line, _MAX_WIDTH, 0.6 * node),
        head=float(np.clip(0.16 * gap, 3.5, 6.0)) if shared.n_edges <= _MAX_HEADS and gap > 14 else 0.0,
        text=drawing.look.font_size * scale,
        unit=unit,
        largest=shared.largest,
    )


def scale_of(drawings: Sequence[Drawing]) -> Scale:
    """Return the scale on which all of the drawings can be compared."""
    limits = np.stack([limits_of(drawing.placement) for drawing in drawings])
    return Scale(
        np.stack([limits[:, 0].min(axis=0), limits[:, 1].max(axis=0)]),
        gap=min(_typical_gap(drawing.placement.positions) for drawing in drawings),
        n_edges=max(int(drawing.main.sum()) for drawing in drawings),
        largest=max(_largest_weight(drawing.graph) for drawing in drawings),
    )


def _largest_weight(graph: igraph.Graph) -> float:
    return max(graph.es[WEIGHT], default=0.0) if WEIGHT in graph.es.attributes() else 0.0


def limits_of(placement: Placement) -> FloatArray:
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


def draw_graph(axes: "Axes", drawing: Drawing, *, shared: Scale | None = None) -> int:
    """Add all artists of a graph to the axes, and return the number of labels without a free place.

    Args:
        axes: The axes.
        drawing: The graph.
        shared: Scale of several graphs that are compared; by default that of this one.
    """
    sizes = frame(axes, drawing, scale_of([drawing]) if shared is None else shared)
    prefix = f"axes{len(figure_of(axes).axes)}"
    _draw_bands(axes, drawing)
    _draw_edges(axes, drawing, sizes, prefix)
    _draw_nodes(axes, drawing, sizes, prefix)
    return _draw_labels(axes, drawing, sizes)


def _draw_bands(axes: "Axes", drawing: Drawing) -> None:
    if len(drawing.placement.bands) > 1:
        for stage, left, right in drawing.placement.bands[1::2]:
            axes.axvspan(left, right, color=BAND, linewidth=0, zorder=0, gid=f"stage-{stage}")


def n_stages_of(graph: igraph.Graph) -> int:
    """Return the number of stages, counting empty ones."""
    return int(stages(graph).max()) + 1


def _draw_edges(axes: "Axes", drawing: Drawing, sizes: Sizes, prefix: str) -> None:
    graph, main = drawing.graph, drawing.main
    by_weight = sizes.line * relative_weights(graph, largest=sizes.largest)
    radius = np.full(graph.vcount(), 0.5 * sizes.node)
    radius[list(drawing.ends)] = 0.5 * sizes.ring
    target = edge_array(graph)[:, 1]
    for kind in drawing.edge_kinds:
        if not kind.is_shown or not kind.chosen.any():
            continue
        ids = np.flatnonzero(kind.chosen)
        curves = [drawing.placement.curves[index] for index in ids]
        widths = by_weight[ids] if kind.width is None else np.full(len(ids), min(kind.width, sizes.line))
        # Marked edges must not cover the others.
        crowd = int(main.sum()) if kind.width is None else 4 * len(ids) if kind.has_heads else len(ids)
        gid = f"{prefix}-edges-{kind.key}"
        add_lines(
            axes,
            curves,
            widths,
            color=kind.color,
            opacity=float(np.clip((250 / crowd) ** 0.5, 0.05, 0.95)),
            dashes="dashed" if kind.is_dashed else "solid",
            order=kind.order,
            gid=gid,
        )
        if len(curves) <= _RASTER_FROM:
            _add_tooltips(axes, gid, [_edge_text(graph, int(index)) for index in ids])
        if sizes.head > 0 and kind.has_heads:
            _add_heads(axes, _heads(curves, widths, radius[target[ids]], sizes), color=kind.color)


def _add_tooltips(axes: "Axes", gid: str, texts: list[str]) -> None:
    tooltips = getattr(figure_of(axes), "tooltips", None)
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


def relative_weights(graph: igraph.Graph, *, largest: float) -> FloatArray:
    """Return widths in (0, 1]: proportional to the weight, but never too thin to be seen."""
    if WEIGHT not in graph.es.attributes():
        return np.full(graph.ecount(), 0.5)
    weights = np.asarray(graph.es[WEIGHT], dtype=np.float64)
    return np.asarray(0.15 + 0.85 * weights / (largest or 1.0))


def add_lines(
    axes: "Axes",
    curves: Sequence[FloatArray],
    widths: FloatArray,
    *,
    color: str,
    opacity: float,
    dashes: str,
    order: int,
    gid: str,
) -> "PathCollection":
    """Add curves to the axes as one group of lines."""
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
    return lines


def _heads(curves: Sequence[FloatArray], widths: FloatArray, radius: FloatArray, sizes: Sizes) -> FloatArray:
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
    points = sampled(curve[-4:], 24)
    far = np.flatnonzero(np.linalg.norm(points - curve[-1], axis=1) >= distance)
    return np.asarray(points[far[-1]] if len(far) else curve[0])


def sampled(curve: FloatArray, n_points: int) -> FloatArray:
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


def _draw_nodes(axes: "Axes", drawing: Drawing, sizes: Sizes, prefix: str) -> None:
    graph, positions = drawing.graph, drawing.placement.positions
    palette = np.array(stage_colors(n_stages_of(graph), cmap=drawing.look.cmap))
    draw_rings(axes, positions[list(drawing.ends)], sizes)
    is_end = np.isin(np.arange(graph.vcount()), list(drawing.ends))
    for kind, (part, chosen, order) in itertools.product(
        drawing.node_kinds, (("", ~is_end, 5.5), ("-ends", is_end, 7))
    ):
        ids = np.flatnonzero(kind.chosen & chosen)
        if not len(ids):
            continue
        gid = f"{prefix}-nodes-{kind.key}{part}"
        faces = palette[stages(graph)] if kind.face is None else np.full(graph.vcount(), kind.face)
        axes.scatter(
            positions[ids, 0],
            positions[ids, 1],
            s=_AREA[kind.marker] * sizes.node**2,
            c=faces[ids],
            marker=kind.marker,
            edgecolors=kind.rim,
            linewidths=max(0.8 if kind.label else 0.0, 0.09 * sizes.node),
            zorder=order,
            clip_on=False,
            gid=gid,
        )
        _add_tooltips(axes, gid, [_node_text(graph, int(index)) for index in ids])


def draw_rings(axes: "Axes", ends: FloatArray, sizes: Sizes) -> None:
    """Draw the rings around the input and the output, above the other nodes."""
    axes.scatter(
        ends[:, 0],
        ends[:, 1],
        s=sizes.ring**2,
        facecolors="white",
        edgecolors=INK,
        linewidths=max(0.8, 0.08 * sizes.node),
        zorder=6,
        clip_on=False,
    )


def _draw_labels(axes: "Axes", drawing: Drawing, sizes: Sizes) -> int:
    """Write the labels, input and output first, where they cover nothing; return the number of omitted ones."""
    unit, graph = sizes.unit, drawing.graph
    positions = drawing.placement.positions * unit
    radii = np.full(graph.vcount(), 0.5 * sizes.node)
    ends = drawing.ends
    radii[list(ends)] = 0.5 * sizes.ring
    texts = {node: [text] for node, text in ends.items()} | _texts(graph, drawing.look.labels, ends)
    labels = [
        Label(
            [Text(form, *text_size(form, sizes.text, drawing.look.font)) for form in forms],
            positions[node],
            float(radii[node]),
            is_required=node in ends,
        )
        for node, forms in sorted(texts.items(), key=lambda pair: pair[0] not in ends)
    ]
    hidden = [kind.chosen for kind in drawing.edge_kinds if not kind.is_shown]
    seen = np.flatnonzero(~np.any(hidden, axis=0)) if hidden else range(graph.ecount())
    chosen = [drawing.placement.curves[index] * unit for index in seen]
    n_pieces = sum(len(curve) // 3 for curve in chosen)
    density = int(np.clip(_MAX_POINTS / max(n_pieces, 1), 16, 64))
    curves = [sampled(curve, density) for curve in chosen]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    placed = place_labels(
        labels,
        nodes=positions,
        radii=radii,
        curves=np.concatenate(curves) if curves else np.zeros((0, 2)),
        bounds=np.array([[left, low], [right, high]]) * unit + np.array([[-6.0], [6.0]]),
    )
    for text in placed:
        if text is not None:
            x, y = text.center / unit
            axes.text(
                x,
                y,
                text.content,
                ha="center",
                va="center",
                zorder=8,
                bbox=_PLATE,
                **drawing.look.text(sizes.text),
            )
    return placed.count(None)


def _texts(graph: igraph.Graph, labels: str | None, ends: Mapping[int, str]) -> dict[int, list[str]]:
    """Return the forms of the labels of nodes, the longest first."""
    if labels is None:
        return {}
    if not isinstance(labels, str) or labels not in graph.vs.attributes():
        known = ", ".join(sorted(graph.vs.attributes()))
        raise invalid("labels", f"a vertex attribute ({known}) or None", labels)
    texts = {}
    for node, value in enumerate(graph.vs[labels]):
        end = ends.get(node, "")
        added = f" ({end})" if end else ""
        cut = [shortened(value, length=n - len(added)) for n in _LENGTHS] if value is not None else []
        forms = [f"{form}{added}" for form in cut if form and form != end]
        if end:
            forms.append(end)
        if forms:
            texts[node] = list(dict.fromkeys(forms))
    return texts


def legend_rows(drawing: Drawing, *, width: float = WIDTH, counts: bool = True) -> list[list["Line2D"]]:
    """Return the rows of the legend: stages, kinds of edges, and widths of weighted edges.

    Args:
        drawing: The graph.
        width: Inches; longer rows are broken.
        counts: Write the number of edges after their kind.
    """
    rows = [
        [*stage_entries(drawing), *_node_entries(drawing)],
        [handle for _, handle in edge_entries(drawing, counts=counts)],
        [*_width_entries(drawing), *omitted_entries(drawing.look, drawing.graph.vcount())],
    ]
    return [part for row in rows if row for part in _broken(row, 72 * width, drawing.look)]


def _broken(row: "Sequence[Line2D]", width: float, look: Look) -> list[list["Line2D"]]:
    """Return the entries in rows that are at most as wide, in points."""
    beside_text = look.font_size * (LEGEND["columnspacing"] + LEGEND["handletextpad"] + 1.6)
    parts: list[list[Line2D]] = [[]]
    free = width
    for handle in row:
        own = text_size(str(handle.get_label()), look.font_size, look.font)[0] + beside_text
        if parts[-1] and own > free:
            parts.append([])
            free = width
        parts[-1].append(handle)
        free -= own
    return parts


def stage_entries(drawing: Drawing) -> list["Line2D"]:
    """Return a dot for each stage, of eight at most."""
    from matplotlib.lines import Line2D

    n_stages = n_stages_of(drawing.graph)
    colors = stage_colors(n_stages, cmap=drawing.look.cmap)
    return [
        Line2D([], [], color=colors[k], markeredgecolor="white", label=f"stage {k}", marker="o", **_DOT)
        for k in range(0, n_stages, math.ceil(n_stages / 8))
    ]


def _node_entries(drawing: Drawing) -> list["Line2D"]:
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [],
            [],
            color=kind.face or "#b8bcc6",
            markeredgecolor=kind.rim,
            label=f"{kind.label} ({kind.chosen.sum():,})",
            marker=kind.marker,
            **_DOT,
        )
        for kind in drawing.node_kinds
        if kind.label and kind.chosen.any()
    ]


def edge_entries(drawing: Drawing, *, counts: bool) -> list[tuple[str, "Line2D"]]:
    """Return the label and a line for each kind of edges that the graph has."""
    from matplotlib.lines import Line2D

    return [
        (
            kind.label,
            Line2D(
                [],
                [],
                linewidth=1.8,
                color=kind.color,
                linestyle=_DASHES if kind.is_dashed else "solid",
                label=f"{kind.label} ({kind.chosen.sum():,})" if counts else kind.label,
            ),
        )
        for kind in drawing.edge_kinds
        if kind.chosen.any()
    ]


def _width_entries(drawing: Drawing) -> list["Line2D"]:
    """Return sample lines of the largest weight, a half and a tenth of it."""
    from matplotlib.lines import Line2D

    if WEIGHT not in drawing.graph.es.attributes():
        return []
    weights = np.asarray(drawing.graph.es[WEIGHT], dtype=np.float64)
    if not drawing.main.any() or np.ptp(weights) == 0:
        return []
    line = float(np.clip(2.6 * (120 / int(drawing.main.sum())) ** 0.25, 0.7, 2.6))
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


def omitted_entries(look: Look, n_omitted: int) -> list["Line2D"]:
    """Return the entry with the number of omitted labels, none if there is a place for all."""
    from matplotlib.lines import Line2D

    text = f"{counted(n_omitted, 'label')} without space"
    return [Line2D([], [], linestyle="none", label=text)] if look.labels is not None and n_omitted else []


def add_legend(
    axes: "Axes",
    rows: Sequence[Sequence["Line2D"]],
    look: Look,
    *,
    middle: float = 0.5,
    n_omitted: int = 0,
) -> None:
    """Add rows below the axes, centered at ``middle`` of their width.

    Args:
        axes: Axes of the graph.
        rows: What `legend_rows` returned, whose last entry is for the number of omitted labels.
        look: Options of the drawing.
        middle: Center of the rows, as a share of the width of the axes.
        n_omitted: Labels without a free place.
    """
    if look.labels is not None:
        *others, last = rows
        rows = [row for row in (*others, [*last[:-1], *omitted_entries(look, n_omitted)]) if row]
    legend = {**LEGEND, "fontsize": look.font_size}
    if look.font is not None:
        del legend["fontsize"]
        legend["prop"] = {"family": look.font, "size": look.font_size}
    bottom = axes.get_position().height * float(figure_of(axes).get_size_inches()[1])
    for index, handles in enumerate(rows):
        is_line = handles[0].get_linestyle() != "None"
        box = axes.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(middle, -(0.02 + index * ROW) / bottom),
            borderpad=0.2,
            borderaxespad=0.0,
            ncols=len(handles),
            **({**legend, "handlelength": 1.6} if is_line else legend),
        )
        if index + 1 < len(rows):
            axes.add_artist(box)


def figure_of(axes: "Axes") -> "Figure":
    """Return the figure of axes, also of those in a subfigure."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure
