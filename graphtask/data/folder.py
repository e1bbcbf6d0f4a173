"""Images from folders: one folder per split, in it one per class, in it the files."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphtask.data.dataset import ImageData, Images, check_size
from graphtask.data.reading import UNREADABLE, SourceSize, reason_of
from graphtask.errors import DataError
from graphtask.storage.regular import open_regular
from graphtask.validation import counted

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp"})
IMAGE_FORMATS = (
    "BMP",
    "GIF",
    "JPEG",
    "PNG",
    "PPM",
    "WEBP",
)  # Pillow knows more; EPS, for one, runs a program
_GRAY_MODES = frozenset({"1", "L", "LA"})
_DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_FOLDER_SHAPE = "an image folder has train/<class>/*.png and test/<class>/*.png"


def read_folder(path: str | os.PathLike[str], *, resize: int | None = None) -> ImageData:
    """Read the data set in a folder of images: ``train/<class>/*.png`` and ``test/<class>/*.png`` (or jpg, bmp, …).

    Classes are the names of the folders in ``train``, sorted as text. Images are gray if every file is, else in
    three channels; transparency is dropped. Files whose names start with a dot or lack an image suffix are skipped.

    Args:
        path: The folder.
        resize: Side in pixels to which every image is resized as it is read, as by the transform ``resize``; by
            default all must have the same size.

    Raises:
        DataError: A folder is missing or empty, or a file is unreadable or of another size; the message names it.
    """
    path = Path(path)
    try:
        classes = _class_folders(path / "train")
        unknown = sorted(set(_class_folders(path / "test")) - set(classes))
        if unknown:
            raise DataError(f"{path / 'test' / unknown[0]}: this class has no folder in {path / 'train'}")
        files = [_image_files(path / split, classes) for split in ("train", "test")]
    except OSError as error:
        raise DataError(f"{path}: cannot be listed ({reason_of(error)})") from error
    layout = _common_layout([file for split in files for file, _ in split], resize=resize)
    x_train, x_test = (_read_images([file for file, _ in split], layout=layout) for split in files)
    y_train, y_test = (np.asarray([label for _, label in split], dtype=np.int64) for split in files)
    origin = {"source": "folder", "path": str(path)}
    data = ImageData(path.resolve().name, x_train, y_train, x_test, y_test, classes, origin)
    if resize is None:
        return data
    steps = [{"name": "resize", "size": resize}]
    return replace(data, name=f"{data.name}+resize:{resize}", origin={**origin, "transforms": steps})


def folder_size(path: Path) -> SourceSize:
    """Return the size of the data set in a folder of images from its file list and its first image.

    Raises:
        DataError: A folder is missing or empty, or the first image cannot be read.
    """
    classes = _class_folders(path / "train")
    train, test = (_image_files(path / split, classes) for split in ("train", "test"))
    layout = _common_layout([train[0][0]], resize=None)
    return SourceSize(
        len(train), len(test), (layout.height, layout.width, 1 if layout.gray else 3), len(classes)
    )


class _Layout(NamedTuple):
    """Common size and color of all images of a folder."""

    width: int
    height: int
    gray: bool
    resize: bool


def _class_folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; {_FOLDER_SHAPE}")
    names = (entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return tuple(sorted(names))


def _image_files(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    files: list[tuple[Path, int]] = []
    for label, name in enumerate(classes):
        place = folder / name
        if not place.is_dir():  # a class that is not tested
            continue
        found = sorted(file for file in place.iterdir() if _is_image(file))
        if not found:
            raise DataError(f"{place}: no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        files += [(file, label) for file in found]
    if not files:
        raise DataError(f"{folder}: no folder of a class in it; {_FOLDER_SHAPE}")
    return files


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()


def _common_layout(files: Sequence[Path], *, resize: int | None) -> _Layout:
    """Return size and color that fit all files, from their headers alone."""
    gray, size = True, (0, 0)
    for index, file in enumerate(files):
        with _opened(file) as image:
            if image.mode in _DEEP_MODES:
                raise DataError(f"{file}: has more than 8 bits per channel; save it with 8")
            gray = gray and image.mode in _GRAY_MODES
            size = image.size if index == 0 else size
            if resize is None and image.size != size:
                raise DataError(
                    f"{file}: {image.size[0]}×{image.size[1]} pixels where {files[0]} has {size[0]}×{size[1]}; "
                    "resize the images as they are read: transform resize:32"
                )
    width, height = size if resize is None else (resize, resize)
    check_size(
        (len(files), height, width, 1 if gray else 3),
        what=f"{counted(len(files), 'image')} of {height}×{width}",
    )
    return _Layout(width, height, gray, resize is not None)


def _read_images(files: Sequence[Path], *, layout: _Layout) -> Images:
    from PIL import Image

    images = np.empty((len(files), layout.height, layout.width, 1 if layout.gray else 3), dtype=np.uint8)
    for index, file in enumerate(files):
        with _opened(file) as image:
            plain = image.convert("L" if layout.gray else "RGB")
        if layout.resize:
            plain = plain.resize((layout.width, layout.height), Image.Resampling.BILINEAR)
        images[index] = np.asarray(plain).reshape(images.shape[1:])
    return images


@contextmanager
def _opened(file: Path) -> Iterator["Image.Image"]:
    """Open an image without reading its pixels; every failure is a DataError that names the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_regular(file) as stream, Image.open(stream, formats=IMAGE_FORMATS) as image:
                yield image
    except DataError:
        raise
    except (*UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{file}: not a readable image ({reason_of(error)})") from error
