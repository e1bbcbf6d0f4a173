import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from graphtask.distribution.sizes import SizeDistribution


def some_counts(least=0):
    return st.lists(st.integers(least, 40), min_size=1, max_size=15).map(np.array)


@given(some_counts(least=2), st.integers(0, 2))
def test_probabilities_add_up_to_one_and_are_those_of_log_probability(counts, least):
    law = SizeDistribution.fit(counts, least=least)
    assert law.probability.sum() == pytest.approx(1, abs=1e-12)
    for n in (least, int(counts[0]), int(counts.max()) + 3):
        assert np.exp(law.log_probability(n)) == pytest.approx(law.probability[n - least], abs=1e-15)
    assert law.log_probability(least - 1) == -np.inf


def test_the_law_is_the_kernel_sum_that_the_module_states():
    law = SizeDistribution(np.array([3, 5]), np.array([1, 3]), 1, 0.4)
    every = np.arange(1, 400)
    kernels = [0.4 ** np.abs(every - center) for center in (3, 5, 5, 5)]
    expected = np.mean([kernel / kernel.sum() for kernel in kernels], axis=0)
    np.testing.assert_allclose(law.probability[:40], expected[:40], rtol=1e-12)
    assert law.mean == pytest.approx(every @ expected)
    assert law.entropy == pytest.approx(-(expected[:300] * np.log(expected[:300])).sum())


def test_the_width_has_the_largest_leave_one_out_likelihood():
    counts = np.array([3, 5, 5, 6, 9])
    law = SizeDistribution.fit(counts, least=1)

    def left_out(q):
        rest = [np.unique(np.delete(counts, index), return_counts=True) for index in range(len(counts))]
        return sum(
            SizeDistribution(*others, 1, q).log_probability(own)
            for own, others in zip(counts, rest, strict=True)
        )

    scores = [left_out(q) for q in np.linspace(1 / 13, 0.6, 50)]
    assert left_out(law.q) >= max(scores) - 0.01


@pytest.mark.parametrize("n_graphs", [1, 3, 10])
def test_counts_that_never_differed_change_as_the_rule_of_succession_says(n_graphs):
    law = SizeDistribution.fit(np.full(n_graphs, 60), least=1)
    assert 1 - np.exp(law.log_probability(60)) == pytest.approx(1 / (n_graphs + 2))


@given(some_counts(least=1))
def test_the_mean_is_that_of_the_counts_even_next_to_the_least(counts):
    law = SizeDistribution.fit(counts, least=1)
    if len(set(counts.tolist())) > 1:
        assert law.mean == pytest.approx(counts.mean(), abs=1e-6)


def test_counts_that_lie_far_apart_have_a_law():
    law = SizeDistribution.fit(np.array([1, 2000]), least=1)
    assert law.probability.sum() == pytest.approx(1)
    assert np.isfinite(law.log_probability(100_000))


def test_draws_follow_the_law():
    law = SizeDistribution.fit(np.array([2, 3, 3, 4, 7]), least=1)
    rng = np.random.default_rng(0)
    drawn = np.bincount([law.draw(rng) for _ in range(4000)], minlength=11)[1:11]
    expected = law.probability[:10] / law.probability[:10].sum() * drawn.sum()
    assert chisquare(drawn, expected).pvalue > 0.001
