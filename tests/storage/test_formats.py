"""Graphs of other programs, in every format: what they wrote is what is read."""

import io
import json
import re
import time
import tracemalloc
import zipfile

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from helpers import random_graphs
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.storage.formats import PARSERS

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]
WEIGHTS = [0.25, 0.5, 1.0, 1e-9]


def diamond(*, weighted):
    graph = nx.DiGraph()
    for (source, target), weight in zip(DIAMOND, WEIGHTS, strict=True):
        graph.add_edge(source, target, **({"weight": weight} if weighted else {}))
    return graph


def matrix(graph):
    return nx.to_numpy_array(graph, weight="weight")


def write_node_link(graph, path, key):
    path.write_text(json.dumps(nx.node_link_data(graph, edges=key)))


def write_csv(graph, path, separator=",", header="source,target,weight"):
    titles = header.split(",")[: 3 if graph.edges["a", "b"] else 2]
    lines = [[source, target, *map(repr, data.values())] for source, target, data in graph.edges(data=True)]
    path.write_text("\n".join(separator.join(line) for line in [titles, *lines]))


NAMED_WRITERS = {
    "networkx.gml": nx.write_gml,
    "links.json": lambda graph, path: write_node_link(graph, path, "links"),
    "edges.json": lambda graph, path: write_node_link(graph, path, "edges"),
    "networkx.edges": nx.write_edgelist,
    "networkx.edgelist": lambda graph, path: (
        nx.write_edgelist(graph, path, data=False)
        if not graph.edges["a", "b"]
        else nx.write_weighted_edgelist(graph, path)
    ),
    "tabs.txt": lambda graph, path: (
        nx.write_weighted_edgelist(graph, path, delimiter="\t")
        if graph.edges["a", "b"]
        else nx.write_edgelist(graph, path, delimiter="\t", data=False)
    ),
    "header.csv": write_csv,
    "header.tsv": lambda graph, path: write_csv(graph, path, "\t"),
    "semicolons.csv": lambda graph, path: write_csv(graph, path, ";", "Source,Target,Weight"),
    "pandas_edges.csv": lambda graph, path: nx.to_pandas_edgelist(graph).to_csv(path, index=False),
    "pandas_matrix.csv": lambda graph, path: nx.to_pandas_adjacency(graph).to_csv(path),
    "pandas_matrix_without_index.csv": lambda graph, path: nx.to_pandas_adjacency(graph).to_csv(
        path, index=False
    ),
    "networkx.graphml": nx.write_graphml,
}
UNNAMED_WRITERS = {
    "csr.npz": lambda graph, path: scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(matrix(graph))),
    "csc.npz": lambda graph, path: scipy.sparse.save_npz(path, scipy.sparse.csc_array(matrix(graph))),
    "coo.npz": lambda graph, path: scipy.sparse.save_npz(
        path, scipy.sparse.coo_array(matrix(graph)), compressed=False
    ),
    "adjacency.npz": lambda graph, path: np.savez(path, adjacency=matrix(graph), other=np.arange(3)),
    "first.npz": lambda graph, path: np.savez_compressed(path, np.asfortranarray(matrix(graph))),
    "only.npz": lambda graph, path: np.savez(path, whatever=matrix(graph).astype(np.float64)),
    "matrix.csv": lambda graph, path: np.savetxt(path, matrix(graph), delimiter=","),
    "matrix.txt": lambda graph, path: np.savetxt(path, matrix(graph)),
    "matrix.tsv": lambda graph, path: np.savetxt(path, matrix(graph), delimiter="\t", header="made by numpy"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NAMED_WRITERS)
def test_a_graph_that_another_program_wrote_comes_back_with_names_and_weights(tmp_path, name, weighted):
    graph = diamond(weighted=weighted)
    NAMED_WRITERS[name](graph, tmp_path / name)

    read = gt.read(tmp_path / name, stages=2)
    assert dict(zip(edge_names(read), read.es["weight"] if weighted else WEIGHTS, strict=True)) == dict(
        zip(DIAMOND, WEIGHTS, strict=True)
    )
    assert read.es.attributes() == (["weight"] if weighted else [])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", UNNAMED_WRITERS)
