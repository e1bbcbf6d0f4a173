"""Files as other programs and other people write them, each with the graph that its author expects."""

import json

import numpy as np
import pytest

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.reading import ReadOptions, from_bytes


def read(content, name, **options):
    content = content.encode() if isinstance(content, str) else content
    return from_bytes(content, name=name, options=ReadOptions(**{"stages": 1, **options}))


DIAMOND = {("in", "a"), ("a", "out"), ("in", "out")}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("semicolons.csv", "Source;Target;Weight\nin;a;0,5\na;out;0,25\nin;out;0,75\n"),
        ("tabs.tsv", "Source\tTarget\tWeight\nin\ta\t0,5\na\tout\t0,25\nin\tout\t0,75\n"),
        ("bars.csv", "source|target|weight\nin|a|0.5\na|out|0.25\nin|out|0.75\n"),
        ("spaces.txt", "in a 0,5\na out 0,25\nin out 0,75\n"),
        ("bom.csv", "\ufeffsource,target,weight\r\nin,a,0.5\r\na,out,0.25\r\nin,out,0.75\r\n"),
        ("utf16.csv", "source,target,weight\nin,a,0.5\na,out,0.25\nin,out,0.75\n".encode("utf-16")),
        ("mac.txt", "in a 0.5\ra out 0.25\rin out 0.75\r"),
        ("comments.edges", "# a comment\n% another\nin a 0.5\n\n// more\na out 0.25 # here\nin out 0.75\n"),
        ("times.edges", "in a 0.5 1591\na out 0.25 1592\nin out 0.75 1593.5\n"),
        ("gephi.gexf", ('<gexf version="1.3"><graph defaultedgetype="directed"><nodes><node id="0" label="in"/>'
         '<node id="1" label="a"/><node id="2" label="out"/></nodes><edges><edge source="0" target="1" weight="0.5"/>'
         '<edge source="1" target="2" weight="0.25"/><edge source="0" target="2" weight="0.75"/></edges></graph></gexf>')),
        ("graphviz.gv", ('strict digraph "G" { rankdir=LR; node [shape=box]; /* c */ in -> a [weight=.5, color=red]\n'
         'a:n -> out:s:w [weight="0.25"] // c\n in -> out [weight=0.75]; }')),
        ("pajek.net", '*Vertices 3\n 1 "in" 0.0 0.0 ellipse ic Red\n 2 "a"\n 3 "out" 0.5 0.5\n*Arcs :1 "x"\n 1 2 0.5 c Blue\n2 3 .25\n1 3 7.5e-1\n'),
        ("links.json", json.dumps({"directed": True, "multigraph": False, "graph": [["name", "x"]], "nodes": [
            {"id": "in"}, {"id": "a"}, {"id": "out"}], "links": [{"source": 0, "target": 1, "weight": 0.5},
            {"source": 1, "target": 2, "weight": 0.25}, {"source": 0, "target": 2, "weight": 0.75}]})),
        ("adjacency.json", json.dumps({"directed": True, "nodes": [{"id": "in"}, {"id": "a"}, {"id": "out"}],
            "adjacency": [[{"id": "a", "weight": 0.5}, {"id": "out", "weight": 0.75}], [{"id": "out", "weight": 0.25}], []]})),
        ("cytoscape.json", json.dumps({"elements": {"nodes": [{"data": {"id": "in"}, "position": {"x": 1}}, {"data": {"id": "a"}},
            {"data": {"id": "out"}}], "edges": [{"data": {"id": "e0", "source": "in", "target": "a", "weight": 0.5}},
            {"data": {"source": "a", "target": "out", "weight": 0.25}}, {"data": {"source": "in", "target": "out", "weight": 0.75}}]}})),
        ("list.cyjs", json.dumps({"elements": [{"data": {"id": "in"}}, {"data": {"id": "a"}}, {"data": {"id": "out"}},
            {"data": {"source": "in", "target": "a", "weight": 0.5}}, {"data": {"source": "a", "target": "out", "weight": 0.25}},
            {"data": {"source": "in", "target": "out", "weight": 0.75}}]})),
        ("jgf.json", json.dumps({"graph": {"directed": True, "nodes": {"in": {}, "a": {}, "out": {}}, "edges": [
            {"source": "in", "target": "a", "metadata": {"weight": 0.5}}, {"source": "a", "target": "out", "metadata": {"weight": 0.25}},
            {"source": "in", "target": "out", "metadata": {"weight": 0.75}}]}})),
        ("excel.csv", "sep=;\r\nsource;target;weight;;\r\nin;a;0,5;;\r\na;out;0,25;;\r\nin;out;0,75;;\r\n;;;;\r\n"),
        ("r.txt", '"from" "to" "weight"\n"1" "in" "a" 0.5\n"2" "a" "out" 0.25\n"3" "in" "out" 0.75\n'),
        ("igraph.ncol", "in a 0.5\na out 0.25\nin out 0.75\n"),
        ("texts.json", json.dumps({"nodes": [], "links": []}).replace("[]", '["in", "a", "out"]', 1).replace(
            "[]", '[["in", "a", "0.5"], ["a", "out", "0.25"], ["in", "out", 0.75]]')),
        ("pairs.json", '[["in", "a", 0.5], ["a", "out", 0.25], ["in", "out", 0.75]]'),
        ("neighbors.json", '{"in": {"a": {"weight": 0.5}, "out": {"weight": 0.75}}, "a": {"out": 0.25}, "out": {}}'),
        ("elements.json", ('[{"data": {"id": "in"}}, {"data": {"id": "a"}}, {"data": {"id": "out"}}, {"data": {"source": "in", '
            '"target": "a", "weight": 0.5}}, {"data": {"source": "a", "target": "out", "weight": 0.25}}, '
            '{"data": {"source": "in", "target": "out", "weight": 0.75}}]')),
        ("vis.json", ('{"nodes": ["in", "a", "out"], "edges": [{"from": "in", "to": "a", "weight": 0.5}, '
            '{"from": "a", "to": "out", "weight": 0.25}, {"from": "in", "to": "out", "weight": 0.75}]}')),
        ("graphviz.json", ('{"name": "G", "directed": true, "objects": [{"_gvid": 0, "name": "cluster_0", "nodes": [2]}, {"_gvid": 1, '
            '"name": "in"}, {"_gvid": 2, "name": "a"}, {"_gvid": 3, "name": "out"}], "edges": [{"_gvid": 0, "tail": 1, "head": 2, '
            '"weight": "0.5"}, {"tail": 2, "head": 3, "weight": "0.25"}, {"tail": 1, "head": 3, "weight": "0.75"}]}')),
        ("sigma.json", ('{"nodes": [{"key": "in", "attributes": {"x": 1}}, {"key": "a"}, {"key": "out"}], "edges": [{"key": "e", "source": '
            '"in", "target": "a", "attributes": {"weight": 0.5}}, {"source": "a", "target": "out", "attributes": {"weight": 0.25}}, '
            '{"source": "in", "target": "out", "attributes": {"weight": 0.75}}]}')),
        ("graphs.json", ('{"graphs": [{"nodes": {"in": {}, "a": {}, "out": {}}, "edges": [{"source": "in", "target": "a", "metadata": '
            '{"weight": 0.5}}, {"source": "a", "target": "out", "metadata": {"weight": 0.25}}, {"source": "in", "target": "out", '
            '"metadata": {"weight": 0.75}}]}]}')),
        ("texts.gml", ('graph [ directed 1 node [ id "n0" label "in" ] node [ id "n1" label "a" ] node [ id "n2" label "out" ] edge [ source '
            '"n0" target "n1" weight 0.5 ] edge [ source "n1" target "n2" weight 0.25 ] edge [ source "n0" target "n2" weight 0.75 ] ]')),
        ("prefix.gexf", ('<ns0:gexf xmlns:ns0="http://www.gexf.net/1.2draft"><ns0:graph defaultedgetype="directed"><ns0:nodes><ns0:node id="in"/>'
            '<ns0:node id="a"/><ns0:node id="out"/></ns0:nodes><ns0:edges><ns0:edge source="in" target="a" weight="0.5"/><ns0:edge source="a" '
            'target="out" weight="0.25"/><ns0:edge source="in" target="out" weight="0.75"/></ns0:edges></ns0:graph></ns0:gexf>')),
        ("clusters.dot", ("digraph { subgraph cluster_0 { in; a }\n subgraph cluster_1 { out }\n { rank=same; in }\n in -> a [weight=0.5]\n"
            "a -> out [weight=0.25]; in -> out [weight=0.75] }")),
        ("labels.csv", ",in,a,out\nin,,0.5,0.75\na,,,0.25\nout,,,\n"),
        ("decimal.csv", ";in;a;out\nin;;0,5;0,75\na;;;0,25\nout;;;\n"),
    ],
)  # fmt: skip
def test_the_same_graph_in_the_form_of_many_programs(name, content):
    graph = read(content, name)
    weights = dict(zip(edge_names(graph), graph.es["weight"], strict=True))

    assert weights == {("in", "a"): 0.5, ("a", "out"): 0.25, ("in", "out"): 0.75}
    assert "w" not in graph.es.attributes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("blank.csv", ",A,B,C\nA,,1,1\nB,,,1\nC,,,\n"),
        ("counts.txt", "3\n3\nA B\nB C\nA C\n"),
        ("nodes.txt", "3\nA B\nB C\nA C\n"),
        ("arcs.net", "*vertices 3\n1 A\n2 B\n3 C\n*arcslist\n1 2 3\n2 3\n"),
        ("matrix.net", "*vertices 3\n1 A\n2 B\n3 C\n*matrix\n0 1 1\n0 0 1\n0 0 0\n"),
        ("chain.dot", "digraph { A -> B -> C; A -> C }"),
        ("booleans.csv", ",A,B,C\nA,False,True,True\nB,False,False,True\nC,False,False,False\n"),
        ("networkx.adjlist", "#written by networkx\n# \nA B C\nB C\nC\n"),
        (
            "networkx.yaml",
            (
                "&id007 !!python/object:networkx.classes.multidigraph.MultiDiGraph\n_adj: &id006\n  A:\n    B:\n      0: {}\n"
                "    C:\n      0: {}\n  B:\n    C:\n      0: {}\n  C: {}\n_succ: *id006\n"
            ),
        ),
        ("neighbors.json", '{"A": ["B", "C"], "B": ["C"], "C": []}'),
        (
            "named.json",
            '{"nodes": {"A": {}, "B": {}, "C": {}}, "edges": [["A", "B"], ["B", "C"], ["A", "C"]]}',
        ),
        ("headed.csv", "Quelle;Ziel;Gewicht\nA;B;0,5\nB;C;\nA;C;1\n"),
        ("sets.dot", "digraph { A -> {B C}; subgraph cluster_x { B -> C } }"),
    ],
)
def test_the_same_triangle_without_weights(name, content):
    graph = read(content, name)

    assert set(edge_names(graph)) == {("A", "B"), ("B", "C"), ("A", "C")}
    assert "weight" not in graph.es.attributes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("numbered.csv", "0,1,2\n0.0,1.0,1.0\n0.0,0.0,1.0\n0.0,0.0,0.0\n"),
        ("floats.txt", "0.0e+00 1.0e+00\n1.0e+00 2.0e+00\n0.0e+00 2.0e+00\n"),
        ("words.csv", "Zeit;Wert\n0;1\n1;2\n0;2\n"),
        ("matrix.json", "[[0, 1, 1], [0, 0, 1], [0, 0, 0]]"),
        ("booleans.json", '{"matrix": [[false, true, true], [false, false, true], [false, false, false]]}'),
        ("dimacs.txt", "c a comment\np sp 3 3\na 0 1 1\na 1 2 1\na 0 2 1\n"),
    ],
)
def test_the_same_numbered_triangle(name, content):
    assert set(edge_names(read(content, name))) == {("0", "1"), ("1", "2"), ("0", "2")}


