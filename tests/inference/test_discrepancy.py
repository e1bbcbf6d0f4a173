from itertools import product

import numpy as np
import pytest
from scipy.stats import energy_distance
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from graphtask.inference.discrepancy import (
    Discrepancy,
    distances,
    inhomogeneity,
    median_bandwidth,
    rbf,
)


def points(n=9, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def by_definition(similarities, in_a, *, paired, unbiased):
    """The double sums as they stand in the papers."""
    a, b = np.flatnonzero(in_a), np.flatnonzero(~in_a)
    half = len(similarities) // 2

    def mean(first, second):
        kept = [
            similarities[i, j]
            for i, j in product(first, second)
            if not (unbiased and (i == j or (paired and i % half == j % half)))
        ]
        return np.mean(kept)

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(("n_a", "paired"), [(2, False), (4, False), (5, False), (4, True)])
def test_the_discrepancy_is_the_double_sum_of_its_definition(n_a, paired, unbiased):
    n = 8 if paired else 9
    similarities = rbf(distances(points(n)), bandwidth=1.3)
    form = Discrepancy(similarities, n_a=n_a, paired=paired, estimator="unbiased" if unbiased else "biased")
    rng = np.random.default_rng(1)
    if paired:
        kept = rng.random((20, n_a)) < 0.5
        members = np.concatenate([kept, ~kept], axis=1)
    else:
        members = np.argsort(rng.random((20, n)), axis=1) < n_a

    expected = [by_definition(similarities, row, paired=paired, unbiased=unbiased) for row in members]
    np.testing.assert_allclose(form(members), expected, atol=1e-14)


def test_the_biased_energy_form_is_the_energy_distance_of_scipy_in_one_dimension():
    x = points(11, 1, seed=3)
    form = Discrepancy(-distances(x), n_a=5, paired=False, estimator="biased")

    found = form((np.arange(11) < 5)[None])[0]

    # SciPy returns the square root.
    assert found == pytest.approx(energy_distance(x[:5, 0], x[5:, 0]) ** 2, rel=1e-12)


def test_kernel_and_distances_are_those_of_scikit_learn():
    x = points(12, 4)

    np.testing.assert_allclose(distances(x), euclidean_distances(x), atol=1e-7)
    np.testing.assert_allclose(
        rbf(distances(x), bandwidth=1.7), rbf_kernel(x, gamma=1 / (2 * 1.7**2)), atol=1e-14
    )


def test_the_bandwidth_is_the_median_over_all_pairs():
    x = points(7)
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i)]

    assert median_bandwidth(distances(x)) == pytest.approx(np.median(pairs))


def test_equal_points_leave_a_bandwidth_above_zero():
    mostly = np.array([[0.0], [0.0], [0.0], [0.0], [3.0]])

    assert median_bandwidth(distances(mostly)) == pytest.approx(3 * 4 / 10)
    assert median_bandwidth(np.zeros((4, 4))) == 1.0


@pytest.mark.parametrize("paired", [False, True])
def test_unbiased_means_that_nothing_is_there_on_average_where_nothing_differs(paired):
    """The mean over all relabelings, by chance above or below, is what pairs of the same sample would give."""
    similarities = rbf(distances(points(8, seed=4)), bandwidth=1.0)
    form = Discrepancy(similarities, n_a=4, paired=paired, estimator="unbiased")
    if paired:
        kept = np.asarray(list(product((True, False), repeat=4)))
        members = np.concatenate([kept, ~kept], axis=1)
    else:
        every = np.asarray(list(product((True, False), repeat=8)))
        members = every[every.sum(axis=1) == 4]

    assert form(members).mean() == pytest.approx(0, abs=1e-14)


def test_the_effect_is_one_for_two_points_and_about_zero_for_one_cloud():
    apart = distances(np.array([[0.0]] * 4 + [[5.0]] * 3))
    assert inhomogeneity(-apart, n_a=4, paired=False) == pytest.approx(1)
    assert inhomogeneity(rbf(apart, bandwidth=1.0), n_a=4, paired=False) == pytest.approx(1)
    assert inhomogeneity(np.ones((6, 6)), n_a=3, paired=False) == 0

    values = [inhomogeneity(-distances(points(20, seed=seed)), n_a=10, paired=False) for seed in range(200)]
    # Its standard deviation is about 0.02.
    assert abs(np.mean(values)) < 0.01


def test_the_effect_of_the_energy_form_is_the_coefficient_of_its_source_but_for_the_bias():
    """The coefficient of Székely & Rizzo with means over all pairs converges to ours."""
    x = np.concatenate([points(300, seed=5), points(300, seed=6) + 1])
    apart = distances(x)
    between = apart[:300, 300:].mean()
    biased = (2 * between - apart[:300, :300].mean() - apart[300:, 300:].mean()) / (2 * between)

    assert inhomogeneity(-apart, n_a=300, paired=False) == pytest.approx(biased, abs=0.005)
