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

DENSE = np.array([[0, 0.5, 1.0], [0, 0, 0.25], [0, 0, 0]])


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


@pytest.mark.parametrize(
    "matrix",
    [
        np.matrix(DENSE),
        np.ma.masked_array(DENSE + 7 * (DENSE == 0), mask=DENSE == 0),
        DENSE.astype(object),
        pd.DataFrame(DENSE).astype("Float64"),
        pd.DataFrame(DENSE).replace(0, None),
        *(sp.csr_array(DENSE).asformat(kind) for kind in ("bsr", "dia", "dok", "lil")),
    ],
)
def test_matrices_of_every_kind_are_the_same_graph(matrix):
    found = gt.from_adjacency(matrix, stages=1)
    assert dict(zip(found.get_edgelist(), found.es["weight"], strict=True)) == {
        (0, 1): 0.5,
        (1, 2): 0.25,
        (0, 2): 1.0,
    }


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"source": [0], "target": [1]}), "from_pandas_edgelist"),
        (pd.DataFrame(DENSE, index=list("abc"), columns=list("xyz")), "same labels"),
        (pd.DataFrame(DENSE.astype(str)), "must hold numbers"),
    ],
)
def test_tables_that_are_no_adjacency_matrix_are_refused(table, words):
    with pytest.raises(gt.errors.GraphError, match=words):
        gt.from_adjacency(table, stages=1)


@pytest.mark.parametrize("kind", [np.float32, np.float64, str])
def test_weights_and_stages_of_networkx_may_be_scalars_of_numpy_or_texts(kind):
    graph = nx.DiGraph([("a", "b", {"weight": kind(0.5)}), ("b", "c", {"weight": kind(1)})])
    nx.set_node_attributes(graph, {"a": np.int64(0), "b": "1", "c": 1.0}, "stage")
    found = gt.from_networkx(graph)

    assert found.es["weight"] == [0.5, 1.0]
    assert found.vs["stage"] == [0, 1, 1]
    assert {type(weight) for weight in found.es["weight"]} <= {int, float}
