"""Images from .npz files: read without pickles, with the declared sizes checked before anything is unpacked."""

import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphtask.data.dataset import ImageData, Images, Labels, check_size
from graphtask.data.reading import UNREADABLE, SourceSize, reason_of
from graphtask.errors import DataError

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_MOST_CHANNELS = 4  # of an image in a .npz file; tells channels from height and width


def read_npz(path: str | os.PathLike[str]) -> ImageData:
    """The data set in a .npz file with arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    Images are whole numbers 0 … 255 of any integer type, of shape (N, H, W), (N, H, W, C) or (N, C, H, W); channels
    are the axis that has at most 4 entries where the other candidate has more. Floats are refused: how they turn
    into 256 steps is for the owner of the data to decide. Labels are whole numbers; if they are not 0 … k-1, they
    are numbered in ascending order, and the old ones become the names of the classes. An optional array
    ``class_names`` of strings names the classes instead; labels are then 0 … k-1.

    The file is read without pickles, and the sizes that it declares are checked before anything is unpacked.

    Args:
        path: The file.

    Raises:
        DataError: The file is missing, unsafe, damaged, or does not hold a data set; the message says which.
    """
    path = Path(path)
    try:
        arrays = dict(_npz_arrays(path))
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable .npz file ({reason_of(error)})") from error
    missing = [key for key in _ARRAYS if key not in arrays]
    if missing:
        raise DataError(
            f"{path}: there is no array {missing[0]}; a data set has x_train, y_train, x_test and y_test"
        )
    x_train, x_test = (_npz_images(arrays[key], where=f"{path}: {key}") for key in ("x_train", "x_test"))
    y_train, y_test = (_npz_labels(arrays[key], where=f"{path}: {key}") for key in ("y_train", "y_test"))
    if "class_names" in arrays:
        class_names = _npz_class_names(arrays["class_names"], where=f"{path}: class_names")
    else:
        y_train, y_test, class_names = _numbered(y_train, y_test, where=str(path))
    origin = {"source": "npz", "path": str(path)}
    return ImageData(path.stem, x_train, y_train, x_test, y_test, class_names, origin)


def npz_size(path: Path) -> SourceSize:
    """The size of the data set in a .npz file, from the headers of its arrays and the labels.

    Raises:
        DataError: The file is missing, unsafe, damaged, or does not hold a data set.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for key in ("x_train", "x_test"):
                shape, dtype, _ = _npy_header(archive, archive.getinfo(f"{key}.npy"))
                images = np.broadcast_to(np.zeros((), dtype), shape)  # takes no memory
                ordered = (
                    _channels_last(images, where=f"{path}: {key}") if images.ndim == 4 else images[..., None]
                )
                shapes[key] = ordered.shape
            labels = _npz_labels(_npy_member(archive, "y_train.npy"), where=f"{path}: y_train")
            named = "class_names.npy" in archive.namelist()
            n_classes = len(_npy_member(archive, "class_names.npy")) if named else len(np.unique(labels))
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable .npz file ({reason_of(error)})") from error
    height, width, n_channels = shapes["x_train"][1:]
    return SourceSize(shapes["x_train"][0], shapes["x_test"][0], (height, width, n_channels), n_classes)


def _npz_arrays(path: Path) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    with zipfile.ZipFile(path) as archive:
        stored = set(archive.namelist())
        for key in (*_ARRAYS, "class_names"):
            if f"{key}.npy" in stored:
                yield key, _npy_member(archive, f"{key}.npy")


def _npy_member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    info = archive.getinfo(name)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError(f"{name} is compressed in a way that numpy does not write")
    with warnings.catch_warnings(action="ignore"):  # about headers written by old versions of Python
        shape, dtype, offset = _npy_header(archive, info)
        if dtype.hasobject:
            raise ValueError(f"{name} holds pickled objects, which may run code; save plain arrays")
        check_size((*shape, dtype.itemsize), what=f"{archive.filename}: {name}")
        promised = offset + math.prod(shape) * dtype.itemsize
        if promised != info.file_size:
            raise ValueError(f"{name} has {info.file_size} bytes where its header promises {promised}")
        with archive.open(info) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _npy_header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape and type of an array, and where its values begin."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"version {version} of the npy format is not one of plain arrays")
        return shape, dtype, file.tell()


def _npz_images(images: npt.NDArray[Any], *, where: str) -> Images:
    if images.dtype.kind not in "iu":
        raise DataError(
            f"{where} is an array of {images.dtype}; images are whole numbers 0 … 255 "
            "(for values in [0, 1], save (255 * x).round().astype('uint8'))"
        )
    if images.size and (images.min() < 0 or images.max() > 255):
        raise DataError(
            f"{where} has values {images.min()} … {images.max()}; images are whole numbers 0 … 255"
        )
    if images.ndim not in {3, 4}:
        raise DataError(
            f"{where} has shape {images.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W)"
        )
    ordered = _channels_last(images, where=where) if images.ndim == 4 else images[..., None]
    return np.ascontiguousarray(ordered, dtype=np.uint8)


def _channels_last(images: npt.NDArray[Any], *, where: str) -> npt.NDArray[Any]:
    first, last = (images.shape[axis] <= _MOST_CHANNELS for axis in (1, 3))
    if first == last:
        raise DataError(
            f"{where} has shape {images.shape}, where {'either' if first else 'neither'} of the axes 1 and 3 could be "
            f"the channels; save (N, H, W), or (N, H, W, C) with at most {_MOST_CHANNELS} channels and H larger"
        )
    return images if last else np.moveaxis(images, 1, 3)


def _npz_labels(labels: npt.NDArray[Any], *, where: str) -> Labels:
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where} is an array of {labels.dtype}; labels are whole numbers")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{where} has shape {labels.shape}; labels have shape (N,)")
    return labels.astype(np.int64)


def _npz_class_names(names: npt.NDArray[Any], *, where: str) -> tuple[str, ...]:
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DataError(
            f"{where} is an array of {names.dtype} of shape {names.shape}; names are a list of strings"
        )
    return tuple(names.tolist())


def _numbered(y_train: Labels, y_test: Labels, *, where: str) -> tuple[Labels, Labels, tuple[str, ...]]:
    known = np.unique(y_train)
    unknown = np.setdiff1d(y_test, known)
    if len(unknown):
        raise DataError(f"{where}: y_test has label {unknown[0]}, which no training image has")
    names = tuple(str(label) for label in known)
    return np.searchsorted(known, y_train), np.searchsorted(known, y_test), names
