import math

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import every, loose_dags, random_graphs

import graphtask as gt
from graphtask.metrics.degrees import METRICS

NAMES = [metric.name for metric in METRICS]
GRAPHS = random_graphs(300, seed=10) + loose_dags(300, seed=11)


def by_networkx(graph):
    """What networkx and numpy say, of everything that is defined."""
    directed = nx.DiGraph()
    directed.add_nodes_from(range(graph.vcount()))
    directed.add_edges_from(graph.get_edgelist())
    n, m = graph.vcount(), graph.ecount()
    total, incoming, outgoing = (
        np.array([degree for _, degree in degrees])
        for degrees in (directed.degree(), directed.in_degree(), directed.out_degree())
    )
    expected = {
        "edges_per_node": m / n,
        "mean_in_degree": incoming.mean(),
        "mean_out_degree": outgoing.mean(),
        "std_degree": total.std(),
        "std_in_degree": incoming.std(),
        "std_out_degree": outgoing.std(),
        "min_degree": total.min(),
        "max_degree": total.max(),
        "max_in_degree": incoming.max(),
        "max_out_degree": outgoing.max(),
    }
    if total.min() > 0:
        expected["span_degree"] = total.max() / total.min()
    if n > 1:
        expected["edge_density"] = nx.density(directed)
    if m > 0:
        expected["s_metric"] = math.sqrt(nx.s_metric(directed) / m)
        expected["modularity_trace"] = nx.modularity_spectrum(directed).sum().real
    if m > 1:
        source = [directed.out_degree(u) for u, _ in directed.edges]
        target = [directed.in_degree(v) for _, v in directed.edges]
        if len(set(source)) > 1 and len(set(target)) > 1:
            expected["degree_assortativity"] = nx.degree_pearson_correlation_coefficient(
                directed, weight=None
            )
    return expected


@every(5)
def test_everything_equals_networkx_where_it_is_defined_and_is_said_to_be_undefined_elsewhere(step):
    for graph in GRAPHS[::step]:
        row = gt.measure(graph, metrics=NAMES)
        expected = by_networkx(graph)
        for name in NAMES:
            if name in expected:
                assert row[name] == pytest.approx(expected[name], rel=1e-12, abs=1e-12), name
            else:
                assert math.isnan(row[name])
                assert f"{name}: " in row["undefined"]


@pytest.mark.parametrize("n", [2, 3, 60, 2000])
def test_the_chain_has_its_closed_forms(n):
    row = gt.measure(gt.chain_dag(n), metrics=NAMES)
    assert row["edges_per_node"] == (n - 1) / n
    assert row["std_in_degree"] == pytest.approx(math.sqrt(n - 1) / n)
    assert (row["min_degree"], row["max_degree"]) == (1, min(n - 1, 2))
    assert row["s_metric"] == pytest.approx(1 if n == 2 else math.sqrt((4 * (n - 3) + 4) / (n - 1)))
    assert row["modularity_trace"] == round(-(n - 2) / (n - 1), 12)
    assert math.isnan(row["degree_assortativity"])


@pytest.mark.parametrize("n", [3, 60, 500])
def test_the_full_dag_has_its_closed_forms(n):
    row = gt.measure(gt.full_dag(n), metrics=NAMES)
    assert row["edge_density"] == 0.5
    assert row["std_degree"] == 0
    assert row["s_metric"] == n - 1
    assert row["modularity_trace"] == pytest.approx(-(n - 2) / 3)
    assert row["degree_assortativity"] == pytest.approx(-0.5)


def test_parallel_edges_cycles_and_nothing_are_told():
    for graph, reason in (
        (igraph.Graph(n=2, edges=[(0, 1), (0, 1)], directed=True), "parallel edges"),
        (igraph.Graph(n=2, edges=[(0, 1), (1, 0)], directed=True), "has a cycle"),
        (igraph.Graph(n=2, edges=[(0, 1)]), "is undirected"),
        (igraph.Graph(directed=True), "fewer than 1 nodes"),
    ):
        assert reason in gt.measure(graph, metrics="max_degree")["undefined"]
