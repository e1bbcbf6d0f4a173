"""Graphs as points: their standardized features, in the given order of the graphs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.features.precision import is_constant, numerical_errors
from graphtask.features.samples import (
    PAPER_FEATURES,
    Sample,
    are_graphs,
    as_graphs,
    feature_matrix,
    is_frame,
    numeric_columns,
)
from graphtask.metrics.table import measure_all
from graphtask.types import FloatArray, IntArray
from graphtask.validation import counted, invalid, number

_ROUNDING = 1e-9  # of a correlation


@dataclass(frozen=True, kw_only=True, repr=False)
class Features:
    """Features of graphs: a column for each feature, a row for each graph."""

    values: FloatArray
    """Shape (graphs, features); NaN where a graph does not have the feature."""
    names: tuple[str, ...]
    """Names of the features."""
    notes: tuple[str, ...] = ()
    """Treatment of features that are undefined, constant or left out."""
    errors: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Numerical error of every feature, shape (features,) or (0,) for none."""

    def __repr__(self) -> str:
        constant = int(is_constant(self.values, errors=self._errors).sum())
        shown = f", {constant} constant" if constant else ""
        return f"Features({counted(len(self.values), 'graph')}, {counted(len(self.names), 'feature')}{shown})"

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import features_card

        return features_card(self)

    def standardized(self) -> FloatArray:
        """Return the features with mean 0 and (population) standard deviation 1; `features_of` has the exceptions.

        Returns:
            Shape (graphs, features), finite.
        """
        return standardize(self.values, by=self.values, errors=self._errors)

    def without_correlated(self, limit: float = 0.9) -> "Features":
        """Return the features without those that repeat an earlier one.

        A feature is left out if the absolute value of its correlation with a feature that stays is above ``limit``.
        Constant features stay. Features that repeat one another count several times in every distance, which hides
        differences in the others.

        Args:
            limit: Largest absolute correlation of two features that stay, 0 … 1.

        Raises:
            ArgumentError: The limit is out of range.

        Example:
            >>> points = Features(
            ...     values=np.array([[0.0, 0.0, 1.0], [1.0, 2.0, 5.0], [2.0, 4.0, 0.0]]),
            ...     names=("a", "b", "c"),
            ... )
            >>> points.without_correlated().names
            ('a', 'c')
        """
        limit = number(limit, name="max_correlation", least=0, most=1)
        points = self.standardized()
        # The mean of 0/1 products over all graphs; undefined values are at the mean and add nothing.
        correlation = np.abs(points.T @ points) / len(points)
        kept: list[int] = []
        notes = list(self.notes)
        for index, name in enumerate(self.names):
            repeated = [other for other in kept if correlation[index, other] > limit + _ROUNDING]
            if repeated:
                notes.append(f"{name}: left out, it repeats {self.names[repeated[0]]}")
            else:
                kept.append(index)
        return self._chosen(np.asarray(kept), tuple(notes))

    def taken(self, order: IntArray) -> "Features":
        """Return the features of the graphs in another order."""
        return replace(self, values=self.values[order])

    @property
    def _errors(self) -> FloatArray:
        return self.errors if len(self.errors) else np.zeros(len(self.names))

    def spreads(self) -> FloatArray:
        """Return the standard deviation of every feature, infinite for constant ones, shape (features,)."""
        return spread(self.values, errors=self._errors)

    def _chosen(self, kept: IntArray, notes: tuple[str, ...]) -> "Features":
        return Features(
            values=self.values[:, kept],
            names=tuple(self.names[index] for index in kept),
            notes=notes,
            errors=self._errors[kept],
        )


AnySample: TypeAlias = "Sample | Features"


