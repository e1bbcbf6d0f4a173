"""Metric multidimensional scaling: points in the plane that approximate distances in many dimensions."""

import numpy as np

from graphtask.types import FloatArray, IntArray

N_LANDMARKS = 500
_STEPS = 300
_PRECISION = 1e-5  # of the stress, and of positions


def scaled_to_plane(matrix: FloatArray, *, start: FloatArray, seed: int) -> FloatArray:
    """Return points in the plane that approximate the distances of the rows of ``matrix``.

    The stress Σ (|x_i − x_j| − d_ij)² over all pairs decreases with every step of SMACOF; the start determines the
    minimum that is found. Of many rows a random sample (landmarks) is placed first, then each other row by its
    distances to the landmarks, so that time and memory grow in proportion to the rows.

    Args:
        matrix: Shape (rows, dimensions).
        start: Shape (rows, 2).
        seed: Random seed for the choice of landmarks.

    Returns:
        Shape (rows, 2).

    Example:
        >>> square = np.array([[0.0, 0.0, 5.0], [1.0, 0.0, 5.0], [0.0, 1.0, 5.0], [1.0, 1.0, 5.0]])
        >>> points = scaled_to_plane(square, start=square[:, :2] + 0.1, seed=0)
        >>> round(stress(points, distances(square, square)), 6)
        0.0

    Source:
        De Leeuw, Applications of convex analysis to multidimensional scaling (1977); landmarks: de Silva & Tenenbaum,
        Sparse multidimensional scaling using landmark points (2004).
    """
    landmarks = _landmarks(len(matrix), seed=seed)
    wanted = distances(matrix[landmarks], matrix[landmarks])
    placed = _smacof(wanted, start[landmarks])
    if len(landmarks) == len(matrix):
        return placed
    points = _placed_by_landmarks(placed, distances(matrix, matrix[landmarks]), start)
    points[landmarks] = placed
    return points


def distances(rows: FloatArray, others: FloatArray) -> FloatArray:
    """Return Euclidean distances, shape (rows, others)."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(rows, others))


def stress(points: FloatArray, wanted: FloatArray) -> float:
    """Return Σ (|x_i − x_j| − d_ij)² over all pairs i < j."""
    return float(((distances(points, points) - wanted) ** 2).sum() / 2)


def _landmarks(n_rows: int, *, seed: int) -> IntArray:
    if n_rows <= N_LANDMARKS:
        return np.arange(n_rows)
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.sort(rng.choice(n_rows, size=N_LANDMARKS, replace=False))


def _smacof(wanted: FloatArray, start: FloatArray) -> FloatArray:
    """Minimize the stress; each step is the Guttman transform: x ← B(x)·x/n with b_ij = −d_ij/|x_i − x_j|, rows of B adding up to 0."""
    points = start
    last = stress(points, wanted)
    for _ in range(_STEPS):
        ratios = _ratios(wanted, distances(points, points))
        points = (ratios.sum(axis=1)[:, None] * points - ratios @ points) / len(points)
        now = stress(points, wanted)
        if last - now <= _PRECISION * last:
            break
        last = now
    return points


def _placed_by_landmarks(placed: FloatArray, wanted: FloatArray, start: FloatArray) -> FloatArray:
    """Take the same steps for rows with distances to fixed landmarks only."""
    points = start
    middle = placed.mean(axis=0)
    for _ in range(_STEPS):
        ratios = _ratios(wanted, distances(points, placed))
        moved = middle + (ratios.sum(axis=1)[:, None] * points - ratios @ placed) / len(placed)
        done = np.abs(moved - points).max() <= _PRECISION * np.abs(moved).max()
        points = moved
        if done:
            break
    return points


def _ratios(wanted: FloatArray, found: FloatArray) -> FloatArray:
    """Return d_ij/|x_i − x_j|, 0 for points in the same place."""
    return np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)
