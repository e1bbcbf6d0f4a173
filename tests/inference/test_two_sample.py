import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from helpers import random_graphs
from scipy.stats import permutation_test

import graphtask as gt
from graphtask.inference.discrepancy import Discrepancy, distances, median_bandwidth, rbf
from graphtask.inference.kernels import wl_kernel


def points(n, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3)) + shift


def standard(a, b):
    both = np.concatenate([a, b])
    return (both - both.mean(axis=0)) / both.std(axis=0)


def similarities(a, b, method):
    apart = distances(standard(a, b))
    return -apart if method == "energy" else rbf(apart, bandwidth=median_bandwidth(apart))


def scipy_test(similarity, n_a, *, paired, **options):
    """SciPy deals out numbers of rows; the statistic looks their similarities up."""
    n_b = len(similarity) - n_a

    def statistic(first, second):
        order = np.concatenate([first, second])
        form = Discrepancy(similarity[np.ix_(order, order)], n_a=n_a, paired=paired, estimator="unbiased")
        return float(form((np.arange(len(order)) < n_a)[None])[0])

    rows = np.arange(n_a), np.arange(n_a, n_a + n_b)
    kind = "samples" if paired else "independent"
    return permutation_test(
        rows, statistic, permutation_type=kind, alternative="greater", vectorized=False, **options
    )


@pytest.mark.parametrize("method", ["mmd", "energy"])
@pytest.mark.parametrize(("n_a", "n_b", "paired"), [(4, 4, False), (3, 6, False), (6, 6, True)])
def test_exact_p_values_are_those_of_scipy(method, n_a, n_b, paired):
    a, b = points(n_a, seed=1), points(n_b, shift=0.7, seed=2)

    found = gt.two_sample_test(a, b, method=method, paired=paired)
    expected = scipy_test(similarities(a, b, method), n_a, paired=paired, n_resamples=np.inf)

    assert found.exact
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.n_permutations == len(expected.null_distribution)


@pytest.mark.parametrize("paired", [False, True])
def test_random_p_values_agree_with_those_of_scipy_within_their_error(paired):
    a, b = points(15, seed=1), points(15, shift=0.35, seed=2)

    found = gt.two_sample_test(a, b, paired=paired, seed=3)
    generator = np.random.default_rng(0)
    expected = scipy_test(similarities(a, b, "mmd"), 15, paired=paired, n_resamples=2_000, rng=generator)

    assert (found.exact, found.n_permutations) == (False, 9_999)
    assert 0.02 < expected.pvalue < 0.5
    error = np.sqrt(expected.pvalue * (1 - expected.pvalue) / 2_000)
    assert abs(found.p_value - expected.pvalue) < 5 * error


def test_the_kernel_test_of_graphs_is_the_discrepancy_of_the_kernel():
    graphs = random_graphs(9, seed=4)
    found = gt.two_sample_test(graphs[:4], graphs[4:], method="wl", iterations=1)
    expected = scipy_test(wl_kernel(graphs, iterations=1), 4, paired=False, n_resamples=np.inf)

    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.kernel == "Weisfeiler-Lehman subtree kernel over stages, 1 iterations"


@pytest.mark.parametrize("method", ["mmd", "energy", "wl"])
@pytest.mark.parametrize("paired", [False, True])
def test_the_order_within_the_sets_does_not_matter(method, paired):
    graphs = [gt.priors.erdos_renyi_dag(12, p=0.2 + 0.02 * seed, seed=seed) for seed in range(12)]
    a, b = graphs[:6], graphs[6:]
    order = [3, 1, 5, 0, 4, 2]
    shuffled_b = [b[index] for index in (order if paired else [5, 0, 1, 4, 2, 3])]

    first = gt.two_sample_test(a, b, method=method, paired=paired)
    second = gt.two_sample_test([a[index] for index in order], shuffled_b, method=method, paired=paired)
    swapped = gt.two_sample_test(b, a, method=method, paired=paired)

    for other in (second, swapped):
        assert other.p_value == first.p_value
        assert other.statistic == pytest.approx(first.statistic)
        assert other.effect_size == pytest.approx(first.effect_size)


@pytest.mark.parametrize("method", ["mmd", "energy"])
@pytest.mark.parametrize("paired", [False, True])
def test_units_of_the_features_do_not_matter(method, paired):
    a, b = points(8, seed=1), points(8, shift=0.5, seed=2)
    unit, origin = np.array([1e-6, 1.0, 1e6]), np.array([3.0, -2.0, 1e3])

    first = gt.two_sample_test(a, b, method=method, paired=paired)
    second = gt.two_sample_test(a * unit + origin, b * unit + origin, method=method, paired=paired)

    assert first.p_value == second.p_value
    assert first.statistic == pytest.approx(second.statistic, rel=1e-6)