def test_an_adjacency_matrix_comes_back_with_its_entries(tmp_path, name, weighted):
    graph = diamond(weighted=weighted)
    UNNAMED_WRITERS[name](graph, tmp_path / name)

    read = gt.read(tmp_path / name, stages=2)
    assert read.vs["name"] == ["v0", "v1", "v2", "v3"]
    assert read.get_edgelist() == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert (read.es["weight"] if weighted else WEIGHTS) == WEIGHTS
    assert read.es.attributes() == (["weight"] if weighted else [])


def test_random_graphs_come_back_from_every_format(tmp_path):
    """The edges of 40 random DAGs, whose names are numbers, after a detour through every format."""
    for number, graph in enumerate(random_graphs(40, seed=3)):
        nodes = nx.DiGraph(graph.get_edgelist())
        for name, write in [*NAMED_WRITERS.items(), *UNNAMED_WRITERS.items()]:
            if name in {"header.csv", "header.tsv", "semicolons.csv", "networkx.edgelist", "tabs.txt"}:
                continue  # these builders want names that are strings
            if "matrix_without_index" in name and number % 2:
                continue
            copy = nx.DiGraph()
            copy.add_nodes_from(range(graph.vcount()))  # matrices have the order of the ids
            copy.add_edges_from(nodes.edges)
            if "pandas_matrix" in name:
                copy = nx.relabel_nodes(copy, lambda node: f"n{node}")
            write(copy, tmp_path / name)
            edges = {
                tuple(int(end.lstrip("nv")) for end in edge)
                for edge in edge_names(gt.read(tmp_path / name, stages=1))
            }
            assert edges == set(nodes.edges), name


@pytest.mark.parametrize("program", [nx, igraph])
def test_gml_keeps_attributes_of_vertices_edges_and_the_graph(tmp_path, program):
    path = tmp_path / "graph.gml"
    if program is nx:
        graph = nx.DiGraph(
            DIAMOND, title='ä "quoted" & <b>', sizes=[1, 2], single=[3], nested={"deep": {"x": 1.5}}
        )
        for index, node in enumerate(graph):
            graph.nodes[node].update(stage=index // 2, bias=0.1 * index)
        nx.write_gml(graph, path)
        read = gt.read(path)
        assert read["title"] == 'ä "quoted" & <b>'
        assert (read["sizes"], read["single"], read["nested"]) == ([1, 2], [3], {"deep": {"x": 1.5}})
    else:
        graph = igraph.Graph(directed=True, edges=[(0, 1), (0, 2), (1, 3), (2, 3)])
        graph.vs["name"] = list("abcd")
        graph.vs["stage"] = [0, 0, 1, 1]
        graph.vs["bias"] = [0.1 * index for index in range(4)]
        graph.write_gml(str(path))
        read = gt.read(path)
    assert edge_names(read) == DIAMOND
    assert read.vs["stage"] == [0, 0, 1, 1]
    assert read.vs["bias"] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_gml_of_yed_and_gephi_is_read_without_its_drawing(tmp_path):
    path = tmp_path / "yed.gml"
    path.write_text(
        'Creator "yFiles"\nVersion 2.19\ngraph\n[\n  hierarchic 1\n  label ""\n  directed 1\n'
        '  node [ id 0 label "in" graphics [ x 70.0 y -1E3 w 30.0 type "rectangle" ] LabelGraphics [ text "in" ] ]\n'
        '  # a comment\n  node [ id 7 label "out" graphics [ x 0.0 Line [ point [ x 1 ] point [ x 2 ] ] ] ]\n'
        '  edge [ source 0 target 7 value .5 graphics [ fill "#000000" ] ]\n]\n'
    )
    graph = gt.read(path, stages=2)
    assert graph.vs["name"] == ["in", "out"]
    assert graph.vs.attributes() == ["name", "stage"]
    assert graph.es["value"] == [0.5]


@pytest.mark.parametrize(
    ("labels", "names"), [("ab", ["a", "b"]), ("aa", ["3", "5"]), ("a", ["3", "5"]), ("", ["3", "5"])]
)
def test_gml_names_are_labels_only_if_every_vertex_has_its_own(tmp_path, labels, names):
    path = tmp_path / "graph.gml"
    labelled = [f'label "{label}"' for label in labels] + [""] * 2
    nodes = f"node [ id 3 {labelled[0]} ] node [ id 5 {labelled[1]} ]"
    path.write_text(f"graph [ directed 1 {nodes} edge [ source 3 target 5 ] ]")
    assert gt.read(path, stages=1).vs["name"] == names


def test_json_keeps_attributes_and_provenance(tmp_path):
    graph = gt.full_dag(5, stages=2)
    graph.es["weight"] = [index / 10 for index in range(10)]
    path = tmp_path / "graph.json"
    write_node_link(gt.to_networkx(graph), path, "links")
    read = gt.read(path)
    assert (read.vs["name"], read.vs["stage"]) == (graph.vs["name"], graph.vs["stage"])
    assert read.es["weight"] == graph.es["weight"]
    assert gt.provenance(read) == gt.provenance(graph)


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ([{"id": 1}, {"id": 0}], ["1", "0"]),
        ([{"id": 1.5}, {"id": 0}], ["1.5", "0"]),
        ([{"id": "1", "name": "x"}, {"id": 0, "name": "y"}], ["x", "y"]),
        ([{"id": [1, 2]}, {"id": 0}], ["[1, 2]", "0"]),
    ],
)
def test_json_ids_of_any_type_become_names(tmp_path, nodes, names):
    path = tmp_path / "graph.json"
    path.write_text(json.dumps({"nodes": nodes, "links": [{"source": nodes[0]["id"], "target": 0}]}))
    assert gt.read(path, stages=1).vs["name"] == names


