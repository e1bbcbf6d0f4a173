"""Cells that NNI and NASLib export, METIS graphs, and the YAML of old releases of networkx."""

import json

import igraph
import networkx as nx
import numpy as np
import pytest

import graphtask as gt
from graphtask.errors import FormatError
from graphtask.reading import ReadOptions, from_bytes
from graphtask.storage.cell_exports import genotype_fields, nasbench201_string
from graphtask.storage.metis import parse as parse_metis
from graphtask.storage.networkx_yaml import parse as parse_yaml


def shown(content, name, **options):
    """Return operations by name, and edges by name."""
    text = content if isinstance(content, str) else json.dumps(content)
    graph = from_bytes(text.encode(), name=name, options=ReadOptions(**{"reading": "auto", **options}))
    return dict(zip(graph.vs["name"], graph.vs["op"], strict=True)), sorted(
        (graph.vs[i]["name"], graph.vs[j]["name"]) for i, j in graph.get_edgelist()
    )


STEPS = [("sep_conv_3x3", 1), ("skip_connect", 0), ("max_pool_3x3", 2), ("dil_conv_5x5", 0)]
GENOTYPE = f"Genotype(normal={STEPS}, normal_concat=[2, 3], reduce={STEPS[::-1][2:] + STEPS[2:]}, reduce_concat=[2, 3])"
CELLS = {"normal": STEPS, "reduce": STEPS[::-1][2:] + STEPS[2:]}
COMPACT = [
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
]


def nni(as_list):
    found = {"width": 36}
    for kind, steps in CELLS.items():
        for index, (op, source) in enumerate(steps):
            step, place = divmod(index, 2)
            found[f"{kind}/op_{step + 2}_{place}"] = op
            found[f"{kind}/input_{step + 2}_{place}"] = [source] if as_list else source
    return found


def old_nni(*, indices):
    found = {}
    for kind, steps in CELLS.items():
        for step in (2, 3):
            chosen = {source: op for op, source in steps[2 * step - 4 : 2 * step - 2]}
            for place in range(step):
                op = chosen.get(place, [])
                name = op and (COMPACT.index(op) if indices else op.removesuffix("_3x3").replace("_", ""))
                found[f"{kind}_n{step}_p{place}"] = name if indices or not op else OLD[op]
            found[f"{kind}_n{step}_switch"] = [f"{kind}_n{step}_p{place}" for place in sorted(chosen)]
    return found


OLD = {
    "sep_conv_3x3": "sepconv3x3",
    "skip_connect": "skipconnect",
    "max_pool_3x3": "maxpool",
    "dil_conv_5x5": "dilconv5x5",
}


def configured():
    """The configuration of NAS-Bench-301: edges of the steps 2 and 3 are 0, 1 and 2, 3, 4."""
    first = {2: 0, 3: 2}
    return {
        f"NetworkSelectorDatasetInfo:darts:edge_{kind}_{first[index // 2 + 2] + source}": op
        for kind, steps in CELLS.items()
        for index, (op, source) in enumerate(steps)
    }


@pytest.mark.parametrize(
    "document",
    [
        nni(as_list=False),
        nni(as_list=True),
        old_nni(indices=False),
        old_nni(indices=True),
        configured(),
        [[[source, COMPACT.index(op)] for op, source in CELLS[kind]] for kind in CELLS],
    ],
    ids=["nni", "nni with lists", "old nni", "old nni with indices", "nas-bench-301", "naslib"],
)
def test_every_export_is_the_graph_of_its_genotype(document):
    assert shown(document, "cell.json") == shown(GENOTYPE, "cell.txt")


