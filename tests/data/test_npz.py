import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data.arrays import ARRAYS, message_of

from graphtask.data import dataset
from graphtask.data.catalog import load_data
from graphtask.data.npz import npz_size, read_npz
from graphtask.errors import DataError


def save(path, **changes):
    arrays = {**ARRAYS, **changes}
    np.savez_compressed(path, **{key: array for key, array in arrays.items() if array is not None})
    return path


def test_npz_gives_the_arrays_that_it_holds(tmp_path):
    data = read_npz(save(tmp_path / "mine.npz"))
    for key, expected in ARRAYS.items():
        assert np.array_equal(getattr(data, key).squeeze(), expected)
    assert (data.name, data.class_names, data.size) == ("mine", ("0", "1", "2"), (7, 6))
    assert data.origin == {"source": "npz", "path": str(tmp_path / "mine.npz")}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_npz_tells_channels_first_from_channels_last(tmp_path, channels):
    last = {
        key: np.random.default_rng(3).integers(0, 256, (len(ARRAYS[key]), 7, 6, channels), dtype=np.uint8)
        for key in ("x_train", "x_test")
    }
    first = {key: np.moveaxis(images, 3, 1) for key, images in last.items()}
    one, other = (
        read_npz(save(tmp_path / "last.npz", **last)),
        read_npz(save(tmp_path / "first.npz", **first)),
    )
    assert np.array_equal(one.x_train, last["x_train"])
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int64, np.uint64, ">i4"])
def test_npz_images_of_any_integer_type_become_uint8(tmp_path, kind):
    images = (ARRAYS["x_train"] // 2).astype(kind)
    assert np.array_equal(read_npz(save(tmp_path / "a.npz", x_train=images)).x_train[..., 0], images)


def test_npz_labels_that_are_not_0_to_k_are_numbered_and_name_the_classes(tmp_path):
    labels = np.array([-1, 7, 300])
    changes = {"y_train": labels[ARRAYS["y_train"]], "y_test": labels[ARRAYS["y_test"]][:, None]}
    data = read_npz(save(tmp_path / "a.npz", **changes))
    assert data.class_names == ("-1", "7", "300")
    assert np.array_equal(data.y_train, ARRAYS["y_train"])
    assert np.array_equal(data.y_test, ARRAYS["y_test"])


def test_npz_may_name_its_classes(tmp_path):
    names = np.array(["Affe", "Bär", "Esel", "not shown"])
    assert read_npz(save(tmp_path / "a.npz", class_names=names)).class_names == tuple(names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "array y_test is missing; images and labels come in pairs"),
        (
            {"x_train": ARRAYS["x_train"] * 1.5},
            "images must be whole numbers in [0, 255], floats in [0, 1], or uint16",
        ),
        ({"x_train": ARRAYS["x_train"].astype(str)}, "train images must be numbers, got ndarray of <U"),
        ({"x_test": np.full((6, 7, 6), np.nan)}, "test images must be finite"),
        ({"x_train": ARRAYS["x_train"].astype(int) + 1}, "got values in [0, 256]"),
        ({"x_train": ARRAYS["x_train"].astype(int) - 1}, "got values in [-1, "),
        ({"x_train": ARRAYS["x_train"].reshape(12, 42)}, "train images must have shape (N, H, W)"),
        ({"x_train": np.zeros((12, 3, 8, 3), np.uint8)}, "axis 1 or axis 3 could be the channels"),
        ({"x_train": np.zeros((12, 8, 8, 8), np.uint8)}, "axis 1 or axis 3 could be the channels"),
        ({"x_train": ARRAYS["x_train"][:, :5]}, "training images are 5×6×1, test images 7×6×1"),
        ({"x_train": ARRAYS["x_train"][:0], "y_train": ARRAYS["y_train"][:0]}, "there are no train images"),
        (
            {"x_test": ARRAYS["x_test"][:0], "y_test": ARRAYS["y_test"][:0]},
            "there are no test images",
        ),
        ({"y_train": ARRAYS["y_train"][:5]}, "12 train images and 5 labels"),
        ({"y_train": ARRAYS["y_train"] * 0.3}, "train labels must be integers, words or one-hot rows"),
        (
            {"y_train": np.eye(3, dtype=int)[ARRAYS["y_train"]]},
            "one-hot labels must have the same number of columns in all splits",
        ),
        ({"y_test": ARRAYS["y_test"] + 1}, "the test images have label 3, which no training image has"),
        (
            {"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)},
            "1 class; classification needs at least 2",
        ),
        ({"class_names": np.array(["a", "b"])}, "y_train[2] must be in [0, 1] for 2 classes, got 2"),
        (
            {"class_names": np.arange(3)},
            "class_names must be a list of words, got an array of int64 of shape (3,)",
        ),
        ({"x_train": np.array([{}] * 12)}, "x_train.npy holds pickled objects, which may run code"),
        ({"y_train": np.zeros(12, [("a", "O")])}, "y_train.npy holds pickled objects"),
    ],
)
def test_npz_files_without_a_data_set_are_refused_in_one_line(tmp_path, changes, message):
    path = save(tmp_path / "a.npz", **changes)
    caught = message_of(lambda: read_npz(path))
    assert message in caught
    assert "a:" in caught or str(path) in caught


