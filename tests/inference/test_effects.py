import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import mannwhitneyu, nct, ttest_ind, ttest_rel

from graphtask.inference.effects import cliffs_delta, hedges_g, noncentral_t_cdf


def samples(n_a, n_b, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n_a) + shift, rng.normal(size=n_b)


@pytest.mark.parametrize(
    ("t", "freedom", "shift"), [(2, 2, 1), (0, 1, 0.5), (-3, 18, 2), (10, 5, 4), (30, 18, 25)]
)
def test_the_noncentral_distribution_is_that_of_scipy_where_scipy_has_it(t, freedom, shift):
    assert noncentral_t_cdf(t, freedom, shift) == pytest.approx(nct.cdf(t, freedom, shift), abs=1e-7)


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 8), (20, 15)])
def test_hedges_g_is_the_t_statistic_in_other_units(n_a, n_b):
    a, b = samples(n_a, n_b, shift=1)
    freedom = n_a + n_b - 2
    approximate_correction = 1 - 3 / (4 * freedom - 1)

    expected = approximate_correction * ttest_ind(a, b).statistic * np.sqrt(1 / n_a + 1 / n_b)

    assert hedges_g(a, b).value == pytest.approx(expected, rel=0.02 if freedom < 5 else 0.001)


def test_paired_g_is_the_paired_t_statistic_in_other_units():
    a, b = samples(9, 9, shift=1)
    expected = (1 - 3 / (4 * 8 - 1)) * ttest_rel(a, b).statistic / 3

    assert hedges_g(a, b, paired=True).value == pytest.approx(expected, rel=0.001)


def test_the_interval_of_g_inverts_the_noncentral_distribution():
    a, b = samples(12, 9, shift=1)
    t, freedom, unit = ttest_ind(a, b).statistic, 19, np.sqrt(1 / 12 + 1 / 9)
    effect = hedges_g(a, b, confidence=0.9)

    ends = [brentq(lambda shift, p=p: nct.cdf(t, freedom, shift) - p, -10, 20) for p in (0.95, 0.05)]
    assert [effect.low, effect.high] == pytest.approx([unit * end for end in ends], abs=1e-6)


@pytest.mark.parametrize("shift", [1e2, 1e4, 1e9])
def test_sets_far_apart_have_an_interval(shift):
    a, b = samples(4, 5, shift=shift)
    value, low, high = hedges_g(a, b)

    assert shift / 4 < low < value < high < 4 * shift


def test_sets_without_spread_have_no_g():
    assert np.isnan(hedges_g(np.ones(3), np.zeros(3))).all()
    assert np.isnan(hedges_g(np.array([1.0, 2, 3]), np.array([2.0, 3, 4]), paired=True)).all()


def test_two_pairs_say_too_little_for_a_g():
    assert np.isnan(hedges_g(np.array([1.0, 2.0]), np.array([0.0, 3.0]), paired=True)).all()
    assert np.isfinite(hedges_g(np.array([1.0, 2.0]), np.array([0.0, 3.0]))).all()


def test_cliffs_delta_is_the_statistic_of_mann_and_whitney_in_other_units():
    a, b = np.random.default_rng(0).integers(0, 6, size=(2, 14)).astype(float)
    b = b[:9]

    assert cliffs_delta(a, b).value == pytest.approx(2 * mannwhitneyu(a, b).statistic / (14 * 9) - 1)
    assert cliffs_delta(b, a).value == -cliffs_delta(a, b).value


def test_paired_delta_counts_pairs():
    a, b = np.array([1.0, 2, 3, 4]), np.array([0.0, 2, 4, 1])

    assert cliffs_delta(a, b, paired=True).value == 0.25


def test_the_paired_interval_is_that_of_wilson():
    a, b = np.ones(10), np.where(np.arange(10) < 7, 0.0, 2.0)

    # Wilson's interval of 7 out of 10, as published in any table: 0.397 … 0.892.
    assert [0.5 * (end + 1) for end in cliffs_delta(a, b, paired=True)[1:]] == pytest.approx(
        [0.397, 0.892], abs=5e-4
    )


@pytest.mark.parametrize("paired", [False, True])
def test_sets_that_do_not_overlap_have_an_interval_with_a_width(paired):
    a, b = np.array([4.0, 5, 6]), np.array([1.0, 2, 3])
    value, low, high = cliffs_delta(a, b, paired=paired)

    assert value == high == 1
    assert -1 < low < 0.5
    assert cliffs_delta(b, a, paired=paired) == pytest.approx((-1, -1, -low))
    if paired:  # Wilson's bound of all out of n is n/(n + z²)
        assert 0.5 * (low + 1) == pytest.approx(3 / (3 + 1.959964**2))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_intervals_cover_the_truth_as_often_as_they_claim(paired, shift):
    """400 samples; six standard deviations of a share of 0.95 are 0.065, and small samples are covered a bit more."""
    from scipy.stats import norm

    # Within a pair, and between the sets, the difference is normal with variance 2.
    truth_delta = 2 * norm.cdf(shift / np.sqrt(2)) - 1
    truth_g = shift / np.sqrt(2) if paired else shift
    found = np.zeros(2)
    for seed in range(400):
        a, b = samples(10, 10, shift, seed)
        delta, g = cliffs_delta(a, b, paired=paired), hedges_g(a, b, paired=paired)
        found += [delta.low <= truth_delta <= delta.high, g.low <= truth_g <= g.high]

    assert (found / 400 > 0.95 - 0.065).all()
    assert (found / 400 < 0.999).all()


def test_the_interval_of_g_is_exact_even_for_three_against_three_normal_values():
    """2,000 samples; four standard deviations of a share of 0.8 are 0.036."""
    shift = 2.0
    found = [hedges_g(*samples(3, 3, shift, seed), confidence=0.8) for seed in range(2_000)]
    assert abs(np.mean([effect.low <= shift <= effect.high for effect in found]) - 0.8) < 0.036
    # The corrected size is right on average; uncorrected it would be a quarter too large.
    values = [effect.value for effect in found]
    assert abs(np.mean(values) - shift) < 4 * np.std(values) / np.sqrt(2_000) < 0.2