@pytest.mark.parametrize("method", ["mmd", "energy"])
def test_both_estimators_give_one_p_value_for_sets_of_one_size(method):
    a, b = points(6, seed=1), points(6, shift=0.5, seed=2)

    unbiased = gt.two_sample_test(a, b, method=method)
    biased = gt.two_sample_test(a, b, method=method, estimator="biased")

    assert unbiased.p_value == biased.p_value
    assert unbiased.statistic < biased.statistic


def test_a_seed_repeats_the_result_and_another_one_moves_it_a_little():
    a, b = points(12, seed=1), points(12, shift=0.4, seed=2)

    first, again, other = (gt.two_sample_test(a, b, seed=seed) for seed in (0, 0, 1))

    assert first == again
    assert first.p_value != other.p_value
    assert first.p_value == pytest.approx(other.p_value, abs=0.02)


def test_pairs_see_what_differences_between_pairs_hide():
    rng = np.random.default_rng(0)
    level = rng.normal(size=(12, 1)) * 5
    a, b = level + 0.1 * rng.normal(size=(12, 1)), level + 0.5 + 0.1 * rng.normal(size=(12, 1))

    assert gt.two_sample_test(a, b).p_value > 0.5
    assert gt.two_sample_test(a, b, paired=True).p_value < 0.05


@pytest.mark.parametrize("method", ["mmd", "energy", "wl"])
@pytest.mark.parametrize("paired", [False, True])
def test_sets_of_equal_graphs_have_a_p_value_of_one(method, paired):
    graphs = [gt.full_dag(5)] * 5

    result = gt.two_sample_test(graphs, graphs, method=method, paired=paired)

    assert result.p_value == 1
    assert result.statistic == pytest.approx(0, abs=1e-12)
    assert result.effect_size == pytest.approx(0, abs=1e-12)


def test_graphs_and_their_table_give_the_same_result():
    a, b = (
        [gt.priors.erdos_renyi_dag(9, p=0.4, seed=seed) for seed in seeds]
        for seeds in (range(5), range(5, 11))
    )

    assert gt.two_sample_test(a, b) == gt.two_sample_test(gt.measure_all(a), gt.measure_all(b))


def test_a_difference_in_what_is_defined_counts_and_is_noted():
    a, b = np.full((5, 1), np.nan), np.ones((5, 1))
    result = gt.two_sample_test(a, b)

    assert result.p_value == 2 / 252
    assert result.notes == (
        "feature 0: the same for all graphs",
        "feature 0: undefined for 5 of 10 graphs; its availability counts as a feature",
    )


def test_the_bandwidth_used_is_told_and_can_be_given():
    a, b = points(4, seed=1), points(4, seed=2)

    assert gt.two_sample_test(a, b).bandwidth == pytest.approx(median_bandwidth(distances(standard(a, b))))
    assert gt.two_sample_test(a, b, bandwidth=0.7).bandwidth == 0.7
    assert gt.two_sample_test(a, b, method="energy").bandwidth is None


def test_the_result_tells_itself_in_a_line_and_as_a_row():
    result = gt.two_sample_test(points(3, seed=1), points(3, shift=9, seed=2), method="energy")

    assert repr(result).startswith(
        "TwoSampleResult(energy, 3 against 3: p=0.1 (all 20 permutations, smallest attainable 0.1), statistic="
    )
    row = result.row()
    assert (
        row["notes"]
        == "no p-value can be below 0.1 with so few graphs: a large one is no evidence of equal sets"
    )
    assert row["null_q05"] <= row["null_q50"] <= row["null_q95"] <= row["null_q99"] <= result.statistic
    assert (row["n_permutations"], row["exact"], row["seed"]) == (20, True, 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.p_value = 0


def test_thousands_of_graphs_fit_into_memory():
    result = gt.two_sample_test(points(600, seed=1), points(500, seed=2), n_permutations=200)

    assert result.n_permutations == 200
    assert 0.005 <= result.p_value <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "method must be one of mmd, energy, wl"),
        ({"estimator": "best"}, "estimator must be"),
        ({"bandwidth": 0}, "bandwidth must be"),
        ({"bandwidth": "mean"}, "bandwidth must be"),
        ({"method": "wl"}, "a and b must be lists of graphs"),
        ({"n_permutations": 0.5}, "n_permutations must be"),
    ],
)
def test_what_does_not_work_is_an_error(options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        gt.two_sample_test(points(3), points(3), **options)


def test_comparing_does_not_load_torch():
    code = (
        "import graphtask as gt, sys; a = [gt.full_dag(n) for n in (4, 5)]; b = [gt.chain_dag(n) for n in (4, 5)];"
        "gt.two_sample_test(a, b); gt.two_sample_test(a, b, method='wl'); gt.inference.metric_tests(a, b);"
        "gt.inference.pairwise_tests({'a': a, 'b': b}); gt.inference.trend_test; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
