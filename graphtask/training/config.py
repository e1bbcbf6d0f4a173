"""The training regime: how long, how fast, and at what price."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

from graphtask.errors import ArgumentError


@dataclass(frozen=True, kw_only=True)
class Regime:
    """How a network is trained; the defaults are those of Janik & Nowak (2020), Appendix A.

    The loss is cross-entropy + ``edge_l1`` · Σ|gate(w)| over the edges, minimized by SGD.

    Raises:
        ArgumentError: A value is outside its range.

    Example:
        >>> regime = Regime(epochs=10)
        >>> [round(regime.learning_rate_at(epoch), 4) for epoch in (0, 7, 8, 9)]
        [0.1, 0.1, 0.01, 0.001]
    """

    epochs: int = 100
    """Passes over the training images, at least 1."""

    batch_size: int = 128
    """Images a step, at least 2 (batch normalization needs more than one); the last, shorter batch is kept."""

    learning_rate: float = 0.1
    """Step size of SGD at the start, above 0."""

    momentum: float = 0.9
    """Momentum of SGD, in [0, 1)."""

    weight_decay: float = 1e-4
    """L2 penalty of SGD on every parameter, edge weights included; at least 0."""

    milestones: tuple[float, ...] = (0.8, 0.9)
    """Fractions of ``epochs``, in [0, 1], after which the learning rate falls; an epoch that such a point falls into is finished first."""

    learning_rate_decay: float = 0.1
    """Factor on the learning rate at each milestone, in (0, 1]."""

    edge_l1: float = 1e-3
    """λ, the price of a connection of full strength; at least 0."""

    crop_padding: int = 4
    """Black pixels around an image before it is cropped at random back to its size; 0 switches crops off."""

    flip: bool = True
    """Whether half of the training images are mirrored left to right at random."""

    threshold: float = 0.006
    """τ: connections of at least this magnitude count as live in the reports; at least 0."""

    def __post_init__(self) -> None:
        wholes = ("epochs", "batch_size", "crop_padding")
        self._check((name, _is_whole(getattr(self, name)), "a whole number") for name in wholes)
        numbers = {field.name for field in fields(self)} - {*wholes, "milestones", "flip"}
        self._check((name, _is_number(getattr(self, name)), "a number") for name in sorted(numbers))
        self._check(
            [
                ("flip", isinstance(self.flip, bool), "True or False"),
                ("milestones", _are_numbers(self.milestones), "numbers in a row, such as (0.8, 0.9)"),
            ]
        )
        self._check(
            [
                ("epochs", self.epochs >= 1, "at least 1"),
                ("batch_size", self.batch_size >= 2, "at least 2"),
                ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
                ("momentum", 0 <= self.momentum < 1, "in [0, 1)"),
                ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0"),
                (
                    "milestones",
                    all(0 <= milestone <= 1 for milestone in self.milestones),
                    "fractions in [0, 1]",
                ),
                ("learning_rate_decay", 0 < self.learning_rate_decay <= 1, "in (0, 1]"),
                ("edge_l1", 0 <= self.edge_l1 < math.inf, "at least 0"),
                ("crop_padding", self.crop_padding >= 0, "at least 0"),
                ("threshold", 0 <= self.threshold < math.inf, "at least 0"),
            ]
        )

    def _check(self, rules: Iterable[tuple[str, bool, str]]) -> None:
        for name, holds, expected in rules:
            if not holds:
                raise ArgumentError(f"{name} is {getattr(self, name)!r}; it has to be {expected}")

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate during ``epoch``, counted from 0."""
        # Rounded, because 0.07 · 100 is a little more than 7 in binary.
        passed = sum(epoch >= round(milestone * self.epochs, 9) for milestone in self.milestones)
        return self.learning_rate * self.learning_rate_decay**passed


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_numbers(values: object) -> bool:
    return isinstance(values, tuple | list) and all(map(_is_number, values))
