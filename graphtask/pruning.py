"""Which connections of a trained graph stay: thresholding, dead paths, and the threshold at which a graph breaks."""

from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.errors import ArgumentError, DisconnectedError, GraphError
from graphtask.graph import (
    NAME,
    STAGE,
    WEIGHT,
    check_graph,
    edge_array,
    input_node,
    live_nodes,
    node_order,
    output_node,
    provenance,
    with_initial_size,
    with_provenance,
)
from graphtask.types import BoolArray


class PrunedParts(NamedTuple):
    """What pruning removes from a graph: boolean arrays in the order of the graph's edges and vertices."""

    weak_edges: BoolArray
    """Edges whose weight is below the threshold."""
    dead_edges: BoolArray
    """Edges that are strong enough, but on no path from the input to the output once the weak ones are gone."""
    dead_nodes: BoolArray
    """Nodes that the input no longer reaches, or that no longer reach the output."""


def prune(graph: igraph.Graph, *, threshold: float = 0.006) -> igraph.Graph:
    """The graph without its weak edges, and without the nodes and edges that are then on no path.

    First every edge with ``weight`` < ``threshold`` goes, then, in linear time, every node that the input cannot
    reach or that cannot reach the output, with its edges. An edge whose weight equals the threshold stays.

    Args:
        graph: A trained graph: every edge has a ``weight`` in [0, 1].
        threshold: The least weight that stays, ≥ 0; the paper's value is the default.

    Returns:
        A new, valid graph. Names, order and attributes of what remains are those of ``graph``; its provenance gains
        ``threshold`` (the largest so far, if it was pruned before), and ``initial`` (the size before pruning) unless
        an initial size is known already.

    Raises:
        DisconnectedError: No path of strong enough edges is left between input and output.
        GraphError: The graph is not valid, or has no weights.
        ArgumentError: The threshold is negative or not a number.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(4)
        >>> graph.es["weight"] = [0.9, 0.8, 0.001, 0.002, 0.7, 0.0]
        >>> pruned = gt.prune(graph)
        >>> pruned.vs["name"], pruned.es["weight"]
        (['v0', 'v1', 'v3'], [0.9, 0.7])
        >>> gt.prune(graph, threshold=0.0).ecount()
        6

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", section 2.
    """
    parts = pruned_parts(graph, threshold=threshold)
    if parts.dead_nodes.all():
        raise DisconnectedError(
            f"no path from the input to the output is left at threshold {threshold:g}; the graph stays connected up "
            f"to its critical threshold {critical_threshold(graph)!r}: use that or less"
        )
    earlier = provenance(graph).get("threshold")
    largest = max(float(threshold), earlier) if isinstance(earlier, Real) else float(threshold)
    result = with_provenance(with_initial_size(graph), threshold=largest)
    result.delete_edges(np.flatnonzero(parts.weak_edges).tolist())
    result.delete_vertices(np.flatnonzero(parts.dead_nodes).tolist())
    return result


def pruned_parts(graph: igraph.Graph, *, threshold: float) -> PrunedParts:
    """Which edges and nodes `prune` removes at ``threshold``, without removing them.

    Args:
        graph: A trained graph: every edge has a ``weight`` in [0, 1].
        threshold: The least weight that stays, ≥ 0.

    Returns:
        Three boolean arrays. If input and output are no longer connected, all nodes are dead.

    Raises:
        GraphError: The graph is not valid, or has no weights.
        ArgumentError: The threshold is negative or not a number.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> graph.es["weight"] = [0.9, 0.5, 0.001]
        >>> parts = pruned_parts(graph, threshold=0.006)
        >>> parts.weak_edges.tolist(), parts.dead_edges.tolist(), parts.dead_nodes.tolist()
        ([False, False, True], [True, False, False], [False, True, False])
    """
    weak = _weights(graph) < _least_weight(threshold)
    strong = graph.copy()
    strong.delete_edges(np.flatnonzero(weak).tolist())
    dead = ~live_nodes(strong, [input_node(graph)], [output_node(graph)])
    on_dead_node = dead[edge_array(graph)].any(axis=1)
    return PrunedParts(weak_edges=weak, dead_edges=on_dead_node & ~weak, dead_nodes=dead)


def kept_edges(edges: Sequence[tuple[str, str]], weights: npt.ArrayLike, *, threshold: float) -> BoolArray:
    """Which of these edges `prune` keeps, shape (edges,); what is on a dead path goes as well.

    Args:
        edges: All edges of a graph, as (source name, target name).
        weights: The weight of each, ≥ 0; above 1 counts as 1.
        threshold: The least weight that stays, ≥ 0.

    Raises:
        GraphError: The edges make no valid graph, or a weight is not a number.
        ArgumentError: The threshold is negative or not a number.

    Example:
        >>> kept_edges([("a", "b"), ("a", "c"), ("b", "c")], [0.9, 0.5, 0.001], threshold=0.006).tolist()
        [False, True, False]
    """
    graph = igraph.Graph.TupleList(edges, directed=True, vertex_name_attr=NAME)
    graph.vs[STAGE] = 0
    graph.es[WEIGHT] = np.minimum(weights, 1.0).tolist()
    parts = pruned_parts(graph, threshold=threshold)
    return ~(parts.weak_edges | parts.dead_edges)


def critical_threshold(graph: igraph.Graph) -> float:
    """The largest threshold at which pruning leaves input and output connected.

    It is the greatest weight that the weakest edge of a path from input to output can have,
    τ = max over paths of (min over the edges of the path of weight), found in one pass over the edges in
    topological order. Pruning at exactly this value keeps a path; the next larger float cuts the last one.

    Args:
        graph: A trained graph: every edge has a ``weight`` in [0, 1].

    Raises:
        GraphError: The graph is not valid, or has no weights.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> graph.es["weight"] = [0.9, 0.1, 0.5]
        >>> critical_threshold(graph)
        0.5
    """
    weights = _weights(graph)
    edges = edge_array(graph)
    by_target = np.argsort(edges[:, 1], kind="stable")
    bounds = np.searchsorted(edges[by_target, 1], np.arange(graph.vcount() + 1))
    widest = np.zeros(graph.vcount())
    widest[input_node(graph)] = np.inf
    for node in node_order(graph)[1:]:
        incoming = by_target[bounds[node] : bounds[node + 1]]
        widest[node] = np.minimum(widest[edges[incoming, 0]], weights[incoming]).max()
    return float(widest[output_node(graph)])


def _least_weight(threshold: object) -> float:
    least = float(threshold) if isinstance(threshold, Real) else np.nan
    if not least >= 0:
        raise ArgumentError(
            f"threshold={threshold!r} does not work; give a number of at least 0, such as 0.006"
        )
    return least


def _weights(graph: igraph.Graph) -> npt.NDArray[np.float64]:
    check_graph(graph)
    if WEIGHT not in graph.es.attributes():
        if f"file_{WEIGHT}" in graph.es.attributes():
            raise GraphError(
                "the weights of the file are not all in 0 … 1, so they are kept as `file_weight`; scale them, and "
                "give a missing one (NaN) a value"
            )
        raise GraphError(
            "the edges have no `weight`; train the graph first (graphtask.train), or write a trained module back "
            "(graphtask.write_back)"
        )
    return np.asarray(graph.es[WEIGHT], dtype=np.float64)
