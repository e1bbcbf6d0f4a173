"""Possible nodes and edges of graphs whose nodes correspond because they come from one initial graph."""

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

_MAX_REBUILT = 2_000  # nodes of an initial graph that is rebuilt because a file says so


class Membership(NamedTuple):
    """Nodes and edges of a graph among those of a support."""

    present: BoolArray
    """True for nodes of the support that the graph has, shape (nodes,)."""
    edges: IntArray
    """Indices of the pairs of the support that are its edges, increasing, shape (edges,)."""


class OutsideSupportError(GraphError):
    """The graph has a node or an edge that its support does not have."""


@dataclass(frozen=True, eq=False)
class Support:
    """Possible nodes, and pairs of nodes that may have an edge.

    Args:
        names: Of the nodes, in the reference order; the first is the input, the last the output.
        stage: Of every node, shape (nodes,).
        pairs: Positions of source and target of every possible edge, in lexicographic order, shape (pairs, 2).

    Example:
        >>> import graphtask as gt
        >>> support = Support.of(gt.full_dag(4, stages=2))
        >>> support.names, len(support.pairs)
        (('v0', 'v1', 'v2', 'v3'), 6)
    """

    names: tuple[str, ...]
    stage: IntArray
    pairs: IntArray

    @classmethod
    def of(cls, graph: igraph.Graph) -> "Support":
        """Return the nodes and edges of an initial graph.

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
        """Position of every name."""
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def distance(self) -> IntArray:
        """Distance of the pairs in the reference order, at least 1, shape (pairs,)."""
        return np.asarray(self.pairs[:, 1] - self.pairs[:, 0])

    @cached_property
    def _keys(self) -> IntArray:
        return np.asarray(self.pairs[:, 0] * len(self.names) + self.pairs[:, 1])

    def membership(self, graph: igraph.Graph) -> Membership:
        """Return the nodes and pairs of the graph; it need not be valid, but its vertices have names and stages.

        Raises:
            OutsideSupportError: It has another node or edge; the message names it.
            GraphError: The vertices have no names or stages.
        """
        if NAME not in graph.vs.attributes() or STAGE not in graph.vs.attributes():
            raise GraphError(
                "the vertices need a `name` and a `stage`; make the graph valid with graphtask.as_architecture(graph, stages=3)"
            )
        names = graph.vs[NAME]
        unknown = [name for name in names if name not in self.position]
        if unknown:
            raise OutsideSupportError(
                f"node {unknown[0]!r} is none of the {len(self.names)} nodes that are possible"
            )
        nodes = np.asarray([self.position[name] for name in names], dtype=np.int64)
        moved = np.flatnonzero(self.stage[nodes] != stages(graph))
        if len(moved):
            node = int(moved[0])
            raise OutsideSupportError(
                f"node {names[node]!r} is in stage {graph.vs[node][STAGE]}, and not in {self.stage[nodes[node]]}"
            )
        present = np.zeros(len(self.names), dtype=np.bool_)
        present[nodes] = True
        return Membership(present, self._rows(nodes[edge_array(graph)]))

    def _rows(self, edges: IntArray) -> IntArray:
        keys = np.sort(edges[:, 0] * len(self.names) + edges[:, 1])
        rows = np.searchsorted(self._keys, keys)
        known = self._keys[np.minimum(rows, len(self._keys) - 1)] == keys
        if not known.all():
            source, target = divmod(int(keys[~known][0]), len(self.names))
            raise OutsideSupportError(
                f"the edge {self.names[source]!r} → {self.names[target]!r} is none of the {len(self._keys):,} that are possible"
            )
        if (np.diff(rows) == 0).any():
            raise OutsideSupportError("the graph has multi-edges")
        return rows


def have_one_origin(graphs: Sequence[igraph.Graph]) -> bool:
    """Return True if provenance names one initial graph for all: the same prior or the same hash, of the same size.

    Example:
        >>> import graphtask as gt
        >>> have_one_origin([gt.full_dag(5), gt.full_dag(5)])
        True
        >>> have_one_origin([gt.random_dag(9, seed=0), gt.random_dag(9, seed=1)])
        False
    """
    facts = [provenance(graph) for graph in graphs]
    first, initial = facts[0], facts[0].get("initial")
    if not isinstance(initial, dict) or not (first.get("prior") or initial.get("hash")):
        return False
    return all(fact.get(key) == first.get(key) for fact in facts for key in ("prior", "initial"))


def common_support(graphs: Sequence[igraph.Graph], *, initial: igraph.Graph | None = None) -> Support:
    """Return the support of graphs whose nodes correspond by name.

    The initial graph, if it is given or can be rebuilt from provenance, has all possible nodes and edges. Otherwise these are the nodes that occur, in a topological order of all edges together (free nodes in
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
        >>> common_support([gt.prune(graph)]).names
        ('v0', 'v1', 'v2', 'v3', 'v4')
    """
    origin = initial if initial is not None else _rebuilt(graphs)
    support = Support.of(origin) if origin is not None else _union(graphs)
    ends = {support.names[0], support.names[-1]}
    for index, graph in enumerate(graphs):
        try:
            membership = support.membership(graph)
        except OutsideSupportError as error:
            raise GraphError(f"graphs[{index}] does not correspond to the others: {error}") from None
        if not (membership.present[0] and membership.present[-1]):
            missing = min(ends - set(graph.vs[NAME]))
            raise GraphError(
                f"graphs[{index}] does not correspond to the others: it has no node {missing!r}, "
                f"the input or output of the others"
            )
    return support


def _rebuilt(graphs: Sequence[igraph.Graph]) -> igraph.Graph | None:
    """Rebuild the initial graph from provenance, if it is the same for all and has all their nodes."""
    priors = [provenance(graph).get("prior") for graph in graphs]
    prior = priors[0]
    if not isinstance(prior, dict) or any(other != prior for other in priors):
        return None
    name, arguments = str(prior.get("name")), prior.get("arguments")
    if name not in PRIORS or not isinstance(arguments, dict):
        return None
    n_nodes = arguments.get("n_nodes")
    if not isinstance(n_nodes, int) or n_nodes > _MAX_REBUILT:
        return None
    try:
        made = make_prior(name, arguments)
    except (TypeError, ValueError):  # a file may contain any arguments
        return None
    names = set(made.vs[NAME])
    return made if all(names.issuperset(graph.vs[NAME]) for graph in graphs) else None


def _union(graphs: Sequence[igraph.Graph]) -> Support:
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
        raise GraphError(f"the nodes do not correspond, all edges together break a rule: {error}") from None
    order = node_order(union)
    return Support(
        tuple(names[node] for node in order),
        np.asarray([stage[names[node]] for node in order], dtype=np.int64),
        np.argwhere(np.triu(np.ones((len(names), len(names)), dtype=np.bool_), 1)),
    )


def _natural(name: str) -> list[Any]:
    """Return a key that sorts v2 before v10."""
    parts = re.split(r"([0-9]+)", name)
    # Numbers are compared by their length and then as texts: int() refuses very long ones.
    values = [part.lstrip("0") for part in parts]
    return [
        (0, len(value), value) if place % 2 else (1, 0, part)
        for place, (part, value) in enumerate(zip(parts, values, strict=True))
    ]
