import itertools

import numpy as np
import pytest

import graphtask as gt
from graphtask.graph import edge_array, node_order, stages
from graphtask.layout.layered import _increasing, layered, layers_of, n_dummies

GRAPHS = [gt.random_dag(40, seed=seed) for seed in range(3)] + [
    gt.priors.erdos_renyi_dag(30, p=0.12, seed=1),
    gt.chain_dag(20),
    gt.full_dag(9),
]


def laid_out(graph):
    edges = edge_array(graph)
    layer = layers_of(graph.vcount(), edges, node_order(graph), stages(graph))
    return edges, layer, layered(graph.vcount(), edges, layer)


def n_crossings(routes):
    """Pairs of pieces of edges between two layers whose ends are in opposite order."""
    pieces = {tuple(map(tuple, piece)) for route in routes for piece in itertools.pairwise(route)}
    rows = np.array([(*first, *second) for first, second in pieces])
    count = 0
    for layer in np.unique(rows[:, 0]):
        between = rows[rows[:, 0] == layer]
        start, end = between[:, 1], between[:, 3]
        count += int((np.subtract.outer(start, start) * np.subtract.outer(end, end) < -1e-9).sum()) // 2
    return count


@pytest.mark.parametrize("graph", GRAPHS)
def test_edges_lead_to_later_layers_and_stages_are_consecutive(graph):
    edges, layer, _ = laid_out(graph)
    assert (layer[edges[:, 0]] < layer[edges[:, 1]]).all()
    stage = stages(graph)
    for later in range(1, stage.max() + 1):
        assert layer[stage == later].min() > layer[stage < later].max()


@pytest.mark.parametrize("graph", GRAPHS)
def test_points_of_a_layer_are_apart_and_routes_pass_through_every_layer(graph):
    edges, layer, found = laid_out(graph)
    assert found.positions[:, 0].tolist() == layer.tolist()
    for (source, target), route in zip(edges, found.routes, strict=True):
        assert route[:, 0].tolist() == list(range(layer[source], layer[target] + 1))
        assert route[0].tolist() == found.positions[source].tolist()
    for column in np.unique(layer):
        heights = np.sort(found.positions[layer == column, 1])
        assert (np.diff(heights) >= 1 - 1e-9).all()
    assert sum(len(route) - 2 for route in found.routes) == n_dummies(edges, layer)


def test_a_tree_and_a_ladder_have_no_crossings():
    tree = gt.dag_from_predicate(
        15, lambda i, j: j in (2 * i + 1, 2 * i + 2) or (j == 14 and i > 6), stages=1
    )
    assert n_crossings(laid_out(tree)[2].routes) == 0
    assert n_crossings(laid_out(gt.chain_dag(30))[2].routes) == 0


def test_there_are_far_fewer_crossings_than_in_random_order():
    graph = gt.random_dag(40, seed=1)
    _, layer, found = laid_out(graph)
    rng = np.random.default_rng(0)
    points = np.unique(np.concatenate(found.routes), axis=0)
    shuffled = {}
    for column in np.unique(layer):
        old = points[points[:, 0] == column]
        new = rng.permutation(old[:, 1])
        shuffled |= {tuple(place): (place[0], height) for place, height in zip(old, new, strict=True)}
    routes = [np.array([shuffled[tuple(place)] for place in route]) for route in found.routes]
    assert n_crossings(found.routes) < 0.4 * n_crossings(routes)


def test_the_monotone_fit_is_that_of_scikit_learn():
    from sklearn.isotonic import isotonic_regression

    rng = np.random.default_rng(0)
    for _ in range(50):
        values, weights = rng.normal(size=12), rng.uniform(0.1, 2, 12)
        assert np.allclose(_increasing(values, weights), isotonic_regression(values, sample_weight=weights))
