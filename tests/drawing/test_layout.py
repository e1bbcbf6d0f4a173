import networkx as nx
import numpy as np
import pytest
from scipy.sparse.linalg import ArpackError

import graphtask as gt
from graphtask.drawing.layout import kamada_kawai

GRAPHS = {
    "two": gt.full_dag(2),
    "three": gt.full_dag(3),
    "full": gt.full_dag(30),
    "banded": gt.banded_dag(40, bandwidth=4),
    "chain": gt.chain_dag(40),
    "random": gt.random_dag(50, seed=3),
    "erdos-renyi": gt.priors.erdos_renyi_dag(40, p=0.1, seed=1),
    "watts-strogatz": gt.priors.watts_strogatz_dag(40, neighbors=4, p=0.3, seed=1, order="x"),
}


def ends(graph, positions):
    return positions[graph.indegree().index(0)], positions[graph.outdegree().index(0)]


def cost(positions, distances):
    """Kamada and Kawai's energy at the best scale of the layout."""
    first, second = np.triu_indices(len(positions), 1)
    ratio = np.linalg.norm(positions[first] - positions[second], axis=1) / distances[first, second]
    return 1 - ratio.sum() ** 2 / (len(ratio) * (ratio**2).sum())


@pytest.mark.parametrize("name", GRAPHS)
def test_the_layout_is_finite_repeatable_and_goes_from_left_to_right(name):
    graph = GRAPHS[name]
    positions = kamada_kawai(graph)
    assert positions.shape == (graph.vcount(), 2)
    assert np.isfinite(positions).all()
    assert len(np.unique(positions.round(6), axis=0)) == graph.vcount()
    assert np.array_equal(positions, kamada_kawai(graph.copy()))
    first, last = ends(graph, positions)
    assert first[0] < last[0]


@pytest.mark.parametrize("name", ["full", "banded", "random", "erdos-renyi", "watts-strogatz"])
def test_the_layout_is_about_as_good_as_that_of_networkx(name):
    graph = GRAPHS[name]
    theirs = nx.Graph(graph.get_edgelist())
    found = nx.kamada_kawai_layout(theirs, weight=None)
    distances = np.array(
        [[length[j] for j in range(graph.vcount())] for length in lengths(theirs)], dtype=float
    )
    reference = cost(np.array([found[node] for node in range(graph.vcount())]), distances)
    assert cost(kamada_kawai(graph), distances) < 1.06 * reference


def lengths(graph):
    found = dict(nx.all_pairs_shortest_path_length(graph))
    return [found[node] for node in range(len(graph))]


def test_a_chain_is_a_straight_line_in_its_order():
    positions = kamada_kawai(gt.chain_dag(40))
    steps = np.diff(positions, axis=0)
    assert np.allclose(steps, steps.mean(axis=0), atol=0.02 * np.abs(steps).max())
    assert abs(steps.mean(axis=0)[1]) < 1e-3 * steps.mean(axis=0)[0]


@pytest.mark.parametrize("n_nodes", [6, 10, 20, 60])
def test_the_nodes_of_a_full_dag_keep_their_order(n_nodes):
    # All its layouts with permuted nodes cost the same; the one that tells the story is wanted.
    x = kamada_kawai(gt.full_dag(n_nodes))[:, 0]
    assert np.corrcoef(x, np.arange(n_nodes))[0, 1] > 0.9


def test_interchangeable_nodes_stand_in_their_order_at_no_cost(monkeypatch):
    graph = gt.dag_from_predicate(9, lambda i, j: i == 0 or j == 8, stages=1)  # seven nodes between two
    monkeypatch.setattr("graphtask.drawing.layout._twins_in_order", lambda positions, *_: positions)
    before = kamada_kawai(graph)
    monkeypatch.undo()
    after = kamada_kawai(graph)
    assert (np.diff(after[1:8, 0]) > -1e-9).all()
    distances = np.array(graph.distances(mode="all"))
    assert cost(after, distances) == pytest.approx(cost(before, distances), rel=1e-12)


@pytest.mark.parametrize("n_nodes", [500, pytest.param(2000, marks=pytest.mark.slow)])
def test_two_thousand_nodes_are_laid_out_in_seconds(n_nodes):
    graph = gt.random_dag(n_nodes, seed=0)
    positions = kamada_kawai(graph)
    assert np.isfinite(positions).all()
    assert np.corrcoef(positions[:, 0], np.arange(n_nodes))[0, 1] > 0.9


def test_equal_eigenvalues_are_no_obstacle(monkeypatch):
    def give_up(*_, **__):
        raise ArpackError(3)

    expected = {name: kamada_kawai(graph) for name, graph in GRAPHS.items()}
    monkeypatch.setattr("scipy.sparse.linalg.eigsh", give_up)
    for name in ("banded", "chain", "random"):
        assert np.allclose(kamada_kawai(GRAPHS[name]), expected[name], atol=1e-3), name
    assert np.isfinite(kamada_kawai(GRAPHS["full"])).all()