def test_json_of_d3_may_count_its_nodes(tmp_path):
    path = tmp_path / "graph.json"
    path.write_text('{"nodes": [{"name": "a"}, {"name": "b"}], "links": [{"source": 0, "target": 1}]}')
    assert edge_names(gt.read(path, stages=1)) == [("a", "b")]


def test_an_edge_list_of_gephi_keeps_its_columns(tmp_path):
    path = tmp_path / "gephi.csv"
    path.write_text(
        "Source,Target,Type,Id,Label,timeset,Weight\n"
        'a,b,Directed,0,"one, two",,0.5\na,c,Directed,1,,,1.0\nb,d,Directed,2,,,1.0\nc,d,Directed,3,,,1.0\n'
    )
    graph = gt.read(path, stages=2)
    assert edge_names(graph) == DIAMOND
    assert graph.es["weight"] == [0.5, 1.0, 1.0, 1.0]
    assert (graph.es["Id"], graph.es["Label"]) == ([0, 1, 2, 3], ["one, two", None, None, None])
    assert sorted(graph.es.attributes()) == ["Id", "Label", "weight"]
    path.write_text(path.read_text().replace("Directed", "Undirected"))
    with pytest.raises(gt.GraphError, match=r"undirected.*--order ids"):
        gt.read(path, stages=2)
    path.write_text(path.read_text().replace("Undirected", "Directed", 1))
    with pytest.raises(gt.FormatError, match="some edges are undirected, others are not"):
        gt.read(path, stages=2)


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("from to\nx y", [("x", "y")]),
        ("u v\nv w", [("u", "v"), ("v", "w")]),
        ("# FromNodeId\tToNodeId\n0\t1\r\n1\t2\r\n", [("0", "1"), ("1", "2")]),
        ("% asym\n1 2\n\n  // more\n2 3", [("1", "2"), ("2", "3")]),
        ("\ufeff1 2\n2 3 # last", [("1", "2"), ("2", "3")]),
        ("1,2,0.5\n2,3,1\n", [("1", "2"), ("2", "3")]),
        ("a b\tc\na b\td\nc\te\nd\te", [("a b", "c"), ("a b", "d"), ("c", "e"), ("d", "e")]),
        ("2.0 1e3\n1e3 x", [("2.0", "1e3"), ("1e3", "x")]),
        ("0 1 1\n1 2 1\n0 2 1", [("0", "1"), ("1", "2"), ("0", "2")]),
        ("0 1 1\n0 0 1\n0 0 0", [("v0", "v1"), ("v0", "v2"), ("v1", "v2")]),
        ("0 0 0\n1 0 0\n1 1 0", [("v2", "v1"), ("v2", "v0"), ("v1", "v0")]),
        ("0 1\n0 0", [("v0", "v1")]),
        ("0 1\n1 2", [("0", "1"), ("1", "2")]),
        ("a b\n0 1\n0 0", [("a", "b")]),
        ("2 1 2\n1 0 0\n2 0 0", [("2", "1"), ("1", "0"), ("2", "0")]),
    ],
)
def test_text_is_read_as_what_it_says(tmp_path, text, edges):
    path = tmp_path / "graph.txt"
    path.write_text(text, encoding="utf-8")
    assert sorted(edge_names(gt.read(path, stages=1))) == sorted(edges)


