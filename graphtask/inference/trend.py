"""Tests of metrics against ordered alternatives: a trend along an order of data sets."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.stats import rankdata

from graphtask.errors import ArgumentError
from graphtask.features.precision import numerical_errors
from graphtask.features.samples import is_frame, numeric_columns
from graphtask.inference.arrangements import Arrangements, OverAll, WithinBlocks
from graphtask.inference.multiple import holm, westfall_young
from graphtask.inference.permutations import ROUNDING, p_values
from graphtask.inference.univariate import exclusions
from graphtask.types import FloatArray, IntArray
from graphtask.validation import choice, integer, invalid

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["any", "rise", "fall"]

_SIGNS = {"rise": 1.0, "fall": -1.0}


def trend_test(
    table: "pd.DataFrame",
    *,
    by: str,
    order: Sequence[Any],
    direction: Direction | Mapping[str, Direction] = "any",
    block: str | None = None,
    features: Sequence[str] | None = None,
    n_permutations: int = 9_999,
    seed: int = 0,
) -> "pd.DataFrame":
    """Test every metric against the alternative that it rises, or falls, along an order of labels, by permutation.

    Without blocks it is the test of Jonckheere and Terpstra: the share of pairs of graphs with different labels that
    are in the order, minus the share of those against it. With ``block`` (``"seed"``: runs of all data sets with one
    seed form a block) it is Page's test: the correlation of the ranks within the blocks with the order; labels are
    exchanged within blocks only. The p-value is exact if there are no more than ``n_permutations`` permutations.

    Args:
        table: A row for each graph: metrics, and a column of labels.
        by: Column of labels (``"data"``).
        order: Labels in order, at least 2; rows with other labels are ignored.
        direction: Alternative, for all metrics or for each: ``rise``, ``fall``, or ``any`` for a two-sided test. Choose
            it before looking at the data.
        block: Column of blocks. Blocks without one of the labels are left out.
        features: Columns to test; by default those that ``direction`` names, or the paper's as far as there are.
        n_permutations: Random permutations, at least 1.
        seed: Random seed of the permutations.

    Returns:
        A row for each metric: the ``direction`` tested; ``trend`` in [−1, 1], the share of pairs in the
        order minus the share of those against it (Page: the mean of Spearman's correlations); p-values as in
        `graphtask.inference.metric_tests`; the mean for each label; the reason if a metric is ``excluded``; the numbers of graphs,
        and of ``blocks`` used and left out.

    Raises:
        ArgumentError: A column is missing, a label does not occur, or a block has a label twice.

    Example:
        >>> import graphtask as gt
        >>> graphs = [
        ...     gt.priors.erdos_renyi_dag(20, p=p, seed=seed) for p in (0.2, 0.3, 0.4) for seed in range(3)
        ... ]
        >>> table = gt.measure_all(graphs, metrics=["mean_degree"])
        >>> table["p"] = ["low"] * 3 + ["middle"] * 3 + ["high"] * 3
        >>> found = gt.inference.trend_test(
        ...     table, by="p", order=["low", "middle", "high"], features=["mean_degree"]
        ... )
        >>> found[["metric", "trend", "n_permutations", "exact"]].values.tolist()
        [['mean_degree', 1.0, 1680, True]]

    Source:
        Jonckheere, Biometrika 41 (1954); Page, JASA 58 (1963); Hollander, Wolfe & Chicken, Nonparametric statistical
        methods (2014), sections 6.2 and 7.2.
    """
    chosen, groups, n_dropped = _rows(table, by=by, order=order, block=block)
    if features is None and isinstance(direction, Mapping):
        features = list(direction)
    names = numeric_columns(chosen, features)
    directions = [_direction(direction, name) for name in names]
    values = chosen[names].to_numpy(dtype=np.float64, na_value=np.nan)
    n_permutations = integer(n_permutations, name="n_permutations", least=1)
    seed = integer(seed, name="seed", least=0)
    arrangements: Arrangements = (
        OverAll(groups)
        if block is None
        else WithinBlocks(n_labels=len(order), n_blocks=len(chosen) // len(order))
    )
    exact = arrangements.n_distinct <= n_permutations
    reasons = exclusions(values, errors=numerical_errors(names))
    tested = np.flatnonzero([not reason for reason in reasons])
    found = np.full((3, len(names)), np.nan)
    if len(tested):
        statistic = (_jonckheere if block is None else _page)(values[:, tested], groups, len(order))
        raw = np.concatenate(
            [statistic(labels) for labels in arrangements.batches(None if exact else n_permutations, seed)]
        )
        found[0, tested] = raw[0]
        sign = np.asarray([_SIGNS.get(directions[column], 0.0) for column in tested])
        null = np.where(sign == 0, np.abs(raw), sign * raw)
        found[1, tested] = p_values(null, rounding=ROUNDING)
        found[2, tested] = westfall_young(null)
    result = _table(names, directions, found, reasons)
    for label, index in zip(order, range(len(order)), strict=True):
        result[f"mean_{label}"] = _means(values[groups == index])
    result["n"], result["n_permutations"] = len(chosen), arrangements.n_distinct if exact else n_permutations
    result["exact"] = exact
    if block is not None:
        result["blocks"], result["blocks_left_out"] = len(chosen) // len(order), n_dropped
    return result


def _jonckheere(values: FloatArray, groups: IntArray, n_labels: int) -> Callable[[IntArray], FloatArray]:
    """Return (pairs in the order − pairs against it)/pairs with different labels, for labels (permutations, rows).

    Counted along the sorted values, so that time and memory are linear in the rows.
    """
    orders = np.argsort(values, axis=0, kind="stable").T
    in_order = np.take_along_axis(values, orders.T, axis=0).T
    starts, ends = (
        np.stack([np.searchsorted(column, column, side=side) for column in in_order])
        for side in ("left", "right")
    )
    sizes = np.bincount(groups, minlength=n_labels)
    n_pairs = (len(groups) ** 2 - np.square(sizes).sum()) / 2

    def statistic(labels: IntArray) -> FloatArray:
        result = np.zeros((len(labels), len(orders)))
        below = np.zeros((len(labels), len(groups) + 1), dtype=np.int32)
        for column, (order, start, end) in enumerate(zip(orders, starts, ends, strict=True)):
            sorted_labels = labels[:, order]
            for label in range(1, n_labels):
                np.cumsum(sorted_labels < label, axis=1, out=below[:, 1:])
                balance = below[:, start] + below[:, end] - below[:, -1:]
                result[:, column] += np.where(sorted_labels == label, balance, 0).sum(axis=1)
        return np.asarray(result / n_pairs, dtype=np.float64)

    return statistic


def _page(values: FloatArray, groups: IntArray, n_labels: int) -> Callable[[IntArray], FloatArray]:
    """Return the mean over the blocks of Spearman's correlation with the order, for labels (permutations, rows).

    Tied values get the mean of their ranks, and the variance of ranks without ties, as in Page's statistic L.
    """
    n_blocks = len(groups) // n_labels
    ranks = rankdata(values.reshape(n_blocks, n_labels, -1), axis=1) - (n_labels + 1) / 2
    scale = n_blocks * (n_labels**3 - n_labels) / 12
    flat = ranks.reshape(len(groups), -1) / scale
    return lambda labels: np.asarray(labels @ flat, dtype=np.float64)


def _rows(
    table: "pd.DataFrame", *, by: str, order: Sequence[Any], block: str | None
) -> tuple["pd.DataFrame", IntArray, int]:
    """Return the used rows, sorted (by block and) by label; the position of the label of each; the blocks left out."""
    if not is_frame(table):
        raise invalid(
            "table", "a table with a row for each graph", table, remedy="use graphtask.measure_all(graphs)"
        )
    for column in filter(None, (by, block)):
        if column not in table.columns:
            name = "by" if column == by else "block"
            raise invalid(name, f"a column of the table ({', '.join(map(str, table.columns))})", column)
    if len(order) < 2 or len(set(order)) < len(order):
        raise invalid("order", "at least two different labels", list(order))
    position = {label: index for index, label in enumerate(order)}
    chosen = table[table[by].isin(list(order))]
    present = set(chosen[by])
    for label in order:
        if label not in present:
            raise invalid("order", f"labels that occur in the column {by!r}", label)
    groups = chosen[by].map(position).to_numpy(dtype=np.int64)
    if block is None:
        sequence = np.argsort(groups, kind="stable")
        return chosen.iloc[sequence], groups[sequence], 0
    blocks = chosen[block].tolist()
    counts = Counter(zip(blocks, groups.tolist(), strict=True))
    twice = next((key for key, count in counts.items() if count > 1), None)
    if twice is not None:
        raise ArgumentError(
            f"block must have each label once, got {order[twice[1]]!r} {counts[twice]} times in {block} {twice[0]!r}",
            argument="block",
        )
    per_block = Counter(blocks)
    whole = {name: index for index, name in enumerate(per_block) if per_block[name] == len(order)}
    if not whole:
        raise invalid("block", f"a column with a block that has all of {', '.join(map(str, order))}", block)
    keys = [
        (whole[name], group, row)
        for row, (name, group) in enumerate(zip(blocks, groups, strict=True))
        if name in whole
    ]
    sequence = np.asarray([row for _, _, row in sorted(keys)])
    return chosen.iloc[sequence], groups[sequence], len(per_block) - len(whole)


def _direction(direction: Direction | Mapping[str, Direction], name: str) -> Direction:
    expected = direction.get(name, "any") if isinstance(direction, Mapping) else direction
    choice(expected, name="direction", choices=get_args(Direction))
    return expected


def _table(
    names: list[str], directions: list[Direction], found: FloatArray, reasons: list[str]
) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "metric": names,
            "direction": directions,
            "trend": found[0],
            "p_value": found[1],
            "p_holm": holm(found[1]),
            "p_westfall_young": found[2],
            "excluded": reasons,
        }
    )


def _means(values: FloatArray) -> list[float]:
    return [float(column.mean()) if np.isfinite(column).all() else math.nan for column in values.T]
