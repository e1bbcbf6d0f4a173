"""Transforms of all images, applied once before training: color, pad, tiles, scale, resize, subset.

Random draws repeat from their seed on every NumPy version (see `graphtask.data.stream`). A transform is written as a
name with an optional number, as on the command line: ``color``, ``pad:2``, ``tiles:8``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from graphtask.data.dataset import ImageData, Images, check_size
from graphtask.data.stream import Part, words
from graphtask.data.targets import PIXELS
from graphtask.errors import ArgumentError, DataError
from graphtask.validation import abbreviated, integer

SUBSET = "subset"  # the only transform that changes the number of images

_COLORS = {"train": Part.TRAIN_COLORS, "test": Part.TEST_COLORS, "val": Part.VAL_COLORS}


@dataclass(frozen=True)
class Transform:
    """A transform by name, with its number if it has one.

    Args:
        name: A key of `TRANSFORMS`.
        value: The number, at least 1; ``None`` for a transform without one.
    """

    name: str
    value: int | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class TransformKind(NamedTuple):
    """Entry of the table of transforms."""

    function: Callable[..., Any]
    about: str
    argument: str | None = None
    default: int | None = None
    seeded: bool = False
    by_split: bool = False
    whole: bool = False
    """True if it maps the data set instead of the images of one split."""


def color(images: Images, *, seed: int, split: str = "train") -> Images:
    """Color gray images: one bright random color per image, independent of its class; black stays black.

    One 64-bit word per image decides: which of the three channels is 255 (word // 2^32 mod 3), and, in its two
    lowest bytes, the values of the next two channels (cyclically red, green, blue). A gray value g turns into
    round(g · color / 255). Image i has the i-th color, however many images there are.

    Args:
        images: Gray images of shape (images, height, width, 1).
        seed: Random seed for the colors.
        split: ``train``, ``test`` or ``val``; each has its own part of the random stream.

    Returns:
        Images of shape (images, height, width, 3).

    Raises:
        DataError: The images are not gray.
        ArgumentError: The seed is below 0.

    Example:
        >>> color(np.full((2, 1, 1, 1), 255, np.uint8), seed=0)[:, 0, 0].tolist()
        [[95, 130, 255], [255, 33, 215]]
    """
    n_images, height, width, n_channels = images.shape
    if n_channels != 1:
        raise DataError(f"color needs gray images, got {n_channels} channels")
    shape = (n_images, height, width, 3)
    check_size(shape, what="colored images")
    colors = _colors(n_images, seed=seed, part=_COLORS[split])
    colored = np.empty(shape, dtype=np.uint8)
    gray = images[..., 0].astype(np.uint16)
    for channel in range(3):
        colored[..., channel] = (gray * colors[:, channel, None, None] + 127) // 255
    return colored


def pad(images: Images, *, width: int = 2) -> Images:
    """Add a frame of ``width`` black pixels on all four sides.

    Example:
        >>> pad(np.ones((1, 28, 28, 1), np.uint8), width=2).shape
        (1, 32, 32, 1)
    """
    _check_number("width", width)
    n_images, height, breadth, n_channels = images.shape
    check_size((n_images, height + 2 * width, breadth + 2 * width, n_channels), what=f"pad:{width}")
    return np.pad(images, ((0, 0), (width, width), (width, width), (0, 0)))


def scale(images: Images, *, factor: int = 2) -> Images:
    """Repeat every pixel ``factor`` times in both directions.

    Example:
        >>> scale(np.array([[[[1], [2]]]], np.uint8))[0, :, :, 0].tolist()
        [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    _check_number("factor", factor)
    n_images, height, width, n_channels = images.shape
    check_size((n_images, height * factor, width * factor, n_channels), what=f"scale:{factor}")
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def tiles(images: Images, *, size: int = 8, seed: int) -> Images:
    """Cut images into tiles of ``size`` × ``size`` pixels, shuffle them, and turn each by a multiple of 90°.

    The shuffle and the turns are drawn once and are the same for all images of all splits.

    Args:
        images: Images whose height and width are multiples of ``size``.
        size: Height and width of a tile in pixels.
        seed: Random seed for the shuffle and the turns.

    Raises:
        DataError: The tiles do not fit the images.
        ArgumentError: The seed is below 0.

    Example:
        >>> tiles(np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1), size=1, seed=0)[0, :, :, 0].tolist()
        [[0, 2], [3, 1]]
    """
    _check_number("size", size)
    n_images, height, width, n_channels = images.shape
    if height % size or width % size:
        common = int(np.gcd(height, width))
        fitting = [number for number in range(1, common + 1) if common % number == 0]
        raise DataError(
            f"tiles of {size}×{size} pixels do not fit images of {height}×{width}; use a size of "
            f"{', '.join(map(str, fitting))}, or pad the images first"
        )
    source = _tiled_pixels(height, width, size=size, seed=seed)
    return np.take(images.reshape(n_images, height * width, n_channels), source, axis=1)


def resize(images: Images, *, size: int = 32) -> Images:
    """Resize images to ``size`` × ``size`` pixels by bilinear interpolation, anti-aliased, with Pillow.

    This is the only transform whose values may differ between releases of a library.

    Example:
        >>> resize(np.full((1, 20, 30, 3), 7, np.uint8), size=16).shape
        (1, 16, 16, 3)
    """
    from PIL import Image

    _check_number("size", size)
    n_images, _, _, n_channels = images.shape
    check_size((n_images, size, size, n_channels), what=f"resize:{size}")
    resized = np.empty((n_images, size, size, n_channels), dtype=np.uint8)
    for index, image in enumerate(images):
        for channel in range(n_channels):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            resized[index, ..., channel] = np.asarray(plane.resize((size, size), Image.Resampling.BILINEAR))
    return resized


def subset(data: ImageData, *, number: int = 1000, seed: int) -> ImageData:
    """Return a balanced subset with ``number`` training images and the same share of the other splits (at least one).

    See `ImageData.subset`: a larger subset of the same seed contains the smaller one.

    Example:
        >>> gray = np.zeros((40, 8, 8, 1), np.uint8)
        >>> data = ImageData("blank", gray, np.arange(40) % 2, gray[:10], np.arange(10) % 2, ("a", "b"))
        >>> small = subset(data, number=20, seed=0)
        >>> len(small.x_train), len(small.x_test)
        (20, 5)
    """
    _check_number("number", number)
    n_train = len(data.x_train)
    n_test = same_share(len(data.x_test), number, of=n_train)
    n_val = None if data.x_val is None else same_share(len(data.x_val), number, of=n_train)
    return data.subset(number, n_test, n_val=n_val, seed=seed)


def same_share(n_images: int, number: int, *, of: int) -> int:
    """Return ``number``/``of`` of the images of another split, at least one.

    Example:
        >>> same_share(10_000, 9_600, of=60_000), same_share(10, 1, of=60_000)
        (1600, 1)
    """
    return max(1, round(number / of * n_images))


TRANSFORMS: Mapping[str, TransformKind] = MappingProxyType(
    {
        "color": TransformKind(
            color, "one bright random color per gray image; black stays black", seeded=True, by_split=True
        ),
        "pad": TransformKind(pad, "a frame of black pixels, this wide", "width", 2),
        "tiles": TransformKind(
            tiles,
            "shuffled and turned tiles of this many pixels, the same for all images",
            "size",
            8,
            seeded=True,
        ),
        "scale": TransformKind(scale, "every pixel repeated this many times", "factor", 2),
        "resize": TransformKind(resize, "square images of this many pixels, interpolated", "size", 32),
        SUBSET: TransformKind(
            subset,
            "this many training images, balanced over the classes, and the same share of the test images",
            "number",
            1000,
            seeded=True,
            whole=True,
        ),
    }
)


def parse_transform(text: str | Transform) -> Transform:
    """Return the transform that a text such as ``tiles:8`` names; without a number, its default.

    Raises:
        ArgumentError: The transform is unknown, or its number is invalid.

    Example:
        >>> parse_transform("tiles"), str(parse_transform("pad:4"))
        (Transform(name='tiles', value=8), 'pad:4')
    """
    name, colon, number = str(text).strip().partition(":")
    kind = TRANSFORMS.get(name)
    if kind is None:
        known = ", ".join(_usage(name) for name in TRANSFORMS)
        raise ArgumentError(
            f"unknown transform {abbreviated(name)}; known are {known}", argument="transforms"
        )
    if not colon:
        return Transform(name, kind.default)
    if kind.argument is None:
        raise ArgumentError(
            f"transform {str(text)!r}: {name} has no number; write {name}", argument="transforms"
        )
    if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) < 1:
        raise ArgumentError(
            f"transform {str(text)!r}: the {kind.argument} must be an integer >= 1, as in {_usage(name)}",
            argument="transforms",
        )
    return Transform(name, int(number))


def transform(data: ImageData, transforms: Sequence[str | Transform], *, seed: int = 0) -> ImageData:
    """Apply transforms to a data set, sequentially; its origin records them.

    Args:
        data: Any data set.
        transforms: Transforms, or texts such as ``"pad:2"``, in the order in which they apply.
        seed: Random seed of the random ones.

    Raises:
        ArgumentError: A transform is unknown, or its number or the seed is invalid.
        DataError: A transform does not fit the images.

    Example:
        >>> gray = np.zeros((2, 28, 28, 1), np.uint8)
        >>> data = ImageData("blank", gray, np.arange(2), gray, np.arange(2), ("a", "b"))
        >>> colored = transform(data, ["pad:2", "color"])
        >>> colored.name, colored.size, colored.in_channels
        ('blank+pad:2+color', (32, 32), 3)
    """
    for step in [parse_transform(text) for text in transforms]:
        if not TRANSFORMS[step.name].whole and (data.x_train.dtype != np.uint8 or data.targets == PIXELS):
            raise DataError(
                f"{step} needs images of bytes, and targets that are not of pixels; transform the arrays first"
            )
        data = _apply(data, step, seed=seed)
    return data


def _apply(data: ImageData, step: Transform, *, seed: int) -> ImageData:
    kind = TRANSFORMS[step.name]
    arguments: dict[str, Any] = {} if kind.argument is None else {kind.argument: step.value}
    if kind.seeded:
        arguments["seed"] = seed
    earlier = data.origin.get("transforms", [])
    written = {"name": step.name, **{key: int(value) for key, value in arguments.items()}}
    apply = kind.function if kind.whole else partial(_apply_to_images, kind.function, kind.by_split)
    data = apply(data, **arguments)
    return replace(
        data,
        name=f"{data.name}+{step}",
        origin={**data.origin, "transforms": [*earlier, written]},
    )


def _apply_to_images(
    function: Callable[..., Images], by_split: bool, data: ImageData, **arguments: int
) -> ImageData:
    def transformed(split: str) -> Images:
        return function(getattr(data, f"x_{split}"), **arguments, **({"split": split} if by_split else {}))

    try:
        changes: dict[str, Any] = {f"x_{split}": transformed(split) for split in data.splits}
        return replace(data, **changes)
    except DataError as error:
        raise DataError(f"{data.name}: {error}") from error


def _check_number(name: str, value: int) -> None:
    integer(value, name=name)


def _usage(name: str) -> str:
    kind = TRANSFORMS[name]
    return name if kind.default is None else f"{name}:{kind.default}"


def _colors(n_images: int, *, seed: int, part: Part) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    drawn = words(n_images, seed=seed, part=part)
    brightest = ((drawn >> np.uint64(32)) % np.uint64(3)).astype(np.int64)
    first, second = (drawn & np.uint64(255)), (drawn >> np.uint64(8)) & np.uint64(255)
    colors = np.full((n_images, 3), 255, dtype=np.uint16)
    image = np.arange(n_images)
    colors[image, (brightest + 1) % 3] = first
    colors[image, (brightest + 2) % 3] = second
    return colors


def _tiled_pixels(height: int, width: int, *, size: int, seed: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return the source pixel (row by row) of each pixel of the tiled image; shape (height, width)."""
    rows, columns = height // size, width // size
    n_tiles = rows * columns
    drawn = words(2 * n_tiles, seed=seed, part=Part.TILES)
    order = np.argsort(drawn[:n_tiles], kind="stable")
    turns = (drawn[n_tiles:] >> np.uint64(32)) % np.uint64(4)
    pixels = (
        np.arange(height * width)
        .reshape(rows, size, columns, size)
        .swapaxes(1, 2)
        .reshape(n_tiles, size, size)
    )
    turned = np.stack(
        [np.rot90(pixels[source], int(turn)) for source, turn in zip(order, turns, strict=True)]
    )
    return turned.reshape(rows, columns, size, size).swapaxes(1, 2).reshape(height, width)
