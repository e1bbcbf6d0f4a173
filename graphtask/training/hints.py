"""Hints on a finished run: a schedule that is too long for it, edges that have not settled, nothing to prune."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.runs.config import read_config
from graphtask.runs.metrics import read_metrics
from graphtask.runs.settling import SETTLED
from graphtask.training.config import OptimizationConfig, TrainConfig
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd


def run_hints(
    record: Mapping[str, Any], metrics: "pd.DataFrame", weights: Sequence[float], *, threshold: float
) -> list[str]:
    """Return what to change about a run whose edges are not settled, or too heavy to be pruned; empty if all is well.

    Args:
        record: Content of ``config.json``.
        metrics: Metrics table of the run.
        weights: Weights of the edges of the trained graph, |gate(w)|.
        threshold: τ, the pruning threshold.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(3), data=digits, channels=2, epochs=1, batch_size=64, progress=False)
        >>> for hint in run_hints(run.record, run.metrics, run.graph.es["weight"], threshold=0.006):
        ...     print(hint.partition(":")[0])
        the learning rate never fell
        no edge is below the threshold 0.006
    """
    optimization = TrainConfig.from_json(record).optimization
    rates = metrics["learning_rate"].tolist()
    since = _epochs_since_the_rate_fell(rates)
    steps = since * math.ceil(record.get("n_train", 0) / optimization.batch_size)
    hints = []
    if (
        rates[-1] == max(rates)  # after a warm-up they differ
        and optimization.schedule == "steps"
        and optimization.milestones
    ):
        hints.append(_too_short(optimization, len(rates)))
    if (change := float(metrics["edge_change"].iloc[-1])) > SETTLED:
        hints.append(
            f"the edges have not settled: Σ|gate(w)| or the number of live edges still changed by {change:.1%} in the "
            f"last epoch{', or is as far from its average' if optimization.ema else ''} (settled: {SETTLED:.0%}); train for "
            f"more epochs at the last learning rate"
        )
    if min(weights, default=0.0) >= threshold > 0:
        hints.append(_nothing_to_prune(optimization, rates[-1], steps, min(weights), threshold=threshold))
    return hints


def folder_hints(folder: Path, weights: Sequence[float], *, threshold: float) -> list[str]:
    """Return the hints of the run in a folder; arguments as in `run_hints`.

    Raises:
        RunError: The folder holds no run, or a damaged one.
    """
    return run_hints(read_config(folder), read_metrics(folder), weights, threshold=threshold)


def _too_short(optimization: OptimizationConfig, n_epochs: int) -> str:
    needed = math.floor(1 / (1 - max(optimization.milestones))) if max(optimization.milestones) < 1 else 0
    remedy = (
        f"use at least {needed} epochs, or earlier milestones"
        if needed > n_epochs
        else "use earlier milestones"
    )
    return (
        f"the learning rate never fell: the run is too short ({counted(n_epochs, 'epoch')}) for the milestones "
        f"{', '.join(f'{value:g}' for value in optimization.milestones)}; {remedy}"
    )


def _nothing_to_prune(
    optimization: OptimizationConfig, rate: float, steps: int, smallest: float, *, threshold: float
) -> str:
    floor, span = optimization.edge_step(rate), 1 / (1 - (optimization.ema or 0))
    facts = [f"the smallest weight is {smallest:.3g}"]
    if optimization.ema:
        facts.append(f"weights are averages over about {counted(round(span), 'step')}")
    elif optimization.edge_update == "gradient":
        facts.append(f"edges at rest swing by up to lr·λ/(1−μ) = {floor:.2g}")
    if steps:
        facts.append(f"the last learning rate ({rate:g}) lasted {counted(steps, 'step')}")
    if optimization.edge_l1 == 0:
        remedy = "set edge_l1 above 0"
    elif optimization.ema and steps < span:
        remedy = "train longer at the last learning rate, or lower ema"
    elif not optimization.ema and optimization.edge_update == "gradient" and floor >= threshold:
        remedy = "let the learning rate fall further, lower edge_l1, or use edge_update='proximal'"
    else:
        remedy = "train longer, or raise edge_l1"
    return f"no edge is below the threshold {threshold:g}: {', '.join(facts)}; {remedy}"


def _epochs_since_the_rate_fell(rates: Sequence[float]) -> int:
    last = rates[-1]
    return next((k for k, rate in enumerate(reversed(rates)) if rate != last), len(rates))
