"""Model of graphs whose nodes do not correspond: random stage sizes, independent edges by stage and distance.

Every graph has an input and an output, whose stages (u, v) have their observed frequencies. Each of the stages from u
to v has, besides these two, a random number n_s of nodes; the sizes are independent (`graphtask.distribution.sizes`).
Given them, the nodes stand in topological order, and an edge from a node of stage a to one of stage b, d places
further, exists with probability θ_ab(d), where input and output are stages of their own
(`graphtask.distribution.distances`); all independent:

    ln P(u, v, n, E) = ln P(u, v)  +  Σ_s ln P_s(n_s)  +  Σ_{i<j} ln θ or ln(1 − θ)

That is the probability of an ordered graph. Nodes have no identity, so the probability of a graph is the sum over its
different topological orders (`graphtask.distribution.orders`); it does not depend on names or numbering.

The orders of the observed graphs are unknown, too: θ is fitted to sampled orders, which are drawn in proportion to
their probability under the θ of the round before (stochastic expectation-maximization, `N_ROUNDS` rounds).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.conditioned import accepted, is_valid
from graphtask.distribution.distances import (
    CLASS_STARTS,
    DistanceRates,
    distance_class,
    fit_distance_rates,
    role_names,
    roles,
)
from graphtask.distribution.edge_probabilities import EdgeProbabilities, logs, shifted
from graphtask.distribution.normalizer import LogNormalizer
from graphtask.distribution.orders import LogSum, Ordered, log_sum_over_orders, sampled_orders
from graphtask.distribution.size_factor import NO_FACTOR, SizeFactor
from graphtask.distribution.sizes import SizeDistribution
from graphtask.distribution.stage_chains import StageSampler, States, as_graph
from graphtask.errors import DisconnectedError
from graphtask.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

N_ROUNDS = 3  # of stochastic expectation-maximization
N_ORDERS = 16  # sampled for each graph
_TRIES = 5_000  # draws until a model counts as one without valid graphs
_LARGE_SHARE = 0.99  # quantile of the stage sizes at which chains start


class StageCounts(NamedTuple):
    """Observed counts."""

    ends: IntArray
    """Stages of input and output of every graph, shape (graphs, 2)."""
    sizes: IntArray
    """Nodes per stage of every graph, without these two, shape (graphs, stages)."""
    edges: IntArray
    """Edges by roles and class of distance, mean over the sampled orders, shape (roles, roles, classes)."""
    pairs: IntArray
    """Pairs of nodes, same shape."""


class _Segment(NamedTuple):
    """Consecutive nodes of one role."""

    role: int
    probability: FloatArray
    """Probabilities of 0, 1, 2 … of them."""

    @property
    def survival(self) -> FloatArray:
        """Probabilities of more than 0, more than 1 … of them."""
        return np.asarray(np.cumsum(self.probability[::-1])[::-1][1:])


@dataclass(frozen=True, eq=False)
class StageModel:
    """Independent edges between stages of random sizes, before graphs are conditioned on being valid.

    Args:
        ends: Stages of input and output that are possible, shape (kinds, 2).
        times: How often each was observed, shape (kinds,).
        sizes: Distribution of the number of other nodes of every stage; each with 0 as its least.
        rates: Probability of an edge by roles and distance.
        factor: Further factor of the numbers of nodes and edges.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.distribution.orders import canonical
        >>> graphs = [gt.random_dag(20, seed=seed) for seed in range(5)]
        >>> model = fit_stage_model([canonical(graph) for graph in graphs])
        >>> round(model.expected_nodes, 3)
        20.0
    """

    ends: IntArray
    times: IntArray
    sizes: tuple[SizeDistribution, ...]
    rates: DistanceRates
    factor: SizeFactor = NO_FACTOR

    def log_prob(self, graph: Ordered) -> tuple[LogSum, str]:
        """Return ln P of the graph summed over its topological orders, and if that is −inf, the reason."""
        nothing = LogSum(-np.inf, 0.0)
        in_sizes = self.log_prob_of_sizes(graph.stage)
        if np.isneginf(in_sizes):
            first, last = graph.stage[[0, -1]].tolist()
            return nothing, f"no graph has its input in stage {first} and its output in stage {last}"
        found = log_sum_over_orders(graph, self.probabilities(graph.stage))
        if not np.isfinite(found.value) or found.value < -1e5:
            return (
                nothing,
                "every order has an edge with probability 0 or lacks one with probability 1, and nothing was shrunk",
            )
        in_sizes += float(self.factor.log(len(graph.stage), len(graph.edges)))
        return LogSum(in_sizes + found.value, found.error), ""

    def log_prob_of_sizes(self, stage: IntArray) -> float:
        """Return ln P of the stages of nodes in order; −inf if input and output are never in these stages."""
        kind = np.flatnonzero((self.ends == [stage[0], stage[-1]]).all(axis=1))
        if len(kind) == 0:
            return -np.inf
        first, last = int(stage[0]), int(stage[-1])
        counts = np.bincount(stage[1:-1], minlength=len(self.sizes))
        outside = counts[:first].sum() + counts[last + 1 :].sum()
        if outside:
            return -np.inf
        within = zip(self.sizes[first : last + 1], counts[first : last + 1].tolist(), strict=True)
        return float(np.log(self._shares[kind[0]])) + sum(
            sizes.log_probability(count) for sizes, count in within
        )

    def probabilities(self, stage: IntArray) -> FloatArray:
        """Return θ of every pair of nodes in these stages, 0 on and below the diagonal, shape (nodes, nodes)."""
        role = roles(stage, n_stages=len(self.sizes))
        nodes = np.arange(len(stage))
        distance = nodes - nodes[:, None]
        values = self.rates.at(role[:, None], role, np.maximum(distance, 1))
        return np.asarray(np.where(distance > 0, values, 0.0))

    @property
    def expected_nodes(self) -> float:
        """Two plus the expected stage sizes, before conditioning."""
        within = [sum(sizes.mean for sizes in self.sizes[first : last + 1]) for first, last in self.ends]
        return 2 + float(self._shares @ within)

    @property
    def expected_edges(self) -> float:
        """Σ of θ over the expected number of pairs at every distance, before conditioning; exact."""
        return sum(float(rates @ pairs) for rates, pairs in self._rates_and_pairs())

    @property
    def attainable_means(self) -> tuple[float, float]:
        """Mean numbers of nodes and edges of the observed graphs, strictly between the extremes."""
        edges, pairs = float(self.rates.edges.sum()), float(self.rates.pairs.sum())
        per_graph = pairs / max(int(self.times.sum()), 1)
        return self.expected_nodes, per_graph * (edges + 0.5) / (pairs + 1)

    @property
    def _shares(self) -> FloatArray:
        return np.asarray(self.times / self.times.sum())

    def _rates_and_pairs(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield for every two roles θ at the distances 1, 2 …, and the expected number of pairs there."""
        for share, (first, last) in zip(self._shares, self.ends.tolist(), strict=True):
            segments = self._segments(first, last)
            for i in range(len(segments)):
                for j in range(i, len(segments)):
                    pairs = share * _expected_pairs(segments[i : j + 1])
                    distance = np.arange(1, len(pairs) + 1)
                    ends = np.full_like(distance, segments[i].role), np.full_like(distance, segments[j].role)
                    yield self.rates.at(*ends, distance), pairs

    def _segments(self, first: int, last: int) -> list[_Segment]:
        one = np.array([0.0, 1.0])
        n_stages = len(self.sizes)
        inner = [_Segment(stage, self.sizes[stage].probability) for stage in range(first, last + 1)]
        return [_Segment(n_stages, one), *inner, _Segment(n_stages + 1, one)]

    @property
    def largest_tilt(self) -> float:
        """Largest shift of the sizes at which all of them still have a distribution."""
        return min(own.largest_tilt for own in self.sizes)

    @property
    def is_connected(self) -> bool:
        """True if changes of one node each surely connect all valid graphs: every edge is possible."""
        return bool((self.rates.rate > 0).all())

    def shifted(self, nodes: float, edges: float) -> "StageModel":
        """Return the model with e^(nodes·n) as a further factor of all sizes, and a shift of the log-odds of edges."""
        sizes = tuple(own.tilted(nodes) for own in self.sizes) if nodes else self.sizes
        rates = self.rates._replace(rate=shifted(self.rates.rate, edges))
        return replace(self, sizes=sizes, rates=rates)

    def exact_log_normalizer(self) -> LogNormalizer | None:
        """Return None: sizes have no upper limit, so ln Z is always estimated."""
        return None

    def table(self) -> "pd.DataFrame":
        """Return one row for each two roles and class of distance that occurred."""
        import pandas as pd

        first, second, place = np.nonzero(self.rates.pairs)
        known = np.asarray(role_names(len(self.sizes)), dtype=object)
        return pd.DataFrame(
            {
                "source_group": known[first],
                "target_group": known[second],
                "shortest": CLASS_STARTS[place],
                "longest": CLASS_STARTS[place + 1] - 1,
                "pairs": self.rates.pairs[first, second, place],
                "edges": self.rates.edges[first, second, place],
                "probability": self.rates.rate[first, second, place],
            }
        )

    def mean_probabilities(self) -> EdgeProbabilities:
        """Return the expected number of nodes of every stage, rounded, with the probabilities of the edges."""
        first, last = self.ends[int(np.argmax(self.times))].tolist()
        counts = [round(sizes.mean) for sizes in self.sizes[first : last + 1]]
        return self._edge_probabilities(_stages(first, last, counts))

    def draw(self, rng: np.random.Generator) -> EdgeProbabilities:
        """Return stages of random size with the probabilities of edges between their nodes."""
        return self._edge_probabilities(self.draw_stages(rng))

    def draw_stages(self, rng: np.random.Generator) -> IntArray:
        """Return the stages of the nodes of a random graph, in order."""
        kind = int(np.searchsorted(np.cumsum(self._shares), rng.random()))
        first, last = self.ends[min(kind, len(self.ends) - 1)].tolist()
        return _stages(first, last, [sizes.draw(rng) for sizes in self.sizes[first : last + 1]])

    def _edge_probabilities(self, stage: IntArray) -> EdgeProbabilities:
        names = [f"v{node}" for node in range(len(stage))]
        return EdgeProbabilities(names, stage, self.probabilities(stage))

    def draw_valid(self, rng: np.random.Generator, *, most: int) -> tuple[igraph.Graph | None, int]:
        """Draw independently until a graph is valid; with the number of draws. None after ``most`` draws."""
        for number in range(most):
            stage, edges = self._draw_ordered(rng)
            if self._is_accepted(edges, rng):
                return as_graph(stage, edges), number + 1
        return None, most

    def _is_accepted(self, edges: BoolArray, rng: np.random.Generator) -> bool:
        everywhere = np.ones((1, len(edges)), dtype=np.bool_)
        is_kept = is_valid(everywhere, edges[None]) & accepted(self.factor, everywhere, edges[None], rng)
        return bool(is_kept[0])

    def share_valid(self, rng: np.random.Generator, *, n: int) -> float:
        """Return the share of valid graphs among independent draws."""
        valid = 0
        for _ in range(n):
            _, edges = self._draw_ordered(rng)
            valid += int(self._is_accepted(edges, rng))
        return valid / n

    def _draw_ordered(self, rng: np.random.Generator) -> tuple[IntArray, BoolArray]:
        stage = self.draw_stages(rng)
        probability = self.probabilities(stage)
        return stage, np.asarray(rng.random(probability.shape) < probability)

    def sampler(self, generators: Sequence[np.random.Generator]) -> "StageSampler":
        """Return chains that start at large graphs with all possible edges.

        Raises:
            DisconnectedError: No valid graph is found.
        """
        first, last = self.ends[int(np.argmax(self.times))].tolist()
        counts = [sizes.quantile(_LARGE_SHARE) for sizes in self.sizes[first : last + 1]]
        stage = _stages(first, last, counts)
        edges = self.probabilities(stage) > 0
        if not is_valid(np.ones((1, len(stage)), dtype=np.bool_), edges[None])[0]:
            stage, edges = self._some_valid()
        n = len(generators)
        states = States(
            np.repeat(stage[None], n, axis=0), np.repeat(edges[None], n, axis=0), np.full(n, len(stage))
        )
        return StageSampler(self, states, generators)

    def _some_valid(self) -> tuple[IntArray, BoolArray]:
        rng = np.random.Generator(np.random.PCG64(0))
        for _ in range(_TRIES):
            stage, edges = self._draw_ordered(rng)
            if is_valid(np.ones((1, len(stage)), dtype=np.bool_), edges[None])[0]:
                return stage, edges
        raise DisconnectedError(
            f"none of {_TRIES:,} graphs drawn from the distribution was valid; fit with more shrinkage, or to more graphs"
        )

    def independent_sampler(self, generators: Sequence[np.random.Generator]) -> StageSampler:
        """Return chains that start at independent draws, valid or not."""
        drawn = [self._draw_ordered(rng) for rng in generators]
        sizes = np.asarray([len(stage) for stage, _ in drawn])
        places = int(sizes.max())
        stages = np.full((len(drawn), places), -1)
        edges = np.zeros((len(drawn), places, places), dtype=np.bool_)
        for chain, (stage, own) in enumerate(drawn):
            stages[chain, : len(stage)], edges[chain, : len(stage), : len(stage)] = stage, own
        return StageSampler(self, States(stages, edges, sizes), generators)


