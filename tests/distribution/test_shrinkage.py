import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import betabinom

from graphtask.distribution.shrinkage import (
    STRONGEST,
    WEAKEST,
    likeliest_strengths,
    pooled_rates,
    shrunk_rates,
)


def counts(seed, *, n_items=300, mean=0.3, strength=8.0, trials=12):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, trials + 1, size=n_items)
    return rng.binomial(n, rng.beta(mean * strength, (1 - mean) * strength, size=n_items)), n


def strength_of(k, n, mean):
    zeros = np.zeros(len(k), dtype=int)
    return likeliest_strengths(k, n, mean=np.full(len(k), mean), group=zeros, n_groups=1)[0]


@pytest.mark.parametrize("seed", range(5))
def test_the_strength_maximises_the_beta_binomial_likelihood_of_scipy(seed):
    k, n = counts(seed)

    def loss(log_strength):
        s = np.exp(log_strength)
        return -betabinom.logpmf(k, n, 0.3 * s, 0.7 * s).sum()

    best = minimize_scalar(loss, bounds=(np.log(WEAKEST), np.log(STRONGEST)), method="bounded")
    assert loss(np.log(strength_of(k, n, 0.3))) <= best.fun + 1e-6
    assert strength_of(k, n, 0.3) == pytest.approx(np.exp(best.x), rel=0.01)


@pytest.mark.parametrize("strength", [0.5, 5.0, 50.0])
def test_the_strength_that_data_were_drawn_with_is_found(strength):
    k, n = counts(0, n_items=20_000, strength=strength, trials=20)
    assert strength_of(k, n, 0.3) == pytest.approx(strength, rel=0.15)


def test_three_graphs_tell_whether_pairs_differ():
    """435 pairs, three graphs: where pairs differ the strength is found and gains much, where they do not, little is lost."""
    rng = np.random.default_rng(0)
    group, trials = np.zeros(435, dtype=int), np.full(435, 3)
    gains: dict[float, list[float]] = {5.0: [], 1e4: []}
    for strength, found in gains.items():
        for _ in range(10):
            truth = rng.beta(0.2 * strength, 0.8 * strength, size=435)
            successes = rng.binomial(3, truth)
            pooled = pooled_rates(successes, trials, group, n_groups=1)[group]
            rate = shrunk_rates(successes, trials, mean=pooled, group=group, n_groups=1).rate
            likelihoods = [(truth * np.log(q) + (1 - truth) * np.log1p(-q)).sum() for q in (rate, pooled)]
            found.append(likelihoods[0] - likelihoods[1])
    assert np.mean(gains[5.0]) > 8  # nats of a new graph
    assert -1 < np.mean(gains[1e4]) <= 0.1


def test_rates_that_differ_no_more_than_chance_are_pooled():
    assert strength_of(np.array([3, 3, 3, 3]), np.array([10, 10, 10, 10]), 0.3) == pytest.approx(STRONGEST)


def test_every_group_has_the_strength_that_it_has_alone():
    parts = [counts(seed, strength=strength) for seed, strength in ((0, 1.0), (1, 10.0), (2, 100.0))]
    k, n = (np.concatenate(values) for values in zip(*parts, strict=True))
    group = np.repeat(np.arange(3), 300)
    together = likeliest_strengths(k, n, mean=np.full(900, 0.3), group=group, n_groups=3)
    np.testing.assert_allclose(together, [strength_of(*part, 0.3) for part in parts], rtol=1e-6)


def test_a_group_without_trials_has_the_mean_as_its_rate():
    nothing = np.array([0])
    shrunk = shrunk_rates(nothing, nothing, mean=np.array([0.2]), group=nothing, n_groups=1)
    assert shrunk.rate.tolist() == [0.2]
    assert shrunk.strength[0] == pytest.approx(STRONGEST)
    assert pooled_rates(nothing, nothing, nothing, n_groups=1).tolist() == [0.5]


def test_strength_zero_is_raw_shares_and_infinity_is_the_mean():
    k, n, mean = np.array([0, 1, 4]), np.array([0, 2, 4]), np.array([0.1, 0.1, 0.1])
    zeros = np.zeros(3, dtype=int)
    raw, pooled = (
        shrunk_rates(k, n, mean=mean, group=zeros, n_groups=1, strength=strength).rate
        for strength in (0, np.inf)
    )
    assert raw.tolist() == [0.1, 0.5, 1.0]
    assert pooled.tolist() == mean.tolist()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=20),
    st.one_of(st.none(), st.floats(0.01, 1e6)),
)
def test_shrunk_rates_lie_between_the_raw_share_and_the_mean(pairs, strength):
    k, n = np.array([[min(pair), max(pair)] for pair in pairs]).T
    zeros = np.zeros(len(k), dtype=int)
    mean = pooled_rates(k, n, zeros, n_groups=1)[zeros]
    rate = shrunk_rates(k, n, mean=mean, group=zeros, n_groups=1, strength=strength).rate
    raw = np.where(n > 0, k / np.maximum(n, 1), mean)
    assert (rate >= np.minimum(raw, mean) - 1e-12).all()
    assert (rate <= np.maximum(raw, mean) + 1e-12).all()
    assert ((rate > 0) & (rate < 1)).all()
