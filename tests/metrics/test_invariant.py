from itertools import combinations

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import loose_dags, random_graphs, repeated, shuffled

import graphtask as gt


def value(graph):
    return gt.measure(graph, metrics="invariant_hash")["invariant_hash"]


def staged(edges, stage):
    graph = igraph.Graph(n=len(stage), edges=edges, directed=True)
    graph.vs["stage"] = stage
    return graph


def are_isomorphic(first, second):
    def theirs(graph):
        result = nx.DiGraph()
        result.add_nodes_from((node.index, {"stage": node["stage"]}) for node in graph.vs)
        result.add_edges_from(graph.get_edgelist())
        return result

    same = nx.algorithms.isomorphism.categorical_node_match("stage", None)
    return nx.is_isomorphic(theirs(first), theirs(second), node_match=same)


@repeated(300)
def test_copies_in_another_order_with_other_names_and_weights_have_the_same_hash(count):
    for seed, graph in enumerate(random_graphs(count, seed=34, most_nodes=14) + loose_dags(count, seed=35)):
        copy = shuffled(graph, seed)
        copy.vs["name"] = [f"x{index}" for index in range(copy.vcount())]
        copy.es["weight"] = 0.5
        assert value(copy) == value(graph)
        assert len(value(graph)) == 32


@repeated(400)
def test_hashes_are_equal_exactly_if_graphs_are_isomorphic(count):
    graphs = loose_dags(count, seed=36, most_nodes=4)
    hashes = [value(graph) for graph in graphs]
    equal = 0
    for (first, one), (second, other) in combinations(list(zip(graphs, hashes, strict=True))[:150], 2):
        assert (one == other) == are_isomorphic(first, second)
        equal += one == other
    assert equal > 20


def test_all_dags_of_four_nodes_fall_into_as_many_classes_as_there_are():
    pairs = list(combinations(range(4), 2))
    hashes = {
        value(staged([pair for k, pair in enumerate(pairs) if mask >> k & 1], [0] * 4)) for mask in range(64)
    }
    assert len(hashes) == 31  # OEIS A003087: unlabeled acyclic digraphs with 4 nodes


def oriented(undirected):
    """Every edge as a fork: a node in stage 1 that both ends lead to."""
    n = undirected.vcount()
    edges = [(end, n + k) for k, pair in enumerate(undirected.get_edgelist()) for end in pair]
    return staged(edges, [0] * n + [1] * undirected.ecount())


def test_graphs_that_refining_colors_cannot_tell_apart_differ():
    six, triangles = oriented(igraph.Graph.Ring(6)), oriented(igraph.Graph.Ring(3) + igraph.Graph.Ring(3))
    assert value(six) != value(triangles)
    rook = igraph.Graph(
        n=16, edges=[(a, b) for a, b in combinations(range(16), 2) if a // 4 == b // 4 or a % 4 == b % 4]
    )
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    shrikhande = igraph.Graph(
        n=16,
        edges=[
            (a, b)
            for a, b in combinations(range(16), 2)
            if ((b // 4 - a // 4) % 4, (b % 4 - a % 4) % 4) in steps
        ],
    )
    assert set(rook.degree()) == set(shrikhande.degree()) == {6}
    assert value(oriented(rook)) != value(oriented(shrikhande))
    assert value(shuffled(oriented(rook), 3)) == value(oriented(rook))


def test_directions_and_stages_count():
    fork, join = staged([(0, 1), (0, 2)], [0, 0, 0]), staged([(0, 2), (1, 2)], [0, 0, 0])
    assert value(fork) != value(join)
    assert value(staged([(0, 1)], [0, 0])) != value(staged([(0, 1)], [0, 1]))
    assert value(staged([(0, 1)], [0, 1])) != value(staged([(0, 1)], [0, 2]))


@pytest.mark.parametrize(
    "graph", [gt.full_dag(60), gt.chain_dag(2000), gt.full_dag(80)], ids=["full", "chain", "big"]
)
def test_large_graphs_have_one(graph):
    assert value(shuffled(graph, 5)) == value(graph)


def test_layers_with_many_symmetries_have_one():
    edges = [(6 * k + i, 6 * k + 6 + j) for k in range(9) for i in range(6) for j in range(6)]
    layers = staged(edges, np.repeat(range(10), 6).tolist())
    assert value(shuffled(layers, 7)) == value(layers)


def test_duplicates_in_a_corpus_are_found():
    graphs = [gt.full_dag(5), gt.chain_dag(5), shuffled(gt.full_dag(5), 1)]
    table = gt.measure_all(graphs, metrics=["invariant_hash"])
    assert table["invariant_hash"].duplicated().tolist() == [False, False, True]