@given(st.data())
def test_no_table_is_both_an_edge_list_and_a_matrix_of_a_graph_without_cycles(data):
    """Of three columns and rows, or two: what one reading makes a DAG of has a self-loop in the other."""
    size = data.draw(st.integers(2, 3))
    number = st.integers(0, 3)
    table = np.array(
        data.draw(st.lists(st.lists(number, min_size=size, max_size=size), min_size=size, max_size=size))
    )
    as_matrix = nx.from_numpy_array(table, create_using=nx.DiGraph)
    as_list = nx.DiGraph([(row[0], row[1]) for row in table.tolist()])
    is_matrix, is_list = (
        nx.is_directed_acyclic_graph(graph) and graph.number_of_edges() > 0 for graph in (as_matrix, as_list)
    )
    assert not (is_matrix and is_list)
    text = "\n".join(" ".join(map(str, row)) for row in table.tolist()).encode()
    if is_matrix:
        assert set(PARSERS[".txt"](text).edges) == set(as_matrix.edges)
    if is_list:
        parts = PARSERS[".txt"](text)
        names = parts.vertex_columns["name"]
        assert {(int(names[source]), int(names[target])) for source, target in parts.edges} == set(
            as_list.edges
        )


def test_weights_out_of_range_are_kept_under_another_name(tmp_path):
    (tmp_path / "graph.edges").write_text("a b -3\nb c 1\n")
    assert gt.read(tmp_path / "graph.edges", stages=1).es["file_weight"] == [-3.0, 1.0]


# Options that name a reading


