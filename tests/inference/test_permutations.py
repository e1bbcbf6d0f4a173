from itertools import combinations, islice, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphtask.errors import ArgumentError
from graphtask.inference.permutations import null_distribution, p_values, permutations_of


def members(n_a, n_b, **options):
    return np.concatenate(
        list(permutations_of(n_a, n_b, **{"n_permutations": 9_999, "seed": 0} | options).batches())
    )


@given(st.integers(2, 5), st.integers(2, 5))
def test_all_splits_are_looked_at_once_each_and_the_observed_one_first(n_a, n_b):
    found = members(n_a, n_b, paired=False)

    expected = {tuple(chosen) for chosen in combinations(range(n_a + n_b), n_a)}
    assert found[0].tolist() == [True] * n_a + [False] * n_b
    assert sorted(tuple(np.flatnonzero(row)) for row in found) == sorted(expected)


@given(st.integers(2, 6))
def test_all_swaps_within_pairs_are_looked_at_once_each_and_the_observed_one_first(n):
    found = members(n, n, paired=True)

    assert found[0].tolist() == [True] * n + [False] * n
    assert (found[:, :n] ^ found[:, n:]).all()
    assert {tuple(row) for row in found[:, :n].tolist()} == set(product((True, False), repeat=n))
    assert len(found) == 2**n


@pytest.mark.parametrize("paired", [False, True])
def test_random_relabelings_keep_the_sizes_repeat_by_seed_and_favor_nobody(paired):
    found = members(20, 20, paired=paired, n_permutations=20_000, seed=5)

    assert len(found) == 20_001
    assert found[0].tolist() == [True] * 20 + [False] * 20
    assert (found.sum(axis=1) == 20).all()
    assert not paired or bool((found[:, :20] ^ found[:, 20:]).all())
    # Each is in the first set in half of them: sd 0.0035; six of them for 40 shares.
    assert np.abs(found[1:].mean(axis=0) - 0.5).max() < 0.022
    np.testing.assert_array_equal(found, members(20, 20, paired=paired, n_permutations=20_000, seed=5))
    assert (found != members(20, 20, paired=paired, n_permutations=20_000, seed=6)).any()


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n_permutations", [7, 9_999])
def test_relabelings_do_not_depend_on_how_they_are_batched(monkeypatch, paired, n_permutations):
    whole = members(5, 5, paired=paired, n_permutations=n_permutations)
    monkeypatch.setattr("graphtask.inference.permutations._CELLS", 30)

    np.testing.assert_array_equal(whole, members(5, 5, paired=paired, n_permutations=n_permutations))


def test_the_batches_of_many_graphs_are_small():
    many = permutations_of(50_000, 50_000, paired=False, n_permutations=1_000, seed=0)

    assert [len(batch) for batch in islice(many.batches(), 3)] == [1, 41, 41]


@pytest.mark.parametrize(
    ("sizes", "paired", "exact", "least"),
    [
        ((7, 7), False, True, 2 / 3432),
        ((8, 8), False, False, 1e-4),
        ((2, 6), False, True, 1 / 28),
        ((13, 13), True, True, 2 / 8192),
        ((14, 14), True, False, 1e-4),
    ],
)
def test_all_relabelings_are_used_where_there_are_few(sizes, paired, exact, least):
    found = permutations_of(*sizes, paired=paired, n_permutations=9_999, seed=0)

    assert (found.exact, found.least_p) == (exact, pytest.approx(least))
    assert found.n_drawn == (found.n_distinct if exact else 9_999)


def test_random_p_values_count_the_observed_labeling_and_exact_ones_are_fractions():
    assert p_values(np.array([5.0, 1.0, 2.0, 3.0])) == 0.25
    assert p_values(np.array([1.0, 1.0, 2.0, 3.0])) == 1.0


def test_ties_count_as_at_least_as_large_even_if_rounding_hides_them():
    null = np.array([0.1 + 0.2, 0.3, 0.0])  # 0.30000000000000004 is observed

    assert p_values(null) == pytest.approx(1 / 3)
    assert p_values(null, rounding=1e-12) == pytest.approx(2 / 3)


def test_a_statistic_of_several_values_gives_as_many_p_values():
    labelings = permutations_of(3, 3, paired=False, n_permutations=100, seed=0)
    values = np.array([[6.0, 1.0], [5, 2], [4, 3], [3, 4], [2, 5], [1, 6]])

    null = null_distribution(lambda members: members @ values, permutations=labelings)

    assert null.shape == (20, 2)
    np.testing.assert_allclose(p_values(null), [1 / 20, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_a": 1}, "a and b must have at least 2 graphs each, got 1 and 5"),
        ({"paired": True}, "as many graphs each for paired=True, got 4 and 5"),
        ({"n_permutations": 0}, "n_permutations must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_what_cannot_be_permuted_is_an_error(arguments, message):
    arguments = {"n_a": 4, "n_b": 5, "paired": False, "n_permutations": 9, "seed": 0} | arguments
    n_a, n_b = arguments.pop("n_a"), arguments.pop("n_b")

    with pytest.raises(ArgumentError, match=message):
        permutations_of(n_a, n_b, **arguments)
