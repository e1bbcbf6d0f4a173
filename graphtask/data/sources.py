"""Where images come from: torchvision's data sets, scikit-learn's digits, image folders, .npz files."""

import math
import os
import pickle
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphtask.data.dataset import ImageData, Images, Labels, check_size
from graphtask.data.stream import Part, permutation
from graphtask.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

ROOT_VARIABLE = "GRAPHTASK_DATA"
DEFAULT_ROOT = Path("~/.cache/graphtask")
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp"})
IMAGE_FORMATS = (
    "BMP",
    "GIF",
    "JPEG",
    "PNG",
    "PPM",
    "WEBP",
)  # Pillow knows more; EPS, for one, runs a program

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_MOST_CHANNELS = 4  # of an image in a .npz file; tells channels from height and width
_DIGITS_TEST_SHARE = 0.2
_DIGITS_SPLIT_SEED = 0
_GREY_MODES = frozenset({"1", "L", "LA"})
_DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_TEN_DIGITS = tuple("0123456789")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_GARMENTS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_FOLDER_SHAPE = "an image folder has train/<class>/*.png and test/<class>/*.png"

# What zipfile, numpy, torchvision and Pillow raise on damaged files.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class TorchvisionSource(NamedTuple):
    """How torchvision knows a data set: its class, its folder under the root, the names of its classes."""

    dataset: str
    folder: str
    class_names: tuple[str, ...]


