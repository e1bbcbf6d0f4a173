"""Graphs as points: their features, standardized, in the order in which the graphs were given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.features.samples import PAPER_FEATURES, Sample, are_graphs, is_frame, numeric_columns
from graphtask.metrics.table import measure_all
from graphtask.types import FloatArray

_ROUNDING = 1e-12  # of the largest value of a feature; what differs by less is the same


@dataclass(frozen=True, kw_only=True)
class Features:
    """What graphs are compared by: a column for each feature, and a row for each graph."""

    values: FloatArray
    """Shape (graphs, features); NaN where a graph does not have the feature."""
    names: tuple[str, ...]
    """The features."""
    notes: tuple[str, ...] = ()
    """What was done about features that are undefined or the same for all graphs."""

    def standardized(self) -> FloatArray:
        """The features with mean 0 and (population) standard deviation 1; see `features_of` for the exceptions.

        Returns:
            Shape (graphs, features), finite.
        """
        return standardize(self.values, by=self.values)


AnySample: TypeAlias = "Sample | Features"


def features_of(sample: AnySample, *, features: Sequence[str] | None = None) -> Features:
    """The features of graphs, ready to be standardized.

    Two things can keep a feature from being standardized, and both are said in ``notes``:

    - It is the same for all graphs. It stays, with 0 for every graph, so that the number of features (and the gamma
      of `rbf_similarity`) does not depend on the graphs.
    - It is undefined (NaN or infinite) for some graphs. Those stand at the mean of the others, 0, and a further
      feature ``"… is defined"`` (1 or 0) is added, so that no graph is dropped, nothing is made up, and a difference
      in who has the feature counts. The tests of this package do the same. One that no graph has is left out.

    Args:
        sample: Graphs, which are measured; or their features: a table with a row for each graph (`measure_all`), or
            an array of shape (graphs, features).
        features: Metrics, or columns of the table; by default those of the paper's Tables 1 and 2 without
            ``parameters`` (with three stages, 15), as far as a table has them. Arrays are taken as they are.

    Raises:
        ArgumentError: There are no graphs, or no features; a feature is missing or not numeric.

    Example:
        >>> import graphtask as gt
        >>> found = gt.features_of([gt.full_dag(9), gt.chain_dag(9)])
        >>> len(found.names), found.names[:5]
        (15, ('sparsity', 'sparsity_stage_0', 'sparsity_stage_1', 'sparsity_stage_2', 'nodes'))
        >>> found.standardized()[:, found.names.index("max_path")].tolist(), found.notes[0]
        ([0.0, 0.0], 'sparsity: the same for all graphs')

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Fig. 4.
    """
    if isinstance(sample, Features):
        return sample
    values, names = _matrix(sample, features)
    values = np.where(np.isfinite(values), values, np.nan)
    columns: list[FloatArray] = []
    found: list[str] = []
    notes: list[str] = []
    for name, column in zip(names, values.T, strict=True):
        n_missing = int(np.isnan(column).sum())
        if n_missing == len(column):
            notes.append(f"{name}: undefined for all graphs; left out")
            continue
        columns.append(column)
        found.append(name)
        if bool(np.isinf(spread(column[:, None])[0])):
            notes.append(f"{name}: the same for all graphs")
        if n_missing:
            columns.append((~np.isnan(column)).astype(np.float64))
            found.append(f"{name} is defined")
            notes.append(
                f"{name}: undefined for {n_missing} of {len(column)} graphs; whether it is defined counts as a feature"
            )
    if not columns:
        raise ArgumentError("no features are left to compare by: all of them are undefined for all graphs")
    return Features(values=np.stack(columns, axis=1), names=tuple(found), notes=tuple(notes))


def standardize(values: FloatArray, *, by: FloatArray) -> FloatArray:
    """``values`` in standard deviations from the mean, both of the rows of ``by``; 0 where there is no such thing.

    Args:
        values: Shape (graphs, features), NaN where undefined.
        by: The graphs that say what the mean is, shape (others, features).

    Returns:
        The shape of ``values``, finite.

    Example:
        >>> standardize(
        ...     np.array([[5.0, 1.0, np.nan]]), by=np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 4.0]])
        ... ).tolist()
        [[4.0, 0.0, 0.0]]
    """
    scaled = (values - center(by)) / spread(by)
    return np.where(np.isnan(scaled), 0.0, scaled)


def center(values: FloatArray) -> FloatArray:
    """The mean of every column over the rows that have it, shape (features,); 0 where none has."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(defined.sum(axis=0), 1))


def spread(values: FloatArray) -> FloatArray:
    """The standard deviation (population) of every column over the rows that have it; infinite if they are the same.

    Example:
        >>> spread(np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0]])).tolist()
        [1.0, inf, inf]
    """
    defined = ~np.isnan(values)
    deviations = np.where(defined, values - center(values), 0.0)
    variance = (deviations**2).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    low = np.where(defined, values, np.inf).min(axis=0)
    high = np.where(defined, values, -np.inf).max(axis=0)
    largest = np.where(defined, np.abs(values), 0.0).max(axis=0)
    same = ~(high - low > _ROUNDING * largest)
    return np.where(same, np.inf, np.sqrt(variance))


def _matrix(sample: Sample, features: Sequence[str] | None) -> tuple[FloatArray, list[str]]:
    if are_graphs(sample):
        table = measure_all(sample, metrics=PAPER_FEATURES if features is None else features)
        return _matrix(table, list(table.columns))
    if is_frame(sample):
        names = numeric_columns(sample, features)
        if len(sample) == 0:
            raise ArgumentError("the table has no rows; give the features of at least one graph")
        return sample[names].to_numpy(dtype=np.float64, na_value=np.nan), names
    try:
        values = np.asarray(sample, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 2 or 0 in values.shape:
        raise ArgumentError(
            f"{type(sample).__name__} of shape {values.shape} holds no features of graphs; give graphs, a table, or an "
            f"array of shape (graphs, features)"
        )
    return values, [f"feature {index}" for index in range(values.shape[1])]
