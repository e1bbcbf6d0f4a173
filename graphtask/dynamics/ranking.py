"""The largest edges after an epoch: how long the choice has been made, and the graph that they form."""

from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from graphtask.dynamics.fates import epoch_ends, retained_edges
from graphtask.edge_sets import Edges, EdgeSet, dice_similarity
from graphtask.errors import ArgumentError
from graphtask.graph import (
    RAW_WEIGHT,
    WEIGHT,
    edge_names,
    input_node,
    live_nodes,
    output_node,
    with_initial_size,
    with_provenance,
)
from graphtask.runs.history import EdgeHistory
from graphtask.types import IntArray
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd


class TopK(NamedTuple):
    """The graph of the k largest edges."""

    k: int
    """How many edges it took."""
    graph: igraph.Graph
    """All k edges and their nodes. Weakly connected with input and output in it, but it may have dead paths, which a
    valid architecture graph has not."""
    live: igraph.Graph | None
    """The same without dead paths: a valid graph, which can be measured and compiled. None if no directed path leads
    from input to output."""


def ranked_edges(history: EdgeHistory, *, epoch: int = 1) -> IntArray:
    """The columns of the history from the largest magnitude after ``epoch`` to the smallest; equal ones in order.

    Raises:
        ArgumentError: The history has no such epoch; the first one is 1, and -1 is the last.
    """
    values = epoch_ends(history)
    if not (1 <= epoch <= len(values) or epoch == -1):
        raise ArgumentError(
            f"epoch is {epoch}; the history has the epochs 1 … {len(values)}, and -1 for the last"
        )
    row = values[epoch - 1 if epoch > 0 else -1]
    return np.argsort(-row, kind="stable")


def largest_edges(history: EdgeHistory, k: int, *, epoch: int = 1, smallest: bool = False) -> EdgeSet:
    """The k edges of the largest (or smallest) magnitude after ``epoch``, as pairs of names.

    Args:
        history: The edge weights at the start and at the end of every epoch.
        k: How many, 0 … all edges.
        epoch: After which epoch, from 1; -1 is the last.
        smallest: Whether the smallest ones are wanted.

    Raises:
        ArgumentError: There are fewer edges than k, or no such epoch.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> history = gt.EdgeHistory(edges=(("a", "b"), ("b", "c")), w=np.array([[0.5, 0.5], [0.1, -0.2]]))
        >>> sorted(largest_edges(history, 1))
        [('b', 'c')]
    """
    if not 0 <= k <= len(history.edges):
        raise ArgumentError(f"k is {k}; the history has {counted(len(history.edges), 'edge')}")
    ranked = ranked_edges(history, epoch=epoch)
    chosen = ranked[len(ranked) - k :] if smallest else ranked[:k]
    return frozenset(history.edges[column] for column in chosen)


def edge_overlap(
    history: EdgeHistory, *, threshold: float = 0.006, retained: Edges | None = None
) -> "pd.DataFrame":
    """How much the k largest edges of every epoch have in common with those of the first, and with the final ones.

    k is the number of retained edges. The values are Dice coefficients (`graphtask.dice_similarity`).

    Args:
        history: The edge weights at the start and at the end of every epoch.
        threshold: τ, which says which edges are retained, unless ``retained`` does.
        retained: As in `edge_dynamics`.

    Returns:
        One row an epoch: ``epoch`` (from 1), ``dsc_first`` with the k largest edges after the first epoch,
        ``dsc_final`` with those after the last, ``dsc_retained`` with the retained edges, which are others than the
        last if dead paths were strong. All NaN if no edge is retained.

    Raises:
        ArgumentError: The history has no epoch, or a retained edge is not in it.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> edges = (("a", "b"), ("b", "c"), ("a", "c"))
        >>> w = np.array([[0.5, 0.5, 0.5], [0.1, 0.3, 0.2], [0.3, 0.2, 0.001]])
        >>> table = gt.edge_overlap(gt.EdgeHistory(edges=edges, w=w))
        >>> table[["dsc_first", "dsc_final"]].to_numpy().tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """
    import pandas as pd

    kept = [
        pair
        for pair, is_kept in zip(
            history.edges, retained_edges(history, threshold=threshold, retained=retained), strict=True
        )
        if is_kept
    ]
    n_epochs = len(epoch_ends(history))
    chosen = [largest_edges(history, len(kept), epoch=epoch) for epoch in range(1, n_epochs + 1)]
    return pd.DataFrame(
        {
            "epoch": range(1, n_epochs + 1),
            "dsc_first": [dice_similarity(edges, chosen[0]) for edges in chosen],
            "dsc_final": [dice_similarity(edges, chosen[-1]) for edges in chosen],
            "dsc_retained": [dice_similarity(edges, kept) for edges in chosen],
        }
    )


