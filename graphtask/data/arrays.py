"""Arrays and PyTorch data sets as image data: one reading of pixel types, axis orders and labels."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from graphtask.data.dataset import ImageData, Images, Labels, check_size, held_out
from graphtask.data.stream import Part
from graphtask.data.targets import CLASSES, VALUES, read_pixels, read_values, strata
from graphtask.errors import DataError
from graphtask.types import AnyArray
from graphtask.validation import abbreviated, counted

HELD_OUT_SHARE = 0.2
"""Share of every class that becomes the test images where a source has none."""

_MOST_CHANNELS = 4  # of an image; separates channels from height and width
_ACCEPTED = (
    "a name, a path, a graphtask.data.ImageData, arrays (x, y) or (x_train, y_train, x_test, y_test), or a torch Dataset "
    "(or several)"
)
_SPLITS = ("train", "val", "test")


class Split(NamedTuple):
    """Images and labels of one split, as their source has them."""

    images: Any
    labels: Any


def as_image_data(source: Any, *, name: str = "arrays", targets: str = CLASSES) -> ImageData:
    """Return arrays or PyTorch data sets as image data.

    Images may be uint8, whole numbers 0 … 255 of any type, uint16, bool, or floats in [0, 1]; (N, H, W), (N, H, W, C)
    or (N, C, H, W). They are kept as bytes: floats and uint16 are rounded to 256 steps. Other floats are kept as float32,
    and so are tables, (N, features), which become images of one pixel. Labels may be integers,
    words, one-hot rows, or of shape (N, 1); classes are numbered in ascending order of the labels. Without test
    images, a fixed fifth of every class is held out for testing.

    Args:
        source: ``(x, y)``; ``(x_train, y_train, x_test, y_test)``; ``((x_train, y_train), (x_test, y_test))``; a
            mapping with the keys of a ``.npz`` file; a map-style `torch.utils.data.Dataset` or a ``DataLoader`` (its
            data set is read once, in order), or a pair (train, test) or triple (train, validation, test) of them.
            NumPy arrays, PyTorch tensors, and everything that `numpy.asarray` reads are arrays.
        name: Name of the data set.
        targets: Kind of the targets, ``classes``, ``values`` (for regression and several labels) or ``pixels`` (for
            segmentation); see `graphtask.data.targets`.

    Raises:
        DataError: They do not make a data set.

    Example:
        >>> images = np.zeros((10, 8, 8, 3), np.float32)
        >>> data = as_image_data((images, ["cat", "dog"] * 5))
        >>> data.x_train.shape, data.x_test.shape, data.class_names
        ((8, 8, 8, 3), (2, 8, 8, 3), ('cat', 'dog'))
    """
    if isinstance(source, ImageData):
        return source
    splits = _splits(source)
    class_names = next((names for part in _parts(source) if (names := _class_names(part))), None)
    return from_splits(
        splits, name=name, where=name, class_names=class_names, origin={"source": "arrays"}, targets=targets
    )


def from_splits(
    splits: Mapping[str, Split],
    *,
    name: str,
    where: str,
    origin: Mapping[str, Any],
    class_names: Sequence[str] | None = None,
    targets: str = CLASSES,
) -> ImageData:
    """Return the image data of splits ``train`` and, if there are any, ``test`` and ``val``.

    Args:
        splits: Images and labels by split.
        name: Name of the data set.
        where: Start of error messages, such as the path of a file.
        origin: As in `ImageData`.
        class_names: Names of the classes 0 … k-1; None takes the labels as names.
        targets: As in `as_image_data`.

    Raises:
        DataError: They do not make a data set.
    """
    images = read_images({split: part.images for split, part in splits.items()}, where=where)
    labels, names = read_targets(
        {split: part.labels for split, part in splits.items()},
        where=where,
        class_names=class_names,
        targets=targets,
    )
    for split, found in images.items():
        if len(found) != len(labels[split]):
            raise DataError(
                f"{where}: {counted(len(found), f'{split} image')} and {counted(len(labels[split]), 'label')}; "
                f"every image needs one label"
            )
    if "test" not in images:
        images, labels = _with_held_out(images, labels, where=where)
    return ImageData(
        name,
        images["train"],
        labels["train"],
        images["test"],
        labels["test"],
        names,
        origin,
        images.get("val"),
        labels.get("val"),
    )


def read_images(splits: Mapping[str, Any], *, where: str) -> dict[str, Images]:
    """Return the images of all splits as uint8 or float32 of shape (images, height, width, channels).

    The splits are read together, so that a pixel value means the same in all of them.

    Raises:
        DataError: An array does not hold images.
    """
    arrays = {split: _array(images) for split, images in splits.items()}
    if all(array.ndim == 2 and array.dtype.kind in "buif" for array in arrays.values()):
        return _tables(arrays, where=where)
    for split, array in arrays.items():
        if array.ndim not in {3, 4}:
            raise DataError(
                f"{where}: {split} images must have shape (N, H, W), (N, H, W, C), (N, C, H, W) or, for tables, (N, features), got "
                f"{abbreviated(array)}"
            )
        check_size(array.shape, what=f"{where}: {split} images")
    factor = _factor(arrays, where=where)
    read = {}
    for split, array in arrays.items():
        ordered = channels_last(array, where=f"{where}: {split} images")
        if factor is None:
            read[split] = np.ascontiguousarray(ordered, dtype=np.float32)
            continue
        values = ordered if factor == 1 else np.rint(ordered * np.float64(factor))
        read[split] = np.ascontiguousarray(values, dtype=np.uint8)
    return read


def _tables(arrays: Mapping[str, AnyArray], *, where: str) -> dict[str, Images]:
    """Return rows of features as images of one pixel, (rows, 1, 1, features), float32."""
    for split, array in arrays.items():
        if array.size == 0 or not np.isfinite(array).all():
            raise DataError(f"{where}: {split} features must be finite numbers, got {abbreviated(array)}")
    return {split: array[:, None, None].astype(np.float32) for split, array in arrays.items()}


def channels_last(images: AnyArray, *, where: str) -> AnyArray:
    """Return images with their channels as the last axis; gray images without that axis gain it.

    The channels are the axis with at most 4 entries where the other candidate has more; else the axis that differs
    from the other two, if those agree (square images); else axis 1 of images of one row, (N, channels, 1, length).

    Raises:
        DataError: Both axes, or neither, could be the channels.

    Example:
        >>> (
        ...     channels_last(np.zeros((2, 3, 8, 9)), where="x").shape,
        ...     channels_last(np.zeros((2, 13, 64, 64)), where="x").shape,
        ... )
        ((2, 8, 9, 3), (2, 64, 64, 13))
    """
    if images.ndim == 3:
        return images[..., None]
    _, first, middle, last = images.shape
    few = first <= _MOST_CHANNELS, last <= _MOST_CHANNELS
    square = first == middle, middle == last
    if few[0] != few[1]:
        at_the_end = few[1]
    elif square[0] != square[1]:
        at_the_end = square[0]
    elif middle == 1 < last:  # sequences, (N, channels, 1, length)
        at_the_end = False
    else:
        raise DataError(
            f"{where} have shape {images.shape}, where axis 1 or axis 3 could be the channels; pass (N, H, W, C) with "
            f"at most {_MOST_CHANNELS} channels and larger H, or square images"
        )
    return images if at_the_end else np.moveaxis(images, 1, 3)


def read_targets(
    splits: Mapping[str, Any], *, where: str, class_names: Sequence[str] | None = None, targets: str = CLASSES
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Return the targets of all splits, and the names of the classes or outputs; see `graphtask.data.targets`.

    Raises:
        DataError: An array does not hold such targets.
    """
    if targets == CLASSES:
        return read_labels(splits, where=where, class_names=class_names)
    arrays = {split: _array(values) for split, values in splits.items()}
    read = read_values if targets == VALUES else read_pixels
    return read(arrays, where=where, names=class_names)


