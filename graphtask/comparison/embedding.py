"""Graphs as points in the plane, close to each other if their features are similar."""

import importlib.util
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from graphtask.comparison.scaling import scaled_to_plane
from graphtask.errors import ArgumentError
from graphtask.features.table import AnySample, features_of
from graphtask.types import FloatArray, IntArray
from graphtask.validation import choice, counted, install_hint, integer, invalid, number

if TYPE_CHECKING:
    import pandas as pd

EmbeddingMethod = Literal["pca", "umap", "mds"]

_LEAST_UMAP = 4  # graphs; of fewer, all are neighbors of one another
_EXACT_UMAP = 4_096  # graphs from which umap approximates neighbors unless it receives them


@dataclass(frozen=True, kw_only=True, repr=False)
class Embedding:
    """Graphs as points in the plane, with labels of the axes."""

    points: FloatArray
    """Shape (graphs, 2)."""
    method: str
    """``pca``, ``mds`` or ``umap``."""
    axes: tuple[str, str]
    """Labels of the axes."""
    seed: int
    """Random seed of the method."""
    features: tuple[str, ...]
    """Features that distances are measured in."""
    notes: tuple[str, ...] = ()
    """Treatment of undefined and constant features; limits of the method."""

    def __repr__(self) -> str:
        features = counted(len(self.features), "feature")
        return f"Embedding({self.method}: {counted(len(self.points), 'graph')} by {features}, {self.axes[0]}, {self.axes[1]})"

    def table(
        self, *, labels: Sequence[str] | None = None, names: Sequence[str] | None = None
    ) -> "pd.DataFrame":
        """Return the points as a table: ``graph`` and ``label``, if given, ``x`` and ``y``."""
        import pandas as pd

        columns = {"graph": names, "label": labels, "x": self.points[:, 0], "y": self.points[:, 1]}
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def embed(
    sample: AnySample,
    *,
    method: EmbeddingMethod = "pca",
    features: Sequence[str] | None = None,
    max_correlation: float | None = None,
    seed: int = 0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
) -> Embedding:
    """Place graphs in the plane by their standardized features.

    ====== ============================================================================================================
    method property that is preserved
    ====== ============================================================================================================
    pca    the two directions of the largest variance; a linear map without any parameter
    mds    all distances, in least squares (metric multidimensional scaling); of more than 500 graphs, distances to
           500 of them that are drawn at random
    umap   neighborhoods: shows groups well, but distances between groups, their sizes and densities have no meaning;
           needs the package umap-learn
    ====== ============================================================================================================

    Every graph has the same point, bit for bit on one machine, whatever the order of the graphs and the number of
    processors: the graphs are sorted by their features first. UMAP and MDS start from the PCA instead of at random.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`. At least two.
        method: ``"pca"``, ``"mds"`` or ``"umap"``.
        features: Metrics or columns to compare; by default the 15 features of the paper.
        max_correlation: Leave out features that repeat an earlier one (`features_of`).
        seed: Random seed of ``umap``, and of the choice of graphs in ``mds``.
        n_neighbors: Size of the neighborhoods of ``umap``, at least 2; of n graphs no more than n − 1.
        min_dist: Smallest distance of points of ``umap``, 0 … 1.

    Raises:
        ArgumentError: An argument is out of range, there are fewer than two graphs, or umap-learn is not installed.

    Example:
        >>> import numpy as np
        >>> found = embed(np.array([[0.0, 0.0], [2.0, 1.0], [4.0, 2.0]]))
        >>> found.points.round(3).tolist(), found.axes
        ([[-1.732, 0.0], [0.0, 0.0], [1.732, 0.0]], ('PC 1 (100 %)', 'PC 2 (0 %)'))

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Fig. 8;
        McInnes, Healy & Melville, UMAP, arXiv:1802.03426; de Leeuw, SMACOF (1977).
    """
    from threadpoolctl import threadpool_limits

    choice(method, name="method", choices=get_args(EmbeddingMethod))
    integer(seed, name="seed", least=0)
    integer(n_neighbors, name="n_neighbors", least=2)
    number(min_dist, name="min_dist", least=0.0, most=1.0)
    found = features_of(sample, features=features, max_correlation=max_correlation)
    if len(found.values) < 2:
        raise invalid("sample", "at least two graphs", "one graph")
    # In one order for all: the sums of the standardization, and the method itself, depend on it.
    order = np.lexsort(np.nan_to_num(found.values, nan=-np.inf).T[::-1])
    ranked = found.taken(order)
    with threadpool_limits(1, "blas"):  # sums in another order differ in the last digits
        placed = _placed(ranked.standardized(), method, seed=seed, n_neighbors=n_neighbors, min_dist=min_dist)
    points = np.empty_like(placed.points)
    points[order] = placed.points
    return Embedding(
        points=points,
        method=method,
        axes=placed.axes,
        seed=seed,
        features=found.names,
        notes=(*found.notes, *placed.notes),
    )


