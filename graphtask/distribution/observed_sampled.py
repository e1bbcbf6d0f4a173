"""Does a distribution give graphs like those that it was fitted to? Their metrics side by side."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.metrics.table import measure_all
from graphtask.types import FloatArray

if TYPE_CHECKING:
    import igraph
    import pandas as pd


def compare_metrics(
    observed: "Iterable[igraph.Graph] | pd.DataFrame",
    sampled: "Iterable[igraph.Graph] | pd.DataFrame",
    *,
    metrics: str | Sequence[str] = "paper",
) -> "pd.DataFrame":
    """The metrics of observed graphs beside those of graphs that were sampled from their distribution.

    The p-value is that of the two-sample Kolmogorov-Smirnov test, which sees differences of the spread as well as of
    the mean. It is right for graphs that the distribution has not seen; for those that it was fitted to it is too large,
    and `goodness_of_fit` has one that allows for that. To test whether two sets of *observed* graphs differ, use the
    tests of this package.

    Args:
        observed: Graphs, or their table of metrics (`measure_all`).
        sampled: The same of sampled graphs.
        metrics: A set of metrics, or names; only for graphs.

    Returns:
        One row for each metric that is a number in both tables: ``metric``; ``observed_mean``, ``observed_std`` (with
        n − 1; NaN for fewer than two graphs); ``sampled_mean``, ``sampled_std``; ``standardized_difference``, the
        difference sampled − observed in pooled standard deviations (NaN where neither varies and the means differ);
        ``p_value``; ``n_observed`` and ``n_sampled``, the numbers of graphs for which it is finite.

    Raises:
        ArgumentError: One of the two is empty, or a metric is unknown.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(20, seed=seed) for seed in range(10)]
        >>> sampled = gt.GraphDistribution.fit(graphs).sample(20, seed=0)
        >>> table = gt.compare_metrics(graphs, sampled, metrics=["nodes", "edges"])
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
    return pd.DataFrame(
        [_row(str(column), _finite(ours[column]), _finite(theirs[column])) for column in numeric]
    )


def _table(
    graphs: "Iterable[igraph.Graph] | pd.DataFrame", metrics: str | Sequence[str], name: str
) -> "pd.DataFrame":
    import pandas as pd

    table = graphs if isinstance(graphs, pd.DataFrame) else measure_all(graphs, metrics=metrics)
    if table.empty:
        raise ArgumentError(f"there are no {name} graphs to compare")
    return table


def _is_numeric(column: "pd.Series[Any]") -> bool:
    return column.dtype.kind in "biuf"


def _finite(column: "pd.Series[Any]") -> FloatArray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(values[np.isfinite(values)])


def _row(metric: str, observed: FloatArray, sampled: FloatArray) -> dict[str, Any]:
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
        "standardized_difference": _difference(observed, sampled),
        "p_value": float(ks_2samp(observed, sampled, method="auto").pvalue) if compared else math.nan,
        "n_observed": len(observed),
        "n_sampled": len(sampled),
    }


def _difference(observed: FloatArray, sampled: FloatArray) -> float:
    """Sampled minus observed mean, in pooled standard deviations."""
    freedom = len(observed) + len(sampled) - 2
    if not (len(observed) and len(sampled) and freedom > 0):
        return math.nan
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in (observed, sampled))
    difference = float(sampled.mean() - observed.mean())
    if squares == 0:
        return 0.0 if difference == 0 else math.nan
    return difference / math.sqrt(squares / freedom)