@pytest.mark.parametrize(
    "arrays",
    [
        {"edge_index": np.array([[0, 1, 0], [1, 2, 2]]), "edge_weight": np.array([0.5, 0.25, 0.75]), "num_nodes": 3},
        {"edge_index": np.array([[0, 1], [1, 2], [0, 2]]), "edge_weight": np.array([0.5, 0.25, 0.75])},
        {"adj": np.array([[0, 0.5, 0.75], [0, 0, 0.25], [0, 0, 0]]), "features": np.eye(3)},
    ],
)  # fmt: skip
def test_arrays_of_edges_and_matrices_of_other_names(arrays, tmp_path):
    np.savez(tmp_path / "graph.npz", **arrays)
    graph = gt.read(tmp_path / "graph.npz", stages=1)

    weights = dict(zip(graph.get_edgelist(), graph.es["weight"], strict=True))
    assert weights == {(0, 1): 0.5, (1, 2): 0.25, (0, 2): 0.75}


def test_a_list_of_edges_in_npy(tmp_path):
    np.save(tmp_path / "edges.npy", np.array([[0, 1], [1, 2], [0, 2]]))

    assert gt.read(tmp_path / "edges.npy", stages=1).get_edgelist() == [(0, 1), (1, 2), (0, 2)]


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        (np.array([[0, -1, 0], [1, 2, 2]]), "negative"),
        (np.eye(3), "integers"),
        (np.array([[0], [10**12]]), "nodes"),
    ],
)
def test_damaged_arrays_of_edges_are_refused(edges, words, tmp_path):
    np.savez(tmp_path / "edges.npz", edge_index=edges)
    with pytest.raises(gt.errors.FormatError, match=words):
        gt.read(tmp_path / "edges.npz", stages=1)


