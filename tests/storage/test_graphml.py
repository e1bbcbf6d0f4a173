import math
from pathlib import Path

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import architectures, assert_same_graph, attributed_architectures, bits, shuffled
from hypothesis import given

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.storage.graphml import dumps

FIXTURES = Path(__file__).parents[2] / "fixtures"
DIAMOND = [("input", "left"), ("input", "right"), ("left", "output"), ("right", "output")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "graph.graphml"


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    """One path for all examples of a Hypothesis test."""
    return tmp_path_factory.mktemp("graphs") / "graph.graphml"


def read_text(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def small(path, *, keys="", graph='edgedefault="directed"', body="", edge='<edge source="a" target="b"/>'):
    """A file with two nodes, into which a test puts what it is about."""
    nodes = body or '<node id="a"/><node id="b"/>'
    return read_text(path, f"<graphml>{keys}<graph {graph}>{nodes}{edge}</graph></graphml>")


# Our own files


@given(attributed_architectures())
def test_a_graph_comes_back_with_every_bit_and_the_same_bytes(shared_path, graph):
    gt.write(graph, shared_path)
    again = gt.read(shared_path)

    assert_same_graph(again, graph)
    assert dumps(again) == shared_path.read_bytes() == dumps(graph.copy())


@given(architectures())
def test_vertices_in_any_order_come_back_sorted_with_their_edges_in_order(shared_path, graph):
    mixed = shuffled(graph, 3)
    gt.write(mixed, shared_path)
    again = gt.read(shared_path)

    assert_same_graph(again, gt.as_architecture(mixed))
    assert edge_names(again) == edge_names(mixed)


def test_numpy_scalars_come_back_as_python_numbers(path):
    graph = gt.full_dag(3, stages=1)
    graph.vs["x"] = [np.float32(0.1), np.float64(2), None]
    graph.vs["n"] = [np.int64(1), np.uint8(2), 3]
    gt.write(graph, path)

    assert bits(gt.read(path).vs["x"]) == bits([float(np.float32(0.1)), 2.0, None])
    assert bits(gt.read(path).vs["n"]) == bits([1, 2, 3])


@pytest.mark.parametrize(
    "value",
    [{1}, b"x", np.zeros(3), object(), lambda: 0, 1j, 1 << 20_000],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("scope", ["graph", "node", "edge"])
def test_a_value_that_cannot_be_stored_is_named_and_no_file_is_left(path, value, scope):
    graph = gt.full_dag(3, stages=1)
    if scope == "graph":
        graph["odd one"] = value
    else:
        items = graph.vs if scope == "node" else graph.es
        items["odd one"] = [1.5, value, None]

    with pytest.raises(gt.errors.GraphError, match=f"{scope} attribute 'odd one'") as caught:
        gt.write(graph, path)

    assert "\n" not in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("name", ["a\0b", "\ufffe"])
def test_an_attribute_name_that_xml_forbids_is_refused(path, name):
    graph = gt.full_dag(3, stages=1)
    graph[name] = 1

    with pytest.raises(gt.errors.GraphError, match="XML forbids its name"):
        gt.write(graph, path)


def test_what_is_no_architecture_graph_is_not_written(path):
    with pytest.raises(gt.errors.GraphError, match="no vertex has a `name`"):
        gt.write(igraph.Graph(directed=True, edges=[(0, 1)]), path)
    with pytest.raises(gt.errors.GraphError, match=r"graph must be a graph .*, got 'graph'"):
        gt.write("graph", path)


def test_igraph_and_networkx_read_what_we_write(path):
    graph = gt.banded_dag(12, bandwidth=4, stages=3)
    graph.es["weight"] = [index / 100 for index in range(graph.ecount())]
    graph.vs["label"] = ["<ü>"] * 12
    gt.write(graph, path)

    by_igraph = igraph.Graph.Read_GraphML(str(path))
    by_networkx = nx.read_graphml(path)

    assert by_igraph.get_edgelist() == graph.get_edgelist()
    assert by_igraph.vs["name"] == graph.vs["name"]
    assert by_igraph.vs["label"] == graph.vs["label"]
    assert by_igraph.es["weight"] == graph.es["weight"]
    assert list(nx.get_node_attributes(by_networkx, "stage").values()) == graph.vs["stage"]
    assert list(nx.get_edge_attributes(by_networkx, "weight").values()) == graph.es["weight"]


@pytest.mark.parametrize("file", sorted((FIXTURES / "graphs").glob("*.graphml")), ids=lambda file: file.stem)
def test_every_example_file_reads_without_options(file):
    gt.check_graph(gt.read(file))


# Files of other programs


@given(architectures())
def test_igraph_s_own_files_read_back_with_whole_stages(shared_path, graph):
    graph.es["weight"] = [0.25] * graph.ecount()
    graph.vs["flag"] = [True] * graph.vcount()
    graph.write_graphml(str(shared_path))
    again = gt.read(shared_path)

    assert again.vs["name"] == graph.vs["name"]
    assert bits(again.vs["stage"]) == bits(graph.vs["stage"])
    assert again.get_edgelist() == graph.get_edgelist()
    assert again.es["weight"] == graph.es["weight"]
    assert again.vs["flag"] == graph.vs["flag"]


@given(architectures())
def test_networkx_s_own_files_read_back(shared_path, graph):
    original = nx.DiGraph(gt.to_networkx(graph).edges, title="<t>", n=2**70)
    for name, stage in zip(graph.vs["name"], graph.vs["stage"], strict=True):
        original.add_node(name, stage=stage, mixed=stage or 0.5, flag=stage > 0)
    nx.write_graphml(original, shared_path)
    again = gt.read(shared_path)

    assert set(edge_names(again)) == set(original.edges)
    assert dict(zip(again.vs["name"], again.vs["stage"], strict=True)) == dict(original.nodes(data="stage"))
    assert bits(dict(zip(again.vs["name"], again.vs["mixed"], strict=True))) == bits(
        {name: original.nodes[name]["mixed"] for name in again.vs["name"]}
    )
    assert (again["title"], again["n"]) == ("<t>", 2**70)


def test_a_trained_graph_that_passed_through_igraph_is_still_one(path):
    graph = gt.read(FIXTURES / "graphs" / "trained_12.graphml")
    igraph.Graph.Read_GraphML(str(FIXTURES / "graphs" / "trained_12.graphml")).write_graphml(str(path))
    again = gt.read(path)

    assert again.vs["name"] == graph.vs["name"]
    assert bits(again.vs["stage"]) == bits(graph.vs["stage"])
    assert gt.provenance(again) == gt.provenance(graph)
    assert np.abs(np.array(again.es["weight"]) - graph.es["weight"]).max() < 1e-14


@pytest.mark.parametrize("program", ["igraph", "networkx", "gephi", "yed"])
def test_the_diamond_is_the_same_from_every_program(program):
    graph = gt.read(FIXTURES / "graphs" / f"{program}_diamond.graphml")
    name = "label" if program == "yed" else "name"
    wanted = (
        ["input & stem", "left", "right", None] if program == "yed" else ["input", "left", "right", "output"]
    )

    assert graph.vs[name] == wanted
    assert graph.get_edgelist() == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert bits(graph.vs["stage"]) == bits([0, 0, 1, 1])


def test_gephi_s_columns_keep_their_types_and_defaults():
    graph = gt.read(FIXTURES / "graphs" / "gephi_diamond.graphml")

    assert graph.vs["label"] == ["Input", "Left", "Right", "Output"]
    assert bits(graph.vs["r"]) == bits([153, 0, 0, 153])
    assert bits(graph.vs["y"]) == bits([6.5e-4, 80.0, -80.0, 0.0])
    assert graph.es["Edge Label"] == [None, "long way", None, None]
    assert graph.es["weight"] == [1.0, 0.5, 1.0, 1.0]


def test_yed_s_labels_are_read_and_its_drawing_and_ports_are_not():
    graph = gt.read(FIXTURES / "graphs" / "yed_diamond.graphml")

    assert graph.vs["name"] == ["n0", "n1", "n2", "n3"]
    assert graph.es["label"] == ["wide", None, None, None]
    assert sorted(graph.vs.attributes()) == ["description", "label", "name", "stage"]


@pytest.mark.parametrize("name", ["gephi_no_stages", "yed_no_stages", "igraph_weights"])
def test_a_file_without_stages_says_what_to_do_and_takes_a_number_of_stages(name):
    file = FIXTURES / "foreign" / f"{name}.graphml"

    with pytest.raises(gt.errors.GraphError, match=rf"{name}\.graphml: no vertex has a `stage`.*--stages 3"):
        gt.read(file)
    assert gt.read(file, stages=2).vs["stage"] == [0, 0, 1, 1]
    assert gt.read(file, stages=[1, 2, 1]).vs["stage"] == [0, 1, 1, 2]
    with pytest.raises(
        gt.errors.ArgumentError, match=rf"{name}\.graphml: stages must be an integer in \[1, 4\], got 9"
    ):
        gt.read(file, stages=9)


def test_several_inputs_and_outputs_are_joined_when_asked():
    file = FIXTURES / "foreign" / "networkx_two_inputs.graphml"

    with pytest.raises(gt.errors.GraphError, match=r"2 inputs.*join=True"):
        gt.read(file, stages=2)
    graph = gt.read(file, stages=2, join=True)
    assert graph.vs["name"] == ["input", "0", "1", "2", "3", "4", "output"]
    assert bits(graph.vs["bias"]) == bits([None, None, None, 0.5, 1, None, None])


@pytest.mark.parametrize(
    ("weights", "kept"),
    [
        ([0.0, 1.0, 0.5, 1.0], "weight"),
        ([0.0, 1.5, 0.5, 1.0], "file_weight"),
        ([None, 0.5, 0.5, 1.0], "file_weight"),
    ],
)
def test_weights_of_a_foreign_file_stay_weights_only_if_they_can_be_ours(path, weights, kept):
    graph = nx.DiGraph(DIAMOND)
    for edge, weight in zip(DIAMOND, weights, strict=True):
        if weight is not None:
            graph.edges[edge]["weight"] = weight
    nx.write_graphml(graph, path)

    assert gt.read(path, stages=2).es.attributes() == [kept]
    assert gt.read(path, stages=2).es[kept] == weights


def test_weights_of_a_foreign_file_give_way_to_joining(path):
    graph = nx.DiGraph([(0, 2, {"weight": 0.5}), (1, 2, {"weight": 0.5})])
    nx.write_graphml(graph, path)

    assert gt.read(path, stages=2, join=True).es["file_weight"] == [0.5, 0.5, None, None]


def test_a_weight_out_of_range_in_our_own_file_is_an_error(path):
    graph = gt.full_dag(3, stages=1)
    graph.es["weight"] = [0.5, 0.25, 1.0]
    path.write_bytes(dumps(graph).replace(b"0.25", b"1.25"))

    with pytest.raises(
        gt.errors.GraphError, match=r"graph\.graphml: the `weight` of edge 'v0' → 'v2' must be .* got 1\.25"
    ):
        gt.read(path)


def test_names_that_a_program_stored_as_numbers_are_strings_again(path):
    graph = igraph.Graph(directed=True, edges=[(0, 1)])
    graph.vs["name"] = [7, 2.5]
    graph.write_graphml(str(path))

    assert gt.read(path, stages=1).vs["name"] == ["7", "2.5"]


def test_edges_may_stand_before_their_nodes(path):
    file = small(path, body=" ", edge='<edge source="a" target="b"/><node id="b"/><node id="a"/>')

    assert edge_names(gt.read(file, stages=1)) == [("a", "b")]


def test_prefixed_elements_and_other_name_spaces_are_understood(path):
    text = (
        '<g:graphml xmlns:g="http://graphml.graphdrawing.org/xmlns" xmlns:o="urn:other"><o:note>text</o:note>'
        '<g:graph edgedefault="directed"><g:node id="a"><o:node id="z"/></g:node><g:node id="b"/><o:edge/>'
        '<g:edge source="a" target="b"/></g:graph></g:graphml>'
    )

    assert gt.read(read_text(path, text), stages=1).vs["name"] == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_declared_encodings_are_honoured(path, encoding):
    name = encoding.removesuffix("-sig")
    text = (
        f'<?xml version="1.0" encoding="{name}"?><graphml><graph edgedefault="directed"><node id="ä"/><node id="ß"/>'
        f'<edge source="ä" target="ß"/></graph></graphml>'
    )
    path.write_bytes(text.encode(encoding))

    assert gt.read(path, stages=1).vs["name"] == ["ä", "ß"]


def test_an_edge_says_its_own_direction(path):
    directed = small(
        path, graph='edgedefault="undirected"', edge='<edge source="a" target="b" directed="true"/>'
    )
    assert gt.read(directed, stages=1).ecount() == 1

    undirected = small(path, edge='<edge source="a" target="b" directed="false"/>')
    with pytest.raises(gt.errors.GraphError, match=r"undirected.*order='ids'"):
        gt.read(undirected, stages=1)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", " 12 ", 12),
        ("long", str(2**80), 2**80),
        ("float", "1e3", 1000.0),
        ("double", "-INF", -math.inf),
        ("double", "-0.0", -0.0),
        ("boolean", "True", True),
        ("boolean", "0", False),
        ("string", "", ""),
        ("string", " a\n b ", " a\n b "),
        ("liststring", "[a, b]", "[a, b]"),
    ],
)
def test_values_have_the_type_that_their_key_declares(path, kind, text, value):
    keys = f'<key id="d0" for="node" attr.name="x" attr.type="{kind}"/>'
    file = small(path, keys=keys, body=f'<node id="a"><data key="d0">{text}</data></node><node id="b"/>')

    assert bits(gt.read(file, stages=1).vs["x"]) == bits([value, None])


# Files that are wrong

_KEY = '<key id="d0" for="node" attr.name="x" attr.type="int"/>'


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"graph": ""}, "line 1: the graph must have edgedefault"),
        ({"graph": 'edgedefault="both"'}, "the graph must have edgedefault"),
        ({"body": "<node/>"}, "a node has no id"),
        ({"body": '<node id="a"/>\n<node id="a"/>'}, "line 2: two nodes have the id 'a'"),
        ({"edge": '<edge source="a"/>'}, "an edge has no target"),
        ({"edge": '<edge target="a"/>'}, "an edge has no source"),
        ({"edge": '\n\n<edge source="a" target="c"/>'}, "line 3: an edge names the node 'c'"),
        (
            {"edge": '<edge source="a" target="b" directed="yes"/>'},
            "the direction of an edge must be true or false, got 'yes'",
        ),
        ({"edge": "<hyperedge/>"}, "<hyperedge> is not read inside of <graph>"),
        ({"edge": '=edge source="a" target="b"/&gt;'}, "is in a place without text"),
        ({"edge": "<edgy/>"}, "<edgy> is not read inside of <graph>"),
        ({"keys": '<key for="node"/>'}, "a key has no id"),
        ({"keys": _KEY + _KEY}, "the id of another"),
        ({"keys": '<key id="d0" for="nodes"/>'}, "a key is for 'nodes'"),
        ({"keys": '<key id="d0" attr.type="complex"/>'}, "the type 'complex' of attribute 'd0' is unknown"),
        ({"body": '<node id="a"><data key="d9"/></node>'}, "the key 'd9', which is not declared"),
        ({"body": '<node id="a"><data/></node>'}, "the key None, which is not declared"),
        ({"keys": _KEY, "body": '<node id="a"><data key="d0"/></node>'}, "attribute 'x' must be int, got ''"),
        ({"keys": _KEY, "body": '<node id="a"><data key="d0">1_0</data></node>'}, "must be int, got '1_0'"),
        ({"keys": _KEY, "body": '<node id="a"><data key="d0">٣</data></node>'}, "must be int"),
        ({"keys": _KEY, "body": '<node id="a"><data key="d0">1.0</data></node>'}, "must be int, got '1.0'"),
        (
            {"keys": _KEY, "body": '<node id="a"><data key="d0">1</data><data key="d0">2</data></node>'},
            "a node has two values of attribute 'x'",
        ),
        (
            {"keys": _KEY, "edge": '<edge source="a" target="b"><data key="d0">1</data></edge>'},
            "but is not declared for edges",
        ),
        (
            {"keys": _KEY.replace("node", "port"), "body": '<node id="a"><data key="d0">1</data></node>'},
            "but is not declared for nodes",
        ),
        ({"keys": _KEY, "body": '<node id="a"><data key="d0">1<b/></data></node>'}, "which must be text"),
        (
            {
                "keys": _KEY + '<key id="d1" for="node" attr.name="x" attr.type="double"/>',
                "body": '<node id="a"><data key="d0">1</data><data key="d1">2</data></node><node id="b"/>',
            },
            "attribute 'x' is declared twice",
        ),
        ({"edge": '</graph><graph edgedefault="directed">'}, "holds two graphs"),
        (
            {"edge": '<edge source="a" target="b"/></graph>' + _KEY + "<graph>"},
            "a key is after the graph",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place_and_the_reason(path, parts, words):
    with pytest.raises(gt.GraphtaskError) as caught:
        gt.read(small(path, **parts), stages=1)

    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('gt:version="1"', 'gt:version="2"', "update graphtask"),
        ('gt:version="1"', "", "files of graphtask declare their version"),
        ("urn:graphtask:graphml", "urn:graphtask:grbphml", "files of graphtask declare their version"),
        ('gt:type="int"', 'gt:type="intt"', "or an unknown type"),
        ('gt:type="int"', "", "or an unknown type"),
        ('for="node"', 'for="graphml"', "is not for graph, node, or edge"),
        ('<node id="n3">', '<desc/><node id="n3">', "<desc> is not read inside of <graph>"),
    ],
)
def test_a_damaged_mark_of_ours_is_noticed_not_taken_for_another_program(path, old, new, words):
    text = dumps(gt.full_dag(4, stages=2)).decode()
    assert old in text

    with pytest.raises(gt.errors.FormatError, match=words):
        gt.read(read_text(path, text.replace(old, new, 1)))


@pytest.mark.parametrize("file", sorted((FIXTURES / "broken").glob("*.graphml")), ids=lambda file: file.stem)
def test_every_broken_example_is_refused_in_one_line_that_names_the_file(file):
    with pytest.raises(gt.GraphtaskError) as caught:
        gt.read(file, stages=1)

    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_places_that_hold_no_file_are_refused(tmp_path):
    (tmp_path / "not\nprintable.graphml").write_text("")
    for place, words in (
        (tmp_path, "a regular file is required"),
        (tmp_path / "missing", "No such file"),
        ("/dev/zero", "a regular file is required"),
        ("a\0b", "null"),
        (tmp_path / "not\nprintable.graphml", "is not whole"),
    ):
        with pytest.raises(gt.errors.FormatError, match=words) as caught:
            gt.read(place)
        assert "\n" not in str(caught.value)
    with pytest.raises(gt.errors.ArgumentError, match="path must be the name of a graph file, got None"):
        gt.read(None)
