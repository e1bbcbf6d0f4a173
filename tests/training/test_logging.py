import sys
import types
from typing import ClassVar

import pytest

import graphtask as gt

OPTIONS = {"channels": 1, "epochs": 2, "batch_size": 60, "progress": False, "validation": 0.2}


class Writer:
    """A stand-in for the writer of TensorBoard."""

    written: ClassVar[list] = []

    def __init__(self, folder, *, purge_step):
        self.written.append(("open", folder, purge_step))

    def add_scalar(self, name, value, step):
        self.written.append((name, value, step))

    def add_histogram(self, name, values, step):
        self.written.append((name, len(values), step))

    def close(self):
        self.written.append(("close",))


def test_tensorboard_gets_the_numbers_of_every_epoch(digits, monkeypatch, tmp_path):
    module = types.SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(Writer, "written", [])
    run = gt.train(gt.full_dag(3), data=digits, callbacks=[gt.training.TensorBoard(tmp_path)], **OPTIONS)
    found = Writer.written
    assert (found[0], found[-1]) == (("open", str(tmp_path), 1), ("close",))
    losses = [value for name, value, *_ in found[1:-1] if name == "train_loss"]
    assert losses == run.metrics["train_loss"].tolist()
    assert [entry for entry in found if entry[0] == "test_loss"] == [
        ("test_loss", run.metrics["test_loss"].iloc[-1], 2)
    ]  # not in epochs without a test
    assert ("edge_weight", 3, 2) in found


def test_wandb_or_any_object_with_a_log_gets_the_rows(digits):
    logged = {}
    logger = types.SimpleNamespace(log=lambda values, step, **_: logged.update({step: values}))
    run = gt.train(gt.full_dag(3), data=digits, callbacks=[gt.training.WandB(logger)], **OPTIONS)
    assert sorted(logged) == [1, 2]
    assert logged[2]["validation_accuracy"] == run.metrics["validation_accuracy"].iloc[-1]
    with pytest.raises(gt.errors.ArgumentError, match=r"run must be the result of wandb\.init"):
        gt.training.WandB(3)


def test_the_event_file_of_tensorboard_has_the_metrics_table(digits, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = gt.train(gt.full_dag(3), data=digits, callbacks=[gt.training.TensorBoard(tmp_path)], **OPTIONS)
    events = accumulator.EventAccumulator(str(tmp_path), size_guidance={"histograms": 0}).Reload()
    for name in run.metrics.columns.drop("epoch"):
        rows = run.metrics[["epoch", name]].dropna()
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(epoch, pytest.approx(value)) for epoch, value in rows.to_numpy().tolist()]
    counts = [(event.step, event.histogram_value.num) for event in events.Histograms("edge_weight")]
    assert counts == [(1, 3), (2, 3)]


def test_wandb_has_the_last_epoch_before_the_run_ends(digits, monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    logged = wandb.init(project="graphs")
    run = gt.train(gt.full_dag(3), data=digits, callbacks=[gt.training.WandB(logged)], **OPTIONS)
    found = dict(logged.summary)
    logged.finish()
    last = run.metrics.iloc[-1].drop("epoch")
    assert {name: found[name] for name in last.index} == pytest.approx(last.to_dict())
    assert found["_step"] == 2
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(gt.errors.ArgumentError, match="needs the package tensorboard; pip install"):
        gt.training.TensorBoard(tmp_path)
