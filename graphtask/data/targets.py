"""Kinds of targets: a class of each image, numbers of each image, or a class of each pixel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphtask.errors import DataError
from graphtask.types import AnyArray
from graphtask.validation import abbreviated

CLASSES = "classes"
"""Integers of shape (images,)."""
VALUES = "values"
"""Float32 of shape (images, outputs)."""
PIXELS = "pixels"
"""Integers of shape (images, height, width)."""
KINDS = (CLASSES, VALUES, PIXELS)

IGNORED = -100
"""Label of a pixel that has none, as `torch.nn.functional.cross_entropy` has it."""

_MOST_CLASSES = 2**15  # of pixels; more are a mistake


def kind_of(targets: npt.NDArray[Any]) -> str:
    """Return the kind of checked targets.

    Example:
        >>> kind_of(np.zeros(3, np.int64)), kind_of(np.zeros((3, 1), np.float32))
        ('classes', 'values')
    """
    if targets.dtype == np.float32 and targets.ndim == 2:
        return VALUES
    return PIXELS if targets.ndim == 3 else CLASSES


def strata(targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the group of each image for balanced draws: its class, or one group where it has none."""
    return targets if kind_of(targets) == CLASSES else np.zeros(len(targets), np.int64)


def read_values(
    splits: Mapping[str, AnyArray], *, where: str, names: Sequence[str] | None
) -> tuple[dict[str, npt.NDArray[Any]], tuple[str, ...]]:
    """Return numbers as float32 of shape (images, outputs), and the names of the outputs.

    Raises:
        DataError: They are not finite numbers, or the splits differ in their outputs.
    """
    found = {}
    for split, array in splits.items():
        if array.dtype.kind not in "buif" or array.ndim not in {1, 2} or not np.isfinite(array).all():
            raise DataError(
                f"{where}: {split} targets must be finite numbers of shape (N,) or (N, outputs), got {abbreviated(array)}"
            )
        found[split] = np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32)
    widths = {array.shape[1] for array in found.values()}
    if len(widths) > 1 or 0 in widths:
        raise DataError(f"{where}: targets must have the same number of outputs in all splits")
    width = widths.pop()
    return found, tuple(names) if names is not None and len(names) == width else tuple(map(str, range(width)))


def read_pixels(
    splits: Mapping[str, AnyArray], *, where: str, names: Sequence[str] | None
) -> tuple[dict[str, npt.NDArray[Any]], tuple[str, ...]]:
    """Return classes of pixels as integers of shape (images, height, width), and the names of the classes.

    Negative labels become `IGNORED`.

    Raises:
        DataError: They are not integers, or too many.
    """
    found = {}
    for split, array in splits.items():
        masks = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
        if masks.dtype.kind not in "iub" or masks.ndim != 3 or masks.size == 0:
            raise DataError(
                f"{where}: {split} labels of pixels must be integers of shape (N, H, W), got {abbreviated(array)}"
            )
        found[split] = np.where(masks < 0, IGNORED, masks.astype(np.int64))
    n_classes = max(2, *(int(masks.max()) + 1 for masks in found.values()))
    if names is not None:
        n_classes = max(n_classes, len(names))
    if n_classes > _MOST_CLASSES:
        raise DataError(f"{where}: labels of pixels must be below {_MOST_CLASSES}, got {n_classes - 1}")
    return found, tuple(names) if names is not None and len(names) == n_classes else tuple(
        map(str, range(n_classes))
    )
