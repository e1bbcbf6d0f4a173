import igraph
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.errors import ArgumentError, GraphError
from graphtask.graph import edge_names
from graphtask.priors.orient import _foci, node_sequence

ORDERS = ["ids", "x", "radius", "bifocal"]


@st.composite
def undirected(draw, *, max_nodes=10):
    n = draw(st.integers(2, max_nodes))
    pairs = [(i, j) for i in range(n) for j in range(n)]  # loops and double edges included
    return igraph.Graph(n=n, edges=draw(st.lists(st.sampled_from(pairs), max_size=2 * n)))


@given(undirected(), st.sampled_from(ORDERS), st.integers(0, 3))
def test_every_order_of_every_graph_gives_a_valid_dag_with_its_edges(graph, order, seed):
    dag = gt.priors.orient_edges(graph, order=order, seed=seed)
    gt.check_graph(dag)
    assert sorted(dag.vs["name"]) == sorted(f"v{index}" for index in range(graph.vcount()))
    assert all(source < target for source, target in dag.get_edgelist())
    wanted = {frozenset((f"v{i}", f"v{j}")) for i, j in graph.get_edgelist() if i != j}
    found = [frozenset(pair) for pair in edge_names(dag)]
    assert wanted <= set(found)
    assert len(found) == len(set(found)) == len(wanted) + gt.provenance(dag)["prior"]["repaired_edges"]
    again = gt.priors.orient_edges(graph, order=order, seed=seed)
    assert edge_names(again) == edge_names(dag)


@pytest.mark.parametrize("order", ["x", "bifocal"])
@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_path_becomes_a_chain_again(order, seed):
    place = np.random.default_rng(seed).permutation(8)
    path = igraph.Graph([(place[i], place[i + 1]) for i in range(7)])
    sequence = node_sequence(path, order=order, seed=seed).tolist()
    ends = [sequence[0], sequence[-1]]
    if order == "bifocal" or sorted(ends) == sorted([place[0], place[-1]]):
        assert sequence in (place.tolist(), place.tolist()[::-1])
    else:  # the layout may stand upright; then x says nothing about the path
        position = np.asarray(path.layout_kamada_kawai(seed=path.layout_circle()).coords)
        assert np.ptp(position[:, 0]) < np.ptp(position[:, 1])


def test_x_runs_from_left_to_right_in_the_layout():
    graph = igraph.Graph.Tree(15, 2)
    x = np.asarray(graph.layout_kamada_kawai(seed=graph.layout_circle()).coords)[:, 0]
    assert (np.diff(x[node_sequence(graph, order="x")]) > -1e-6).all()


def test_radius_runs_from_the_centre_outwards():
    wheel = igraph.Graph.Star(9, center=4)
    assert node_sequence(wheel, order="radius")[0] == 4
    layered = igraph.Graph([(0, i) for i in range(1, 6)] + [(i, i + 5) for i in range(1, 6)])
    sequence = node_sequence(layered, order="radius").tolist()
    assert sequence[0] == 0
    assert set(sequence[1:6]) == set(range(1, 6))


def test_bifocal_runs_from_one_end_of_the_graph_to_the_other():
    grid = igraph.Graph.Lattice([3, 8], circular=False)
    sequence = node_sequence(grid, order="bifocal").tolist()
    assert grid.distances(sequence[0], sequence[-1]) == [[9]]
    assert sequence[0] < sequence[-1]


@given(undirected())
def test_the_foci_are_the_farthest_pair_with_the_largest_degrees(graph):
    plain = nx.MultiGraph(graph.get_edgelist())
    plain.add_nodes_from(range(graph.vcount()))
    pairs = [
        (-distance, -plain.degree(a) * plain.degree(b), a, b)
        for a, reached in nx.all_pairs_shortest_path_length(plain)
        for b, distance in reached.items()
    ]
    assert _foci(graph) == min(pairs)[2:]


def test_a_symmetric_layout_leaves_the_order_to_the_ids():
    assert node_sequence(igraph.Graph.Ring(12), order="radius").tolist() == list(range(12))
    center, *pentagon = node_sequence(igraph.Graph.Full(6), order="radius").tolist()
    assert pentagon == [node for node in range(6) if node != center]


