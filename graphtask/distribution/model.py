"""P(G): the distribution that a set of graphs comes from. Fit it, ask how likely a graph is, draw new graphs.

Two models, by whether the nodes of the graphs correspond: `graphtask.distribution.pair_model` (the graphs were pruned
from one initial graph, and a node keeps its name) and `graphtask.distribution.stage_model` (they were not).
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import igraph
import numpy as np

from graphtask.distribution.edge_probabilities import Skeleton
from graphtask.distribution.pair_model import Nodes, PairModel, count_pairs, fit_pair_model
from graphtask.distribution.sampling import Sampled, calibrated_shift, sample_graph
from graphtask.distribution.stage_model import StageModel, count_stages, fit_stage_model, staged
from graphtask.distribution.support import Universe, common_universe, have_one_origin
from graphtask.errors import ArgumentError, DisconnectedError, GraphError
from graphtask.graph import NAME, PROVENANCE, STAGE, WEIGHT, check_graph, live_nodes, provenance
from graphtask.validation import choice, counted, integer, number

if TYPE_CHECKING:
    import pandas as pd

Correspond = Literal["auto"] | bool
Shrinkage = Literal["auto"] | float

SAMPLED = "sampled"  # in the provenance of sampled graphs
# What a sampled graph has in common with those it is drawn after, and needs: for sparsity, and for being compiled.
_INHERITED = ("prior", "initial", "channels", "in_channels", "n_classes", "gate")
_TOLD = ("data", "threshold")  # what is only told of them


@dataclass(frozen=True, eq=False)
class GraphDistribution:
    """A distribution over architecture graphs; `fit` makes one.

    Args:
        model: What it knows about nodes and edges.
        n_graphs: How many graphs it was fitted to.
        mean_edges: Their mean number of edges, which sampled graphs have, too.
        facts: What the provenance of all of them agrees on.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(20, out_degree=2, seed=seed) for seed in range(10)]
        >>> distribution = gt.GraphDistribution.fit(graphs)
        >>> distribution
        GraphDistribution(10 graphs, nodes do not correspond, 3 stages, 20.0 nodes and 36.4 edges expected)
        >>> new = distribution.sample(3, seed=0)
        >>> [gt.check_graph(graph) for graph in new]
        [None, None, None]
        >>> distribution.log_prob(graphs[0]) < 0
        True
    """

    model: PairModel | StageModel
    n_graphs: int
    mean_edges: float
    facts: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        graphs: Iterable[igraph.Graph],
        *,
        correspond: Correspond = "auto",
        nodes: Nodes = "present",
        shrinkage: Shrinkage = "auto",
        initial: igraph.Graph | None = None,
    ) -> "GraphDistribution":
        """The distribution that fits the graphs.

        Args:
            graphs: Valid graphs, at least one. Weights are not read: prune trained graphs first.
            correspond: Whether nodes of the same name are the same node in all graphs. ``"auto"``: if ``initial`` is
                given, or the provenance of all graphs names the same prior and initial size.
            nodes: For nodes that correspond: ``"present"`` draws which nodes a graph has before the edges between
                them; ``"all"`` draws all edges independently, and a node without edges is none. The first has by
                far the larger likelihood wherever pruning removes nodes.
            shrinkage: How many graphs (or, where nodes do not correspond, pairs of nodes) the pooled rates are worth
                against the own rate of a node, pair or distance: ``"auto"`` takes the strengths of the largest
                marginal likelihood; 0 is raw frequencies; infinity the pooled rates alone.
            initial: The graph that all of them were pruned from, if provenance does not say it; its edges are the
                possible ones.

        Raises:
            ArgumentError: There is no graph, or an option is unknown or out of range.
            GraphError: A graph is not valid, or they shall correspond and do not.
        """
        members = checked_graphs(graphs)
        choice(nodes, name="nodes", choices=("present", "all"))
        strength = strength_of(shrinkage)
        universe = universe_of(members, correspond=correspond, initial=initial)
        return fitted(members, universe, nodes=nodes, strength=strength)

    @property
    def corresponds(self) -> bool:
        """Whether nodes of the same name are the same node."""
        return isinstance(self.model, PairModel)

    @property
    def expected_nodes(self) -> float:
        """The expected number of nodes, before any repair."""
        return self.model.expected_nodes

    @property
    def expected_edges(self) -> float:
        """The expected number of edges, before any repair."""
        return self.model.expected_edges

    def log_prob(self, graph: igraph.Graph) -> float:
        """The natural logarithm of P(G): how likely it is to draw exactly these nodes and edges, before any repair.

        Where nodes correspond, the outcomes are all sets of nodes of the initial graph that have its input and output,
        with all sets of possible edges between them (with ``nodes="all"``: all sets of edges). Where they do not, all
        sizes of stages with all sets of edges from earlier to later nodes. The probabilities of all these graphs add
        up to 1; those of valid graphs alone to less, because the model does not know that graphs have no dead paths.

        Args:
            graph: A graph; it need not be valid.

        Returns:
            At most 0. −inf if the graph is impossible; `obstacle` says why.

        Raises:
            GraphError: The graph has no names or stages, or has a cycle.
        """
        return self.model.log_prob(graph)[0]

    def obstacle(self, graph: igraph.Graph) -> str:
        """Why a graph is impossible; empty if it is not.

        Example:
            >>> import graphtask as gt
            >>> distribution = gt.GraphDistribution.fit([gt.banded_dag(5, bandwidth=2)])
            >>> distribution.obstacle(gt.full_dag(5))
            "the edge 'v0' → 'v3' is none of the 7 that are possible"
        """
        return self.model.log_prob(graph)[1]

    def entropy(self) -> float:
        """−Σ P ln P over the outcomes that `log_prob` speaks of, in nats; exact, because nodes and edges are independent."""
        return self.model.entropy

    def edge_probabilities(self) -> "pd.DataFrame":
        """How likely edges are, and what was observed.

        Returns:
            Where nodes correspond one row for each possible edge: ``source``, ``target``, ``source_stage``,
            ``target_stage``, ``distance`` (in the reference order), ``both_present`` and ``edges`` (graphs with both
            nodes, and with the edge), ``class_rate`` (what was shrunk towards), ``probability_if_present`` (θ), and
            ``probability`` (of the edge, π_i·π_j·θ). Otherwise one for each two groups of nodes and class of
            distance: ``source_group`` and ``target_group`` (``input``, ``output``, or ``stage 0`` …), ``shortest``
            and ``longest`` distance, ``pairs``, ``edges``, ``probability``.
        """
        return self.model.table()

    def mean_graph(self, *, threshold: float | None = None) -> igraph.Graph:
        """The expected graph: the likeliest edges, with their probability as ``weight``, without dead paths.

        Args:
            threshold: The least probability that an edge needs. None takes the one at which the graph has about as
                many edges as the observed ones have on average.

        Returns:
            A valid graph. Here ``weight`` is the probability of the edge, and not a trained magnitude.

        Raises:
            DisconnectedError: The edges that are likely enough do not connect input and output.
            ArgumentError: The threshold is no probability.
        """
        return mean_graph_of(
            self.model.mean_skeleton(), threshold=threshold, n_edges=self.mean_edges, facts=self._inherited
        )

    def sample(self, n: int, *, seed: int) -> list[igraph.Graph]:
        """New graphs: valid ones, that compile and train.

        Nodes and edges are drawn from the model and repaired (`graphtask.distribution.sampling`); log-odds are shifted
        so that the mean number of edges after the repair is the observed one.

        Args:
            n: How many, at least 0.
            seed: Whole number, at least 0. The same seed gives the same graphs, and fewer graphs are the first of more.

        Returns:
            Untrained graphs. ``provenance(graph)["sampled"]`` has the seed, the number of the graph, and
            ``added_edges``, ``dropped_nodes`` and ``redrawn``, which say what the repair did.

        Raises:
            ArgumentError: ``n`` or ``seed`` is no whole number, or negative.
            DisconnectedError: The distribution is so thin that input and output are never connected.
        """
        return list(self.samples(n, seed=seed))

    def samples(self, n: int, *, seed: int) -> Iterator[igraph.Graph]:
        """The graphs of `sample`, one after the other."""
        n = integer(n, name="n", least=0)
        seed = integer(seed, name="seed", least=0)
        return self._drawn(n, seed)

    def _drawn(self, n: int, seed: int) -> Iterator[igraph.Graph]:
        rng = np.random.Generator(np.random.PCG64(seed))
        for draw in range(n):
            drawn = sample_graph(self.model.draw, shift=self.shift, rng=rng)
            yield self._with_facts(drawn, seed=seed, number=draw)

    @cached_property
    def shift(self) -> float:
        """What is added to the log-odds of edges in `sample`, so that repaired graphs have the right number of them."""
        return calibrated_shift(self.model.draw, mean_edges=self.mean_edges)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the distribution to a ``.json`` file, all at once or not at all.

        Raises:
            GraphtaskError: The file cannot be written.
            ArgumentError: The suffix is another one.
        """
        from graphtask.distribution.io import write_distribution

        write_distribution(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "GraphDistribution":
        """The distribution that `save` wrote.

        Raises:
            FormatError: The file cannot be read, or holds something else.
        """
        from graphtask.distribution.io import read_distribution

        return read_distribution(path)

    @property
    def _inherited(self) -> dict[str, Any]:
        return {key: self.facts[key] for key in _INHERITED if key in self.facts}

    def _with_facts(self, drawn: Sampled, *, seed: int, number: int) -> igraph.Graph:
        told = {key: self.facts[key] for key in _TOLD if key in self.facts}
        history = {
            "n_graphs": self.n_graphs,
            "of": told,
            "seed": seed,
            "number": number,
            "added_edges": drawn.n_added,
            "dropped_nodes": drawn.n_dropped,
            "redrawn": drawn.n_redrawn,
        }
        drawn.graph[PROVENANCE] = {**self._inherited, SAMPLED: history}
        return drawn.graph

    def __repr__(self) -> str:
        if isinstance(self.model, PairModel):
            stages = int(self.model.universe.stage.max()) + 1
            how = f"{len(self.model.universe.names):,} nodes that correspond"
        else:
            stages, how = len(self.model.sizes), "nodes do not correspond"
        return (
            f"GraphDistribution({counted(self.n_graphs, 'graph')}, {how}, "
            f"{counted(stages, 'stage')}, {self.expected_nodes:.1f} nodes and "
            f"{self.expected_edges:.1f} edges expected)"
        )


def fitted(
    graphs: Sequence[igraph.Graph], universe: Universe | None, *, nodes: Nodes, strength: float | None
) -> GraphDistribution:
    """The distribution of valid graphs in a universe, or of graphs whose nodes do not correspond."""
    model: PairModel | StageModel
    if universe is None:
        model = fit_stage_model(count_stages([staged(graph) for graph in graphs]), strength=strength)
    else:
        counts = count_pairs([universe.place(graph) for graph in graphs], universe, nodes=nodes)
        model = fit_pair_model(universe, counts, nodes=nodes, strength=strength)
    mean_edges = float(np.mean([graph.ecount() for graph in graphs]))
    return GraphDistribution(model, len(graphs), mean_edges, _shared_facts(graphs))


def checked_graphs(graphs: Iterable[igraph.Graph]) -> list[igraph.Graph]:
    """The graphs as a list.

    Raises:
        ArgumentError: There is none, or something else instead of several.
        GraphError: One is not valid; the message says which.
    """
    if isinstance(graphs, igraph.Graph) or not isinstance(graphs, Iterable):
        raise ArgumentError("a distribution is fitted to several graphs; give a list of them")
    members = list(graphs)
    if not members:
        raise ArgumentError("there is no graph to fit a distribution to")
    for position, graph in enumerate(members):
        try:
            check_graph(graph)
        except GraphError as error:
            raise GraphError(f"number {position} of the graphs: {error}") from None
    return members


def strength_of(shrinkage: Shrinkage) -> float | None:
    """The strength of the pooled rates; None if it is to be estimated.

    Raises:
        ArgumentError: It is something else than ``"auto"`` or a number of at least 0.
    """
    if shrinkage == "auto":
        return None
    given: object = shrinkage
    strength = float(given) if isinstance(given, Real) else math.nan
    if not strength >= 0:
        raise ArgumentError(
            f'shrinkage={shrinkage!r} does not work; give "auto" or a number of graphs of at least 0'
        )
    return strength


def universe_of(
    graphs: Sequence[igraph.Graph], *, correspond: Correspond, initial: igraph.Graph | None
) -> Universe | None:
    """The universe of the graphs; None if their nodes do not correspond.

    Raises:
        ArgumentError: ``correspond`` is none of its values, or contradicts ``initial``.
        GraphError: The nodes shall correspond and do not.
    """
    if correspond not in {"auto", True, False}:
        raise ArgumentError(f'correspond={correspond!r} does not work; give "auto", True or False')
    if correspond is False:
        if initial is not None:
            raise ArgumentError(
                "an initial graph is of use only where nodes correspond; leave one of both out"
            )
        return None
    if correspond == "auto" and initial is None and not have_one_origin(graphs):
        return None
    return common_universe(graphs, initial=initial)


def mean_graph_of(
    skeleton: Skeleton, *, threshold: float | None, n_edges: float, facts: Mapping[str, Any]
) -> igraph.Graph:
    """The edges of the skeleton that are likely enough, without dead paths; see `GraphDistribution.mean_graph`."""
    if threshold is None:
        threshold = _fitting_threshold(skeleton, n_edges)
    else:
        threshold = number(threshold, name="threshold", least=0, most=1)
    graph = _likely(skeleton, threshold)
    if graph.vcount() == 0:
        raise DisconnectedError(
            f"the edges with a probability of at least {threshold:g} do not connect input and output; use less"
        )
    graph[PROVENANCE] = {**facts, "mean_graph": {"threshold": float(threshold)}}
    return graph


def _fitting_threshold(skeleton: Skeleton, n_edges: float) -> float:
    """The probability at which the graph, without its dead paths, has nearest to ``n_edges`` edges, and some."""
    levels = np.unique(skeleton.probability[skeleton.probability > 0])
    low, high = 0, len(levels) - 1  # fewer edges are left at every higher level
    while low < high:
        middle = (low + high + 1) // 2
        if _likely(skeleton, levels[middle]).ecount() >= n_edges:
            low = middle
        else:
            high = middle - 1
    choices = [
        (abs(count - n_edges), level)
        for level in levels[low : low + 2]
        if (count := _likely(skeleton, level).ecount())
    ]
    return float(min(choices)[1]) if choices else math.nan


def _likely(skeleton: Skeleton, threshold: float) -> igraph.Graph:
    edges = np.argwhere((skeleton.probability >= threshold) & (skeleton.probability > 0))
    n_nodes = len(skeleton.names)
    graph = igraph.Graph(n=n_nodes, edges=edges.tolist(), directed=True)
    graph.vs[NAME], graph.vs[STAGE] = skeleton.names, skeleton.stage.tolist()
    graph.es[WEIGHT] = skeleton.probability[edges[:, 0], edges[:, 1]].tolist()
    graph.delete_vertices(np.flatnonzero(~live_nodes(graph, [0], [n_nodes - 1])).tolist())
    return graph


def _shared_facts(graphs: Sequence[igraph.Graph]) -> dict[str, Any]:
    facts = [provenance(graph) for graph in graphs]
    return {
        key: facts[0][key]
        for key in (*_INHERITED, *_TOLD)
        if key in facts[0] and all(key in fact and fact[key] == facts[0][key] for fact in facts)
    }
