import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import architectures, shuffled, weighted_architectures
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask import graph as g
from graphtask.errors import ArgumentError, GraphError


def directed(edges, *, n=None, **vertex_attributes):
    n = n if n is not None else 1 + max(max(edge) for edge in edges)
    graph = igraph.Graph(n=n, edges=edges, directed=True)
    graph.vs["name"] = [f"v{index}" for index in range(n)]
    graph.vs["stage"] = [0] * n
    for attribute, values in vertex_attributes.items():
        graph.vs[attribute] = values
    return graph


def weighted(values, *, attribute="weight"):
    graph = directed([(0, 1), (1, 2), (0, 2)])
    graph.es[attribute] = values
    return graph


def as_networkx(graph):
    result = nx.DiGraph()
    result.add_nodes_from(range(graph.vcount()))
    result.add_edges_from(graph.get_edgelist())
    return result


BROKEN = {
    "not igraph": (
        [(0, 1)],
        "graph must be a graph .igraph, networkx, torch-geometric, or a square adjacency matrix., got ",
    ),
    "undirected": (igraph.Graph([(0, 1)]), "undirected; direct its edges with graphtask.priors.orient_edges"),
    "empty": (igraph.Graph(directed=True), "no edges; an architecture needs a path"),
    "no edges": (igraph.Graph(n=3, directed=True), "no edges"),
    "self-loop": (directed([(0, 1), (1, 1), (1, 2)]), r"self-loops at 'v1'; remove them with simplify"),
    "multi-edge": (
        directed([(0, 1), (1, 2), (0, 1)]),
        r"multi-edges 'v0' → 'v1'; merge them with simplify",
    ),
    "no names": (igraph.Graph([(0, 1)], directed=True), "no vertex has a `name`; build the graph with"),
    "name None": (
        directed([(0, 1)], name=["a", None]),
        "the `name` of vertex 1 must be a string, got None",
    ),
    "name int": (directed([(0, 1)], name=[7, "a"]), "the `name` of vertex 0 must be a string, got 7"),
    "name twice": (directed([(0, 1), (1, 2)], name=["a", "b", "a"]), "two vertices are named 'a'"),
    "cycle": (
        directed([(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)]),
        r"cycle, 'v1' → 'v2' → 'v3' → 'v1'; remove or reverse one",
    ),
    "long cycle": (directed([(i, (i + 1) % 9) for i in range(9)]), r"'v0' → .* → … \(9 edges\)"),
    "two inputs": (
        directed([(0, 2), (1, 2)]),
        r"2 inputs \(vertices without predecessors\), 'v0', 'v1';.*join=True",
    ),
    "two outputs": (
        directed([(0, 1), (0, 2)]),
        r"2 outputs \(vertices without successors\), 'v1', 'v2';.*join=True",
    ),
    "many inputs": (directed([(i, 9) for i in range(9)]), r"9 inputs .*'v4', … \(9 in all\)"),
    "isolated": (directed([(0, 1)], n=3), r"2 inputs .*'v0', 'v2'"),
    "stage None": (
        directed([(0, 1)], stage=[0, None]),
        "the `stage` of vertex 'v1' must be an int in .*, got None",
    ),
    "stage float": (directed([(0, 1)], stage=[0, 1.5]), r"must be an int in \[0, 30\], got 1.5"),
    "stage bool": (directed([(0, 1)], stage=[0, True]), "got True"),
    "stage negative": (
        directed([(0, 1)], stage=[-1, 0]),
        "the `stage` of vertex 'v0' must be an int in .*, got -1",
    ),
    "stage falls": (
        directed([(0, 1), (1, 2)], stage=[0, 2, 1]),
        r"stage decreases along 'v1' → 'v2' \(from 2 to 1\); stages never decrease",
    ),
    "weight None": (
        weighted([1.0, None, 1.0]),
        r"the `weight` of edge 'v1' → 'v2' must be .*\[0, 1\], got None.*del graph.es",
    ),
    "weight above": (
        weighted([0.5, 0.5, 1.5]),
        r"the `weight` of edge 'v0' → 'v2' must be a float in \[0, 1\], got 1.5",
    ),
    "weight below": (weighted([-0.1, 0.5, 0.5]), r"the `weight` of edge 'v0' → 'v1' must be .* got -0.1"),
    "weight NaN": (weighted([float("nan"), 0.5, 0.5]), "must be a float .*got nan"),
    "weight text": (weighted(["1", "1", "1"]), "must be a float .*got '1'"),
    "w NaN": (
        weighted([float("nan"), 0, 0], attribute="w"),
        r"the `w` of edge 'v0' → 'v1' must be a float, got nan",
    ),
}


