"""Size of a data set without reading its images: from the catalog, or from the headers of files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graphtask.data.catalog import CATALOG, existing, load_data
from graphtask.data.dataset import ImageData
from graphtask.data.folder import folder_size
from graphtask.data.npz import npz_size
from graphtask.data.reading import SourceSize
from graphtask.data.sources import DIGITS_SIZE, TORCHVISION
from graphtask.data.targets import CLASSES
from graphtask.data.transforms import SUBSET, Transform, parse_transform, same_share, transform
from graphtask.errors import DataError
from graphtask.named import is_code_name


class Extent(NamedTuple):
    """Number, size and classes of the images of a data set."""

    n_train: int
    n_test: int
    size: tuple[int, int]
    """Height and width in pixels."""
    in_channels: int
    n_classes: int


def extent_of(
    source: str | os.PathLike[str], *, transforms: Sequence[str | Transform] = (), targets: str = CLASSES
) -> Extent:
    """Return the extent of a data set; those of the catalog need not be downloaded.

    Of an image folder only the first image is read; data of ``package.module:name`` are loaded.

    Args:
        source: A name of the catalog, or the path of an ``.npz`` file or an image folder; see `load_data`.
        transforms: As in `load_data`.
        targets: As in `load_data`.

    Raises:
        DataError: There is no such data set, its file cannot be read, or a transform does not fit.
        ArgumentError: A transform is unknown.

    Example:
        >>> extent_of("cifar10_t8")
        Extent(n_train=50000, n_test=10000, size=(32, 32), in_channels=3, n_classes=10)
    """
    if is_code_name(str(source)):
        data = load_data(source, transforms=transforms, targets=targets)
        return Extent(len(data.x_train), len(data.x_test), data.size, data.in_channels, data.n_classes)
    steps = list(transforms)
    if str(source) in CATALOG:
        recipe = CATALOG[str(source)]
        size = DIGITS_SIZE if recipe.source == "digits" else TORCHVISION[recipe.source].size
        steps = [*recipe.transforms, *steps]
    else:
        path = existing(source)
        size = folder_size(path) if path.is_dir() else npz_size(path, targets=targets)
    parsed = [parse_transform(step) for step in steps]
    name = Path(source).name
    images = _transformed(size, [step for step in parsed if step.name != SUBSET], name=name)
    n_train, n_test = size.n_train, size.n_test
    for number in (step.value for step in parsed if step.name == SUBSET):
        assert number is not None  # it has a default
        if number > n_train:
            raise DataError(
                f"{name}: {SUBSET}:{number} needs {number:,} training images, but there are {n_train:,}"
            )
        n_train, n_test = number, same_share(n_test, number, of=n_train)
    return Extent(n_train, n_test, images.size, images.in_channels, size.n_classes)


def _transformed(size: SourceSize, steps: Sequence[Transform], *, name: str) -> ImageData:
    """Return two black images of that size after the transforms."""
    blank = np.zeros((2, *size.shape), dtype=np.uint8)
    classes = np.arange(2)
    return transform(ImageData(name, blank, classes, blank, classes, ("a", "b")), steps)
