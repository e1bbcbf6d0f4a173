"""Tests of sets that do not differ reject as often as they say, and no more often; see tests/benchmarks/comparison.py."""

from functools import partial

import numpy as np
import pytest
from benchmarks.comparison import (
    QUICK,
    TWO_SAMPLE,
    classifier_p,
    metric_p,
    null_graphs,
    null_sets,
    null_trend,
    trend_p,
    two_sample_p,
)
from scipy.stats import binom

BEYOND_CHANCE = 1e-7


@pytest.fixture(scope="module")
def few():
    return null_graphs(40, n_nodes=8)


@pytest.fixture(scope="module")
def many():
    return null_graphs()


def assert_kept(p, *, level, attained=0.0):
    """No more rejections than chance allows at ``level``, and no fewer than at the level that can be attained."""
    rejected = (p <= level + 1e-12).sum()
    assert rejected <= binom.isf(BEYOND_CHANCE, len(p), level), rejected / len(p)
    assert rejected >= binom.ppf(BEYOND_CHANCE, len(p), attained), rejected / len(p)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("method", TWO_SAMPLE)
def test_two_sample_tests_keep_their_level(few, method, paired):
    p = two_sample_p(partial(null_sets, few, 6, paired), method, 100, paired=paired, n_permutations=19)

    assert_kept(p, level=0.05)
    # Graphs of eight nodes are alike now and then, and ties make a test careful; so a little less than a half.
    assert_kept(p, level=0.5, attained=0.45)


@pytest.mark.parametrize("paired", [False, True])
def test_corrected_tests_of_all_metrics_keep_their_level(few, paired):
    for p in metric_p(partial(null_sets, few, 6, paired), 40, paired=paired).values():
        assert_kept(p, level=0.05)
        assert_kept(p, level=0.5)


def test_corrected_tests_of_all_trends_keep_their_level(few):
    for p in trend_p(partial(null_trend, few, 4, list("abc")), 40, order=list("abc")).values():
        assert_kept(p, level=0.05)
        assert_kept(p, level=0.5)


DESIGNS = pytest.mark.parametrize(("n", "paired"), [(5, False), (6, True), (10, False), (10, True)])


@pytest.mark.slow
@DESIGNS
@pytest.mark.parametrize("method", TWO_SAMPLE)
def test_two_sample_tests_attain_their_level_in_2000_experiments(many, method, paired, n):
    p = two_sample_p(partial(null_sets, many, n, paired), method, 2_000, paired=paired)

    # 5 against 5 have 252 relabelings, 6 pairs 64; each and its mirror image have one value. Some graphs are alike.
    attained = {5: 12 / 252, 6: 2 / 64, 10: 0.05}[n]
    assert_kept(p, level=0.05, attained=0.9 * attained)


@pytest.mark.slow
@DESIGNS
def test_corrected_tests_of_all_metrics_keep_their_level_in_2000_experiments(many, paired, n):
    for p in metric_p(partial(null_sets, many, n, paired), 2_000, paired=paired).values():
        assert_kept(p, level=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "n"), [("abc", 3), ("abcde", 6)])
def test_corrected_tests_of_all_trends_keep_their_level_in_2000_experiments(many, labels, n):
    for p in trend_p(partial(null_trend, many, n, list(labels)), 2_000, order=list(labels)).values():
        assert_kept(p, level=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [False, True])
def test_the_classifier_test_attains_its_level_in_2000_experiments(paired):
    small = null_graphs(n_nodes=8)
    p = classifier_p(partial(null_sets, small, 6, paired), 2_000, paired=paired, **QUICK)

    assert_kept(p, level=0.05, attained=0.045)


def test_a_binomial_test_of_answers_would_not_keep_its_level():
    """Why there is no such p-value: the answers of networks that share their training graphs hang together.

    The mean of the others, as a classifier that has seen them, of numbers that do not differ: it is wrong more often
    than right, and the number of right answers scatters more than that of coins.
    """
    rng = np.random.default_rng(0)
    right = []
    for _ in range(2_000):
        x, labels = rng.normal(size=10), rng.permutation(10) < 5
        answers = [
            abs(x[k] - x[labels & (np.arange(10) != k)].mean())
            < abs(x[k] - x[~labels & (np.arange(10) != k)].mean())
            for k in range(10)
        ]
        right.append((np.asarray(answers) == labels).sum())
    # 8 or more of 10 coins have the probability 56/1024.
    assert (np.asarray(right) >= 8).mean() > 1.3 * 56 / 1024
    assert np.var(right) > 1.5 * 2.5
