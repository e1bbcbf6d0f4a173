"""Named layouts of drawings: positions of the nodes, curves of the edges, and bands of the stages."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.drawing.layout import kamada_kawai
from graphtask.errors import ArgumentError
from graphtask.graph import NAME, STAGE, edge_array, node_order, stages
from graphtask.layout.layered import layered, layers_of, n_dummies
from graphtask.types import BoolArray, FloatArray
from graphtask.validation import abbreviated, invalid

LayoutName: TypeAlias = Literal["layered", "stages", "kamada-kawai", "circle", "file"]
Layout: TypeAlias = "LayoutName | npt.ArrayLike | None"

_FARTHEST = 1e100  # of a coordinate, whose square must be finite
_BEND = 0.10  # height of an edge's control point, as a share of the edge's length
_MAX_DUMMIES = 6_000  # of a layered layout; more take seconds and are not readable
_SPARSE = 3.0  # edges per node up to which layers are the default
_SMALL = 150  # nodes up to which they are; more make a thin strip


class Placement(NamedTuple):
    """Geometry of a drawing."""

    positions: FloatArray
    """Shape (nodes, 2)."""
    curves: list[FloatArray]
    """Control points of every edge, a chain of cubic Bézier curves, shape (3·pieces + 1, 2) each."""
    bands: list[tuple[int, float, float]]
    """Stage and horizontal range of every band behind the nodes; empty if stages are not contiguous."""


def place(graph: igraph.Graph, layout: Layout = None, *, ignored: BoolArray | None = None) -> Placement:
    """Return the geometry of a drawing of a graph.

    Args:
        graph: An architecture graph.
        layout: ``"layered"`` (input left, output right, stages in bands), ``"stages"`` (one row per stage, nodes in
            topological order), ``"kamada-kawai"``, ``"circle"``, ``"file"`` (vertex attributes ``x`` and ``y``), or
            positions of shape (nodes, 2). By default layered for sparse graphs of at most 150 nodes, and Kamada-Kawai for others.
        ignored: Edges that do not count for a layered layout, such as weak ones; they are drawn as bent lines.

    Raises:
        ArgumentError: The layout is unknown, or the positions do not fit the graph.

    Example:
        >>> import graphtask as gt
        >>> place(gt.chain_dag(3, stages=1)).positions[:, 0].tolist()
        [0.0, 1.0, 2.0]
    """
    rest = _without(graph, ignored)
    if layout is None:
        layout = "layered" if _is_sparse(rest) else "kamada-kawai"
    if isinstance(layout, str) and layout == "layered" and ignored is not None and rest is not graph:
        found = _layered(rest, last=node_order(graph)[-1])
        curves = _bent(graph, found.positions).curves
        routed = iter(found.curves)
        return found._replace(
            curves=[
                curve if skipped else next(routed) for curve, skipped in zip(curves, ignored, strict=True)
            ]
        )
    if isinstance(layout, str):
        if layout not in _BY_NAME:
            raise invalid("layout", f"one of {', '.join(_BY_NAME)}, or positions", layout)
        return _BY_NAME[layout](graph)
    return _bent(graph, _given(graph, layout))


def _without(graph: igraph.Graph, ignored: BoolArray | None) -> igraph.Graph:
    """Return the graph without some edges; the order of its nodes stays topological."""
    if ignored is None or not ignored.any():
        return graph
    rest = graph.copy()
    rest.delete_edges(np.flatnonzero(ignored).tolist())
    return rest


def joint_placements(graphs: Sequence[igraph.Graph], layout: Layout = None) -> list[Placement]:
    """Return placements with nodes of equal names in the same places: those of a layout of the union of the graphs.

    Edges that lead backward in the mean order of the nodes are ignored for the layout, not for the drawing.

    Example:
        >>> import graphtask as gt
        >>> whole = gt.full_dag(5)
        >>> part = whole.subgraph_edges([0, 4])
        >>> both = joint_placements([whole, part])
        >>> both[1].positions.tolist() == both[0].positions[:3].tolist()
        True
    """
    union = _union(graphs)
    whole = place(union, layout)
    index = {name: number for number, name in enumerate(union.vs[NAME])}
    edge_ids = {pair: number for number, pair in enumerate(union.get_edgelist())}
    found = []
    for graph in graphs:
        ids = [index[name] for name in graph.vs[NAME]]
        positions = whole.positions[ids]
        bent = _bent(graph, positions).curves
        curves = [
            whole.curves[edge_ids[pair]] if pair in edge_ids else curve
            for (source, target), curve in zip(graph.get_edgelist(), bent, strict=True)
            for pair in [(ids[source], ids[target])]
        ]
        found.append(Placement(positions, curves, whole.bands))
    return found


def _union(graphs: Sequence[igraph.Graph]) -> igraph.Graph:
    rank: dict[str, list[float]] = {}
    stage: dict[str, int] = {}
    for graph in graphs:
        order, names = node_order(graph), graph.vs[NAME]
        for place_in_order, node in enumerate(order):
            rank.setdefault(names[node], []).append(place_in_order / max(len(order) - 1, 1))
            stage.setdefault(names[node], int(graph.vs[node][STAGE]))
    names = sorted(rank, key=lambda name: (stage[name], float(np.mean(rank[name]))))
    index = {name: number for number, name in enumerate(names)}
    pairs = {
        (index[graph.vs[source][NAME]], index[graph.vs[target][NAME]])
        for graph in graphs
        for source, target in graph.get_edgelist()
    }
    union = igraph.Graph(
        n=len(names), edges=sorted(pair for pair in pairs if pair[0] < pair[1]), directed=True
    )
    union.vs[NAME] = names
    union.vs[STAGE] = [stage[name] for name in names]
    for axis in ("x", "y"):
        if all(axis in graph.vs.attributes() for graph in graphs):
            known = {
                name: value
                for graph in graphs
                for name, value in zip(graph.vs[NAME], graph.vs[axis], strict=True)
            }
            union.vs[axis] = [known[name] for name in names]
    return union


def _is_sparse(graph: igraph.Graph) -> bool:
    if graph.ecount() > _SPARSE * graph.vcount() or graph.vcount() > _SMALL:
        return False
    edges = edge_array(graph)
    return (
        n_dummies(edges, layers_of(graph.vcount(), edges, node_order(graph), stages(graph))) <= _MAX_DUMMIES
    )


def _layered(graph: igraph.Graph, *, last: int | None = None) -> Placement:
    """Return layers from left to right; ``last`` is the output, by default the last node of the topological order."""
    edges, stage, order = edge_array(graph), stages(graph), node_order(graph)
    layer = layers_of(graph.vcount(), edges, order, stage)
    layer[order[-1] if last is None else last] = layer.max()  # right of all dead ends
    if n_dummies(edges, layer) > 20 * _MAX_DUMMIES:
        raise invalid(
            "layout", "another layout for so many long edges", "layered", remedy='use layout="kamada-kawai"'
        )
    found = layered(graph.vcount(), edges, layer)
    points = np.concatenate([found.positions, *found.routes])
    height, depth = float(np.ptp(points[:, 1])), max(float(layer.max()), 1.0)
    stretch = float(np.clip(0.4 * depth / height, 0.0, 2.5)) if height else 1.0
    scale = np.array([1.0, min(stretch, max(0.6 * depth / height, 0.5)) if height else 1.0])
    center = np.array([0.0, points[:, 1].min() + height / 2])
    routes = [(route - center) * scale for route in found.routes]
    bands = [
        (int(s), float(layer[stage == s].min()) - 0.5, float(layer[stage == s].max()) + 0.5)
        for s in np.unique(stage)
    ]
    return Placement((found.positions - center) * scale, [_flow(route) for route in routes], bands)


def _flow(route: FloatArray) -> FloatArray:
    """Return cubic curves through the points, horizontal at both ends, without a turn between the points.

    Source:
        Slopes of F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5 (1984), 300-304.
    """
    step = np.diff(route, axis=0)
    rise = step[:, 1] / step[:, 0]
    before, after = rise[:-1], rise[1:]
    is_monotone = before * after > 0
    inside = np.zeros(len(before))
    inside[is_monotone] = (2 * before * after)[is_monotone] / (before + after)[is_monotone]
    slope = np.concatenate([[0.0], inside, [0.0]])
    share = np.full(len(step) + 1, 1 / 3)
    share[[0, -1]] = 1 / 2  # the ends stay horizontal for longer
    ahead = route[:-1] + (share[:-1] * step[:, 0])[:, None] * np.stack(
        [np.ones(len(step)), slope[:-1]], axis=1
    )
    back = route[1:] - (share[1:] * step[:, 0])[:, None] * np.stack([np.ones(len(step)), slope[1:]], axis=1)
    pieces = np.stack([ahead, back, route[1:]], axis=1).reshape(-1, 2)
    return np.concatenate([route[:1], pieces])


def _stages(graph: igraph.Graph) -> Placement:
    order, stage = node_order(graph), stages(graph)
    rank = np.empty(graph.vcount())
    rank[order] = np.arange(graph.vcount())
    step = 0.34 * max(graph.vcount() - 1, 1) / max(len(np.unique(stage)), 1)
    positions = np.stack([rank, -step * stage], axis=1)
    curves = []
    for source, target in graph.get_edgelist():
        start, end = positions[source], positions[target]
        along = end - start
        rise = (
            0.9 * step * math.sqrt(along[0] / max(graph.vcount() - 1, 1))
            if stage[source] == stage[target]
            else 0.0
        )
        lift = np.array([0.0, rise])
        shift = np.array([along[0] / 4 if rise else along[0] / 2, 0.0])
        curves.append(np.stack([start, start + shift + lift, end - shift + lift, end]))
    return Placement(positions, curves, [])


def _kamada_kawai(graph: igraph.Graph) -> Placement:
    return _bent(graph, kamada_kawai(graph))


def _circle(graph: igraph.Graph) -> Placement:
    n, order = graph.vcount(), node_order(graph)
    angle = math.pi - 2 * math.pi * np.arange(n) / n
    positions = np.empty((n, 2))
    positions[order] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    start, end = (positions[edge_array(graph)[:, side]] for side in (0, 1))
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    middle = (start + end) / 2 * (1 - np.minimum(0.6 * length, 0.5))  # inward, away from the nodes in between
    return _curved(positions, start, middle, end)


def _file(graph: igraph.Graph) -> Placement:
    missing = [axis for axis in ("x", "y") if axis not in graph.vs.attributes()]
    if missing:
        raise ArgumentError(
            f'layout="file" needs the vertex attributes x and y; the graph has no {missing[0]}',
            argument="layout",
        )
    return _bent(graph, _given(graph, list(zip(graph.vs["x"], graph.vs["y"], strict=True))))


def _given(graph: igraph.Graph, layout: npt.ArrayLike) -> FloatArray:
    try:
        positions = np.asarray(layout, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise invalid("layout", "a name or an array of positions", abbreviated(layout)) from None
    if positions.shape != (graph.vcount(), 2) or not (np.abs(positions) <= _FARTHEST).all():
        raise invalid("layout", f"one finite (x, y) for each of the {graph.vcount()} vertices", positions)
    return positions


def _bent(graph: igraph.Graph, positions: FloatArray) -> Placement:
    """Return slightly bent edges, so that an edge over others in a line is visible."""
    edges = edge_array(graph)
    start, end = positions[edges[:, 0]], positions[edges[:, 1]]
    along = end - start
    control = (start + end) / 2 + _BEND * np.stack([-along[:, 1], along[:, 0]], axis=1)
    return _curved(positions, start, control, end)


def _curved(positions: FloatArray, start: FloatArray, control: FloatArray, end: FloatArray) -> Placement:
    """Return edges as quadratic curves with one control point each."""
    curves = np.stack([start, start + 2 / 3 * (control - start), end + 2 / 3 * (control - end), end], axis=1)
    return Placement(positions, list(curves), [])


_BY_NAME: dict[str, Callable[[igraph.Graph], Placement]] = {
    "layered": _layered,
    "stages": _stages,
    "kamada-kawai": _kamada_kawai,
    "circle": _circle,
    "file": _file,
}
LAYOUTS = tuple(_BY_NAME)