def test_operation_indices_of_naslib_are_a_cell_of_nasbench201():
    """NASLib lists the edges 1→2, 1→3, 1→4, 2→3, 2→4, 3→4."""
    text = "|avg_pool_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    assert nasbench201_string([4, 0, 3, 3, 4, 2]) == text
    assert shown([4, 0, 3, 3, 4, 2], "cell.json") == shown(text, "cell.txt")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"normal/op_2_0": "conv", "normal/input_2_0": "x"},
            "input of an operation must be one number, got 'x'",
        ),
        ({"normal/op_2_0": "conv"}, "must be one number, got None"),
        ({"normal/op_2_0": 3, "normal/input_2_0": 0}, "operation 3 of a cell is unknown"),
        ({"normal_n2_p0": 99}, "operation 99 of a cell is unknown"),
        ({"edge_normal_0": "conv"}, "two a step"),
        ([9, 0, 0, 0, 0, 0], "operation 9 of a cell is unknown"),
        ([1, 2], "must be a JSON object"),
    ],
)
def test_damaged_exports_are_refused_in_one_line(document, words):
    with pytest.raises(FormatError, match=words) as error:
        shown(document, "cell.json")
    assert "\n" not in str(error.value)
    assert genotype_fields({"nodes": [], "links": []}) is None


# METIS


def undirected(parts):
    return sorted(tuple(sorted(edge)) for edge in parts.edges)


def test_what_is_written_in_metis_is_read_again(tmp_path):
    graph = gt.random_dag(20, seed=3)
    for name in ("a.metis", "a.graph", "a.graph.gz"):
        gt.write(graph, tmp_path / name)
        again = gt.read(tmp_path / name, order="ids", stages=3)
        assert sorted(again.get_edgelist()) == sorted(graph.get_edgelist())
    lines = (tmp_path / "a.metis").read_text().splitlines()
    assert lines[0] == f"20 {graph.ecount()}"
    assert [len(line.split()) for line in lines[1:]] == graph.degree()


def test_the_examples_of_the_manual_of_metis_are_read():
    """Figure 2 of the manual of METIS 5: a graph, with weights of edges, and with weights of vertices and edges."""
    plain = b"7 11\n5 3 2\n1 3 4\n5 4 2 1\n2 3 6 7\n1 3 6\n5 4 7\n6 4\n"
    weighted = b"7 11 001\n5 1 3 2 2 1\n1 1 3 2 4 1\n5 3 4 2 2 2 1 2\n2 1 3 2 6 2 7 5\n1 1 3 3 6 2\n5 2 4 2 7 6\n6 6 4 5\n"
    both = (
        b"7 11 011\n4 5 1 3 2 2 1\n2 1 1 3 2 4 1\n5 5 3 4 2 2 2 1 2\n3 2 1 3 2 6 2 7 5\n1 1 1 3 3 6 2\n"
        b"6 5 2 4 2 7 6\n2 6 6 4 5\n"
    )
    edges = [(0, 1), (0, 2), (0, 4), (1, 2), (1, 3), (2, 3), (2, 4), (3, 5), (3, 6), (4, 5), (5, 6)]
    weights = {
        (0, 4): 1,
        (0, 2): 2,
        (0, 1): 1,
        (1, 2): 2,
        (1, 3): 1,
        (2, 4): 3,
        (2, 3): 2,
        (3, 5): 2,
        (3, 6): 5,
    }
    weights |= {(4, 5): 2, (5, 6): 6}
    assert undirected(parse_metis(plain)) == edges
    for content in (weighted, both):
        parts = parse_metis(content)
        assert dict(zip(parts.edges, parts.edge_columns["weight"], strict=True)) == weights
    assert parse_metis(both).vertex_columns["vertex_weight"] == [4, 2, 5, 3, 1, 6, 2]
    several = parse_metis(b"% comment\n2 1 110 3\n7 1 2 3 2\n8 4 5 6 1\n")
    assert several.edges == [(0, 1)]
    assert several.vertex_columns["vertex_size"] == [7, 8]
    assert several.vertex_columns["vertex_weight"] == [1, 4]


