"""Picture of the difference of two graphs: the union of both in one layout."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import igraph
import numpy as np

from graphtask.drawing.artists import (
    Drawing,
    EdgeKind,
    Look,
    NodeKind,
    add_legend,
    draw_graph,
    ends_of,
    legend_rows,
    new_axes,
)
from graphtask.drawing.placement import Layout, Placement, joint_placements
from graphtask.drawing.style import BOTH, FIRST, SECOND, TEXT, WIDTH
from graphtask.drawing.text import fitted, group_names
from graphtask.graph import NAME, STAGE, WEIGHT, edge_names
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.validation import invalid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from graphtask.types import FloatArray


def draw_diff(
    first: GraphLike,
    second: GraphLike,
    *,
    names: Sequence[str] = ("the first", "the second"),
    layout: Layout = None,
    labels: str | None = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
    node_size: float | None = None,
    cmap: str = "viridis",
    font: str | None = None,
    font_size: float = TEXT,
) -> "Figure":
    """Draw two graphs in one picture; nodes correspond by name.

    Edges of both graphs are gray, those of the first only blue, those of the second only orange and dashed. Nodes of
    one graph only are squares and diamonds. An edge is as wide as the larger of its weights.

    Args:
        first: A valid architecture graph.
        second: Another one.
        names: Names of the two graphs, for the legend.
        layout: Name of a layout of the union of both, as in `graphtask.draw`; so are the other arguments.
        labels: Vertex attribute to show at the nodes.
        title: Line above the picture.
        figsize: Width and height in inches.
        node_size: Diameter of the nodes in points.
        cmap: Colormap of the stages.
        font: Font family of all text.
        font_size: Font size in points.

    Raises:
        GraphError: A graph is not valid.
        ArgumentError: An argument does not fit the graphs.

    Example:
        >>> import graphtask as gt
        >>> figure = draw_diff(gt.full_dag(4, stages=1), gt.chain_dag(4, stages=1))
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['in both (3)', 'only in the first (3)']
    """
    look = Look(labels=labels, node_size=node_size, cmap=cmap, font=font, font_size=font_size)
    first, second = valid_graph(first, name="first"), valid_graph(second, name="second")
    if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
        raise invalid("names", "2 different names, one for each graph", names)
    drawing = _drawing(first, second, names=names, look=look, layout=layout)
    legend = legend_rows(drawing, width=WIDTH if figsize is None else figsize[0])
    axes = new_axes(drawing, figsize, n_rows=len(legend))
    n_omitted = draw_graph(axes, drawing)
    add_legend(axes, legend, look, n_omitted=n_omitted)
    if title:
        line = fitted(title, width=WIDTH if figsize is None else figsize[0], size=font_size + 1.5, font=font)
        axes.set_title(line, loc="left", fontweight="bold", **look.text(font_size + 1.5))
    return axes.get_figure(root=True)  # type: ignore[return-value]


def _drawing(
    first: igraph.Graph, second: igraph.Graph, *, names: Sequence[str], look: Look, layout: Layout
) -> Drawing:
    union, placement = _union(first, second, layout)
    here, there = set(edge_names(first)), set(edge_names(second))
    edges = edge_names(union)
    in_first, in_second = (np.array([edge in own for edge in edges], dtype=np.bool_) for own in (here, there))
    nodes = [set(graph.vs[NAME]) for graph in (first, second)]
    node_first, node_second = (
        np.array([name in own for name in union.vs[NAME]], dtype=np.bool_) for own in nodes
    )
    only = [f"only in {name}" for name in group_names(names).values()]
    edge_kinds = (
        EdgeKind("both", "in both", in_first & in_second, BOTH, 2),
        EdgeKind("first", only[0], in_first & ~in_second, FIRST, 3),
        EdgeKind("second", only[1], in_second & ~in_first, SECOND, 4, is_dashed=True),
    )
    node_kinds = (
        NodeKind("both", "", node_first & node_second),
        NodeKind("first", f"node {only[0]}", node_first & ~node_second, rim=FIRST, marker="s"),
        NodeKind("second", f"node {only[1]}", node_second & ~node_first, rim=SECOND, marker="D"),
    )
    index = {name: place for place, name in enumerate(union.vs[NAME])}
    ends = {
        index[graph.vs[node][NAME]]: text
        for graph in (second, first)
        for node, text in ends_of(graph).items()
    }
    return Drawing(union, placement, look, edge_kinds, node_kinds, ends)


def _union(first: igraph.Graph, second: igraph.Graph, layout: Layout) -> tuple[igraph.Graph, Placement]:
    """Return a graph with the nodes and edges of both, and its placement.

    The graph may have cycles, where the two order their nodes differently.
    """
    placements = joint_placements([first, second], layout)
    attributes = {
        name: dict(vertex.attributes())
        for graph in (second, first)
        for name, vertex in zip(graph.vs[NAME], graph.vs, strict=True)
    }
    positions: dict[str, FloatArray] = {}
    curves: dict[tuple[str, str], FloatArray] = {}
    weights: dict[tuple[str, str], float] = {}
    for graph, placement in zip((first, second), placements, strict=True):
        positions |= dict(zip(graph.vs[NAME], placement.positions, strict=True))
        edges = edge_names(graph)
        curves |= dict(zip(edges, placement.curves, strict=True))
        for edge, weight in zip(edges, _weights(graph), strict=True):
            weights[edge] = max(weights.get(edge, 0.0), weight)
    names = list(attributes)
    union = igraph.Graph(directed=True)
    union.add_vertices(len(names), {NAME: names, STAGE: [attributes[name][STAGE] for name in names]})
    for key in {key for own in attributes.values() for key in own} - {NAME, STAGE}:
        union.vs[key] = [attributes[name].get(key) for name in names]
    union.add_edges(list(curves))
    if all(WEIGHT in graph.es.attributes() for graph in (first, second)):
        union.es[WEIGHT] = list(weights.values())
    return union, Placement(
        np.array([positions[name] for name in names]), list(curves.values()), placements[0].bands
    )


def _weights(graph: igraph.Graph) -> list[float]:
    return list(graph.es[WEIGHT]) if WEIGHT in graph.es.attributes() else [0.0] * graph.ecount()
