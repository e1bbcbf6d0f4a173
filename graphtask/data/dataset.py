"""Image data: plain arrays of two or three splits, checked once, with a record of how they were made."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphtask.data.stream import Part, permutation
from graphtask.data.targets import CLASSES, IGNORED, PIXELS, VALUES, kind_of, strata
from graphtask.errors import DataError
from graphtask.validation import choice, counted, integer, number

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 4 * 2**30
"""Largest size of the images of one split; larger ones are refused before they are unpacked or computed."""

Images = npt.NDArray[Any]
"""Images, uint8 or float32, (images, height, width, channels)."""
Labels = npt.NDArray[Any]
"""Targets of the images; see `graphtask.data.targets`."""

_PARTS = {"train": Part.TRAIN_SUBSET, "test": Part.TEST_SUBSET, "val": Part.VAL_SUBSET}


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels for training and testing, checked and read-only.

    Images may have any number of channels and need not be square; all splits have the same shape of image. A table is
    images of one pixel with a channel per feature, a sequence images of one row.
    A class without images in one of the splits is allowed. `graphtask.load_data` makes image data of arrays of other
    types and layouts.

    Args:
        name: Name of the data set in tables and run folders.
        x_train: Training images, uint8 0 … 255 or float32, of shape (images, height, width, channels).
        y_train: Targets of the training images: classes, integers 0 … classes-1 of shape (images,), kept as int64;
            values, float32 of shape (images, outputs); or classes of pixels, integers of shape (images, height, width).
        x_test: Test images, like ``x_train``.
        y_test: Class of each test image, like ``y_train``.
        class_names: One name per class (at least two), or per output of values.
        origin: How the images were made, in JSON values: source, transforms with arguments and seed.
        x_val: Validation images, like ``x_train``; None if there are none.
        y_val: Class of each validation image, like ``y_train``; None if there are none.

    Raises:
        DataError: The arrays do not make a data set; the message names the array and the reason.

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
    x_val: Images | None = field(default=None, repr=False)
    y_val: Labels | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if self.n_classes < (1 if self.targets == VALUES else 2):
            raise DataError(f"{self.name}: {self.n_classes} class; classification needs at least 2")
        if (self.x_val is None) != (self.y_val is None):
            raise DataError(f"{self.name}: x_val and y_val come in a pair")
        for split in self.splits:
            images = getattr(self, f"x_{split}")
            _check_images(images, where=f"{self.name}: x_{split}")
            self._check_labels(split)
            if images.shape[1:] != self.x_train.shape[1:]:
                raise DataError(
                    f"{self.name}: training images are {_shape(self.x_train)}, {split} images {_shape(images)} "
                    "(height × width × channels); both must have the same shape"
                )
        # The fingerprint is computed once: the arrays it is computed from must not change.
        for key in (f"{kind}_{split}" for split in self.splits for kind in "xy"):
            array = getattr(self, key)
            is_class = key.startswith("y") and array.dtype.kind != "f"
            kept = array.astype(np.int64).view() if is_class else array.view()
            kept.flags.writeable = False
            object.__setattr__(self, key, kept)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits: ``train``, ``test``, and ``val`` if there are validation images."""
        return ("train", "test") if self.x_val is None else ("train", "test", "val")

    @property
    def targets(self) -> str:
        """Kind of the targets: ``classes``, ``values`` or ``pixels``; see `graphtask.data.targets`."""
        return kind_of(self.y_train) if isinstance(self.y_train, np.ndarray) else CLASSES

    @property
    def n_classes(self) -> int:
        """Number of classes, or of outputs."""
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
        """SHA-256 over the arrays and their shapes, in hexadecimal; names and origin are not part of it.

        Example:
            >>> gray = np.zeros((2, 2, 2, 1), np.uint8)
            >>> ImageData("blank", gray, np.arange(2), gray, np.arange(2), ("a", "b")).fingerprint[:16]
            'b88faee2cc9d4b2c'
        """
        digest = hashlib.sha256()
        for split in self.splits:
            for key in (f"x_{split}", f"y_{split}"):
                kind = {"u": "|u1", "i": "<i8", "f": "<f4"}[getattr(self, key).dtype.kind]
                array = np.ascontiguousarray(getattr(self, key), dtype=kind)
                digest.update(f"{key} {kind} {array.shape}\n".encode())
                digest.update(array.data)
        return digest.hexdigest()

    def tensors(self, split: str = "train") -> "tuple[Tensor, Tensor]":
        """Return the images of a split as networks receive them, and their labels, for a custom training loop.

        Images are float32, (images, channels, height, width), and every channel is standardized by its mean and deviation
        over the training images, as in `graphtask.train`, `graphtask.sweep` and all other tests of a network.

        Args:
            split: ``train``, ``test`` or ``val``.

        Raises:
            ArgumentError: There is no such split.

        Example:
            >>> import graphtask as gt
            >>> images, labels = gt.load_data("cdigits").tensors()
            >>> images.shape, labels.shape, [round(value) for value in images.std(dim=(0, 2, 3)).tolist()]
            (torch.Size([1438, 3, 24, 24]), torch.Size([1438]), [1, 1, 1])
        """
        from graphtask.data.batches import Batches, channel_statistics

        images, labels = (
            getattr(self, f"{kind}_{choice(split, name='split', choices=self.splits)}") for kind in "xy"
        )
        mean, std = channel_statistics(self.x_train)
        return next(iter(Batches(images, labels, batch_size=len(images), mean=mean, std=std).in_order()))

    def subset(self, n_train: int, n_test: int, *, seed: int, n_val: int | None = None) -> "ImageData":
        """Return a smaller data set with (almost) the same number of images in every class, in their old order.

        A larger subset of the same seed contains the smaller one.

        Args:
            n_train: Training images to keep; the first classes get one more if it is not a multiple of the classes.
            n_test: Test images to keep.
            seed: Seed of the choice, at least 0.
            n_val: Validation images to keep; None keeps all.

        Raises:
            ArgumentError: A number is below 1, or the seed below 0.
            DataError: A class has too few images.
        """
        counts = {"train": n_train, "test": n_test} | ({} if n_val is None else {"val": n_val})
        kept = {split: self._balanced(split, count, seed=seed) for split, count in counts.items()}
        return replace(
            self,
            **{
                f"{kind}_{split}": getattr(self, f"{kind}_{split}")[index]
                for split, index in kept.items()
                for kind in "xy"
            },
            origin={
                **self.origin,
                "subset": {f"n_{split}": int(count) for split, count in counts.items()} | {"seed": int(seed)},
            },
        )

    def with_validation(self, share: float, *, seed: int) -> "ImageData":
        """Return the data set with a share of the training images of every class as its validation images.

        Validation images that it has already are replaced; 0 leaves none.

        Args:
            share: Share of the training images, in [0, 0.5].
            seed: Seed of the choice, at least 0.

        Raises:
            ArgumentError: The share or the seed is outside its range.
            DataError: No class has enough images.

        Example:
            >>> gray = np.zeros((20, 8, 8, 1), np.uint8)
            >>> data = ImageData("blank", gray, np.arange(20) % 2, gray, np.arange(20) % 2, ("even", "odd"))
            >>> split = data.with_validation(0.2, seed=0)
            >>> len(split.x_train), len(split.x_val)
            (16, 4)
        """
        if number(share, name="validation", least=0, most=0.5) == 0:
            return replace(self, x_val=None, y_val=None)
        chosen = held_out(strata(self.y_train), share=share, seed=seed, part=Part.VALIDATION)
        if not chosen.any():
            raise DataError(
                f"{self.name}: validation={share:g} of {counted(len(chosen), 'training image')} holds out no image of "
                f"any class; choose a larger share"
            )
        return replace(
            self,
            x_train=self.x_train[~chosen],
            y_train=self.y_train[~chosen],
            x_val=self.x_train[chosen],
            y_val=self.y_train[chosen],
        )

    def _balanced(self, split: str, count: int, *, seed: int) -> npt.NDArray[np.int64]:
        count = integer(count, name=f"n_{split}")
        labels = strata(getattr(self, f"y_{split}"))
        n_groups = self.n_classes if self.targets == CLASSES else 1
        wanted = count // n_groups + (np.arange(n_groups) < count % n_groups)
        present = np.bincount(labels, minlength=n_groups)
        short = np.flatnonzero(present < wanted)
        if len(short):
            raise DataError(
                f"{self.name}: class {self.class_names[short[0]]!r} has {counted(present[short[0]], f'{split} image')}, "
                f"a balanced subset of {count} needs {wanted[short[0]]}; "
                f"use at most {present.min() * n_groups}"
            )
        order = permutation(len(labels), seed=seed, part=_PARTS[split])
        kept = [order[labels[order] == label][:number] for label, number in enumerate(wanted)]
        return np.sort(np.concatenate(kept))

    def _check_labels(self, split: str) -> None:
        where, labels = f"{self.name}: y_{split}", getattr(self, f"y_{split}")
        n_images = len(getattr(self, f"x_{split}"))
        if isinstance(labels, np.ndarray) and self.targets != CLASSES:
            self._check_targets(split)
            return
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
            raise DataError(f"{where} must be an array of integers, got {_kind(labels)}")
        if labels.shape != (n_images,):
            raise DataError(
                f"{where} must have shape ({n_images},) for {counted(n_images, 'image')}, got {labels.shape}"
            )
        wrong = np.flatnonzero((labels < 0) | (labels >= self.n_classes))
        if len(wrong):
            raise DataError(
                f"{where}[{wrong[0]}] must be in [0, {self.n_classes - 1}] for {self.n_classes} classes, got "
                f"{labels[wrong[0]]}"
            )

    def _check_targets(self, split: str) -> None:
        where, targets = f"{self.name}: y_{split}", getattr(self, f"y_{split}")
        images = getattr(self, f"x_{split}")
        kinds, shape = (
            ("f", (len(images), self.n_classes)) if self.targets == VALUES else ("iu", images.shape[:3])
        )
        if targets.dtype.kind not in kinds or targets.shape != shape:
            raise DataError(
                f"{where} must have shape {shape} for {self.targets} of {counted(len(images), 'image')}, got an array of "
                f"{targets.dtype} of shape {targets.shape}"
            )
        if self.targets == PIXELS:
            wrong = targets[(targets != IGNORED) & ((targets < 0) | (targets >= self.n_classes))]
            if len(wrong):
                raise DataError(f"{where} must be in [0, {self.n_classes - 1}] or {IGNORED}, got {wrong[0]}")
        elif targets.dtype != np.float32 or not np.isfinite(targets).all():
            raise DataError(f"{where} must be finite numbers of float32, got {targets.dtype}")


