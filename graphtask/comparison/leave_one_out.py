"""Features standardized by all graphs but one, for each graph in turn."""

from dataclasses import dataclass

import numpy as np

from graphtask.features.table import center, spread
from graphtask.types import BoolArray, FloatArray

_LITTLE = (
    1e-6  # of the squared deviations; if less is left without a graph, differences of sums lose precision
)


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Mean and standard deviation of the features of all other graphs, for each graph."""

    deviations: FloatArray
    """Features, shifted so that the mean over all graphs is 0; 0 where undefined. Shape (graphs, features)."""
    defined: BoolArray
    """True where they are defined."""
    means: FloatArray
    """Row i: the mean of the features of all graphs but i, shifted likewise."""
    spreads: FloatArray
    """Row i: their standard deviation, infinite if constant; see `spread`."""

    def others(self, index: int) -> FloatArray:
        """Return all graphs in standard deviations of those but ``index``, undefined features at their mean; up to a shift."""
        return np.asarray(np.where(self.defined, self.deviations, self.means[index]) / self.spreads[index])


def folds_of(values: FloatArray, *, errors: FloatArray | float = 0.0) -> Folds:
    """Return the folds of leaving out each row in turn, in time linear in the rows.

    Without row i with deviation c from the mean of n rows, the mean is −c/(n − 1), and the squared deviations are
    reduced by c² and by (n − 1) squares of the new mean.

    Args:
        values: Shape (graphs, features), NaN where undefined.
        errors: Numerical errors, shape (features,).

    Example:
        >>> found = folds_of(np.array([[0.0], [2.0], [7.0]]))
        >>> found.means.ravel().tolist(), found.spreads.ravel().tolist()
        ([1.5, 0.5, -2.0], [2.5, 3.5, 1.0])
    """
    defined = ~np.isnan(values)
    moved = np.where(defined, values - center(values), 0.0)
    n_others = np.maximum(defined.sum(axis=0) - defined, 1)
    squares = (moved**2).sum(axis=0)
    means = (moved.sum(axis=0) - moved) / n_others
    left = squares - moved**2 - n_others * means**2
    spreads = np.sqrt(np.maximum(left, 0.0) / n_others)
    spreads[:, np.isinf(spread(values, errors=errors))] = np.inf
    # Without one graph a feature may be constant up to its numerical error.
    small = (left < _LITTLE * squares) | (spreads <= np.asarray(errors))
    for index in np.flatnonzero(small.any(axis=1)):
        means[index] = center(np.delete(np.where(defined, moved, np.nan), index, axis=0))
        spreads[index] = spread(np.delete(values, index, axis=0), errors=errors)
    return Folds(deviations=moved, defined=defined, means=means, spreads=spreads)