@pytest.mark.parametrize("order", ORDERS)
def test_graphs_without_edges_or_in_pieces_are_repaired(order):
    assert gt.priors.orient_edges(igraph.Graph(n=4), order=order).get_edgelist() == [(0, 1), (1, 2), (2, 3)]
    assert gt.priors.orient_edges(igraph.Graph([(0, 0), (1, 1)]), order=order).get_edgelist() == [(0, 1)]
    pieces = igraph.Graph(n=7, edges=[(0, 1), (1, 2), (3, 4), (4, 5), (3, 5)])
    gt.check_graph(gt.priors.orient_edges(pieces, order=order))


def test_another_seed_is_another_embedding():
    graph = igraph.Graph.Ring(12)
    sequences = {tuple(node_sequence(graph, order="x", seed=seed).tolist()) for seed in range(5)}
    assert len(sequences) > 1


def test_vertices_keep_names_and_attributes_and_edges_lose_theirs():
    graph = igraph.Graph([(2, 0), (0, 1)])
    graph.vs["name"] = ["a", "b", "c"]
    graph.vs["color"] = ["red", "green", "blue"]
    graph.vs["stage"] = [9, 9, 9]
    graph.es["weight"] = [3.0, 4.0]
    graph["title"] = "a path"
    dag = gt.priors.orient_edges(graph, stages=[1, 2])
    assert (dag.vs["name"], dag.vs["color"], dag.vs["stage"]) == (
        ["a", "b", "c"],
        ["red", "green", "blue"],
        [0, 1, 1],
    )
    assert dag["title"] == "a path"
    assert dag.es.attributes() == []
    assert graph.es["weight"] == [3.0, 4.0]


def test_attributes_follow_their_vertices_into_the_order():
    graph = igraph.Graph([(0, 3), (3, 1), (3, 2)])
    graph.vs["color"] = list("abcd")
    dag = gt.priors.orient_edges(graph, order="radius")
    assert dict(zip(dag.vs["name"], dag.vs["color"], strict=True)) == {
        "v0": "a",
        "v1": "b",
        "v2": "c",
        "v3": "d",
    }
    assert dag.vs["name"][0] == "v3"


def test_provenance_says_how_and_from_what():
    graph = igraph.Graph.Ring(6)
    graph["provenance"] = {"prior": {"name": "ring"}, "data": "x"}
    known = gt.provenance(gt.priors.orient_edges(graph, order="x", seed=4))
    assert known["prior"] == {
        "name": "orient",
        "arguments": {"order": "x", "seed": 4, "stages": [2, 2, 2]},
        "repaired_edges": known["prior"]["repaired_edges"],
        "of": {"name": "ring"},
    }
    assert known["data"] == "x"
    assert known["initial"]["nodes"] == 6


def test_what_cannot_be_oriented_is_refused():
    with pytest.raises(GraphError, match="the graph is directed"):
        gt.priors.orient_edges(gt.full_dag(3))
    with pytest.raises(GraphError, match="must have at least 2 vertices, got 1"):
        gt.priors.orient_edges(igraph.Graph(n=1))
    with pytest.raises(GraphError, match=r"graph must be a graph .*got"):
        gt.priors.orient_edges("graph")
    assert gt.priors.orient_edges(nx.path_graph(3)).get_edgelist() == [(0, 1), (1, 2)]
    named = igraph.Graph([(0, 1)])
    named.vs["name"] = ["a", "a"]
    with pytest.raises(GraphError, match="two vertices are named 'a'"):
        gt.priors.orient_edges(named)
    with pytest.raises(ArgumentError, match="order must be one of ids, x, radius, bifocal, got 'y'"):
        gt.priors.orient_edges(igraph.Graph([(0, 1)]), order="y")
    with pytest.raises(ArgumentError, match="seed must be an integer >= 0, got -1"):
        gt.priors.orient_edges(igraph.Graph([(0, 1)]), seed=-1)
    with pytest.raises(ArgumentError, match="stages"):
        gt.priors.orient_edges(igraph.Graph([(0, 1)]), stages=3)
