import numpy as np
import pytest
from helpers import layout_distances

from graphtask.layout import batched
from graphtask.layout.batched import BatchedStress, batch_size_for, stress_for
from graphtask.layout.kamada_kawai import KamadaKawaiStress


def filled(stress, n, *, batch):
    rng = np.random.default_rng(n)
    for slot in range(batch):
        stress.load(slot, layout_distances(n, seed=slot))
        stress.positions[slot] = rng.standard_normal(2 * n)
    return stress


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 11, 12, 17, 30, 60, 61, 75])
@pytest.mark.parametrize("batch", [2, 5, 16])
def test_every_lane_has_the_bits_of_all_ordered_pairs(n, batch):
    many, few = filled(BatchedStress(n, batch=batch), n, batch=batch), KamadaKawaiStress(n, batch=1)
    for slot, cost in enumerate(many.evaluate(batch)):
        few.load(0, layout_distances(n, seed=slot))
        few.positions[0] = many.positions[slot]
        assert few.evaluate(1) == [cost]
        assert (few.gradients[0] == many.gradients[slot]).all()


def test_lanes_that_are_not_used_disturb_nothing():
    many, full = filled(BatchedStress(9, batch=8), 9, batch=2), filled(BatchedStress(9, batch=2), 9, batch=2)
    assert many.evaluate(2) == full.evaluate(2)
    assert (many.gradients[:2] == full.gradients).all()


def test_what_a_lane_holds_can_be_moved():
    many = filled(BatchedStress(9, batch=6), 9, batch=6)
    costs, gradient = many.evaluate(6), many.gradients[5].copy()
    many.move(5, to=0)
    assert (many.gradients[0] == gradient).all()
    assert many.evaluate(2) == [costs[5], costs[1]]


def test_few_graphs_and_large_ones_take_the_other_way(monkeypatch):
    monkeypatch.setattr(batched, "_matches_unbatched", lambda _n_nodes: True)
    assert [batch_size_for(60, n_graphs) for n_graphs in (1, 4, 5, 16, 1_000)] == [1, 4, 5, 16, 24]
    assert batch_size_for(10, 1_000) == 32
    assert [batch_size_for(n, 1_000) for n in (120, 150, 2_000)] == [6, 1, 1]
    assert type(stress_for(60, batch=4)) is KamadaKawaiStress
    assert type(stress_for(60, batch=5)) is BatchedStress


def test_where_the_bits_are_others_all_graphs_take_the_other_way(monkeypatch):
    monkeypatch.setattr(batched, "_matches_unbatched", lambda _n_nodes: False)
    assert [batch_size_for(n, 1_000) for n in (10, 60, 120)] == [4, 4, 1]


@pytest.fixture
def nothing_known_yet():
    """What was found out about numpy and scipy is forgotten, before and after."""

    def forget():
        batched._matches_unbatched.cache_clear()
        batched._pairs.cache_clear()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("nothing_known_yet")
def test_a_numpy_that_adds_in_another_order_would_be_noticed(monkeypatch):
    def one_after_the_other(places, *, n_rows):
        return [[[place for place in places if 0 <= place < n_rows]]]

    monkeypatch.setattr(batched, "numpy_order", one_after_the_other)
    assert batch_size_for(60, 16) == 4


@pytest.mark.usefixtures("nothing_known_yet")
def test_without_the_function_of_scipy_few_are_laid_out_at_a_time(monkeypatch):
    monkeypatch.setattr(batched, "row_adder", lambda: None)
    assert batch_size_for(60, 16) == 4
