"""Tests of single metrics between two sets of graphs, with effect sizes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.stats import rankdata

from graphtask.features.precision import is_constant
from graphtask.features.samples import Pooled, Sample, pool
from graphtask.inference.effects import cliffs_delta, hedges_g
from graphtask.inference.multiple import holm, westfall_young
from graphtask.inference.permutations import (
    ROUNDING,
    Permutations,
    null_distribution,
    p_values,
    permutations_of,
)
from graphtask.inference.power import power
from graphtask.types import FloatArray
from graphtask.validation import choice, number

if TYPE_CHECKING:
    import pandas as pd

Score = Literal["mean", "rank"]


def metric_tests(
    a: Sample,
    b: Sample,
    *,
    paired: bool = False,
    statistic: Score = "mean",
    features: Sequence[str] | None = None,
    n_permutations: int = 9_999,
    seed: int = 0,
    confidence: float = 0.95,
) -> "pd.DataFrame":
    """Test every metric by permutation, two-sided, corrected for their number, with effect sizes.

    ``mean`` compares the means, as in Tables 1 and 2 of the paper. It has full power with a handful of graphs, where
    division by estimated variances costs power. ``rank`` is the Mann-Whitney test (paired: Wilcoxon's
    signed-rank test), with the exact distribution for ties: better with outliers. Both test that the metric has the
    same distribution in both sets; with unequal variances and sizes a small p-value of ``mean`` does not imply
    different means.

    Metrics that are undefined for any graph, or constant up to their numerical error, are not tested and do not count
    in the corrections; ``excluded`` has the reason. It depends on the pooled sample only, so the corrections are valid.

    Args:
        a: Graphs, or a table of their features (`graphtask.measure_all`), or an array of shape (graphs, features).
        b: The other set, of the same kind. At least 2 graphs each.
        paired: ``a[i]`` and ``b[i]`` are partners.
        statistic: ``mean`` or ``rank``.
        features: Metrics or columns to test; by default the 15 metrics of the paper's Tables 1 and 2.
        n_permutations: Random permutations, at least 1; all are used if they are no more than these.
        seed: Random seed of the permutations.
        confidence: Level of the intervals, from 0.5 to 0.9999.

    Returns:
        A row for each metric. ``difference``, ``hedges_g`` and ``cliffs_delta`` are above 0 if a's values are larger,
        with intervals in ``…_low`` and ``…_high`` (for each metric, not simultaneous). ``p_holm`` is Holm's
        correction of ``p_value``; ``p_westfall_young`` bounds the same probability of any false rejection and can be
        small with few graphs, where Holm's cannot: 5 against 5 have 252 permutations, so ``p_holm`` of 15 metrics is
        at least 15·2/252 = 0.12, the other at least 2/252. Choose one of them beforehand. ``least_p`` is the smallest
        attainable ``p_value``, and ``power`` that for means one standard deviation apart (`graphtask.inference.power`).

    Raises:
        ArgumentError: An argument is out of range, or the sets cannot be compared.

    Example:
        >>> import graphtask as gt
        >>> sparse = [gt.priors.erdos_renyi_dag(20, p=0.2, seed=seed) for seed in range(6)]
        >>> dense = [gt.priors.erdos_renyi_dag(20, p=0.4, seed=seed) for seed in range(6, 12)]
        >>> table = gt.inference.metric_tests(sparse, dense, features=["nodes", "mean_degree"])
        >>> table[["metric", "cliffs_delta", "p_value", "excluded"]].round(4).values.tolist()
        [['nodes', 0.0, nan, 'the same for all graphs'], ['mean_degree', -1.0, 0.0022, '']]
    """
    choice(statistic, name="statistic", choices=get_args(Score))
    confidence = number(confidence, name="confidence", least=0.5, most=0.9999)
    pooled = pool(a, b, features=features)
    permutations = permutations_of(
        pooled.n_a, pooled.n_b, paired=paired, n_permutations=n_permutations, seed=seed
    )
    reasons = exclusions(pooled.matrix, errors=pooled.errors)
    tested = np.flatnonzero([not reason for reason in reasons])
    scores = np.stack(
        [_scores(pooled.matrix[:, column], permutations, statistic) for column in tested] or [np.zeros(0)],
        axis=-1,
    )
    p = np.full((2, len(reasons)), np.nan)
    if len(tested):
        null = null_distribution(lambda members: np.abs(members @ scores), permutations=permutations)
        p[0, tested] = p_values(null, rounding=ROUNDING * np.abs(scores).sum(axis=0))
        p[1, tested] = westfall_young(null)
    return _table(pooled, permutations, reasons, p, confidence)


def exclusions(values: FloatArray, *, errors: FloatArray | float = 0.0) -> list[str]:
    """Return the reason why a column is not tested, or an empty text, for columns of shape (graphs, metrics)."""
    reasons = []
    for column, same in zip(values.T, is_constant(values, errors=errors).tolist(), strict=True):
        n_missing = int((~np.isfinite(column)).sum())
        if n_missing:
            reasons.append(f"undefined for {n_missing} of {len(column)} graphs")
        else:
            reasons.append("the same for all graphs" if same else "")
    return reasons


def _scores(column: FloatArray, permutations: Permutations, statistic: Score) -> FloatArray:
    """Return numbers whose sum over the first set is the statistic, 0 on average."""
    if statistic == "mean":
        return np.asarray(column - column.mean(), dtype=np.float64)
    if not permutations.paired:
        return np.asarray(rankdata(column) - (len(column) + 1) / 2, dtype=np.float64)
    differences = column[: permutations.n_a] - column[permutations.n_a :]
    equal = np.abs(differences) <= 1e-12 * np.abs(column).max()
    signed = np.zeros_like(differences)
    signed[~equal] = np.sign(differences[~equal]) * rankdata(np.abs(differences[~equal]))
    return np.asarray(np.concatenate([signed, -signed]) / 2, dtype=np.float64)


def _table(
    pooled: Pooled, permutations: Permutations, reasons: list[str], p: FloatArray, confidence: float
) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for name, column, reason, p_value, p_joint in zip(
        pooled.names, pooled.matrix.T, reasons, *p.tolist(), strict=True
    ):
        row = {"metric": name, "n_a": pooled.n_a, "n_b": pooled.n_b}
        row |= _description(
            column[: pooled.n_a], column[pooled.n_a :], paired=permutations.paired, confidence=confidence
        )
        rows.append(
            row | {"p_value": p_value, "p_holm": np.nan, "p_westfall_young": p_joint, "excluded": reason}
        )
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p_value"])
    table["n_permutations"], table["exact"] = permutations.n_drawn, permutations.exact
    table["least_p"], table["power"] = permutations.least_p, power(permutations)
    return table


def _description(a: FloatArray, b: FloatArray, *, paired: bool, confidence: float) -> dict[str, Any]:
    """Return means, spreads and effect sizes of one metric; NaN if it is undefined for some graph."""
    row: dict[str, Any] = {}
    for name, values in (("a", a), ("b", b)):
        whole = bool(np.isfinite(values).all())
        row[f"mean_{name}"] = float(values.mean()) if whole else np.nan
        row[f"sd_{name}"] = float(values.std(ddof=1)) if whole else np.nan
    row["difference"] = row["mean_a"] - row["mean_b"]
    for name, effect in (("hedges_g", hedges_g), ("cliffs_delta", cliffs_delta)):
        known = np.isfinite(row["difference"])
        found = effect(a, b, paired=paired, confidence=confidence) if known else (np.nan, np.nan, np.nan)
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))
    return row
