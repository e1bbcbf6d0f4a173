"""Where nodes do not correspond: how many nodes each stage has, and which edges lie between them.

Every graph has an input and an output, whose stages (u, v) come with the frequency with which they occurred. Each of
the stages from u to v has, besides these two, a random number n_s of nodes; the sizes are independent
(`graphtask.distribution.sizes`). Given them, the nodes stand in topological order, and an edge from a node of stage a to
one of stage b, d places further, exists with probability θ_ab(d), where input and output are stages of their own
(`graphtask.distribution.distances`); all independent:

    ln P(u, v, n, E) = ln P(u, v)  +  Σ_s ln P_s(n_s)  +  Σ_{i<j} ln θ or ln(1 − θ)

The order of the nodes is that of `graphtask.graph.node_order`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.distances import (
    CLASS_STARTS,
    DistanceLaw,
    distance_class,
    fit_distance_law,
    role_names,
    roles,
)
from graphtask.distribution.edge_probabilities import Skeleton, bernoulli_entropy
from graphtask.distribution.sizes import SizeLaw
from graphtask.errors import GraphError
from graphtask.graph import STAGE, edge_array, node_order, stages
from graphtask.types import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd


class Staged(NamedTuple):
    """What this model sees of a graph."""

    stage: IntArray
    """Of its nodes in topological order, shape (nodes,)."""
    edges: IntArray
    """Positions of source and target, shape (edges, 2)."""


class StageCounts(NamedTuple):
    """What was observed."""

    ends: IntArray
    """The stages of input and output of every graph, shape (graphs, 2)."""
    sizes: IntArray
    """Nodes per stage of every graph, without these two, shape (graphs, stages)."""
    edges: IntArray
    """Edges by roles and class of distance, shape (roles, roles, classes)."""
    pairs: IntArray
    """Pairs of nodes, same shape."""


class _Segment(NamedTuple):
    """Nodes that follow one another and have one role."""

    role: int
    probability: FloatArray
    """Of 0, 1, 2 … of them."""

    @property
    def survival(self) -> FloatArray:
        """The probabilities that there are more than 0, more than 1, and so on."""
        return np.asarray(np.cumsum(self.probability[::-1])[::-1][1:])


@dataclass(frozen=True, eq=False)
class StageModel:
    """A distribution over graphs of any size with a fixed number of stages.

    Args:
        ends: Stages of input and output that occurred, shape (kinds, 2).
        times: How often each did, shape (kinds,).
        sizes: The law of the number of other nodes of every stage; each with 0 as its least.
        law: The probability of an edge by roles and distance.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(20, seed=seed) for seed in range(5)]
        >>> model = fit_stage_model(count_stages([staged(graph) for graph in graphs]))
        >>> round(model.expected_nodes, 3)
        20.0
    """

    ends: IntArray
    times: IntArray
    sizes: tuple[SizeLaw, ...]
    law: DistanceLaw

    def log_prob(self, graph: igraph.Graph) -> tuple[float, str]:
        """The ln P of the graph's sizes and edges, and if that is −inf, why."""
        return self.log_prob_at(staged(graph))

    def log_prob_at(self, graph: Staged) -> tuple[float, str]:
        """The ln P of sizes and edges, and if that is −inf, why."""
        if len(graph.stage) < 2:
            return -np.inf, "the graph has fewer than two nodes"
        first, last = int(graph.stage[0]), int(graph.stage[-1])
        kind = np.flatnonzero((self.ends == [first, last]).all(axis=1))
        if len(kind) == 0:
            return -np.inf, f"no graph has its input in stage {first} and its output in stage {last}"
        counts = np.bincount(graph.stage[1:-1], minlength=len(self.sizes))[first : last + 1].tolist()
        laws = self.sizes[first : last + 1]
        in_sizes = sum(law.log_probability(count) for law, count in zip(laws, counts, strict=True))
        probability = self.probabilities(graph.stage)
        has = np.zeros(probability.shape, dtype=np.bool_)
        has[graph.edges[:, 0], graph.edges[:, 1]] = True
        pairs = np.triu_indices(len(graph.stage), 1)
        with np.errstate(divide="ignore"):
            terms = np.where(has[pairs], np.log(probability[pairs]), np.log1p(-probability[pairs]))
        reason = ""
        impossible = np.flatnonzero(np.isneginf(terms))
        if len(impossible):
            source, target = (int(ends[impossible[0]]) for ends in pairs)
            reason = self._obstacle(graph.stage, source, target, has=bool(has[source, target]))
        in_ends = np.log(self.times[kind[0]] / self.times.sum())
        return float(in_ends + in_sizes + terms.sum()), reason

    def _obstacle(self, stage: IntArray, source: int, target: int, *, has: bool) -> str:
        role = roles(stage, n_stages=len(self.sizes))
        known = role_names(len(self.sizes))
        return (
            f"{'no' if has else 'every'} pair of {known[role[source]]} and {known[role[target]]}, {target - source} "
            f"places apart, has an edge, and nothing was shrunk"
        )

    def probabilities(self, stage: IntArray) -> FloatArray:
        """θ of every pair of nodes in these stages, 0 on and below the diagonal, shape (nodes, nodes)."""
        role = roles(stage, n_stages=len(self.sizes))
        nodes = np.arange(len(stage))
        distance = nodes - nodes[:, None]
        values = self.law.at(role[:, None], role, np.maximum(distance, 1))
        return np.asarray(np.where(distance > 0, values, 0.0))

    @property
    def expected_nodes(self) -> float:
        """Two, and the expected sizes of the stages from that of the input to that of the output."""
        within = [sum(law.mean for law in self.sizes[first : last + 1]) for first, last in self.ends]
        return 2 + float(self._shares @ within)

    @property
    def expected_edges(self) -> float:
        """Σ of θ over the expected number of pairs at every distance; exact."""
        return sum(float(rates @ pairs) for rates, pairs in self._rates_and_pairs())

    @property
    def entropy(self) -> float:
        """H(u, v) + Σ_s H(n_s) + Σ_ab Σ_d E[pairs at distance d]·h(θ_ab(d)); exact.

        Only sizes of probability below 1e-18 are left out.
        """
        in_ends = -float(self._shares @ np.log(self._shares))
        in_sizes = [sum(law.entropy for law in self.sizes[first : last + 1]) for first, last in self.ends]
        in_edges = sum(float(bernoulli_entropy(rates) @ pairs) for rates, pairs in self._rates_and_pairs())
        return in_ends + float(self._shares @ in_sizes) + in_edges

    @property
    def _shares(self) -> FloatArray:
        return np.asarray(self.times / self.times.sum())

    def _rates_and_pairs(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """For every two roles θ at the distances 1, 2 …, and the expected number of pairs there."""
        for share, (first, last) in zip(self._shares, self.ends.tolist(), strict=True):
            segments = self._segments(first, last)
            for i in range(len(segments)):
                for j in range(i, len(segments)):
                    pairs = share * _expected_pairs(segments[i : j + 1])
                    distance = np.arange(1, len(pairs) + 1)
                    ends = np.full_like(distance, segments[i].role), np.full_like(distance, segments[j].role)
                    yield self.law.at(*ends, distance), pairs

    def _segments(self, first: int, last: int) -> list[_Segment]:
        one = np.array([0.0, 1.0])
        n_stages = len(self.sizes)
        inner = [_Segment(stage, self.sizes[stage].probability) for stage in range(first, last + 1)]
        return [_Segment(n_stages, one), *inner, _Segment(n_stages + 1, one)]

    def table(self) -> "pd.DataFrame":
        """One row for each two roles and class of distance that occurred."""
        import pandas as pd

        first, second, place = np.nonzero(self.law.pairs)
        known = np.asarray(role_names(len(self.sizes)), dtype=object)
        return pd.DataFrame(
            {
                "source_group": known[first],
                "target_group": known[second],
                "shortest": CLASS_STARTS[place],
                "longest": CLASS_STARTS[place + 1] - 1,
                "pairs": self.law.pairs[first, second, place],
                "edges": self.law.edges[first, second, place],
                "probability": self.law.rate[first, second, place],
            }
        )

    def mean_skeleton(self) -> Skeleton:
        """As many nodes in every stage as are expected, rounded, with the probabilities of the edges."""
        first, last = self.ends[int(np.argmax(self.times))].tolist()
        counts = [round(law.mean) for law in self.sizes[first : last + 1]]
        return self._skeleton(first, last, counts, may_shrink=True)

    def draw(self, rng: np.random.Generator) -> Skeleton:
        """Stages of random size, with the probabilities of edges between their nodes."""
        kind = int(np.searchsorted(np.cumsum(self._shares), rng.random()))
        first, last = self.ends[min(kind, len(self.ends) - 1)].tolist()
        counts = [law.draw(rng) for law in self.sizes[first : last + 1]]
        return self._skeleton(first, last, counts, may_shrink=False)

    def _skeleton(self, first: int, last: int, counts: list[int], *, may_shrink: bool) -> Skeleton:
        key = (first, last, *counts)
        if key not in self._known:
            inner = np.repeat(np.arange(first, last + 1), counts)
            stage = np.concatenate([[first], inner, [last]])
            self._known[key] = stage, self.probabilities(stage)
        stage, probability = self._known[key]
        return Skeleton([f"v{node}" for node in range(len(stage))], stage, probability, may_shrink)

    @cached_property
    def _known(self) -> dict[tuple[int, ...], tuple[IntArray, FloatArray]]:
        return {}


def staged(graph: igraph.Graph) -> Staged:
    """The stages of the nodes in topological order, and the edges between their positions.

    Raises:
        GraphError: The vertices have no stages, the stage falls along an edge, or the graph has a cycle.
    """
    if STAGE not in graph.vs.attributes():
        raise GraphError("the vertices need a `stage`; make the graph valid with graphtask.architecture")
    order = node_order(graph)
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    stage = stages(graph)[order]
    if bool((np.diff(stage) < 0).any()):
        raise GraphError("the stage falls along an edge; graphtask.check_graph says along which")
    return Staged(stage, position[edge_array(graph)])


def count_stages(graphs: Sequence[Staged]) -> StageCounts:
    """The sizes of the stages, and the pairs and edges by roles and class of distance."""
    n_stages = max(int(graph.stage.max()) for graph in graphs) + 1
    longest = max(len(graph.stage) for graph in graphs) - 1
    shape = (n_stages + 2, n_stages + 2, int(distance_class(np.asarray([longest]))[0]) + 1)
    edges, pairs = np.zeros((2, *shape), dtype=np.int64)
    alike: dict[tuple[int, ...], list[Staged]] = {}
    for graph in graphs:
        alike.setdefault(tuple(graph.stage.tolist()), []).append(graph)
    for members in alike.values():
        role = roles(members[0].stage, n_stages=n_stages)
        every = np.stack(np.triu_indices(len(role), 1), axis=1)
        pairs += len(members) * _by_cell(role, every, shape)
        edges += _by_cell(role, np.concatenate([member.edges for member in members]), shape)
    ends = np.stack([graph.stage[[0, -1]] for graph in graphs])
    sizes = np.stack([np.bincount(graph.stage[1:-1], minlength=n_stages) for graph in graphs])
    return StageCounts(ends, sizes, edges, pairs)


def fit_stage_model(counts: StageCounts, *, strength: float | None = None) -> StageModel:
    """The model of counts.

    Args:
        counts: What was observed.
        strength: Pairs that the rate of two roles is worth for each class of distance; None estimates it.
    """
    ends, times = np.unique(counts.ends, axis=0, return_counts=True)
    laws = []
    for stage, column in enumerate(counts.sizes.T):
        within = (counts.ends[:, 0] <= stage) & (stage <= counts.ends[:, 1])
        # A stage that no graph reaches is never asked for; its law only keeps the place.
        laws.append(SizeLaw.fit(column[within] if within.any() else column[:1], least=0))
    return StageModel(
        ends, times, tuple(laws), fit_distance_law(counts.edges, counts.pairs, strength=strength)
    )


def _by_cell(role: IntArray, pairs: IntArray, shape: tuple[int, ...]) -> IntArray:
    source, target = pairs.T
    cell = np.ravel_multi_index((role[source], role[target], distance_class(target - source)), shape)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)


def _expected_pairs(segments: Sequence[_Segment]) -> FloatArray:
    """The expected number of pairs at the distances 1, 2 … from a node of the first segment to one of the last.

    With i nodes behind the source in its segment, j nodes before the target in its, and m between the segments, the
    distance is i + j + m + 1. There is a source with i nodes behind it with probability P(n > i), and so on.
    """
    if len(segments) == 1:
        return np.asarray(np.cumsum(segments[0].survival[:0:-1])[::-1])
    pairs = np.convolve(segments[0].survival, segments[-1].survival)
    for segment in segments[1:-1]:
        pairs = np.convolve(pairs, segment.probability)
    return np.asarray(pairs)
