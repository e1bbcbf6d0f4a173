"""Gates: functions of the raw weight w that an edge multiplies by, and their inverse for the initial weight."""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from graphtask.errors import ArgumentError
from graphtask.named import called
from graphtask.validation import invalid

GateFunction: TypeAlias = Callable[[Tensor], Tensor]
Gate: TypeAlias = str | GateFunction

_WIDEST = 20.0  # raw weights that a custom gate is searched in
_SEARCHED = np.linspace(-_WIDEST, _WIDEST, 4001)


def identity(weight: Tensor) -> Tensor:
    """Return the raw weight itself, the gate ``none``."""
    return weight


GATES: dict[str, GateFunction] = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "none": identity}
"""Built-in gates by name."""


_RANGES: dict[GateFunction, tuple[float, float]] = {torch.tanh: (-1.0, 1.0), torch.sigmoid: (0.0, 1.0)}
_INVERSES: dict[GateFunction, Callable[[float], float]] = {
    torch.tanh: math.atanh,
    torch.sigmoid: lambda value: math.log(value) - math.log1p(-value),
    identity: lambda value: value,
}


def check_gate(gate: GateFunction, name: str) -> None:
    """Raise unless a gate maps a tensor to finite values of its shape and dtype, element by element.

    Raises:
        ArgumentError: It does not, or fails; the message names the gate.

    Example:
        >>> check_gate(torch.sin, "torch:sin")
    """
    weight = torch.linspace(-1, 1, 5, dtype=torch.float64)
    values = called(gate, name, weight, name="gate")
    of_one = called(gate, name, weight[:1], name="gate")
    if (
        not isinstance(values, Tensor)
        or (values.shape, values.dtype) != (weight.shape, weight.dtype)
        or not torch.isfinite(values).all()
        or not torch.allclose(values[:1], of_one)  # vector instructions may round in another way
    ):
        raise invalid(
            "gate", "a function of a tensor that returns a finite value for each of its elements", name
        )


def raw_weight(gate: GateFunction, value: float, *, name: str) -> float:
    """Return the raw weight w with gate(w) = value; of several, one of the smallest magnitude in steps of 0.01.

    Args:
        gate: The gate.
        value: Value to reach.
        name: Name of the gate, for messages.

    Raises:
        ArgumentError: No raw weight reaches it; for a custom gate, none in [−20, 20].

    Example:
        >>> raw_weight(torch.sigmoid, 0.5, name="sigmoid"), round(raw_weight(torch.sin, 0.5, name="sin"), 9)
        (0.0, 0.523598776)
    """
    inverse = _INVERSES.get(gate)
    low, high = _RANGES.get(gate, (-math.inf, math.inf))
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low < number < high:
        raise invalid("initial_weight", f"a number in ({low:g}, {high:g}) for gate={name!r}", value)
    return inverse(number) if inverse else _solved(gate, number, name=name)


def _solved(gate: GateFunction, value: float, *, name: str) -> float:
    """Return the solution of gate(w) = value by bisection (Brent, 1973) in the bracket nearest to 0."""
    with torch.no_grad():
        differences = gate(torch.from_numpy(_SEARCHED)).numpy() - value
    brackets = np.flatnonzero((differences[:-1] <= 0) != (differences[1:] <= 0))
    if not len(brackets):
        raise ArgumentError(
            f"initial_weight must be a value of the gate {name} at a raw weight in [-{_WIDEST:g}, {_WIDEST:g}], got {value:g}"
        )
    middles = np.abs(_SEARCHED[brackets] + _SEARCHED[brackets + 1])
    first = brackets[np.argmin(middles)]

    def difference(weight: float) -> float:
        with torch.no_grad():
            return gate(torch.tensor([weight], dtype=torch.float64)).item() - value

    return float(brentq(difference, _SEARCHED[first], _SEARCHED[first + 1], xtol=1e-14))
