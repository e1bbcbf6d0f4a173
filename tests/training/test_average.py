import numpy as np
import pytest
import torch

import graphtask as gt
from graphtask.runs.settling import SETTLED
from graphtask.training.batches import split_batches
from graphtask.training.loop import evaluate

OPTIONS = {"channels": 2, "epochs": 3, "batch_size": 40, "progress": False, "seed": 1, "edge_l1": 0.02}


def train(digits, **options):
    return gt.train(gt.full_dag(5), data=digits, **OPTIONS | options)


def test_the_average_is_what_is_evaluated_reported_and_stored(digits, tmp_path):
    plain = train(digits, ema=None)
    run = train(digits, ema=0.9, out=tmp_path / "run")
    assert run.metrics["train_loss"].equals(plain.metrics["train_loss"]), "training itself is not changed"
    assert not np.array_equal(run.history.w[1:], plain.history.w[1:])
    assert run.graph.es["w"] == run.history.w[-1].tolist() == run.weights["edge_weight"].tolist()
    assert run.metrics["resource_loss"].iloc[-1] == pytest.approx(run.history.magnitudes[-1].sum(), rel=1e-6)
    test = split_batches(digits, run.config, device=torch.device("cpu")).test
    assert evaluate(run.module(), test) == tuple(run.metrics[["test_loss", "test_accuracy"]].iloc[-1])
    opened = gt.Run.open(tmp_path / "run")
    assert opened.config.optimization.ema == 0.9
    swept = gt.sweep(opened, thresholds=[0], metrics="edges", data=digits, device="cpu", progress=False)
    assert swept.table["test_accuracy"][0] == run.test_score


def test_edges_that_are_exactly_zero_are_zero_in_the_average(digits):
    options = {"epochs": 6, "edge_l1": 0.05, "edge_update": "proximal"}
    plain, run = train(digits, **options), train(digits, ema=0.9, **options)
    is_zero = plain.history.magnitudes == 0
    assert 0 < is_zero[-1].sum() < len(is_zero[-1])
    assert np.array_equal(run.history.magnitudes == 0, is_zero)


def test_an_average_that_is_far_behind_has_not_settled_though_it_hardly_moves(digits):
    run = train(digits, ema=0.9999, edge_l1=0.1)
    sums = run.history.magnitudes.sum(axis=1)
    assert abs(sums[-1] / sums[-2] - 1) < SETTLED / 10
    assert run.metrics["edge_change"].iloc[-1] > SETTLED
    assert any("or is as far from its average" in hint for hint in run.hints())


def test_a_run_is_trained_further_and_retrained_with_its_average(digits, tmp_path):
    options = {"ema": 0.8, "milestones": (), "warm_up": 1.5, "gradient_clip": 1.0}
    whole = train(digits, epochs=3, **options)
    train(digits, epochs=2, out=tmp_path, **options)
    further = train(digits, epochs=3, out=tmp_path, **options)
    assert further.graph.es["w"] == whole.graph.es["w"]
    again = gt.retrain(further, threshold=0.1, data=digits, epochs=1, batch_size=60, progress=False)
    optimization = again.config.optimization
    assert (optimization.ema, optimization.warm_up, optimization.gradient_clip) == (0.8, 1.5, 1.0)
