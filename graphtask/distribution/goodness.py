"""Does a distribution fit the graphs that it was fitted to? A check that knows about the fitting: parametric bootstrap.

Sampled graphs resemble the observed ones also because the distribution was fitted to these. How much of a difference
that leaves is found by doing everything again with graphs that do come from such a distribution: as many are drawn
from the fit, a distribution is fitted to them, graphs are sampled from it, and their metrics are compared.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.model import (
    Correspond,
    GraphDistribution,
    Shrinkage,
    checked_graphs,
    fitted,
    strength_of,
    universe_of,
)
from graphtask.distribution.observed_sampled import compare_metrics
from graphtask.distribution.pair_model import Nodes
from graphtask.distribution.sampling import calibrated_shift, sample_graph
from graphtask.graph import PROVENANCE
from graphtask.inference.multiple import westfall_young
from graphtask.inference.permutations import ROUNDING, p_values
from graphtask.metrics.table import measure_all
from graphtask.types import FloatArray
from graphtask.validation import integer

if TYPE_CHECKING:
    import pandas as pd

LOG_PROB = "log_prob"
_LEAST_SAMPLED = 50
_TRIALS = 64  # of the shift of a refit, whose error is small beside that of so few graphs


class _Round(NamedTuple):
    """Graphs, and samples of the distribution that was fitted to them."""

    fit: GraphDistribution
    observed: list[igraph.Graph]
    sampled: list[igraph.Graph]


@dataclass(frozen=True, kw_only=True)
class _Bootstrap:
    """All rounds; the first one is of the observed graphs, and all others of graphs drawn from its fit."""

    graphs: Sequence[igraph.Graph]
    options: tuple[Correspond, Nodes, Shrinkage, igraph.Graph | None]
    n_refits: int
    n_sampled: int
    seed: int
    log_prob: list[float] = field(default_factory=list)
    """Of every graph of the rounds that were looked at, under the fit of its round."""

    def rounds(self) -> Iterator[_Round]:
        correspond, nodes, shrinkage, initial = self.options
        universe = universe_of(self.graphs, correspond=correspond, initial=initial)
        strength = strength_of(shrinkage)
        rng = np.random.Generator(np.random.PCG64([self.seed, 1]))
        fit = first = fitted(self.graphs, universe, nodes=nodes, strength=strength)
        shift = first_shift = _shift(first)
        observed = list(self.graphs)
        for number in range(1 + self.n_refits):
            if number > 0:
                observed = _drawn(first, len(self.graphs), shift=first_shift, rng=rng)
                fit = fitted(observed, universe, nodes=nodes, strength=strength)
                shift = _shift(fit)
            yield _Round(fit, observed, _drawn(fit, self.n_sampled, shift=shift, rng=rng))

    def members(self) -> Iterator[igraph.Graph]:
        """The graphs of all rounds, observed before sampled."""
        for fit, observed, sampled in self.rounds():
            for graph in (*observed, *sampled):
                self.log_prob.append(fit.log_prob(graph))
                yield graph


def goodness_of_fit(
    graphs: Iterable[igraph.Graph],
    *,
    metrics: str | Sequence[str] = "paper",
    correspond: Correspond = "auto",
    nodes: Nodes = "present",
    shrinkage: Shrinkage = "auto",
    initial: igraph.Graph | None = None,
    n_refits: int = 99,
    n_sampled: int | None = None,
    seed: int = 0,
) -> "pd.DataFrame":
    """Whether graphs could come from a distribution of the kind that `GraphDistribution.fit` fits to them.

    For each metric, and for ln P, the observed graphs are compared with samples of the distribution that was fitted to
    them, by the mean square of the difference between both cumulated distributions (Cramér and von Mises). The p-value
    is the share of ``n_refits`` + 1 rounds with a difference at least as large: the observed one, and those in which
    as many graphs were drawn from the fit and then treated in the same way, refitted and sampled from; where nodes
    correspond, refits keep the universe of the observed graphs (nodes, and edges that may be there) instead of finding
    their own. So it allows for the fit having seen the graphs, which the p-values of `compare_metrics` do not. It is
    exact only as far as the fit is the truth, as always with a parametric bootstrap; docs/testing.md has how often it
    rejects a true model (ln P does so too often where graphs are few).

    A small p-value says that graphs of the fit differ from the observed ones in this metric. A large one with few
    graphs says little.

    Args:
        graphs: Valid graphs, at least one.
        metrics: A set of metrics, or names.
        correspond: As in `GraphDistribution.fit`, like the next three.
        nodes: As there.
        shrinkage: As there.
        initial: As there.
        n_refits: How often it is done again, at least 1. With 99 the smallest p-value is 0.01.
        n_sampled: Graphs that are sampled from each fit; by default as many as there are, and at least 50.
        seed: Of everything drawn.

    Returns:
        One row for each metric that is a number, and ``log_prob``: the columns of `compare_metrics`, but with
        ``p_value`` as said, ``p_westfall_young`` (corrected for the number of metrics by the largest difference of
        each round), and ``n_refits``. P-values are NaN for a metric that is the same for all graphs, or that none of the
        observed or of the sampled ones has.

    Raises:
        ArgumentError: There is no graph, or an option does not work.
        GraphError: A graph is not valid, or they shall correspond and do not.
        DisconnectedError: The distribution is so thin that input and output are never connected.

    Example:
        >>> import graphtask as gt
        >>> one_density = [gt.erdos_renyi_dag(12, p=0.4, seed=seed) for seed in range(8)]
        >>> two = one_density[:4] + [gt.erdos_renyi_dag(12, p=0.8, seed=seed) for seed in range(4)]
        >>> for graphs in (one_density, two):
        ...     found = gt.goodness_of_fit(graphs, metrics=["edges"], correspond=False, n_refits=19)
        ...     found.set_index("metric").loc["edges", "p_value"] <= 0.05
        np.False_
        np.True_

    Source:
        Stute, González Manteiga & Presedo Quindimil, Bootstrap based goodness-of-fit-tests, Metrika 40 (1993); Davison
        & Hinkley, Bootstrap Methods and their Application (1997), chapter 4.
    """
    members = checked_graphs(graphs)
    n_refits = integer(n_refits, name="n_refits", least=1)
    n_sampled = max(len(members), _LEAST_SAMPLED) if n_sampled is None else n_sampled
    bootstrap = _Bootstrap(
        graphs=members,
        options=(correspond, nodes, shrinkage, initial),
        n_refits=n_refits,
        n_sampled=integer(n_sampled, name="n_sampled", least=1),
        seed=integer(seed, name="seed", least=0),
    )
    measured = measure_all(bootstrap.members(), metrics=metrics)
    measured[LOG_PROB] = bootstrap.log_prob
    n, size = len(members), len(members) + bootstrap.n_sampled
    table = compare_metrics(measured.iloc[:n], measured.iloc[n:size])
    values = measured[table["metric"]].to_numpy(dtype=np.float64).reshape(1 + n_refits, size, -1)
    gaps = np.stack([_gaps(own[:n], own[n:]) for own in values])
    known = ((table["n_observed"] > 0) & (table["n_sampled"] > 0)).to_numpy()
    differs = known & gaps.any(axis=0)
    table["p_value"] = np.where(differs, p_values(gaps, rounding=ROUNDING), np.nan)
    table["p_westfall_young"] = np.nan
    table.loc[differs, "p_westfall_young"] = westfall_young(gaps[:, differs])
    table["n_refits"] = n_refits
    return table


def _shift(fit: GraphDistribution) -> float:
    return calibrated_shift(fit.model.draw, mean_edges=fit.mean_edges, n_trials=_TRIALS)


def _drawn(fit: GraphDistribution, n: int, *, shift: float, rng: np.random.Generator) -> list[igraph.Graph]:
    graphs = [sample_graph(fit.model.draw, shift=shift, rng=rng).graph for _ in range(n)]
    for graph in graphs:
        graph[PROVENANCE] = dict(fit.facts)
    return graphs


def _gaps(observed: FloatArray, sampled: FloatArray) -> FloatArray:
    """The mean square of the difference between the cumulated distributions, of every column.

    What is undefined counts as smaller than everything else.

    Args:
        observed: Shape (graphs, metrics).
        sampled: Shape (others, metrics).

    Example:
        >>> _gaps(np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]])).tolist()
        [0.1875]
    """
    found = np.empty(observed.shape[1])
    for column, both in enumerate(zip(_ordered(observed).T, _ordered(sampled).T, strict=True)):
        at = np.concatenate(both)
        first, second = (np.searchsorted(np.sort(own), at, side="right") / len(own) for own in both)
        found[column] = np.square(first - second).mean()
    return found


def _ordered(values: FloatArray) -> FloatArray:
    return np.where(np.isnan(values), -np.inf, values)
