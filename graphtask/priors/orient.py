"""Conversion of an undirected graph to a DAG: nodes are ordered, and every edge leads forward in the order.

The orders are those of Janik & Nowak 2020 (arXiv:2002.08104), on igraph's Kamada-Kawai embedding:

- ``ids``: the order of the vertex ids; no embedding.
- ``x``: the first coordinate, left to right.
- ``radius``: the distance from the center (the mean position), inside to outside.
- ``bifocal``: (d₁ − d₂)/(d₁ + d₂), with d₁ and d₂ the distances from two foci, from the first to the second. The foci
  are the two nodes farthest from each other in the graph; among several such pairs the one whose degrees have the
  greatest product, then the one with the smallest ids.

Values that differ by less than a millionth of the size of the layout count as equal, and equal ones are ordered by
id: igraph stops that close to a minimum, and rounding must not decide the order of a symmetric layout.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.errors import GraphError
from graphtask.graph import (
    NAME,
    STAGE,
    check_graph,
    edge_array,
    provenance,
    with_initial_size,
    with_provenance,
)
from graphtask.priors.build import prior_stages
from graphtask.priors.repair import repair_orphans
from graphtask.priors.words import Words
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.types import IntArray
from graphtask.validation import choice, integer

Order = Literal["ids", "x", "radius", "bifocal"]

_Positions = npt.NDArray[np.float64]


def orient_edges(
    graph: GraphLike, *, order: Order = "ids", seed: int = 0, stages: int | Sequence[int] | None = None
) -> igraph.Graph:
    """Convert an undirected graph to a valid DAG whose edges lead forward in an order of the nodes.

    Args:
        graph: An undirected igraph or networkx graph with at least 2 vertices; it need not be connected. Self-loops
            are dropped, multi-edges merged.
        order: ``ids``, or an order by a Kamada-Kawai embedding: ``x``, ``radius``, ``bifocal`` (see the module).
        seed: Seed of the embedding. 0 starts the layout from a circle in the order of the ids; any other number
            shuffles the vertices on the circle.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.

    Returns:
        A new graph with its vertices in the chosen order. Vertices keep their attributes (missing names become
        ``v0``, ``v1`` … by the id in ``graph``; stages are replaced), edges do not. Orphans are repaired.

    Raises:
        GraphError: The graph is directed, has fewer than 2 vertices, or its names are not unique strings.
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> star = igraph.Graph.Star(4, center=3)
        >>> dag = gt.priors.orient_edges(star, order="radius")
        >>> dag.vs["name"], dag.get_edgelist()
        (['v3', 'v0', 'v1', 'v2'], [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)])

    Source:
        Janik & Nowak 2020, arXiv:2002.08104.
    """
    graph = as_igraph(graph)
    _check_undirected(graph)
    choice(order, name="order", choices=get_args(Order))
    seed = integer(seed, name="seed", least=0)
    sizes = prior_stages(graph.vcount(), stages)
    ids = node_sequence(graph, order=order, seed=seed)
    forward = igraph.Graph(n=len(ids), edges=forward_edges(edge_array(graph), ids).tolist(), directed=True)
    for attribute in graph.attributes():
        forward[attribute] = graph[attribute]
    forward.vs[NAME] = [f"v{index}" for index in ids]
    for attribute in graph.vs.attributes():
        values = graph.vs[attribute]
        forward.vs[attribute] = [values[index] for index in ids]
    forward.vs[STAGE] = np.repeat(np.arange(len(sizes)), sizes).tolist()
    dag, n_added = repair_orphans(forward)
    check_graph(dag)
    prior = {
        "name": "orient",
        "arguments": {"order": order, "seed": seed, "stages": sizes},
        "repaired_edges": n_added,
    }
    known = provenance(graph).get("prior")
    return with_initial_size(with_provenance(dag, prior=prior | ({"of": known} if known else {})))


def node_sequence(graph: igraph.Graph, *, order: Order, seed: int = 0) -> IntArray:
    """Return the vertex ids of an undirected graph in the order of `orient_edges`."""
    if order == "ids" or graph.ecount() == 0:
        return np.arange(graph.vcount())
    position = _embedding(graph, seed=seed)
    if order == "x":
        value = position[:, 0]
    elif order == "radius":
        value = _distance(position, position.mean(axis=0))
    else:
        first, second = _foci(graph)
        near, far = _distance(position, position[first]), _distance(position, position[second])
        # Where only self-loops are left, both foci are one node, which is at distance 0 from both.
        value = np.divide(near - far, near + far, out=np.zeros(len(near)), where=near + far > 0)
    size = float(np.abs(value).max()) or 1.0
    return np.argsort(np.round(value / size, 6), kind="stable")


def forward_edges(edges: IntArray, ids: IntArray) -> IntArray:
    """Return undirected edges as sorted distinct pairs of positions in ``ids``, the smaller first, without loops."""
    position = np.empty(len(ids), dtype=np.int64)
    position[ids] = np.arange(len(ids))
    ends = np.sort(position[edges], axis=1)
    return np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0)


def _embedding(graph: igraph.Graph, *, seed: int) -> _Positions:
    circle = np.asarray(graph.layout_circle().coords)
    start = circle[Words(seed).order(graph.vcount())] if seed else circle
    return np.asarray(graph.layout_kamada_kawai(seed=start.tolist()).coords)


def _distance(position: _Positions, center: _Positions) -> npt.NDArray[np.float64]:
    return np.asarray(np.hypot(*(position - center).T))


def _foci(graph: igraph.Graph) -> tuple[int, int]:
    distance = np.asarray(graph.distances())
    distance[np.isinf(distance)] = -1
    degree = np.asarray(graph.degree())
    score = np.where(distance == distance.max(), np.outer(degree, degree), -1)
    first, second = np.unravel_index(np.argmax(score), score.shape)
    return int(first), int(second)


def _check_undirected(graph: igraph.Graph) -> None:
    if graph.is_directed():
        raise GraphError(
            "the graph is directed",
            remedy="make it valid with graphtask.as_architecture(graph), or drop its directions with "
            "graph.as_undirected()",
        )
    if graph.vcount() < 2:
        raise GraphError(f"an architecture must have at least 2 vertices, got {graph.vcount()}")
