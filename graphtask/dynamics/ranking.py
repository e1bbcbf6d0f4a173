"""Largest edges after an epoch: their overlap with early and final ones, and the graph that they form."""

from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from graphtask.columns import with_dtypes
from graphtask.dynamics.categories import epoch_ends, retained_edges
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
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.types import PAPER_THRESHOLD, IntArray
from graphtask.validation import integer, invalid

if TYPE_CHECKING:
    import pandas as pd


class TopK(NamedTuple):
    """Graph of the k largest edges."""

    k: int
    """Number of edges."""
    graph: igraph.Graph
    """All k edges and their nodes. It is weakly connected and includes input and output, but it may have dead paths,
    which a valid architecture graph has not."""
    live: igraph.Graph | None
    """The same without dead paths: a valid graph, which can be measured and compiled. None if no directed path leads
    from input to output."""


def ranked_edges(history: EdgeHistory, *, epoch: int = 1) -> IntArray:
    """Return the columns of the history from the largest magnitude after ``epoch`` to the smallest; ties in order.

    Raises:
        ArgumentError: The history lacks this epoch; the first one is 1, and -1 is the last.
    """
    values = epoch_ends(history)
    if not (1 <= epoch <= len(values) or epoch == -1):
        raise invalid("epoch", f"an integer in [1, {len(values)}], or -1 for the last", epoch)
    row = values[epoch - 1 if epoch > 0 else -1]
    return np.argsort(-row, kind="stable")


def largest_edges(history: EdgeHistory, k: int, *, epoch: int = 1, smallest: bool = False) -> EdgeSet:
    """Return the k edges of the largest (or smallest) magnitude after ``epoch``, as pairs of names.

    Args:
        history: Edge weights at the start and at the end of every epoch.
        k: Number of edges, from 0 to all.
        epoch: Epoch, from 1; -1 is the last.
        smallest: Take the smallest magnitudes instead.

    Raises:
        ArgumentError: The history has fewer edges than k, or lacks this epoch.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> history = gt.EdgeHistory(edges=(("a", "b"), ("b", "c")), w=np.array([[0.5, 0.5], [0.1, -0.2]]))
        >>> sorted(largest_edges(history, 1))
        [('b', 'c')]
    """
    integer(k, name="k", least=0, most=len(history.edges))
    ranked = ranked_edges(history, epoch=epoch)
    chosen = ranked[len(ranked) - k :] if smallest else ranked[:k]
    return frozenset(history.edges[column] for column in chosen)


def edge_overlap(
    history: EdgeHistory, *, threshold: float = PAPER_THRESHOLD, retained: Edges | None = None
) -> "pd.DataFrame":
    """Return the overlap of the k largest edges of every epoch with those of the first and of the last epoch.

    k is the number of retained edges. The values are Dice coefficients (`graphtask.dice_similarity`).

    Args:
        history: Edge weights at the start and at the end of every epoch.
        threshold: τ, which decides which edges are retained, unless ``retained`` is given.
        retained: As in `edge_dynamics`.

    Returns:
        One row per epoch: ``epoch`` (from 1), ``dsc_first`` with the k largest edges after the first epoch,
        ``dsc_final`` with those after the last, ``dsc_retained`` with the retained edges, which differ from the
        last ones if dead paths were strong. All NaN if no edge is retained.

    Raises:
        ArgumentError: The history has no epoch, or a retained edge is not in it.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> edges = (("a", "b"), ("b", "c"), ("a", "c"))
        >>> w = np.array([[0.5, 0.5, 0.5], [0.1, 0.3, 0.2], [0.3, 0.2, 0.001]])
        >>> table = gt.dynamics.edge_overlap(gt.EdgeHistory(edges=edges, w=w))
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
    table = pd.DataFrame(
        {
            "epoch": range(1, n_epochs + 1),
            "dsc_first": [dice_similarity(edges, chosen[0]) for edges in chosen],
            "dsc_final": [dice_similarity(edges, chosen[-1]) for edges in chosen],
            "dsc_retained": [dice_similarity(edges, kept) for edges in chosen],
        }
    )
    return with_dtypes(table)


def top_k_graph(graph: GraphLike, history: EdgeHistory, *, at_least: int = 1, epoch: int = 1) -> TopK:
    """Return the graph of the k edges that are largest after ``epoch``.

    k is the smallest number >= ``at_least`` for which these edges are weakly connected and reach input and output.

    Args:
        graph: Graph of the run, trained or initial, with the edges of the history.
        history: Edge weights at the start and at the end of every epoch.
        at_least: Smallest k, from 1 to all edges; in the paper the number that the mean sparsity of a data set's pruned
            graphs gives.
        epoch: Epoch, from 1; -1 is the last.

    Returns:
        k, and the graph with and without its dead paths; ``w`` and ``weight`` are those after ``epoch``.

    Raises:
        ArgumentError: ``at_least`` is out of range, the history lacks this epoch, or the graph has other edges.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> w = np.array([[0.5, 0.5, 0.5], [0.1, 0.3, 0.2]])  # v0 → v1, v0 → v2, v1 → v2
        >>> top = gt.dynamics.top_k_graph(
        ...     graph, gt.EdgeHistory(edges=tuple(edge_names(graph)), w=w), at_least=2
        ... )
        >>> top.k, top.graph.vs["name"], top.live.vs["name"]
        (2, ['v0', 'v1', 'v2'], ['v0', 'v2'])

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Appendix D,
        Fig. 7. The treatment of dead paths is not specified there.
    """
    integer(at_least, name="at_least", most=len(history.edges))
    graph = valid_graph(graph)
    column = {pair: index for index, pair in enumerate(history.edges)}
    if column.keys() != set(edge_names(graph)):
        raise ArgumentError(
            "the graph has other edges than the history; take the graph of the same run", argument="graph"
        )
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
    """Return how many of the edges, from the front, form one component that includes both ends."""
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
