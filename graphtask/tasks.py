"""Tasks: the targets, loss, score and head that a network is trained with; reached as ``graphtask.tasks``.

Outputs are (batch, outputs), or (batch, outputs, height, width) for one prediction a pixel. Targets are, by the kind
that the task names: ``classes``, integers of shape (batch,); ``values``, numbers of shape (batch, outputs); ``pixels``,
integers of shape (batch, height, width), where `IGNORED` stands for no label.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from graphtask.compiler.blocks import HeadFactory
from graphtask.data.targets import CLASSES, IGNORED, KINDS, PIXELS, VALUES
from graphtask.errors import ArgumentError
from graphtask.named import load_named
from graphtask.validation import choice, invalid

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Function of outputs and targets that returns the mean loss of a batch, a scalar."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Figure of merit of predictions; its name is the column of the tables, such as ``test_r2``.

    Args:
        name: A Python identifier; ``_`` is shown as a space.
        terms: Function of outputs and targets that returns the sum over the batch: a scalar, or with ``n_terms`` a
            matrix of shape (n_terms, outputs).
        n_terms: Rows of the matrix; 0 for a scalar.
        combine: Function of the terms, divided by the number of samples, that returns the score.
        larger_is_better: False if smaller scores are better.

    Raises:
        ArgumentError: The name is not an identifier, or names another column.

    Example:
        >>> within = Score(
        ...     name="within_one", terms=lambda outputs, targets: ((outputs - targets).abs() < 1).sum()
        ... )
        >>> within.value(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.5], [0.5]]))
        0.5
    """

    name: str
    terms: Callable[[Tensor, Tensor], Tensor]
    n_terms: int = 0
    combine: Callable[[Tensor], Tensor] = lambda mean: mean
    larger_is_better: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier() or self.name in {"loss", "images"}:
            raise invalid("name", "an identifier other than loss and images", self.name)

    def shape(self, n_outputs: int) -> tuple[int, ...]:
        """Return the shape of the terms of a network with that number of outputs."""
        return (self.n_terms, n_outputs) if self.n_terms else ()

    def at(self, mean: Tensor) -> float:
        """Return the score for the mean of the terms over all samples; NaN where it is not finite."""
        value = float(self.combine(mean))
        return value if abs(value) < float("inf") else float("nan")

    def value(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the score of predictions."""
        return self.at(_precise(self.terms(outputs, targets)) / len(targets))


def standard_error(score: Score, terms: Tensor) -> float:
    """Return the standard error of a score by the jackknife, for the terms of each sample, (samples, …).

    s² = (n − 1)/n · Σ_i (v_i − mean v)², where v_i is the score without sample i. For a score that is a mean over the
    samples this is the usual s/√n.

    Source:
        Efron & Stein, "The jackknife estimate of variance", Annals of Statistics 9 (1981).
    """
    n = len(terms)
    rest = (terms.sum(dim=0) - terms) / (n - 1)
    values = torch.tensor([score.at(mean) for mean in rest], dtype=torch.float64, device="cpu")
    return float(((n - 1) / n * (values - values.mean()).square().sum()).sqrt())


@dataclass(frozen=True, kw_only=True)
class Task:
    """Task of a network.

    Args:
        name: Name for ``task=``.
        targets: Kind of the targets: ``classes``, ``values`` or ``pixels``.
        loss: Mean loss of a batch.
        score: Figure of merit, in the place of the accuracy in all tables.
        head: Name of the head, or a function of (channels, outputs, stride); see `graphtask.compile`.

    Raises:
        ArgumentError: The kind of targets is unknown.
    """

    name: str
    targets: str
    loss: Loss
    score: Score
    head: HeadFactory | str = "pooled"

    def __post_init__(self) -> None:
        choice(self.targets, name="targets", choices=KINDS)

    def total_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the loss over a batch."""
        if self.loss is functional.cross_entropy and targets.ndim == 1:
            return functional.cross_entropy(outputs, targets, reduction="sum")
        return self.loss(outputs, targets) * len(targets)


def _accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == targets).sum()


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    targets = _precise(targets)
    return torch.stack([(_precise(outputs) - targets).square(), targets, targets.square()]).sum(dim=1)


def _r2(mean: Tensor) -> Tensor:
    error, target, square = mean.unbind()
    value: Tensor = (1 - error / (square - target.square())).mean()
    return value


