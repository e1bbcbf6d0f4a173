import numpy as np
import pytest
from helpers import spring_lengths

from graphtask.layout import batched as many_springs
from graphtask.layout.batched import ManySprings, lanes_for, springs_for
from graphtask.layout.kamada_kawai import Springs


def filled(springs, n, *, lanes):
    rng = np.random.default_rng(n)
    for lane in range(lanes):
        springs.load(lane, spring_lengths(n, seed=lane))
        springs.positions[lane] = rng.standard_normal(2 * n)
    return springs


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 11, 12, 17, 30, 60, 61, 75])
@pytest.mark.parametrize("lanes", [2, 5, 16])
def test_every_lane_has_the_bits_of_all_ordered_pairs(n, lanes):
    many, few = filled(ManySprings(n, lanes=lanes), n, lanes=lanes), Springs(n, lanes=1)
    for lane, cost in enumerate(many.evaluate(lanes)):
        few.load(0, spring_lengths(n, seed=lane))
        few.positions[0] = many.positions[lane]
        assert few.evaluate(1) == [cost]
        assert (few.gradients[0] == many.gradients[lane]).all()


def test_lanes_that_are_not_used_disturb_nothing():
    many, full = filled(ManySprings(9, lanes=8), 9, lanes=2), filled(ManySprings(9, lanes=2), 9, lanes=2)
    assert many.evaluate(2) == full.evaluate(2)
    assert (many.gradients[:2] == full.gradients).all()


def test_what_a_lane_holds_can_be_moved():
    many = filled(ManySprings(9, lanes=6), 9, lanes=6)
    costs, gradient = many.evaluate(6), many.gradients[5].copy()
    many.move(5, to=0)
    assert (many.gradients[0] == gradient).all()
    assert many.evaluate(2) == [costs[5], costs[1]]


def test_few_graphs_and_large_ones_take_the_other_way(monkeypatch):
    monkeypatch.setattr(many_springs, "_has_the_bits_of_springs", lambda _n_nodes: True)
    assert [lanes_for(60, n_graphs) for n_graphs in (1, 4, 5, 16, 1_000)] == [1, 4, 5, 16, 24]
    assert lanes_for(10, 1_000) == 32
    assert [lanes_for(n, 1_000) for n in (120, 150, 2_000)] == [6, 1, 1]
    assert type(springs_for(60, lanes=4)) is Springs
    assert type(springs_for(60, lanes=5)) is ManySprings


def test_where_the_bits_are_others_all_graphs_take_the_other_way(monkeypatch):
    monkeypatch.setattr(many_springs, "_has_the_bits_of_springs", lambda _n_nodes: False)
    assert [lanes_for(n, 1_000) for n in (10, 60, 120)] == [4, 4, 1]


@pytest.fixture
def nothing_known_yet():
    """What was found out about numpy and scipy is forgotten, before and after."""

    def forget():
        many_springs._has_the_bits_of_springs.cache_clear()
        many_springs._pairs.cache_clear()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("nothing_known_yet")
def test_a_numpy_that_adds_in_another_order_would_be_noticed(monkeypatch):
    def one_after_the_other(places, *, n_rows):
        return [[[place for place in places if 0 <= place < n_rows]]]

    monkeypatch.setattr(many_springs, "numpy_order", one_after_the_other)
    assert lanes_for(60, 16) == 4


@pytest.mark.usefixtures("nothing_known_yet")
def test_without_the_function_of_scipy_few_are_laid_out_at_a_time(monkeypatch):
    monkeypatch.setattr(many_springs, "row_adder", lambda: None)
    assert lanes_for(60, 16) == 4
