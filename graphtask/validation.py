"""Checks of arguments, with one wording for every invalid value, and counts for messages.

Template: ``<name> must be <requirement>, got <value>; <remedy>``. The command line replaces the name of the argument
by the name of its option (see `graphtask.errors.ArgumentError.argument`).
"""

import difflib
import math
import operator
import reprlib
from collections.abc import Collection, Iterable, Sequence
from numbers import Real

from graphtask.errors import ArgumentError

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def invalid(name: str, requirement: str, value: object, *, remedy: str = "") -> ArgumentError:
    """Return the error for an argument with an invalid value.

    Args:
        name: Name of the argument in the signature of the function that the caller used.
        requirement: Completes "must be …".
        value: Value that was passed; long values are abbreviated.
        remedy: What to do, if the requirement does not say it already.

    Example:
        >>> str(invalid("n_nodes", "an integer >= 2", 1))
        'n_nodes must be an integer >= 2, got 1'
    """
    message = f"{name} must be {requirement}, got {abbreviated(value)}"
    return ArgumentError(f"{message}; {remedy}" if remedy else message, argument=name)


def abbreviated(value: object) -> str:
    """Return a one-line description of a value, at most about 80 characters long.

    Arrays and tensors are described by their type, dtype and shape, never printed.

    Example:
        >>> import numpy as np
        >>> abbreviated(np.zeros((2, 3)))
        'ndarray of float64, shape (2, 3)'
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and len(shape) > 0:
        return f"{type(value).__name__} of {dtype}, shape {tuple(shape)}"
    return " ".join(_REPR.repr(value).split())


def integer(value: object, *, name: str, least: int = 1, most: int | None = None) -> int:
    """Return ``value`` as an int.

    Raises:
        ArgumentError: It is not an integer in [least, most].

    Example:
        >>> integer(3, name="n_nodes", least=2)
        3
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        found = None
    if found is None or found < least or (most is not None and found > most):
        raise invalid(name, f"an integer {_bounds(least, most)}", value)
    return found


def number(
    value: object,
    *,
    name: str,
    least: float = -math.inf,
    most: float = math.inf,
    least_open: bool = False,
    most_open: bool = False,
) -> float:
    """Return ``value`` as a finite float.

    Args:
        value: The value.
        name: Name of the argument, for messages.
        least: Lower bound.
        most: Upper bound.
        least_open: Exclude the lower bound.
        most_open: Exclude the upper bound.

    Raises:
        ArgumentError: It is not a finite number within the bounds.

    Example:
        >>> number(1, name="p", least=0, most=1)
        1.0
        >>> number(1, name="momentum", least=0, most=1, most_open=True)
        Traceback (most recent call last):
        graphtask.errors.ArgumentError: momentum must be a number in [0, 1), got 1
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        found = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except OverflowError:  # an int of more than 308 digits
        found = math.inf
    is_out = not least <= found <= most or math.isinf(found)
    if is_out or (least_open and found == least) or (most_open and found == most):
        bounds = _bounds(least, most, least_open=least_open, most_open=most_open)
        raise invalid(name, f"a number {bounds}".rstrip(), value)
    return found


def choice(value: object, *, name: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ArgumentError: It is not.

    Example:
        >>> choice("tanh", name="gate", choices=("tanh", "sigmoid"))
        'tanh'
    """
    if not isinstance(value, str) or value not in choices:
        raise invalid(name, f"one of {', '.join(choices)}", value)
    return value


def image_size(value: int | tuple[int, int], *, last_stage: int, name: str = "size") -> tuple[int, int]:
    """Return height and width of images, in pixels, if the last stage keeps at least one pixel, or one row of them.

    Raises:
        ArgumentError: They are not integers, or too small.
    """
    height, width = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
    height, width = integer(height, name=f"{name} (height)"), integer(width, name=f"{name} (width)")
    stride = 2**last_stage
    if (max if height == 1 else min)(height, width) < stride:  # one row is a sequence
        raise invalid(name, f"at least {stride}×{stride} pixels for stage {last_stage}", f"{height}×{width}")
    return height, width


def stage_selection(value: bool | Collection[int], *, name: str, stages: Collection[int]) -> tuple[int, ...]:
    """Return the selected stages: all of them for True, none for False, else those listed.

    Raises:
        ArgumentError: It is neither a bool nor a collection of existing stages.

    Example:
        >>> (
        ...     stage_selection(True, name="recompute", stages={0, 1}),
        ...     stage_selection([1], name="recompute", stages={0, 1}),
        ... )
        ((0, 1), (1,))
    """
    every = tuple(sorted(stages))
    if isinstance(value, bool):
        return every if value else ()
    if not isinstance(value, Collection) or not all(stage in every for stage in value):
        raise invalid(name, f"True, False, or stages among {', '.join(map(str, every))}", value)
    return tuple(sorted(set(value)))


def install_hint(extra: str) -> str:
    """Return the command that installs an optional dependency.

    Example:
        >>> install_hint("umap")
        "pip install 'graphtask-nn[umap]'"
    """
    from graphtask.types import DISTRIBUTION  # with NumPy, which must not slow `graphtask --help`

    return f"pip install '{DISTRIBUTION}[{extra}]'"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, for messages.

    Example:
        >>> counted(1, "graph"), counted(1_000, "graph")
        ('1 graph', '1,000 graphs')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _bounds(least: float, most: float | None, *, least_open: bool = False, most_open: bool = False) -> str:
    if most is not None and not math.isinf(most):
        return f"in {'(' if least_open else '['}{least:g}, {most:g}{')' if most_open else ']'}"
    return "" if math.isinf(least) else f"{'>' if least_open else '>='} {least:g}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a remedy for an unknown word: the nearest known one, or all of them.

    Example:
        >>> suggestion("sead", ["seed", "root"])
        "did you mean 'seed'?"
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
