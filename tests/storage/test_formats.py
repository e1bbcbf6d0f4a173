"""Graphs of other programs, in every format: what they wrote is what is read."""

import json

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
    labeled = [f'label "{label}"' for label in labels] + [""] * 2
    nodes = f"node [ id 3 {labeled[0]} ] node [ id 5 {labeled[1]} ]"
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
    with pytest.raises(gt.errors.GraphError, match=r"undirected.*--order ids"):
        gt.read(path, stages=2)
    path.write_text(path.read_text().replace("Undirected", "Directed", 1))
    with pytest.raises(gt.errors.FormatError, match="has both directed and undirected edges"):
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


def test_large_edge_lists_are_read(tmp_path):
    n_edges = 50_000
    path = tmp_path / "chain.edges"
    path.write_text("\n".join(f"{index} {index + 1}" for index in range(n_edges)))
    assert gt.read(path, stages=3).ecount() == n_edges
    frame = pd.DataFrame({"source": range(n_edges), "target": range(1, n_edges + 1), "weight": 0.5})
    frame.to_csv(tmp_path / "chain.csv", index=False)
    assert gt.read(tmp_path / "chain.csv", stages=3).es["weight"] == [0.5] * n_edges


# Options that name a reading


def test_duplicate_edges_are_merged_when_asked(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("source,target,weight,kind\na,b,0.25,thin\nb,c,1,one\na,b,0.5,thick\na,b,0.5,late\n")
    with pytest.raises(gt.errors.GraphError, match=r"multi-edges 'a' → 'b'.*merge=True"):
        gt.read(path, stages=1)
    graph = gt.read(path, stages=1, merge=True)
    assert edge_names(graph) == [("a", "b"), ("b", "c")]
    assert (graph.es["weight"], graph.es["kind"]) == ([0.5, 1.0], ["thick", "one"])


def test_an_undirected_graph_is_oriented_when_asked(tmp_path):
    undirected = nx.Graph([(2, 0), (0, 1), (1, 2), (2, 3)])
    for name in ("graph.graphml", "graph.gml", "links.json"):
        NAMED_WRITERS[name.replace("graph.", "networkx.")](undirected, tmp_path / name)
        with pytest.raises(gt.errors.GraphError, match=r"undirected.*order='ids'.*--order ids"):
            gt.read(tmp_path / name, stages=1)
        graph = gt.read(tmp_path / name, stages=1, order="ids")
        repaired = [("1", "3")]
        assert set(edge_names(graph)) == {("2", "0"), ("2", "1"), ("2", "3"), ("0", "1"), *repaired}


def test_a_graph_with_cycles_is_oriented_when_asked_and_one_without_is_left_alone(tmp_path):
    path = tmp_path / "graph.edges"
    path.write_text("b a\na c\nc b\n")
    with pytest.raises(gt.errors.GraphError, match=r"has a cycle.*order='ids'.*--order ids"):
        gt.read(path, stages=1)
    with pytest.raises(gt.errors.GraphError, match="stages=3"):
        gt.read(path, order="ids")
    assert set(edge_names(gt.read(path, stages=1, order="ids"))) == {("b", "a"), ("b", "c"), ("a", "c")}
    path.write_text("b a\na c\nb c\n")
    assert edge_names(gt.read(path, stages=1, order="radius")) == [("b", "a"), ("a", "c"), ("b", "c")]
    with pytest.raises(gt.errors.ArgumentError, match="order"):
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
    assert gt.provenance(gt.priors.orient_edges(graph.as_undirected()))["initial"]["edges"] == 3


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
    with pytest.raises(gt.errors.GraphError, match=r"undirected edges \(1 of 2\) next to directed ones"):
        gt.read(path, stages=1, order="ids")
