"""Two sets of graphs as one pooled matrix of features: the input of every two-sample test.

Everything here depends on the pooled sample only, never on the set that a graph belongs to; that makes the permutation
tests valid.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.errors import ArgumentError
from graphtask.features.precision import numerical_errors
from graphtask.metrics.table import measure_all
from graphtask.storage.objects import GraphLike, as_igraph, is_graph
from graphtask.types import FloatArray
from graphtask.validation import abbreviated, invalid

if TYPE_CHECKING:
    import pandas as pd

Graph: TypeAlias = GraphLike
Sample: TypeAlias = "Sequence[GraphLike] | pd.DataFrame | npt.ArrayLike"

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

_KINDS = "graphs, a table of features, or an array of shape (graphs, features)"


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Features of two sets, one below the other."""

    matrix: FloatArray
    """Shape (n_a + n_b, features); not finite where a feature is undefined."""
    names: tuple[str, ...]
    """Names of the features."""
    n_a: int
    """Rows of the first set, which come first."""
    n_b: int
    """Rows of the second set."""
    errors: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Numerical error of every feature; values that differ by no more are equal. Shape (features,)."""


def pool(a: Sample, b: Sample, *, features: Sequence[str] | None = None) -> Pooled:
    """Return the features of both sets.

    Args:
        a: Graphs, which are measured; or their features: a table with a row for each graph, or an array of shape
            (graphs, features).
        b: The other set, of the same kind, with the same features.
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
        both = chain(as_graphs(a, name="a"), as_graphs(b, name="b"))
        table = measure_all(both, metrics=PAPER_FEATURES if features is None else features)
        return _of_tables(table.iloc[: len(a)], table.iloc[len(a) :], list(table.columns))
    if any(is_frame(sample) or are_graphs(sample) for sample in (a, b)):
        raise ArgumentError(f"a and b must be of the same kind, got {kind(a)} and {kind(b)}")
    return _of_arrays(a, b)


def is_frame(sample: object) -> "TypeGuard[pd.DataFrame]":
    """Return True for a table."""
    import pandas as pd

    return isinstance(sample, pd.DataFrame)


def are_graphs(sample: object) -> "TypeGuard[Sequence[Graph]]":
    """Return True for a non-empty sequence of graphs."""
    return isinstance(sample, Sequence) and len(sample) > 0 and all(is_graph(item) for item in sample)


def as_graphs(graphs: Iterable[Graph], *, name: str) -> list[igraph.Graph]:
    """Return graph objects of any supported library as a list of igraph graphs.

    Args:
        graphs: Any iterable.
        name: Name of the argument, for errors.

    Raises:
        ArgumentError: It is one graph, or not an iterable, or something in it is not a graph.
    """
    if is_graph(graphs) or isinstance(graphs, str) or not isinstance(graphs, Iterable):
        raise invalid(name, "a list of graphs", graphs)
    return [as_igraph(graph, name=f"{name}[{position}]") for position, graph in enumerate(graphs)]


def numeric_columns(table: "pd.DataFrame", features: Sequence[str] | None) -> list[str]:
    """Return the named columns, or else those of the paper's features that the table has.

    Raises:
        ArgumentError: A column is missing or not numeric, or there is none.
    """
    named = [features] if isinstance(features, str) else features
    chosen = (
        [name for name in table.columns if _is_paper_feature(str(name))] if named is None else list(named)
    )
    known = ", ".join(map(str, table.columns))
    for name in chosen:
        if name not in table.columns:
            raise invalid("features", f"columns of the table ({known})", name)
    if not chosen:
        raise ArgumentError(
            f"the table has none of the paper's features; name columns with features=: {known}"
        )
    for name in chosen:
        if not _is_numeric(table[name]):
            raise invalid("features", "numeric columns", name, remedy=f"it has {_kind(table[name])} values")
    return chosen


def _is_numeric(column: "pd.Series[Any]") -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(column) or is_bool_dtype(column):
        return True
    # A column of flags or numbers with gaps has the dtype object.
    return _kind(column) in {"boolean", "integer", "floating", "mixed-integer-float", "empty"}


def _kind(column: "pd.Series[Any]") -> str:
    """Return the kind of values of a column, in the words of every version of pandas."""
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
        errors=numerical_errors(names),
    )


def _of_arrays(a: npt.ArrayLike, b: npt.ArrayLike) -> Pooled:
    first, second = (feature_matrix(sample, name) for sample, name in ((a, "a"), (b, "b")))
    if first.shape[1] != second.shape[1]:
        raise ArgumentError(
            f"a and b must have the same features, got {first.shape[1]} and {second.shape[1]} columns"
        )
    return Pooled(
        matrix=np.concatenate([first, second]),
        names=tuple(f"feature {index}" for index in range(first.shape[1])),
        n_a=len(first),
        n_b=len(second),
        errors=np.zeros(first.shape[1]),
    )


def feature_matrix(sample: npt.ArrayLike, name: str) -> FloatArray:
    """Return an array of features, shape (graphs, features).

    Raises:
        ArgumentError: It is something else; strings and objects are not taken for numbers.
    """
    try:
        given = np.asarray(sample)
        matrix = np.asarray(given, dtype=np.float64) if given.dtype.kind in "biuf" else np.empty(0)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ArgumentError(f"{name} must be {_KINDS}, got {kind(sample)}", argument=name)
    return matrix


def kind(sample: object) -> str:
    """Return a short description of a sample, for messages."""
    if are_graphs(sample):
        return "graphs"
    if is_frame(sample):
        return "a table"
    if isinstance(sample, np.ndarray):
        return f"an array of {sample.dtype}, shape {sample.shape}"
    if isinstance(sample, Sequence) and not sample:
        return "an empty list"
    if isinstance(sample, list | tuple):
        return f"a {type(sample).__name__} of {type(sample[0]).__name__}"
    return abbreviated(sample)
