import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

import graphtask as gt
from graphtask.distribution.edge_probabilities import EdgeProbabilities, shifted
from graphtask.distribution.repair import calibrated_shift, repaired_edges, repaired_graph


def skeleton(matrix):
    matrix = np.triu(np.asarray(matrix, dtype=float), 1)
    return EdgeProbabilities([f"v{i}" for i in range(len(matrix))], np.zeros(len(matrix), int), matrix)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@st.composite
def skeletons(draw):
    n = draw(st.integers(2, 9))
    level = draw(st.sampled_from([0.02, 0.3, 0.9]))
    values = np.random.default_rng(draw(st.integers(0, 2**32))).random((n, n)) * level
    values[draw(st.integers(0, n - 1))] = draw(st.sampled_from([0.0, 1.0, level]))
    return skeleton(values)


@given(skeletons(), st.integers(0, 2**32), st.sampled_from([-2.0, 0.0, 2.0]))
def test_what_is_drawn_is_a_valid_graph_of_possible_edges_or_nothing(bones, seed, shift):
    drawn = repaired_edges(bones, shift=shift, rng=rng(seed))
    if drawn is None:
        assert (bones.probability == 0).any()  # only where input and output cannot be connected
        return
    graph = repaired_graph(lambda _: bones, shift=shift, rng=rng(seed)).graph
    gt.check_graph(graph)
    assert (bones.probability[drawn.edges[:, 0], drawn.edges[:, 1]] > 0).all()
    assert {0, len(bones.names) - 1} <= set(drawn.nodes.tolist())
    assert len(drawn.nodes) + drawn.n_dropped == len(bones.names)


def test_edges_come_as_often_as_they_are_likely_where_nothing_needs_repair():
    chances = np.full((5, 5), 0.3)
    chances[0], chances[:, 4] = 1.0, 1.0
    bones = skeleton(chances)
    generator = rng()
    counts = np.zeros((5, 5))
    for _ in range(3000):
        drawn = repaired_edges(bones, shift=0.0, rng=generator)
        assert drawn.n_added == 0
        counts[tuple(drawn.edges.T)] += 1
    z = (counts[1:4, 1:4] - 900)[np.triu_indices(3, 1)] / np.sqrt(3000 * 0.3 * 0.7)
    assert np.abs(z).max() < 4


def test_an_orphan_gets_a_predecessor_in_proportion_to_the_odds():
    # The only chance is who feeds node 3; nearly always it is nobody, and the repair decides.
    chances = np.zeros((5, 5))
    chances[0, 1:3], chances[1:4, 4] = 1.0, 1.0
    chances[:3, 3] = [1e-4, 2e-4, 5e-4]
    generator, counts = rng(), np.zeros(3)
    for _ in range(2000):
        drawn = repaired_edges(skeleton(chances), shift=0.0, rng=generator)
        counts[drawn.edges[drawn.edges[:, 1] == 3, 0]] += 1
    assert chisquare(counts, counts.sum() * np.array([1, 2, 5]) / 8).pvalue > 0.001


def test_added_edges_are_counted():
    tiny = np.full((4, 4), 1e-9)
    drawn = repaired_edges(skeleton(tiny), shift=0.0, rng=rng())
    assert drawn.n_added == len(drawn.edges) >= 3
    assert repaired_edges(skeleton(np.ones((4, 4))), shift=0.0, rng=rng()).n_added == 0


def test_a_node_that_no_edge_can_reach_goes():
    chances = np.ones((4, 4))
    chances[:, 2] = 0.0
    drawn = repaired_edges(skeleton(chances), shift=0.0, rng=rng())
    assert drawn.nodes.tolist() == [0, 1, 3]
    assert drawn.n_dropped == 1


def test_a_distribution_without_connected_graphs_says_so():
    with pytest.raises(gt.errors.DisconnectedError, match="were not connected"):
        repaired_graph(lambda _: skeleton(np.zeros((3, 3))), shift=0.0, rng=rng())


@given(st.floats(0, 1), st.floats(-5, 5))
def test_the_shift_adds_to_the_log_odds(p, shift):
    moved = shifted(np.array([p]), shift)[0]
    if 1e-9 < p < 1 - 1e-9:
        assert np.log(moved / (1 - moved)) == pytest.approx(np.log(p / (1 - p)) + shift, abs=1e-5)
    else:
        assert moved == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize("target", [30.0, 100.0])
def test_the_shift_gives_the_mean_number_of_edges_that_was_asked_for(target):
    bones = skeleton(np.full((20, 20), 0.2))
    shift = calibrated_shift(lambda _: bones, mean_edges=target)
    generator = rng(1)
    sizes = [len(repaired_edges(bones, shift=shift, rng=generator).edges) for _ in range(200)]
    # Both means are of hundreds of graphs.
    assert np.mean(sizes) == pytest.approx(target, abs=4 * np.std(sizes) * np.sqrt(1 / 200 + 1 / 256))


def test_a_number_of_edges_out_of_reach_gives_the_nearest():
    bones = skeleton(np.full((10, 10), 0.2))
    assert calibrated_shift(lambda _: bones, mean_edges=3.0) == pytest.approx(-8, abs=0.01)
    assert calibrated_shift(lambda _: bones, mean_edges=900.0) == pytest.approx(8, abs=0.01)