def fit_stage_model(
    graphs: Sequence[Ordered], *, strength: float | None = None, support: Sequence[Ordered] = ()
) -> StageModel:
    """Fit the model to graphs in canonical form.

    Args:
        graphs: At least one.
        strength: Weight of the rate of two roles for each class of distance, in pairs; None estimates it.
        support: Further graphs whose stages, and whose stages of input and output, are possible as well.
    """
    model = _fit(
        count_stages(graphs, [sampled_orders(graph, N_ORDERS) for graph in graphs], support=support), strength
    )
    for number in range(1, N_ROUNDS):
        orders = []
        for graph in graphs:
            probability = model.probabilities(graph.stage)
            present, absent = logs(np.clip(probability, 1e-6, 1 - 1e-6))
            orders.append(sampled_orders(graph, N_ORDERS, log_odds=present - absent, seed=number))
        model = _fit(count_stages(graphs, orders, support=support), strength)
    return model


def count_stages(
    graphs: Sequence[Ordered], orders: Sequence[IntArray], *, support: Sequence[Ordered] = ()
) -> StageCounts:
    """Count stage sizes, and pairs and edges by roles and class of distance, as means over orders of each graph."""
    everything = [*graphs, *support]
    n_stages = max(int(graph.stage.max()) for graph in everything) + 1
    longest = max(len(graph.stage) for graph in everything) - 1
    shape = (n_stages + 2, n_stages + 2, int(distance_class(np.asarray([longest]))[0]) + 1)
    edges, pairs = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for graph, own in zip(graphs, orders, strict=True):
        role = roles(graph.stage, n_stages=n_stages)
        pairs += _by_cell(role, np.stack(np.triu_indices(len(role), 1), axis=1), shape)
        position = np.argsort(own, axis=1)
        placed = position[:, graph.edges].reshape(-1, 2)
        edges += _by_cell(role, placed, shape) / len(own)
    ends = np.stack([graph.stage[[0, -1]] for graph in graphs])
    sizes = np.stack([np.bincount(graph.stage[1:-1], minlength=n_stages) for graph in graphs])
    known = np.unique(np.stack([graph.stage[[0, -1]] for graph in everything]), axis=0)
    # Each possible pair of ends counts once more if there are several (rule of succession).
    ends = np.concatenate([ends, known]) if len(known) > 1 else ends
    return StageCounts(ends, sizes, _rounded(edges), pairs)


