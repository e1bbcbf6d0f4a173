"""Factor of a model that narrows the numbers of nodes and edges of its graphs.

Graphs that were pruned to nearly one size vary less than independent nodes and edges. The factor

    h(n, m) = exp(−a·(n − n₀)²/2 − b·(m − m₀)²/2),   a, b ≥ 0,

with the observed mean numbers n₀ and m₀ of nodes and edges, lowers both variances. It is at most 1. Graphs that vary more
than independent nodes and edges are not widened: such a factor has no bound, and makes two kinds of graphs of one.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from graphtask.types import FloatArray

_RARE = 0.05  # probability of a smaller variance by chance, below which the sizes are narrowed
_PRIOR = 2.0  # graphs that the variance of the model counts as, next to the observed ones


class SizeFactor(NamedTuple):
    """Factor h(n, m); none by default."""

    nodes: float = 0.0
    """a."""
    edges: float = 0.0
    """b."""
    mean_nodes: float = 0.0
    """n₀."""
    mean_edges: float = 0.0
    """m₀."""

    @property
    def is_active(self) -> bool:
        """True if it is not 1 everywhere."""
        return self.nodes > 0 or self.edges > 0

    def log(self, n_nodes: npt.ArrayLike, n_edges: npt.ArrayLike) -> FloatArray:
        """Return ln h(n, m).

        Example:
            >>> float(SizeFactor(nodes=2.0, mean_nodes=5.0).log(6, 9))
            -1.0
        """
        nodes = np.asarray(n_nodes, dtype=np.float64) - self.mean_nodes
        edges = np.asarray(n_edges, dtype=np.float64) - self.mean_edges
        return np.asarray(-(self.nodes * np.square(nodes) + self.edges * np.square(edges)) / 2)

    def power(self, exponent: float) -> "SizeFactor":
        """Return h to a power."""
        return self._replace(nodes=self.nodes * exponent, edges=self.edges * exponent)


NO_FACTOR = SizeFactor()


def narrower_variances(observed: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the variances that sizes are narrowed to; infinite where they are not narrowed.

    A count is narrowed if its observed variance is smaller than independent nodes and edges have it in 5 % of the
    samples of as many graphs (by the χ² distribution); then to (k·s² + 2·v)/(k + 2), where k is the number of observed
    graphs minus 1, s² their variance, and v the one of the model.

    Args:
        observed: Nodes and edges of the observed graphs, shape (graphs, 2).
        variance: Variances of the model without a factor, shape (2,).

    Example:
        >>> equal = np.array([[8.0, 20.0], [8.0, 30.0], [8.0, 40.0]])
        >>> narrower_variances(equal, np.array([2.0, 50.0])).tolist()
        [1.0, inf]
    """
    from scipy.stats import chi2

    k = len(observed) - 1
    if k == 0:
        return np.full(2, np.inf)
    own = observed.var(axis=0, ddof=1)
    is_narrow = k * own < variance * chi2.ppf(_RARE, k)
    return np.where(is_narrow, (k * own + _PRIOR * variance) / (k + _PRIOR), np.inf)
