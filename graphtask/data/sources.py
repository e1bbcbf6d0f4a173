"""Data sets that have a name: torchvision's, and scikit-learn's digits."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple
from urllib.error import URLError

import numpy as np
import numpy.typing as npt

from graphtask.data.dataset import ImageData, Images, held_out
from graphtask.data.reading import UNREADABLE, SourceSize, reason_of
from graphtask.data.stream import Part
from graphtask.errors import DataError
from graphtask.validation import install_hint

ROOT_VARIABLE = "GRAPHTASK_DATA"
DEFAULT_ROOT = Path("~/.cache/graphtask")

_DIGITS_TEST_SHARE = 0.2
_DIGITS_SPLIT_SEED = 0
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


class TorchvisionSource(NamedTuple):
    """Data set of torchvision: its class, its folder under the root, the names of its classes."""

    dataset: str
    folder: str
    class_names: tuple[str, ...]
    size: SourceSize


_MNIST_SIZE = SourceSize(60_000, 10_000, (28, 28, 1), 10)

DIGITS_SIZE = SourceSize(1_438, 359, (8, 8, 1), 10)
TORCHVISION: Mapping[str, TorchvisionSource] = MappingProxyType(
    {
        "mnist": TorchvisionSource("MNIST", "MNIST/raw", _TEN_DIGITS, _MNIST_SIZE),
        "kmnist": TorchvisionSource("KMNIST", "KMNIST/raw", _KANA, _MNIST_SIZE),
        "fashionmnist": TorchvisionSource("FashionMNIST", "FashionMNIST/raw", _GARMENTS, _MNIST_SIZE),
        "cifar10": TorchvisionSource(
            "CIFAR10", "cifar-10-batches-py", _CIFAR_CLASSES, SourceSize(50_000, 10_000, (32, 32, 3), 10)
        ),
    }
)


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of downloaded data sets: ``root``, else $GRAPHTASK_DATA, else ~/.cache/graphtask."""
    return Path(root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT).expanduser()


def read_torchvision(
    name: str, *, root: str | os.PathLike[str] | None = None, download: bool = False
) -> ImageData:
    """Read one of torchvision's data sets from its files under a root folder.

    Args:
        name: A key of `TORCHVISION`.
        root: The folder; see `data_root`.
        download: Allow torchvision to download missing files.

    Raises:
        DataError: The files are missing (the message names the folder), damaged, or cannot be downloaded.
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
        if download and not _is_complete(read, folder):
            sys.stderr.write(f"graphtask: downloading {name} to {place}\n")
            sys.stderr.flush()
        splits = [read(folder, train=train, download=download) for train in (True, False)]
    except UNREADABLE as error:
        if download and isinstance(error, RuntimeError | URLError | TimeoutError):
            raise DataError(
                f"{name}: cannot be downloaded to {place} ({_network_reason(error)}); this machine may be offline: put "
                f"the files there, name another root folder (--data-root, ${ROOT_VARIABLE}), {instead}"
            ) from error
        raise DataError(
            f"{name}: cannot be read from {place} ({reason_of(error)}); "
            f"if files are missing or damaged, remove that folder and {remedy}, {instead}"
        ) from error
    (x_train, y_train), (x_test, y_test) = [
        (_channels_added(np.asarray(split.data)), np.asarray(split.targets, dtype=np.int64))
        for split in splits
    ]
    origin = {"source": "torchvision", "dataset": source.dataset}
    return ImageData(name, x_train, y_train, x_test, y_test, source.class_names, origin)


def _is_complete(read: Callable[..., Any], folder: Path) -> bool:
    """Return True if torchvision finds all files."""
    try:
        read(folder, train=False, download=False)
    except RuntimeError:  # "Dataset not found"
        return False
    return True


def _network_reason(error: Exception) -> str:
    r"""Return the reason of a failed download: torchvision lists all mirrors, and the last line has the reason.

    Example:
        >>> _network_reason(
        ...     RuntimeError("Error downloading x.gz:\nTried a, got:\n<urlopen error no route>\n")
        ... )
        'no route'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].removeprefix("<urlopen error ").removesuffix(">")


def read_digits() -> ImageData:
    """Read scikit-learn's 1,797 scanned digits of 8×8 pixels, 0 … 16 scaled to 0 … 255; nothing is downloaded.

    A fifth of every class is held out for testing, always the same images. Writers are not separated: most of them
    wrote digits of both splits.

    Example:
        >>> digits = read_digits()
        >>> digits.x_train.shape, digits.x_test.shape, int(digits.x_train.max())
        ((1438, 8, 8, 1), (359, 8, 8, 1), 255)
    """
    from sklearn.datasets import load_digits

    stored = load_digits()
    images = _channels_added(((stored.images.astype(np.uint16) * 255 + 8) // 16).astype(np.uint8))
    labels = stored.target.astype(np.int64)
    test = held_out(labels, share=_DIGITS_TEST_SHARE, seed=_DIGITS_SPLIT_SEED, part=Part.HELD_OUT)
    origin = {
        "source": "scikit-learn",
        "dataset": "digits",
        "test_share": _DIGITS_TEST_SHARE,
        "split_seed": _DIGITS_SPLIT_SEED,
    }
    return ImageData(
        "digits",
        images[~test],
        labels[~test],
        images[test],
        labels[test],
        _TEN_DIGITS,
        origin,
    )


def _torchvision_datasets() -> ModuleType:
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError) as error:  # torchvision refuses a torch of another release
        raise DataError(
            f"torchvision cannot be imported ({reason_of(error)}); install the release that fits torch: {install_hint('vision')}"
        ) from error
    return torchvision.datasets  # type: ignore[no-any-return]


def _channels_added(images: npt.NDArray[Any]) -> Images:
    return np.ascontiguousarray(images if images.ndim == 4 else images[..., None])
