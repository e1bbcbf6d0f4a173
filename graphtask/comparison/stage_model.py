"""Where nodes do not correspond: how many nodes each stage has, and which edges lie between them.

The sizes n_s of the stages are independent (`graphtask.comparison.sizes`). Given them, the nodes stand in topological
order, and an edge from a node of stage a to one of stage b, d places further, exists with probability θ_ab(d)
(`graphtask.comparison.distance_law`), all independent:

    ln P(n, E) = Σ_s ln P_s(n_s)  +  Σ_{i<j} ln θ or ln(1 − θ)

The order of the nodes is that of `graphtask.graph.node_order`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.comparison.distance_law import CLASS_STARTS, DistanceLaw, distance_class, fit_distance_law
from graphtask.comparison.shrinkage import FloatArray
from graphtask.comparison.sizes import SizeLaw
from graphtask.comparison.skeleton import Skeleton, bernoulli_entropy
from graphtask.errors import GraphError
from graphtask.graph import STAGE, IntArray, edge_array, node_order, stages

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

    sizes: IntArray
    """Nodes per stage of every graph, shape (graphs, stages)."""
    edges: IntArray
    """Edges by stages and class of distance, shape (stages, stages, classes)."""
    pairs: IntArray
    """Pairs of nodes, same shape."""


@dataclass(frozen=True, eq=False)
class StageModel:
    """A distribution over graphs of any size with a fixed number of stages.

    Args:
        sizes: The law of the number of nodes of every stage.
        law: The probability of an edge by stages and distance.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(20, seed=seed) for seed in range(5)]
        >>> model = fit_stage_model(count_stages([staged(graph) for graph in graphs]))
        >>> round(model.expected_nodes, 3)
        20.0
    """

    sizes: tuple[SizeLaw, ...]
    law: DistanceLaw

    def log_prob(self, graph: igraph.Graph) -> tuple[float, str]:
        """The ln P of the graph's sizes and edges, and if that is −inf, why."""
        return self.log_prob_at(staged(graph))

    def log_prob_at(self, graph: Staged) -> tuple[float, str]:
        """The ln P of sizes and edges, and if that is −inf, why."""
        n_stages = len(self.sizes)
        if graph.stage.max(initial=0) >= n_stages:
            return (
                -np.inf,
                f"the graph has a stage {graph.stage.max()}; the last one that is possible is {n_stages - 1}",
            )
        counts = np.bincount(graph.stage, minlength=n_stages).tolist()
        in_sizes = [law.log_probability(count) for law, count in zip(self.sizes, counts, strict=True)]
        for stage, (law, count) in enumerate(zip(self.sizes, counts, strict=True)):
            if count < law.least:
                return -np.inf, f"stage {stage} has {count} nodes, and at least {law.least} are possible"
        probability = self.probabilities(graph.stage)
        has = np.zeros(probability.shape, dtype=np.bool_)
        has[graph.edges[:, 0], graph.edges[:, 1]] = True
        pairs = np.triu_indices(len(graph.stage), 1)
        with np.errstate(divide="ignore"):
            terms = np.where(has[pairs], np.log(probability[pairs]), np.log1p(-probability[pairs]))
        impossible = np.flatnonzero(np.isneginf(terms))
        reason = ""
        if len(impossible):
            source, target = (int(ends[impossible[0]]) for ends in pairs)
            certain = "no" if has[source, target] else "every"
            reason = (
                f"{certain} pair of stages {graph.stage[source]} and {graph.stage[target]}, {target - source} places "
                f"apart, has an edge, and nothing was shrunk"
            )
        return float(sum(in_sizes) + terms.sum()), reason

    def probabilities(self, stage: IntArray) -> FloatArray:
        """θ of every pair of nodes in these stages, 0 on and below the diagonal, shape (nodes, nodes)."""
        nodes = np.arange(len(stage))
        distance = nodes - nodes[:, None]
        values = self.law.at(stage[:, None], stage, np.maximum(distance, 1))
        return np.asarray(np.where(distance > 0, values, 0.0))

    @property
    def expected_nodes(self) -> float:
        """Σ of the expected sizes."""
        return sum(law.mean for law in self.sizes)

    @property
    def expected_edges(self) -> float:
        """Σ of θ over the expected number of pairs at every distance; exact."""
        return sum(float(rates @ pairs) for rates, pairs in self._rates_and_pairs())

    @property
    def entropy(self) -> float:
        """Σ_s H(n_s) + Σ_ab Σ_d E[pairs at distance d]·h(θ_ab(d)); exact but for sizes of probability below 1e-18."""
        in_edges = sum(float(bernoulli_entropy(rates) @ pairs) for rates, pairs in self._rates_and_pairs())
        return sum(law.entropy for law in self.sizes) + in_edges

    def _rates_and_pairs(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """For every two stages θ at the distances 1, 2 …, and the expected number of pairs there."""
        for first in range(len(self.sizes)):
            for second in range(first, len(self.sizes)):
                pairs = self._expected_pairs(first, second)
                distance = np.arange(1, len(pairs) + 1)
                ends = np.full_like(distance, first), np.full_like(distance, second)
                yield self.law.at(*ends, distance), pairs

    def _expected_pairs(self, first: int, second: int) -> FloatArray:
        """The expected number of pairs of nodes at the distances 1, 2 … between two stages.

        With i nodes behind the source in its stage, j nodes before the target in its, and m between the stages, the
        distance is i + j + m + 1. There is a source with i nodes behind it with probability P(n > i), and so on.
        """
        survivals = [_survival(law) for law in self.sizes]
        if first == second:
            return np.asarray(np.cumsum(survivals[first][:0:-1])[::-1])
        pairs = np.convolve(survivals[first], survivals[second])
        for law in self.sizes[first + 1 : second]:
            pairs = np.convolve(pairs, np.concatenate([np.zeros(law.least), law.probability]))
        return np.asarray(pairs)

    def table(self) -> "pd.DataFrame":
        """One row for each two stages and class of distance that occurred."""
        import pandas as pd

        first, second, place = np.nonzero(self.law.pairs)
        return pd.DataFrame(
            {
                "source_stage": first,
                "target_stage": second,
                "shortest": CLASS_STARTS[place],
                "longest": CLASS_STARTS[place + 1] - 1,
                "pairs": self.law.pairs[first, second, place],
                "edges": self.law.edges[first, second, place],
                "probability": self.law.rate[first, second, place],
            }
        )

    def mean_skeleton(self) -> Skeleton:
        """As many nodes in every stage as are expected, rounded, with the probabilities of the edges."""
        counts = [max(round(law.mean), law.least) for law in self.sizes]
        return self._skeleton(np.repeat(np.arange(len(counts)), counts), may_shrink=True)

    def draw(self, rng: np.random.Generator) -> Skeleton:
        """Stages of random size, with the probabilities of edges between their nodes."""
        counts = [law.draw(rng) for law in self.sizes]
        return self._skeleton(np.repeat(np.arange(len(counts)), counts), may_shrink=False)

    def _skeleton(self, stage: IntArray, *, may_shrink: bool) -> Skeleton:
        key = tuple(np.bincount(stage).tolist())
        if key not in self._known:
            self._known[key] = self.probabilities(stage)
        return Skeleton([f"v{node}" for node in range(len(stage))], stage, self._known[key], may_shrink)

    @cached_property
    def _known(self) -> dict[tuple[int, ...], FloatArray]:
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
        raise GraphError("the stage falls along an edge; graphtask.check says along which")
    return Staged(stage, position[edge_array(graph)])


def count_stages(graphs: Sequence[Staged]) -> StageCounts:
    """The sizes of the stages, and the pairs and edges by stages and class of distance."""
    n_stages = max(int(graph.stage.max()) for graph in graphs) + 1
    longest = max(len(graph.stage) for graph in graphs) - 1
    shape = (n_stages, n_stages, int(distance_class(np.asarray([max(longest, 1)]))[0]) + 1)
    edges, pairs = np.zeros((2, *shape), dtype=np.int64)
    alike: dict[tuple[int, ...], list[Staged]] = {}
    for graph in graphs:
        alike.setdefault(tuple(graph.stage.tolist()), []).append(graph)
    for members in alike.values():
        stage = members[0].stage
        every = np.stack(np.triu_indices(len(stage), 1), axis=1)
        pairs += len(members) * _by_cell(stage, every, shape)
        edges += _by_cell(stage, np.concatenate([member.edges for member in members]), shape)
    sizes = np.stack([np.bincount(graph.stage, minlength=n_stages) for graph in graphs])
    return StageCounts(sizes, edges, pairs)


def fit_stage_model(counts: StageCounts, *, strength: float | None = None) -> StageModel:
    """The model of counts.

    Args:
        counts: What was observed.
        strength: Pairs that the rate of two stages is worth for each class of distance; None estimates it.
    """
    single = counts.sizes.shape[1] == 1
    least = np.minimum(counts.sizes.min(axis=0), 2 if single else 1)
    laws = tuple(
        SizeLaw.fit(column, least=int(low)) for column, low in zip(counts.sizes.T, least, strict=True)
    )
    return StageModel(laws, fit_distance_law(counts.edges, counts.pairs, strength=strength))


def _by_cell(stage: IntArray, pairs: IntArray, shape: tuple[int, ...]) -> IntArray:
    source, target = pairs.T
    cell = np.ravel_multi_index((stage[source], stage[target], distance_class(target - source)), shape)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)


def _survival(law: SizeLaw) -> FloatArray:
    """The probabilities P(n > 0), P(n > 1), and so on."""
    everywhere = np.concatenate([np.zeros(law.least), law.probability])
    return np.asarray(np.cumsum(everywhere[::-1])[::-1][1:])
