"""Two-sample tests of every pair of several sets of graphs, corrected for their number."""

from collections.abc import Callable, Mapping
from itertools import accumulate, chain, combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.features.samples import PAPER_FEATURES, Sample, are_graphs, as_graphs
from graphtask.inference.multiple import holm
from graphtask.inference.two_sample import TwoSampleResult, two_sample_test
from graphtask.metrics.table import measure_all
from graphtask.validation import invalid

if TYPE_CHECKING:
    import pandas as pd


def pairwise_tests(
    groups: Mapping[str, Sample], *, test: Callable[..., TwoSampleResult] = two_sample_test, **options: Any
) -> "pd.DataFrame":
    """Test every pair of sets, with Holm's correction over the pairs.

    Args:
        groups: The sets by name, at least 2: graphs, or tables of features (``dict(list(table.groupby("data")))``).
        test: Test of two sets: `graphtask.two_sample_test`, `graphtask.inference.classifier_test`, or another function
            that returns a `TwoSampleResult`.
        options: Options of the test (``method="energy"``, ``paired=True``, ``n_permutations=…``, ``seed=…``).

    Returns:
        A row for each pair, in the order of the names: ``a``, ``b``, the fields of `TwoSampleResult.row`, and
        ``p_holm``. `pairwise_matrix` arranges them as a square.

    Raises:
        ArgumentError: There are fewer than two sets, or two cannot be compared.

    Example:
        >>> import graphtask as gt
        >>> groups = {
        ...     name: [gt.priors.erdos_renyi_dag(20, p=p, seed=seed) for seed in range(first, first + 5)]
        ...     for name, p, first in (("thin", 0.2, 0), ("thick", 0.4, 5), ("thick too", 0.4, 10))
        ... }
        >>> rows = gt.inference.pairwise_tests(groups)
        >>> rows[["a", "b", "p_holm"]].round(3).values.tolist()
        [['thin', 'thick', 0.024], ['thin', 'thick too', 0.024], ['thick', 'thick too', 0.802]]
    """
    import pandas as pd

    if not isinstance(groups, Mapping) or len(groups) < 2:
        raise invalid("groups", "a mapping of at least two names to sets of graphs", groups)
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
    """Return a column of `pairwise_tests` as a symmetric table of all sets, NaN on its diagonal.

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
        raise invalid("column", f"a column of the table ({', '.join(map(str, rows.columns))})", missing[0])
    names = list(dict.fromkeys([*rows["a"], *rows["b"]]))
    matrix = pd.DataFrame(np.nan, index=names, columns=names)
    for first, second, value in zip(rows["a"], rows["b"], rows[column], strict=True):
        matrix.loc[first, second] = matrix.loc[second, first] = value
    return matrix


def _measured(
    groups: Mapping[str, Sample], options: dict[str, Any]
) -> tuple[dict[str, Sample], dict[str, Any]]:
    """Return the sets with their graphs measured, each graph once, and the options for that."""
    sets = {name: sample for name, sample in groups.items() if are_graphs(sample)}
    if len(sets) < len(groups):
        return dict(groups), options
    features = options.get("features")
    metrics = PAPER_FEATURES if features is None else features
    table = measure_all(as_graphs(chain(*sets.values()), name="groups"), metrics=metrics)
    ends = accumulate(len(graphs) for graphs in sets.values())
    tables: dict[str, Sample] = {
        name: table.iloc[end - len(graphs) : end]
        for (name, graphs), end in zip(sets.items(), ends, strict=True)
    }
    return tables, {**options, "features": list(table.columns)}