@pytest.mark.parametrize(("graph", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_every_broken_rule_is_named_with_its_place_and_a_remedy(graph, message):
    with pytest.raises(GraphError, match=message) as caught:
        gt.check_graph(graph)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", ["stage None", "stage float", "stage bool", "stage negative", "stage falls"])
@pytest.mark.parametrize("join", [False, True])
def test_architecture_refuses_bad_stages_with_the_same_words(rule, join):
    graph, message = BROKEN[rule]
    with pytest.raises(GraphError, match=message):
        gt.as_architecture(graph, join=join)


def test_a_graph_without_stages_is_refused_until_told_how_many():
    graph = igraph.Graph([(0, 1)], directed=True)
    graph.vs["name"] = ["a", "b"]
    with pytest.raises(
        GraphError, match=r"no vertex has a `stage`; build the graph with graphtask.as_architecture"
    ):
        gt.check_graph(graph)
    with pytest.raises(GraphError, match="stages=3"):
        gt.as_architecture(graph)
    assert gt.as_architecture(graph, stages=2).vs["stage"] == [0, 1]


def test_weights_at_the_ends_of_their_range_are_fine():
    gt.check_graph(weighted([0.0, 1.0, 1]))
    gt.check_graph(weighted([-3.5, 0.0, 2], attribute="w"))


@given(architectures())
def test_check_accepts_exactly_what_networkx_finds_right(graph):
    plain = as_networkx(graph)
    source = [node for node in plain if plain.in_degree(node) == 0]
    sink = [node for node in plain if plain.out_degree(node) == 0]
    assert len(source) == len(sink) == 1
    assert nx.descendants(plain, source[0]) | {source[0]} == set(plain)
    assert nx.ancestors(plain, sink[0]) | {sink[0]} == set(plain)
    gt.check_graph(graph)
    assert (g.input_node(graph), g.output_node(graph)) == (source[0], sink[0])


@given(architectures(), st.integers(0, 2**32 - 1))
def test_node_order_is_the_first_topological_order_stage_by_stage(graph, seed):
    graph = shuffled(graph, seed)
    stage = graph.vs["stage"]
    order = g.node_order(graph)
    assert [stage[node] for node in order] == sorted(stage)
    assert order == list(
        nx.lexicographical_topological_sort(as_networkx(graph), key=lambda node: (stage[node], node))
    )
    del graph.vs["stage"]
    assert g.node_order(graph) == list(nx.lexicographical_topological_sort(as_networkx(graph)))


@given(architectures())
def test_node_order_leaves_sorted_vertices_where_they_are(graph):
    assert g.node_order(graph) == list(range(graph.vcount()))


@given(architectures(), st.integers(0, 2**32 - 1))
def test_node_order_does_not_depend_on_the_order_of_the_edges(graph, seed):
    graph = shuffled(graph, seed)
    edges = np.random.default_rng(seed).permutation(np.asarray(graph.get_edgelist()))
    other = igraph.Graph(n=graph.vcount(), edges=edges.tolist(), directed=True)
    other.vs["stage"] = graph.vs["stage"]
    assert g.node_order(other) == g.node_order(graph)


@pytest.mark.parametrize("edges", [[(0, 1), (1, 2), (2, 0)], [(0, 1), (1, 1)]])
def test_node_order_of_a_graph_with_a_cycle_is_an_error(edges):
    with pytest.raises(GraphError, match=r"cycle|self-loops"):
        g.node_order(igraph.Graph(edges, directed=True))


@given(weighted_architectures(), st.integers(0, 2**32 - 1))
def test_architecture_sorts_shuffled_vertices_and_keeps_everything_about_them(graph, seed):
    graph.vs["label"] = [f"label of {name}" for name in graph.vs["name"]]
    mixed = shuffled(graph, seed)
    before = (mixed.vs["name"], mixed.get_edgelist())
    result = gt.as_architecture(mixed)
    gt.check_graph(result)
    assert g.node_order(result) == list(range(graph.vcount()))
    assert g.edge_names(result) == g.edge_names(mixed)
    assert result.es["weight"] == mixed.es["weight"]
    assert dict(zip(result.vs["name"], result.vs["stage"], strict=True)) == dict(
        zip(graph.vs["name"], graph.vs["stage"], strict=True)
    )
    assert result.vs["label"] == [f"label of {name}" for name in result.vs["name"]]
    assert gt.provenance(result) == gt.provenance(graph)
    assert (mixed.vs["name"], mixed.get_edgelist()) == before


def test_architecture_keeps_the_vertices_apart_when_sorting_is_not_its_own_inverse():
    graph = directed([(3, 0), (0, 1), (1, 2)], name=["b", "c", "d", "a"])
    result = gt.as_architecture(graph)
    assert result.vs["name"] == ["a", "b", "c", "d"]
    assert result.get_edgelist() == [(0, 1), (1, 2), (2, 3)]


def test_architecture_cuts_the_topological_order_into_stages():
    graph = igraph.Graph([(4, 3), (3, 2), (2, 1), (1, 0)], directed=True)
    assert gt.as_architecture(graph, stages=2).vs["stage"] == [0, 0, 0, 1, 1]
    result = gt.as_architecture(graph, stages=[1, 1, 3])
    assert (result.vs["name"], result.vs["stage"]) == (["v4", "v3", "v2", "v1", "v0"], [0, 1, 2, 2, 2])


def test_architecture_keeps_stages_that_are_there():
    graph = directed([(0, 1), (1, 2)], stage=[0, 0, 5])
    assert gt.as_architecture(graph, stages=3).vs["stage"] == [0, 0, 5]


def test_architecture_takes_numpy_numbers_as_the_numbers_they_are():
    graph = directed([(0, 1), (1, 2)], stage=np.array([0, 1, 1]))
    graph.es["weight"] = np.array([0.25, 1.0], dtype=np.float32)
    result = gt.as_architecture(graph)
    assert [type(stage) for stage in result.vs["stage"]] == [int] * 3
    assert [type(weight) for weight in result.es["weight"]] == [float] * 2


def test_several_ends_are_joined_on_request_only():
    graph = igraph.Graph([(0, 2), (1, 2), (2, 3), (2, 4)], directed=True)
    graph.vs["name"] = ["input", "b", "c", "d", "e"]
    with pytest.raises(GraphError, match="2 inputs"):
        gt.as_architecture(graph, stages=1)
    joined = gt.as_architecture(graph, stages=[2, 5], join=True)
    assert joined.vs["name"] == ["input_", "input", "b", "c", "d", "e", "output"]
    assert joined.vs["stage"] == [0, 0, 1, 1, 1, 1, 1]
    assert set(g.edge_names(joined)) - set(g.edge_names(graph)) == {
        ("input_", "input"),
        ("input_", "b"),
        ("d", "output"),
        ("e", "output"),
    }
    assert graph.vcount() == 5


def test_joined_ends_take_the_outermost_stages_of_what_they_join():
    graph = directed([(0, 2), (1, 2), (2, 3), (2, 4)], stage=[2, 1, 2, 3, 5])
    joined = gt.as_architecture(graph, join=True)
    assert joined.vs.find(name="input")["stage"] == 1
    assert joined.vs.find(name="output")["stage"] == 5


def test_join_leaves_a_graph_with_one_input_and_one_output_alone():
    graph = gt.full_dag(4)
    assert gt.as_architecture(graph, join=True).vs["name"] == graph.vs["name"]


def test_an_isolated_vertex_is_joined_to_both_ends():
    joined = gt.as_architecture(igraph.Graph(n=3, edges=[(0, 1)], directed=True), stages=1, join=True)
    assert ("input", "v2") in g.edge_names(joined)
    assert ("v2", "output") in g.edge_names(joined)


def test_joining_a_weighted_graph_says_what_to_do_about_the_new_edges():
    graph = directed([(0, 2), (1, 2)])
    graph.es["weight"] = [0.5, 0.5]
    with pytest.raises(GraphError, match=r"weight` of edge 'input' → .* got None.*remove it from all edges"):
        gt.as_architecture(graph, join=True)


@given(st.integers(1, 300), st.data())
def test_stage_sizes_are_equal_parts_in_falling_order(n_nodes, data):
    stages = data.draw(st.integers(1, min(n_nodes, 31)))
    sizes = g.stage_sizes(n_nodes, stages)
    assert (len(sizes), sum(sizes)) == (stages, n_nodes)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def test_stage_sizes_may_be_given():
    assert g.stage_sizes(6, (1, 2, 3)) == [1, 2, 3]
    assert g.stage_sizes(6, np.array([1, 2, 3])) == [1, 2, 3]
    assert g.stage_sizes(6, np.int64(3)) == [2, 2, 2]


@pytest.mark.parametrize(
    "stages", [0, -1, 7, [], [6, 0], [7, -1], [1, 2], [3, 4], [2.5, 3.5], 2.0, "33", "3", None]
)
def test_stages_that_do_not_fit_are_an_argument_error(stages):
    with pytest.raises(ArgumentError, match=r"stages|stage sizes"):
        g.stage_sizes(6, stages)


@given(architectures(), st.data())
def test_live_nodes_are_those_on_a_path_from_an_input_to_an_output(graph, data):
    graph.delete_edges([edge for edge in range(graph.ecount()) if data.draw(st.booleans())])
    some_nodes = st.lists(st.integers(0, graph.vcount() - 1), max_size=3)
    inputs, outputs = data.draw(some_nodes), data.draw(some_nodes)
    plain = as_networkx(graph)
    expected = {
        node
        for node in plain
        if any(nx.has_path(plain, start, node) for start in inputs)
        and any(nx.has_path(plain, node, end) for end in outputs)
    }
    assert set(np.flatnonzero(g.live_nodes(graph, inputs, outputs)).tolist()) == expected


@given(architectures())
def test_sizes_by_stage_agree_with_counting(graph):
    size = g.size_by_stage(graph)
    stage = graph.vs["stage"]
    assert (size["nodes"], size["edges"]) == (graph.vcount(), graph.ecount())
    for k, (nodes, edges) in enumerate(zip(size["nodes_per_stage"], size["edges_per_stage"], strict=True)):
        assert nodes == stage.count(k)
        assert edges == sum(stage[i] == stage[j] == k for i, j in graph.get_edgelist())
    assert sum(size["nodes_per_stage"]) == graph.vcount()


def test_edges_as_array_and_as_names_keep_the_order_of_the_edges():
    graph = directed([(1, 2), (0, 1)], name=["a", "b", "c"])
    assert g.edge_array(graph).tolist() == [[1, 2], [0, 1]]
    assert g.edge_names(graph) == [("b", "c"), ("a", "b")]
    assert g.edge_array(igraph.Graph(n=2, directed=True)).shape == (0, 2)


def test_provenance_is_a_copy_and_adding_to_it_leaves_the_graph_alone():
    graph = g.with_provenance(gt.chain_dag(3), data={"name": "cdigits"})
    gt.provenance(graph)["data"]["name"] = "changed"
    assert gt.provenance(graph)["data"] == {"name": "cdigits"}
    other = g.with_provenance(graph, data="other", seed=1)
    assert gt.provenance(other)["data"] == "other"
    assert gt.provenance(graph)["data"] == {"name": "cdigits"}
    assert "seed" not in gt.provenance(graph)


@pytest.mark.parametrize("known", [None, "text", 3])
def test_provenance_that_is_no_mapping_counts_as_unknown(known):
    graph = gt.chain_dag(3)
    graph["provenance"] = known
    assert gt.provenance(graph) == {}


def test_the_initial_size_is_recorded_once():
    graph = gt.full_dag(6)
    smaller = gt.full_dag(6)
    smaller.delete_edges([0])
    assert gt.provenance(g.with_initial_size(smaller))["initial"]["edges"] == 15
    del smaller["provenance"]
    assert gt.provenance(g.with_initial_size(smaller))["initial"]["edges"] == 14
    assert gt.provenance(graph)["initial"] == g.size_by_stage(graph)


@pytest.mark.parametrize("stage", [31, 1_000_000, 10**30])
def test_stages_beyond_any_image_are_a_mistake(stage):
    graph = directed([(0, 1)], stage=[0, stage])
    with pytest.raises(GraphError, match=rf"`stage` of vertex 'v1' must be an int in \[0, 30\], got {stage}"):
        g.check_graph(graph)
    with pytest.raises(ArgumentError, match=r"stages must be an integer in \[1, 31\], got 40"):
        g.stage_sizes(40, 40)
    with pytest.raises(ArgumentError, match="stages must be at most 31 sizes"):
        g.stage_sizes(40, [1] * 40)
