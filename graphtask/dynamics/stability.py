"""Stability selection: how often each edge survives pruning over runs on other seeds or subsamples."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import igraph
import numpy as np

from graphtask.edge_sets import edge_set
from graphtask.errors import DisconnectedError
from graphtask.graph import WEIGHT, edge_names
from graphtask.pruning import prune
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.types import PAPER_THRESHOLD
from graphtask.validation import counted, invalid, number

if TYPE_CHECKING:
    import pandas as pd

STABILITY = "stability"
"""Edge attribute with the share of the runs in which the edge survives."""


@dataclass(frozen=True)
class EdgeStability:
    """Stability of the edges of one initial graph.

    Args:
        graph: The initial graph, with the edge attribute ``stability``, in [0, 1].
        table: One row per edge, by descending stability: ``source_node``, ``target_node``, ``stability``, ``runs``, and mean and
            standard deviation of the weight before pruning.
        n_selected: Mean number of edges that survive in a run.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.full_dag(3), gt.full_dag(3)]
        >>> graphs[0].es["weight"], graphs[1].es["weight"] = [0.5, 0.5, 0.5], [0.5, 0.0, 0.5]
        >>> edge_stability(graphs)
        EdgeStability(3 edges over 2 runs: 2 in all, 0 in none)
    """

    graph: igraph.Graph
    table: "pd.DataFrame"
    n_selected: float

    def __repr__(self) -> str:
        share = self.table[STABILITY]
        return (
            f"EdgeStability({counted(len(share), 'edge')} over {counted(int(self.table['runs'].iloc[0]), 'run')}: "
            f"{int((share == 1).sum())} in all, {int((share == 0).sum())} in none)"
        )

    def selected(self, cutoff: float = 0.6) -> "pd.DataFrame":
        """Return the edges whose stability is at least the cutoff.

        Raises:
            ArgumentError: The cutoff is outside [0, 1].
        """
        return self.table[self.table[STABILITY] >= number(cutoff, name="cutoff", least=0, most=1)]

    def false_bound(self, cutoff: float = 0.6) -> float:
        """Return q² / ((2·cutoff − 1)·p), for q edges that survive in a run on average, of p.

        It bounds the expected number of selected edges that matter no more than chance, if every run had a random half of
        the training images, and the other edges are exchangeable.

        Raises:
            ArgumentError: The cutoff is outside (0.5, 1].

        Source:
            Meinshausen & Bühlmann, "Stability selection", J. R. Statist. Soc. B 72 (2010), Theorem 1.
        """
        if not number(cutoff, name="cutoff", least=0, most=1) > 0.5:
            raise invalid("cutoff", "a number in (0.5, 1]", cutoff)
        return self.n_selected**2 / ((2 * cutoff - 1) * len(self.table))


def edge_stability(
    graphs: Iterable[GraphLike], *, threshold: float = PAPER_THRESHOLD, relative: bool = False
) -> EdgeStability:
    """Return how often each edge survives pruning, over trained graphs of one initial graph.

    An edge survives in a run if the graph that is pruned at τ has it; a graph that pruning disconnects has no edges.

    Args:
        graphs: Trained graphs with the same edges, such as those of runs with other seeds, or on other subsamples.
        threshold: τ; see `graphtask.prune`.
        relative: As in `graphtask.prune`.

    Raises:
        ArgumentError: There is no graph, or their edges differ.
        GraphError: A graph has no weights.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.full_dag(3), gt.full_dag(3)]
        >>> graphs[0].es["weight"], graphs[1].es["weight"] = [0.5, 0.5, 0.5], [0.5, 0.0, 0.5]
        >>> edge_stability(graphs).graph.es["stability"]
        [1.0, 0.5, 1.0]
    """
    import pandas as pd

    known = [valid_graph(graph) for graph in graphs]
    if not known:
        raise invalid("graphs", "at least one trained graph", known)
    pairs = edge_names(known[0])
    counts, weights = np.zeros(len(pairs)), np.empty((len(known), len(pairs)))
    for place, graph in enumerate(known):
        if set(edge_names(graph)) != set(pairs):
            raise invalid(
                "graphs",
                "trained from the same initial graph",
                f"other edges in graph {place}",
                remedy="select the runs of one prior",
            )
        try:
            left = edge_set(prune(graph, threshold=threshold, relative=relative))
        except DisconnectedError:
            left = frozenset()
        counts += [pair in left for pair in pairs]
        weight = dict(zip(edge_names(graph), graph.es[WEIGHT], strict=True))
        weights[place] = [weight[pair] for pair in pairs]
    result = known[0].copy()
    for name in result.es.attributes():
        del result.es[name]
    result.es[STABILITY] = (counts / len(known)).tolist()
    table = pd.DataFrame(
        {
            "source_node": [source for source, _ in pairs],
            "target_node": [target for _, target in pairs],
            STABILITY: counts / len(known),
            "runs": len(known),
            "weight_mean": weights.mean(axis=0),
            "weight_std": weights.std(axis=0, ddof=1) if len(known) > 1 else math.nan,
        }
    ).sort_values(STABILITY, ascending=False, kind="stable", ignore_index=True)
    return EdgeStability(result, table, float(counts.sum() / len(known)))
