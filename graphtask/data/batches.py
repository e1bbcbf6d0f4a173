"""Batches of images on the device: shuffled, augmented and normalized there.

The images are stored once, as bytes; an epoch makes no copy of the data set and never waits for the device.

Shapes: images (images or batch, channels, height, width), labels (images or batch), order (images), shift (images or
batch, 2), flip (images or batch), mean and std (channels).
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from graphtask.data.dataset import Images, Labels
from graphtask.data.targets import IGNORED
from graphtask.errors import DataError
from graphtask.validation import counted, integer, invalid

Batch = tuple[Tensor, Tensor]

_CHUNK = 4096  # images whose histogram is taken at once


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, of pixel values divided by 255."""

    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]


class Draws(NamedTuple):
    """Random draws of one epoch; entry i belongs to the i-th image of the epoch."""

    order: Tensor
    """Index of the image."""
    shift: Tensor
    """Row and column, 0 … 2·padding, at which its crop starts in the padded image."""
    flip: Tensor
    """True if the crop is mirrored left to right."""


def channel_statistics(images: Images) -> ChannelStatistics:
    """Return mean and population standard deviation of each channel, in float64; of bytes, of values divided by 255.

    Those of bytes are computed from exact counts of the 256 values. A constant channel has deviation 1, so that it can
    be normalized.

    Example:
        >>> channel_statistics(np.array([[[[0]]], [[[255]]]], np.uint8))
        ChannelStatistics(mean=array([0.5]), std=array([0.5]))
    """
    if images.dtype != np.uint8:
        values = images.reshape(-1, images.shape[3]).astype(np.float64)
        std = values.std(axis=0)
        return ChannelStatistics(values.mean(axis=0), np.where(std > 0, std, 1.0))
    counts = np.stack([_histogram(images[..., channel]) for channel in range(images.shape[3])]).astype(
        np.float64
    )
    values = np.arange(256) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / total)
    std[(counts > 0).sum(axis=1) == 1] = 1.0
    return ChannelStatistics(mean, std)