def held_out(labels: Labels, *, share: float, seed: int, part: Part) -> npt.NDArray[np.bool_]:
    """Return a mask with the same share of every class, drawn from one part of the random stream of a seed."""
    order = permutation(len(labels), seed=seed, part=part)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        chosen[members[: round(share * len(members))]] = True
    return chosen


def check_size(shape: tuple[int, ...], *, what: str) -> None:
    """Raise unless uint8 images of this shape stay within `MAX_BYTES`.

    Raises:
        DataError: They are larger; the message has their size.
    """
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise DataError(
            f"{what} would take {size / 2**30:.1f} GiB; the limit is {MAX_BYTES / 2**30:.0f} GiB for the images of a split"
        )


def _check_images(images: Any, *, where: str) -> None:
    if not isinstance(images, np.ndarray) or images.dtype not in {np.dtype(np.uint8), np.dtype(np.float32)}:
        raise DataError(
            f"{where} must be an array of uint8 in [0, 255] or of float32, got {_kind(images)}; graphtask.load_data "
            f"converts others"
        )
    if images.ndim != 4:
        raise DataError(f"{where} must have shape (images, height, width, channels), got {images.shape}")
    if images.size == 0:
        raise DataError(f"{where} must have at least one image, got shape {images.shape}")


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _shape(images: npt.NDArray[Any]) -> str:
    return "×".join(str(length) for length in images.shape[1:])
