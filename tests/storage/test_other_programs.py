"""Files as other programs and other people write them, each with the graph that its author expects."""

import json

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
        ("sets.dot", "digraph { A -> {B C}; subgraph cluster_x { B -> C } }"),
    ],
)
def test_the_same_triangle_without_weights(name, content):
    graph = read(content, name)

    assert set(edge_names(graph)) == {("A", "B"), ("B", "C"), ("A", "C")}
    assert "weight" not in graph.es.attributes()


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
