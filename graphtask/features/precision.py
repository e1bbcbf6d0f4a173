"""Numerical errors of features: values that differ by no more are equal."""

from collections.abc import Sequence

import numpy as np

from graphtask.metrics.registry import all_metrics
from graphtask.types import FloatArray

_ROUNDING = 1e-12  # of the largest value of a feature


def numerical_errors(names: Sequence[str]) -> FloatArray:
    """Return the declared numerical error of every feature, 0 for columns that are not metrics, shape (features,).

    Example:
        >>> errors = numerical_errors(["nodes", "pca_elongation", "my own column"])
        >>> errors[0], errors[1] > 0, errors[2]
        (np.float64(0.0), np.True_, np.float64(0.0))
    """
    metrics = all_metrics()
    exact = {metric.column: metric.error for metric in metrics if not metric.per_stage}
    families = {metric.column: metric.error for metric in metrics if metric.per_stage}

    def error(name: str) -> float:
        if name in exact:
            return exact[name]
        # "sparsity_stage_1" and "edges_stage_0_2" are columns of the families "sparsity_stage_" and "edges_stage_".
        stem = name.rstrip("0123456789_")
        return families.get(f"{stem}_", 0.0)

    return np.asarray([error(str(name)) for name in names], dtype=np.float64)


def is_constant(values: FloatArray, *, errors: FloatArray | float = 0.0) -> "np.typing.NDArray[np.bool_]":
    """Return for every column if its defined values differ by no more than their numerical error.

    Args:
        values: Shape (graphs, features), NaN where undefined.
        errors: Declared errors, shape (features,); rounding of the largest value is allowed for in any case.

    Example:
        >>> columns = np.array([[1.0, 2e-9, 3.0], [1.0, 9e-9, 5.0]])
        >>> is_constant(columns, errors=np.array([0.0, 1e-6, 1e-6])).tolist()
        [True, True, False]
    """
    defined = np.isfinite(values)
    low = np.where(defined, values, np.inf).min(axis=0)
    high = np.where(defined, values, -np.inf).max(axis=0)
    largest = np.where(defined, np.abs(values), 0.0).max(axis=0)
    # Two values that are each rounded to the error may differ by it and a little rounding more.
    allowed = np.maximum(np.asarray(errors) * (1 + 1e-6), _ROUNDING * largest)
    return np.asarray(~(high - low > allowed))
