"""Nodes that correspond: which nodes and edges the graphs of a set could have, when they come from one initial graph."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import igraph
import numpy as np

from graphtask.errors import GraphError
from graphtask.graph import NAME, STAGE, check_graph, edge_array, node_order, provenance, stages
from graphtask.priors.registry import PRIORS, make_prior
from graphtask.types import BoolArray, IntArray


class Place(NamedTuple):
    """Where a graph lies in a universe."""

    present: BoolArray
    """Which nodes of the universe it has, shape (nodes,)."""
    edges: IntArray
    """Which pairs of the universe are its edges, increasing, shape (edges,)."""


class OutsideError(GraphError):
    """The graph has a node or an edge that its universe does not have."""


@dataclass(frozen=True, eq=False)
class Universe:
    """The nodes, and the pairs of nodes that may have an edge.

    Args:
        names: Of the nodes, in the reference order; the first is the input, the last the output.
        stage: Of every node, shape (nodes,).
        pairs: Positions of source and target of every possible edge, in lexicographic order, shape (pairs, 2).

    Example:
        >>> import graphtask as gt
        >>> universe = Universe.of(gt.full_dag(4, stages=2))
        >>> universe.names, len(universe.pairs)
        (('v0', 'v1', 'v2', 'v3'), 6)
    """

    names: tuple[str, ...]
    stage: IntArray
    pairs: IntArray

    @classmethod
    def of(cls, graph: igraph.Graph) -> "Universe":
        """The nodes and edges of an initial graph.

        Raises:
            GraphError: The graph is not valid.
        """
        check_graph(graph)
        order = node_order(graph)
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order))
        names = graph.vs[NAME]
        pairs = position[edge_array(graph)]
        return cls(
            tuple(names[node] for node in order),
            stages(graph)[order],
            pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))],
        )

    @cached_property
    def position(self) -> dict[str, int]:
        """The position of every name."""
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def distance(self) -> IntArray:
        """How far the pairs lead in the reference order, at least 1, shape (pairs,)."""
        return np.asarray(self.pairs[:, 1] - self.pairs[:, 0])

    @cached_property
    def _keys(self) -> IntArray:
        return np.asarray(self.pairs[:, 0] * len(self.names) + self.pairs[:, 1])

    def place(self, graph: igraph.Graph) -> Place:
        """Which of the nodes and pairs the graph has; it need not be valid, but its vertices have names and stages.

        Raises:
            OutsideError: It has something else, too; the message says what.
            GraphError: The vertices have no names or stages.
        """
        if NAME not in graph.vs.attributes() or STAGE not in graph.vs.attributes():
            raise GraphError(
                "the vertices need a `name` and a `stage`; make the graph valid with graphtask.architecture"
            )
        names = graph.vs[NAME]
        strangers = [name for name in names if name not in self.position]
        if strangers:
            raise OutsideError(
                f"node {strangers[0]!r} is none of the {len(self.names)} nodes that are possible"
            )
        nodes = np.asarray([self.position[name] for name in names], dtype=np.int64)
        moved = np.flatnonzero(self.stage[nodes] != stages(graph))
        if len(moved):
            node = int(moved[0])
            raise OutsideError(
                f"node {names[node]!r} is in stage {graph.vs[node][STAGE]}, and not in {self.stage[nodes[node]]}"
            )
        present = np.zeros(len(self.names), dtype=np.bool_)
        present[nodes] = True
        return Place(present, self._rows(nodes[edge_array(graph)]))

    def _rows(self, edges: IntArray) -> IntArray:
        keys = np.sort(edges[:, 0] * len(self.names) + edges[:, 1])
        rows = np.searchsorted(self._keys, keys)
        known = self._keys[np.minimum(rows, len(self._keys) - 1)] == keys
        if not known.all():
            source, target = divmod(int(keys[~known][0]), len(self.names))
            raise OutsideError(
                f"the edge {self.names[source]!r} → {self.names[target]!r} is none of the {len(self._keys):,} that are possible"
            )
        if (np.diff(rows) == 0).any():
            raise OutsideError("the graph has multi-edges")
        return rows


def have_one_origin(graphs: Sequence[igraph.Graph]) -> bool:
    """Whether provenance says that all graphs come from one initial graph: the same prior, of the same size.

    Example:
        >>> import graphtask as gt
        >>> have_one_origin([gt.full_dag(5), gt.full_dag(5)])
        True
        >>> have_one_origin([gt.random_dag(9, seed=0), gt.random_dag(9, seed=1)])
        False
    """
    facts = [provenance(graph) for graph in graphs]
    first = facts[0]
    if not first.get("initial"):
        return False
    return all(fact.get(key) == first.get(key) for fact in facts for key in ("prior", "initial"))


def common_universe(graphs: Sequence[igraph.Graph], *, initial: igraph.Graph | None = None) -> Universe:
    """The universe of graphs whose nodes correspond by name.

    The initial graph, if it is given or if provenance tells how it was made, has all nodes and edges that are
    possible. Otherwise these are the nodes that occur, in a topological order of all edges together (free nodes in
    the order of the numbers in their names), and all pairs i < j.

    Args:
        graphs: Valid graphs, at least one.
        initial: The graph that all of them were pruned from.

    Raises:
        GraphError: The graphs do not fit the initial graph, or one another.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(5)
        >>> graph.es["weight"] = [0.5] * 9 + [0.0]
        >>> common_universe([gt.prune(graph)]).names
        ('v0', 'v1', 'v2', 'v3', 'v4')
    """
    origin = initial if initial is not None else _rebuilt(graphs)
    universe = Universe.of(origin) if origin is not None else _union(graphs)
    ends = {universe.names[0], universe.names[-1]}
    for number, graph in enumerate(graphs):
        try:
            place = universe.place(graph)
        except OutsideError as error:
            raise GraphError(
                f"number {number} of the graphs does not correspond to the others: {error}"
            ) from None
        if not (place.present[0] and place.present[-1]):
            missing = min(ends - set(graph.vs[NAME]))
            raise GraphError(
                f"number {number} of the graphs does not correspond to the others: it has no node {missing!r}, "
                f"their input or output"
            )
    return universe


def _rebuilt(graphs: Sequence[igraph.Graph]) -> igraph.Graph | None:
    """The initial graph that provenance tells how to make, if it is the same for all and has all their nodes."""
    priors = [provenance(graph).get("prior") for graph in graphs]
    prior = priors[0]
    if not isinstance(prior, dict) or any(other != prior for other in priors):
        return None
    name, arguments = str(prior.get("name")), prior.get("arguments")
    if name not in PRIORS or not isinstance(arguments, dict):
        return None
    try:
        made = make_prior(name, arguments)
    except (TypeError, ValueError):  # a file may claim anything
        return None
    names = set(made.vs[NAME])
    return made if all(names.issuperset(graph.vs[NAME]) for graph in graphs) else None


def _union(graphs: Sequence[igraph.Graph]) -> Universe:
    stage: dict[str, int] = {}
    for graph in graphs:
        for name, own in zip(graph.vs[NAME], graph.vs[STAGE], strict=True):
            if stage.setdefault(name, own) != own:
                raise GraphError(
                    f"the nodes do not correspond: {name!r} is in stage {stage[name]} of one graph and in {own} of another"
                )
    names = sorted(stage, key=_natural)
    position = {name: index for index, name in enumerate(names)}
    edges = {
        (position[graph.vs[source][NAME]], position[graph.vs[target][NAME]])
        for graph in graphs
        for source, target in graph.get_edgelist()
    }
    union = igraph.Graph(n=len(names), edges=sorted(edges), directed=True)
    union.vs[NAME], union.vs[STAGE] = names, [stage[name] for name in names]
    try:
        check_graph(union)
    except GraphError as error:
        raise GraphError(
            f"the nodes do not correspond, for all edges together break a rule: {error}"
        ) from None
    order = node_order(union)
    return Universe(
        tuple(names[node] for node in order),
        np.asarray([stage[names[node]] for node in order], dtype=np.int64),
        np.argwhere(np.triu(np.ones((len(names), len(names)), dtype=np.bool_), 1)),
    )


def _natural(name: str) -> list[Any]:
    """A key that puts v2 before v10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]
