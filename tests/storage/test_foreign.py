import json

import networkx as nx
import pytest

import graphtask as gt
from graphtask.storage.values import MAX_DEPTH, from_json, to_json


def node_link(path, *, provenance=None, stage=0, edge=None):
    graph = {"provenance": provenance} if provenance is not None else {}
    nodes = [{"id": "a", "stage": 0}, {"id": "b", "stage": stage}]
    links = [{"source": "a", "target": "b", **(edge or {})}]
    path.write_text(json.dumps({"graph": graph, "nodes": nodes, "links": links}))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "graph.json"


def test_a_column_w_of_others_is_renamed_with_a_note(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("source,target,w\nin,a,3\na,out,7\nin,out,0.1\n")
    graph = gt.read(path, stages=1)

    assert graph.es.attributes() == ["file_w"]
    assert gt.provenance(graph)["reading"] == [
        "edge attribute 'w' renamed to 'file_w' (not written by graphtask)"
    ]


def test_w_of_ours_survives_another_program(tmp_path):
    graph = gt.chain_dag(3)
    graph.es["weight"], graph.es["w"] = [0.5, 0.25], [0.6, -0.3]
    gt.write(graph, tmp_path / "ours.graphml")
    nx.write_graphml(nx.read_graphml(tmp_path / "ours.graphml"), tmp_path / "theirs.graphml")

    assert gt.read(tmp_path / "theirs.graphml").es["w"] == [0.6, -0.3]


@pytest.mark.parametrize(
    "provenance",
    [
        {"prior": 3},
        {"prior": {"name": 3}},
        {"prior": {"name": "full", "arguments": [1]}},
        {"prior": {"name": "full", "repaired_edges": "many"}},
        {"prior": None},
        {"initial": 1},
        {"initial": {"nodes": -1}},
        {"initial": {"nodes_per_stage": ["a"]}},
        {"initial": {"nodes": {}}},
        {"channels": float("inf")},
        {"channels": 10**30},
        {"channels": True},
        {"in_channels": "3"},
        {"n_classes": [10]},
        {"threshold": float("nan")},
        {"threshold": "0.1"},
        {"threshold": 10**400},
        {"relative_threshold": "0.1"},
        {"reading": None},
        {"reading": "text"},
        {"reading": [["a"]]},
    ],
    ids=str,
)
def test_invalid_provenance_is_removed_with_a_note(path, provenance):
    graph = gt.read(node_link(path, provenance=provenance))
    (name,) = provenance

    assert gt.provenance(graph) == {"reading": [f"provenance {name!r} removed (invalid value)"]}
    gt.measure(graph, metrics=["nodes", "edges", "parameters", "sparsity"])


def test_provenance_that_is_no_table_is_renamed(path):
    graph = gt.read(node_link(path, provenance=3))

    assert (graph["file_provenance"], gt.provenance(graph)) == (3, {})


@pytest.mark.parametrize("text", [r'"\ud800"', r'"\udc00\ud800"', '"\ud800"', r'"a\ud800b"'])
def test_lone_surrogates_are_replaced(text):
    value = from_json(text)

    assert "\ufffd" in value
    value.encode()


@pytest.mark.parametrize("text", ["\U0001f600", "\\ud800", "\\\\ud800", 'a"b\\n', "\ud7ff\ue000"])
def test_pairs_and_escaped_backslashes_stay(text):
    assert from_json(json.dumps(text)) == text
    assert from_json(to_json({text: [text]})) == {text: [text]}


def test_nesting_has_a_bound_in_both_directions(path):
    deep = 0
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        to_json(deep)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        from_json(json.dumps(deep))
    for text in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000):
        path.write_text(text)
        with pytest.raises(gt.errors.FormatError, match="JSON"):
            gt.read(path)


@pytest.mark.parametrize("stage", [31, 20_000, 1_000_000, 1e6])
def test_a_stage_that_no_image_has_is_refused_at_once(path, stage):
    with pytest.raises(gt.errors.GraphError, match=r"`stage` of vertex 'b' must be an int in \[0, 30\]"):
        gt.read(node_link(path, stage=stage))


def test_gml_whose_direction_is_a_record_is_refused(tmp_path):
    path = tmp_path / "graph.gml"
    path.write_text("graph [ directed [ ] node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 ] ]")

    with pytest.raises(gt.errors.FormatError, match="'directed' must be 0 or 1"):
        gt.read(path)


def test_isolated_nodes_are_dropped_on_request_and_named_otherwise(path):
    path.write_text(
        '{"directed":true,"multigraph":false,"graph":{},"nodes":[{"id":0},{"id":1},{"id":2},{"id":3}],'
        '"edges":[{"source":0,"target":1},{"source":1,"target":2}]}'
    )
    with pytest.raises(
        gt.errors.GraphError, match=r"drop_isolated=True, stages=3 \(.*--drop-isolated --stages 3\)"
    ):
        gt.read(path)
    with pytest.raises(gt.errors.GraphError, match=r"vertex '3' has no edges.*drop_isolated=True"):
        gt.read(path, join=True, stages=1)
    graph = gt.read(path, drop_isolated=True, stages=1)
    assert graph.vs["name"] == ["0", "1", "2"]
    auto = gt.read(path, reading="auto")
    assert (auto.vcount(), gt.provenance(auto)["reading"]) == (3, ["read with --drop-isolated --stages 3"])


def test_names_that_repeat_become_labels(tmp_path):
    path = tmp_path / "twice.graphml"
    path.write_text(
        '<graphml><key id="k" for="node" attr.name="name" attr.type="string"/><graph edgedefault="directed">'
        '<node id="n0"><data key="k">conv</data></node><node id="n1"><data key="k">conv</data></node>'
        '<edge source="n0" target="n1"/></graph></graphml>'
    )
    graph = gt.read(path, stages=1)

    assert (graph.vs["name"], graph.vs["label"]) == (["n0", "n1"], ["conv", "conv"])
