import itertools
import math

import numpy as np
import pytest
from scipy import stats

from graphtask.errors import ArgumentError
from graphtask.priors.words import Words


def test_draws_are_pinned():
    words = Words(0)
    assert words.uniform(3).tolist() == [0.6369616873214544, 0.2697867137638704, 0.04097352393619469]
    assert (words.below(1000), words.below(10**9)) == (533, 291974971)


def test_draws_are_the_top_bits_of_the_raw_words():
    raw = [int(word) for word in np.random.PCG64(7).random_raw(100)]
    words = Words(7)
    assert words.uniform(99).tolist() == [((word >> 12) + 0.5) / 2**52 for word in raw[:99]]
    assert words.below(10) == raw[99] % 10


def test_one_draw_at_a_time_is_the_same_stream():
    words = Words(3)
    assert [float(words.uniform(1)[0]) for _ in range(5)] == Words(3).uniform(5).tolist()


def test_uniform_draws_are_uniform_and_never_0_or_1():
    draws = Words(1).uniform(20_000)
    assert draws.min() > 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-3


def test_whole_numbers_are_uniform():
    words = Words(2)
    counts = np.bincount([words.below(7) for _ in range(14_000)], minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_orders_are_uniform():
    words = Words(3)
    orders = [tuple(words.order(3).tolist()) for _ in range(6000)]
    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    assert sum(counts) == 6000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_samples_are_those_of_drawing_one_after_the_other():
    weights = [1.0, 2.0, 0.5, 4.0]

    def probability(pair):
        return sum(
            weights[a] / sum(weights) * weights[b] / (sum(weights) - weights[a])
            for a, b in (pair, pair[::-1])
        )

    pairs = list(itertools.combinations(range(4), 2))
    words = Words(4)
    samples = [tuple(words.sample(np.log(weights), 2).tolist()) for _ in range(8000)]
    expected = [8000 * probability(pair) for pair in pairs]
    assert math.isclose(sum(expected), 8000)
    assert stats.chisquare([samples.count(pair) for pair in pairs], expected).pvalue > 1e-3


def test_an_infinite_weight_is_always_drawn_and_tiny_ones_do_not_underflow():
    words = Words(5)
    for _ in range(50):
        assert words.sample(np.array([0.0, np.inf, 0.0, 0.0]), 1).tolist() == [1]
        assert words.sample(np.array([-5000.0, -9000.0, -9000.0]), 1).tolist() == [0]


@pytest.mark.parametrize("seed", [-1, 1.0, "0", None])
def test_seeds_are_whole_numbers_from_0(seed):
    with pytest.raises(ArgumentError, match=r"seed must be an integer >= 0, got"):
        Words(seed)