def _counts(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return true positives, predicted positives and actual positives of every label."""
    found, true = outputs > 0, targets > 0.5
    return _precise(torch.stack([found & true, found, true]).sum(dim=1))


def _f1(mean: Tensor) -> Tensor:
    both, found, true = mean.unbind()
    value: Tensor = (2 * both / (found + true).clamp(min=1e-300)).mean()
    return value


def _overlaps(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return pixels in both, predicted pixels and labeled pixels of every class."""
    found, true = (
        functional.one_hot(part, outputs.shape[1]) for part in (outputs.argmax(dim=1), targets.clamp(min=0))
    )
    found, true = ((part * (targets >= 0)[..., None]).flatten(0, -2) for part in (found, true))
    return _precise(torch.stack([found * true, found, true]).sum(dim=1))


def _iou(mean: Tensor) -> Tensor:
    both, found, true = mean.unbind()
    union = found + true - both
    value: Tensor = (both[union > 0] / union[union > 0]).mean()
    return value


def _share_of_pixels(mean: Tensor) -> Tensor:
    return mean[0].sum() / mean[2].sum()


def _precise(values: Tensor) -> Tensor:
    """Return values in float64, where the device has it."""
    return values.float() if values.device.type == "mps" else values.double()


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(name="accuracy", terms=_accuracy),
        Score(name="r2", terms=_squares, n_terms=3, combine=_r2),
        Score(
            name="mae",
            terms=lambda outputs, targets: (outputs - targets).abs().mean(dim=1).sum(),
            larger_is_better=False,
        ),
        Score(
            name="rmse",
            terms=lambda outputs, targets: (outputs - targets).square().mean(dim=1).sum(),
            combine=torch.sqrt,
            larger_is_better=False,
        ),
        Score(name="f1", terms=_counts, n_terms=3, combine=_f1),
        Score(
            name="label_accuracy",
            terms=lambda outputs, targets: ((outputs > 0) == (targets > 0.5)).float().mean(dim=1).sum(),
        ),
        Score(name="iou", terms=_overlaps, n_terms=3, combine=_iou),
        Score(name="pixel_accuracy", terms=_overlaps, n_terms=3, combine=_share_of_pixels),
    )
}
"""Scores by name: ``accuracy``; R², mean absolute and root mean square error, means over the outputs; F1 as the mean over
the labels (positive: output > 0); the share of right labels; intersection over union as the mean over the classes that
occur; the share of right pixels."""

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(name="classification", targets=CLASSES, loss=functional.cross_entropy, score=SCORES["accuracy"]),
        Task(name="regression", targets=VALUES, loss=functional.mse_loss, score=SCORES["r2"]),
        Task(
            name="multilabel",
            targets=VALUES,
            loss=functional.binary_cross_entropy_with_logits,
            score=SCORES["f1"],
        ),
        Task(
            name="segmentation",
            targets=PIXELS,
            loss=functional.cross_entropy,
            score=SCORES["iou"],
            head="dense",
        ),
    )
}
"""Tasks by name."""

_LOSSES: Mapping[str, Loss] = {
    name: function
    for name, function in vars(functional).items()
    if name.endswith("_loss") or name in {"cross_entropy", "binary_cross_entropy_with_logits"}
}


def register(entry: Task | Score) -> None:
    """Give a task or a score its name, for ``task=name`` or ``score=name`` in this process.

    Other processes (the command line, studies) need ``package.module:name`` instead.

    Raises:
        ArgumentError: Another one has the name.

    Example:
        >>> from dataclasses import replace
        >>> register(replace(TASKS["regression"], name="robust", loss=functional.smooth_l1_loss))
        >>> load_task("robust").score.name
        'r2'
    """
    if not isinstance(entry, Task | Score):
        raise invalid("entry", "a Task or a Score", entry)
    registry: dict[str, Any] = TASKS if isinstance(entry, Task) else SCORES
    if registry.get(entry.name, entry) != entry:
        raise invalid("name", "one that no other entry has", entry.name)
    registry[entry.name] = entry


def load_task(
    task: str, *, loss: str | None = None, score: str | None = None, head: str | None = None
) -> Task:
    """Return the task of a name, with another loss, score or head where one is given.

    Args:
        task: Name in `TASKS`, or ``package.module:name`` of a `Task`.
        loss: Function of `torch.nn.functional`, such as ``smooth_l1_loss``, or ``package.module:name``.
        score: Name in `SCORES`, or ``package.module:name`` of a `Score`.
        head: As in `graphtask.compile`.

    Raises:
        ArgumentError: A name is unknown, cannot be imported, or names something else.

    Example:
        >>> load_task("regression", loss="smooth_l1_loss", score="mae").score.larger_is_better
        False
    """
    found: Task = _instance(load_named(task, home=TASKS, name="task"), Task, name="task", value=task)
    changes: dict[str, Any] = {}
    if loss is not None:
        changes["loss"] = load_named(loss, home=_LOSSES, name="loss")
        if not callable(changes["loss"]):
            raise invalid("loss", "a function of outputs and targets", loss)
    if score is not None:
        changes["score"] = _instance(
            load_named(score, home=SCORES, name="score"), Score, name="score", value=score
        )
    if head is not None:
        changes["head"] = head
    return replace(found, **changes) if changes else found


def _instance(found: Any, kind: type, *, name: str, value: str) -> Any:
    if not isinstance(found, kind):
        raise ArgumentError(
            f"{name} must name a graphtask.tasks.{kind.__name__}, got {value!r}", argument=name
        )
    return found


__all__ = ["IGNORED", "SCORES", "TASKS", "Score", "Task", "load_task", "register", "standard_error"]
