import itertools

import numpy as np
import pytest

import graphtask as gt
from graphtask.drawing.artists import sampled
from graphtask.drawing.placement import LAYOUTS, _flow, place
from graphtask.graph import edge_array

GRAPHS = {
    "two": gt.full_dag(2),
    "chain": gt.chain_dag(60),
    "random": gt.random_dag(60, seed=1),
    "full": gt.full_dag(12, stages=3),
    "attached": gt.priors.barabasi_albert_dag(40, attachments=2, seed=1),
}


def with_coordinates(graph):
    graph = graph.copy()
    graph.vs["x"], graph.vs["y"] = range(graph.vcount()), [float(node % 7) for node in range(graph.vcount())]
    return graph


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", GRAPHS)
def test_every_edge_leads_from_its_source_to_its_target_in_every_layout(name, layout):
    graph = with_coordinates(GRAPHS[name])
    found = place(graph, layout)
    assert found.positions.shape == (graph.vcount(), 2)
    assert len(np.unique(found.positions.round(6), axis=0)) == graph.vcount()
    for (source, target), curve in zip(edge_array(graph), found.curves, strict=True):
        assert len(curve) % 3 == 1
        assert np.allclose(curve[0], found.positions[source])
        assert np.allclose(curve[-1], found.positions[target])
    again = place(graph.copy(), layout)
    assert np.array_equal(again.positions, found.positions)


@pytest.mark.parametrize("name", GRAPHS)
def test_layers_lead_from_left_to_right_with_stages_in_bands(name):
    graph = GRAPHS[name]
    found = place(graph, "layered")
    edges = edge_array(graph)
    assert (found.positions[edges[:, 0], 0] < found.positions[edges[:, 1], 0]).all()
    for stage, left, right in found.bands:
        members = [node for node, other in enumerate(graph.vs["stage"]) if other == stage]
        assert (found.positions[members, 0] > left).all()
        assert (found.positions[members, 0] < right).all()
    assert all(first[2] <= second[1] for first, second in zip(found.bands[:-1], found.bands[1:], strict=True))
    for curve in found.curves:
        assert (np.diff(curve[:, 0]) >= 0).all()


def test_sparse_graphs_are_layered_and_others_are_not():
    assert place(gt.random_dag(30, seed=1)).bands
    assert not place(gt.full_dag(30)).bands


def test_the_file_layout_is_that_of_the_vertex_attributes():
    graph = with_coordinates(gt.full_dag(5))
    assert place(graph, "file").positions.tolist() == [[node, node % 7] for node in range(5)]


def test_ignored_edges_do_not_move_the_nodes():
    graph = gt.full_dag(30, stages=1)
    chain = np.array([target - source > 1 for source, target in graph.get_edgelist()])
    found = place(graph, "layered", ignored=chain)
    assert found.positions.tolist() == [[node, 0.0] for node in range(30)]
    assert len(found.curves) == graph.ecount()


def test_an_edge_passes_through_its_points_without_a_turn_between_them():
    for seed in range(20):
        route = np.stack([np.arange(6), np.random.default_rng(seed).normal(size=6)], axis=1)
        curve = _flow(route)
        assert np.array_equal(curve[::3], route)
        for k, (start, end) in enumerate(itertools.pairwise(route)):
            steps = np.diff(sampled(curve[3 * k : 3 * k + 4], 50), axis=0)
            assert (steps[:, 0] > 0).all()
            assert (steps[:, 1] * np.sign(end[1] - start[1]) >= -1e-12).all()
        assert curve[1, 1] == route[0, 1]  # horizontal at both ends
        assert curve[-2, 1] == route[-1, 1]


def test_the_output_is_right_of_dead_ends():
    graph = gt.dag_from_predicate(6, lambda i, j: j == i + 1 or (i, j) == (1, 5), stages=1)
    weak = np.array([pair == (4, 5) for pair in graph.get_edgelist()])  # v2, v3 and v4 are a dead end
    x = place(graph, "layered", ignored=weak).positions[:, 0]
    assert x[5] == x.max() == x[4]


def test_edges_of_a_circle_bend_inward():
    found = place(gt.chain_dag(30), "circle")
    for curve in found.curves:
        middle = sampled(curve, 3)[1]
        assert np.linalg.norm(middle) < 0.97 * np.linalg.norm(curve[[0, -1]].mean(axis=0))
