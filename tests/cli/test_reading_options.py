"""--stages, --join, --merge and --order mean the same for every command that reads a graph."""

from importlib import import_module
from types import SimpleNamespace

import pytest

import graphtask as gt

READING = {
    "metrics": "metrics {} --metrics nodes",
    "draw": "draw {} -o out.svg",
    "compile": "compile {} --channels 2",
    "prune": "prune {}",
    "new from": "new from {} -o out.graphml",
    "train": "train {} --data cdigits --channels 2 --epochs 1 --quiet --out run",
}
KEEPS = "--stages is ignored, because the graph has stages"


@pytest.fixture(params=READING)
def read_by(request, call, monkeypatch):
    """Call a command for a file; the training itself is left out."""
    run = SimpleNamespace(hints=list)
    monkeypatch.setattr(gt, "train", lambda graph, *_, **__: gt.check_graph(graph) or run)
    monkeypatch.setattr(import_module("graphtask_cli.commands.train"), "_report", lambda *_: ["trained"])

    def invoke(path, *options):
        return call(*READING[request.param].format(path).split(), *options)

    return invoke


def test_every_command_reads_a_graph_of_another_program(read_by, tmp_path):
    """Two inputs, a duplicate edge, and a cycle, each with the option that names a reading."""
    (tmp_path / "odd.edges").write_text("a c 0.5\nb c 0.5\nb c 0.25\nc d 0.5\nd e 0.5\ne d 0.125\n")
    refused = read_by("odd.edges", "--stages", 2)
    assert refused.exit_code == 1
    assert "--order ids" in refused.stderr
    refused = read_by("odd.edges", "--stages", 2, "--merge")
    assert refused.exit_code == 1
    assert "--order ids" in refused.stderr
    result = read_by("odd.edges", "--stages", 2, "--merge", "--order", "ids")
    assert KEEPS not in result.stderr
    # A graph whose edges were turned has lost their weights, so there is nothing to prune.
    assert result.exit_code == ("weight" in result.stderr), result.output
    (tmp_path / "ends.edges").write_text("a c 0.5\nb c 0.5\n")
    refused = read_by("ends.edges", "--stages", 1)
    assert refused.exit_code == 1
    assert "--join" in refused.stderr


def test_every_command_says_so_when_a_graph_keeps_its_stages(read_by, tmp_path):
    graph = gt.full_dag(6, stages=2)
    graph.es["weight"] = 0.5
    gt.write(graph, tmp_path / "two.graphml")
    result = read_by("two.graphml", "--stages", 3)
    assert result.exit_code == 0, result.output
    assert KEEPS in result.stderr or "keeps the stages that it has" in result.stderr
    for same in ("2", "3,3"):
        assert KEEPS not in read_by("two.graphml", "--stages", same).stderr


def test_a_corpus_counts_the_graphs_that_keep_their_stages(call, tmp_path):
    for number in range(3):
        gt.write(gt.full_dag(6 + number, stages=2), tmp_path / f"{number}.graphml")
    (tmp_path / "none.edges").write_text("a b\nb c\n")
    arguments = (
        "metrics",
        ".",
        "--metrics",
        "nodes_stage_k",
        "--stages",
        3,
        "--format",
        "csv",
        "--cache",
        "c.sqlite",
    )
    for _ in range(2):
        result = call(*arguments)
        assert result.exit_code == 0, result.output
        assert "3 graphs keep the stages that they have" in result.stderr
        assert "kept" not in result.stdout
