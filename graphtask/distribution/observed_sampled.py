"""Metrics of observed graphs next to those of graphs sampled from their distribution."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.features.precision import is_constant, numerical_errors
from graphtask.features.samples import Graph, as_graphs
from graphtask.metrics.table import measure_all
from graphtask.types import FloatArray
from graphtask.validation import invalid

if TYPE_CHECKING:
    import pandas as pd


def compare_metrics(
    observed: "Iterable[Graph] | pd.DataFrame",
    sampled: "Iterable[Graph] | pd.DataFrame",
    *,
    metrics: str | Sequence[str] = "paper",
) -> "pd.DataFrame":
    """Return the metrics of observed graphs next to those of graphs sampled from their distribution.

    The p-value is that of the two-sample Kolmogorov-Smirnov test, which detects differences of the spread as well as of
    the mean. It is right for graphs that the distribution was not fitted to; for others it is too large, and
    `GraphDistribution.goodness_of_fit` allows for that. To compare two sets of *observed* graphs, use
    `graphtask.inference`.

    Args:
        observed: Graphs, or their table of metrics (`measure_all`).
        sampled: The same of sampled graphs.
        metrics: A set of metrics, or names; only for graphs.

    Returns:
        One row for each metric that is a number in both tables: ``metric``; ``observed_mean``, ``observed_std`` (with
        n − 1; NaN for fewer than two graphs); ``sampled_mean``, ``sampled_std``; ``standardized_difference``, the
        difference sampled − observed in pooled standard deviations (NaN where neither varies and the means differ; 0
        if all values are equal up to the numerical error of the metric);
        ``p_value``; ``n_observed`` and ``n_sampled``, the numbers of graphs for which it is finite.

    Raises:
        ArgumentError: One of the two is empty, or a metric is unknown.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(8, seed=seed) for seed in range(5)]
        >>> sampled = gt.GraphDistribution.fit(graphs, correspond=True).sample(20, seed=0)
        >>> table = gt.GraphDistribution.compare_metrics(graphs, sampled, metrics=["nodes", "edges"])
        >>> table["metric"].tolist(), table["n_sampled"].tolist()
        (['nodes', 'edges'], [20, 20])

    Source:
        Posterior predictive checks: Gelman et al., Bayesian Data Analysis, chapter 6. Standardized difference: Cohen's d.
    """
    import pandas as pd

    ours, theirs = (
        _table(graphs, metrics, name) for graphs, name in ((observed, "observed"), (sampled, "sampled"))
    )
    columns = [column for column in ours.columns if column in theirs.columns]
    numeric = [column for column in columns if _is_numeric(ours[column]) and _is_numeric(theirs[column])]
    errors = numerical_errors(numeric).tolist()
    rows = zip(numeric, errors, strict=True)
    return pd.DataFrame(
        [_row(str(column), _finite(ours[column]), _finite(theirs[column]), error) for column, error in rows]
    )


def _table(
    graphs: "Iterable[Graph] | pd.DataFrame", metrics: str | Sequence[str], name: str
) -> "pd.DataFrame":
    import pandas as pd

    table = (
        graphs
        if isinstance(graphs, pd.DataFrame)
        else measure_all(as_graphs(graphs, name=name), metrics=metrics)
    )
    if table.empty:
        raise invalid(name, "a non-empty list of graphs, or table", "nothing")
    return table


def _is_numeric(column: "pd.Series[Any]") -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column) or is_bool_dtype(column))


def _finite(column: "pd.Series[Any]") -> FloatArray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(values[np.isfinite(values)])


def _row(metric: str, observed: FloatArray, sampled: FloatArray, error: float) -> dict[str, Any]:
    from scipy.stats import ks_2samp

    means = [float(values.mean()) if len(values) else math.nan for values in (observed, sampled)]
    spreads = [float(values.std(ddof=1)) if len(values) > 1 else math.nan for values in (observed, sampled)]
    compared = len(observed) and len(sampled)
    return {
        "metric": metric,
        "observed_mean": means[0],
        "observed_std": spreads[0],
        "sampled_mean": means[1],
        "sampled_std": spreads[1],
        "standardized_difference": _difference(observed, sampled, error),
        "p_value": float(ks_2samp(observed, sampled, method="auto").pvalue) if compared else math.nan,
        "n_observed": len(observed),
        "n_sampled": len(sampled),
    }


def _difference(observed: FloatArray, sampled: FloatArray, error: float) -> float:
    """Return sampled minus observed mean, in pooled standard deviations."""
    freedom = len(observed) + len(sampled) - 2
    if not (len(observed) and len(sampled) and freedom > 0):
        return math.nan
    if is_constant(np.concatenate([observed, sampled])[:, None], errors=error)[0]:
        return 0.0
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in (observed, sampled))
    difference = float(sampled.mean() - observed.mean())
    if squares == 0:
        return 0.0 if difference == 0 else math.nan
    return difference / math.sqrt(squares / freedom)
