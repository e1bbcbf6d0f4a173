import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import graphtask as gt
from graphtask.data.batches import Batches, channel_statistics
from graphtask.training.config import OptimizationConfig
from graphtask.training.loop import Trainer
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


def plain_loop(net, batches, *, momentum=0.9, clip=None, warm_up=0, decay=None):
    """Train as PyTorch's own documentation has it: SGD, LambdaLR at every step, clip_grad_norm_, AveragedModel."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=momentum, weight_decay=1e-4)
    steps = warm_up * len(batches)
    rise = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / steps, 1) if steps else 1
    )
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay or 0.0), use_buffers=True)
    norms = []
    for epoch in range(2):
        for images, labels in batches.epoch(seed=2, epoch=epoch):
            loss = cross_entropy(net(images).float(), labels)  # which training takes in single precision
            loss = loss + 0.01 * net.edge_weight.tanh().abs().sum()
            optimizer.zero_grad()
            loss.backward()
            norms.append(clip_grad_norm_(net.parameters(), clip or 1e9).item())
            optimizer.step()
            average.update_parameters(net)
            rise.step()
    return average.module if decay else net, norms


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_clip": 0.45},
        {"warm_up": 1.5},
        {"ema": 0.8},
        {"gradient_clip": 0.45, "warm_up": 1.5, "ema": 0.8},
    ],
)
def test_ten_steps_with_them_are_those_of_plain_pytorch_in_double_precision(digits, options):
    mean, std = channel_statistics(digits.x_train)
    arguments = {"batch_size": 24, "mean": mean, "std": std, "dtype": torch.float64}
    train = Batches(digits.x_train, digits.y_train, padding=4, flip=True, **arguments)
    net = gt.compile(gt.full_dag(5, stages=2), channels=2, seed=1).double()
    expected, norms = plain_loop(
        copy.deepcopy(net), train, clip=options.get("gradient_clip"), warm_up=options.get("warm_up", 0),
        decay=options.get("ema"),
    )  # fmt: skip
    assert len(norms) == 10
    assert min(norms) < 0.45 < max(norms), "some gradients are clipped and others are not"
    config = gt.TrainConfig(
        epochs=2, learning_rate=0.05, milestones=(), edge_l1=0.01, seed=2, threshold=0.1, **options
    )
    test = Batches(digits.x_test, digits.y_test, **arguments)
    trainer = Trainer(net, train=train, test=test, config=config)
    trainer.fit()
    found = trainer.trained.state_dict()
    assert found.keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert torch.allclose(found[name], value, rtol=1e-9, atol=1e-12), name
    magnitudes = expected.edge_weight.tanh().abs()
    assert trainer.rows[-1]["resource_loss"] == pytest.approx(magnitudes.sum().item(), rel=1e-9)
    assert trainer.rows[-1]["live_edges"] == (magnitudes >= 0.1).sum()


def test_values_that_change_nothing_give_the_bits_of_a_run_without_them(digits):
    plain = train(digits)
    for same in (train(digits, gradient_clip=1e30), train(digits, warm_up=0), train(digits, ema=0.0)):
        assert same.graph.es["w"] == plain.graph.es["w"]
        assert all(torch.equal(same.weights[name], value) for name, value in plain.weights.items())


@pytest.mark.parametrize("schedule", ["steps", "CosineAnnealingLR"])
def test_a_warm_up_multiplies_any_schedule_and_the_table_has_the_rate_at_the_end_of_each_epoch(
    digits, schedule
):
    options = {"epochs": 5, "schedule": schedule, "milestones": (0.6,)}
    plain, risen = train(digits, **options), train(digits, warm_up=4, **options)
    factors = risen.metrics["learning_rate"] / plain.metrics["learning_rate"]
    assert factors.tolist() == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_the_proximal_threshold_rises_with_the_learning_rate(digits):
    options = {"epochs": 1, "batch_size": 120, "edge_update": "proximal", "edge_l1": 1.0}
    loss = train(digits, **options | {"edge_l1": 0.0}, warm_up=4).history.w[1]
    found = train(digits, **options, warm_up=4).history.magnitudes[1]
    assert found == pytest.approx(np.tanh(loss) - 0.1 / 4 * 1.0 / (1 - 0.9), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {
            "optimizer": "AdamW", "learning_rate": 0.01, "schedule": "CosineAnnealingLR",
            "edge_learning_rate": 0.02, "edge_update": "proximal", "validation": 0.2, "early_stopping": 3,
        },
        {"gradient_clip": 0.5},
        {"warm_up": 1.5},
        {"ema": 0.8},
        {"gradient_clip": 0.5, "warm_up": 2.5, "ema": 0.8, "edge_update": "proximal", "precision": "bf16"},
    ],
)  # fmt: skip
def test_a_run_with_another_optimizer_and_schedule_resumes_to_the_same_bits(
    digits, tmp_path, monkeypatch, options
):
    from graphtask.training.checkpointing import Checkpointer

    options |= {"checkpoint_seconds": 0.0}
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
    assert all(torch.equal(again.weights[name], value) for name, value in whole.weights.items())
    columns = whole.metrics.columns.drop("seconds")
    assert again.metrics[columns].equals(whole.metrics[columns])
