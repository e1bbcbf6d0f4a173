"""Model of graphs whose nodes correspond: independent presence of nodes, independent edges between present nodes.

Node j of the initial graph is present with probability π_j, and a possible edge i → j whose ends are both present
exists with probability θ_ij; all of it independent:

    ln P(V, E) = Σ_j ln π_j or ln(1 − π_j)  +  Σ_{i, j both present} ln θ_ij or ln(1 − θ_ij)

π_j is shrunk towards the rate of its stage, θ_ij towards that of its pair of stages and class of distance, where
input and output are stages of their own. Both are always present.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.conditioned import Chains, Target, accepted, fits_everywhere, is_valid
from graphtask.distribution.distances import DistanceRates, distance_class, fit_distance_rates, roles
from graphtask.distribution.edge_probabilities import EdgeProbabilities, logs, shifted
from graphtask.distribution.normalizer import MOST_EXACT, LogNormalizer, exact_sizes
from graphtask.distribution.shrinkage import pooled_rates, shrunk_rates
from graphtask.distribution.size_factor import NO_FACTOR, SizeFactor
from graphtask.distribution.support import Membership, OutsideSupportError, Support
from graphtask.errors import DisconnectedError
from graphtask.graph import NAME, STAGE, live_nodes
from graphtask.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

NOTHING_POSSIBLE = "no valid graph has a positive probability; fit with more shrinkage, or to more graphs"

_CELLS = 2**19  # of the edge matrices of one batch of independent draws


class PairCounts(NamedTuple):
    """Observed counts in a support."""

    n_graphs: int
    nodes: IntArray
    """Graphs that have the node, shape (nodes,)."""
    together: IntArray
    """Graphs that have both nodes of the pair, shape (pairs,)."""
    edges: IntArray
    """Graphs that have the edge, shape (pairs,)."""

    def without(self, other: "PairCounts") -> "PairCounts":
        """Return the counts without those of some of the graphs."""
        return PairCounts(
            self.n_graphs - other.n_graphs,
            self.nodes - other.nodes,
            self.together - other.together,
            self.edges - other.edges,
        )


@dataclass(frozen=True, eq=False)
class PairModel:
    """Independent nodes and edges in a support, before graphs are conditioned on being valid.

    Args:
        support: Possible nodes and edges.
        presence: π of every node, shape (nodes,).
        edge: θ of every pair, shape (pairs,).
        counts: Observed counts.
        class_rate: Rate that θ was shrunk towards, shape (pairs,).
        factor: Further factor of the numbers of nodes and edges.

    Example:
        >>> import graphtask as gt
        >>> support = Support.of(gt.full_dag(3))
        >>> counts = count_pairs([support.membership(gt.full_dag(3))], support)
        >>> fit_pair_model(support, counts, strength=0).edge.tolist()
        [1.0, 1.0, 1.0]
    """

    support: Support
    presence: FloatArray
    edge: FloatArray
    counts: PairCounts
    class_rate: FloatArray
    factor: SizeFactor = NO_FACTOR

    def log_prob(self, graph: igraph.Graph) -> tuple[float, str]:
        """Return ln P of the graph's nodes and edges, and if that is −inf, the reason."""
        try:
            membership = self.support.membership(graph)
        except OutsideSupportError as error:
            return -np.inf, str(error)
        return self.log_prob_at(membership)

    def log_prob_at(self, membership: Membership) -> tuple[float, str]:
        """Return ln P of nodes and edges of the support, and if that is −inf, the reason."""
        present = membership.present
        log_node = np.where(present, *self._log_presence)
        has = np.zeros(len(self.edge), dtype=np.bool_)
        has[membership.edges] = True
        both = present[self.support.pairs].all(axis=1)
        log_edge = np.where(both, np.where(has, *self._log_edge), 0.0)
        log_sizes = float(self.factor.log(present.sum(), len(membership.edges)))
        return float(log_node.sum() + log_edge.sum()) + log_sizes, self._obstacle(log_node, log_edge, has)

    def _obstacle(self, log_node: FloatArray, log_edge: FloatArray, has: BoolArray) -> str:
        names = self.support.names
        for node in np.flatnonzero(np.isneginf(log_node)):
            certain = "never" if self.presence[node] == 0 else "always"
            return f"node {names[node]!r} is {certain} present"
        for pair in np.flatnonzero(np.isneginf(log_edge)):
            source, target = self.support.pairs[pair]
            certain = "no graph has" if has[pair] else "every graph has"
            return f"{certain} the edge {names[source]!r} → {names[target]!r}, and nothing was shrunk"
        return ""

    @cached_property
    def _log_presence(self) -> tuple[FloatArray, FloatArray]:
        return logs(self.presence)

    @cached_property
    def _log_edge(self) -> tuple[FloatArray, FloatArray]:
        return logs(self.edge)

    @cached_property
    def probability(self) -> FloatArray:
        """π_i·π_j·θ_ij, the probability of every edge before conditioning, shape (pairs,)."""
        ends = self.presence[self.support.pairs]
        return np.asarray(ends[:, 0] * ends[:, 1] * self.edge)

    @property
    def attainable_means(self) -> tuple[float, float]:
        """Mean numbers of nodes and edges of the observed graphs, half a success and half a failure added to each.

        Strictly between the extremes, so that a finite shift of the log-odds attains them.
        """
        n, inner = self.counts.n_graphs, len(self.presence) - 2
        nodes = inner * (float(self.counts.nodes[1:-1].sum()) + 0.5) / (n * inner + 1) if inner else 0.0
        pairs = len(self.edge)
        return 2 + nodes, pairs * (float(self.counts.edges.sum()) + 0.5) / (n * pairs + 1)

    largest_tilt = np.inf  # of the log-odds of nodes

    @property
    def is_connected(self) -> bool:
        """True if changes of one node each surely connect all valid graphs (`graphtask.distribution.conditioned`)."""
        kept = np.flatnonzero(self.presence > 0)
        return fits_everywhere(self.edge_matrix[np.ix_(kept, kept)] > 0)

    def shifted(self, nodes: float, edges: float) -> "PairModel":
        """Return the model with shifts added to the log-odds of nodes and of edges."""
        presence = shifted(self.presence, nodes)
        return replace(self, presence=presence, edge=shifted(self.edge, edges))

    def exact_log_normalizer(self) -> LogNormalizer | None:
        """Return the exact ln Z; None for more nodes than can be summed over."""
        if len(self.presence) > MOST_EXACT:
            return None
        total = self.exact_sizes().sum()
        return LogNormalizer(float(np.log(total)) if total > 0 else -np.inf, 0.0)

    def exact_sizes(self) -> FloatArray:
        """Return the probability of a valid graph with n nodes and m edges, times the factor, shape (n, m)."""
        sizes = exact_sizes(self.presence, self.edge_matrix)
        n, m = np.indices(sizes.shape)
        return np.asarray(sizes * np.exp(self.factor.log(n, m)))

    def table(self) -> "pd.DataFrame":
        """Return one row for each pair."""
        import pandas as pd

        names = np.asarray(self.support.names, dtype=object)
        source, target = self.support.pairs.T
        return pd.DataFrame(
            {
                "source": names[source],
                "target": names[target],
                "source_stage": self.support.stage[source],
                "target_stage": self.support.stage[target],
                "distance": self.support.distance,
                "both_present": self.counts.together,
                "edges": self.counts.edges,
                "class_rate": self.class_rate,
                "probability_if_present": self.edge,
                "probability": self.probability,
            }
        )

    def mean_probabilities(self) -> EdgeProbabilities:
        """Return all nodes with the probabilities of the edges."""
        return EdgeProbabilities(list(self.support.names), self.support.stage, self._matrix(self.probability))

    def draw(self, rng: np.random.Generator) -> EdgeProbabilities:
        """Return the nodes of a random graph with the probabilities of edges between them."""
        present = np.flatnonzero(rng.random(len(self.presence)) < self.presence)
        return EdgeProbabilities(
            [self.support.names[node] for node in present],
            self.support.stage[present],
            self.edge_matrix[np.ix_(present, present)],
        )

    def draw_states(self, rng: np.random.Generator, n: int) -> tuple[BoolArray, BoolArray]:
        """Return independent draws, not conditioned: present nodes (n, nodes), edges (n, nodes, nodes)."""
        n_nodes = len(self.presence)
        present: BoolArray = np.asarray(rng.random((n, n_nodes)) < self.presence)
        edges = rng.random((n, n_nodes, n_nodes)) < self.edge_matrix
        edges &= present[:, :, None] & present[:, None, :]
        return np.asarray(present), np.asarray(edges)

    def draw_valid(self, rng: np.random.Generator, *, most: int) -> tuple[igraph.Graph | None, int]:
        """Draw independently until a graph is valid; with the number of draws. None after ``most`` draws."""
        done, size = 0, 8
        while done < most:
            present, edges = self.draw_states(rng, size)
            valid = np.flatnonzero(is_valid(present, edges) & accepted(self.factor, present, edges, rng))
            if len(valid):
                return self.graph(present[valid[0]], edges[valid[0]]), done + int(valid[0]) + 1
            done += size
            size = int(min(2 * size, max(8, _CELLS // len(self.presence) ** 2)))
        return None, done

    def share_valid(self, rng: np.random.Generator, *, n: int) -> float:
        """Return the share of valid graphs among independent draws."""
        size = int(np.clip(_CELLS // len(self.presence) ** 2, 1, n))
        shares = []
        for _ in range(-(-n // size)):
            present, edges = self.draw_states(rng, size)
            shares.append((is_valid(present, edges) & accepted(self.factor, present, edges, rng)).mean())
        return float(np.mean(shares))

    def sampler(self, generators: Sequence[np.random.Generator]) -> "PairSampler":
        """Return chains that start at the largest possible graph.

        Raises:
            DisconnectedError: No valid graph is possible.
        """
        n_nodes = len(self.presence)
        possible = self.edge_matrix > 0
        graph = igraph.Graph(n=n_nodes, edges=np.argwhere(possible).tolist(), directed=True)
        graph.delete_edges([(s, t) for s, t in graph.get_edgelist() if not self.presence[[s, t]].all()])
        present = live_nodes(graph, [0], [n_nodes - 1])
        if not (present[0] and present[-1] and present[self.presence == 1].all()):
            raise DisconnectedError(NOTHING_POSSIBLE)
        n = len(generators)
        edges = possible & present & present[:, None]
        chains = Chains(
            np.repeat(present[None], n, axis=0),
            np.repeat(edges[None], n, axis=0),
            np.full(n, n_nodes - 1),
        )
        return PairSampler(self, chains, generators)

    def independent_sampler(self, generators: Sequence[np.random.Generator]) -> "PairSampler":
        """Return chains that start at independent draws, valid or not."""
        states = [self.draw_states(rng, 1) for rng in generators]
        present, edges = (np.concatenate(parts) for parts in zip(*states, strict=True))
        chains = Chains(present, edges, np.full(len(present), len(self.presence) - 1))
        return PairSampler(self, chains, generators)

    def graph(self, present: BoolArray, edges: BoolArray) -> igraph.Graph:
        """Return the graph of present nodes and edges between them."""
        kept = np.flatnonzero(present)
        graph = igraph.Graph(
            n=len(kept), edges=np.argwhere(edges[np.ix_(kept, kept)]).tolist(), directed=True
        )
        graph.vs[NAME] = [self.support.names[node] for node in kept]
        graph.vs[STAGE] = self.support.stage[kept].tolist()
        return graph

    @cached_property
    def edge_matrix(self) -> FloatArray:
        """θ of every pair as a matrix, shape (nodes, nodes)."""
        return self._matrix(self.edge)

    def _matrix(self, values: FloatArray) -> FloatArray:
        matrix = np.zeros((len(self.presence), len(self.presence)))
        matrix[self.support.pairs[:, 0], self.support.pairs[:, 1]] = values
        return matrix


@dataclass
class PairSampler:
    """Parallel chains over the valid graphs of a support."""

    model: PairModel
    chains: Chains
    generators: Sequence[np.random.Generator]

    def joined(self, other: "PairSampler") -> "PairSampler":
        """Return the chains of both, which run faster together."""
        parts = zip(*((own.present, own.edges, own.last) for own in (self.chains, other.chains)), strict=True)
        chains = Chains(*(np.concatenate(part) for part in parts))
        return PairSampler(self.model, chains, [*self.generators, *other.generators])

    def retune(self, model: object) -> None:
        """Continue with other probabilities, of a model of the same kind."""
        assert isinstance(model, PairModel)
        self.model = model

    def sweep(self, penalty: float = 0.0) -> None:
        """Redraw every node of every chain; ``penalty`` is λ of `graphtask.distribution.conditioned`."""
        n, factor = len(self.model.presence), self.model.factor
        with np.errstate(divide="ignore"):
            odds = self.model.presence / (1 - self.model.presence)
        uniforms = np.stack([rng.random((n, n + 3 + factor.is_active)) for rng in self.generators])
        self.chains.sweep(self.model.edge_matrix[None], uniforms, Target(odds, penalty, factor))

    def violations(self, penalty: float) -> IntArray:
        """Advance the chains by a sweep at λ, and return the violations of every chain."""
        self.sweep(penalty)
        return self.chains.n_violations

    @property
    def counts(self) -> IntArray:
        """Nodes and edges of every chain, shape (chains, 2)."""
        return np.stack([self.chains.n_nodes, self.chains.n_edges], axis=1)

    @property
    def expected_edges(self) -> FloatArray:
        """Σ θ over the pairs of present nodes of every chain, shape (chains,)."""
        present = self.chains.present.astype(np.float64)
        return np.asarray(((present @ self.model.edge_matrix) * present).sum(axis=1))

    def graphs(self) -> list[igraph.Graph]:
        """Return the states as graphs."""
        return [
            self.model.graph(present, edges)
            for present, edges in zip(self.chains.present, self.chains.edges, strict=True)
        ]


def count_pairs(members: Sequence[Membership], support: Support) -> PairCounts:
    """Count nodes, pairs of nodes, and edges."""
    n = len(members)
    edges = np.bincount(np.concatenate([member.edges for member in members]), minlength=len(support.pairs))
    present = np.stack([member.present for member in members]).astype(np.float64)
    in_graphs = present.sum(axis=0).astype(np.int64)
    # Integers below 2^53 are exact in floats, whose product is far faster.
    both = (present.T @ present)[support.pairs[:, 0], support.pairs[:, 1]]
    return PairCounts(n, in_graphs, both.astype(np.int64), edges)


def fit_pair_model(support: Support, counts: PairCounts, *, strength: float | None = None) -> PairModel:
    """Fit the model to counts; the module docstring has the shrinkage.

    Args:
        support: Possible nodes and edges.
        counts: Observed counts in it.
        strength: Weight of the rates of stages and classes, in graphs; None estimates it.
    """
    rates = _distance_rates(support, counts)
    class_rate = rates.at(*_roles(support), support.distance)
    # One strength for all: a handful of graphs determines how much pairs differ, but hardly for each group.
    one = np.zeros(len(class_rate), dtype=np.int64)
    edge = shrunk_rates(
        counts.edges, counts.together, mean=class_rate, group=one, n_groups=1, strength=strength
    ).rate
    presence = _presence(support, counts, strength=strength)
    return PairModel(support, presence, edge, counts, class_rate)


def _presence(support: Support, counts: PairCounts, *, strength: float | None) -> FloatArray:
    presence = np.ones(len(support.names))
    k, stage = counts.nodes[1:-1], support.stage[1:-1]
    n_stages = int(support.stage.max()) + 1
    trials = np.full(len(k), counts.n_graphs)
    mean = pooled_rates(k, trials, stage, n_groups=n_stages)[stage]
    one = np.zeros_like(stage)
    presence[1:-1] = shrunk_rates(k, trials, mean=mean, group=one, n_groups=1, strength=strength).rate
    return presence


def _distance_rates(support: Support, counts: PairCounts) -> DistanceRates:
    source, target = _roles(support)
    classes = distance_class(support.distance)
    n_roles = int(support.stage.max()) + 3
    shape = (n_roles, n_roles, int(classes.max()) + 1)
    cell = np.ravel_multi_index((source, target, classes), shape)
    k, n = (
        np.bincount(cell, weights=values, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)
        for values in (counts.edges, counts.together)
    )
    return fit_distance_rates(k, n)


def _roles(support: Support) -> tuple[IntArray, IntArray]:
    """Return the roles of source and target of every pair."""
    role = roles(support.stage, n_stages=int(support.stage.max()) + 1)
    return role[support.pairs[:, 0]], role[support.pairs[:, 1]]
