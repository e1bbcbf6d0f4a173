"""Optimizer and learning rate schedule of a run, and the proximal step of the edge weights."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphtask.compiler.module import GraphModule
from graphtask.errors import ArgumentError
from graphtask.named import load_named
from graphtask.training.config import OptimizationConfig

STEPS = "steps"


def build_optimizer(module: GraphModule, config: OptimizationConfig) -> torch.optim.Optimizer:
    """Return the optimizer of a configuration for all parameters of a module.

    The edge weights are a parameter group of their own if they have their own learning rate or weight decay.

    Raises:
        ArgumentError: The optimizer is unknown, or its arguments are invalid.
    """
    kind = load_named(config.optimizer, home=torch.optim, name="optimizer", base=torch.optim.Optimizer)
    arguments: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if kind is torch.optim.SGD:
        on = module.edge_weight.device.type
        arguments |= {"momentum": config.momentum, "fused": on in {"cpu", "cuda"}}
    known = inspect.signature(kind).parameters
    arguments = {key: value for key, value in arguments.items() if key in known}
    try:
        optimizer = kind(_groups(module, config), **(arguments | dict(config.optimizer_options)))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"optimizer {config.optimizer} refuses its arguments: {error}") from error
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ArgumentError(f"optimizer must be a class of optimizers, got {config.optimizer!r}")
    for group in optimizer.param_groups:
        group["initial_lr"] = float(group["lr"])
    return optimizer


class Schedule:
    """Learning rate of every epoch, as a factor on the initial rates of the parameter groups.

    A class of `torch.optim.lr_scheduler` steps a stand-in with the same initial rate, so that the optimizer itself is
    changed in one place only. Schedules that change the momentum have no such effect here.

    Args:
        config: Names the schedule and its arguments.

    Raises:
        ArgumentError: The schedule is unknown, or its arguments are invalid.

    Example:
        >>> schedule = Schedule(OptimizationConfig(epochs=2, schedule="CosineAnnealingLR"))
        >>> rates = []
        >>> for epoch in range(2):
        ...     rates.append(round(schedule.rate(epoch), 4))
        ...     schedule.step(loss=1.0)
        >>> rates
        [0.1, 0.05]
    """

    def __init__(self, config: OptimizationConfig) -> None:
        self._config = config
        self._stand_in = torch.optim.SGD([torch.zeros(1, device="cpu")], lr=config.learning_rate)
        self._scheduler: Any = None if config.schedule == STEPS else self._build()

    def rate(self, epoch: int, *, share: float = 1.0) -> float:
        """Return the learning rate during ``epoch``, counted from 0; epochs come in order.

        Args:
            epoch: Number of the epoch.
            share: During warm-up: the share of the epoch that the step completes, in (0, 1].
        """
        config, scheduler = self._config, self._scheduler
        rate = config.decayed_rate(epoch) if scheduler is None else self._stand_in.param_groups[0]["lr"]
        return float(rate) * config.warm_up_factor(epoch + share)

    def step(self, *, loss: float) -> None:
        """Finish an epoch; ``loss`` is that of the validation images if there are any, else of training."""
        if self._scheduler is None:
            return
        self._stand_in.step()
        if isinstance(self._scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self._scheduler.step(loss)
        else:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs; empty for ``steps``."""
        if self._scheduler is None:
            return {}
        return {"scheduler": self._scheduler.state_dict(), "stand_in": self._stand_in.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        if self._scheduler is not None and state:
            self._scheduler.load_state_dict(state["scheduler"])
            self._stand_in.load_state_dict(state["stand_in"])

    def _build(self) -> Any:
        name = self._config.schedule
        home = torch.optim.lr_scheduler
        kind = load_named(name, home=home, name="schedule", base=home.LRScheduler)
        options = dict(self._config.schedule_options)
        if "T_max" in inspect.signature(kind).parameters:
            options.setdefault("T_max", self._config.epochs)
        try:
            return kind(self._stand_in, **options)
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"schedule {name} refuses its arguments: {error}") from error


@torch.no_grad()
def proximal_step(edge_weight: Tensor, *, gate: str, step: float | Tensor) -> None:
    """Soft-threshold the gate values of raw edge weights in place: g ← sign(g) · max(|g| − step, 0).

    This is the proximal operator of step · Σ|g|: it minimizes ½(x − g)² + step·|x|.

    Args:
        edge_weight: Raw weights w.
        gate: ``tanh``, whose inverse restores w, or ``none``.
        step: Amount of the threshold, at least 0.

    Example:
        >>> w = torch.tensor([0.5, -0.3, 0.05, 0.0])
        >>> proximal_step(w, gate="none", step=0.1)
        >>> [round(value, 2) for value in w.tolist()]
        [0.4, -0.2, 0.0, 0.0]
    """
    values = edge_weight.tanh() if gate == "tanh" else edge_weight
    shrunk = values.sign() * (values.abs() - step).clamp_(min=0)
    # An edge whose gate is saturated in float32 would become infinite.
    edge_weight.copy_(shrunk.atanh().clamp_(-9, 9) if gate == "tanh" else shrunk)


def _groups(module: GraphModule, config: OptimizationConfig) -> list[Any]:
    own = {"lr": config.edge_learning_rate, "weight_decay": config.edge_weight_decay}
    own = {key: value for key, value in own.items() if value is not None}
    if not own:
        return list(module.parameters())
    others = [value for value in module.parameters() if value is not module.edge_weight]
    return [{"params": others}, {"params": [module.edge_weight], **own}]
