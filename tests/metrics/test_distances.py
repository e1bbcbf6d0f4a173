import math

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import loose_dags, random_graphs, repeated

import graphtask as gt
from graphtask.metrics import distances
from graphtask.metrics.distances import METRICS

NAMES = [metric.name for metric in METRICS]
EXTRA = ["local_efficiency", "mean_closeness_vitality"]


def by_networkx(graph):
    """What networkx says, of everything that is defined."""
    directed = nx.DiGraph()
    directed.add_nodes_from(range(graph.vcount()))
    directed.add_edges_from(graph.get_edgelist())
    both, n = directed.to_undirected(), graph.vcount()
    inputs = [node for node in directed if directed.in_degree(node) == 0]
    outputs = [node for node in directed if directed.out_degree(node) == 0]
    expected = {"local_efficiency": nx.local_efficiency(both)}
    if n > 1:
        lengths = dict(nx.all_pairs_shortest_path_length(directed))
        expected["mean_shortest_path"] = sum(sum(row.values()) for row in lengths.values()) / (n * (n - 1))
        expected["mean_closeness"] = np.mean(list(nx.closeness_centrality(directed).values()))
        expected["global_efficiency"] = nx.global_efficiency(both)
        expected["global_reaching_centrality"] = (
            nx.global_reaching_centrality(directed, weight=None) if graph.ecount() else 0.0
        )
        if len(inputs) == len(outputs) == 1:
            expected["closeness_output"] = nx.closeness_centrality(directed)[outputs[0]]
            expected["efficiency"] = nx.efficiency(both, inputs[0], outputs[0])
    if n > 2:
        expected["mean_betweenness"] = np.mean(list(nx.betweenness_centrality(directed).values()))
    if nx.is_connected(both):
        expected["radius"], expected["diameter"] = nx.radius(both), nx.diameter(both)
        if n > 1:
            expected["wiener_index"] = nx.wiener_index(both) / (n * (n - 1) / 2)
            vitality = np.array(list(nx.closeness_vitality(both).values()))
            expected["mean_closeness_vitality"] = np.maximum(vitality, 0).mean() / n
    return expected


@pytest.mark.parametrize("block", [256, 2])
@repeated(300)
def test_everything_equals_networkx_where_it_is_defined_and_is_said_to_be_undefined_elsewhere(
    monkeypatch, block, count
):
    monkeypatch.setattr(distances, "SMALL", block)
    for graph in random_graphs(count, seed=19) + loose_dags(count, seed=20):
        row = gt.measure(graph, metrics=[*NAMES, *EXTRA])
        expected = by_networkx(graph)
        for name in [*NAMES, *EXTRA]:
            if name in expected:
                assert row[name] == pytest.approx(expected[name], rel=1e-13, abs=6e-13), name
            else:
                assert math.isnan(row[name])
                assert f"{name}: " in row["undefined"]


@pytest.mark.parametrize("density", [0.03, 0.1, 0.5])
def test_everything_equals_networkx_on_60_nodes(density):
    chosen = np.random.default_rng(0).random((60, 60)) < density
    graph = gt.dag_from_predicate(60, lambda i, j: bool(chosen[i, j]))
    row = gt.measure(graph, metrics=[*NAMES, *EXTRA])
    del row["undefined"]
    assert row == pytest.approx(by_networkx(graph), rel=1e-12)


@pytest.mark.parametrize("n", [3, 60, 300])
def test_the_chain_has_its_closed_forms(n):
    row = gt.measure(gt.chain_dag(n), metrics=[*NAMES, *EXTRA])
    assert row["mean_shortest_path"] == pytest.approx((n + 1) / 6)
    assert row["wiener_index"] == pytest.approx((n + 1) / 3)
    assert row["mean_betweenness"] == pytest.approx(1 / 6)
    assert row["closeness_output"] == pytest.approx(2 / n)
    assert row["global_reaching_centrality"] == pytest.approx(n / (2 * (n - 1)))
    assert (row["radius"], row["diameter"]) == (n // 2, n - 1)
    assert row["efficiency"] == 1 / (n - 1)
    assert row["local_efficiency"] == 0
    assert row["mean_closeness_vitality"] == pytest.approx((n - 1) / n)


@pytest.mark.parametrize("n", [3, 60])
def test_the_full_dag_has_its_closed_forms(n):
    row = gt.measure(gt.full_dag(n), metrics=[*NAMES, *EXTRA])
    ones = ["wiener_index", "radius", "diameter", "global_efficiency", "efficiency", "closeness_output"]
    assert all(row[name] == 1 for name in [*ones, "local_efficiency"])
    assert row["mean_shortest_path"] == 0.5
    assert row["mean_betweenness"] == 0
    assert row["mean_closeness_vitality"] == pytest.approx((n - 1) / n)


def test_one_edge_has_values_and_one_node_has_few():
    edge = gt.measure(gt.chain_dag(2), metrics=[*NAMES, *EXTRA])
    assert edge["mean_closeness_vitality"] == 0.5
    assert edge["undefined"] == "mean_betweenness: the graph has fewer than 3 nodes"
    node = gt.measure(igraph.Graph(n=1, directed=True), metrics=[*NAMES, *EXTRA])
    assert (node["radius"], node["diameter"], node["local_efficiency"]) == (0, 0, 0)
    assert node["undefined"].count("the graph has fewer than 2 nodes") == 8


def test_two_thousand_nodes_have_a_closeness_of_the_output_and_the_rest_by_name():
    large = gt.chain_dag(2_001)
    assert gt.measure(large, metrics="extended")["closeness_output"] == pytest.approx(2 / 2_001)
    assert gt.measure(large, metrics=["diameter"])["diameter"] == 2_000
