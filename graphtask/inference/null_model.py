"""Tests of the metrics of one graph against random graphs with the same degrees, order and, on request, stages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.features.precision import is_constant, numerical_errors
from graphtask.graph import provenance
from graphtask.inference.multiple import holm, westfall_young
from graphtask.inference.permutations import ROUNDING, p_values
from graphtask.inference.univariate import exclusions
from graphtask.metrics.registry import all_metrics
from graphtask.metrics.table import measure_all
from graphtask.priors.randomize import Mixing, Preserve, randomize
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.types import FloatArray
from graphtask.validation import integer

if TYPE_CHECKING:
    import pandas as pd


def null_model_tests(
    graph: GraphLike,
    *,
    metrics: str | Sequence[str] = "paper",
    n_nulls: int = 200,
    preserve: Preserve = "degree",
    seed: int = 0,
    **options: Any,
) -> "pd.DataFrame":
    """Compare every metric of a graph with its values in random graphs of the same degrees (`graphtask.priors.randomize`).

    The p-value is two-sided: (1 + r)/(1 + n), with r the number of the n random graphs whose value is at least as far
    from the mean over all n + 1 graphs as the observed one. It is the probability of a value this extreme if the graph
    were drawn from the null model like the others.

    Metrics that are undefined for any of the graphs, the same for all of them, texts, or that read weights (of which the
    null model has none) are not tested and do not count in the corrections; ``excluded`` has the reason.

    Args:
        graph: A valid architecture graph, or a graph object of another library.
        metrics: A set of metrics such as ``"motifs"``, or names; as in `graphtask.measure`.
        n_nulls: Number of random graphs; the smallest possible p-value is 1/(n_nulls + 1).
        preserve: ``"degree"`` keeps the in- and out-degree of every vertex and the order of the vertices; ``"stage"``
            also the number of edges of every vertex to and from each stage.
        seed: Random seed of the null model.
        **options: Other arguments of `graphtask.measure`, such as ``channels``.

    Returns:
        A row for each metric: ``observed``; ``null_mean`` and ``null_sd`` over the random graphs; ``z``, the
        difference from the mean in standard deviations, NaN if the random graphs have one value; ``p_value``;
        ``p_holm`` and ``p_westfall_young``, corrected for the number of metrics. The latter accounts for their
        dependence and can be small with few random graphs, where Holm's cannot: it is at least 1/(n_nulls + 1), Holm's
        as many times that as there are metrics. ``table.attrs["mixing"]`` has the check of the Markov chain.

    Raises:
        GraphError: The graph breaks a rule of the architecture graph.
        ArgumentError: An argument is out of range, or a metric is unknown.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.random_dag(30, seed=1)
        >>> table = gt.inference.null_model_tests(graph, metrics=["edges", "motif_01_02_12"], n_nulls=99)
        >>> table[["metric", "observed", "null_mean", "p_value", "excluded"]].round(2).values.tolist()
        [['edges', 84.0, 84.0, nan, 'the same for all graphs'], ['motif_01_02_12', 50.0, 48.91, 0.67, '']]
        >>> table.attrs["mixing"]["is_mixed"]
        True

    Source:
        R. Milo et al., Science 298, 824 (2002); p-values: J. Besag & P. Clifford, Biometrika 76, 633 (1989); B. Phipson
        & G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9, 39 (2010).
    """
    import pandas as pd

    graph = as_igraph(graph)
    nulls = randomize(graph, integer(n_nulls, name="n_nulls", least=2), preserve=preserve, seed=seed)
    table = measure_all([graph, *nulls], metrics=metrics, **options)
    columns = [str(column) for column in table.columns]
    values = np.column_stack([_numbers(table[column]) for column in columns])
    errors = numerical_errors(columns)
    reasons = [
        _reason(column) or reason
        for column, reason in zip(columns, exclusions(values, errors=errors), strict=True)
    ]
    p = np.full((2, len(reasons)), np.nan)
    tested = np.flatnonzero([not reason for reason in reasons])
    if len(tested):
        p[:, tested] = _p_values(values[:, tested], errors[tested])
    result = pd.DataFrame({"metric": columns, **_described(values, errors)})
    result["p_value"], result["p_holm"], result["p_westfall_young"] = p[0], holm(p[0]), p[1]
    result["excluded"] = reasons
    facts = provenance(nulls[0])["randomized"]
    result.attrs["mixing"] = {name: facts[name] for name in Mixing._fields}
    return result


def _numbers(column: "pd.Series[Any]") -> FloatArray:
    """Return the values as floats; NaN for text."""
    import pandas as pd

    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def _reason(column: str) -> str:
    """Return why a metric cannot be tested against any null model; empty if it can."""
    for metric in all_metrics():
        if metric.column == column:
            if metric.reads_weights:
                return "it reads weights, of which the null model has none"
            return "its values are texts" if metric.kind == "text" else ""
    return ""


def _p_values(values: FloatArray, errors: FloatArray) -> FloatArray:
    """Return single and adjusted p-values, shape (2, metrics), of values whose first row is the observed one."""
    distances = np.abs(values - values.mean(axis=0))
    rounding = np.maximum(errors, ROUNDING * np.abs(values).max(axis=0))
    return np.stack([p_values(distances, rounding=rounding), westfall_young(distances)])


def _described(values: FloatArray, errors: FloatArray) -> dict[str, FloatArray]:
    """Return the observed values, mean and deviation of the others, and z; NaN where a value is undefined."""
    known = np.where(np.isfinite(values).all(axis=0), values, np.nan)
    mean, sd = known[1:].mean(axis=0), known[1:].std(axis=0, ddof=1)
    sd = np.where(is_constant(known[1:], errors=errors) & np.isfinite(sd), 0.0, sd)
    z = (known[0] - mean) / np.where(sd > 0, sd, np.nan)
    return {"observed": values[0], "null_mean": mean, "null_sd": sd, "z": z}