def features_of(
    sample: AnySample, *, features: Sequence[str] | None = None, max_correlation: float | None = None
) -> Features:
    """Return the features of graphs, ready to be standardized.

    Two kinds of features are not standardized, and ``notes`` lists both:

    - Constant ones: their values differ by no more than the numerical error of the metric. They stay, with 0 for every
      graph, so that the number of features (and the gamma of `rbf_similarity`) does not depend on the graphs.
    - Those that are undefined (NaN or infinite) for some graphs. These graphs are placed at the mean of the others, 0,
      and a further feature ``"… is defined"`` (1 or 0) is added, so that no graph is dropped, no value is invented,
      and a difference in its availability counts. The tests of `graphtask.inference` do the same. A feature that is
      undefined for all graphs is left out.

    Args:
        sample: Graphs, which are measured; or their features: a table with a row for each graph
            (`measure_all`), or an array of shape (graphs, features).
        features: Metrics, or columns of the table; by default those of the paper's Tables 1 and 2 without
            ``parameters`` (with three stages, 15), as far as a table has them. Arrays are taken as they are.
        max_correlation: Leave out features whose correlation with an earlier one is larger
            (`Features.without_correlated`); by default all features stay.

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
        return sample if max_correlation is None else sample.without_correlated(max_correlation)
    values, names = _matrix(sample, features)
    found = prepared(values, names, numerical_errors(names))
    return found if max_correlation is None else found.without_correlated(max_correlation)


def prepared(values: FloatArray, names: Sequence[str], errors: FloatArray) -> Features:
    """Return features with their notes, from a matrix of metrics.

    Args:
        values: Shape (graphs, features); not finite where undefined.
        names: Names of the features.
        errors: Numerical error of every feature, shape (features,).

    Raises:
        ArgumentError: Every feature is undefined for all graphs.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    constant = is_constant(values, errors=errors)
    columns: list[tuple[str, FloatArray, float]] = []
    notes: list[str] = []
    for name, column, error, same in zip(names, values.T, errors.tolist(), constant.tolist(), strict=True):
        n_missing = int(np.isnan(column).sum())
        if n_missing == len(column):
            notes.append(f"{name}: undefined for all graphs; left out")
            continue
        columns.append((name, column, error))
        if same:
            differs = bool(np.nanmax(column) > np.nanmin(column))
            within = f" within its numerical error of {error:g}" if differs and error else ""
            notes.append(f"{name}: the same for all graphs{within}")
        if n_missing:
            columns.append((f"{name} is defined", (~np.isnan(column)).astype(np.float64), 0.0))
            notes.append(
                f"{name}: undefined for {n_missing} of {len(column)} graphs; its availability counts as a feature"
            )
    if not columns:
        raise ArgumentError("features must be defined for some graph, got only undefined ones")
    return Features(
        values=np.stack([column for _, column, _ in columns], axis=1),
        names=tuple(name for name, _, _ in columns),
        notes=tuple(notes),
        errors=np.asarray([error for _, _, error in columns]),
    )


def standardize(values: FloatArray, *, by: FloatArray, errors: FloatArray | float = 0.0) -> FloatArray:
    """Return ``values`` in standard deviations from the mean, both of the rows of ``by``; 0 for constant features.

    Args:
        values: Shape (graphs, features), NaN where undefined.
        by: Graphs that define mean and standard deviation, shape (others, features).
        errors: Numerical errors, shape (features,).

    Returns:
        The shape of ``values``, finite.

    Example:
        >>> standardize(
        ...     np.array([[5.0, 1.0, np.nan]]), by=np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 4.0]])
        ... ).tolist()
        [[4.0, 0.0, 0.0]]
    """
    scaled = (values - center(by)) / spread(by, errors=errors)
    return np.where(np.isnan(scaled), 0.0, scaled)


def center(values: FloatArray) -> FloatArray:
    """Return the mean of every column over the rows that have it, 0 where none has, shape (features,)."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(defined.sum(axis=0), 1))


def spread(values: FloatArray, *, errors: FloatArray | float = 0.0) -> FloatArray:
    """Return the (population) standard deviation of every column over the rows that have it; infinite if constant.

    Args:
        values: Shape (graphs, features), NaN where undefined.
        errors: Numerical errors, shape (features,).

    Example:
        >>> spread(np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0]])).tolist()
        [1.0, inf, inf]
    """
    defined = ~np.isnan(values)
    deviations = np.where(defined, values - center(values), 0.0)
    variance = (deviations**2).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    return np.where(is_constant(values, errors=errors), np.inf, np.sqrt(variance))


def _matrix(sample: Sample, features: Sequence[str] | None) -> tuple[FloatArray, list[str]]:
    if are_graphs(sample):
        graphs = as_graphs(sample, name="sample")
        table = measure_all(graphs, metrics=PAPER_FEATURES if features is None else features)
        return _matrix(table, list(table.columns))
    if is_frame(sample):
        names = numeric_columns(sample, features)
        if len(sample) == 0:
            raise invalid("sample", "a table with a row for each graph", "an empty table")
        return sample[names].to_numpy(dtype=np.float64, na_value=np.nan), names
    values = feature_matrix(sample, "sample")
    return values, [f"feature {index}" for index in range(values.shape[1])]
