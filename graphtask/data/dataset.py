"""A data set of images: plain arrays, checked once, that know how they were made."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Integer, UInt8

from graphtask.data.stream import Part, permutation
from graphtask.errors import ArgumentError, DataError
from graphtask.validation import counted

MAX_BYTES = 4 * 2**30
"""What the images of one split may take up; larger ones are refused before they are unpacked or computed."""

Images = UInt8[np.ndarray, "_images _height _width _channels"]
Labels = Integer[np.ndarray, " _images"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels for training and testing, checked and read-only.

    Images may have any number of channels and need not be square; both splits have the same shape of image.
    A class without images in one of the splits is allowed.

    Args:
        name: What tables and run folders call the data set.
        x_train: Training images, uint8 0 … 255, of shape (images, height, width, channels).
        y_train: Class of each training image, whole numbers 0 … classes-1, of shape (images,); kept as int64.
        x_test: Test images, like ``x_train``.
        y_test: Class of each test image, like ``y_train``.
        class_names: One name per class; at least two.
        origin: How the images were made, in JSON values: source, transforms with arguments and seed.

    Raises:
        DataError: The arrays do not make a data set; the message names the array and what is wrong with it.

    Example:
        >>> gray = np.zeros((4, 8, 8, 1), np.uint8)
        >>> data = ImageData("blank", gray, np.arange(4) % 2, gray, np.arange(4) % 2, ("even", "odd"))
        >>> data.n_classes, data.in_channels, data.size
        (2, 1, (8, 8))
    """

    name: str
    x_train: Images = field(repr=False)
    y_train: Labels = field(repr=False)
    x_test: Images = field(repr=False)
    y_test: Labels = field(repr=False)
    class_names: tuple[str, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if self.n_classes < 2:
            raise DataError(f"{self.name}: {self.n_classes} class; classification needs at least 2")
        for split in ("train", "test"):
            _check_images(getattr(self, f"x_{split}"), where=f"{self.name}: x_{split}")
            self._check_labels(split)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise DataError(
                f"{self.name}: training images are {_shape(self.x_train)}, test images {_shape(self.x_test)} "
                "(height × width × channels); both have to have the same shape"
            )
        # The fingerprint is computed once, so what it was computed from must not change.
        for key in ("x_train", "y_train", "x_test", "y_test"):
            array = getattr(self, key)
            kept = array.astype(np.int64).view() if key.startswith("y") else array.view()
            kept.flags.writeable = False
            object.__setattr__(self, key, kept)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """Channels of an image: 1 for gray, 3 for color."""
        return int(self.x_train.shape[3])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image in pixels."""
        return int(self.x_train.shape[1]), int(self.x_train.shape[2])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the four arrays and their shapes, in hexadecimal; names and origin play no part.

        Example:
            >>> gray = np.zeros((2, 2, 2, 1), np.uint8)
            >>> ImageData("blank", gray, np.arange(2), gray, np.arange(2), ("a", "b")).fingerprint[:16]
            'b88faee2cc9d4b2c'
        """
        digest = hashlib.sha256()
        for key, kind in (("x_train", "|u1"), ("y_train", "<i8"), ("x_test", "|u1"), ("y_test", "<i8")):
            array = np.ascontiguousarray(getattr(self, key), dtype=kind)
            digest.update(f"{key} {kind} {array.shape}\n".encode())
            digest.update(array.data)
        return digest.hexdigest()

    def subset(self, n_train: int, n_test: int, *, seed: int) -> "ImageData":
        """A smaller data set with (almost) the same number of images in every class, in their old order.

        A larger subset of the same seed contains the smaller one.

        Args:
            n_train: Training images to keep; the first classes get one more if it is not a multiple of the classes.
            n_test: Test images to keep.
            seed: Which images are kept.

        Raises:
            ArgumentError: A number is below 1, or the seed below 0.
            DataError: A class has too few images.
        """
        train = self._balanced("train", n_train, seed=seed)
        test = self._balanced("test", n_test, seed=seed)
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=self.y_train[train],
            x_test=self.x_test[test],
            y_test=self.y_test[test],
            origin={
                **self.origin,
                "subset": {"n_train": int(n_train), "n_test": int(n_test), "seed": int(seed)},
            },
        )

    def _balanced(self, split: str, count: int, *, seed: int) -> npt.NDArray[np.int64]:
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise ArgumentError(f"a subset of {count!r} {split} images; give a whole number of at least 1")
        labels = getattr(self, f"y_{split}")
        wanted = count // self.n_classes + (np.arange(self.n_classes) < count % self.n_classes)
        present = np.bincount(labels, minlength=self.n_classes)
        short = np.flatnonzero(present < wanted)
        if len(short):
            raise DataError(
                f"{self.name}: class {self.class_names[short[0]]!r} has {counted(present[short[0]], f'{split} image')}, "
                f"a balanced subset of {count} needs {wanted[short[0]]}; "
                f"ask for at most {present.min() * self.n_classes}"
            )
        part = Part.TRAIN_SUBSET if split == "train" else Part.TEST_SUBSET
        order = permutation(len(labels), seed=seed, part=part)
        kept = [order[labels[order] == label][:number] for label, number in enumerate(wanted)]
        return np.sort(np.concatenate(kept))

    def _check_labels(self, split: str) -> None:
        where, labels = f"{self.name}: y_{split}", getattr(self, f"y_{split}")
        n_images = len(getattr(self, f"x_{split}"))
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
            raise DataError(f"{where} is {_kind(labels)}; labels are an array of whole numbers")
        if labels.shape != (n_images,):
            raise DataError(
                f"{where} has shape {labels.shape}; labels of {counted(n_images, 'image')} have shape ({n_images},)"
            )
        wrong = np.flatnonzero((labels < 0) | (labels >= self.n_classes))
        if len(wrong):
            raise DataError(
                f"{where}[{wrong[0]}] is {labels[wrong[0]]}; {self.n_classes} classes have labels "
                f"0 … {self.n_classes - 1}"
            )


def check_size(shape: tuple[int, ...], *, what: str) -> None:
    """Raise unless uint8 images of this shape stay within `MAX_BYTES`.

    Raises:
        DataError: They do not; the message says how large they would be.
    """
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise DataError(
            f"{what} would take {size / 2**30:.1f} GiB; the limit is {MAX_BYTES / 2**30:.0f} GiB for the images of a split"
        )


def _check_images(images: Any, *, where: str) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise DataError(f"{where} is {_kind(images)}; images are an array of uint8, 0 … 255")
    if images.ndim != 4:
        raise DataError(
            f"{where} has shape {images.shape}; images have shape (images, height, width, channels)"
        )
    if images.size == 0:
        raise DataError(f"{where} has shape {images.shape}: no images; both splits need at least one")


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _shape(images: npt.NDArray[np.uint8]) -> str:
    return "×".join(str(length) for length in images.shape[1:])
