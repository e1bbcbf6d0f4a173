import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphtask.inference.multiple import holm, westfall_young

P = st.one_of(st.floats(0, 1), st.sampled_from([0.01, 0.02, 0.05]))


def rejected_by_holm(p, level):
    """The procedure as its author describes it: test the smallest first, stop at the first that stays."""
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        if p[index] * (len(p) - rank) > level:
            break
        rejected.add(index)
    return rejected


@given(st.lists(P, min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_the_adjusted_values_reject_what_the_procedure_rejects(p, level):
    assert set(np.flatnonzero(holm(p) <= level)) == rejected_by_holm(p, level)


@given(st.lists(P, min_size=1, max_size=8))
def test_the_adjusted_values_are_no_smaller_in_the_same_order_and_at_most_one(p):
    adjusted = holm(p)

    assert (adjusted >= np.asarray(p)).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_what_was_not_tested_does_not_count():
    np.testing.assert_array_equal(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert np.isnan(holm([np.nan, np.nan])).all()
    assert len(holm([])) == 0


def step_down(null):
    """Westfall & Young's procedure, one hypothesis after the other."""
    scaled = null / np.sqrt(np.square(null).mean(axis=0))
    order = np.argsort(-scaled[0])
    adjusted, floor = np.zeros(null.shape[1]), 0.0
    for rank, index in enumerate(order):
        remaining = scaled[:, order[rank:]].max(axis=1)
        floor = max(floor, float((remaining >= scaled[0, index] - 1e-9).mean()))
        adjusted[index] = floor
    return adjusted


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_statistics_adjust_step_by_step(seed):
    rng = np.random.default_rng(seed)
    null = np.abs(rng.normal(size=(200, 6)) * rng.uniform(0.1, 10, size=6))
    null[0] *= 3

    np.testing.assert_allclose(westfall_young(null), step_down(null))


def test_metrics_that_say_the_same_cost_nothing():
    null = np.abs(np.random.default_rng(0).normal(size=(200, 1)))
    null[0] = 2.5
    alone = westfall_young(null)[0]

    np.testing.assert_allclose(westfall_young(np.repeat(null, 10, axis=1)), alone)
    assert 0.005 <= alone < 0.05
    assert holm([alone] * 10)[0] == pytest.approx(10 * alone)


def test_a_statistic_that_never_moves_and_a_family_without_members_are_fine():
    null = np.abs(np.random.default_rng(0).normal(size=(200, 2)))
    null[:, 1] = 0

    assert westfall_young(null)[1] == 1
    assert westfall_young(np.zeros((5, 0))).shape == (0,)
