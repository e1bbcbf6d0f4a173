import itertools

import numpy as np
import pytest
import torch

import graphtask as gt

OPTIONS = {
    "channels": 2,
    "epochs": 1,
    "batch_size": 60,
    "progress": False,
    "device": "cpu",
    "metrics": "edges",
}


def test_each_run_starts_where_the_one_before_ended(digits, tmp_path):
    path = gt.l1_path(
        gt.full_dag(5), data=digits, edge_l1s=[0.3, 0.01, 0.1], threshold=0.3, out=tmp_path, **OPTIONS
    )
    assert path.table["edge_l1"].tolist() == [0.01, 0.1, 0.3]
    assert [run.folder.name for run in path.runs] == ["edge_l1-0.01", "edge_l1-0.1", "edge_l1-0.3"]
    for before, after in itertools.pairwise(path.runs):
        assert np.array_equal(after.history.w[0], before.history.w[-1])
    swept = gt.sweep(
        path.runs[1], thresholds=[0.3], metrics="edges", data=digits, device="cpu", progress=False
    )
    assert path.table["test_accuracy"][1] == swept.table["test_accuracy"][0]
    again = gt.l1_path(
        gt.full_dag(5), data=digits, edge_l1s=[0.3, 0.01, 0.1], threshold=0.3, out=tmp_path, **OPTIONS
    )
    assert again.table.equals(path.table)
    assert [axes.get_title(loc="left") for axes in path.plot(metrics=["sparsity"]).axes] == [
        "test accuracy", "edges", "sparsity"
    ]  # fmt: skip


def test_the_table_of_another_task_has_the_same_columns(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    path = gt.l1_path(
        gt.full_dag(3, stages=1), data=(x, x[:, :1]), task="regression", block="mlp", edge_l1s=[0.01, 0.010000001],
        out=tmp_path, **OPTIONS,
    )  # fmt: skip
    assert "test_r2" in path.table
    assert not [name for name in path.table if name.startswith(("trained_", "decision_"))]
    assert len({run.folder for run in path.runs}) == 2  # λ that differ in the last digits


def test_a_run_starts_with_the_blocks_of_another(digits):
    options = {name: value for name, value in OPTIONS.items() if name != "metrics"}
    run = gt.train(gt.full_dag(4), data=digits, **options)
    still = gt.train(run.graph, data=digits, start=run, **{**options, "learning_rate": 1e-9, "momentum": 0.0})
    for name, value in run.weights.items():
        if "running" not in name:
            assert torch.allclose(still.weights[name], value, atol=1e-6)
    with pytest.raises(gt.errors.ArgumentError, match="start must be a run of this network"):
        gt.train(gt.full_dag(5), data=digits, start=run, **options)


def test_the_default_path_is_around_the_lambda_of_the_configuration():
    from graphtask.training.path import _grid

    assert _grid(gt.TrainConfig(edge_l1=0.02), None) == [0.002, 0.00431, 0.00928, 0.02, 0.0431, 0.0928, 0.2]
    for edge_l1s in ([], [0.0, 0.1]):
        with pytest.raises(gt.errors.ArgumentError, match="edge_l1s must be numbers > 0, at least one"):
            _grid(gt.TrainConfig(), edge_l1s)
    with pytest.raises(gt.errors.ArgumentError, match="the middle of the path"):
        _grid(gt.TrainConfig(edge_l1=0), None)
