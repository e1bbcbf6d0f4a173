import dataclasses

import numpy as np
import pytest

import graphtask as gt
from graphtask.training.batches import split_batches

OPTIONS = {"channels": 2, "epochs": 4, "batch_size": 40, "progress": False}


def train(digits, **options):
    return gt.train(gt.full_dag(5), data=digits, **OPTIONS | options)


def test_without_a_validation_split_everything_is_as_in_the_paper(digits):
    run = train(digits)
    assert "validation_loss" not in run.metrics
    assert train(digits, validation=0.0).graph.es["w"] == run.graph.es["w"]


def test_with_a_validation_split_the_test_images_are_used_once_at_the_end(digits):
    run = train(digits, validation=0.25)
    assert run.metrics["test_accuracy"].isna().tolist() == [True, True, True, False]
    assert run.metrics["validation_accuracy"].between(0, 1).all()
    other = dataclasses.replace(digits, x_test=digits.x_test[::-1].copy(), y_test=digits.y_test)
    again = train(other, validation=0.25)
    assert again.graph.es["w"] == run.graph.es["w"]
    assert again.metrics["validation_loss"].equals(run.metrics["validation_loss"])


def test_the_split_is_fixed_by_the_data_seed_and_not_by_that_of_the_run(digits):
    config = gt.TrainConfig(validation=0.25)
    one, two = (split_batches(digits, config.replace(seed=seed), device="cpu") for seed in (0, 1))
    assert one.validation.n_images == 30
    assert one.train.n_images == 90
    assert (one.validation._images == two.validation._images).all()
    other = split_batches(digits, config.replace(data_seed=1), device="cpu")
    assert not (one.validation._images == other.validation._images).all()


def test_early_stopping_stops_when_the_validation_loss_no_longer_falls(digits):
    options = {"validation": 0.25, "early_stopping": 2, "epochs": 30, "learning_rate": 0.3, "milestones": ()}
    run = train(digits, **options)
    losses = run.metrics["validation_loss"].to_numpy()
    assert len(losses) < 30
    assert losses[-2:].min() >= losses[:-2].min()
    assert not any(losses[k - 2 : k].min() >= losses[: k - 2].min() for k in range(3, len(losses)))
    assert np.isfinite(run.test_score)


def test_the_suggested_threshold_uses_no_test_image(digits):
    for options in ({}, {"validation": 0.25}):
        run = train(digits, edge_l1=0.05, **options)
        upside_down = dataclasses.replace(digits, x_test=digits.x_test[::-1].copy())
        found = [gt.sweep(run, data=data, metrics="edges", progress=False) for data in (digits, upside_down)]
        assert found[0].suggested_threshold == found[1].suggested_threshold
        assert not found[0].table["test_accuracy"].equals(found[1].table["test_accuracy"])
        assert found[0].table["decided_on"][0] == ("validation" if options else "train")


def test_a_sweep_draws_itself_and_describes_itself_on_one_line(digits):
    result = gt.sweep(train(digits, epochs=1), thresholds=[0, 0.5, 2], metrics="edges", progress=False)
    assert result.plot().axes
    assert repr(result).startswith("SweepResult('', 3 thresholds, critical ")


def test_the_change_of_the_edges_per_epoch_is_recorded(digits):
    run = train(digits, edge_l1=0.05, threshold=0.1)
    sums = run.history.magnitudes.sum(axis=1)
    live = (run.history.magnitudes >= 0.1).sum(axis=1)
    expected = [
        max(abs(sums[k] - sums[k - 1]) / sums[k - 1], abs(live[k] - live[k - 1]) / live[k - 1])
        for k in range(1, 5)
    ]
    assert run.metrics["edge_change"].tolist() == pytest.approx(expected, rel=1e-6)


class Recorder(gt.training.Callback):
    """Notes every call."""

    def __init__(self):
        self.calls = []

    def start(self, trainer):
        self.calls.append(("start", trainer.epoch))

    def step(self, trainer, *, loss, score):
        assert loss > 0
        assert 0 <= score <= 1
        self.calls.append(("step", trainer.step))

    def epoch(self, trainer, row):
        assert trainer.rows[-1] is row
        self.calls.append(("epoch", row["epoch"]))

    def end(self, trainer):
        self.calls.append(("end", trainer.epoch))


def test_callbacks_are_called_at_their_moments(digits):
    recorder = Recorder()
    train(digits, epochs=2, batch_size=60, callbacks=[recorder])
    steps = [("step", 1), ("step", 2)]
    assert recorder.calls == [("start", 0), *steps, ("epoch", 1), *steps, ("epoch", 2), ("end", 2)]


def test_the_end_is_called_after_an_error_too(digits):
    recorder = Recorder()
    with pytest.raises(gt.errors.DivergedError):
        train(digits, learning_rate=1e30, edge_l1=0.0, callbacks=[recorder])
    assert recorder.calls[-1][0] == "end"
