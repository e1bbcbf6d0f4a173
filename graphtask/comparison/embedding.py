"""Graphs as points in the plane: those with similar features lie close together."""

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
from graphtask.validation import choice, install_hint, integer, number

if TYPE_CHECKING:
    import pandas as pd

EmbeddingMethod = Literal["pca", "umap", "mds"]

_LEAST_UMAP = 4  # graphs; with fewer, every graph is everybody's neighbor
_EXACT_UMAP = 4_096  # graphs from which umap looks for neighbors by approximation, unless it is told them


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Graphs as points in the plane, and what the axes are."""

    points: FloatArray
    """Shape (graphs, 2)."""
    method: str
    """How they were placed."""
    axes: tuple[str, str]
    """What to write on the axes."""
    seed: int
    """Seed of what is random in the method."""
    features: tuple[str, ...]
    """What distances are measured in."""
    notes: tuple[str, ...] = ()
    """What was done about features that are undefined or the same for all graphs; what the method could not do."""

    def table(
        self, *, labels: Sequence[str] | None = None, names: Sequence[str] | None = None
    ) -> "pd.DataFrame":
        """The points as a table: ``graph`` and ``label``, if they are given, ``x`` and ``y``."""
        import pandas as pd

        columns = {"graph": names, "label": labels, "x": self.points[:, 0], "y": self.points[:, 1]}
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def embed(
    sample: AnySample,
    *,
    method: EmbeddingMethod = "pca",
    features: Sequence[str] | None = None,
    seed: int = 0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
) -> Embedding:
    """Place graphs in the plane by their standardized features.

    ====== ============================================================================================================
    method what it keeps
    ====== ============================================================================================================
    pca    the two directions in which graphs differ most; a linear map, without any choice
    mds    all distances, as well as the plane allows (metric multidimensional scaling, least squares); of more than
           500 graphs, distances to 500 of them that are drawn at random
    umap   who is near to whom: good at showing groups, but distances between groups, their sizes and densities mean
           nothing; needs the extra ``umap``
    ====== ============================================================================================================

    The same graphs in the same order give the same points, bit for bit on one machine, whatever the number of graphs
    and of processors. The random start that UMAP and MDS are usually given is the PCA instead.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`. At least two.
        method: ``"pca"``, ``"mds"`` or ``"umap"``.
        features: What graphs are compared by; by default the 15 features of the paper.
        seed: Seed of ``umap``, and of the choice of graphs in ``mds``.
        n_neighbors: Of ``umap``: the size of what is near, at least 2; of n graphs no more than n − 1.
        min_dist: Of ``umap``: how close points may come, 0 … 1.

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
    found = features_of(sample, features=features)
    if len(found.values) < 2:
        raise ArgumentError("one graph alone has no place among others; give at least two")
    with threadpool_limits(1, "blas"):  # sums in another order have other last digits
        placed = _placed(found.standardized(), method, seed=seed, n_neighbors=n_neighbors, min_dist=min_dist)
    return Embedding(
        points=placed.points,
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
    """Raise now rather than after the features are measured.

    Raises:
        ArgumentError: The method needs a package that is not installed.
    """
    if method == "umap" and "umap" not in sys.modules and importlib.util.find_spec("umap") is None:
        raise ArgumentError(f"method='umap' needs umap-learn: {install_hint('umap')}; or use 'pca' or 'mds'")


def _principal(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Principal components of standardized features, and the shares of variance; the largest loading is positive."""
    centered = matrix - matrix.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centered, full_matrices=False)
    rank = int((sizes > sizes.max(initial=0.0) * 1e-12).sum())
    largest = np.abs(directions).round(8).argmax(axis=1)  # of equals the first, whatever the rounding
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
        warnings.simplefilter("ignore")  # of numba, on versions; of umap, on what it was asked to do
        import umap

        model = umap.UMAP(
            n_neighbors=k,
            min_dist=min_dist,
            init=_roomy(start, seed=seed),
            random_state=seed,
            n_jobs=1,
            precomputed_knn=_nearest(matrix, k) if len(matrix) >= _EXACT_UMAP else (None, None, None),
        )
        points = np.asarray(model.fit_transform(matrix.astype(np.float32)), dtype=np.float64)
    assert np.isfinite(points).all()
    return points


def _roomy(start: FloatArray, *, seed: int) -> FloatArray:
    """The start of UMAP: ten wide, and with a little chance, because it divides by the width of every axis."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.asarray(10 * start / np.abs(start).max() + 1e-4 * rng.standard_normal(start.shape))


def _nearest(matrix: FloatArray, k: int) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """The k nearest graphs of every graph, itself first, and their distances: exact, so that they repeat."""
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(matrix).kneighbors(matrix)
    return np.asarray(indices), np.asarray(distances, dtype=np.float32)
