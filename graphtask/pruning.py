"""Pruning of trained graphs: thresholding, removal of dead paths, and the critical threshold.

Two scales of the threshold are offered. The paper's is absolute: an edge stays if |gate(w)| >= τ. The relative one
compares an edge with the strongest edge into the same node, r_ij = |w_ij| / max_k |w_kj|, and is free of the common
scale of the edges into a node, which the batch normalization of that node removes from the function.
"""

from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.errors import DisconnectedError, GraphError
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
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.types import PAPER_THRESHOLD, BoolArray, EdgeName, FloatArray
from graphtask.validation import invalid


class PrunedParts(NamedTuple):
    """Edges and nodes that pruning removes: boolean arrays in the order of the graph's edges and vertices."""

    weak_edges: BoolArray
    """Edges whose weight is below the threshold."""
    dead_edges: BoolArray
    """Edges at or above the threshold that are on no path from the input to the output without the weak edges."""
    dead_nodes: BoolArray
    """Nodes that are then on no path from the input to the output."""


def prune(graph: GraphLike, *, threshold: float = PAPER_THRESHOLD, relative: bool = False) -> igraph.Graph:
    """Remove weak edges from a graph, and then the nodes and edges that are on no path.

    First every edge with ``weight`` < ``threshold`` is removed. Then, in linear time, every node that is not
    reachable from the input or cannot reach the output is removed with its edges. An edge whose weight equals the
    threshold stays: 0 removes nothing, and any threshold above 0 removes the edges of weight 0 that
    ``edge_update="proximal"`` leaves.

    Args:
        graph: A trained graph: every edge has a ``weight`` in [0, 1].
        threshold: Smallest weight that stays, >= 0; the default is the paper's.
        relative: Compare `relative_weights` with the threshold instead of weights; choose a threshold in [0, 1].

    Returns:
        A new, valid graph with the names, order and attributes of ``graph``. Its provenance gains ``threshold``
        (``relative_threshold`` if ``relative``; the largest, if the graph was pruned before), and ``initial`` (the
        size before pruning) unless an initial size is recorded already.

    Raises:
        DisconnectedError: No path of edges at or above the threshold is left between input and output.
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
    graph = as_igraph(graph)
    parts = pruned_parts(graph, threshold=threshold, relative=relative)
    if parts.dead_nodes.all():
        raise DisconnectedError(
            f"no path from the input to the output is left at {_kind(relative)} {threshold:g}; the graph stays "
            f"connected up to its critical threshold {critical_threshold(graph, relative=relative)!r}: use that or less"
        )
    key = "relative_threshold" if relative else "threshold"
    earlier = provenance(graph).get(key)
    largest = max(float(threshold), earlier) if isinstance(earlier, Real) else float(threshold)
    result = with_provenance(with_initial_size(graph), **{key: largest})
    result.delete_edges(np.flatnonzero(parts.weak_edges).tolist())
    result.delete_vertices(np.flatnonzero(parts.dead_nodes).tolist())
    return result


def check_relative(relative: bool, *, threshold: float | None) -> None:
    """Raise an ArgumentError for a relative threshold that is None.

    Example:
        >>> check_relative(True, threshold=None)
        Traceback (most recent call last):
        graphtask.errors.ArgumentError: relative must be False without a threshold, got True; pass a threshold in [0, 1]
    """
    if relative and threshold is None:
        raise invalid("relative", "False without a threshold", relative, remedy="pass a threshold in [0, 1]")


def pruned_parts(graph: igraph.Graph, *, threshold: float, relative: bool = False) -> PrunedParts:
    """Return the edges and nodes that `prune` removes at ``threshold``, without removing them.

    Args:
        graph: A trained graph: every edge has a ``weight`` in [0, 1].
        threshold: Smallest weight that stays, >= 0.
        relative: Compare `relative_weights` with the threshold instead of weights.

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
    weak = _compared(graph, relative=relative) < _checked(threshold)
    strong = graph.copy()
    strong.delete_edges(np.flatnonzero(weak).tolist())
    dead = ~live_nodes(strong, [input_node(graph)], [output_node(graph)])
    on_dead_node = dead[edge_array(graph)].any(axis=1)
    return PrunedParts(weak_edges=weak, dead_edges=on_dead_node & ~weak, dead_nodes=dead)


