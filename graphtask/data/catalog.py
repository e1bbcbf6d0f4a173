"""Catalog of named data sets, and the one function that loads any data set."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from graphtask.data.arrays import as_image_data
from graphtask.data.dataset import ImageData
from graphtask.data.folder import read_folder
from graphtask.data.npz import read_npz
from graphtask.data.sources import read_digits, read_torchvision
from graphtask.data.targets import CLASSES, KINDS
from graphtask.data.transforms import Transform, parse_transform, transform
from graphtask.errors import DataError
from graphtask.named import called, is_code_name, load_named
from graphtask.validation import abbreviated, choice


class Recipe(NamedTuple):
    """Recipe of a data set of the catalog: a source, and transforms in their order."""

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
    source: Any,
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    transforms: Sequence[str | Transform] = (),
    seed: int = 0,
    targets: str = CLASSES,
) -> ImageData:
    """Load a data set by name, from a file or folder, or from arrays in memory, and transform it.

    Args:
        source: A name of `CATALOG`; the path of a .npz file (see `graphtask.data.npz.read_npz`) or of an image
            folder (see `graphtask.data.folder.read_folder`); an `ImageData`; or arrays or PyTorch data sets (see
            `graphtask.data.arrays.as_image_data`). A name has priority over a path: write ``./cmnist`` for a folder
            of that name. ``package.module:name`` imports a function without arguments that returns any of these.
        root: Folder of downloaded data sets; by default $GRAPHTASK_DATA, else ``~/.cache/graphtask``. A file or folder
            that is missing is looked for in it, by its name.
        download: Allow torchvision to download missing files.
        transforms: Applied after those of the catalog, in this order: ``"color"``, ``"pad:2"``, ``"tiles:8"`` …
        seed: Random seed for colors and tiles.
        targets: Kind of the targets: ``classes``; ``values``, for regression and several labels; ``pixels``, for
            segmentation.

    Raises:
        DataError: There is no such data set, it cannot be read, or a transform does not fit its images.
        ArgumentError: A transform is unknown, or the seed is invalid.

    Example:
        >>> data = load_data("cdigits")
        >>> data.x_train.shape, data.x_test.shape, data.n_classes
        ((1438, 24, 24, 3), (359, 24, 24, 3), 10)
        >>> load_data((data.x_train / 255, data.y_train)).x_train.shape
        (1151, 24, 24, 3)
    """
    choice(targets, name="targets", choices=KINDS)
    steps = [parse_transform(text) for text in transforms]
    if not isinstance(source, str | os.PathLike):
        return transform(as_image_data(source, targets=targets), steps, seed=seed)
    if is_code_name(str(source)):
        found = as_image_data(_of_code(str(source)), targets=targets)
        named = found if found.name != "arrays" else replace(found, name=str(source).rpartition(":")[2])
        return transform(named, steps, seed=seed)
    if targets != CLASSES and (str(source) in CATALOG or Path(source).is_dir()):
        raise DataError(f"{source}: has classes, but the task needs {targets}; pass arrays or a .npz file")
    if str(source) in CATALOG:
        named = _from_catalog(str(source), root=root, download=download, seed=seed)
        return transform(named, steps, seed=seed)
    path = existing(source, root=root)
    if path.is_dir():
        # Images of different sizes become one array only if the first transform is a resize.
        first = steps.pop(0).value if steps and steps[0].name == "resize" else None
        return transform(read_folder(path, resize=first), steps, seed=seed)
    return transform(read_npz(path, targets=targets), steps, seed=seed)


def _of_code(source: str) -> Any:
    return called(load_named(source, name="data"), source, name="data")


def existing(source: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of a file or folder, which may have moved into ``root``.

    Raises:
        DataError: It does not exist.
    """
    try:
        path = Path(source).expanduser()
        places = [path] if root is None else [path, Path(root).expanduser() / path.name]
        for place in places:
            if str(source) and place.exists():
                return place
    except (OSError, RuntimeError, TypeError, ValueError):  # raised by pathlib for texts that cannot be paths
        pass
    raise DataError(
        f"unknown data set {abbreviated(os.fspath(source))}: no file or folder of that name, and the catalog has "
        f"{', '.join(CATALOG)}; pass one of these, the path of a .npz file or image folder, or arrays"
    )


def _from_catalog(name: str, *, root: str | os.PathLike[str] | None, download: bool, seed: int) -> ImageData:
    recipe = CATALOG[name]
    plain = (
        read_digits()
        if recipe.source == "digits"
        else read_torchvision(recipe.source, root=root, download=download)
    )
    return replace(transform(plain, recipe.transforms, seed=seed), name=name)