class Batches:
    """The images of one split on a device, and their batches.

    Images are kept as they are, of shape (images, channels, height, width), with a frame of ``padding`` zeros: a crop is
    then one gather. A batch is cropped and mirrored, then normalized: (value / 255 - mean) / std for bytes,
    (value - mean) / std for floats. Labels of pixels are cropped and mirrored with their images.

    Args:
        images: uint8 or float32, of shape (images, height, width, channels).
        labels: Targets of the images; see `graphtask.data.targets`.
        batch_size: Images per batch; the last batch of an epoch may be smaller.
        mean: Mean of each channel, of values divided by 255; from the training images (see `channel_statistics`).
        std: Standard deviation of each channel, likewise.
        device: Device of the images.
        padding: Black pixels on each side from which a random crop of the old size is taken; 0 for no cropping.
        flip: Mirror a random half of the images left to right.
        dtype: Data type of the images in a batch; they are normalized in float32 before the cast.

    Raises:
        ArgumentError: A number is outside its range.
        DataError: Images, labels, mean and std do not match.

    Example:
        >>> images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
        >>> batches = Batches(images, np.arange(5), batch_size=2, mean=[0.0], std=[1 / 255])
        >>> len(batches), [round(x) for batch, _ in batches.in_order() for x in batch.flatten().tolist()]
        (3, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        images: Images,
        labels: Labels,
        *,
        batch_size: int = 128,
        mean: npt.NDArray[np.float64] | Sequence[float],
        std: npt.NDArray[np.float64] | Sequence[float],
        device: torch.device | str = "cpu",
        padding: int = 0,
        flip: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        _check(images, labels, mean=mean, std=std, batch_size=batch_size, padding=padding)
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.padding = padding
        self.flip = flip
        self.dtype = dtype
        self.n_images, self.height, self.width, self.in_channels = map(int, images.shape)
        self._images: Tensor = _padded(images, padding).to(self.device)
        self._labels: Tensor = _targets(labels, padding).to(self.device)
        # (value / 255 - mean) / std, with one division; in float64 until here, so that every device gets the same.
        unit = 255 if images.dtype == np.uint8 else 1
        self._mean = _per_channel(unit * np.asarray(mean, dtype=np.float64)).to(self.device)
        self._std = _per_channel(unit * np.asarray(std, dtype=np.float64)).to(self.device)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(self.n_images / self.batch_size)

    def epoch(self, *, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch: every image once, in random order, augmented.

        All random draws follow from ``seed`` and ``epoch`` alone (see `draws`), so that any epoch, and any part of it,
        is the same at any time and on any device.

        Args:
            seed: Seed of the run.
            epoch: Number of the epoch, from 0.
            start: Number of the first batch; earlier ones are skipped.

        Raises:
            ArgumentError: ``start`` is not a batch of the epoch (the end counts as one).
        """
        if not 0 <= start <= len(self):
            raise invalid("start", f"an integer in [0, {len(self)}]", start)
        draws = Draws(*(drawn.to(self.device) for drawn in self.draws(seed=seed, epoch=epoch)))
        return (self._augmented(draws, batch) for batch in range(start, len(self)))

    def in_order(self) -> Iterator[Batch]:
        """Yield the batches of all images in their own order, without augmentation: for evaluation."""
        for begin in range(0, self.n_images, self.batch_size):
            end = begin + self.batch_size
            yield (
                self._normalized(self._inside(self._images)[begin:end]),
                self._inside(self._labels)[begin:end],
            )

    def draws(self, *, seed: int, epoch: int) -> Draws:
        """Return the random draws of an epoch, made on the CPU: order, shifts, flips (used or not).

        The generator of the epoch is seeded with the first eight bytes, little-endian and without the top bit, of
        SHA-256 of the text ``graphtask epoch <seed> <epoch>``.
        """
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        options: Any = {"generator": generator, "device": "cpu"}  # whatever the default device of PyTorch is
        order = torch.randperm(self.n_images, **options)
        shift = torch.randint(0, 2 * self.padding + 1, (self.n_images, 2), **options)
        flip = torch.randint(0, 2, (self.n_images,), dtype=torch.bool, **options)
        return Draws(order, shift, flip)

    def _augmented(self, draws: Draws, batch: int) -> Batch:
        shown = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        chosen = draws.order[shown]
        images, labels = self._images[chosen], self._labels[chosen]
        if self.padding or self.flip:
            pixels = self._pixels(draws.shift[shown], draws.flip[shown])
            images = images.flatten(2).gather(2, pixels.expand(-1, self.in_channels, -1))
            images = images.view(-1, self.in_channels, self.height, self.width)
            if labels.ndim == 3:
                labels = labels.flatten(1).gather(1, pixels[:, 0]).view(-1, self.height, self.width)
        return self._normalized(images), labels

    def _pixels(self, shift: Tensor, flip: Tensor) -> Tensor:
        """Return the source pixel in the padded image, row by row, of each pixel of the crop."""
        rows = shift[:, :1] + torch.arange(self.height, device=self.device)
        columns = torch.arange(self.width, device=self.device)
        if self.flip:
            columns = torch.where(flip[:, None], self.width - 1 - columns, columns)
        columns = shift[:, 1:] + columns
        return (rows[:, :, None] * self._images.shape[3] + columns[:, None, :]).flatten(1)[:, None]

    def _inside(self, values: Tensor) -> Tensor:
        """Return images, or labels of pixels, without their frame."""
        frame = self.padding
        if not frame or values.ndim < 3:
            return values
        return values[..., frame : frame + self.height, frame : frame + self.width]

    def _normalized(self, images: Tensor) -> Tensor:
        return images.to(torch.float32, copy=True).sub_(self._mean).div_(self._std).to(self.dtype)


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's generator; see `Batches.draws`.

    Example:
        >>> epoch_seed(0, 1) == epoch_seed(1, 0)
        False
    """
    digest = hashlib.sha256(f"graphtask epoch {int(seed)} {int(epoch)}".encode()).digest()
    return int.from_bytes(digest[:8], "little") & (2**63 - 1)


def _histogram(channel: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    counts = np.zeros(256, dtype=np.int64)
    for begin in range(0, len(channel), _CHUNK):
        counts += np.bincount(channel[begin : begin + _CHUNK].ravel(), minlength=256)
    return counts


def _padded(images: Images, padding: int) -> Tensor:
    channels_first = torch.tensor(np.ascontiguousarray(np.moveaxis(images, 3, 1)), device="cpu")
    return pad(channels_first, (padding,) * 4) if padding else channels_first


def _targets(labels: Labels, padding: int) -> Tensor:
    kind = torch.float32 if labels.dtype.kind == "f" else torch.int64
    targets = torch.tensor(labels, dtype=kind, device="cpu")
    return pad(targets, (padding,) * 4, value=IGNORED) if padding and targets.ndim == 3 else targets


def _per_channel(values: npt.NDArray[np.float64]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device="cpu")[:, None, None]


def _check(
    images: Images,
    labels: Labels,
    *,
    mean: npt.NDArray[np.float64] | Sequence[float],
    std: npt.NDArray[np.float64] | Sequence[float],
    batch_size: int,
    padding: int,
) -> None:
    integer(batch_size, name="batch_size")
    integer(padding, name="padding", least=0)
    if images.dtype not in {np.dtype(np.uint8), np.dtype(np.float32)} or images.ndim != 4 or not images.size:
        raise DataError(
            f"images must be uint8 or float32 (images, height, width, channels), got {images.dtype} of shape {images.shape}"
        )
    if labels.shape not in {images.shape[:1], images.shape[:3]} and (
        labels.ndim != 2 or len(labels) != len(images)
    ):
        raise DataError(
            f"labels must have shape ({len(images)},) for {counted(len(images), 'image')}, got {labels.shape}"
        )
    for name, values in (("mean", np.asarray(mean)), ("std", np.asarray(std))):
        if (
            values.shape != images.shape[3:]
            or not np.isfinite(values).all()
            or (name == "std" and not (values > 0).all())
        ):
            positive = " positive" if name == "std" else ""
            raise DataError(
                f"{name} must be{positive} numbers, one for each channel ({images.shape[3]}), got {values.tolist()}"
            )