class _Placed(NamedTuple):
    points: FloatArray
    axes: tuple[str, str]
    notes: tuple[str, ...] = ()


def _placed(
    matrix: FloatArray, method: EmbeddingMethod, *, seed: int, n_neighbors: int, min_dist: float
) -> _Placed:
    start, shares = _principal(matrix)
    principal = _Placed(start, (f"PC 1 ({100 * shares[0]:.0f} %)", f"PC 2 ({100 * shares[1]:.0f} %)"))
    if method == "pca":
        return principal
    if method == "mds":
        points = scaled_to_plane(matrix, start=start, seed=seed)
        return _Placed(points, ("MDS 1", "MDS 2"))
    if len(matrix) < _LEAST_UMAP or not start.any():
        return principal._replace(
            notes=("too few different graphs for umap; these are their principal components",)
        )
    points = _umap(matrix, start, seed=seed, n_neighbors=n_neighbors, min_dist=min_dist)
    return _Placed(points, ("UMAP 1", "UMAP 2"))


def check_installed(method: EmbeddingMethod) -> None:
    """Check a method before the features are measured.

    Raises:
        ArgumentError: The method needs a package that is not installed.
    """
    if method == "umap" and "umap" not in sys.modules and importlib.util.find_spec("umap") is None:
        raise ArgumentError(f"method='umap' needs umap-learn: {install_hint('umap')}; or use 'pca' or 'mds'")


def _principal(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return principal components of standardized features, and shares of variance; the largest loading is positive."""
    centered = matrix - matrix.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    rank = int((sizes > sizes.max(initial=0.0) * 1e-12).sum())
    largest = np.abs(directions).round(8).argmax(axis=1)  # of equals the first, up to rounding
    signs = np.sign(directions[np.arange(len(directions)), largest])
    points = np.zeros((len(matrix), 2))
    n_kept = min(2, rank)
    points[:, :n_kept] = centered @ (directions * signs[:, None])[:n_kept].T
    shares = np.zeros(2)
    shares[:n_kept] = (sizes**2 / max((sizes**2).sum(), np.finfo(float).tiny))[:n_kept]
    return points, shares


def _umap(
    matrix: FloatArray, start: FloatArray, *, seed: int, n_neighbors: int, min_dist: float
) -> FloatArray:
    check_installed("umap")
    k = min(n_neighbors, len(matrix) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba on versions, of umap on its options
        import umap

        model = umap.UMAP(
            n_neighbors=k,
            min_dist=min_dist,
            init=_initial_positions(start, seed=seed),
            random_state=seed,
            n_jobs=1,
            precomputed_knn=_nearest(matrix, k) if len(matrix) >= _EXACT_UMAP else (None, None, None),
        )
        points = np.asarray(model.fit_transform(matrix.astype(np.float32)), dtype=np.float64)
    assert np.isfinite(points).all()
    return points


def _initial_positions(start: FloatArray, *, seed: int) -> FloatArray:
    """Return the start of UMAP: scaled to 10, with a little noise, because it divides by the width of every axis."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.asarray(10 * start / np.abs(start).max() + 1e-4 * rng.standard_normal(start.shape))


def _nearest(matrix: FloatArray, k: int) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Return the k nearest graphs of every graph, itself first, and their distances: exact, so that they repeat."""
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(matrix).kneighbors(matrix)
    return np.asarray(indices), np.asarray(distances, dtype=np.float32)