def test_duplicate_edges_are_merged_when_asked(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("source,target,weight,kind\na,b,0.25,thin\nb,c,1,one\na,b,0.5,thick\na,b,0.5,late\n")
    with pytest.raises(gt.GraphError, match=r"multi-edges 'a' → 'b'.*merge=True"):
        gt.read(path, stages=1)
    graph = gt.read(path, stages=1, merge=True)
    assert edge_names(graph) == [("a", "b"), ("b", "c")]
    assert (graph.es["weight"], graph.es["kind"]) == ([0.5, 1.0], ["thick", "one"])


def test_an_undirected_graph_is_oriented_when_asked(tmp_path):
    undirected = nx.Graph([(2, 0), (0, 1), (1, 2), (2, 3)])
    for name in ("graph.graphml", "graph.gml", "links.json"):
        NAMED_WRITERS[name.replace("graph.", "networkx.")](undirected, tmp_path / name)
        with pytest.raises(gt.GraphError, match=r"undirected.*order='ids'.*--order ids"):
            gt.read(tmp_path / name, stages=1)
        graph = gt.read(tmp_path / name, stages=1, order="ids")
        repaired = [("1", "3")]
        assert set(edge_names(graph)) == {("2", "0"), ("2", "1"), ("2", "3"), ("0", "1"), *repaired}


def test_a_graph_with_cycles_is_oriented_when_asked_and_one_without_is_left_alone(tmp_path):
    path = tmp_path / "graph.edges"
    path.write_text("b a\na c\nc b\n")
    with pytest.raises(gt.GraphError, match=r"has a cycle.*order='ids'.*--order ids"):
        gt.read(path, stages=1)
    with pytest.raises(gt.GraphError, match="say how many: stages=3"):
        gt.read(path, order="ids")
    assert set(edge_names(gt.read(path, stages=1, order="ids"))) == {("b", "a"), ("b", "c"), ("a", "c")}
    path.write_text("b a\na c\nb c\n")
    assert edge_names(gt.read(path, stages=1, order="radius")) == [("b", "a"), ("a", "c"), ("b", "c")]
    with pytest.raises(gt.ArgumentError, match="order"):
        gt.read(path, stages=1, order="alphabet")


def test_the_initial_size_of_a_graph_that_somebody_else_wrote_is_unknown_however_it_is_read(tmp_path):
    path = tmp_path / "graph.edges"
    for text, options in (
        ("a b\nb c\n", {}),
        ("a c\nb c\n", {"join": True}),
        ("b a\na c\nc b\n", {"order": "ids"}),
    ):
        path.write_text(text)
        graph = gt.read(path, stages=1, **options)
        assert "initial" not in gt.provenance(graph)
        assert np.isnan(gt.measure(graph, metrics="sparsity")["sparsity"])
    assert gt.provenance(gt.orient(graph.as_undirected()))["initial"]["edges"] == 3


def test_an_initial_size_that_a_file_tells_is_kept_when_it_is_oriented(tmp_path):
    path = tmp_path / "graph.json"
    undirected = nx.Graph([("a", "b"), ("b", "c")], provenance={"initial": {"edges": 8}})
    path.write_text(json.dumps(nx.node_link_data(undirected, edges="links")))
    graph = gt.read(path, stages=1, order="ids")
    assert gt.measure(graph, metrics="sparsity")["sparsity"] == 0.75


def test_graphml_with_edges_of_both_kinds_is_refused(tmp_path):
    path = tmp_path / "mixed.graphml"
    path.write_text(
        '<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/><node id="c"/>'
        '<edge source="a" target="b" directed="false"/><edge source="b" target="c"/></graph></graphml>'
    )
    with pytest.raises(gt.GraphError, match="1 of the 2 edges are undirected"):
        gt.read(path, stages=1, order="ids")


# Files that are wrong


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def csr(**changes):
    parts = {"format": np.array(b"csr"), "shape": [2, 2], "data": [1.0], "indices": [1], "indptr": [0, 1, 1]}
    return npz(**{name: np.asarray(value) for name, value in (parts | changes).items()})


def claimed_shape(shape):
    """An array of 8 bytes that says it is as large as ``shape``."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "arr_0.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)
        )
    return buffer.getvalue()


def zipped_zeros(n_bytes):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("arr_0.npy", "w") as file,
    ):
        for _ in range(n_bytes >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.graph", b"a b", "the suffix '.graph' does not say how to read it; graphs are in .graphml, .gml"),
        ("a", b"a b", "the suffix '' does not say"),
        ("a.txt", b"", "holds no line with an edge"),
        ("a.txt", b"# only\n", "holds no line with an edge"),
        ("a.txt", b"<?xml version='1.0'?>", "is no table of edges: it starts with "),
        ("a.csv", b'{"nodes": []}', "is no table of edges"),
        ("a.edges", b"graph [\n directed 1\n]", "is no table of edges"),
        ("a.txt", b"\xff\xfe1\x002\x00", "is not UTF-8 text"),
        ("a.txt", b"a\0b c", "zero byte"),
        ("a.txt", b"a b\nc\n", "line 2: 1 cells; an edge is: source target [weight]"),
        ("a.txt", b"a b\n\n# x\na b c d\n", "line 4: 4 cells"),
        ("a.txt", b"a b big\n", "line 1: 'big' is no weight"),
        ("a.txt", b"a b 1_0\n", "line 1: '1_0' is no weight"),
        ("a.txt", b"a b {'weight': open('x')}\n", "are no attributes; networkx writes them"),
        ("a.txt", b"a b {" + b"(" * 9000 + b"\n", "are no attributes"),
        ("a.txt", b"a b {'x': " + b"-" * 9000 + b"1}\n", "are no attributes"),
        ("a.txt", b"a b " + b"{" * 20000, "are no attributes"),
        ("a.csv", b"a b\nb c\n", "has neither comma nor semicolon nor tab"),
        ("a.csv", b"a,b\n,c\n", "line 2: an edge lacks its source or its target"),
        ("a.csv", b"source,target\n", "holds names of columns and no edge"),
        ("a.csv", b"source,target\na,b,c\n", "line 2: 3 cells under 2 names of columns"),
        ("a.csv", b"source,target,x,x\na,b,1,2\n", "line 1: two columns have the same name"),
        ("a.csv", b"source,target,weight\na,b,1\nb,c,much\n", "line 3: the weight 'much' is no number"),
        ("a.csv", b'a,b\n"b,c\n', "line 2: unexpected end of data"),
        ("a.csv", b"0,nan,0,0\n0,0,1,0\n0,0,0,1\n0,0,0,0", "NaN or infinite"),
        ("a.csv", b"0,1,0,0\n0,0,1,0\n0,0,0,1\n0,0,0", "line 1: 4 cells"),
        ("a.txt", b"1" * (2 << 20), "line 1: is longer than 1,048,576 characters"),
        ("a.json", b"", "is no JSON"),
        ("a.json", b"[1, 2", "is no JSON"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b"\xff", "is not UTF-8 text"),
        ("a.json", b"[]", "is no JSON object"),
        ("a.json", b'{"nodes": []}', "neither links nor edges"),
        ("a.json", b'{"nodes": [], "links": [], "edges": []}', "both links and edges"),
        ("a.json", b'{"nodes": {}, "links": []}', "'nodes' is no list of objects"),
        ("a.json", b'{"nodes": [{}], "links": [1]}', "'links' is no list of objects"),
        ("a.json", b'{"nodes": [{"id": 1}, {"id": 1.0}], "links": []}', "two nodes have the id 1.0"),
        ("a.json", b'{"nodes": [{"id": 1}], "links": [{"source": 1}]}', "an edge has no 'target'"),
        ("a.json", b'{"nodes": [{"id": 1}], "links": [{"source": 1, "target": "1"}]}', "names the node '1'"),
        ("a.json", b'{"nodes": [{"id": 1}], "links": [{"source": 1, "target": true}]}', "names the node True"),
        ("a.json", b'{"nodes": [], "links": [], "directed": 1}', "'directed' is 1; use true or false"),
        ("a.json", b'{"nodes": [], "links": [], "links": []}', "the same key twice"),
        ("a.json", b'{"nodes": [], "links": [], "graph": 3}', "'graph' is no object"),
        ("a.gml", b"", "holds 0 graphs"),
        ("a.gml", b"graph [ ] graph [ ]", "holds 2 graphs"),
        ("a.gml", b"graph 3", "holds 1 graphs"),
        ("a.gml", b"graph [ node [ id 1 ]\n", "line 2: the file ends too early"),
        ("a.gml", b"graph [\n ] ]", "line 2: ']' is no key"),
        ("a.gml", b"graph [\n node ]", "line 2: the key 'node' has no value"),
        ("a.gml", b"graph [\n node [ id 12abc ] ]", "line 2: '12abc ] ]' is no GML"),
        ("a.gml", b"graph [\n node [ id 1.5 ] ]", "line 2: a node has no whole number as its 'id'"),
        ("a.gml", b"graph [\n node [ id 1 ]\n edge [ source 1 ] ]", "line 3: a edge has no whole number"),
        ("a.gml", b"graph [ node 3 ]", "a node is 3; it has to be node [ … ]"),
        ("a.gml", b"graph [ node [ id 1 ] node [ id 1 ] ]", "two nodes have the id 1"),
        ("a.gml", b"graph [ node [ id 1 ] edge [ source 1 target 2 ] ]", "names the node 2, which does not exist"),
        ("a.gml", b"graph [ directed 2 ]", "'directed' is 2; use 0 or 1"),
        ("a.gml", b"a [ " * 100_000, "nested more than 64 deep"),
        ("a.gml", b"graph [ x " + b"1" * 1_000_000 + b" ]", "too many digits"),
        ("a.gml", b"graph [ x " + b"1" * 1_000_000 + b"a ]", "is no GML"),
        ("a.npz", b"", "is no whole .npz file"),
        ("a.npz", b"PK\x03\x04" + bytes(100), "is no whole .npz file"),
        ("a.npz", npz(a=np.eye(2), b=np.eye(2)), "has no array called adjacency (its arrays: a, b)"),
        ("a.npz", npz(adjacency=np.ones((2, 3))), "the shape 2 × 3; it has to be square"),
        ("a.npz", npz(adjacency=np.array([["a", "b"], ["c", "d"]])), "holds <U1, not numbers"),
        ("a.npz", npz(adjacency=np.array([[0, 1j], [0, 0]])), "holds complex128, not numbers"),
        ("a.npz", npz(adjacency=np.array([[0, np.inf], [0, 0]])), "NaN or infinite"),
        ("a.npz", npz(adjacency=np.array([[None, {}], [0, 0]])), "pickled objects are never loaded"),
        ("a.npz", claimed_shape("(1000000, 1000000)"), "its size is not what its header says"),
        ("a.npz", claimed_shape("(-1, -1)"), "is damaged"),
        ("a.npz", claimed_shape("(" * 500), "is damaged"),
        ("a.npz", zipped_zeros(300 << 20), "is larger than 268,435,456 bytes"),
        ("a.npz", csr(shape=[2, 3]), "is not square"),
        ("a.npz", csr(shape=[3_000_000, 3_000_000]), "does not fit the other arrays"),
        ("a.npz", csr(indices=[7]), "outside of its 2 rows and columns"),
        ("a.npz", csr(indices=[-1]), "outside of its 2 rows and columns"),
        ("a.npz", csr(indices=[0.5]), "array 'indices' does not fit"),
        ("a.npz", csr(indices=[[1]]), "array 'indices' of the sparse matrix has 2 dimensions"),
        ("a.npz", csr(indptr=[0, 9, 1]), "array 'indptr' does not fit"),
        ("a.npz", csr(indptr=[0, 1]), "array 'indptr' does not fit"),
        ("a.npz", csr(format=np.array(b"dia")), "has the format 'dia'; save it as csr, csc or coo"),
        ("a.npz", npz(format=np.array(b"coo"), shape=np.array([2, 2])), "lacks its array 'data'"),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, bytes) else "",
)  # fmt: skip
def test_a_file_that_is_not_what_its_suffix_says_is_refused_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(gt.FormatError, match=re.escape(words)) as caught:
        gt.read(path, stages=1)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_adjacency_matrix_adds_up_what_a_sparse_matrix_holds_twice(tmp_path):
    (tmp_path / "twice.npz").write_bytes(csr(data=[0.25, 0.5], indices=[1, 1], indptr=[0, 2, 2]))
    assert gt.read(tmp_path / "twice.npz", stages=1).es["weight"] == [0.75]


def test_large_edge_lists_are_read_in_seconds(tmp_path):
    n_edges = 50_000
    path = tmp_path / "chain.edges"
    path.write_text("\n".join(f"{index} {index + 1}" for index in range(n_edges)))
    assert gt.read(path, stages=3).ecount() == n_edges
    frame = pd.DataFrame({"source": range(n_edges), "target": range(1, n_edges + 1), "weight": 0.5})
    frame.to_csv(tmp_path / "chain.csv", index=False)
    assert gt.read(tmp_path / "chain.csv", stages=3).es["weight"] == [0.5] * n_edges


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"[" + b"[]," * 500_000 + b"1]"),
        ("a.json", b'{"nodes":[' + b"{}," * 200_000 + b'{}],"links":[]}'),
        ("a.json", b'{"nodes":[{' + b",".join(b'"%d":1' % i for i in range(50_000)) + b"}" + b",{}" * 50_000 + b'],"links":[]}'),
        ("a.gml", b"a 1 " * 100_000),
        ("a.gml", b"graph [ " + b"node [ id 1 ] " * 40_000 + b"]"),
        ("a.gml", b'a "' * 300_001),
        ("a.txt", b"1 2\n" * 150_000),
        ("a.txt", b"".join(b"1 2 {'%d': 1}\n" % i for i in range(20_000))),
        ("a.csv", (b"0," * 999 + b"0\n") * 1000),
        ("a.csv", b"source,target" + b",x" * 100_000),
        ("a.csv", b'"' * 500_001),
        ("a.txt", b"-" * 1_000_000),
        ("a.txt", b"a b " + b"1" * 1_000_000 + b"e"),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_hostile_file_is_refused_within_seconds_and_a_small_multiple_of_its_size(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(gt.GraphtaskError):
            gt.read(tmp_path / name, stages=1)
        seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < 20  # traced, which is several times slower
    assert peak < (64 << 20) + 40 * len(content)
