import networkx as nx
import numpy as np
import pytest
from helpers import loose_dags, random_graphs, repeated, shuffled

import graphtask as gt
from graphtask.metrics.node_connectivity import _bounds
from graphtask.metrics.view import GraphView, Options


def by_networkx(graph):
    theirs = nx.DiGraph()
    theirs.add_nodes_from(range(graph.vcount()))
    theirs.add_edges_from(graph.get_edgelist())
    return nx.average_node_connectivity(theirs)


def by_menger(graph):
    """Paths without a common inner node, by taking away nodes: exponential, of small graphs only."""
    n, edges = graph.vcount(), set(graph.get_edgelist())
    total = 0
    for first in range(n):
        for second in range(n):
            if first == second:
                continue
            inner = [node for node in range(n) if node not in {first, second}]
            least = len(inner)
            for mask in range(1 << len(inner)):
                gone = {node for k, node in enumerate(inner) if mask >> k & 1}
                if len(gone) < least and not _reaches(edges - {(first, second)}, first, second, gone):
                    least = len(gone)
            total += least + ((first, second) in edges)
    return total / (n * (n - 1))


def _reaches(edges, first, second, gone):
    seen, stack = {first}, [first]
    while stack:
        node = stack.pop()
        new = {j for i, j in edges if i == node} - gone - seen
        seen |= new
        stack += new
    return second in seen


def value(graph):
    return gt.measure(graph, metrics="mean_node_connectivity")["mean_node_connectivity"]


@repeated(350)
def test_it_equals_mengers_theorem_by_brute_force(count):
    graphs = random_graphs(count, seed=21, most_nodes=5) + loose_dags(count, seed=22, most_nodes=5)
    compared = [graph for graph in graphs if graph.vcount() > 1]
    assert len(compared) > count
    for graph in compared:
        assert value(graph) == pytest.approx(by_menger(graph), rel=1e-15)


def test_it_equals_networkx():
    for graph in random_graphs(60, seed=23):
        assert value(graph) == pytest.approx(by_networkx(graph), rel=1e-15)


@pytest.mark.slow
def test_it_equals_networkx_often():
    for graph in random_graphs(500, seed=24, most_nodes=12):
        assert value(graph) == pytest.approx(by_networkx(graph), rel=1e-15)


@pytest.mark.parametrize("density", [0.1, 0.3])
def test_flows_are_needed_and_right_on_25_nodes(density):
    chosen = np.random.default_rng(1).random((25, 25)) < density
    graph = shuffled(gt.dag_from_predicate(25, lambda i, j: bool(chosen[i, j])), 1)
    least, most = _bounds(GraphView(graph, Options()))
    assert (least < most).sum() > 10
    assert value(graph) == pytest.approx(by_networkx(graph), rel=1e-15)


@pytest.mark.parametrize("n", [2, 3, 60])
def test_closed_forms(n):
    assert value(gt.chain_dag(n)) == 0.5
    assert value(gt.full_dag(n)) == pytest.approx((n + 1) / 6)