def test_a_pickle_in_a_npz_file_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = save(tmp_path / "a.npz", x_train=np.array([Bomb()], dtype=object))
    message_of(lambda: read_npz(path))
    assert not (tmp_path / "ran").exists()


def npy_header(shape, kind="|u1"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy_header((10**6, 10**6)) + bytes(9), "would take 931.3 GiB; the limit is 4 GiB"),
        (npy_header((2, 3, 3)) + bytes(17), "has 90 bytes where its header promises 91"),
        (npy_header((2, 3, 3)) + bytes(19), "has 92 bytes where its header promises 91"),
        (npy_header((-2, -3, 3)) + bytes(18), "not a readable .npz file"),
        (npy_header((2, 3, 3), kind="nonsense"), "not a readable .npz file"),
        (npy_header("__import__('os')"), "not a readable .npz file"),
        (npy_header("(" * 3000), "not a readable .npz file"),
        (npy_header("-" * 5000 + "1"), "not a readable .npz file"),
        (b"\x93NUMPY\x03\x00" + npy_header((2,))[8:], "version (3, 0)"),
        (b"\x93NUMPY\x01\x00\xff\xff", "not a readable .npz file"),
        (b"GIF89a", "not a readable .npz file"),
        (b"", "not a readable .npz file"),
    ],
)
def test_headers_that_lie_are_found_out_before_anything_is_unpacked(tmp_path, member, message):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", member)
    assert message in message_of(lambda: read_npz(tmp_path / "a.npz"))


def test_a_zip_bomb_is_refused_by_the_size_that_it_declares(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MAX_BYTES", 10**6)
    path = save(tmp_path / "a.npz", x_train=np.zeros((12, 300, 300), np.uint8))
    assert path.stat().st_size < 20_000
    assert "x_train.npy would take 0.0 GiB; the limit is" in message_of(lambda: read_npz(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip", None])
def test_files_that_are_no_npz_are_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    assert message_of(lambda: read_npz(path)).startswith(f"{path}: not a readable .npz file (")


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed])
def test_mutated_npz_files_are_read_or_refused_and_nothing_else(tmp_path, writer):
    writer(tmp_path / "a.npz", **ARRAYS)
    whole = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    read = refused = 0
    for trial in range(400):
        mutated = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 6)):
            mutated[place] = rng.integers(0, 256)
        if trial % 4 == 0:
            del mutated[rng.integers(0, len(whole)) :]
        (tmp_path / "b.npz").write_bytes(mutated)
        try:
            read_npz(tmp_path / "b.npz")
        except DataError as error:
            refused += "\n" not in str(error)
        else:
            read += 1
    assert read + refused == 400
    assert refused > 200


def test_medmnist_keys_words_and_a_single_split_are_read(tmp_path):
    images, labels = ARRAYS["x_train"], ARRAYS["y_train"]
    np.savez(
        tmp_path / "med.npz", train_images=images, train_labels=labels[:, None], val_images=images[:3],
        val_labels=labels[:3, None], test_images=images[:6], test_labels=labels[:6, None],
    )  # fmt: skip
    data = read_npz(tmp_path / "med.npz")
    assert data.splits == ("train", "test", "val")
    assert data.y_train.tolist() == labels.tolist()
    assert npz_size(tmp_path / "med.npz") == (12, 6, (*data.size, 1), 3)
    words = np.array(["cat", "dog", "owl"])[labels]
    np.savez(tmp_path / "words.npz", x=np.repeat(images, 5, axis=0), y=np.repeat(words, 5))
    single = read_npz(tmp_path / "words.npz")
    assert single.class_names == ("cat", "dog", "owl")
    assert (len(single.x_train), len(single.x_test)) == (48, 12)
    assert npz_size(tmp_path / "words.npz")[:2] == (48, 12)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_or_a_device_is_refused_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    for path in (tmp_path / "a.npz", Path("/dev/zero")):
        for read in (read_npz, npz_size, load_data):
            assert "a regular file is required" in message_of(lambda path=path, read=read: read(path))
