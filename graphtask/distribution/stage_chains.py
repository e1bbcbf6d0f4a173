"""Parallel Markov chains over ordered graphs of all sizes, for the model without corresponding nodes.

A sweep proposes to add nodes to every graph or to remove nodes from it, one by one, redraws the edges of every node, and, if input
and output may be in several stages, proposes other ones (Metropolis-Hastings). The edges of a node that is added come
from their conditional distribution, so the acceptance depends on the sizes and on the distances that change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.conditioned import Chains, Target, node_edges
from graphtask.graph import NAME, STAGE
from graphtask.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from graphtask.distribution.stage_model import StageModel

N_RESIZES = 8  # proposals to add or to remove a node in one sweep

_NO_STAGE = -1


class States(NamedTuple):
    """Ordered graphs, padded to one size."""

    stage: IntArray
    """−1 behind the last node, shape (chains, places)."""
    edges: BoolArray
    """Shape (chains, places, places)."""
    n_nodes: IntArray
    """Shape (chains,)."""

    @property
    def present(self) -> BoolArray:
        """Places that hold a node, shape (chains, places)."""
        return np.asarray(np.arange(self.stage.shape[1]) < self.n_nodes[:, None])

    def where(self, chosen: BoolArray, other: "States") -> "States":
        """Return these states where ``chosen``, and the other ones elsewhere."""
        return States(
            np.where(chosen[:, None], self.stage, other.stage),
            np.where(chosen[:, None, None], self.edges, other.edges),
            np.where(chosen, self.n_nodes, other.n_nodes),
        )


class _Proposal(NamedTuple):
    """Node to be added or removed, in every chain."""

    stage: IntArray
    at: IntArray
    adds: BoolArray
    possible: BoolArray
    least: IntArray
    """Nodes of the stage without it."""


@dataclass
class StageSampler:
    """Parallel chains over the valid ordered graphs of a model.

    Args:
        model: Model before conditioning.
        states: Where the chains are.
        generators: One for each chain.
    """

    model: "StageModel"
    states: States
    generators: Sequence[np.random.Generator]

    def __post_init__(self) -> None:
        self.retune(self.model)

    def joined(self, other: "StageSampler") -> "StageSampler":
        """Return the chains of both, which run faster together."""
        places = max(own.states.stage.shape[1] for own in (self, other))
        parts = zip(*(_widened(own.states, places) for own in (self, other)), strict=True)
        states = States(*(np.concatenate(part) for part in parts))
        return StageSampler(self.model, states, [*self.generators, *other.generators])

    def retune(self, model: object) -> None:
        """Continue with other probabilities, of a model of the same kind."""
        from graphtask.distribution.stage_model import StageModel

        assert isinstance(model, StageModel)
        self.model = model
        n_roles, _, n_classes = model.rates.rate.shape
        # One more role and class, of probability 0, for what is no pair of nodes.
        self._rates = np.zeros((n_roles + 1, n_roles + 1, n_classes + 1))
        self._rates[:-1, :-1, :-1] = model.rates.rate
        longest = max(len(sizes.log_probabilities) for sizes in model.sizes)
        self._log_sizes = np.full((len(model.sizes), longest + 1), -np.inf)
        for own, sizes in enumerate(model.sizes):
            self._log_sizes[own, : len(sizes.log_probabilities)] = sizes.log_probabilities

    def sweep(self, penalty: float = 0.0) -> None:
        """Advance every chain by one sweep; ``penalty`` is λ of `graphtask.distribution.conditioned`."""
        for _ in range(N_RESIZES):
            self._resize(penalty)
        if len(self.model.ends) > 1:
            self._move_ends()
        self._redraw_edges(penalty)

    def violations(self, penalty: float) -> IntArray:
        """Advance the chains by a sweep at λ, and return the violations of every chain."""
        self.sweep(penalty)
        return self._as_chains().n_violations

    @property
    def counts(self) -> IntArray:
        """Nodes and edges of every chain, shape (chains, 2)."""
        return np.stack([self.states.n_nodes, self.states.edges.sum(axis=(1, 2))], axis=1)

    def graphs(self) -> list[igraph.Graph]:
        """Return the states as graphs."""
        stage, edges, sizes = self.states
        return [as_graph(stage[chain, :n], edges[chain, :n, :n]) for chain, n in enumerate(sizes.tolist())]

    def probabilities(self, states: States) -> FloatArray:
        """Return θ of every pair of places, shape (chains, places, places)."""
        from graphtask.distribution.distances import distance_class

        n_stages, places = len(self.model.sizes), np.arange(states.stage.shape[1])
        role = np.where(states.present, states.stage, n_stages + 2)
        role[:, 0] = n_stages
        np.put_along_axis(role, states.n_nodes[:, None] - 1, n_stages + 1, axis=1)
        distance = places - places[:, None]
        most = self._rates.shape[2] - 2
        classes = np.where(distance > 0, np.minimum(distance_class(np.maximum(distance, 1)), most), most + 1)
        return np.asarray(self._rates[role[:, :, None], role[:, None, :], classes])

    def _as_chains(self) -> Chains:
        return Chains(self.states.present, self.states.edges.copy(), self.states.n_nodes - 1)

    def _redraw_edges(self, penalty: float) -> None:
        n, most = self.states.stage.shape
        factor = self.model.factor
        further = 3 + factor.is_active
        uniforms = np.ones(
            (n, most, most + further)
        )  # a node that is absent changes nothing, so it is never accepted
        for chain, (size, rng) in enumerate(zip(self.states.n_nodes.tolist(), self.generators, strict=True)):
            own = rng.random((size, size + further))
            uniforms[chain, :size, :size], uniforms[chain, :size, most:] = own[:, :size], own[:, size:]
        chains = self._as_chains()
        chains.sweep(self.probabilities(self.states), uniforms, Target(penalty=penalty, factor=factor))
        self.states = self.states._replace(edges=chains.edges)

    def _resize(self, penalty: float) -> None:
        """Propose to add a node to a stage, or to remove one from it."""
        self.states = _padded(self.states)
        numbers = np.stack([rng.random(6) for rng in self.generators])
        proposal = self._proposal(numbers[:, :3])
        small, large = _without_node(self.states, proposal), _with_node(self.states, proposal)
        uniforms = np.zeros(self.states.stage.shape)
        for chain, (size, rng) in enumerate(zip(small.n_nodes.tolist(), self.generators, strict=True)):
            uniforms[chain, : size + 1] = rng.random(size + 1)
        weight, drawn = self._weight(small, large, proposal.at, uniforms, numbers[:, 4:], penalty)
        own, least = proposal.stage, np.minimum(proposal.least, self._log_sizes.shape[1] - 2)
        with np.errstate(invalid="ignore"):
            weight = weight + self._log_sizes[own, least + 1] - self._log_sizes[own, least]
            if self.model.factor.is_active:
                edges = np.where(proposal.adds[:, None, None], drawn, self.states.edges)
                weight = weight + self._log_factor(large._replace(edges=edges)) - self._log_factor(small)
            accepted = np.log(numbers[:, 3]) < np.where(proposal.adds, weight, -weight)
        accepted &= proposal.possible
        larger = large._replace(edges=drawn)
        self.states = larger.where(
            accepted & proposal.adds, small.where(accepted & ~proposal.adds, self.states)
        )

    def _log_factor(self, states: States) -> FloatArray:
        return self.model.factor.log(states.n_nodes, states.edges.sum(axis=(1, 2)))

    @property
    def expected_edges(self) -> FloatArray:
        """Σ θ over the pairs of nodes of every chain, shape (chains,)."""
        return np.asarray(self.probabilities(self.states).sum(axis=(1, 2)))

    def _proposal(self, numbers: FloatArray) -> _Proposal:
        stage, present, n = self.states.stage, self.states.present, self.states.n_nodes
        chains = np.arange(len(stage))
        first, last = stage[:, 0], stage[chains, n - 1]
        own = first + (numbers[:, 0] * (last - first + 1)).astype(np.int64)
        inner = present.copy()
        inner[:, 0] = False
        inner[chains, n - 1] = False
        count = (inner & (stage == own[:, None])).sum(axis=1)
        start = 1 + (inner & (stage < own[:, None])).sum(axis=1)
        adds = numbers[:, 1] < 0.5
        at = start + (numbers[:, 2] * (count + adds)).astype(np.int64)
        return _Proposal(own, at, adds, adds | (count > 0), count - ~adds)

    def _weight(
        self,
        small: States,
        large: States,
        at: IntArray,
        uniforms: FloatArray,
        firsts: FloatArray,
        penalty: float,
    ) -> tuple[FloatArray, BoolArray]:
        """Return ln of the factor by which a node changes P, summed over its edges, and the edges with it.

        Args:
            small: Graphs without the node.
            large: Graphs with it, still without edges.
            at: Its place.
            uniforms: For its edges, shape (chains, places).
            firsts: For the first edge in either direction, shape (chains, 2).
            penalty: λ.
        """
        chains, places = np.arange(len(at)), np.arange(large.stage.shape[1])
        probability = self.probabilities(large)
        p_in, p_out = probability[chains, :, at], probability[chains, at]
        probability[chains, at] = 0.0
        probability[chains, :, at] = 0.0
        moved = _log_edges(large.edges, probability) - _log_edges(small.edges, self.probabilities(small))
        others = large.present & (places != at[:, None])
        needs_in = others & ~large.edges.any(axis=2) & (places < at[:, None])
        needs_out = others & ~large.edges.any(axis=1) & (places > at[:, None])
        new_in, weight_in = node_edges(p_in, needs_in, np.asarray(False), uniforms, firsts[:, 0], penalty)
        new_out, weight_out = node_edges(p_out, needs_out, np.asarray(False), uniforms, firsts[:, 1], penalty)
        n_needs = needs_in.sum(axis=1) + needs_out.sum(axis=1)
        with np.errstate(divide="ignore"):
            log_weight = np.log(weight_in * weight_out) + moved
            if penalty > 0:
                log_weight = log_weight - n_needs * np.log(penalty)
            else:  # the graph without the node is not valid, so that the node is never removed
                log_weight = np.where(n_needs > 0, np.inf, log_weight)
        drawn = large.edges.copy()
        drawn[chains, :, at] = new_in
        drawn[chains, at] = new_out
        return log_weight, drawn

    def _move_ends(self) -> None:
        """Propose other stages of input and output; the edges keep their probabilities."""
        model, states = self.model, self.states
        for chain, rng in enumerate(self.generators):
            kind, accept = int(rng.integers(len(model.ends))), rng.random()
            stage = states.stage[chain, : states.n_nodes[chain]]
            moved = stage.copy()
            moved[[0, -1]] = model.ends[kind]
            if bool((np.diff(moved) < 0).any()):
                continue
            ratio = model.log_prob_of_sizes(moved) - model.log_prob_of_sizes(stage)
            if np.log(accept) < ratio:
                states.stage[chain, : len(moved)] = moved


def as_graph(stage: IntArray, edges: BoolArray) -> igraph.Graph:
    """Return an ordered graph as an igraph graph with nodes v0, v1 and so on."""
    graph = igraph.Graph(n=len(stage), edges=np.argwhere(edges).tolist(), directed=True)
    graph.vs[NAME] = [f"v{node}" for node in range(len(stage))]
    graph.vs[STAGE] = stage.tolist()
    return graph


def _log_edges(edges: BoolArray, probability: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.where(edges, probability, 1 - probability)).sum(axis=(1, 2)))


def _padded(states: States) -> States:
    """Return the states with exactly one place more than the largest graph needs."""
    return _widened(states, int(states.n_nodes.max()) + 1)


def _widened(states: States, places: int) -> States:
    """Return the states with so many places."""
    n, now = states.stage.shape
    if places <= now:
        return States(states.stage[:, :places], states.edges[:, :places, :places], states.n_nodes)
    stage = np.full((n, places), _NO_STAGE)
    stage[:, :now] = states.stage
    edges = np.zeros((n, places, places), dtype=np.bool_)
    edges[:, :now, :now] = states.edges
    return States(stage, edges, states.n_nodes)


def _taken(states: States, index: IntArray, n_nodes: IntArray) -> States:
    """Return the states with their places taken from others, nothing where the index is −1."""
    chains, exists = np.arange(len(index)), index >= 0
    inside = exists[:, :, None] & exists[:, None, :]
    edges = states.edges[chains[:, None, None], index[:, :, None], index[:, None, :]] & inside
    stage = np.where(exists, np.take_along_axis(states.stage, np.maximum(index, 0), axis=1), _NO_STAGE)
    return States(stage, edges, n_nodes)


def _without_node(states: States, proposal: _Proposal) -> States:
    places = np.arange(states.stage.shape[1])
    removes = (~proposal.adds & proposal.possible)[:, None]
    index = np.where(removes & (places >= proposal.at[:, None]), places + 1, places)
    index = np.where(index < len(places), index, -1)
    return _taken(states, index, states.n_nodes - removes[:, 0])


def _with_node(states: States, proposal: _Proposal) -> States:
    """Return the graphs with the node, and without its edges."""
    places = np.arange(states.stage.shape[1])
    adds, at = proposal.adds[:, None], proposal.at[:, None]
    index = np.where(adds & (places > at), places - 1, places)
    index = np.where((places == at) & (adds | proposal.possible[:, None]), -1, index)
    taken = _taken(states, index, states.n_nodes + adds[:, 0])
    stage = np.where(places == at, proposal.stage[:, None], taken.stage)
    return taken._replace(stage=np.where(taken.present, stage, _NO_STAGE))
