import io
import json
import random
import re

import networkx as nx
import pytest
from helpers import architectures, assert_same_graph, attributed_architectures, shuffled
from hypothesis import given

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
    for items in (result.vs, result.es):  # networkx has no attribute without a value
        for name in items.attributes():
            if all(value is None for value in items[name]):
                del items[name]
    return result


@given(attributed_architectures())
def test_a_graph_comes_back_with_every_attribute(graph):
    assert_same_graph(gt.from_networkx(gt.to_networkx(graph)), by_source(graph))


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
    assert json.loads(result.graph["provenance"]) == gt.provenance(graph)


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
        (nx.path_graph(3), r"undirected; read it with order='ids' \(on the command line: --order ids\)"),
        (nx.MultiGraph([(0, 1)]), "undirected"),
        (nx.MultiDiGraph([(0, 1), (0, 1)]), "multi-edges '0' → '1'"),
        (nx.DiGraph([(0, 1), (1, 0)]), "cycle"),
        (nx.DiGraph([(0, 0)]), "self-loops"),
        (nx.DiGraph([(1, 2), ("1", 2)]), "two vertices are named '1'"),
        (nx.DiGraph([(0, 1), (2, 1), (2, 3), (1, 3), (1, 3)]), "2 inputs.*read it with join=True"),
        (nx.DiGraph([(0, 2), (1, 2)]), "2 inputs"),
        (nx.DiGraph(), "no edges"),
        (nx.DiGraph([(0, 1, {5: 3.0})]), "attribute name 5 is not a string"),
        ("graph", "graph must be a networkx graph, got 'graph'"),
    ],
    ids=str,
)
def test_what_cannot_be_an_architecture_is_refused_in_one_line(graph, words):
    with pytest.raises(gt.errors.GraphError, match=words) as caught:
        gt.from_networkx(graph, stages=1)

    assert "\n" not in str(caught.value)


def test_several_ends_are_joined_and_a_multigraph_without_parallel_edges_is_taken():
    graph = gt.from_networkx(nx.MultiDiGraph([(0, 2), (1, 2)]), stages=1, join=True)

    assert graph.vs["name"] == ["input", "0", "1", "2"]
    with pytest.raises(gt.errors.GraphError, match="no vertex has a `stage`"):
        gt.from_networkx(nx.DiGraph([(0, 1)]))


def test_a_graph_that_is_not_valid_is_not_converted():
    graph = gt.full_dag(3, stages=1)
    del graph.vs["stage"]

    with pytest.raises(gt.errors.GraphError, match="stage"):
        gt.to_networkx(graph)


def test_the_options_of_read_work_on_graphs_in_memory():
    weighted = nx.DiGraph()
    weighted.add_edge("in", "out", weight=3)
    karate = gt.from_networkx(nx.karate_club_graph(), order="ids", stages=1)
    isolated = nx.DiGraph([(0, 1), (1, 2)])
    isolated.add_node(3)

    assert gt.from_networkx(weighted, stages=1).es["file_weight"] == [3]
    assert (karate.vcount(), karate.ecount()) >= (34, 78)
    assert gt.from_networkx(nx.MultiDiGraph([(0, 1), (0, 1)]), stages=1, merge=True).ecount() == 1
    assert gt.from_networkx(isolated, stages=1, drop_isolated=True).vcount() == 3
    with pytest.raises(gt.errors.GraphError, match="drop_isolated=True"):
        gt.from_networkx(isolated, stages=1, join=True)


def test_an_error_names_every_option_that_is_needed():
    graph = nx.MultiDiGraph([(0, 2), (1, 2), (1, 2)])
    graph.add_node(3)

    words = r"read it with drop_isolated=True, merge=True, join=True, stages=3 \(on the command line: "
    with pytest.raises(gt.errors.GraphError, match=words + "--drop-isolated --merge --join --stages 3"):
        gt.from_networkx(graph)
    read = gt.from_networkx(graph, reading="auto")
    assert gt.provenance(read)["reading"] == ["read with --drop-isolated --merge --join --stages 3"]


def test_networkx_writes_what_was_converted():
    trained = gt.read("fixtures/graphs/trained_12.graphml")
    file = io.BytesIO()
    nx.write_graphml(gt.to_networkx(trained), file)
    file.seek(0)

    assert_same_graph(gt.from_networkx(nx.read_graphml(file)), by_source(trained))


def test_w_of_others_is_not_the_raw_weight():
    graph = gt.from_networkx(nx.DiGraph([(0, 1, {"w": 0.5})]), stages=1)

    assert graph.es.attributes() == ["file_w"]
    assert gt.from_networkx(gt.to_networkx(trained_chain())).es["w"] == [0.5, 0.25]


def trained_chain():
    graph = gt.chain_dag(3)
    graph.es["w"] = [0.5, 0.25]
    return graph


@pytest.mark.parametrize("kind", [nx.DiGraph, nx.MultiDiGraph, nx.Graph, nx.MultiGraph])
def test_the_options_that_an_error_names_are_enough_and_those_of_auto(kind):
    rng = random.Random(2)
    n_advised = 0
    for _ in range(150):
        graph = kind()
        graph.add_nodes_from(range(rng.randint(2, 7)))
        graph.add_edges_from(rng.choices(range(len(graph)), k=2) for _ in range(rng.randint(0, 9)))
        message = refusal(graph)
        advice = re.search(r"read it with (.*) \(on the command line: ", message)
        if advice is not None:
            n_advised += 1
            pasted = eval(f"gt.from_networkx(graph, **{{'stages': 1}} | dict({advice[1]}))")
            chosen = gt.from_networkx(graph, stages=1, reading="auto")
            assert pasted.get_edgelist() == chosen.get_edgelist()
        elif message:
            assert message.startswith("the graph has no edges")
            assert all(source == target for source, target, *_ in graph.edges)
    assert n_advised > 50


def refusal(graph):
    try:
        gt.from_networkx(graph, stages=1)
    except gt.GraphtaskError as error:
        return str(error)
    return ""