def test_undirected_dimacs_and_its_isolated_node():
    with pytest.raises(gt.errors.GraphError, match=r"read it with drop_isolated=True, order='ids'"):
        read("p edge 4 3\ne 1 2\ne 2 3\ne 1 3\n", "graph.txt")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("yed.gml", ('graph [ directed 1 node [ id 0 label "a" gid 3 ] node [ id 1 label "b" gid 3 ] node [ id 2 label "c" ] '
            'node [ id 3 label "stage 1" isGroup 1 ] edge [ source 0 target 1 ] edge [ source 1 target 2 ] ]')),
        ("nested.gexf", ('<gexf><graph defaultedgetype="directed"><nodes><node id="g" label="stage 1"><nodes><node id="a"/><node id="b"/></nodes>'
            '</node><node id="c"/></nodes><edges><edge source="a" target="b"/><edge source="b" target="c"/></edges></graph></gexf>')),
        ("compound.cyjs", ('{"elements": [{"data": {"id": "g", "label": "stage 1"}}, {"data": {"id": "a", "parent": "g"}}, {"data": {"id": "b", '
            '"parent": "g"}}, {"data": {"id": "c"}}, {"data": {"source": "a", "target": "b"}}, {"data": {"source": "b", "target": "c"}}]}')),
    ],
)  # fmt: skip
def test_groups_of_every_format_become_an_attribute(name, content):
    graph = read(content, name)

    assert edge_names(graph) == [("a", "b"), ("b", "c")]
    assert graph.vs["group"] == ["stage 1", "stage 1", None]


