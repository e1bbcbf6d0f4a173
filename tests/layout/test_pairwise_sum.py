import numpy as np
import pytest

from graphtask.layout.pairwise_sum import adder, numpy_order, order_of


def sum_of(values, levels):
    """All sums of a plan, made by hand; the last one."""
    found = values.tolist()
    for level in levels:
        made = []
        for terms in level:
            total = 0.0
            for term in terms:
                total += found[term]
            made.append(total)
        found += made
    return found[-1]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 15, 16, 17, 127, 128, 129, 135, 136, 137, 255, 256, 257, 900, 3600, 3721, 9_999])  # fmt: skip
def test_the_order_is_that_of_numpy(count):
    for seed in range(3):
        values = np.random.default_rng(seed).random(count)
        assert sum_of(values, numpy_order(range(count), n_rows=count)) == values.sum()


def test_another_order_would_give_other_bits():
    values = np.random.default_rng(0).random(3600)
    assert sum_of(values, [[range(3600)]]) != values.sum()


def test_what_is_zero_is_left_out_and_what_comes_twice_is_added_twice():
    values = np.random.default_rng(0).random(60)
    places = np.random.default_rng(1).integers(-1, 60, 500).tolist()
    expected = np.array([0.0 if place < 0 else values[place] for place in places]).sum()
    levels = numpy_order(places, n_rows=60)
    assert sum_of(values, levels) == expected
    assert sum(len(terms) for terms in levels[0]) <= sum(place >= 0 for place in places)


def test_rows_are_added_one_after_the_other_to_what_is_there():
    values = np.array([[1.0, 3.0], [1e-16, 5.0]])
    totals = np.array([[0.0, 0.0], [0.0, 0.0], [7.0, 8.0]])
    adder(order_of([[0, 1, 1], [1, 1, 0], []], factors=np.array([1.0, 1, 1, 1, -1, 1])), values, totals)()
    assert totals.tolist() == [[1.0, 13.0], [1.0, 3.0], [7.0, 8.0]]
    small_first = np.zeros((1, 2))
    adder(order_of([[1, 1, 0]]), values, small_first)()
    assert small_first[0, 0] > 1.0  # small terms are lost only where they come last