def read_labels(
    splits: Mapping[str, Any], *, where: str, class_names: Sequence[str] | None = None
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Return the labels of all splits as classes 0 … k-1, and the names of the classes.

    Args:
        splits: Labels by split: integers, words, whole floats, or bools of shape (N,) or (N, 1); or one-hot rows.
        where: Start of error messages.
        class_names: Names of the classes; labels are then 0 … k-1. None numbers the labels of the training images in
            ascending order, and takes them as names.

    Raises:
        DataError: An array does not hold labels, or a split has a label that no training image has.

    Example:
        >>> read_labels({"train": [[0, 1], [1, 0]]}, where="x")
        ({'train': array([1, 0])}, ('0', '1'))
        >>> read_labels({"train": ["b", "a"], "test": [["b"]]}, where="x")
        ({'train': array([1, 0]), 'test': array([1])}, ('a', 'b'))
    """
    flat = {
        split: _flat_labels(_array(labels), where=f"{where}: {split}") for split, labels in splits.items()
    }
    columns = {width for _, width in flat.values()}
    found = {split: labels for split, (labels, _) in flat.items()}
    if columns != {0}:
        if len(columns) > 1:
            raise DataError(f"{where}: one-hot labels must have the same number of columns in all splits")
        return found, tuple(class_names or map(str, range(columns.pop())))
    if class_names is not None:
        return found, tuple(class_names)
    known = np.unique(found["train"])
    for split, labels in found.items():
        strangers = np.setdiff1d(labels, known)
        if len(strangers):
            raise DataError(
                f"{where}: the {split} images have label {strangers[0]}, which no training image has"
            )
    numbered: dict[str, Labels] = {
        split: np.searchsorted(known, labels).astype(np.int64) for split, labels in found.items()
    }
    return numbered, tuple(map(str, known.tolist()))


def _splits(source: Any) -> dict[str, Split]:
    if isinstance(source, Mapping):
        return named_splits(source, where="data")
    parts = _parts(source)
    if len(parts) in {1, 2, 3} and all(_is_pair(part) or _is_data_set(part) for part in parts):
        names = ("train",) if len(parts) == 1 else ("train", "test") if len(parts) == 2 else _SPLITS
        return {name: _split(part) for name, part in zip(names, parts, strict=True)}
    if len(parts) in {2, 4, 6}:
        pairs = [Split(*parts[k : k + 2]) for k in range(0, len(parts), 2)]
        names = ("train",) if len(pairs) == 1 else ("train", "test") if len(pairs) == 2 else _SPLITS
        return dict(zip(names, pairs, strict=True))
    raise DataError(f"data must be {_ACCEPTED}, got {_kind(source)}")


def named_splits(arrays: Mapping[str, Any], *, where: str) -> dict[str, Split]:
    """Return the splits of named arrays, such as ``x_train`` and ``y_train``, or ``train_images`` and ``train_labels``.

    Raises:
        DataError: An array is missing.

    Example:
        >>> sorted(
        ...     named_splits(
        ...         {"train_images": 0, "train_labels": 1, "val_images": 2, "val_labels": 3}, where="x"
        ...     )
        ... )
        ['train', 'val']
    """
    splits = {}
    for split in _SPLITS:
        for image_key, label_key in array_names(split):
            present = [key in arrays for key in (image_key, label_key)]
            if all(present):
                splits[split] = Split(arrays[image_key], arrays[label_key])
            elif any(present):
                missing = label_key if present[0] else image_key
                raise DataError(f"{where}: array {missing} is missing; images and labels come in pairs")
    if "train" not in splits:
        found = ", ".join(map(str, list(arrays)[:8])) or "none"
        raise DataError(
            f"{where}: array x_train is missing (found: {found}); expected are x_train, y_train, x_test and y_test, or "
            f"train_images, train_labels, test_images and test_labels; x_val and y_val, or val_…, are optional"
        )
    return splits


def array_names(split: str) -> tuple[tuple[str, str], ...]:
    """Return the accepted names of the images and labels of a split.

    Example:
        >>> array_names("val")
        (('x_val', 'y_val'), ('val_images', 'val_labels'))
    """
    pairs = ((f"x_{split}", f"y_{split}"), (f"{split}_images", f"{split}_labels"))
    return (*pairs, ("x", "y"), ("images", "labels")) if split == "train" else pairs


def _parts(source: Any) -> list[Any]:
    if _is_data_set(source):
        return [source]
    return list(source) if isinstance(source, tuple | list) else []


def _is_pair(part: Any) -> bool:
    return (
        isinstance(part, tuple | list)
        and len(part) == 2
        and all(hasattr(entry, "shape") or isinstance(entry, list | tuple) for entry in part)
        and getattr(part[0], "ndim", 0) >= 2
    )


def _is_data_set(part: Any) -> bool:
    """Return True for a map-style data set of PyTorch, or a loader of one, without importing PyTorch."""
    part = getattr(part, "dataset", None) if type(part).__name__ == "DataLoader" else part
    return (
        hasattr(part, "__getitem__")
        and hasattr(part, "__len__")
        and not hasattr(part, "shape")
        and not hasattr(part, "dtype")
        and not isinstance(part, tuple | list | str | bytes | Mapping)
    )


def _split(part: Any) -> Split:
    if _is_pair(part):
        return Split(*part)
    data_set = part.dataset if type(part).__name__ == "DataLoader" else part
    try:
        pairs = [data_set[index] for index in range(len(data_set))]
        images, labels = zip(*((pair[0], pair[1]) for pair in pairs), strict=True)
        return Split(
            np.stack([_array(image) for image in images]), np.stack([_array(label) for label in labels])
        )
    except (TypeError, ValueError, LookupError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"data: {_kind(part)} must give pairs (image, label) with images of one size ({reason})"
        ) from error


def _class_names(part: Any) -> tuple[str, ...] | None:
    names = getattr(part, "classes", None)
    return tuple(map(str, names)) if isinstance(names, tuple | list) and names else None


def _array(values: Any) -> AnyArray:
    if hasattr(values, "detach"):  # a tensor, on whatever device
        values = values.detach().cpu()
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"data: {_kind(values)} is not an array of numbers or words") from error


def _factor(arrays: Mapping[str, AnyArray], *, where: str) -> float | None:
    """Return the factor that maps the pixel values of all splits to 0 … 255; None for floats of another range."""
    least, most, whole = np.inf, -np.inf, True
    for split, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise DataError(f"{where}: {split} images must be numbers, got {abbreviated(array)}")
        if array.size == 0:
            raise DataError(f"{where}: there are no {split} images (shape {array.shape})")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{where}: {split} images must be finite, got NaN or infinite values")
        least, most = min(least, float(array.min())), max(most, float(array.max()))
        whole = whole and (array.dtype.kind != "f" or bool((array == np.rint(array)).all()))
    kinds = {array.dtype.kind for array in arrays.values()}
    if kinds == {"b"} or (kinds == {"f"} and least >= 0 and most <= 1):
        return 255.0
    if least >= 0 and most <= 255 and whole:
        return 1.0
    if {array.dtype for array in arrays.values()} == {np.dtype(np.uint16)}:
        return 255 / 65535
    if kinds == {"f"}:
        return None
    raise DataError(
        f"{where}: images must be whole numbers in [0, 255], floats in [0, 1], or uint16, got values in "
        f"[{least:g}, {most:g}]; floats of another range must be floats in all splits"
    )


def _flat_labels(labels: AnyArray, *, where: str) -> tuple[AnyArray, int]:
    """Return labels of shape (N,), and the number of columns if they were one-hot, else 0."""
    if labels.dtype.kind == "f" and labels.size and bool((labels == np.rint(labels)).all()):
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)
    if labels.dtype.kind not in "biuUS":
        raise DataError(f"{where} labels must be integers, words or one-hot rows, got {abbreviated(labels)}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biu":
        if not (((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise DataError(
                f"{where} labels have several columns that are not one-hot; every image has one class"
            )
        return labels.argmax(axis=1).astype(np.int64), int(labels.shape[1])
    if labels.ndim != 1:
        raise DataError(f"{where} labels must have shape (N,), got {abbreviated(labels)}")
    return labels.astype(np.int64) if labels.dtype.kind in "biu" else labels.astype(str), 0


def _with_held_out(
    images: Mapping[str, Images], labels: Mapping[str, Labels], *, where: str
) -> tuple[dict[str, Images], dict[str, Labels]]:
    test = held_out(strata(labels["train"]), share=HELD_OUT_SHARE, seed=0, part=Part.HELD_OUT)
    if not test.any():
        raise DataError(
            f"{where}: {counted(len(test), 'image')} are too few to hold out a fifth of every class for testing; "
            f"pass test images"
        )
    return (
        {**images, "train": images["train"][~test], "test": images["train"][test]},
        {**labels, "train": labels["train"][~test], "test": labels["train"][test]},
    )


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        inside = ", ".join(_kind(entry) for entry in value[:4])
        return f"a {type(value).__name__} of {len(value)} ({inside}{', …' if len(value) > 4 else ''})"
    return abbreviated(value) if getattr(value, "shape", None) else f"a {type(value).__name__}"
