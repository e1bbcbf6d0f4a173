import sys

import numpy as np
import pytest
import torch
from torch import nn

import graphtask as gt
from graphtask_cli.main import cli

OPTIONS = {"channels": 2, "epochs": 1, "batch_size": 60, "progress": False}


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """A module of the user's, outside the package, with a block in a few lines."""
    (tmp_path / "my_blocks.py").write_text(
        "from torch import nn\n"
        "class Depthwise(nn.Module):\n"
        "    def __init__(self, in_channels, out_channels, stride=1):\n"
        "        super().__init__()\n"
        "        self.depth = nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels)\n"
        "        self.point = nn.Conv2d(in_channels, out_channels, 1)\n"
        "        self.norm = nn.BatchNorm2d(out_channels)\n"
        "    def forward(self, a):\n"
        "        return self.norm(self.point(self.depth(a)))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_blocks:Depthwise"
    sys.modules.pop("my_blocks", None)


def test_a_block_by_name_or_as_a_class_trains_the_same_network(blocks, digits):
    named = gt.train(gt.full_dag(4), data=digits, block=blocks, **OPTIONS)
    import my_blocks

    given = gt.train(gt.full_dag(4), data=digits, block=my_blocks.Depthwise, **OPTIONS)
    assert named.config.model.block == given.config.model.block == blocks
    assert all(torch.equal(value, given.weights[key]) for key, value in named.weights.items())


def test_code_that_a_run_names_is_imported_only_when_it_is_named_again(blocks, digits, tmp_path):
    gt.train(gt.full_dag(4), data=digits, block=blocks, out=tmp_path / "run", **OPTIONS)
    sys.modules.pop("my_blocks", None)
    run = gt.Run.open(tmp_path / "run")
    with pytest.raises(
        gt.errors.RunError, match=r"custom block '?my_blocks:Depthwise'?, which is not imported by itself"
    ):
        run.module()
    with pytest.raises(gt.errors.RunError, match="or --allow-import my_blocks:Depthwise"):
        gt.retrain(run, data=digits, threshold=0.0, progress=False)
    assert "my_blocks" not in sys.modules
    allowed = gt.Run.open(tmp_path / "run", imports=[blocks])
    assert isinstance(allowed.module().node("v1").depth, nn.Conv2d)
    again = gt.retrain(run, data=digits, threshold=0.0, block=blocks, progress=False)
    assert again.config.model.block == blocks


class Stop(gt.training.Callback):
    """Ends training in its second epoch."""

    def step(self, trainer, **_):
        if (trainer.epoch, trainer.step) == (1, 1):
            raise KeyboardInterrupt


@pytest.mark.parametrize("block", ["separable", "transformer"])
def test_every_tool_works_on_runs_of_a_built_in_block(block, tmp_path):
    rng = np.random.default_rng(0)
    digits = gt.load_data((rng.integers(0, 256, (120, 8, 8, 3), dtype=np.uint8), np.arange(120) % 3))
    options = {**OPTIONS, "epochs": 2, "block": block, "checkpoint_seconds": 0, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        gt.train(gt.full_dag(5), data=digits, out=tmp_path / "run", callbacks=[Stop()], **options)
    gt.train(gt.full_dag(5), data=digits, out=tmp_path / "run", **options)
    straight = gt.train(gt.full_dag(5), data=digits, **options)
    run = gt.Run.open(tmp_path / "run")
    assert all(torch.equal(value, straight.weights[key]) for key, value in run.weights.items())
    assert gt.training.parity(run, threshold=0.1, data=digits).score_trained == run.test_score
    swept = gt.sweep(run, thresholds=[0, 0.1], metrics="edges", data=digits, progress=False)
    assert swept.table["test_accuracy"][0] == run.test_score
    again = gt.retrain(run, channels="fit", threshold=0.1, data=digits, epochs=1, progress=False)
    assert again.config.model.block == block
    table = gt.training.compare_retrained(run, {"retrained": again}, threshold=0.1, data=digits).table
    n_parameters = sum(parameter.numel() for parameter in run.module().parameters())
    assert table["parameters"].tolist()[0] == n_parameters


def test_the_command_line_imports_what_is_named_again(blocks, tmp_path, capsys):
    def graphtask(*words):
        return cli([str(word) for word in words], standalone_mode=False)

    x = torch.rand(40, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    np.savez(tmp_path / "x.npz", x=x.numpy(), y=np.arange(40) % 2)
    gt.write(gt.full_dag(3, stages=1), tmp_path / "g.graphml")
    run, words = tmp_path / "run", ["--channels", 2, "--epochs", 1, "--threads", 1, "--block", blocks]
    graphtask("train", tmp_path / "g.graphml", "--data", tmp_path / "x.npz", *words, "-o", run)
    sys.modules.pop("my_blocks", None)
    graphtask("sweep", run, "--thresholds", "0")
    assert "--allow-import my_blocks:Depthwise" in capsys.readouterr().err
    assert "my_blocks" not in sys.modules
    graphtask("sweep", run, "--thresholds", "0", "--allow-import", blocks)
    graphtask("prune", run, "--threshold", "0", "--parity", "--allow-import", blocks)
    assert "accuracy_pruned" in capsys.readouterr().out
