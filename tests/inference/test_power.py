import math

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

import graphtask as gt
from graphtask.inference.permutations import permutations_of
from graphtask.inference.power import detectable_effect, power


def sizes(n_a, n_b, *, paired=False):
    return permutations_of(n_a, n_b, paired=paired, n_permutations=9_999, seed=0)


@pytest.mark.parametrize(
    ("n_a", "n_b", "paired", "effect"), [(10, 10, False, 1.0), (6, 14, False, 1.5), (9, 9, True, 1.0)]
)
def test_the_power_is_the_share_of_significant_t_tests(n_a, n_b, paired, effect):
    rng = np.random.default_rng(0)
    n = 4_000
    if paired:
        found = ttest_rel(rng.standard_normal((n, n_a)) + effect, np.zeros((n, n_b)), axis=1)
    else:
        found = ttest_ind(rng.standard_normal((n, n_a)) + effect, rng.standard_normal((n, n_b)), axis=1)
    share = (found.pvalue <= 0.05).mean()
    error = math.sqrt(share * (1 - share) / n)
    assert power(sizes(n_a, n_b, paired=paired), effect) == pytest.approx(share, abs=4.5 * error)


def test_the_detectable_effect_has_a_power_of_80_percent():
    found = sizes(8, 12)
    assert power(found, detectable_effect(found)) == pytest.approx(0.8, abs=1e-5)


def test_two_against_two_detect_nothing_and_the_result_states_it():
    a, b = [gt.chain_dag(n) for n in (5, 6)], [gt.full_dag(n) for n in (5, 6)]
    result = gt.two_sample_test(a, b)
    assert result.least_p == pytest.approx(1 / 3)
    assert result.power == 0
    assert result.detectable == math.inf
    assert "smallest attainable 0.333" in repr(result)
    assert "power 0 for 1 sd" in repr(result)
    assert any("no evidence of equal sets" in note for note in result.notes)
    table = gt.inference.metric_tests(a, b, features=["edges"])
    assert table[["least_p", "power"]].values.tolist() == [[pytest.approx(1 / 3), 0.0]]


def test_predictions_of_four_graphs_are_never_significant_and_the_result_states_it():
    found = gt.comparison.classify_leave_one_out(np.arange(4.0)[:, None], ["a", "a", "b", "b"])
    assert found.least_p > 0.05
    assert math.isnan(found.needed_accuracy)
    assert "smallest attainable p=" in repr(found)
    assert any("no evidence of equal groups" in note for note in found.notes)
    many = gt.comparison.classify_leave_one_out(np.arange(20.0)[:, None], ["a"] * 10 + ["b"] * 10)
    assert many.least_p < 0.05
    assert 0.5 < many.needed_accuracy <= 1
