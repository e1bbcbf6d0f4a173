import numpy as np
import pytest

from graphtask.distribution.distances import CLASS_STARTS, distance_class, fit_distance_rates


def test_classes_are_half_an_octave_wide():
    assert CLASS_STARTS[:10].tolist() == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    assert distance_class(np.array([1, 5, 6, 31, 32, 1_000_000])).tolist() == [0, 3, 4, 8, 9, 38]


def test_rates_are_raw_shares_where_much_was_seen():
    pairs = np.full((2, 2, 3), 100_000)
    pairs[1, 0] = 0
    rates = np.random.default_rng(0).random((2, 2, 3))
    law = fit_distance_rates((rates * pairs).astype(int), pairs)
    assert law.rate[pairs > 0] == pytest.approx(rates[pairs > 0], abs=2e-3)


def test_a_class_that_was_hardly_seen_has_the_rate_of_its_stages():
    edges, pairs = np.array([[[300, 300, 0]]]), np.array([[[1000, 1000, 1]]])
    assert fit_distance_rates(edges, pairs).rate[0, 0, 2] == pytest.approx(0.3, abs=0.01)


def test_stages_between_which_nothing_was_seen_have_the_overall_rate():
    edges, pairs = np.zeros((2, 2, 1), dtype=int), np.zeros((2, 2, 1), dtype=int)
    edges[0, 0], pairs[0, 0] = 300, 1000
    assert fit_distance_rates(edges, pairs).rate[1, 1, 0] == pytest.approx(0.3, abs=0.01)


def test_no_edge_is_impossible_or_certain_unless_nothing_is_shrunk():
    edges, pairs = np.array([[[0, 50]]]), np.array([[[50, 50]]])
    assert 0 < fit_distance_rates(edges, pairs).rate.min() < fit_distance_rates(edges, pairs).rate.max() < 1
    assert fit_distance_rates(edges, pairs, strength=0).rate.ravel().tolist() == [0, 1]


def test_distances_beyond_the_last_class_count_as_the_last():
    law = fit_distance_rates(np.array([[[10, 1]]]), np.array([[[20, 20]]]), strength=0)
    assert law.at(np.array([0, 0]), np.array([0, 0]), np.array([2, 900])).tolist() == [0.05, 0.05]
