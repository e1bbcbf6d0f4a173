import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel

import graphtask as gt
from graphtask.training.batches import split_batches


@pytest.fixture(scope="module")
def trained(digits):
    """A network trained with AdamW in a loop of its own, and the history of its edges."""
    net = gt.compile(gt.full_dag(6), channels=2, seed=3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    batches = split_batches(digits, gt.TrainConfig(batch_size=40), device="cpu").train
    recorder = gt.EdgeHistory.record(net)
    for epoch in range(2):
        for images, labels in batches.epoch(seed=0, epoch=epoch):
            loss = cross_entropy(net(images), labels) + 0.01 * net.resource_loss()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        recorder.step()
    return net, recorder.history


def test_the_history_has_the_weights_at_the_start_and_after_every_epoch(trained):
    net, history = trained
    assert history.w.shape == (3, 15)
    assert history.magnitudes[0] == pytest.approx(0.5)
    assert np.array_equal(history.w[-1], net.edge_weight.detach().numpy())
    assert repr(history) == "EdgeHistory(15 edges, 2 epochs, gate='tanh')"


def test_every_tool_for_runs_works_on_it(trained, digits, tmp_path):
    net, history = trained
    run = gt.Run.from_module(net, data=digits, history=history, edge_l1=0.01, out=tmp_path / "run")
    assert run.graph.es["w"] == history.w[-1].tolist()
    assert np.array_equal(run.initial_graph.es["w"], history.w[0].astype(float))
    assert run.metrics["epoch"].tolist() == [1, 2]
    opened = gt.Run.open(tmp_path / "run")
    report = gt.training.parity(opened, threshold=0.1, data=digits, device="cpu")
    assert report.score_trained == run.test_score
    swept = gt.sweep(opened, thresholds=[0, 0.1], metrics="edges", data=digits, device="cpu", progress=False)
    assert swept.table["test_accuracy"][0] == run.test_score
    again = gt.retrain(opened, threshold=0.1, data=digits, epochs=1, batch_size=60, progress=False)
    assert (
        gt.training.compare_retrained(opened, {"retrained": again}, threshold=0.1, data=digits).table[
            "edges"
        ][0]
        == 15
    )
    gt.dynamics.edge_dynamics(opened.history, retained=gt.prune(opened.graph, threshold=0.1))


def test_the_table_of_the_loop_is_kept_and_the_test_added(trained, digits):
    net, history = trained
    table = pd.DataFrame({"train_loss": [2.0, 1.0], "grad_norm": [3.0, 4.0]})
    run = gt.Run.from_module(net, data=digits, history=history, metrics=table)
    assert run.metrics["train_loss"].tolist() == [2.0, 1.0]
    assert run.metrics["grad_norm"].tolist() == [3.0, 4.0]
    assert 0 <= run.test_score <= 1
    with pytest.raises(gt.errors.ArgumentError, match="metrics must be a table of 2 rows"):
        gt.Run.from_module(net, data=digits, history=history, metrics=table[:1])


def test_a_wrapped_network_without_a_history_is_a_run_too(digits):
    net = gt.compile(gt.full_dag(4), channels=1)
    run = gt.Run.from_module(AveragedModel(net), data=digits)
    assert (run.history.w.shape, len(run.metrics)) == ((1, 6), 1)


def test_the_tensors_of_a_split_are_the_images_that_networks_are_tested_on(digits):
    batches = split_batches(digits, gt.TrainConfig(batch_size=50), device="cpu").test
    images, labels = digits.tensors("test")
    assert torch.equal(images, torch.cat([batch for batch, _ in batches.in_order()]))
    assert labels.tolist() == digits.y_test.tolist()
    mean, std = (getattr(digits.x_train, name)(axis=(0, 1, 2)) for name in ("mean", "std"))
    expected = (digits.x_train - mean) / std
    assert digits.tensors()[0].permute(0, 2, 3, 1).numpy() == pytest.approx(expected, abs=1e-5)
    with pytest.raises(gt.errors.ArgumentError, match="split must be one of train, test, got 'val'"):
        digits.tensors("val")


@pytest.mark.filterwarnings("ignore")  # of Lightning and its dependencies
def test_the_lightning_module_of_the_documentation_is_a_run_for_all_tools(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    code = re.search(r"```py\n(import graphtask as gt\nimport lightning.*?)```", page, re.DOTALL)[1]
    quick = "max_epochs=2, logger=False, enable_checkpointing=False, accelerator='cpu'"
    found = {}
    for old, new in (
        ("max_epochs=8", quick),
        ("full_dag(8, stages=3)", "full_dag(5)"),
        ("channels=8", "channels=2"),
    ):
        assert old in code
        code = code.replace(old, new)
    exec(code, found)
    run = gt.Run.open("runs/lightning")
    assert run.history.w.shape == (3, 10)
    images, labels = gt.load_data("cdigits").tensors("test")
    hits = found["model"].net.eval()(images).argmax(dim=1) == labels
    assert run.test_score == pytest.approx(hits.double().mean().item())
    assert run.metrics["epoch"].tolist() == [1, 2]
    swept = gt.sweep(run, thresholds=[0], metrics="edges", device="cpu", progress=False)
    assert swept.table["test_accuracy"][0] == run.test_score
    gt.dynamics.edge_dynamics(run.history, retained=gt.prune(run.graph, threshold=0.1))


def test_a_history_of_another_network_and_a_module_without_edges_are_refused(trained, digits):
    _, history = trained
    with pytest.raises(gt.errors.ArgumentError, match="history must be that of this network"):
        gt.Run.from_module(gt.compile(gt.full_dag(4), channels=1), data=digits, history=history)
    with pytest.raises(gt.errors.ArgumentError, match="net must be a GraphModule, got 'Linear'"):
        gt.EdgeHistory.record(nn.Linear(2, 2))
    with pytest.raises(gt.errors.ArgumentError, match="must be a GraphModule"):
        gt.Run.from_module(nn.Linear(2, 2), data=digits)
