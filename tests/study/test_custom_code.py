"""A study whose parts all come from a module of the user, by name: each in at most 15 lines."""

import sys

import pytest
from helpers import InlineEngine

import graphtask as gt

MODULE = """
import networkx
import numpy as np
import torch
from graphtask.tasks import Score
from torch import nn
from torch.nn import functional


def scans():
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    images = rng.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    images[labels == 1, :, :4] //= 3
    return images, labels


def ladder(steps, skip=2):
    graph = networkx.DiGraph()
    networkx.add_path(graph, [f"n{k}" for k in range(steps)])
    graph.add_edges_from((f"n{k}", f"n{k + skip}") for k in range(steps - skip))
    networkx.set_node_attributes(graph, 0, "stage")
    return graph


def block(in_channels, out_channels, stride):
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride, 1), nn.BatchNorm2d(out_channels))


class Head(nn.Module):
    def __init__(self, channels, n_classes, stride):
        super().__init__()
        self.last = nn.Linear(channels, n_classes)

    def forward(self, x):
        return self.last(x.amax(dim=(2, 3)))


def smooth(outputs, targets):
    return functional.cross_entropy(outputs, targets, label_smoothing=0.1)


class Signs(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(parameter.grad.sign(), alpha=-float(group["lr"]))


class Halves(torch.optim.lr_scheduler.LRScheduler):
    def get_lr(self):
        return [rate / 2**self.last_epoch for rate in self.base_lrs]


hits = Score(name="hits", terms=lambda outputs, targets: (outputs.argmax(1) == targets).sum())


def broken():
    raise RuntimeError("no disk\\nat all")
"""

STUDY = {
    "name": "mine",
    "seeds": 1,
    "device": "cpu",
    "channels": 2,
    "batch_size": 16,
    "learning_rate": 0.01,
    "epochs": 2,
    "threshold": 0.01,
    "block": "my_parts:block",
    "head": "my_parts:Head",
    "loss": "my_parts:smooth",
    "optimizer": "my_parts:Signs",
    "schedule": "my_parts:Halves",
    "score": "my_parts:hits",
    "priors": {"ladder": {"kind": "my_parts:ladder", "steps": 5}},
    "data": {"scans": {"source": "my_parts:scans"}},
}


@pytest.fixture
def values(tmp_path, monkeypatch):
    (tmp_path / "my_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield STUDY | {"out": str(tmp_path / "runs")}
    sys.modules.pop("my_parts", None)


def test_every_part_of_a_study_may_be_code_of_the_user(values, monkeypatch):
    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: InlineEngine())
    study = gt.Study.read(values)
    study.run(progress=False)
    results = study.results()
    assert results["status"].tolist() == ["finished"]
    assert results["test_hits"].between(0, 1).all()
    assert study.cost()["images"].tolist() == [52]
    named = study.jobs[0].code
    assert sorted(named) == [
        "block", "data", "head", "kind", "loss", "optimizer", "schedule", "score",
    ]  # fmt: skip
    run = gt.Run.open(study.jobs[0].folder, imports=named.values())
    assert run.initial_graph.ecount() == 4 + 3
    assert run.metrics["learning_rate"].tolist() == [0.01, 0.005]
    assert run.data_name == "scans"
    swept = gt.sweep(run, thresholds=[0], metrics="edges", device="cpu", progress=False)
    assert swept.table["test_hits"][0] == run.test_score

    sys.modules.pop("my_parts")
    with pytest.raises(gt.errors.RunError, match=r"names code, .* = 'my_parts:.*--allow-import my_parts:"):
        gt.Study.read(study.out)
    with pytest.raises(gt.errors.RunError, match="which is not imported by itself"):
        gt.Run.open(study.jobs[0].folder).data()
    assert "my_parts" not in sys.modules
    assert (
        gt.Study.read(study.out, imports=named.values()).results()["test_hits"].equals(results["test_hits"])
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"priors": {"mine": {"kind": "my_parts:stairs"}}}, r"\[priors\.mine\] kind 'my_parts:stairs' cannot be imported"),
        ({"priors": {"mine": {"kind": "my_parts:ladder"}}}, r"\[priors\.mine\] steps is missing"),
        ({"priors": {"mine": {"kind": "my_parts:ladder", "step": 5}}}, r"unknown key 'step'; did you mean 'steps'"),
        ({"priors": {"mine": {"kind": "my_parts:ladder", "steps": "x"}}}, r"cannot be created: kind 'my_parts:ladder' failed \(TypeError"),
        ({"priors": {"mine": {"kind": "my_parts:scans"}}}, r"cannot be created: .*graph"),
        ({"priors": {"mine": {"kind": "laddr"}}}, "unknown kind 'laddr'"),
    ],
)  # fmt: skip
def test_a_prior_that_cannot_be_made_is_one_line_with_its_table(values, changes, message):
    with pytest.raises(gt.errors.GraphtaskError, match=message) as caught:
        gt.Study.read(values | changes)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("values")
def test_data_of_the_user_that_fail_are_one_line():
    assert gt.load_data("my_parts:scans").name == "scans"
    with pytest.raises(
        gt.errors.ArgumentError, match=r"data 'my_parts:broken' failed \(RuntimeError: no disk at all\)"
    ):
        gt.load_data("my_parts:broken")
    with pytest.raises(gt.errors.ArgumentError, match=r"data 'my_parts:nothing' cannot be imported"):
        gt.load_data("my_parts:nothing")
    with pytest.raises(gt.errors.DataError):
        gt.load_data("my_parts:hits.name.upper")