def test_isolated_vertices_are_empty_lines():
    assert parse_metis(b"3 1\n2\n1\n\n").n_nodes == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "first line must hold the numbers"),
        (b"a b\n", "first line must hold the numbers"),
        (b"2 1 7\n2\n1\n", "three digits 0 or 1"),
        (b"3 1\n2\n1\n", "must have 3 lines"),
        (b"2 1\n3\n1\n", "vertex 1 names a vertex that does not exist"),
        (b"2 1\n1.5\n1\n", "does not exist"),
        (b"2 1 001\n2\n1\n", "vertex 1 has too few numbers"),
        (b"2 2\n2\n1\n", "has 1 edges, but its first line says 2"),
        (b"2 1\nx\n1\n", "must hold numbers"),
        (b"999999999 1\n", "more than 2,000,000 nodes"),
    ],
)
def test_damaged_metis_files_are_refused(content, words):
    with pytest.raises(FormatError, match=words):
        parse_metis(content)


# YAML of networkx


def yaml_of(graph):
    """What networkx 2 wrote by PyYAML: the object's dictionaries, with anchors for attributes that edges share."""
    kind = "digraph.DiGraph" if graph.is_directed() else "graph.Graph"
    lines, anchors = [f"!!python/object:networkx.classes.{kind}", "_adj:"], {}
    for node in graph:
        lines.append(f"  {node}:" + ("" if graph.adj[node] else " {}"))
        for other in graph.adj[node]:
            key = (node, other) if graph.is_directed() else frozenset((node, other))
            known = key in anchors
            anchors.setdefault(key, f"id{len(anchors):03}")
            lines.append(f"    {other}: " + (f"*{anchors[key]}" if known else f"&{anchors[key]} {{}}"))
    lines += ["_node: &id999", *(f"  {node}: {{}}" for node in graph)]
    lines += ["adjlist_inner_dict_factory: &id998 !!python/name:builtins.dict ''", "graph: {}"]
    lines += ["nodes: !!python/object:networkx.classes.reportviews.NodeView", "  _nodes: *id999", ""]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "graph",
    [
        nx.watts_strogatz_graph(32, 4, 0.75, seed=1),
        nx.gnp_random_graph(12, 0.3, seed=2, directed=True),
        nx.DiGraph([("a", "b_1"), ("b_1", "c")]),
    ],
    ids=["watts-strogatz", "directed", "words"],
)
def test_yaml_of_networkx_is_the_graph(graph):
    parts = parse_yaml(yaml_of(graph))
    names = parts.vertex_columns["name"]
    found = igraph.Graph(n=parts.n_nodes, edges=parts.edges, directed=parts.directed)
    assert names == [str(node) for node in graph]
    assert parts.directed == graph.is_directed()
    matrix = np.array(found.get_adjacency().data)
    assert (matrix == nx.to_numpy_array(graph)).all()


def test_yaml_is_read_by_its_name_and_in_folders_taken_for_a_configuration(tmp_path):
    (tmp_path / "ws.yaml").write_bytes(yaml_of(nx.watts_strogatz_graph(12, 4, 0.75, seed=1)))
    gt.write(gt.full_dag(4), tmp_path / "full.graphml")
    assert gt.read(tmp_path / "ws.yaml", reading="auto").vcount() == 12
    assert [row["file"].rsplit("/")[-1] for row in gt.measure_files([tmp_path], metrics=["edges"])] == [
        "full.graphml"
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\n", "is not YAML of networkx: its first line must be"),
        (b"!!python/object/apply:os.system ['x']\n", "is not YAML of networkx"),
        (b"!!python/object:networkx.classes.graph.Graph\ngraph: {}\n", "it has no block _adj"),
        (b"!!python/object:networkx.classes.graph.Graph\n_adj:\n  !!python/name:x: {}\n", "is not a node"),
    ],
)
def test_other_yaml_is_refused(content, words):
    with pytest.raises(FormatError, match=words):
        parse_yaml(content)