def _rounded(counts: FloatArray) -> IntArray:
    """Return integers with the same total: the largest fractions are rounded up."""
    whole = np.floor(counts + 1e-9).astype(np.int64)
    missing = round(float(counts.sum())) - int(whole.sum())
    largest = np.argsort(-(counts - whole).ravel(), kind="stable")[:missing]
    whole.ravel()[largest] += 1
    return whole


def _fit(counts: StageCounts, strength: float | None) -> StageModel:
    ends, times = np.unique(counts.ends, axis=0, return_counts=True)
    own_ends = counts.ends[: len(counts.sizes)]
    distributions = []
    for stage, column in enumerate(counts.sizes.T):
        within = (own_ends[:, 0] <= stage) & (stage <= own_ends[:, 1])
        # A stage that no graph reaches has no sizes of its own; it is empty but for the rule of succession.
        distributions.append(SizeDistribution.fit(column[within] if within.any() else column[:1], least=0))
    rates = fit_distance_rates(counts.edges, counts.pairs, strength=strength)
    return StageModel(ends, times, tuple(distributions), rates)


def _stages(first: int, last: int, counts: Sequence[int]) -> IntArray:
    return np.concatenate([[first], np.repeat(np.arange(first, last + 1), counts), [last]]).astype(np.int64)


def _by_cell(role: IntArray, pairs: IntArray, shape: tuple[int, ...]) -> IntArray:
    source, target = pairs.T
    cell = np.ravel_multi_index((role[source], role[target], distance_class(target - source)), shape)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)


def _expected_pairs(segments: Sequence[_Segment]) -> FloatArray:
    """Return the expected number of pairs at the distances 1, 2 … from a node of the first segment to one of the last.

    With i nodes behind the source in its segment, j nodes before the target in its, and m between the segments, the
    distance is i + j + m + 1. There is a source with i nodes behind it with probability P(n > i), and so on.
    """
    if len(segments) == 1:
        return np.asarray(np.cumsum(segments[0].survival[:0:-1])[::-1])
    pairs = np.convolve(segments[0].survival, segments[-1].survival)
    for segment in segments[1:-1]:
        pairs = np.convolve(pairs, segment.probability)
    return np.asarray(pairs)
