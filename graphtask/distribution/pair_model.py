"""Where nodes correspond: which of them a graph has, and which edges lie between those it has.

Node j of the initial graph is present with probability π_j, and a possible edge i → j whose ends are both present
exists with probability θ_ij; all of it independent of each other:

    ln P(V, E) = Σ_j ln π_j or ln(1 − π_j)  +  Σ_{i, j both present} ln θ_ij or ln(1 − θ_ij)

π_j is shrunk towards the rate of its stage, θ_ij towards that of its pair of stages and class of distance, where
input and output are stages of their own. Both are always present. With ``nodes="all"`` every node always is, and edges alone decide: the plain independent
edge model, in which a pruned node is one without edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.distances import DistanceLaw, distance_class, fit_distance_law, roles
from graphtask.distribution.edge_probabilities import Skeleton, bernoulli_entropy
from graphtask.distribution.shrinkage import pooled_rates, shrunk_rates
from graphtask.distribution.support import OutsideError, Place, Universe
from graphtask.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

Nodes = Literal["present", "all"]


class PairCounts(NamedTuple):
    """What was observed in a universe."""

    n_graphs: int
    nodes: IntArray
    """Graphs that have the node, shape (nodes,)."""
    together: IntArray
    """Graphs that have both nodes of the pair, shape (pairs,)."""
    edges: IntArray
    """Graphs that have the edge, shape (pairs,)."""

    def without(self, other: "PairCounts") -> "PairCounts":
        """What is left without some of the graphs."""
        return PairCounts(
            self.n_graphs - other.n_graphs,
            self.nodes - other.nodes,
            self.together - other.together,
            self.edges - other.edges,
        )


@dataclass(frozen=True, eq=False)
class PairModel:
    """A distribution over the graphs of a universe.

    Args:
        universe: The nodes and edges that are possible.
        presence: π of every node, shape (nodes,).
        edge: θ of every pair, shape (pairs,).
        nodes: ``present``, or ``all`` if a node without edges is as good as none.
        counts: What was observed.
        class_rate: What θ was shrunk towards, shape (pairs,).

    Example:
        >>> import graphtask as gt
        >>> universe = Universe.of(gt.full_dag(3))
        >>> counts = count_pairs([universe.place(gt.full_dag(3))], universe, nodes="present")
        >>> fit_pair_model(universe, counts, strength=0).edge.tolist()
        [1.0, 1.0, 1.0]
    """

    universe: Universe
    presence: FloatArray
    edge: FloatArray
    nodes: Nodes
    counts: PairCounts
    class_rate: FloatArray

    def log_prob(self, graph: igraph.Graph) -> tuple[float, str]:
        """The ln P of the graph's nodes and edges, and if that is −inf, why."""
        try:
            place = self.universe.place(graph)
        except OutsideError as error:
            return -np.inf, str(error)
        return self.log_prob_at(place)

    def log_prob_at(self, place: Place) -> tuple[float, str]:
        """The ln P of a place in the universe, and if that is −inf, why."""
        present = place.present if self.nodes == "present" else np.ones_like(place.present)
        log_node = np.where(present, *self._log_presence)
        has = np.zeros(len(self.edge), dtype=np.bool_)
        has[place.edges] = True
        both = present[self.universe.pairs].all(axis=1)
        log_edge = np.where(both, np.where(has, *self._log_edge), 0.0)
        return float(log_node.sum() + log_edge.sum()), self._obstacle(log_node, log_edge, has)

    def _obstacle(self, log_node: FloatArray, log_edge: FloatArray, has: BoolArray) -> str:
        names = self.universe.names
        for node in np.flatnonzero(np.isneginf(log_node)):
            certain = "never" if self.presence[node] == 0 else "always"
            return f"node {names[node]!r} is {certain} present"
        for pair in np.flatnonzero(np.isneginf(log_edge)):
            source, target = self.universe.pairs[pair]
            certain = "no graph has" if has[pair] else "every graph has"
            return f"{certain} the edge {names[source]!r} → {names[target]!r}, and nothing was shrunk"
        return ""

    @cached_property
    def _log_presence(self) -> tuple[FloatArray, FloatArray]:
        return _logs(self.presence)

    @cached_property
    def _log_edge(self) -> tuple[FloatArray, FloatArray]:
        return _logs(self.edge)

    @cached_property
    def probability(self) -> FloatArray:
        """π_i·π_j·θ_ij, the probability of every edge, shape (pairs,)."""
        ends = self.presence[self.universe.pairs]
        return np.asarray(ends[:, 0] * ends[:, 1] * self.edge)

    @property
    def expected_nodes(self) -> float:
        """Σπ; with ``nodes="all"`` the number of all nodes."""
        return float(self.presence.sum())

    @property
    def expected_edges(self) -> float:
        """Σπ_i·π_j·θ_ij."""
        return float(self.probability.sum())

    @property
    def entropy(self) -> float:
        """Σ_j h(π_j) + Σ_ij π_i·π_j·h(θ_ij), h(p) = −p ln p − (1 − p) ln(1 − p)."""
        ends = self.presence[self.universe.pairs]
        in_edges = (ends[:, 0] * ends[:, 1] * bernoulli_entropy(self.edge)).sum()
        return float(bernoulli_entropy(self.presence).sum() + in_edges)

    def table(self) -> "pd.DataFrame":
        """One row for each pair."""
        import pandas as pd

        names = np.asarray(self.universe.names, dtype=object)
        source, target = self.universe.pairs.T
        return pd.DataFrame(
            {
                "source": names[source],
                "target": names[target],
                "source_stage": self.universe.stage[source],
                "target_stage": self.universe.stage[target],
                "distance": self.universe.distance,
                "both_present": self.counts.together,
                "edges": self.counts.edges,
                "class_rate": self.class_rate,
                "probability_if_present": self.edge,
                "probability": self.probability,
            }
        )

    def mean_skeleton(self) -> Skeleton:
        """All nodes, with the probabilities of the edges."""
        return Skeleton(list(self.universe.names), self.universe.stage, self._matrix(self.probability), True)

    def draw(self, rng: np.random.Generator) -> Skeleton:
        """The nodes of a random graph, with the probabilities of edges between them."""
        present = np.flatnonzero(rng.random(len(self.presence)) < self.presence)
        return Skeleton(
            [self.universe.names[node] for node in present],
            self.universe.stage[present],
            self._edge_matrix[np.ix_(present, present)],
            self.nodes == "all",
        )

    @cached_property
    def _edge_matrix(self) -> FloatArray:
        return self._matrix(self.edge)

    def _matrix(self, values: FloatArray) -> FloatArray:
        matrix = np.zeros((len(self.presence), len(self.presence)))
        matrix[self.universe.pairs[:, 0], self.universe.pairs[:, 1]] = values
        return matrix


