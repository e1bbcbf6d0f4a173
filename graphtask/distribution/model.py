"""P(G): fit a distribution to a set of graphs, evaluate the likelihood of a graph, draw new graphs.

Two models: `graphtask.distribution.pair_model` where the nodes of the graphs correspond (the graphs were pruned from
one initial graph, and a node keeps its name), `graphtask.distribution.stage_model` where they do not. Both have
independent nodes and edges, and are conditioned on valid graphs: P(G | valid) = P(G)/Z.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, overload

import igraph
import numpy as np

from graphtask.distribution.edge_probabilities import EdgeProbabilities
from graphtask.distribution.normalizer import LogNormalizer
from graphtask.distribution.orders import canonical
from graphtask.distribution.pair_model import PairModel, count_pairs, fit_pair_model
from graphtask.distribution.repair import calibrated_shift, repaired_graph
from graphtask.distribution.sampling import (
    NO_TILT,
    Model,
    SamplingPlan,
    Tilt,
    calibrated_sizes,
    draw_graphs,
    log_normalizer,
    sampling_plan,
)
from graphtask.distribution.size_factor import NO_FACTOR, SizeFactor
from graphtask.distribution.stage_model import StageModel, fit_stage_model
from graphtask.distribution.support import Support, common_support, have_one_origin
from graphtask.errors import ArgumentError, DisconnectedError, GraphError
from graphtask.features.samples import Graph, as_graphs
from graphtask.graph import NAME, PROVENANCE, STAGE, WEIGHT, check_graph, live_nodes, provenance
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.types import FloatArray
from graphtask.validation import counted, integer, invalid, number

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.distribution.likelihood import MostLikely

Correspond = Literal["auto"] | bool
Shrinkage = Literal["auto"] | float

SAMPLED = "sampled"  # in the provenance of sampled graphs
# Facts that sampled graphs share with the observed ones, needed for sparsity and for compilation.
_INHERITED = ("prior", "initial", "channels", "in_channels", "n_classes", "gate")
_REPORTED = ("data", "threshold")  # facts that are only reported


@dataclass(frozen=True, eq=False)
class GraphDistribution:
    """Distribution over valid architecture graphs; `fit` returns one.

    Args:
        model: Independent nodes and edges, before conditioning on valid graphs.
        n_graphs: Number of graphs that it was fitted to.
        mean_nodes: Their mean number of nodes.
        mean_edges: Their mean number of edges.
        facts: Facts on which the provenance of all of them agrees.
        tilt: Shifts of the log-odds of nodes and edges at which valid graphs have the observed mean sizes.
        size_factor: Factor that narrows the sizes where the observed ones vary less than independent nodes and edges.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(8, out_degree=2, seed=seed) for seed in range(5)]
        >>> distribution = gt.GraphDistribution.fit(graphs, correspond=True)
        >>> distribution
        GraphDistribution(5 graphs, 8 nodes that correspond, 3 stages, 8.0 nodes and 13.0 edges on average)
        >>> new = distribution.sample(3, seed=0)
        >>> [gt.check_graph(graph) for graph in new]
        [None, None, None]
        >>> distribution.log_prob(graphs[0]) < 0
        True
    """

    model: Model
    n_graphs: int
    mean_nodes: float
    mean_edges: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    tilt: Tilt = NO_TILT
    size_factor: SizeFactor = NO_FACTOR

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import distribution_card

        return distribution_card(self)

    @classmethod
    def fit(
        cls,
        graphs: Iterable[Graph],
        *,
        correspond: Correspond = "auto",
        shrinkage: Shrinkage = "auto",
        initial: "Graph | None" = None,
    ) -> "GraphDistribution":
        """Fit the distribution to graphs.

        Rates of nodes and edges are shrunk (`graphtask.distribution.shrinkage`); then their log-odds are shifted by one
        number for all nodes and one for all edges, so that valid graphs have the observed mean sizes, and a factor narrows the sizes
        where the observed ones vary less (`graphtask.distribution.size_factor`).

        Args:
            graphs: Valid graphs, at least one. Weights are not read: prune trained graphs first.
            correspond: True if nodes of the same name are the same node in all graphs. ``"auto"``: if ``initial`` is
                given, or the provenance of all graphs names the same initial graph.
            shrinkage: Weight of the pooled rates, in graphs (or, where nodes do not correspond, pairs of nodes):
                ``"auto"`` maximizes the marginal likelihood; 0 is raw frequencies; infinity the pooled rates alone.
            initial: Graph that all of them were pruned from, if provenance does not name it; its edges are the
                possible ones.

        Raises:
            ArgumentError: There is no graph, or an option is invalid.
            GraphError: A graph is not valid, or ``correspond=True`` and the nodes do not correspond.
            DisconnectedError: No valid graph has a positive probability.
        """
        members = checked_graphs(graphs)
        strength = strength_of(shrinkage)
        support = support_of(members, correspond=correspond, initial=initial)
        return fitted(members, support, strength=strength)

    @property
    def corresponds(self) -> bool:
        """True if nodes of the same name are the same node."""
        return isinstance(self.model, PairModel)

    @cached_property
    def conditioned_model(self) -> Model:
        """Model with the shifts of `tilt` and the size factor, whose valid graphs are sampled."""
        return replace(self.model.shifted(*self.tilt), factor=self.size_factor)

    @cached_property
    def log_normalizer(self) -> LogNormalizer:
        """Logarithm of Z, the probability of a valid graph, with its standard error (0 if exact).

        Example:
            >>> import graphtask as gt
            >>> distribution = gt.GraphDistribution.fit([gt.banded_dag(5, bandwidth=2)] * 3)
            >>> distribution.log_normalizer.error
            0.0
        """
        return log_normalizer(self.conditioned_model)

    @cached_property
    def sampling_plan(self) -> SamplingPlan:
        """Method of `sample`: rejection (exact), or Markov chains with their length and measured mixing."""
        return sampling_plan(self.conditioned_model)

    def log_prob(self, graph: Graph, *, per_edge: bool = False) -> float:
        """Return the natural logarithm of P(G | valid) = P(G)/Z, the distribution of `sample`.

        Where nodes correspond, the outcomes are the valid graphs with the input and output, and some of the other
        nodes and possible edges, of the initial graph; a graph with other names has −∞. Where they do not, the
        outcomes are valid graphs with stages, up to the names and the numbering of their nodes: P is summed over the
        topological orders of the graph. The probabilities of all outcomes add up to 1.

        Values of two distributions are comparable if both have the same outcomes: no nodes correspond, or the nodes
        of one initial graph do.

        Args:
            graph: Graph.
            per_edge: Divide by the number of edges, to compare graphs of different sizes.

        Returns:
            At most 0 (in nats, or nats per edge), up to the errors of `log_normalizer` and, for large graphs without
            corresponding nodes, of `log_prob_error`. −∞ if the graph is impossible; `obstacle` returns the reason.

        Raises:
            ArgumentError: It is not a graph.
        """
        own = as_igraph(graph)
        value = self._log_prob(own)[0]
        return value / own.ecount() if per_edge and own.ecount() else value

    def log_prob_error(self, graph: Graph) -> float:
        """Return the standard error of `log_prob`; 0 where it is exact."""
        error = 0.0
        if isinstance(self.conditioned_model, StageModel):
            error = self.conditioned_model.log_prob(canonical(as_igraph(graph)))[0].error
        return float(np.hypot(self.log_normalizer.error, error))

    def obstacle(self, graph: Graph) -> str:
        """Return the reason why a graph is impossible; empty if it is possible.

        Example:
            >>> import graphtask as gt
            >>> distribution = gt.GraphDistribution.fit([gt.banded_dag(5, bandwidth=2)])
            >>> distribution.obstacle(gt.full_dag(5))
            "the edge 'v0' → 'v3' is none of the 7 that are possible"
        """
        return self._log_prob(as_igraph(graph))[1]

    def _log_prob(self, graph: igraph.Graph) -> tuple[float, str]:
        unconditioned, reason = self.log_prob_before_conditioning(graph)
        if reason:
            return -np.inf, reason
        # The error of ln Z must not make a probability larger than 1.
        return min(0.0, unconditioned - self.log_normalizer.value), ""

    def log_prob_before_conditioning(self, graph: GraphLike) -> tuple[float, str]:
        """Return ln P(G), without − ln Z; and if the graph is impossible, the reason."""
        graph = as_igraph(graph)
        try:
            check_graph(graph)
        except GraphError as error:
            return -np.inf, f"it is not valid: {error}"
        if isinstance(self.conditioned_model, StageModel):
            found, reason = self.conditioned_model.log_prob(canonical(graph))
            return found.value, reason
        return self.conditioned_model.log_prob(graph)

    def edge_probabilities(self) -> "pd.DataFrame":
        """Return the estimated probabilities of edges, and the observed counts.

        Returns:
            Where nodes correspond one row for each possible edge: ``source``, ``target``, ``source_stage``,
            ``target_stage``, ``distance`` (in the reference order), ``both_present`` and ``edges`` (graphs with both
            nodes, and with the edge), ``class_rate`` (rate that the edge was shrunk towards),
            ``probability_if_present`` (θ), and ``probability`` (of the edge, π_i·π_j·θ). Otherwise one for each two
            groups of nodes and class of distance: ``source_group`` and ``target_group`` (``input``, ``output``, or
            ``stage 0`` …), ``shortest`` and ``longest`` distance, ``pairs``, ``edges``, ``probability``.
        """
        return self.model.table()

    def mean_graph(self, *, threshold: float | None = None) -> igraph.Graph:
        """Return the expected graph: the likeliest edges, with their probability as ``weight``, without dead paths.

        Args:
            threshold: Smallest probability of an edge. None chooses the one at which the graph has about as many
                edges as the observed ones have on average.

        Returns:
            A valid graph. Here ``weight`` is the probability of the edge, and not a trained magnitude.

        Raises:
            DisconnectedError: The likely edges do not connect input and output.
            ArgumentError: The threshold is not a number in [0, 1].
        """
        return mean_graph_of(
            self.model.mean_probabilities(),
            threshold=threshold,
            n_edges=self.mean_edges,
            facts=self._inherited,
        )

    def sample(self, n: int, *, seed: int, repair: bool = False) -> list[igraph.Graph]:
        """Draw new valid graphs, which compile and train, with the probabilities of `log_prob`.

        Drawn by rejection where enough independent draws are valid, else by Markov chains; `sampling_plan` reports
        the method and the measured mixing.

        Args:
            n: Number of graphs, at least 0.
            seed: Random seed, an integer >= 0. The same seed repeats the graphs, and fewer graphs are the first of
                more.
            repair: Draw once and connect the nodes that lack a neighbor (`graphtask.distribution.repair`): fast, with
                the observed mean number of edges, but not with the probabilities of `log_prob`.

        Returns:
            Untrained graphs. ``provenance(graph)["sampled"]`` has the seed, the number of the graph and the method,
            and after a repair ``added_edges``, ``dropped_nodes`` and ``redrawn``.

        Raises:
            ArgumentError: ``n`` or ``seed`` is not an integer >= 0.
            DisconnectedError: No valid graph is found.

        Example:
            >>> import graphtask as gt
            >>> distribution = gt.GraphDistribution.fit([gt.banded_dag(6, bandwidth=2)] * 3)
            >>> distribution.sampling_plan.method, len(distribution.sample(5, seed=0))
            ('rejection', 5)
        """
        return list(self.samples(n, seed=seed, repair=repair))

    def samples(self, n: int, *, seed: int, repair: bool = False) -> Iterator[igraph.Graph]:
        """Yield the graphs of `sample` one by one."""
        n = integer(n, name="n", least=0)
        seed = integer(seed, name="seed", least=0)
        return self._repaired(n, seed) if repair else self._drawn(n, seed)

    def _drawn(self, n: int, seed: int) -> Iterator[igraph.Graph]:
        plan = self.sampling_plan
        for position, graph in enumerate(draw_graphs(self.conditioned_model, plan, n, seed=seed)):
            yield self._with_facts(graph, seed=seed, number=position, method=plan.method)

    def _repaired(self, n: int, seed: int) -> Iterator[igraph.Graph]:
        rng = np.random.Generator(np.random.PCG64(seed))
        for position in range(n):
            drawn = repaired_graph(self.model.draw, shift=self._repair_shift, rng=rng)
            changes = {
                "added_edges": drawn.n_added,
                "dropped_nodes": drawn.n_dropped,
                "redrawn": drawn.n_redrawn,
            }
            yield self._with_facts(drawn.graph, seed=seed, number=position, method="repair", **changes)

    @cached_property
    def _repair_shift(self) -> float:
        return calibrated_shift(self.model.draw, mean_edges=self.mean_edges)

    @classmethod
    def log_prob_leave_one_out(
        cls,
        graphs: Iterable[Graph],
        *,
        correspond: Correspond = "auto",
        shrinkage: Shrinkage = "auto",
        initial: "Graph | None" = None,
    ) -> FloatArray:
        """Return `log_prob` of every graph under the distribution fitted to all others; the sum compares models.

        Args:
            graphs: At least two valid graphs.
            correspond: As for `fit`, like the other options. The possible nodes and edges are those of all graphs.
            shrinkage: As for `fit`.
            initial: As for `fit`.

        Returns:
            Shape (graphs,); −∞ where a graph is impossible without itself.

        Raises:
            ArgumentError: There are fewer than two graphs, or an option is invalid.
            GraphError: A graph is not valid, or the nodes do not correspond.

        Example:
            >>> import graphtask as gt
            >>> graphs = [gt.banded_dag(6, bandwidth=k) for k in (2, 3, 3)]
            >>> bool((gt.GraphDistribution.log_prob_leave_one_out(graphs, correspond=True) < 0).all())
            True
        """
        from graphtask.distribution.likelihood import log_prob_leave_one_out

        return log_prob_leave_one_out(graphs, correspond=correspond, shrinkage=shrinkage, initial=initial)

    @overload
    @classmethod
    def most_likely(
        cls,
        graphs: Graph,
        groups: Mapping[str, "GraphDistribution"],
        *,
        leave_one_out: Literal[False] = False,
    ) -> "MostLikely": ...

    @overload
    @classmethod
    def most_likely(
        cls, graphs: Sequence[Graph], groups: Sequence[str], *, leave_one_out: Literal[True], **options: Any
    ) -> "pd.DataFrame": ...

    @classmethod
    def most_likely(
        cls, graphs: Any, groups: Any, *, leave_one_out: bool = False, **options: Any
    ) -> "MostLikely | pd.DataFrame":
        """Return the distribution, of several, under which a graph has the largest probability.

        Args:
            graphs: One graph; or all graphs, if each is to be left out of its own group in turn.
            groups: Fitted distributions by name; or, for ``leave_one_out``, the label of every graph.
            leave_one_out: Fit the distributions here, each graph left out of its own group. The other groups are
                fitted without one graph, too, so that no group has the advantage of more graphs.
            options: Of `fit`, for ``leave_one_out``.

        Returns:
            A `MostLikely` (``name``, ``log_prob``, ``posterior``); or a table with a row for each graph: ``label``,
            ``predicted`` (None if the graph is impossible everywhere), ``correct``, and ``log_prob_`` with each label.

        Raises:
            ArgumentError: There is nothing to choose from, labels do not fit the graphs, or the distributions have
                different possible graphs.
            GraphError: A graph is not valid, or the nodes do not correspond.

        Example:
            >>> import graphtask as gt
            >>> thin = [gt.priors.erdos_renyi_dag(6, p=0.2, seed=seed) for seed in range(4)]
            >>> thick = [gt.priors.erdos_renyi_dag(6, p=0.9, seed=seed) for seed in range(4)]
            >>> fitted = {
            ...     "thin": gt.GraphDistribution.fit(thin[1:], correspond=True),
            ...     "thick": gt.GraphDistribution.fit(thick, correspond=True),
            ... }
            >>> gt.GraphDistribution.most_likely(thin[0], fitted).name
            'thin'
        """
        from graphtask.distribution.likelihood import most_likely, most_likely_leave_one_out

        if leave_one_out:
            return most_likely_leave_one_out(graphs, groups, **options)
        return most_likely(graphs, groups)

    @classmethod
    def goodness_of_fit(cls, graphs: Iterable[Graph], **options: Any) -> "pd.DataFrame":
        """Test if graphs could come from a distribution of the kind that `fit` fits to them, by parametric bootstrap.

        Arguments, columns and example: `graphtask.distribution.goodness.goodness_of_fit`.
        """
        from graphtask.distribution.goodness import goodness_of_fit

        return goodness_of_fit(graphs, **options)

    @staticmethod
    def compare_metrics(
        observed: "Iterable[Graph] | pd.DataFrame",
        sampled: "Iterable[Graph] | pd.DataFrame",
        *,
        metrics: str | Sequence[str] = "paper",
    ) -> "pd.DataFrame":
        """Compare the metrics of observed graphs with those of sampled ones.

        Arguments, columns and example: `graphtask.distribution.observed_sampled.compare_metrics`.
        """
        from graphtask.distribution.observed_sampled import compare_metrics

        return compare_metrics(observed, sampled, metrics=metrics)

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
        """Read the distribution that `save` wrote.

        Raises:
            FormatError: The file cannot be read, or is not a distribution.
        """
        from graphtask.distribution.io import read_distribution

        return read_distribution(path)

    @property
    def _inherited(self) -> dict[str, Any]:
        return {key: self.facts[key] for key in _INHERITED if key in self.facts}

    def _with_facts(self, graph: igraph.Graph, **history: Any) -> igraph.Graph:
        reported = {key: self.facts[key] for key in _REPORTED if key in self.facts}
        graph[PROVENANCE] = {
            **self._inherited,
            SAMPLED: {"n_graphs": self.n_graphs, "of": reported, **history},
        }
        return graph

    def __repr__(self) -> str:
        if isinstance(self.model, PairModel):
            stages = int(self.model.support.stage.max()) + 1
            how = f"{len(self.model.support.names):,} nodes that correspond"
        else:
            stages, how = len(self.model.sizes), "nodes do not correspond"
        return (
            f"GraphDistribution({counted(self.n_graphs, 'graph')}, {how}, {counted(stages, 'stage')}, "
            f"{self.mean_nodes:.1f} nodes and {self.mean_edges:.1f} edges on average)"
        )


def fitted(
    graphs: Sequence[igraph.Graph],
    support: Support | None,
    *,
    strength: float | None,
    start: Tilt | None = None,
    others: Sequence[igraph.Graph] = (),
) -> GraphDistribution:
    """Fit the distribution of valid graphs in a support, or of graphs whose nodes do not correspond.

    Args:
        graphs: Valid graphs.
        support: Possible nodes and edges; None if nodes do not correspond.
        strength: Strength of the shrinkage; None estimates it.
        start: First guess of the tilt.
        others: Further graphs whose stages are possible as well, where nodes do not correspond.
    """
    model: Model
    if support is None:
        own, further = ([canonical(graph) for graph in part] for part in (graphs, others))
        model = fit_stage_model(own, strength=strength, support=further)
    else:
        counts = count_pairs([support.membership(graph) for graph in graphs], support)
        model = fit_pair_model(support, counts, strength=strength)
    observed = np.array([[graph.vcount(), graph.ecount()] for graph in graphs], dtype=np.float64)
    tilt, factor = calibrated_sizes(model, observed, start=start)
    mean_nodes, mean_edges = observed.mean(axis=0).tolist()
    return GraphDistribution(model, len(graphs), mean_nodes, mean_edges, _shared_facts(graphs), tilt, factor)


def checked_graphs(graphs: Iterable[Graph]) -> list[igraph.Graph]:
    """Return the graphs as a list of igraph graphs.

    Raises:
        ArgumentError: There is none, or one graph instead of several, or something is not a graph.
        GraphError: One is not valid; the message names its position.
    """
    members = as_graphs(graphs, name="graphs")
    if not members:
        raise invalid("graphs", "a non-empty list of graphs", members)
    for position, graph in enumerate(members):
        try:
            check_graph(graph)
        except GraphError as error:
            raise GraphError(f"graphs[{position}]: {error}") from None
    return members


def strength_of(shrinkage: Shrinkage) -> float | None:
    """Return the strength of the pooled rates; None if it is to be estimated.

    Raises:
        ArgumentError: It is neither ``"auto"`` nor a number >= 0.
    """
    if shrinkage == "auto":
        return None
    given: object = shrinkage
    strength = float(given) if isinstance(given, Real) else math.nan
    if not strength >= 0:
        raise invalid("shrinkage", '"auto" or a number >= 0', shrinkage)
    return strength


def support_of(
    graphs: Sequence[igraph.Graph], *, correspond: Correspond, initial: "Graph | None"
) -> Support | None:
    """Return the support of the graphs; None if their nodes do not correspond.

    Raises:
        ArgumentError: ``correspond`` is invalid, or contradicts ``initial``.
        GraphError: ``correspond=True`` and the nodes do not correspond.
    """
    if correspond not in {"auto", True, False}:
        raise invalid("correspond", '"auto", True or False', correspond)
    if correspond is False:
        if initial is not None:
            raise ArgumentError("initial must be None with correspond=False; leave out one of both")
        return None
    if correspond == "auto" and initial is None and not have_one_origin(graphs):
        return None
    return common_support(graphs, initial=None if initial is None else as_igraph(initial))


def mean_graph_of(
    probabilities: EdgeProbabilities, *, threshold: float | None, n_edges: float, facts: Mapping[str, Any]
) -> igraph.Graph:
    """Return the likely edges without dead paths; see `GraphDistribution.mean_graph`."""
    if threshold is None:
        threshold = _fitting_threshold(probabilities, n_edges)
    else:
        threshold = number(threshold, name="threshold", least=0, most=1)
    graph = _likely(probabilities, threshold)
    if graph.vcount() == 0:
        raise DisconnectedError(
            f"the edges with a probability of at least {threshold:g} do not connect input and output; "
            f"use a smaller threshold"
        )
    graph[PROVENANCE] = {**facts, "mean_graph": {"threshold": float(threshold)}}
    return graph


def _fitting_threshold(probabilities: EdgeProbabilities, n_edges: float) -> float:
    """Return the probability at which the graph, without its dead paths, has nearest to ``n_edges`` edges, and some."""
    levels = np.unique(probabilities.probability[probabilities.probability > 0])
    low, high = 0, len(levels) - 1  # fewer edges remain at every higher level
    while low < high:
        middle = (low + high + 1) // 2
        if _likely(probabilities, levels[middle]).ecount() >= n_edges:
            low = middle
        else:
            high = middle - 1
    choices = [
        (abs(count - n_edges), level)
        for level in levels[low : low + 2]
        if (count := _likely(probabilities, level).ecount())
    ]
    return float(min(choices)[1]) if choices else math.nan


def _likely(probabilities: EdgeProbabilities, threshold: float) -> igraph.Graph:
    matrix = probabilities.probability
    edges = np.argwhere((matrix >= threshold) & (matrix > 0))
    n_nodes = len(probabilities.names)
    graph = igraph.Graph(n=n_nodes, edges=edges.tolist(), directed=True)
    graph.vs[NAME], graph.vs[STAGE] = probabilities.names, probabilities.stage.tolist()
    graph.es[WEIGHT] = matrix[edges[:, 0], edges[:, 1]].tolist()
    graph.delete_vertices(np.flatnonzero(~live_nodes(graph, [0], [n_nodes - 1])).tolist())
    return graph


def _shared_facts(graphs: Sequence[igraph.Graph]) -> dict[str, Any]:
    facts = [provenance(graph) for graph in graphs]
    return {
        key: facts[0][key]
        for key in (*_INHERITED, *_REPORTED)
        if key in facts[0] and all(key in fact and fact[key] == facts[0][key] for fact in facts)
    }
