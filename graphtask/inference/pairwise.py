"""Which of several sets of graphs differ: a test of every pair, corrected for their number."""

from collections.abc import Callable, Mapping
from itertools import accumulate, chain, combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.features.samples import PAPER_FEATURES, Sample, are_graphs
from graphtask.inference.multiple import holm
from graphtask.inference.two_sample import TwoSampleResult, two_sample_test
from graphtask.metrics.table import measure_all

if TYPE_CHECKING:
    import pandas as pd


def pairwise_tests(
    groups: Mapping[str, Sample], *, test: Callable[..., TwoSampleResult] = two_sample_test, **options: Any
) -> "pd.DataFrame":
    """A two-sample test of every pair of sets, with Holm's correction over the pairs.

    Args:
        groups: The sets by name, at least 2: graphs, or tables of features (``dict(list(table.groupby("data")))``).
        test: What tests two sets: `graphtask.two_sample_test`, `graphtask.classifier_test`, or a function of two sets
            with a `TwoSampleResult`.
        options: Of the test (``method="energy"``, ``paired=True``, ``n_permutations=…``, ``seed=…``).

    Returns:
        A row for each pair, in the order of the names: ``a``, ``b``, what the test found (`TwoSampleResult.row`), and
        ``p_holm``. `pairwise_matrix` makes a square of it.

    Raises:
        ArgumentError: There are fewer than two sets, or two cannot be compared.

    Example:
        >>> import graphtask as gt
        >>> groups = {
        ...     name: [gt.erdos_renyi_dag(20, p=p, seed=seed) for seed in range(first, first + 5)]
        ...     for name, p, first in (("thin", 0.2, 0), ("thick", 0.4, 5), ("thick too", 0.4, 10))
        ... }
        >>> rows = gt.pairwise_tests(groups)
        >>> rows[["a", "b", "p_holm"]].round(3).values.tolist()
        [['thin', 'thick', 0.024], ['thin', 'thick too', 0.024], ['thick', 'thick too', 0.802]]
    """
    import pandas as pd

    if not isinstance(groups, Mapping) or len(groups) < 2:
        raise ArgumentError('groups={"name": graphs, …} needs at least two sets')
    samples = dict(groups)
    if test is two_sample_test and options.get("method") != "wl":
        samples, options = _measured(groups, options)
    rows = []
    for first, second in combinations(samples, 2):
        try:
            found = test(samples[first], samples[second], **options)
        except ArgumentError as error:
            raise ArgumentError(f"{first} and {second}: {error}") from error
        rows.append({"a": first, "b": second, **found.row()})
    table = pd.DataFrame(rows)
    table.insert(list(table.columns).index("p_value") + 1, "p_holm", holm(table["p_value"]))
    return table


def pairwise_matrix(rows: "pd.DataFrame", *, column: str = "p_holm") -> "pd.DataFrame":
    """A column of `pairwise_tests` as a symmetric table with a row and a column for each set, NaN on its diagonal.

    Raises:
        ArgumentError: There is no such column.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"a": ["x", "x", "y"], "b": ["y", "z", "z"], "p_holm": [0.03, 0.04, 0.5]})
        >>> pairwise_matrix(rows).loc["z", "x"]
        np.float64(0.04)
    """
    import pandas as pd

    missing = [name for name in ("a", "b", column) if name not in rows.columns]
    if missing:
        raise ArgumentError(
            f"there is no column {missing[0]!r}; there are {', '.join(map(str, rows.columns))}"
        )
    names = list(dict.fromkeys([*rows["a"], *rows["b"]]))
    matrix = pd.DataFrame(np.nan, index=names, columns=names)
    for first, second, value in zip(rows["a"], rows["b"], rows[column], strict=True):
        matrix.loc[first, second] = matrix.loc[second, first] = value
    return matrix


def _measured(
    groups: Mapping[str, Sample], options: dict[str, Any]
) -> tuple[dict[str, Sample], dict[str, Any]]:
    """The sets with their graphs measured, each graph once, and the options that go with that."""
    sets = {name: sample for name, sample in groups.items() if are_graphs(sample)}
    if len(sets) < len(groups):
        return dict(groups), options
    features = options.get("features")
    metrics = PAPER_FEATURES if features is None else features
    table = measure_all(chain(*sets.values()), metrics=metrics)
    ends = accumulate(len(graphs) for graphs in sets.values())
    tables: dict[str, Sample] = {
        name: table.iloc[end - len(graphs) : end]
        for (name, graphs), end in zip(sets.items(), ends, strict=True)
    }
    return tables, {**options, "features": list(table.columns)}
