import numpy as np
import pytest
import torch

import graphtask as gt
from graphtask.training.config import OptimizationConfig
from graphtask.training.optimizer import Schedule, proximal_step

OPTIONS = {"channels": 2, "epochs": 3, "batch_size": 40, "progress": False, "seed": 1}


def train(digits, **options):
    return gt.train(gt.full_dag(5), data=digits, **OPTIONS | options)


def test_the_proximal_step_is_the_minimum_of_its_definition():
    w = torch.linspace(-1.5, 1.5, 31, dtype=torch.float64)
    candidates = torch.linspace(-1, 1, 20001, dtype=torch.float64)
    stepped = w.clone()
    proximal_step(stepped, gate="tanh", step=0.2)
    for before, after in zip(w.tanh(), stepped.tanh(), strict=True):
        objective = (candidates - before) ** 2 / 2 + 0.2 * candidates.abs()
        assert after.item() == pytest.approx(candidates[objective.argmin()].item(), abs=1e-4)
    assert (stepped == 0).any()


def test_a_saturated_edge_stays_finite():
    w = torch.tensor([20.0, -20.0])
    proximal_step(w, gate="tanh", step=0.0)
    assert torch.isfinite(w).all()


def test_one_proximal_step_is_sgd_on_the_loss_alone_and_then_the_threshold(digits):
    options = {"epochs": 1, "batch_size": 120, "momentum": 0.0, "learning_rate": 0.05, "edge_l1": 0.3}
    plain = train(digits, **options | {"edge_l1": 0.0})
    found = train(digits, edge_update="proximal", **options)
    expected = np.tanh(plain.history.w[1].astype(np.float64))
    expected = np.sign(expected) * np.maximum(np.abs(expected) - 0.05 * 0.3, 0)
    assert np.tanh(found.history.w[1]) == pytest.approx(expected, abs=1e-6)


def test_proximal_updates_make_unwanted_edges_exactly_zero_and_gradients_do_not(digits):
    options = {"epochs": 6, "edge_l1": 0.05}
    assert (train(digits, edge_update="proximal", **options).history.magnitudes[-1] == 0).any()
    assert not (train(digits, **options).history.magnitudes[-1] == 0).any()


def test_proximal_needs_a_gate_that_can_be_zero(digits):
    with pytest.raises(gt.errors.ArgumentError, match="sigmoid"):
        train(digits, edge_update="proximal", gate="sigmoid")


def test_a_penalty_that_jumps_over_zero_is_warned_of_and_a_proximal_one_is_none(digits):
    with pytest.warns(RuntimeWarning, match=r"edge_l1=1 at learning_rate=0\.1 .* edge_update='proximal'"):
        train(digits, edge_l1=1.0, epochs=1)
    pruned = train(digits, edge_l1=1.0, epochs=4, edge_update="proximal")
    assert pruned.history.magnitudes[-1].max() == 0


def test_edge_weights_may_have_a_learning_rate_and_a_weight_decay_of_their_own(digits):
    shared = train(digits)
    same = train(digits, edge_learning_rate=0.1, edge_weight_decay=1e-4)
    assert same.graph.es["w"] == shared.graph.es["w"], (
        "a group of its own with the same numbers changes nothing"
    )
    slow = train(digits, edge_learning_rate=1e-12, edge_weight_decay=0.0)
    assert slow.history.magnitudes[-1] == pytest.approx(0.5, abs=1e-6)


def test_optimizers_of_torch_are_taken_by_name_with_arguments(digits):
    run = train(digits, optimizer="AdamW", optimizer_options={"betas": [0.8, 0.9]}, learning_rate=0.01)
    assert np.isfinite(run.metrics["train_loss"]).all()
    other = train(
        digits, optimizer="torch.optim:AdamW", optimizer_options={"betas": [0.8, 0.9]}, learning_rate=0.01
    )
    assert run.graph.es["w"] == other.graph.es["w"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "AdamV"}, "unknown optimizer 'AdamV'; did you mean 'Adam"),
        ({"optimizer": "nowhere:Adam"}, "cannot be imported"),
        ({"optimizer": "AdamW", "optimizer_options": {"beta": 1}}, "AdamW refuses its arguments"),
        (
            {"optimizer": "SGD", "optimizer_options": {"nesterov": True}, "momentum": 0.0},
            "refuses its arguments",
        ),
        ({"schedule": "CosineAnealingLR"}, "unknown schedule .* did you mean 'CosineAnnealingLR'"),
        ({"schedule": "StepLR"}, "StepLR refuses its arguments"),
        ({"early_stopping": 2}, "early_stopping needs validation images"),
        ({"block": "nowhere:Block"}, "cannot be imported"),
        ({"block": 3}, "block must be a class or function"),
    ],
)
def test_names_and_arguments_that_are_wrong_are_one_line(digits, options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message) as caught:
        train(digits, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "options"),
    [("CosineAnnealingLR", {}), ("ExponentialLR", {"gamma": 0.5}), ("LinearLR", {"total_iters": 2})],
)
def test_a_schedule_gives_the_rates_that_torch_gives(schedule, options):
    config = OptimizationConfig(epochs=4, schedule=schedule, schedule_options=options)
    reference = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    arguments = {"T_max": 4} | options if schedule.startswith("Cosine") else options
    scheduler = getattr(torch.optim.lr_scheduler, schedule)(reference, **arguments)
    found = Schedule(config)
    for epoch in range(4):
        assert found.rate(epoch) == reference.param_groups[0]["lr"]
        reference.step()
        scheduler.step()
        found.step(loss=1.0)


def test_a_run_with_another_optimizer_and_schedule_resumes_to_the_same_bits(digits, tmp_path, monkeypatch):
    from graphtask.training.checkpointing import Checkpointer

    options = {
        "optimizer": "AdamW", "learning_rate": 0.01, "schedule": "CosineAnnealingLR", "edge_learning_rate": 0.02,
        "edge_update": "proximal", "validation": 0.2, "early_stopping": 3, "checkpoint_seconds": 0.0,
    }  # fmt: skip
    whole = train(digits, **options)
    calls = 0

    def stopped(self):
        nonlocal calls
        after_step(self)
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt

    after_step = Checkpointer.after_step
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "after_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(digits, out=tmp_path, **options)
    again = train(digits, out=tmp_path, **options)
    assert again.graph.es["w"] == whole.graph.es["w"]
    columns = whole.metrics.columns.drop("seconds")
    assert again.metrics[columns].equals(whole.metrics[columns])
