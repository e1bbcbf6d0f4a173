"""Images from .npz files: read without pickles, with the declared sizes checked before anything is unpacked."""

import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graphtask.data.arrays import array_names, channels_last, from_splits, named_splits, read_targets
from graphtask.data.dataset import ImageData, check_size
from graphtask.data.reading import UNREADABLE, SourceSize, reason_of
from graphtask.data.targets import CLASSES, strata
from graphtask.errors import DataError
from graphtask.storage.regular import open_regular
from graphtask.types import AnyArray

_ARRAYS = (
    *(name for split in ("train", "val", "test") for pair in array_names(split) for name in pair),
    "class_names",
)


def read_npz(path: str | os.PathLike[str], *, targets: str = CLASSES) -> ImageData:
    """Read the data set in a .npz file.

    The arrays are ``x_train``, ``y_train``, ``x_test``, ``y_test`` and optionally ``x_val``, ``y_val``; or, as in
    MedMNIST, ``train_images``, ``train_labels``, ``val_images`` …; or ``x`` and ``y`` alone. Pixel types, layouts and
    labels are those of `graphtask.data.arrays.as_image_data`. An optional array ``class_names`` of words names the
    classes; labels are then 0 … k-1.

    The file is read without pickles, and the sizes that it declares are checked before anything is unpacked.

    Args:
        path: The file.
        targets: As in `graphtask.data.arrays.as_image_data`.

    Raises:
        DataError: The file is missing, unsafe, damaged, or does not hold a data set; the message names the reason.
    """
    path = Path(path)
    with _archive(path) as archive:
        arrays = dict(_npz_arrays(archive))
    names = arrays.pop("class_names", None)
    class_names = None if names is None else _class_names(names, where=f"{path}: class_names")
    origin = {"source": "npz", "path": str(path)}
    splits = named_splits(arrays, where=str(path))
    return from_splits(
        splits, name=path.stem, where=str(path), origin=origin, class_names=class_names, targets=targets
    )


def npz_size(path: Path, *, targets: str = CLASSES) -> SourceSize:
    """Return the size of the data set in a .npz file, from the headers of its images and the labels.

    Raises:
        DataError: The file is missing, unsafe, damaged, or does not hold a data set.
    """
    with _archive(path) as archive:
        stored = {name.removesuffix(".npy") for name in archive.namelist()}
        headers = {
            name: _blank(archive, name)
            if name.startswith("x") or name.endswith("images")
            else _npy_member(archive, name)
            for name in _ARRAYS
            if name in stored
        }
    names = headers.pop("class_names", None)
    splits = named_splits(headers, where=str(path))
    images = {
        split: channels_last(part.images, where=f"{path}: {split} images") for split, part in splits.items()
    }
    labels, classes = read_targets(
        {split: part.labels for split, part in splits.items()}, where=str(path), targets=targets
    )
    n_classes = len(classes) if names is None else len(names)
    counts = {split: len(found) for split, found in images.items()}
    if "test" not in counts:
        counts["test"] = sum(round(0.2 * count) for count in np.bincount(strata(labels["train"])))
        counts["train"] -= counts["test"]
    height, width, n_channels = images["train"].shape[1:]
    return SourceSize(counts["train"], counts["test"], (height, width, n_channels), n_classes)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a .npz file; every failure in the block is a DataError that names the file."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable .npz file ({reason_of(error)})") from error


def _npz_arrays(archive: zipfile.ZipFile) -> Iterator[tuple[str, AnyArray]]:
    stored = set(archive.namelist())
    for key in _ARRAYS:
        if f"{key}.npy" in stored:
            yield key, _npy_member(archive, key)


def _npy_member(archive: zipfile.ZipFile, key: str) -> AnyArray:
    name = f"{key}.npy"
    info = archive.getinfo(name)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError(f"{name} has a compression that numpy does not write")
    with warnings.catch_warnings(action="ignore"):  # about headers written by old versions of Python
        shape, dtype, offset = _npy_header(archive, info)
        if dtype.hasobject:
            raise ValueError(f"{name} holds pickled objects, which may run code; save plain arrays")
        check_size((*shape, dtype.itemsize), what=name)
        promised = offset + math.prod(shape) * dtype.itemsize
        if promised != info.file_size:
            raise ValueError(f"{name} has {info.file_size} bytes where its header promises {promised}")
        with archive.open(info) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _blank(archive: zipfile.ZipFile, key: str) -> AnyArray:
    """Return zeros of the type and shape of an array, which take no memory."""
    shape, dtype, _ = _npy_header(archive, archive.getinfo(f"{key}.npy"))
    if len(shape) not in {2, 3, 4}:
        raise ValueError(f"{key} has shape {shape}, which is not one of images")
    return np.broadcast_to(np.zeros((), dtype), (shape[0], 1, 1, shape[1]) if len(shape) == 2 else shape)


def _npy_header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape and type of an array, and the offset of its values."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"version {version} of the npy format is not one of plain arrays")
        return shape, dtype, file.tell()


def _class_names(names: AnyArray, *, where: str) -> tuple[str, ...]:
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DataError(
            f"{where} must be a list of words, got an array of {names.dtype} of shape {names.shape}"
        )
    return tuple(names.tolist())
