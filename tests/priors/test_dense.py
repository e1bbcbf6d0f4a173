import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.errors import ArgumentError
from graphtask.graph import node_order, size_by_stage

SIZES = st.integers(2, 40)


def assert_is_a_prior(graph, n_nodes):
    gt.check_graph(graph)
    assert graph.vs["name"] == [f"v{index}" for index in range(n_nodes)]
    assert node_order(graph) == list(range(n_nodes))
    assert gt.provenance(graph)["initial"] == size_by_stage(graph)


@given(SIZES)
def test_the_full_dag_has_every_forward_edge(n_nodes):
    graph = gt.full_dag(n_nodes)
    assert_is_a_prior(graph, n_nodes)
    assert graph.get_edgelist() == [(i, j) for i in range(n_nodes) for j in range(i + 1, n_nodes)]


@given(SIZES, st.integers(1, 50))
def test_the_banded_dag_has_the_edges_within_its_band(n_nodes, bandwidth):
    graph = gt.banded_dag(n_nodes, bandwidth=bandwidth)
    assert_is_a_prior(graph, n_nodes)
    expected = [(i, j) for i in range(n_nodes) for j in range(n_nodes) if 0 < j - i <= bandwidth]
    assert graph.get_edgelist() == expected


@given(SIZES)
def test_the_chain_has_one_path(n_nodes):
    graph = gt.chain_dag(n_nodes)
    assert_is_a_prior(graph, n_nodes)
    assert graph.get_edgelist() == [(i, i + 1) for i in range(n_nodes - 1)]


def test_the_paper_s_graph_has_three_stages_of_twenty():
    graph = gt.full_dag(60)
    assert graph.ecount() == 1770
    assert gt.provenance(graph)["initial"] == {
        "nodes": 60,
        "edges": 1770,
        "nodes_per_stage": [20, 20, 20],
        "edges_per_stage": [190, 190, 190],
    }


def test_the_paper_s_subgraph_drops_edges_over_more_than_ten_nodes():
    rule = gt.dag_from_predicate(60, lambda i, j: abs(i - j) <= 10, stages=3)
    band = gt.banded_dag(60, bandwidth=10, stages=3)
    assert rule.get_edgelist() == band.get_edgelist()
    assert band.ecount() == 60 * 10 - 10 * 11 // 2
    assert gt.provenance(rule)["prior"]["repaired_edges"] == 0


@given(SIZES, st.data())
def test_any_predicate_gives_a_valid_graph_with_its_edges_and_the_repairs(n_nodes, data):
    n_pairs = n_nodes * (n_nodes - 1) // 2
    chosen = data.draw(st.sets(st.integers(0, n_pairs - 1)) if n_nodes < 9 else st.sampled_from([set(), {0}]))
    pairs = [(i, j) for i in range(n_nodes) for j in range(i + 1, n_nodes)]
    wanted = {pairs[index] for index in chosen}
    graph = gt.dag_from_predicate(n_nodes, lambda i, j: (i, j) in wanted)
    assert_is_a_prior(graph, n_nodes)
    assert set(graph.get_edgelist()) >= wanted
    added = set(graph.get_edgelist()) - wanted
    assert all(j == i + 1 for i, j in added)
    assert gt.provenance(graph)["prior"]["repaired_edges"] == len(added)


def test_the_predicate_is_asked_about_forward_pairs_only():
    asked = []
    gt.dag_from_predicate(5, lambda i, j: bool(asked.append((i, j))))
    assert asked == [(i, j) for i in range(5) for j in range(i + 1, 5)]


@pytest.mark.parametrize("n_nodes", [2, 3, 4, 60])
def test_stages_default_to_three_or_to_as_many_as_there_are_nodes(n_nodes):
    assert max(gt.full_dag(n_nodes).vs["stage"]) + 1 == min(3, n_nodes)


def test_stages_are_a_number_or_sizes():
    assert gt.chain_dag(5, stages=1).vs["stage"] == [0] * 5
    assert gt.chain_dag(5, stages=[3, 1, 1]).vs["stage"] == [0, 0, 0, 1, 2]


def test_provenance_says_how_to_make_the_graph_again():
    assert gt.provenance(gt.banded_dag(8, bandwidth=3, stages=2))["prior"] == {
        "name": "banded",
        "arguments": {"n_nodes": 8, "bandwidth": 3, "stages": [4, 4]},
        "repaired_edges": 0,
    }

    def near(i, j):
        return j - i < 3

    assert gt.provenance(gt.dag_from_predicate(4, near))["prior"]["arguments"]["predicate"] == "near"


@pytest.mark.parametrize("n_nodes", [1, 0, -3, 2.0, "4", None])
def test_the_number_of_nodes_is_a_whole_number_from_two(n_nodes):
    for make in (gt.full_dag, gt.chain_dag, lambda n: gt.dag_from_predicate(n, lambda _i, _j: True)):
        with pytest.raises(ArgumentError, match=r"n_nodes must be an integer >= 2, got"):
            make(n_nodes)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ArgumentError, match="bandwidth must be an integer >= 1, got 0"):
        gt.banded_dag(4, bandwidth=0)
    with pytest.raises(ArgumentError, match=r"stages must be an integer in \[1, 4\], got 5"):
        gt.full_dag(4, stages=5)
    with pytest.raises(
        ArgumentError, match=r"stages must be sizes of at least 1 that add up to 4, got \[1, 1\]"
    ):
        gt.full_dag(4, stages=[1, 1])


@pytest.mark.slow
def test_two_thousand_nodes_are_no_trouble():
    start = time.perf_counter()
    graph = gt.full_dag(2000)
    assert (
        time.perf_counter() - start < 30
    )  # a Python loop over the pairs with igraph calls would take minutes
    assert graph.ecount() == 1_999_000
    assert gt.provenance(graph)["initial"]["nodes_per_stage"] == [667, 667, 666]
    gt.check_graph(graph)