@pytest.mark.parametrize(
    "content", ['{"loss": [0.5, 0.25], "epoch": [1, 2]}', "[[0.5, 0.25], [0.5, 0.125]]", "{}"]
)
def test_other_json_is_no_graph(content):
    with pytest.raises(gt.errors.FormatError):
        read(content, "history.json")


def test_counts_before_numbered_edges_give_isolated_nodes():
    with pytest.raises(gt.errors.GraphError, match="drop_isolated=True"):
        read("5 3\n0 1\n1 2\n0 2\n", "counts.txt")
    assert read("5 3\n0 1\n1 2\n0 2\n", "counts.txt", drop_isolated=True).vcount() == 3
    assert read("0 1\n1 2\n0 2\n", "edges.txt").vcount() == 3


YED = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key for="node" id="d6" yfiles.type="nodegraphics"/><key for="node" id="d5" attr.name="color" attr.type="string"/>
  <graph edgedefault="directed" id="G">
    <node id="n0"><port name="p"/><data key="d6"><y:ShapeNode><y:NodeLabel>input</y:NodeLabel></y:ShapeNode></data></node>
    <node id="n1"><data key="d6"><y:GroupNode><y:NodeLabel>stage 1</y:NodeLabel></y:GroupNode></data>
      <graph edgedefault="directed" id="n1:">
        <node id="n1::n0"><data key="d6"><y:ShapeNode><y:NodeLabel>conv a</y:NodeLabel></y:ShapeNode></data></node>
        <node id="n1::n1"><graph edgedefault="directed" id="x"><node id="n1::n1::n0"><data key="d5">red</data></node></graph>
          <data key="d5">blue</data></node>
        <edge source="n1::n0" target="n1::n1::n0"/>
      </graph>
    </node>
    <node id="n2"/>
    <edge source="n0" target="n1::n0" sourceport="p"/><edge source="n1::n1::n0" target="n2"/><edge source="n0" target="n2"/>
  </graph></graphml>"""


def test_groups_of_yed_become_an_attribute():
    graph = read(YED, "yed.graphml")

    assert graph.vs["name"] == ["n0", "n1::n0", "n1::n1::n0", "n2"]
    assert graph.vs["group"] == [None, "stage 1", "n1::n1", None]
    assert graph.vs["label"] == ["input", "conv a", None, None]
    assert graph.vs["color"] == [None, None, "red", None]


def test_a_group_with_edges_stays_a_node():
    joined = YED.replace(
        '<edge source="n0" target="n2"/>', '<edge source="n0" target="n1"/><edge source="n1" target="n2"/>'
    )

    assert "n1" in read(joined, "yed.graphml").vs["name"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.dot", "digraph { a -- b }", "line 1: the edges of this graph are written ->"),
        ("a.dot", "digraph { a -> ", "is not a name|is expected"),
        ("a.dot", "digraph { " + "subgraph { " * 100, "nested more than 64 deep"),
        ("a.dot", "digraph { a [label=<<b>x] }", "HTML label has no end"),
        ("a.gexf", "<!DOCTYPE x><gexf/>", "DOCTYPE"),
        ("a.gexf", '<gexf><graph><nodes><node id="a"/></nodes><edges><edge source="a" target="b"/></edges></graph></gexf>', "'b', which does not exist"),
        ("cell.txt", f"|a~0|+|a~0|b~{'9' * 5000}|", "is not a NAS-Bench-201 string"),
        ("a.net", '*vertices 2\n1 a"b"\n2 c\n', "line 2: has a quote inside a word, or one that does not end"),
        ("a.net", '*vertices 2\n1 "b\n2 c\n', "line 2: has a quote inside a word"),
        ("a.net", "*vertices 2\n1 a\n3 b\n", r"line 3: a vertex must be a number in \[1, 2\]"),
        ("a.net", "*vertices 99999999999\n", "at most 2,000,000"),
        ("a.mtx", "%%MatrixMarket matrix coordinate real general\n3 3 9\n1 2 1\n", "has 1 entries"),
        ("a.mtx", "%%MatrixMarket matrix array real general\n2 3\n", "square"),
        ("a.g6", "~~~~~~~~~~", "2,000,000 nodes|bits"),
        ("a.d6", "&B", "must have 9 bits"),
        ("a.pt", "PK\x03\x04", "not a file of torch"),
        ("a.onnx", "nothing", "not an ONNX model"),
        ("a.npy", "\x93NUMPY", "damaged"),
    ],
)  # fmt: skip
def test_damaged_files_of_the_new_formats_are_one_line(name, content, words):
    with pytest.raises(gt.GraphtaskError, match=words) as caught:
        read(content.encode("latin-1"), name)

    assert "\n" not in str(caught.value)


def test_a_file_of_torch_with_another_class_is_never_loaded(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    with pytest.raises(gt.errors.FormatError, match="not a file of torch that is safe to read"):
        read(pickle.dumps(Evil()), "evil.pt")
    assert not (tmp_path / "written").exists()
