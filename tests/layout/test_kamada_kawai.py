import math

import numpy as np
import pytest
from helpers import spring_lengths
from networkx.drawing.layout import _kamada_kawai_costfn

from graphtask.layout.kamada_kawai import Springs, aligned, few_lanes_for, spring_cost


def by_networkx(position, distances):
    n = len(distances)
    inverse = 1 / (distances + np.eye(n) * 1e-3)
    return _kamada_kawai_costfn(position, np, inverse, meanweight=1e-3, dim=2)


def test_the_cost_is_the_textbook_sum_and_its_gradient():
    distances = spring_lengths(7, seed=0)
    position = np.random.default_rng(0).standard_normal(14)

    def textbook(flat):
        x = flat.reshape(7, 2)
        pairs = [(i, j) for i in range(7) for j in range(i)]
        springs = sum((math.dist(x[i], x[j]) / distances[i, j] - 1) ** 2 for i, j in pairs)
        return springs + 0.5e-3 * float((x.sum(axis=0) ** 2).sum())

    value, gradient = spring_cost(distances)(position)
    assert value == pytest.approx(textbook(position), rel=1e-13)
    for index in range(14):
        step = np.zeros(14)
        step[index] = 1e-6
        slope = (textbook(position + step) - textbook(position - step)) / 2e-6
        # networkx, and so we, add a thousandth to no distance but that of a node to itself.
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("n", [2, 3, 17, 60, 61, 130])
@pytest.mark.parametrize("n_lanes", [1, 2, 3, 4])
def test_every_lane_has_the_cost_of_networkx_and_its_gradient(n, n_lanes):
    springs = Springs(n, lanes=4)
    rng = np.random.default_rng(n)
    for lane in range(4):
        springs.load(lane, spring_lengths(n, seed=lane))
        springs.positions[lane] = rng.standard_normal(2 * n)
    for lane, cost in enumerate(springs.evaluate(n_lanes)):
        value, gradient = by_networkx(springs.positions[lane], spring_lengths(n, seed=lane))
        assert cost == pytest.approx(value, rel=1e-14)
        assert springs.gradients[lane] == pytest.approx(
            gradient, rel=1e-12, abs=1e-13 * np.abs(gradient).max()
        )


def test_what_a_lane_holds_can_be_moved():
    springs = Springs(9, lanes=3)
    for lane in range(3):
        springs.load(lane, spring_lengths(9, seed=lane))
        springs.positions[lane] = np.random.default_rng(lane).standard_normal(18)
    costs = springs.evaluate(3)
    gradient = springs.gradients[2].copy()
    springs.move(2, to=0)
    assert (springs.gradients[0] == gradient).all()
    assert springs.evaluate(2) == [costs[2], costs[1]]
    assert (springs.gradients[0] == gradient).all()


def test_large_graphs_are_laid_out_one_by_one():
    assert few_lanes_for(60) == few_lanes_for(2) == few_lanes_for(0) == 4
    assert few_lanes_for(100) == few_lanes_for(2_000) == 1


def test_buffers_start_on_a_cache_line():
    assert all(aligned(3, n).ctypes.data % 64 == 0 for n in range(1, 20))
