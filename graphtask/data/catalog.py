"""The data sets that have a name, and the one function that loads any data set."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from graphtask.data.dataset import ImageData
from graphtask.data.folder import read_folder
from graphtask.data.npz import read_npz
from graphtask.data.sources import read_digits, read_torchvision
from graphtask.data.transforms import Transform, parse_transform, transform
from graphtask.errors import DataError


class Recipe(NamedTuple):
    """How a data set of the catalog is made: a source, and transforms in their order."""

    source: str
    transforms: tuple[str, ...]
    about: str


_DIGITS_24 = ("scale:2", "pad:4", "color")

CATALOG: Mapping[str, Recipe] = MappingProxyType(
    {
        "cmnist": Recipe("mnist", ("pad:2", "color"), "colored MNIST, 32×32"),
        "ckmnist": Recipe("kmnist", ("pad:2", "color"), "colored Kuzushiji-MNIST, 32×32"),
        "cfashionmnist": Recipe("fashionmnist", ("pad:2", "color"), "colored Fashion-MNIST, 32×32"),
        "cifar10": Recipe("cifar10", (), "CIFAR-10, 32×32"),
        "cifar10_t8": Recipe("cifar10", ("tiles:8",), "CIFAR-10 in sixteen shuffled tiles of 8×8 pixels"),
        "cdigits": Recipe("digits", _DIGITS_24, "scikit-learn's digits, colored, 24×24; no download"),
        "cdigits_t8": Recipe(
            "digits", (*_DIGITS_24, "tiles:8"), "cdigits in nine shuffled tiles; no download"
        ),
    }
)


def load_data(
    source: str | os.PathLike[str] | ImageData,
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    transforms: Sequence[str | Transform] = (),
    seed: int = 0,
) -> ImageData:
    """The data set that ``source`` names, transformed.

    Args:
        source: A name of `CATALOG`; the path of a .npz file (see `graphtask.data.npz.read_npz`) or of an image
            folder (see `graphtask.data.folder.read_folder`); or a data set, which is used as it is. A name goes
            before a path: write ``./cmnist`` for a folder of that name.
        root: Folder of downloaded data sets; by default $GRAPHTASK_DATA, else ``~/.cache/graphtask``.
        download: Whether files that are missing may be downloaded, by torchvision.
        transforms: Applied after what the catalog does, in this order: ``"color"``, ``"pad:2"``, ``"tiles:8"`` …
        seed: Seed of colors and tiles.

    Raises:
        DataError: There is no such data set, it cannot be read, or a transform does not fit its images.
        ArgumentError: There is no such transform, or the seed is wrong.

    Example:
        >>> data = load_data("cdigits")
        >>> data.x_train.shape, data.x_test.shape, data.n_classes
        ((1438, 24, 24, 3), (359, 24, 24, 3), 10)
    """
    steps = [parse_transform(text) for text in transforms]
    if isinstance(source, ImageData):
        return transform(source, steps, seed=seed)
    if str(source) in CATALOG:
        named = _from_catalog(str(source), root=root, download=download, seed=seed)
        return transform(named, steps, seed=seed)
    path = existing(source)
    if path.is_dir():
        # Images of different sizes become one array only if the first thing that happens to them is a resize.
        first = steps.pop(0).value if steps and steps[0].name == "resize" else None
        return transform(read_folder(path, resize=first), steps, seed=seed)
    return transform(read_npz(path), steps, seed=seed)


def existing(source: str | os.PathLike[str]) -> Path:
    """The file or folder that is meant.

    Raises:
        DataError: There is none.
    """
    try:
        path = Path(source).expanduser()
        if str(source) and path.exists():
            return path
    except (OSError, RuntimeError, TypeError, ValueError):  # what pathlib says to things that cannot be paths
        pass
    raise DataError(
        f"there is no data set, file or folder {str(source)!r}; the catalog has {', '.join(CATALOG)}; "
        "any .npz file or image folder works by its path"
    )


def _from_catalog(name: str, *, root: str | os.PathLike[str] | None, download: bool, seed: int) -> ImageData:
    recipe = CATALOG[name]
    plain = (
        read_digits()
        if recipe.source == "digits"
        else read_torchvision(recipe.source, root=root, download=download)
    )
    return replace(transform(plain, recipe.transforms, seed=seed), name=name)
