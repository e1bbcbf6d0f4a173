"""Difference of two graphs: nodes and edges of both, of the first only, and of the second only."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import igraph

from graphtask.edge_sets import dice_similarity
from graphtask.graph import NAME, STAGE, WEIGHT, edge_names
from graphtask.pruning import check_relative, prune
from graphtask.storage.objects import GraphLike, valid_graph

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Parts(NamedTuple):
    """Three disjoint parts of two sets, each in the order of the graphs."""

    both: tuple[Any, ...]
    first: tuple[Any, ...]
    """Only in the first."""
    second: tuple[Any, ...]
    """Only in the second."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of elements of each part."""
        return tuple(map(len, self))


@dataclass(frozen=True, eq=False)
class GraphDiff:
    """Result of `diff`.

    Args:
        first: The first graph, pruned if there was a threshold.
        second: The second graph, likewise.
    """

    first: igraph.Graph
    second: igraph.Graph

    def __repr__(self) -> str:
        both, first, second = self.edges.sizes
        return (
            f"GraphDiff(edges: {both} in both, {first} only in the first, {second} only in the second; "
            f"Dice similarity {self.dice_similarity:.3g})"
        )

    @cached_property
    def nodes(self) -> Parts:
        """Names of the nodes."""
        return _parts(self.first.vs[NAME], self.second.vs[NAME])

    @cached_property
    def edges(self) -> Parts:
        """Edges as (source name, target name)."""
        return _parts(edge_names(self.first), edge_names(self.second))

    @property
    def dice_similarity(self) -> float:
        """Dice coefficient of the edges; see `graphtask.dice_similarity`."""
        return dice_similarity(self.first, self.second)

    def summary(self) -> "pd.DataFrame":
        """Return the sizes of the parts: a row for nodes, edges, edges within each stage, and across stages.

        The columns are ``part``, ``both``, ``only_first`` and ``only_second``.
        """
        import pandas as pd

        stage = self._stages()
        rows = {"nodes": self.nodes.sizes, "edges": self.edges.sizes}
        for number in sorted(set(stage.values())):
            rows[f"edges within stage {number}"] = tuple(
                sum(stage[source] == stage[target] == number for source, target in part)
                for part in self.edges
            )
        rows["edges across stages"] = tuple(
            sum(stage[source] != stage[target] for source, target in part) for part in self.edges
        )
        columns = ["both", "only_first", "only_second"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        return table.rename_axis("part").reset_index()

    def table(self) -> "pd.DataFrame":
        """Return a row for each edge of either graph: ``source``, ``target``, ``part``, and its weights.

        The part is ``both``, ``only_first`` or ``only_second``; ``weight_first`` and ``weight_second`` are NaN where
        the graph lacks the edge or has no weights.
        """
        import pandas as pd

        names = ("both", "only_first", "only_second")
        rows = [(*edge, name) for name, part in zip(names, self.edges, strict=True) for edge in part]
        table = pd.DataFrame(rows, columns=["source", "target", "part"])
        for name, graph in (("first", self.first), ("second", self.second)):
            weights = dict(zip(edge_names(graph), _weights(graph), strict=True))
            pairs = zip(table["source"], table["target"], strict=True)
            table[f"weight_{name}"] = pd.Series([weights.get(pair) for pair in pairs], dtype="float64")
        return table

    def plot(self, **options: Any) -> "Figure":
        """Draw both graphs in one picture; see `graphtask.plot.draw_diff`."""
        from graphtask.drawing.difference import draw_diff

        return draw_diff(self.first, self.second, **options)

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import diff_card

        return diff_card(self)

    def _stages(self) -> dict[str, int]:
        """Return the stage of each node; that of the first graph if they differ."""
        pairs = [
            pair
            for graph in (self.second, self.first)
            for pair in zip(graph.vs[NAME], graph.vs[STAGE], strict=True)
        ]
        return {name: int(stage) for name, stage in pairs}


def diff(
    first: GraphLike, second: GraphLike, *, threshold: float | None = None, relative: bool = False
) -> GraphDiff:
    """Compare two graphs node by node and edge by edge; nodes correspond by name.

    Args:
        first: A valid architecture graph.
        second: Another one, usually of the same initial graph.
        threshold: Prune both graphs with this threshold first; None compares them as they are.
        relative: Compare weights relative to the strongest edge into the same node with the threshold; see `prune`.

    Raises:
        GraphError: A graph is not valid, or there is a threshold and it has no weights.
        DisconnectedError: Pruning disconnects the input of a graph from its output.

    Example:
        >>> import graphtask as gt
        >>> found = gt.diff(gt.full_dag(4, stages=2), gt.chain_dag(4, stages=2))
        >>> found
        GraphDiff(edges: 3 in both, 3 only in the first, 0 only in the second; Dice similarity 0.667)
        >>> found.edges.first
        (('v0', 'v2'), ('v0', 'v3'), ('v1', 'v3'))
        >>> found.summary().values.tolist()[-1]
        ['edges across stages', 1, 3, 0]
    """
    check_relative(relative, threshold=threshold)
    found = valid_graph(first, name="first"), valid_graph(second, name="second")
    if threshold is None:
        return GraphDiff(*found)
    return GraphDiff(*(prune(graph, threshold=threshold, relative=relative) for graph in found))


def _parts(first: Iterable[Any], second: Iterable[Any]) -> Parts:
    here, there = dict.fromkeys(first), dict.fromkeys(second)
    return Parts(
        tuple(one for one in here if one in there),
        tuple(one for one in here if one not in there),
        tuple(one for one in there if one not in here),
    )


def _weights(graph: igraph.Graph) -> list[float | None]:
    return list(graph.es[WEIGHT]) if WEIGHT in graph.es.attributes() else [None] * graph.ecount()
