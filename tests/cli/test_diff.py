import json

import pytest

import graphtask as gt


@pytest.fixture(autouse=True)
def files(tmp_path):
    for name, graph in {"full": gt.full_dag(5, stages=1), "chain": gt.chain_dag(5, stages=1)}.items():
        gt.write(graph, tmp_path / f"{name}.graphml")


def test_nodes_and_edges_are_counted(call):
    result = call("diff", "full.graphml", "chain.graphml", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[:2] == [
        {"part": "nodes", "both": 5, "only_first": 0, "only_second": 0},
        {"part": "edges", "both": 4, "only_first": 6, "only_second": 0},
    ]
    assert "Dice similarity 0.5714" in result.stderr
    assert "only in the first" in call("diff", "full.graphml", "chain.graphml").stdout


def test_edges_are_listed(call):
    result = call("diff", "full.graphml", "chain.graphml", "--edges", "--format", "csv")
    lines = result.stdout.splitlines()
    assert lines[0] == "source,target,part,weight_first,weight_second"
    assert lines[1].startswith("v0,v1,both")
    assert len(lines) == 11


def test_the_picture_has_both_graphs(call, tmp_path):
    result = call("diff", "full.graphml", "chain.graphml", "-o", "diff.svg", "--labels", "name")
    assert result.stdout.splitlines()[-1] == "diff.svg"
    assert "only in full (6)" in (tmp_path / "diff.svg").read_text()


def test_the_picture_is_written_before_the_table_is_printed(call, tmp_path, monkeypatch):
    def show(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("graphtask_cli.commands.diff.show", show)
    call("diff", "full.graphml", "chain.graphml", "-o", "diff.svg")
    assert (tmp_path / "diff.svg").exists()


def test_runs_are_pruned(call, run_folder):
    result = call("diff", run_folder, "full.graphml", "--threshold", "0.1")
    assert result.exit_code == 1
    assert "full.graphml: " in result.stderr
    assert call("diff", run_folder, run_folder, "--threshold", "0").exit_code == 0
    relative = call("diff", run_folder, run_folder, "--threshold", "0.1", "--relative")
    assert relative.exit_code == 0
