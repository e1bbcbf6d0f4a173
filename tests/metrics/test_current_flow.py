import warnings

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import loose_dags, random_graphs, repeated

import graphtask as gt
from graphtask.metrics import current_flow

NAMES = ["mean_current_flow_closeness", "mean_current_flow_betweenness", "mean_second_order"]


def by_networkx(graph):
    both, n = nx.Graph(graph.get_edgelist()), graph.vcount()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the square root of a rounding error for two nodes
        second_order = nx.second_order_centrality(both)
    expected = {"mean_second_order": 0.0 if n == 2 else np.mean(list(second_order.values())) / n}
    expected[NAMES[0]] = np.mean(list(nx.current_flow_closeness_centrality(both, weight=None).values()))
    if n > 2:
        theirs = nx.current_flow_betweenness_centrality(both, weight=None)
        expected[NAMES[1]] = np.mean(list(theirs.values()))
    return expected


@pytest.mark.parametrize("block", [4_000_000, 20])
@repeated(500)
def test_everything_equals_networkx(monkeypatch, block, count):
    monkeypatch.setattr(current_flow, "_BLOCK", block)
    for graph in random_graphs(count, seed=25):
        row = gt.measure(graph, metrics=NAMES)
        for name, value in by_networkx(graph).items():
            assert row[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name


@pytest.mark.parametrize("density", [0.03, 0.2, 1.0])
def test_everything_equals_networkx_on_60_nodes(density):
    chosen = np.random.default_rng(2).random((60, 60)) < density
    graph = gt.dag_from_predicate(60, lambda i, j: bool(chosen[i, j]))
    row = gt.measure(graph, metrics=NAMES)
    for name, value in by_networkx(graph).items():
        assert row[name] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("n", [3, 10, 200])
def test_currents_along_a_chain_have_one_way(n):
    row = gt.measure(gt.chain_dag(n), metrics=NAMES)
    assert row["mean_current_flow_betweenness"] == pytest.approx(1 / 3, rel=1e-9)
    sums = [(i * (i + 1) + (n - 1 - i) * (n - i)) / 2 for i in range(n)]
    assert row["mean_current_flow_closeness"] == pytest.approx(np.mean([1 / total for total in sums]))


@pytest.mark.parametrize("n", [3, 60])
def test_the_full_dag_has_its_closed_forms(n):
    row = gt.measure(gt.full_dag(n), metrics=NAMES)
    assert row["mean_current_flow_closeness"] == pytest.approx(n / (2 * (n - 1)))
    assert row["mean_current_flow_betweenness"] == pytest.approx(1 / n)
    assert row["mean_second_order"] == pytest.approx(np.sqrt((n - 1) * (n - 2)) / n)


def test_second_order_is_the_deviation_of_return_times_of_a_simulated_walk():
    graph = igraph.Graph(n=4, edges=[(0, 1), (1, 2), (1, 3), (2, 3)], directed=True)
    rng = np.random.default_rng(0)
    near, largest = graph.get_adjlist(mode="all"), 3
    node, visits = 0, [[] for _ in range(4)]
    for step in range(400_000):
        visits[node].append(step)
        choice = int(rng.integers(largest))
        node = near[node][choice] if choice < len(near[node]) else node
    deviation = np.mean([np.std(np.diff(steps)) for steps in visits]) / 4
    found = gt.measure(graph, metrics="mean_second_order")["mean_second_order"]
    assert found == pytest.approx(deviation, rel=0.01)


def test_pieces_without_a_connection_are_told():
    for graph in loose_dags(100, seed=26):
        if graph.vcount() > 2 and not graph.is_connected(mode="weak"):
            assert gt.measure(graph, metrics=NAMES)["undefined"].count("the graph is not connected") == 3
