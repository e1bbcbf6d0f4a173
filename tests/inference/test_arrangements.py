from itertools import permutations, product

import numpy as np
import pytest

from graphtask.inference.arrangements import OverAll, WithinBlocks


@pytest.mark.parametrize("groups", [[0, 1], [0, 0, 1, 2], [0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1]])
def test_all_ways_over_all_rows_are_looked_at_once_each_and_the_observed_one_first(groups):
    every = OverAll(np.asarray(groups))
    found = np.concatenate(list(every.batches(None, 0))).tolist()

    assert found[0] == groups
    assert sorted(map(tuple, found)) == sorted(set(permutations(groups)))
    assert every.n_distinct == len(found)


@pytest.mark.parametrize(("n_labels", "n_blocks"), [(2, 1), (2, 3), (3, 2), (4, 1)])
def test_all_ways_within_blocks_are_looked_at_once_each_and_the_observed_one_first(n_labels, n_blocks):
    every = WithinBlocks(n_labels=n_labels, n_blocks=n_blocks)
    found = np.concatenate(list(every.batches(None, 0)))

    expected = {sum(parts, ()) for parts in product(permutations(range(n_labels)), repeat=n_blocks)}
    assert found[0].tolist() == list(range(n_labels)) * n_blocks
    assert len(found) == every.n_distinct
    assert set(map(tuple, found.tolist())) == expected


@pytest.mark.parametrize("ways", [OverAll(np.repeat([0, 1, 2], 4)), WithinBlocks(n_labels=3, n_blocks=4)])
def test_random_ways_keep_the_labels_repeat_by_seed_and_favor_nobody(ways):
    found = np.concatenate(list(ways.batches(20_000, 1)))

    assert len(found) == 20_001
    np.testing.assert_array_equal(found[0], next(ways.batches(None, 0))[0])
    assert (np.sort(found, axis=1) == np.repeat([0, 1, 2], 4)).all()
    if isinstance(ways, WithinBlocks):
        assert (np.sort(found.reshape(-1, 4, 3), axis=2) == [0, 1, 2]).all()
    # The sd of a mean of labels is 0.0058; six of them for 12 means.
    assert np.abs(found[1:].mean(axis=0) - 1).max() < 0.035
    np.testing.assert_array_equal(found, np.concatenate(list(ways.batches(20_000, 1))))


@pytest.mark.parametrize("n_random", [None, 50])
def test_ways_do_not_depend_on_how_they_are_batched(monkeypatch, n_random):
    for ways in (OverAll(np.repeat([0, 1], 4)), WithinBlocks(n_labels=2, n_blocks=4)):
        monkeypatch.setattr("graphtask.inference.arrangements._CELLS", 2**21)
        whole = np.concatenate(list(ways.batches(n_random, 3)))
        monkeypatch.setattr("graphtask.inference.arrangements._CELLS", 24)

        np.testing.assert_array_equal(whole, np.concatenate(list(ways.batches(n_random, 3))))
