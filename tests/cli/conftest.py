import sys

import pytest
from click.testing import CliRunner
from helpers import InlineEngine

import graphtask as gt
from graphtask_cli.main import cli


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call graphtask in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # --import adds the folder
    runner = CliRunner()

    def invoke(*arguments, **options):
        return runner.invoke(cli, [str(argument) for argument in arguments], **options)

    return invoke


@pytest.fixture
def inline_study(monkeypatch):
    """Let studies train in this process, which has PyTorch already."""
    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: InlineEngine())


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A finished run of a full DAG of six nodes."""
    folder = tmp_path_factory.mktemp("runs") / "digits-0"
    options = "--data cdigits --channels 2 --epochs 1 --batch-size 256 --threads 1 --edge-l1 0.02 --quiet"
    arguments = ["train", str(_graph_file(tmp_path_factory)), *options.split(), "--out", str(folder)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return folder


def _graph_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("graphs") / "six.graphml"
    gt.write(gt.full_dag(6), path)
    return path


@pytest.fixture
def trained(tmp_path):
    """A file with a graph whose only path at threshold 0.3 is v0 → v1 → v4, and which breaks above 0.5."""
    graph = gt.full_dag(5, stages=2)
    weights = {("v0", "v1"): 0.5, ("v1", "v4"): 0.75, ("v0", "v2"): 0.4}
    names = [(edge.source_vertex["name"], edge.target_vertex["name"]) for edge in graph.es]
    graph.es["weight"] = [weights.get(name, 0.001) for name in names]
    graph.es["w"] = graph.es["weight"]
    path = tmp_path / "trained.graphml"
    gt.write(graph, path)
    return path
