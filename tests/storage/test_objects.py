import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from helpers import weighted_architectures
from hypothesis import given

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.storage.geometric import data_class


def adjacency(graph):
    matrix = np.zeros((graph.vcount(), graph.vcount()))
    for edge in graph.es:
        matrix[edge.source, edge.target] = edge["weight"]
    return matrix


@given(weighted_architectures())
def test_every_library_gives_the_same_edges_and_weights(graph):
    graph.es["weight"] = [max(weight, 0.125) for weight in graph.es["weight"]]  # 0 in a matrix is no edge
    matrix = adjacency(graph)
    objects = [
        graph,
        gt.to_networkx(graph),
        matrix,
        sp.csr_matrix(matrix),
        sp.coo_array(matrix),
        pd.DataFrame(matrix, index=graph.vs["name"], columns=graph.vs["name"]),
        gt.to_geometric(graph),
    ]
    expected = dict(zip(edge_names(graph), graph.es["weight"], strict=True))
    for obj in objects:
        found = gt.as_igraph(obj)
        weights = found.es["weight"] if "weight" in found.es.attributes() else [1.0] * found.ecount()
        assert dict(zip(edge_names(found), weights, strict=True)) == expected


def test_an_igraph_graph_is_returned_itself():
    graph = gt.chain_dag(3)

    assert gt.as_igraph(graph) is graph


def test_undirected_graphs_stay_undirected_and_labels_may_repeat():
    graph = nx.Graph([(0, 1)])
    nx.set_node_attributes(graph, "conv", "name")
    found = gt.as_igraph(graph)

    assert not found.is_directed()
    assert (found.vs["name"], found.vs["label"]) == (["0", "1"], ["conv", "conv"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("graph", "graph must be a graph .*, got 'graph'"),
        (None, "got None"),
        (np.zeros((2, 3)), "2 × 3"),
        (sp.csr_matrix((2, 3)), "square"),
        (np.zeros(3), "shape \\(3,\\)"),
        (np.array([["a", "b"], ["c", "d"]]), "must hold numbers"),
        (np.array([[0, np.nan], [0, 0]]), "NaN or infinity"),
        (lambda: data_class()(edge_index=torch.zeros(2, 2)), "edge_index"),
    ],
    ids=lambda value: "geometric" if callable(value) else str(value),
)
def test_anything_else_is_one_short_line(value, words):
    with pytest.raises(gt.errors.GraphError, match=words) as caught:
        gt.as_igraph(value() if callable(value) else value)

    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_a_matrix_is_read_with_the_options_of_read():
    symmetric = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])

    assert gt.from_adjacency(symmetric, order="ids", stages=1).ecount() == 3
    assert gt.from_adjacency([[0, 2], [0, 0]], stages=2).es["file_weight"] == [2]
    table = pd.DataFrame([[0, None], [1, 0]], index=["b", "a"], columns=["b", "a"])
    assert edge_names(gt.from_adjacency(table, stages=1)) == [("a", "b")]
    with pytest.raises(gt.errors.GraphError, match="matrix must be a square adjacency matrix"):
        gt.from_adjacency("matrix")
