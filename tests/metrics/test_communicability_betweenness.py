import math

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import random_graphs, repeated

import graphtask as gt
from graphtask.metrics import communicability_betweenness

NAME = "mean_communicability_betweenness"


def value(graph):
    return gt.measure(graph, metrics=NAME)[NAME]


def by_networkx(graph):
    return np.mean(list(nx.communicability_betweenness_centrality(nx.Graph(graph.get_edgelist())).values()))


def exactly(graph, n_terms):
    """Whole numbers throughout: Σ_k (M^k)·K!/k! of the graph, and of it without each node."""
    n = graph.vcount()
    matrix = np.array((graph.as_undirected()).get_adjacency().data, dtype=object)

    def exponential(matrix):
        power, total = np.array([[int(i == j) for j in range(n)] for i in range(n)], dtype=object), 0
        for k in range(n_terms):
            total = total * max(k, 1) + power
            power = power.dot(matrix)
        return total

    whole, result = exponential(matrix), 0.0
    for node in range(n):
        without = matrix.copy()
        without[node, :] = without[:, node] = 0
        rest = exponential(without)
        for first in range(n):
            for second in range(n):
                if node not in {first, second} and first != second:
                    result += (whole[first, second] - rest[first, second]) / whole[first, second]
    return result / (n * (n - 1) * (n - 2))


@pytest.mark.parametrize("block", [4_000_000, 1])
@repeated(600)
def test_it_equals_networkx_on_small_graphs(monkeypatch, block, count):
    monkeypatch.setattr(communicability_betweenness, "_BLOCK", block)
    for graph in random_graphs(count, seed=29):
        if graph.vcount() > 2:
            assert value(graph) == pytest.approx(by_networkx(graph), rel=1e-7)


@pytest.mark.parametrize(
    "edges",
    [
        [(i, i + 1) for i in range(13)],
        [(i, j) for i in range(5) for j in range(i + 1, 5)] + [(i, i + 1) for i in range(4, 13)],
        [(i, j) for i in range(12) for j in range(i + 1, 12)],
    ],
    ids=["chain", "clique on a tail", "full"],
)
def test_it_equals_whole_numbers_where_networkx_has_only_rounding_left(edges):
    graph = igraph.Graph(edges=edges, directed=True)
    assert value(graph) == pytest.approx(exactly(graph, 90), rel=1e-13)


@pytest.mark.parametrize("n", [3, 60])
def test_the_full_dag_has_its_closed_form(n):
    between = [(math.exp(k - 1) - math.exp(-1)) / k for k in (n, n - 1)]
    assert value(gt.full_dag(n)) == pytest.approx(1 - between[1] / between[0], rel=1e-12)


def test_two_nodes_have_nothing_between_them():
    assert math.isnan(value(gt.chain_dag(2)))


def test_long_chains_are_told_not_rounded():
    assert 0.3 < value(gt.chain_dag(120)) < 0.5
    row = gt.measure(gt.chain_dag(300), metrics=NAME)
    assert "its walks leave the range of floating-point numbers" in row["undefined"]
