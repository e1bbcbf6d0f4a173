"""Goodness of fit of a distribution to the graphs that it was fitted to: parametric bootstrap.

Sampled graphs resemble the observed ones also because the distribution was fitted to these. The size of the
difference that remains is found by repeating everything with graphs that do come from such a distribution: as many are
drawn from the fit, a distribution is fitted to them, graphs are sampled from it, and their metrics are compared.
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
    support_of,
)
from graphtask.distribution.observed_sampled import compare_metrics
from graphtask.distribution.sampling import draw_graphs
from graphtask.features.precision import is_constant, numerical_errors
from graphtask.features.samples import Graph, as_graphs
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


class _Round(NamedTuple):
    """Graphs, and samples of the distribution fitted to them."""

    fit: GraphDistribution
    observed: list[igraph.Graph]
    sampled: list[igraph.Graph]


@dataclass(frozen=True, kw_only=True)
class _Bootstrap:
    """All rounds: the first one with the observed graphs, all others with graphs drawn from its fit."""

    graphs: Sequence[igraph.Graph]
    options: "tuple[Correspond, Shrinkage, Graph | None]"
    n_refits: int
    n_sampled: int
    seed: int
    log_prob: list[float] = field(default_factory=list)
    """ln P of every graph under the fit of its round, but for the constant ln Z of the round."""

    def rounds(self) -> Iterator[_Round]:
        correspond, shrinkage, initial = self.options
        support = support_of(self.graphs, correspond=correspond, initial=initial)
        strength = strength_of(shrinkage)
        seeds = np.random.Generator(np.random.PCG64([self.seed, 1])).integers(
            2**62, size=(self.n_refits + 1, 2)
        )
        first = fitted(self.graphs, support, strength=strength)
        fit, observed = first, list(self.graphs)
        for number, (own_seed, seed) in enumerate(seeds.tolist()):
            if number > 0:
                observed = _drawn(first, len(self.graphs), seed=own_seed)
                fit = fitted(observed, support, strength=strength, start=first.tilt)
            yield _Round(fit, observed, _drawn(fit, self.n_sampled, seed=seed))

    def members(self) -> Iterator[igraph.Graph]:
        """Yield the graphs of all rounds, observed before sampled."""
        for fit, observed, sampled in self.rounds():
            for graph in (*observed, *sampled):
                self.log_prob.append(fit.log_prob_before_conditioning(graph)[0])
                yield graph


def goodness_of_fit(
    graphs: Iterable[Graph],
    *,
    metrics: str | Sequence[str] = "paper",
    correspond: Correspond = "auto",
    shrinkage: Shrinkage = "auto",
    initial: "Graph | None" = None,
    n_refits: int = 99,
    n_sampled: int | None = None,
    seed: int = 0,
) -> "pd.DataFrame":
    """Test if graphs could come from a distribution of the kind that `GraphDistribution.fit` fits to them.

    For each metric, and for ln P, the observed graphs are compared with samples of the distribution fitted to them, by
    the mean square of the difference between both cumulative distributions (Cramér and von Mises). The p-value is the
    share of ``n_refits`` + 1 rounds with a difference at least as large: the observed one, and those in which as many
    graphs were drawn from the fit, refitted and sampled from; where nodes correspond, refits keep the possible nodes
    and edges of the observed graphs. So it allows for the fit to these graphs, which the p-values of `compare_metrics`
    do not. It is exact only as far as the fit is the truth, as always with a parametric bootstrap; docs/testing.md
    has the rejection rates of true models.

    A small p-value means that graphs of the fit differ from the observed ones in this metric. A large one with few
    graphs is weak evidence of a good fit.

    Args:
        graphs: Valid graphs, at least one.
        metrics: A set of metrics, or names.
        correspond: As for `GraphDistribution.fit`, like the next two.
        shrinkage: As there.
        initial: As there.
        n_refits: Rounds of the bootstrap, at least 1. With 99 the smallest p-value is 0.01.
        n_sampled: Graphs sampled from each fit; by default as many as observed, and at least 50.
        seed: Random seed.

    Returns:
        One row for each metric that is a number, and ``log_prob``: the columns of `compare_metrics`, but with
        ``p_value`` as above, ``p_westfall_young`` (corrected for the number of metrics by the largest difference of
        each round), and ``n_refits``. P-values are NaN for a metric that is constant (up to its numerical error), or
        undefined for all observed or all sampled graphs.

    Raises:
        ArgumentError: There is no graph, or an option is invalid.
        GraphError: A graph is not valid, or the nodes do not correspond.
        DisconnectedError: No valid graph has a positive probability.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.priors.erdos_renyi_dag(6, p=0.4, seed=seed) for seed in range(6)]
        >>> options = {"correspond": True, "metrics": ["edges"], "n_refits": 4}
        >>> found = gt.GraphDistribution.goodness_of_fit(graphs, **options)
        >>> found["metric"].tolist(), bool(found["p_value"].between(0, 1).all())
        (['edges', 'log_prob'], True)

    Source:
        Stute, González Manteiga & Presedo Quindimil, Bootstrap based goodness-of-fit-tests, Metrika 40 (1993); Davison
        & Hinkley, Bootstrap Methods and their Application (1997), chapter 4.
    """
    members = checked_graphs(as_graphs(graphs, name="graphs"))
    n_refits = integer(n_refits, name="n_refits", least=1)
    n_sampled = max(len(members), _LEAST_SAMPLED) if n_sampled is None else n_sampled
    bootstrap = _Bootstrap(
        graphs=members,
        options=(correspond, shrinkage, initial),
        n_refits=n_refits,
        n_sampled=integer(n_sampled, name="n_sampled", least=1),
        seed=integer(seed, name="seed", least=0),
    )
    measured = measure_all(bootstrap.members(), metrics=metrics)
    measured[LOG_PROB] = bootstrap.log_prob
    n, size = len(members), len(members) + bootstrap.n_sampled
    table = compare_metrics(measured.iloc[:n], measured.iloc[n:size])
    columns = measured[table["metric"]].to_numpy(dtype=np.float64, na_value=np.nan)
    constant = is_constant(columns, errors=numerical_errors(list(table["metric"])))
    values = columns.reshape(1 + n_refits, size, -1)
    gaps = np.stack([_gaps(own[:n], own[n:]) for own in values])
    known = ((table["n_observed"] > 0) & (table["n_sampled"] > 0)).to_numpy()
    differs = known & gaps.any(axis=0) & ~constant
    table["p_value"] = np.where(differs, p_values(gaps, rounding=ROUNDING), np.nan)
    table["p_westfall_young"] = np.nan
    table.loc[differs, "p_westfall_young"] = westfall_young(gaps[:, differs])
    table["n_refits"] = n_refits
    return table


def _drawn(fit: GraphDistribution, n: int, *, seed: int) -> list[igraph.Graph]:
    graphs = list(draw_graphs(fit.conditioned_model, fit.sampling_plan, n, seed=seed))
    for graph in graphs:
        graph[PROVENANCE] = dict(fit.facts)
    return graphs


def _gaps(observed: FloatArray, sampled: FloatArray) -> FloatArray:
    """Return the mean square of the difference between the cumulative distributions, of every column.

    Undefined values count as smaller than all others.

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
