import math

import numpy as np
import pytest
from helpers import layout_distances
from networkx.drawing.layout import _kamada_kawai_costfn

from graphtask.layout.kamada_kawai import KamadaKawaiStress, aligned, small_batch_for, stress_cost


def by_networkx(position, distances):
    n = len(distances)
    inverse = 1 / (distances + np.eye(n) * 1e-3)
    return _kamada_kawai_costfn(position, np, inverse, meanweight=1e-3, dim=2)


def test_the_cost_is_the_textbook_sum_and_its_gradient():
    distances = layout_distances(7, seed=0)
    position = np.random.default_rng(0).standard_normal(14)

    def textbook(flat):
        x = flat.reshape(7, 2)
        pairs = [(i, j) for i in range(7) for j in range(i)]
        stress = sum((math.dist(x[i], x[j]) / distances[i, j] - 1) ** 2 for i, j in pairs)
        return stress + 0.5e-3 * float((x.sum(axis=0) ** 2).sum())

    value, gradient = stress_cost(distances)(position)
    assert value == pytest.approx(textbook(position), rel=1e-13)
    for index in range(14):
        step = np.zeros(14)
        step[index] = 1e-6
        slope = (textbook(position + step) - textbook(position - step)) / 2e-6
        # networkx, and so we, add a thousandth to no distance but that of a node to itself.
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("n", [2, 3, 17, 60, 61, 130])
@pytest.mark.parametrize("n_active", [1, 2, 3, 4])
def test_every_lane_has_the_cost_of_networkx_and_its_gradient(n, n_active):
    stress = KamadaKawaiStress(n, batch=4)
    rng = np.random.default_rng(n)
    for slot in range(4):
        stress.load(slot, layout_distances(n, seed=slot))
        stress.positions[slot] = rng.standard_normal(2 * n)
    for slot, cost in enumerate(stress.evaluate(n_active)):
        value, gradient = by_networkx(stress.positions[slot], layout_distances(n, seed=slot))
        assert cost == pytest.approx(value, rel=1e-14)
        assert stress.gradients[slot] == pytest.approx(
            gradient, rel=1e-12, abs=1e-13 * np.abs(gradient).max()
        )


def test_what_a_lane_holds_can_be_moved():
    stress = KamadaKawaiStress(9, batch=3)
    for slot in range(3):
        stress.load(slot, layout_distances(9, seed=slot))
        stress.positions[slot] = np.random.default_rng(slot).standard_normal(18)
    costs = stress.evaluate(3)
    gradient = stress.gradients[2].copy()
    stress.move(2, to=0)
    assert (stress.gradients[0] == gradient).all()
    assert stress.evaluate(2) == [costs[2], costs[1]]
    assert (stress.gradients[0] == gradient).all()


def test_large_graphs_are_laid_out_one_by_one():
    assert small_batch_for(60) == small_batch_for(2) == small_batch_for(0) == 4
    assert small_batch_for(100) == small_batch_for(2_000) == 1


def test_buffers_start_on_a_cache_line():
    assert all(aligned(3, n).ctypes.data % 64 == 0 for n in range(1, 20))
