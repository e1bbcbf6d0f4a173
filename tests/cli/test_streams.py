import json

import networkx as nx
import pytest

import graphtask as gt


def graphml(call, *arguments, **options):
    result = call(*arguments, "-o", "-", **options)
    assert result.exit_code == 0, result.output
    return result.stdout_bytes


@pytest.fixture
def full(call):
    return graphml(call, "new", "full", "--nodes", 6, "--stages", 2)


def test_a_new_graph_goes_to_standard_output(full, tmp_path):
    (tmp_path / "full.graphml").write_bytes(full)
    assert gt.read(tmp_path / "full.graphml").get_edgelist() == gt.full_dag(6, stages=2).get_edgelist()


def test_commands_on_one_graph_read_standard_input(call, full, trained, tmp_path):
    sizes = json.loads(call("compile", "-", "--channels", 2, "--format", "json", input=full).stdout)
    assert sizes[0]["parameters"] == gt.compiler.count_parameters(gt.full_dag(6, stages=2), channels=2)

    pruned = graphml(call, "prune", "-", "--threshold", 0.3, input=trained.read_bytes())
    (tmp_path / "pruned.graphml").write_bytes(pruned)
    expected = gt.prune(gt.read(trained), threshold=0.3)
    assert gt.read(tmp_path / "pruned.graphml").get_edgelist() == expected.get_edgelist()

    assert call("draw", "-", "-o", "pruned.svg", input=pruned).exit_code == 0
    assert (tmp_path / "pruned.svg").exists()


def test_json_and_gml_are_recognized(call):
    graph = nx.DiGraph([("a", "b"), ("b", "c")])
    texts = ["\n".join(nx.generate_gml(graph)), json.dumps(nx.node_link_data(graph, edges="edges"))]
    for text in texts:
        found = call("compile", "-", "--stages", 1, "--channels", 2, "--format", "json", input=text)
        assert json.loads(found.stdout)[0]["edges"] == 2


def test_what_is_not_a_graph_is_one_line(call, full):
    for content, words in (
        ("a b\n", "standard input must be GraphML, JSON or GML; for other formats pipe it through"),
        ("", "standard input must be GraphML, JSON or GML"),
        ("<graphml>", "-: "),
    ):
        result = call("compile", "-", input=content)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    result = call("draw", "-", "other.graphml", "-o", "a.svg", input=full)
    assert "- (standard input) must be the only graph" in result.stderr


def test_a_graph_in_the_place_of_paths_is_one_line(call, full):
    result = call("metrics", "-", "--metrics", "edges", input=full)
    assert result.exit_code == 1
    assert result.stderr == (
        "graphtask: error: standard input must be paths, one per line, got a graph; write it to a file first\n"
    )
