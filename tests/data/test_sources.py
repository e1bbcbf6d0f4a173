import gzip
import hashlib
import pickle
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from data.arrays import ARRAYS, message_of
from sklearn.datasets import load_digits

from graphtask.data.sources import (
    DEFAULT_ROOT,
    TORCHVISION,
    data_root,
    read_digits,
    read_torchvision,
)

IDX_SETS = ["mnist", "kmnist", "fashionmnist"]


def idx(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def idx_files():
    return {
        f"{prefix}-{kind}-ubyte": idx(ARRAYS[key])
        for prefix, split in (("train", "train"), ("t10k", "test"))
        for kind, key in (("images-idx3", f"x_{split}"), ("labels-idx1", f"y_{split}"))
    }


def write_idx(root, name):
    folder = root / TORCHVISION[name].folder
    folder.mkdir(parents=True)
    for file, content in idx_files().items():
        (folder / file).write_bytes(content)
    return folder


def write_cifar(root, monkeypatch):
    """Batches as the official archive has them, pickles of Python 2 and all; torchvision gets their checksums."""
    import torchvision.datasets

    folder = root / TORCHVISION["cifar10"].folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(2)
    planes = rng.integers(0, 256, (30, 3072), dtype=np.uint8)
    labels = [index % 10 for index in range(30)]
    contents = {
        "data_batch_1": {"data": planes[:10], "labels": labels[:10]},
        "data_batch_2": {"data": planes[10:20], "labels": labels[10:20]},
        "test_batch": {"data": planes[20:], "labels": labels[20:]},
        "batches.meta": {"label_names": list(TORCHVISION["cifar10"].class_names)},
    }
    checksums = {}
    for name, content in contents.items():
        # Python 2 wrote the booleans of a numpy type as integers.
        stored = pickle.dumps(content, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87")
        assert "data" not in content or b"K\x00K\x01\x87" in stored
        (folder / name).write_bytes(stored)
        checksums[name] = hashlib.md5(stored).hexdigest()
    cifar = torchvision.datasets.CIFAR10
    monkeypatch.setattr(
        cifar, "train_list", [[name, checksums[name]] for name in ("data_batch_1", "data_batch_2")]
    )
    monkeypatch.setattr(cifar, "test_list", [["test_batch", checksums["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": checksums["batches.meta"]})
    return planes.reshape(30, 3, 32, 32), labels


@pytest.mark.parametrize("name", IDX_SETS)
def test_idx_files_are_read_through_torchvision(tmp_path, name):
    write_idx(tmp_path, name)
    data = read_torchvision(name, root=tmp_path)
    for key, expected in ARRAYS.items():
        assert np.array_equal(getattr(data, key).squeeze(), expected)
    assert data.x_train.shape == (12, 7, 6, 1)
    assert (data.name, data.n_classes) == (name, 10)
    assert data.origin == {"source": "torchvision", "dataset": TORCHVISION[name].dataset}


def test_cifar_batches_are_read_through_torchvision_channels_last(tmp_path, monkeypatch):
    planes, labels = write_cifar(tmp_path, monkeypatch)
    data = read_torchvision("cifar10", root=tmp_path)
    assert data.x_train.shape == (20, 32, 32, 3)
    assert data.x_train.base is None or data.x_train.flags.c_contiguous
    for image, plane in zip(np.concatenate([data.x_train, data.x_test]), planes, strict=True):
        for channel in range(3):
            assert np.array_equal(image[:, :, channel], plane[channel])
    assert [*data.y_train, *data.y_test] == labels


@pytest.mark.parametrize("name", ["kmnist", "fashionmnist"])
def test_class_names_are_those_of_torchvision(name):
    import torchvision.datasets

    assert (
        list(TORCHVISION[name].class_names)
        == getattr(torchvision.datasets, TORCHVISION[name].dataset).classes
    )


@pytest.mark.parametrize("name", TORCHVISION)
def test_missing_files_are_an_error_that_says_where_and_what_to_do(tmp_path, name):
    message = message_of(lambda: read_torchvision(name, root=tmp_path))
    assert message.startswith(f"{name}: no files in {tmp_path / TORCHVISION[name].folder}; ")
    assert "--download" in message
    assert f"--data path/to/{name}.npz" in message


def test_files_that_are_missing_in_part_or_damaged_are_an_error_that_says_where(tmp_path, monkeypatch):
    folder = write_idx(tmp_path, "mnist")
    for damage in (b"", b"\x00\x00\x08\x03", idx(ARRAYS["x_train"])[:-5], b"\x00\x00\x63\x03" + bytes(50)):
        (folder / "train-images-idx3-ubyte").write_bytes(damage)
        assert f"mnist: cannot be read from {folder} (" in message_of(
            lambda: read_torchvision("mnist", root=tmp_path)
        )
    (folder / "train-images-idx3-ubyte").unlink()
    assert "Dataset not found" in message_of(lambda: read_torchvision("mnist", root=tmp_path))
    write_cifar(tmp_path, monkeypatch)
    batch = tmp_path / "cifar-10-batches-py" / "test_batch"
    batch.write_bytes(batch.read_bytes() + b"\x00")
    assert "not found or corrupted" in message_of(lambda: read_torchvision("cifar10", root=tmp_path))


@pytest.fixture
def mirror(tmp_path):
    """The address of a web server on this machine, with the idx files, and their names and checksums."""
    folder = tmp_path / "server"
    folder.mkdir()
    resources = []
    for name, content in idx_files().items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        resources.append((f"{name}.gz", hashlib.md5((folder / f"{name}.gz").read_bytes()).hexdigest()))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", resources
        server.shutdown()


def test_download_fetches_what_is_missing_and_says_so_if_it_cannot(tmp_path, monkeypatch, mirror, capsys):
    import torchvision.datasets

    address, resources = mirror
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
    fetched = read_torchvision("mnist", root=tmp_path / "data", download=True)
    assert np.array_equal(fetched.x_train[..., 0], ARRAYS["x_train"])
    line = f"graphtask: downloading mnist to {tmp_path / 'data' / 'MNIST/raw'}"
    assert line in capsys.readouterr().err.splitlines()
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens
    read_torchvision("mnist", root=tmp_path / "data", download=True)
    assert capsys.readouterr().err == ""
    message = message_of(lambda: read_torchvision("mnist", root=tmp_path / "other", download=True))
    assert f"mnist: cannot be downloaded to {tmp_path / 'other' / 'MNIST/raw'} (" in message
    assert "(); " not in message
    assert "Connection refused" in message
    assert "this machine may be offline: put the files there" in message
    assert "--data-root" in message
    assert "--download" not in message


def test_the_root_is_the_argument_then_the_environment_then_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHTASK_DATA", str(tmp_path / "env"))
    assert data_root(tmp_path) == tmp_path
    assert data_root() == tmp_path / "env"
    monkeypatch.setenv("GRAPHTASK_DATA", "")
    assert data_root() == DEFAULT_ROOT.expanduser()
    monkeypatch.delenv("GRAPHTASK_DATA")
    assert data_root() == DEFAULT_ROOT.expanduser()


def test_digits_are_scikit_learns_and_a_fifth_of_each_class_is_held_out():
    stored, data = load_digits(), read_digits()
    splits = [(data.x_train, data.y_train), (data.x_test, data.y_test)]
    found = sorted((image.tobytes(), label) for x, y in splits for image, label in zip(x, y, strict=True))
    stretched = [
        np.array([int(value * 255 / 16 + 0.5) for value in image.ravel()], np.uint8)
        for image in stored.images
    ]
    assert found == sorted(
        (image.tobytes(), label) for image, label in zip(stretched, stored.target, strict=True)
    )
    whole, tested = np.bincount(stored.target), np.bincount(data.y_test)
    assert tested.tolist() == [round(0.2 * count) for count in whole]
    assert read_digits().fingerprint == data.fingerprint