def relative_weights(graph: igraph.Graph) -> FloatArray:
    """Return r_ij = weight_ij / max_k weight_kj of every edge i → j: its share of the strongest edge into j.

    Returns:
        Shape (edges,), in [0, 1], in the order of the graph's edges. Every node but the input has an edge with
        r = 1, unless all edges into it have weight 0; they then have r = 0.

    Raises:
        GraphError: The graph is not valid, or has no weights.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> graph.es["weight"] = [0.01, 0.5, 0.25]
        >>> relative_weights(graph).tolist()
        [1.0, 1.0, 0.5]
    """
    weights = _weights(graph)
    target = edge_array(graph)[:, 1]
    strongest = np.zeros(graph.vcount())
    np.maximum.at(strongest, target, weights)
    scale = strongest[target]
    return np.divide(weights, scale, out=np.zeros_like(weights), where=scale > 0)


def kept_edges(edges: Sequence[EdgeName], weights: npt.ArrayLike, *, threshold: float) -> BoolArray:
    """Return True for the edges that `prune` keeps, shape (edges,); edges on dead paths are removed too.

    Args:
        edges: All edges of a graph, as (source name, target name).
        weights: Weight of each edge, >= 0; weights above 1 count as 1.
        threshold: Smallest weight that stays, >= 0.

    Raises:
        GraphError: The edges are not a valid graph, or a weight is not a number.
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


def critical_threshold(graph: GraphLike, *, relative: bool = False) -> float:
    """Return the largest threshold at which pruning leaves input and output connected.

    τ = max over paths of (min over the edges of the path of weight): the weakest edge of the widest path, found in
    one pass over the edges in topological order. Pruning at exactly this value keeps a path; the next larger float
    cuts the last one.

    Args:
        graph: A trained graph: every edge has a ``weight`` in [0, 1].
        relative: Return the critical value of the relative threshold; see `relative_weights`.

    Raises:
        GraphError: The graph is not valid, or has no weights.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> graph.es["weight"] = [0.9, 0.1, 0.5]
        >>> critical_threshold(graph), critical_threshold(graph, relative=True)
        (0.5, 1.0)
    """
    graph = as_igraph(graph)
    weights = _compared(graph, relative=relative)
    edges = edge_array(graph)
    by_target = np.argsort(edges[:, 1], kind="stable")
    bounds = np.searchsorted(edges[by_target, 1], np.arange(graph.vcount() + 1))
    widest = np.zeros(graph.vcount())
    widest[input_node(graph)] = np.inf
    for node in node_order(graph)[1:]:
        incoming = by_target[bounds[node] : bounds[node + 1]]
        widest[node] = np.minimum(widest[edges[incoming, 0]], weights[incoming]).max()
    return float(widest[output_node(graph)])


def _kind(relative: bool) -> str:
    return "relative threshold" if relative else "threshold"


def _checked(threshold: object) -> float:
    least = float(threshold) if isinstance(threshold, Real) else np.nan
    if not least >= 0:
        raise invalid("threshold", "a number >= 0", threshold, remedy=f"the paper's is {PAPER_THRESHOLD}")
    return least


def _compared(graph: igraph.Graph, *, relative: bool) -> FloatArray:
    return relative_weights(graph) if relative else _weights(graph)


def _weights(graph: igraph.Graph) -> FloatArray:
    check_graph(graph)
    if WEIGHT not in graph.es.attributes():
        if f"file_{WEIGHT}" in graph.es.attributes():
            raise GraphError(
                "the edge weights of the file must all be in [0, 1], and were renamed to `file_weight`; scale them, "
                "and replace missing ones (NaN)"
            )
        raise GraphError(
            "every edge must have a `weight`; train the graph (graphtask.train), or write a trained module back "
            "(graphtask.compiler.write_back)"
        )
    return np.asarray(graph.es[WEIGHT], dtype=np.float64)
