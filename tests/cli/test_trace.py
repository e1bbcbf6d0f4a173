import json

import pytest
from click.testing import CliRunner

import graphtask as gt
from graphtask.graph import provenance
from graphtask_cli.main import cli

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.image, self.head = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, words, image):
        print("a line of the module's own")
        return self.head(self.words(words).mean(1) + self.image(image))

class Chooses(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_for_the_command.py").write_text(NETS)
    return lambda *arguments: CliRunner().invoke(cli, ["trace", *arguments])


def test_a_torchvision_model_becomes_a_graph_file(run):
    result = run(
        "torchvision:squeezenet1_1", "--granularity", "block", "-o", "net.graphml", "--format", "json"
    )
    assert result.exit_code == 0, result.output
    graph = gt.read("net.graphml")
    record = json.loads(result.stdout)[0]
    assert (record["nodes"], record["edges"]) == (graph.vcount(), graph.ecount()) == (11, 10)
    assert result.stderr == "graphtask: wrote net.graphml\n"
    assert graph.vs["op"].count("Fire") == 8
    assert provenance(graph)["source"] == "torchvision:squeezenet1_1"


def test_a_module_of_the_current_folder_with_two_inputs(run):
    result = run("nets_for_the_command:Net", "--input", "1,5:int", "--input", "1,4", "-o", "net.graphml")
    assert result.exit_code == 0, result.output
    assert "own" not in result.output
    names = {"input", "words", "image", "words@1", "image@1", "add", "head"}
    assert set(gt.read("net.graphml").vs["name"]) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["torchvision:resnet19"], "did you mean resnet18"),
        (["torchvision:resnet18", "--input", "1,3"], "ResNet fails on this example"),
        (["nets_for_the_command:Chooses", "--input", "1,3"], "depends on the values of tensors"),
        (["nets_for_the_command:Net", "--block-class", "Net"], "--block-class must be None for granularity="),
    ],
)
def test_what_cannot_be_traced_is_one_line_and_no_file(run, tmp_path, arguments, message):
    result = run(*arguments, "-o", "net.graphml")
    assert result.exit_code == (2 if "--block-class" in arguments else 1)
    assert result.stderr.startswith("graphtask: error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not (tmp_path / "net.graphml").exists()


@pytest.mark.parametrize("shape", ["", "a", "1,0", "1,3:float", "1;3", "1,3:"])
def test_a_wrong_shape_is_a_wrong_call(run, shape):
    result = run("torchvision:resnet18", "--input", shape, "-o", "net.graphml")
    assert result.exit_code == 2
    assert "--input must be a shape such as" in result.stderr
