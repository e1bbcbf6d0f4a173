import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.manifold import smacof

from graphtask.comparison import scaling
from graphtask.comparison.scaling import distances, scaled_to_plane, stress


def points(n_rows, n_columns, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


def test_stress_is_a_sum_over_pairs():
    found, wanted = points(6, 2), squareform(pdist(points(6, 5)))
    assert stress(found, wanted) == pytest.approx(((pdist(found) - squareform(wanted)) ** 2).sum())


@pytest.mark.parametrize("n_rows", [3, 10, 60])
def test_the_minimum_is_as_deep_as_scikit_learns_from_the_same_start(n_rows):
    matrix = points(n_rows, 6)
    wanted, start = distances(matrix, matrix), matrix[:, :2]
    found = scaled_to_plane(matrix, start=start, seed=0)
    theirs, _ = smacof(wanted, init=start, n_init=1, eps=1e-9, max_iter=2000, normalized_stress=False)
    assert stress(found, wanted) <= stress(theirs, wanted) * 1.01 + 1e-9
    assert stress(found, wanted) < stress(start, wanted)


def test_points_of_a_plane_keep_their_distances_in_any_position():
    flat = points(30, 2)
    turned = flat @ np.linalg.qr(points(5, 5))[0][:2]
    found = scaled_to_plane(turned, start=flat + 0.1 * points(30, 2, seed=1), seed=0)
    np.testing.assert_allclose(pdist(found), pdist(flat), atol=0.02)


def test_rows_that_are_no_landmarks_find_their_place_too(monkeypatch):
    monkeypatch.setattr(scaling, "N_LANDMARKS", 40)
    flat = points(200, 2)
    turned = flat @ np.linalg.qr(points(5, 5))[0][:2]
    found = scaled_to_plane(turned, start=flat + 0.1 * points(200, 2, seed=1), seed=3)
    np.testing.assert_allclose(pdist(found), pdist(flat), atol=0.02)


def test_landmarks_cost_little_quality(monkeypatch):
    matrix = points(150, 6) * [5, 4, 3, 2, 1, 1]
    wanted = distances(matrix, matrix)
    whole = stress(scaled_to_plane(matrix, start=matrix[:, :2], seed=0), wanted)
    monkeypatch.setattr(scaling, "N_LANDMARKS", 50)
    few = [stress(scaled_to_plane(matrix, start=matrix[:, :2], seed=seed), wanted) for seed in (0, 1)]
    assert few[0] != few[1]
    assert max(few) < 1.25 * whole


def test_rows_in_the_same_place_stay_together():
    matrix = np.repeat(points(5, 4), 3, axis=0)
    found = scaled_to_plane(matrix, start=matrix[:, :2], seed=0)
    np.testing.assert_allclose(found[::3], found[1::3], atol=1e-9)
    same = np.zeros((4, 3))
    assert (scaled_to_plane(same, start=same[:, :2], seed=0) == 0).all()