TORCHVISION: Mapping[str, TorchvisionSource] = MappingProxyType(
    {
        "mnist": TorchvisionSource("MNIST", "MNIST/raw", _TEN_DIGITS),
        "kmnist": TorchvisionSource("KMNIST", "KMNIST/raw", _KANA),
        "fashionmnist": TorchvisionSource("FashionMNIST", "FashionMNIST/raw", _GARMENTS),
        "cifar10": TorchvisionSource("CIFAR10", "cifar-10-batches-py", _CIFAR_CLASSES),
    }
)


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of downloaded data sets: ``root``, else what $GRAPHTASK_DATA says, else ~/.cache/graphtask."""
    return Path(root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT).expanduser()


def read_torchvision(
    name: str, *, root: str | os.PathLike[str] | None = None, download: bool = False
) -> ImageData:
    """One of torchvision's data sets, from the files that torchvision keeps under a root folder.

    Args:
        name: A key of `TORCHVISION`.
        root: The folder; see `data_root`.
        download: Whether torchvision may download files that are missing.

    Raises:
        DataError: The files are missing (the message says where they were looked for), damaged, or cannot be
            downloaded.
    """
    source, folder = TORCHVISION[name], data_root(root)
    place = folder / source.folder
    remedy = "download them with download=True (on the command line: --download)"
    instead = f"or give a file instead (--data path/to/{name}.npz)"
    if not download and not place.is_dir():
        raise DataError(
            f"{name}: no files in {place}; {remedy}, name another root folder (--data-root, ${ROOT_VARIABLE}), {instead}"
        )
    read = getattr(_torchvision_datasets(), source.dataset)
    try:
        splits = [read(folder, train=train, download=download) for train in (True, False)]
    except _UNREADABLE as error:
        action = "downloaded to" if download else "read from"
        raise DataError(
            f"{name}: cannot be {action} {place} ({_reason(error)}); "
            f"if files are missing or damaged, remove that folder and {remedy}, {instead}"
        ) from error
    (x_train, y_train), (x_test, y_test) = [
        (_channels_added(np.asarray(split.data)), np.asarray(split.targets, dtype=np.int64))
        for split in splits
    ]
    origin = {"source": "torchvision", "dataset": source.dataset}
    return ImageData(name, x_train, y_train, x_test, y_test, source.class_names, origin)


def read_digits() -> ImageData:
    """scikit-learn's 1,797 scanned digits of 8×8 pixels, 0 … 16 stretched to 0 … 255; nothing is downloaded.

    A fifth of every class is held out for testing, always the same images. The writers are not told apart: most
    of them wrote digits of both splits.

    Example:
        >>> digits = read_digits()
        >>> digits.x_train.shape, digits.x_test.shape, int(digits.x_train.max())
        ((1438, 8, 8, 1), (359, 8, 8, 1), 255)
    """
    from sklearn.datasets import load_digits

    stored = load_digits()
    images = _channels_added(((stored.images.astype(np.uint16) * 255 + 8) // 16).astype(np.uint8))
    labels = stored.target.astype(np.int64)
    held_out = _held_out(labels)
    origin = {
        "source": "scikit-learn",
        "dataset": "digits",
        "test_share": _DIGITS_TEST_SHARE,
        "split_seed": _DIGITS_SPLIT_SEED,
    }
    return ImageData(
        "digits",
        images[~held_out],
        labels[~held_out],
        images[held_out],
        labels[held_out],
        _TEN_DIGITS,
        origin,
    )


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
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a readable .npz file ({_reason(error)})") from error
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


def read_folder(path: str | os.PathLike[str], *, resize: int | None = None) -> ImageData:
    """The data set in a folder of images: ``train/<class>/*.png`` and ``test/<class>/*.png`` (or jpg, bmp, …).

    Classes are the names of the folders in ``train``, sorted as text. Images are grey if every file is, else in
    three channels; transparency is dropped. Files whose names begin with a dot or do not end like an image's are
    passed over.

    Args:
        path: The folder.
        resize: Side in pixels to which every image is resized as it is read (as the transform ``resize`` does it);
            by default all have to have the same size.

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
        raise DataError(f"{path}: cannot be listed ({_reason(error)})") from error
    layout = _common_layout([file for split in files for file, _ in split], resize=resize)
    x_train, x_test = (_read_images([file for file, _ in split], layout=layout) for split in files)
    y_train, y_test = (np.asarray([label for _, label in split], dtype=np.int64) for split in files)
    origin = {"source": "folder", "path": str(path)}
    data = ImageData(path.resolve().name, x_train, y_train, x_test, y_test, classes, origin)
    if resize is None:
        return data
    steps = [{"name": "resize", "size": resize}]
    return replace(data, name=f"{data.name}+resize:{resize}", origin={**origin, "transforms": steps})


class _Layout(NamedTuple):
    """What all images of a folder are read as."""

    width: int
    height: int
    grey: bool
    resize: bool


def _torchvision_datasets() -> ModuleType:
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError) as error:  # torchvision refuses a torch of another release
        raise DataError(
            f"torchvision cannot be imported ({_reason(error)}); install the release that fits your torch"
        ) from error
    return torchvision.datasets  # type: ignore[no-any-return]


def _channels_added(images: npt.NDArray[Any]) -> Images:
    return np.ascontiguousarray(images if images.ndim == 4 else images[..., None])


def _held_out(labels: Labels) -> npt.NDArray[np.bool_]:
    order = permutation(len(labels), seed=_DIGITS_SPLIT_SEED, part=Part.HELD_OUT)
    held_out = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        held_out[members[: round(_DIGITS_TEST_SHARE * len(members))]] = True
    return held_out


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


def _class_folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; {_FOLDER_SHAPE}")
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
    """Size and colour that fit all the files, from their headers alone."""
    grey, size = True, (0, 0)
    for index, file in enumerate(files):
        with _opened(file) as image:
            if image.mode in _DEEP_MODES:
                raise DataError(f"{file}: has more than 8 bits a channel; save it with 8")
            grey = grey and image.mode in _GREY_MODES
            size = image.size if index == 0 else size
            if resize is None and image.size != size:
                raise DataError(
                    f"{file}: {image.size[0]}×{image.size[1]} pixels where {files[0]} has {size[0]}×{size[1]}; "
                    "resize the images as they are read (--transform resize:32)"
                )
    width, height = size if resize is None else (resize, resize)
    check_size((len(files), height, width, 1 if grey else 3), what=f"{len(files)} images of {height}×{width}")
    return _Layout(width, height, grey, resize is not None)


def _read_images(files: Sequence[Path], *, layout: _Layout) -> Images:
    from PIL import Image

    images = np.empty((len(files), layout.height, layout.width, 1 if layout.grey else 3), dtype=np.uint8)
    for index, file in enumerate(files):
        with _opened(file) as image:
            plain = image.convert("L" if layout.grey else "RGB")
        if layout.resize:
            plain = plain.resize((layout.width, layout.height), Image.Resampling.BILINEAR)
        images[index] = np.asarray(plain).reshape(images.shape[1:])
    return images


@contextmanager
def _opened(file: Path) -> Iterator["Image.Image"]:
    """The image in a file, its pixels not read yet; whatever goes wrong with it is a DataError that names it."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=IMAGE_FORMATS) as image:
                yield image
    except DataError:
        raise
    except (*_UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{file}: not a readable image ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().partition("\n")[0] or type(error).__name__
