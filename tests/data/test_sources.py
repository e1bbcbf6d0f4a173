import gzip
import hashlib
import pickle
import struct
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from graphtask.data import dataset
from graphtask.data.folder import read_folder
from graphtask.data.npz import read_npz
from graphtask.data.sources import (
    DEFAULT_ROOT,
    TORCHVISION,
    data_root,
    read_digits,
    read_torchvision,
)
from graphtask.data.transforms import resize
from graphtask.errors import DataError

IDX_SETS = ["mnist", "kmnist", "fashionmnist"]
ARRAYS = {
    "x_train": np.random.default_rng(0).integers(0, 256, (12, 7, 6), dtype=np.uint8),
    "y_train": np.arange(12) % 3,
    "x_test": np.random.default_rng(1).integers(0, 256, (6, 7, 6), dtype=np.uint8),
    "y_test": np.arange(6) % 3,
}


def save(path, **changes):
    arrays = {**ARRAYS, **changes}
    np.savez_compressed(path, **{key: array for key, array in arrays.items() if array is not None})
    return path


def message_of(call):
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        ({"y_test": None}, "there is no array y_test; a data set has"),
        (
            {"x_train": ARRAYS["x_train"] / 255},
            "x_train is an array of float64; images are whole numbers 0 … 255",
        ),
        ({"x_train": ARRAYS["x_train"] > 9}, "x_train is an array of bool"),
        ({"x_test": np.full((6, 7, 6), np.nan)}, "x_test is an array of float64"),
        ({"x_train": ARRAYS["x_train"].astype(int) + 1}, "x_train has values 1 … 256"),
        ({"x_train": ARRAYS["x_train"].astype(int) - 1}, "x_train has values -1 … 254"),
        ({"x_train": ARRAYS["x_train"].reshape(12, 42)}, "x_train has shape (12, 42); images are (N, H, W)"),
        ({"x_train": np.zeros((12, 3, 8, 3), np.uint8)}, "either of the axes 1 and 3 could be the channels"),
        ({"x_train": np.zeros((12, 8, 8, 8), np.uint8)}, "neither of the axes 1 and 3 could be the channels"),
        ({"x_train": ARRAYS["x_train"][:, :5]}, "training images are 5×6×1, test images 7×6×1"),
        ({"x_train": ARRAYS["x_train"][:0], "y_train": ARRAYS["y_train"][:0]}, "no training image has"),
        (
            {"x_test": ARRAYS["x_test"][:0], "y_test": ARRAYS["y_test"][:0]},
            "no images; both splits need at least one",
        ),
        ({"y_train": ARRAYS["y_train"][:5]}, "y_train has shape (5,); 12 images need"),
        ({"y_train": ARRAYS["y_train"] * 1.0}, "y_train is an array of float64; labels are whole numbers"),
        (
            {"y_train": np.eye(3, dtype=int)[ARRAYS["y_train"]]},
            "y_train has shape (12, 3); labels have shape (N,)",
        ),
        ({"y_test": ARRAYS["y_test"] + 1}, "y_test has label 3, which no training image has"),
        (
            {"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)},
            "1 class; classification needs at least 2",
        ),
        ({"class_names": np.array(["a", "b"])}, "y_train[2] is 2; 2 classes have labels 0 … 1"),
        (
            {"class_names": np.arange(3)},
            "class_names is an array of int64 of shape (3,); names are a list of strings",
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


def write_images(root, *, mode="L", size=(6, 7), suffix="png", classes=("ant", "bee")):
    """Two training images and one test image per class; gives them back, channels last, in sorted order."""
    rng = np.random.default_rng(5)
    images = {"train": [], "test": []}
    for split, count in (("train", 2), ("test", 1)):
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                bands = len(Image.new(mode, (1, 1)).getbands())
                pixels = rng.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
                Image.fromarray(pixels.squeeze()).save(folder / f"{index}.{suffix}")
                images[split].append(pixels)
    return images


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGB", "png"), ("L", "pgm"), ("RGB", "BMP")])
def test_a_folder_gives_its_images_class_by_class(tmp_path, mode, suffix):
    images = write_images(tmp_path / "insects", mode=mode, suffix=suffix)
    (tmp_path / "insects/train/ant/.hidden.png").write_bytes(b"")
    (tmp_path / "insects/train/ant/notes.txt").write_text("passed over")
    (tmp_path / "insects/train/.git").mkdir()
    data = read_folder(tmp_path / "insects")
    assert np.array_equal(data.x_train, np.stack(images["train"]))
    assert np.array_equal(data.x_test, np.stack(images["test"]))
    assert (data.y_train.tolist(), data.y_test.tolist()) == ([0, 0, 1, 1], [0, 1])
    assert (data.name, data.class_names, data.size) == ("insects", ("ant", "bee"), (7, 6))


def test_one_colour_image_makes_a_folder_one_of_colour_and_transparency_is_dropped(tmp_path):
    grey = write_images(tmp_path)["train"]
    colour = np.random.default_rng(6).integers(0, 256, (7, 6, 4), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "test/bee/0.png")
    data = read_folder(tmp_path)
    assert np.array_equal(data.x_test[1], colour[..., :3])
    assert np.array_equal(data.x_train, np.repeat(np.stack(grey), 3, axis=3))


def test_jpeg_files_are_read(tmp_path):
    write_images(tmp_path, mode="RGB", suffix="jpg")
    assert read_folder(tmp_path).x_train.shape == (4, 7, 6, 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_of_different_sizes_need_a_resize_which_is_the_transform(tmp_path, mode):
    images = write_images(tmp_path, mode=mode)
    odd = (
        np.random.default_rng(7).integers(0, 256, images["train"][0].shape, dtype=np.uint8).repeat(2, axis=0)
    )
    Image.fromarray(odd.squeeze()).save(tmp_path / "train/bee/1.png")
    message = message_of(lambda: read_folder(tmp_path))
    assert (
        f"{tmp_path}/train/bee/1.png: 6×14 pixels where {tmp_path}/train/ant/0.png has 6×7; resize" in message
    )
    data = read_folder(tmp_path, resize=5)
    assert np.array_equal(data.x_train[3], resize(odd[None], size=5)[0])
    assert np.array_equal(data.x_test, resize(np.stack(images["test"]), size=5))
    assert data.name.endswith("+resize:5")
    assert data.origin["transforms"] == [{"name": "resize", "size": 5}]


def test_a_class_without_test_images_is_allowed_and_one_without_training_images_is_not(tmp_path):
    write_images(tmp_path)
    (tmp_path / "test/bee/0.png").unlink()
    (tmp_path / "test/bee").rmdir()
    assert read_folder(tmp_path).y_test.tolist() == [0]
    (tmp_path / "test/cat").mkdir()
    assert message_of(lambda: read_folder(tmp_path)).endswith(
        f"this class has no folder in {tmp_path / 'train'}"
    )


def test_folders_without_the_right_folders_in_them_are_refused(tmp_path):
    assert f"{tmp_path / 'train'}: there is no such folder; an image folder has" in message_of(
        lambda: read_folder(tmp_path)
    )
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    assert f"{tmp_path / 'train'}: no folder of a class" in message_of(lambda: read_folder(tmp_path))
    write_images(tmp_path, classes=("only",))
    assert "1 class; classification needs at least 2" in message_of(lambda: read_folder(tmp_path))
    (tmp_path / "train/empty").mkdir()
    assert f"{tmp_path / 'train/empty'}: no images (" in message_of(lambda: read_folder(tmp_path))


def test_files_that_are_no_plain_images_are_named(tmp_path):
    write_images(tmp_path)
    victim = tmp_path / "train/bee/1.png"
    whole = victim.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (
        b"",
        b"not an image",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        whole[: len(whole) // 2],
        bytes(flipped),
    ):
        victim.write_bytes(content)
        assert message_of(lambda: read_folder(tmp_path)).startswith(f"{victim}: not a readable image (")
    Image.fromarray(np.zeros((7, 6), np.uint16)).save(victim)
    assert message_of(lambda: read_folder(tmp_path)).startswith(f"{victim}: has more than 8 bits a channel")


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    write_images(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    assert "exceeds limit" in message_of(lambda: read_folder(tmp_path))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert "exceeds limit" in message_of(lambda: read_folder(tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(dataset, "MAX_BYTES", 6 * 42 - 1)
    assert "6 images of 7×6 would take" in message_of(lambda: read_folder(tmp_path))
