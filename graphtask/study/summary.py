"""Mean and spread over the seeds of a study, in the rows and columns of the paper's Tables 1 and 2."""

import math
import re
from typing import TYPE_CHECKING

from graphtask.errors import ArgumentError, RunError

if TYPE_CHECKING:
    import pandas as pd

# Table 1, Table 2 and time; a name followed by _stage_k stands for all stages.
_FEATURES = (
    "sparsity",
    "sparsity_stage_k",
    "nodes",
    "nodes_stage_k",
    "parameters",
    "log_paths",
    "mean_path",
    "max_path",
    "ln_communicability",
    "edge_connectivity",
    "mean_degree",
    "pca_elongation",
    "seconds_per_epoch",
)


_DONE = ("finished", "disconnected")


def summarize_results(results: "pd.DataFrame") -> "pd.DataFrame":
    """Return mean, standard deviation and number of runs of each feature; see `graphtask.Study.summary`.

    Args:
        results: Result of `results_table`, or a part of it; the tables of several studies in one (`pandas.concat`) are
            distinguished by a column ``study``.

    Raises:
        RunError: No run is finished.
        ArgumentError: Two studies have runs of the same data set and prior; their configurations may differ.

    Example:
        >>> import pandas as pd
        >>> rows = {
        ...     "dataset": ["a", "a"],
        ...     "prior": ["full"] * 2,
        ...     "status": ["finished"] * 2,
        ...     "sparsity": [0.5, 0.75],
        ... }
        >>> summarize_results(pd.DataFrame(rows)).round(3).values.tolist()
        [['sparsity', 0.625, 0.177, 2]]
    """
    import numpy as np
    import pandas as pd

    _check(results)
    features = _features(list(results.columns))
    table: dict[str, list[object]] = {"feature": list(features)}
    many = len(set(results["prior"])) > 1
    done = results["status"].isin(_DONE)
    for (data, prior), runs in results.assign(_done=done).groupby(["dataset", "prior"], sort=False):
        name = f"{data}/{prior}" if many else str(data)
        values = [
            runs.loc[runs["_done"], feature].to_numpy(dtype=np.float64, na_value=np.nan)
            for feature in features
        ]
        finite = [column[np.isfinite(column)] for column in values]
        table[f"{name}_mean"] = [column.mean() if len(column) else math.nan for column in finite]
        table[f"{name}_std"] = [column.std(ddof=1) if len(column) > 1 else math.nan for column in finite]
        table[f"{name}_n"] = [len(column) for column in finite]
    return pd.DataFrame(table)


def _check(results: "pd.DataFrame") -> None:
    if not results["status"].isin(_DONE).any():
        raise RunError(
            f"no run of {len(results)} is finished, so there is no summary; see graphtask study status"
        )
    if "study" not in results:
        return
    for (data, prior), runs in results.groupby(["dataset", "prior"], sort=False):
        studies = list(runs["study"].unique())
        if len(studies) > 1:
            raise ArgumentError(
                f"{' and '.join(studies)} both have runs of {data}/{prior}; summarize them separately, or rename the "
                f"prior in one of them"
            )


def _features(columns: list[str]) -> list[str]:
    found: list[str] = []
    for feature in _FEATURES:
        pattern = re.compile(re.escape(feature).replace("_k", r"_\d+"))
        found.extend(column for column in columns if pattern.fullmatch(column))
    place = found.index("seconds_per_epoch") if "seconds_per_epoch" in found else len(found)
    scores = [column for column in columns if re.fullmatch(r"test_(?!loss|images)\w+", column)]
    return [*found[:place], *scores, *found[place:]]
