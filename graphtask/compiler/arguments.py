"""Checks of the arguments that several functions of the compiler share."""

import operator
from collections.abc import Collection

from graphtask.errors import ArgumentError


def checked_count(name: str, value: int, *, least: int = 1) -> int:
    """``value`` as an int, if it is a whole number from ``least``.

    Raises:
        ArgumentError: It is not.
    """
    try:
        count: int = operator.index(value)
    except TypeError:
        count = least - 1
    if count < least or isinstance(value, bool):
        raise ArgumentError(f"{name} has to be a whole number from {least}, not {value!r}")
    return count


def checked_size(size: int | tuple[int, int], *, last_stage: int) -> tuple[int, int]:
    """Height and width of images, if the last stage of the network has a pixel left of them.

    Raises:
        ArgumentError: They are not whole numbers, or too small.
    """
    height, width = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
    height, width = checked_count("the height of images", height), checked_count("the width of images", width)
    stride = 2**last_stage
    if min(height, width) < stride:
        raise ArgumentError(
            f"images of {height}×{width} pixels are too small for stage {last_stage}, which has 1/{stride} of "
            f"their resolution; use at least {stride}×{stride}"
        )
    return height, width


def checked_stages(name: str, value: bool | Collection[int], stages: Collection[int]) -> tuple[int, ...]:
    """The stages that ``value`` names: for True all of them, for False none, else those of these numbers.

    Raises:
        ArgumentError: It is neither, or there is no such stage.

    Example:
        >>> checked_stages("checkpoint", True, {0, 1, 2}), checked_stages("checkpoint", [2, 0], {0, 1, 2})
        ((0, 1, 2), (0, 2))
    """
    every = tuple(sorted(stages))
    if isinstance(value, bool):
        return every if value else ()
    if not isinstance(value, Collection) or not all(stage in every for stage in value):
        raise ArgumentError(
            f"{name} has to be True, False, or numbers of stages among {', '.join(map(str, every))}, not {value!r}"
        )
    return tuple(sorted(set(value)))
