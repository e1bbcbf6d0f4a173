import networkx as nx
import pytest
from helpers import architectures, assert_same_graph, attributed_architectures, shuffled
from hypothesis import given, settings

import graphtask as gt
from graphtask.graph import edge_names


def by_source(graph):
    """The graph with its edges in the one order that networkx keeps: source by source."""
    order = sorted(range(graph.ecount()), key=lambda index: graph.es[index].source)
    result = graph.copy()
    result.delete_edges(range(graph.ecount()))
    result.add_edges([graph.get_edgelist()[index] for index in order])
    for name in graph.es.attributes():
        result.es[name] = [graph.es[name][index] for index in order]
    return result


@settings(max_examples=80)
@given(attributed_architectures())
def test_a_graph_comes_back_with_every_attribute(graph):
    assert_same_graph(gt.from_networkx(gt.to_networkx(graph)), by_source(graph))


@settings(max_examples=30)
@given(architectures())
def test_edges_out_of_order_are_kept_within_each_source(graph):
    mixed = shuffled(graph, 5)

    assert_same_graph(gt.from_networkx(gt.to_networkx(mixed)), gt.as_architecture(by_source(mixed)))


def test_nodes_are_the_names_and_keep_what_is_known_of_them():
    graph = gt.full_dag(3, stages=3)
    graph.es["weight"] = [0.25, 0.5, 0.75]
    result = gt.to_networkx(graph)

    assert list(result.nodes(data=True)) == [("v0", {"stage": 0}), ("v1", {"stage": 1}), ("v2", {"stage": 2})]
    assert list(result.edges(data="weight")) == [("v0", "v1", 0.25), ("v0", "v2", 0.5), ("v1", "v2", 0.75)]
    assert result.graph["provenance"] == gt.provenance(graph)


def test_any_nodes_become_strings_and_the_attribute_name_goes_first():
    graph = nx.DiGraph([((0, 1), 2.0), (2.0, "x")])
    assert gt.from_networkx(graph, stages=1).vs["name"] == ["(0, 1)", "2", "x"]

    nx.set_node_attributes(graph, dict(zip(graph, ["a", "b", "c"], strict=True)), "name")
    assert edge_names(gt.from_networkx(graph, stages=1)) == [("a", "b"), ("b", "c")]


def test_an_empty_column_and_a_partial_one_are_kept_apart_by_none():
    graph = nx.DiGraph([(0, 1), (1, 2)])
    graph.nodes[1]["bias"] = 0.5

    assert gt.from_networkx(graph, stages=1).vs["bias"] == [None, 0.5, None]


def test_the_argument_is_left_alone():
    graph = gt.to_networkx(gt.full_dag(4, stages=2))
    before = [(node, dict(data)) for node, data in graph.nodes(data=True)]
    gt.from_networkx(graph)

    assert list(graph.nodes(data=True)) == before


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (nx.path_graph(3), r"undirected.*graphtask\.orient"),
        (nx.MultiGraph([(0, 1)]), "undirected"),
        (nx.MultiDiGraph([(0, 1), (0, 1)]), "multi-edges '0' → '1'"),
        (nx.DiGraph([(0, 1), (1, 0)]), "cycle"),
        (nx.DiGraph([(0, 0)]), "self-loops"),
        (nx.DiGraph([(1, 2), ("1", 2)]), "two vertices are named '1'"),
        (nx.DiGraph([(0, 2), (1, 2)]), "2 inputs"),
        (nx.DiGraph(), "no edges"),
        (nx.DiGraph([(0, 1, {"weight": 3.0})]), "the `weight` of edge '0' → '1' is 3.0"),
        (nx.DiGraph([(0, 1, {5: 3.0})]), "attribute name 5 is not a string"),
        ("graph", r"networkx\.DiGraph is needed, not str"),
    ],
    ids=str,
)
def test_what_cannot_be_an_architecture_is_refused_in_one_line(graph, words):
    with pytest.raises(gt.GraphError, match=words) as caught:
        gt.from_networkx(graph, stages=1)

    assert "\n" not in str(caught.value)


def test_several_ends_are_joined_and_a_multigraph_without_parallel_edges_is_taken():
    graph = gt.from_networkx(nx.MultiDiGraph([(0, 2), (1, 2)]), stages=1, join=True)

    assert graph.vs["name"] == ["input", "0", "1", "2"]
    with pytest.raises(gt.GraphError, match="no vertex has a `stage`"):
        gt.from_networkx(nx.DiGraph([(0, 1)]))


def test_a_graph_that_is_not_valid_is_not_converted():
    graph = gt.full_dag(3, stages=1)
    del graph.vs["stage"]

    with pytest.raises(gt.GraphError, match="stage"):
        gt.to_networkx(graph)
