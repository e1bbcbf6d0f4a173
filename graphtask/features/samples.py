"""Two sets of graphs as one pooled sample of features: what every test of this package starts from.

Everything here looks at the pooled sample only, never at which set a graph belongs to; that is what makes the
permutation tests that follow valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.errors import ArgumentError
from graphtask.metrics.table import measure_all
from graphtask.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

Sample: TypeAlias = "Sequence[igraph.Graph] | pd.DataFrame | npt.ArrayLike"

PAPER_FEATURES = (
    "sparsity",
    "sparsity_stage_k",
    "nodes",
    "nodes_stage_k",
    "log_paths",
    "mean_path",
    "max_path",
    "ln_communicability",
    "edge_connectivity",
    "mean_degree",
    "pca_elongation",
)


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """The features of two sets, one below the other."""

    matrix: FloatArray
    """Shape (n_a + n_b, features); not finite where a feature is undefined."""
    names: tuple[str, ...]
    """The features."""
    n_a: int
    """Rows of the first set, which come first."""
    n_b: int
    """Rows of the second set."""


def pool(a: Sample, b: Sample, *, features: Sequence[str] | None = None) -> Pooled:
    """The features of both sets.

    Args:
        a: Graphs, which are measured; or their features: a table with a row for each graph, or an array of shape
            (graphs, features).
        b: The same kind of thing as ``a``, with the same features.
        features: Metrics, or columns of a table; by default those of the paper's Tables 1 and 2 (with three stages,
            15), as far as a table has them. Arrays are taken as they are.

    Raises:
        ArgumentError: The sets are of different kinds or empty, or a feature is missing or not numeric.

    Example:
        >>> import graphtask as gt
        >>> pooled = pool([gt.full_dag(6)], [gt.chain_dag(6)], features=["edges", "nodes_stage_k"])
        >>> pooled.names, pooled.matrix.tolist()
        (('edges', 'nodes_stage_0', 'nodes_stage_1', 'nodes_stage_2'), [[15.0, 2.0, 2.0, 2.0], [5.0, 2.0, 2.0, 2.0]])
    """
    if is_frame(a) and is_frame(b):
        return _of_tables(a, b, features)
    if are_graphs(a) and are_graphs(b):
        table = measure_all(chain(a, b), metrics=PAPER_FEATURES if features is None else features)
        return _of_tables(table.iloc[: len(a)], table.iloc[len(a) :], list(table.columns))
    if any(is_frame(sample) or are_graphs(sample) for sample in (a, b)):
        raise ArgumentError(f"the sets are of different kinds, {kind(a)} and {kind(b)}; give two of one kind")
    return _of_arrays(a, b)


def is_constant(column: FloatArray) -> bool:
    """Whether the values differ by no more than rounding."""
    return bool(np.ptp(column) <= 1e-12 * np.abs(column).max(initial=0.0))


def is_frame(sample: object) -> "TypeGuard[pd.DataFrame]":
    """Whether a sample is a table."""
    import pandas as pd

    return isinstance(sample, pd.DataFrame)


def are_graphs(sample: object) -> TypeGuard[Sequence[igraph.Graph]]:
    """Whether a sample is a list of graphs."""
    return (
        isinstance(sample, Sequence)
        and len(sample) > 0
        and all(isinstance(item, igraph.Graph) for item in sample)
    )


def numeric_columns(table: "pd.DataFrame", features: Sequence[str] | None) -> list[str]:
    """The columns that are named, or else those of the paper's features that the table has.

    Raises:
        ArgumentError: A column is missing or not numeric, or there is none.
    """
    named = [features] if isinstance(features, str) else features
    chosen = (
        [name for name in table.columns if _is_paper_feature(str(name))] if named is None else list(named)
    )
    missing = [name for name in chosen if name not in table.columns]
    if missing or not chosen:
        what = (
            f"there is no column {missing[0]!r}" if missing else "the table has none of the paper's features"
        )
        raise ArgumentError(f"{what}; name columns with features=[…]: {', '.join(map(str, table.columns))}")
    for name in chosen:
        if not _is_numeric(table[name]):
            raise ArgumentError(
                f"the column {name!r} holds {_kind(table[name])}, not numbers; leave it out of features="
            )
    return chosen


def _is_numeric(column: "pd.Series[Any]") -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(column) or is_bool_dtype(column):
        return True
    # Flags or numbers beside gaps are a column of objects.
    return _kind(column) in {"boolean", "integer", "floating", "mixed-integer-float", "empty"}


def _kind(column: "pd.Series[Any]") -> str:
    """What a column holds, in the words of every version of pandas."""
    from pandas.api.types import infer_dtype

    return infer_dtype(column, skipna=True)


def _is_paper_feature(column: str) -> bool:
    return column in PAPER_FEATURES or any(
        column.startswith(name.removesuffix("k")) and column.rpartition("_")[2].isdigit()
        for name in PAPER_FEATURES
        if name.endswith("_k")
    )


def _of_tables(a: "pd.DataFrame", b: "pd.DataFrame", features: Sequence[str] | None) -> Pooled:
    import pandas as pd

    both = pd.concat([a, b], ignore_index=True)
    names = numeric_columns(both, features)
    return Pooled(
        matrix=both[names].to_numpy(dtype=np.float64, na_value=np.nan),
        names=tuple(names),
        n_a=len(a),
        n_b=len(b),
    )


def _of_arrays(a: npt.ArrayLike, b: npt.ArrayLike) -> Pooled:
    first, second = (_matrix(sample, name) for sample, name in ((a, "first"), (b, "second")))
    if first.shape[1] != second.shape[1]:
        raise ArgumentError(
            f"the sets have {first.shape[1]} and {second.shape[1]} features; give both the same ones"
        )
    return Pooled(
        matrix=np.concatenate([first, second]),
        names=tuple(f"feature {index}" for index in range(first.shape[1])),
        n_a=len(first),
        n_b=len(second),
    )


def _matrix(sample: npt.ArrayLike, name: str) -> FloatArray:
    try:
        matrix = np.asarray(sample, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ArgumentError(
            f"the {name} set is {kind(sample)}; give graphs, a table of features, or an array of shape (graphs, features)"
        )
    return matrix


def kind(sample: object) -> str:
    """What a sample is, for messages."""
    if are_graphs(sample):
        return "graphs"
    if isinstance(sample, np.ndarray):
        return f"an array of shape {sample.shape}"
    return "empty" if isinstance(sample, Sequence) and not sample else f"a {type(sample).__name__}"