def top_k_graph(graph: igraph.Graph, history: EdgeHistory, *, at_least: int = 1, epoch: int = 1) -> TopK:
    """The graph of the k edges that are largest after ``epoch``.

    k is the smallest number, but not below ``at_least``, with which the edges are weakly connected and touch the
    input and the output.

    Args:
        graph: The graph of the run, trained or initial: it has the edges of the history, and their nodes.
        history: The edge weights at the start and at the end of every epoch.
        at_least: The least k, 1 … all edges; in the paper what the mean sparsity of a data set's pruned graphs gives.
        epoch: After which epoch, from 1; -1 is the last.

    Returns:
        k, and the graph with and without its dead paths; ``w`` and ``weight`` are those after ``epoch``.

    Raises:
        ArgumentError: ``at_least`` is out of range, there is no such epoch, or the graph is not that of the history.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> w = np.array([[0.5, 0.5, 0.5], [0.1, 0.3, 0.2]])  # v0 → v1, v0 → v2, v1 → v2
        >>> top = gt.top_k_graph(graph, gt.EdgeHistory(edges=tuple(edge_names(graph)), w=w), at_least=2)
        >>> top.k, top.graph.vs["name"], top.live.vs["name"]
        (2, ['v0', 'v1', 'v2'], ['v0', 'v2'])

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Appendix D,
        Fig. 7. How its dead paths were treated is not said there.
    """
    if not 1 <= at_least <= len(history.edges):
        raise ArgumentError(
            f"at_least is {at_least}; it has to be 1 … {len(history.edges)}, the number of edges"
        )
    column = {pair: index for index, pair in enumerate(history.edges)}
    if column.keys() != set(edge_names(graph)):
        raise ArgumentError("the graph has other edges than the history; take the graph of the same run")
    ranked = ranked_edges(history, epoch=epoch)
    ends = {graph.vs[vertex]["name"] for vertex in (input_node(graph), output_node(graph))}
    k = _connecting_number([history.edges[index] for index in ranked], ends=ends, at_least=at_least)
    order = [column[pair] for pair in edge_names(graph)]
    top = with_provenance(with_initial_size(graph), top_k={"k": k, "epoch": epoch}, threshold=None)
    top.es[RAW_WEIGHT] = history.w[epoch, order].astype(np.float64).tolist()
    top.es[WEIGHT] = np.minimum(history.magnitudes[epoch, order], 1.0).tolist()
    chosen = set(ranked[:k].tolist())
    outside = [edge for edge, index in enumerate(order) if index not in chosen]
    top.delete_edges(outside)
    names = [graph.vs[input_node(graph)]["name"], graph.vs[output_node(graph)]["name"]]
    top.delete_vertices([vertex.index for vertex in top.vs if vertex.degree() == 0])
    return TopK(k=k, graph=top, live=_without_dead_paths(top, *names))


def _connecting_number(ranked: list[tuple[str, str]], *, ends: set[str], at_least: int) -> int:
    """How many of the edges, from the front, make one piece that has both ends in it."""
    pieces = DisjointSet()
    for k, (source, target) in enumerate(ranked, start=1):
        pieces.add(source)
        pieces.add(target)
        pieces.merge(source, target)
        if k >= at_least and pieces.n_subsets == 1 and all(end in pieces for end in ends):
            return k
    raise AssertionError("a valid graph is weakly connected")


def _without_dead_paths(graph: igraph.Graph, input_name: str, output_name: str) -> igraph.Graph | None:
    ends = [graph.vs.find(name=name).index for name in (input_name, output_name)]
    dead = ~live_nodes(graph, ends[:1], ends[1:])
    if dead.all():
        return None
    live = graph.copy()
    live.delete_vertices(np.flatnonzero(dead).tolist())
    return live