def count_pairs(places: Sequence[Place], universe: Universe, *, nodes: Nodes) -> PairCounts:
    """How often nodes, pairs of nodes, and edges occur."""
    n = len(places)
    edges = np.bincount(np.concatenate([place.edges for place in places]), minlength=len(universe.pairs))
    if nodes == "all":
        everywhere = np.full(len(universe.names), n), np.full(len(universe.pairs), n)
        return PairCounts(n, *everywhere, edges)
    present = np.stack([place.present for place in places]).astype(np.float64)
    # Whole numbers below 2^53 are exact in floats, whose product is far faster than that of integers.
    both = (present.T @ present)[universe.pairs[:, 0], universe.pairs[:, 1]]
    return PairCounts(n, present.sum(axis=0).astype(np.int64), both.astype(np.int64), edges)


def fit_pair_model(
    universe: Universe, counts: PairCounts, *, nodes: Nodes = "present", strength: float | None = None
) -> PairModel:
    """The model of counts; see the module for what is shrunk towards what.

    Args:
        universe: The nodes and edges that are possible.
        counts: What was observed in it.
        nodes: ``present`` or ``all``.
        strength: Graphs that the rates of stages and classes are worth; None estimates it.
    """
    law = _law(universe, counts)
    class_rate = law.at(*_roles(universe), universe.distance)
    # One strength for all: with a handful of graphs it can be told how much pairs differ, but hardly for each group.
    one = np.zeros(len(class_rate), dtype=np.int64)
    edge = shrunk_rates(
        counts.edges, counts.together, mean=class_rate, group=one, n_groups=1, strength=strength
    ).rate
    presence = _presence(universe, counts, nodes=nodes, strength=strength)
    return PairModel(universe, presence, edge, nodes, counts, class_rate)


def _presence(universe: Universe, counts: PairCounts, *, nodes: Nodes, strength: float | None) -> FloatArray:
    presence = np.ones(len(universe.names))
    if nodes == "all":
        return presence
    k, stage = counts.nodes[1:-1], universe.stage[1:-1]
    n_stages = int(universe.stage.max()) + 1
    trials = np.full(len(k), counts.n_graphs)
    mean = pooled_rates(k, trials, stage, n_groups=n_stages)[stage]
    one = np.zeros_like(stage)
    presence[1:-1] = shrunk_rates(k, trials, mean=mean, group=one, n_groups=1, strength=strength).rate
    return presence


def _law(universe: Universe, counts: PairCounts) -> DistanceLaw:
    source, target = _roles(universe)
    classes = distance_class(universe.distance)
    n_roles = int(universe.stage.max()) + 3
    shape = (n_roles, n_roles, int(classes.max()) + 1)
    cell = np.ravel_multi_index((source, target, classes), shape)
    k, n = (
        np.bincount(cell, weights=values, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)
        for values in (counts.edges, counts.together)
    )
    return fit_distance_law(k, n)


def _roles(universe: Universe) -> tuple[IntArray, IntArray]:
    """The roles of source and target of every pair."""
    role = roles(universe.stage, n_stages=int(universe.stage.max()) + 1)
    return role[universe.pairs[:, 0]], role[universe.pairs[:, 1]]


def _logs(probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logarithms of p and 1 − p."""
    with np.errstate(divide="ignore"):
        return np.log(probability), np.log1p(-probability)
