import math

import igraph
import networkx as nx
import pytest
from helpers import random_graphs, repeated

import graphtask as gt
from graphtask.metrics.connectivity import edge_connectivity
from graphtask.metrics.view import GraphView, Options


@repeated(500)
def test_edge_connectivity_equals_networkx(count):
    for graph in random_graphs(count, seed=2):
        view = GraphView(graph, Options())
        theirs = nx.edge_connectivity(nx.DiGraph(graph.get_edgelist()), *view.ends)
        assert edge_connectivity(view) == theirs


@pytest.mark.parametrize("n", [2, 3, 60, 500])
def test_closed_forms(n):
    assert gt.measure(gt.full_dag(n), metrics="edge_connectivity")["edge_connectivity"] == n - 1
    assert gt.measure(gt.chain_dag(n), metrics="edge_connectivity")["edge_connectivity"] == 1


def test_a_single_node_cannot_be_cut_off_from_itself():
    row = gt.measure(igraph.Graph(n=1, directed=True))
    assert math.isnan(row["edge_connectivity"])
    assert "edge_connectivity: the input is the output" in row["undefined"]
