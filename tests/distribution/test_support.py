import numpy as np
import pytest
from distribution.sets import prunings
from helpers import shuffled, staged
from hypothesis import given, settings
from hypothesis import strategies as st

import graphtask as gt
from graphtask.distribution.support import OutsideSupportError, Support, common_support, have_one_origin


def without_provenance(graphs):
    copies = [graph.copy() for graph in graphs]
    for graph in copies:
        del graph["provenance"]
    return copies


@pytest.mark.parametrize(
    "prior",
    [
        gt.full_dag(9, stages=[4, 5]),
        gt.banded_dag(9, bandwidth=3),
        gt.chain_dag(5),
        gt.priors.erdos_renyi_dag(12, p=0.4, seed=3),
        gt.priors.watts_strogatz_dag(12, neighbors=4, p=0.3, seed=3),
        gt.priors.barabasi_albert_dag(12, attachments=2, seed=3),
        gt.random_dag(12, seed=3, decay="power"),
    ],
)
def test_provenance_brings_the_initial_graph_back(prior):
    support = common_support([prior])
    assert support.names == tuple(prior.vs["name"])
    assert [tuple(pair) for pair in support.pairs.tolist()] == sorted(prior.get_edgelist())


def test_nodes_that_no_graph_has_are_part_of_the_support_if_the_prior_is_known():
    graphs = prunings(3, seed=1, nodes=12, keep=0.2)
    assert len(common_support(graphs).names) == 12
    union = common_support(without_provenance(graphs))
    assert set(union.names) == {name for graph in graphs for name in graph.vs["name"]}


def test_without_a_known_prior_names_are_ordered_by_their_numbers():
    graphs = [staged([(0, 1), (1, 2)], [0, 0, 1], ["in", name, "out"]) for name in ("v10", "v2")]
    support = common_support(graphs)
    assert support.names == ("in", "v2", "v10", "out")
    assert len(support.pairs) == 6


def test_an_initial_graph_that_is_given_counts_more_than_provenance():
    graph = gt.banded_dag(6, bandwidth=1)
    assert len(common_support([graph]).pairs) == 5
    assert len(common_support([graph], initial=gt.full_dag(6)).pairs) == 15


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_order_of_vertices_and_edges_does_not_matter(seed):
    (graph,) = prunings(1, seed=3)
    support = common_support([graph])
    place, other = support.membership(graph), support.membership(shuffled(graph, seed))
    assert place.present.tolist() == other.present.tolist()
    assert place.edges.tolist() == other.edges.tolist()
    assert len(place.edges) == graph.ecount()


def test_what_lies_outside_is_named():
    support = Support.of(gt.banded_dag(4, bandwidth=2, stages=2))
    for graph, message in (
        (gt.full_dag(5, stages=2), "node 'v4' is none of the 4 nodes"),
        (gt.full_dag(4, stages=2), "the edge 'v0' → 'v3' is none of the 5"),
        (gt.chain_dag(4, stages=1), "node 'v2' is in stage 0, and not in 1"),
    ):
        with pytest.raises(OutsideSupportError, match=message):
            support.membership(graph)
    double = gt.chain_dag(4, stages=2)
    double.add_edges([(0, 1)])
    with pytest.raises(OutsideSupportError, match="multi-edges"):
        support.membership(double)


def test_nodes_that_contradict_each_other_do_not_correspond():
    ahead, behind = (staged([(0, 1), (1, 2), (2, 3)], [0, 0, 0, 0], ["i", *mid, "o"]) for mid in ("ab", "ba"))
    with pytest.raises(gt.errors.GraphError, match=r"the nodes do not correspond.*cycle"):
        common_support([ahead, behind])
    early, late = (staged([(0, 1), (1, 2)], [0, stage, 1], ["i", "a", "o"]) for stage in (0, 1))
    with pytest.raises(gt.errors.GraphError, match="'a' is in stage 0 of one graph and in 1 of another"):
        common_support([early, late])
    with pytest.raises(gt.errors.GraphError, match=r"graphs\[0\] .* has no node 'v0', the input"):
        common_support([staged([(0, 1)], [0, 2], ["v1", "v5"])], initial=gt.full_dag(6))


def test_graphs_of_one_prior_and_size_have_one_origin():
    assert have_one_origin(prunings(3, seed=0))
    assert not have_one_origin([gt.full_dag(6), gt.full_dag(7)])
    assert not have_one_origin([gt.random_dag(9, seed=seed) for seed in range(2)])
    assert not have_one_origin(without_provenance(prunings(3, seed=0)))


@pytest.mark.parametrize(
    "prior",
    [
        {"name": "full", "arguments": {"nodes": -1}},
        {"name": "full", "arguments": {"n_nodes": 2001, "stages": 1}},  # minutes, for larger ones
        {"name": "full", "arguments": {"n_nodes": 10**400}},
        {"name": []},
        "full",
        7,
    ],
)
def test_a_prior_that_a_file_makes_up_is_not_believed(prior):
    graph = gt.full_dag(5)
    graph["provenance"] = {"prior": prior, "initial": {"edges": 10}}
    assert len(common_support([graph]).names) == 5
    assert np.array_equal(common_support([graph]).pairs, common_support([gt.full_dag(5)]).pairs)


def test_nodes_are_in_the_order_of_their_numbers_however_long():
    names = ["in", "v2", "v10", f"v{'9' * 5000}", f"v1{'0' * 5000}", "w"]
    graphs = [staged([(0, 1), (1, 2)], [0, 0, 1], ["in", name, "w"]) for name in names[1:-1]]
    assert common_support(graphs).names == tuple(names)
