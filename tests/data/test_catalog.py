import hashlib
import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from graphtask.data.catalog import CATALOG, load_data
from graphtask.data.sources import TORCHVISION, read_digits
from graphtask.data.transforms import Transform, color, pad, parse_transform, scale, tiles
from graphtask.errors import ArgumentError, DataError


def md5(array):
    return hashlib.md5(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture
def grey_files(tmp_path):
    """The same 28×28 images as the idx files of three torchvision data sets and as a .npz file."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "y_train": np.arange(20, dtype=np.uint8) % 10,
        "x_test": rng.integers(0, 256, (10, 28, 28), dtype=np.uint8),
        "y_test": np.arange(10, dtype=np.uint8),
    }
    np.savez(tmp_path / "gray.npz", **arrays)
    for name in ("mnist", "kmnist", "fashionmnist"):
        folder = tmp_path / TORCHVISION[name].folder
        folder.mkdir(parents=True)
        for key, array in arrays.items():
            kind, _, split = key.partition("_")
            file = f"{'train' if split == 'train' else 't10k'}-{'images-idx3' if kind == 'x' else 'labels-idx1'}-ubyte"
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / file).write_bytes(header + array.tobytes())
    return tmp_path


@pytest.mark.parametrize("name", ["cmnist", "ckmnist", "cfashionmnist"])
def test_a_catalog_name_is_the_npz_file_of_its_source_with_the_same_transforms(grey_files, name):
    named = load_data(name, root=grey_files, seed=4)
    for steps in (["pad:2", "color"], [Transform("color"), "pad"]):
        by_path = load_data(grey_files / "gray.npz", transforms=steps, seed=4)
        assert by_path.fingerprint == named.fingerprint
    assert (named.name, named.size, named.in_channels, named.n_classes) == (name, (32, 32), 3, 10)
    assert named.fingerprint != load_data(name, root=grey_files, seed=5).fingerprint


def test_the_root_may_come_from_the_environment(grey_files, monkeypatch):
    monkeypatch.setenv("GRAPHTASK_DATA", str(grey_files))
    assert load_data("cmnist").fingerprint == load_data("cmnist", root=grey_files).fingerprint


def test_digits_are_doubled_padded_colored_and_tiled():
    plain, colored, tiled = read_digits(), load_data("cdigits", seed=1), load_data("cdigits_t8", seed=1)
    for split in ("train", "test"):
        gray = pad(scale(getattr(plain, f"x_{split}"), factor=2), width=4)
        expected = color(gray, seed=1, split=split)
        assert np.array_equal(getattr(colored, f"x_{split}"), expected)
        assert np.array_equal(getattr(tiled, f"x_{split}"), tiles(expected, size=8, seed=1))
        assert np.array_equal(getattr(tiled, f"y_{split}"), getattr(plain, f"y_{split}"))
    assert [data.name for data in (colored, tiled)] == ["cdigits", "cdigits_t8"]
    assert (colored.size, colored.in_channels) == ((24, 24), 3)


def test_the_embedded_data_sets_are_pinned():
    colored, tiled = load_data("cdigits"), load_data("cdigits_t8")
    assert md5(colored.x_train) == "5d6ca33cdeaf2fa1ac7a084275d5717d"
    assert md5(colored.x_test) == "4160732c4c822cf4b52f1aeba5ad6649"
    assert md5(tiled.x_train) == "2a2156051494fb83d39136e9c319f190"
    assert md5(tiled.x_test) == "b2452faef924e29ee58086570c2a6685"
    assert md5(tiled.y_train) == "def8b934a301b947efe5f3d940123e3f"
    assert md5(tiled.y_test) == "f47e0449658244bf49179108dccb7e22"


def test_the_split_of_the_digits_does_not_depend_on_the_seed():
    assert np.array_equal(load_data("cdigits", seed=0).y_test, load_data("cdigits", seed=1).y_test)


def test_transforms_apply_after_those_of_the_catalog():
    assert load_data("cdigits", transforms=["tiles:8"]).fingerprint == load_data("cdigits_t8").fingerprint
    further = load_data("cdigits", transforms=["pad:4"], seed=3)
    assert (further.name, further.size) == ("cdigits+pad:4", (32, 32))
    assert further.origin["transforms"] == [
        {"name": "scale", "factor": 2},
        {"name": "pad", "width": 4},
        {"name": "color", "seed": 3},
        {"name": "pad", "width": 4},
    ]
    assert json.loads(json.dumps(further.origin)) == further.origin


def test_a_data_set_is_passed_through_or_transformed(make_data):
    data = make_data()
    assert load_data(data) is data
    assert load_data(data, transforms=["pad:1"]).size == (10, 10)


def test_every_recipe_names_a_source_and_transforms_that_exist():
    for recipe in CATALOG.values():
        assert recipe.source in {"digits", *TORCHVISION}
        assert [str(parse_transform(text)) for text in recipe.transforms] == list(recipe.transforms)


def test_what_does_not_exist_is_refused_and_the_message_lists_the_catalog():
    with pytest.raises(DataError) as caught:
        load_data("nonsense")
    assert str(caught.value) == (
        "unknown data set 'nonsense': no file or folder of that name, and the catalog has cmnist, ckmnist, "
        "cfashionmnist, cifar10, cifar10_t8, cdigits, cdigits_t8; pass one of these, the path of a .npz file or image "
        "folder, or arrays"
    )


def test_a_wrong_transform_or_seed_is_an_error_before_anything_is_read(tmp_path):
    with pytest.raises(ArgumentError, match="unknown transform 'tile'"):
        load_data("cmnist", root=tmp_path, transforms=["tile:8"])
    with pytest.raises(ArgumentError, match="seed must be an integer >= 0, got -1"):
        load_data("cdigits", seed=-1)


@pytest.mark.parametrize("source", ["", "a\0b", "x" * 5000, None, 7, ["cdigits"]])
def test_a_source_that_is_none_is_a_data_error(source):
    with pytest.raises(DataError):
        load_data(source)


def test_a_folder_of_images_of_different_sizes_is_read_if_resize_comes_first(tmp_path):
    for split in ("train", "test"):
        for name, side in (("ant", 20), ("bee", 30)):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            Image.fromarray(np.full((side, side), side, np.uint8)).save(folder / "0.png")
    with pytest.raises(DataError, match="resize:32"):
        load_data(tmp_path, transforms=["pad:2", "resize:12"])
    data = load_data(str(tmp_path), transforms=["resize:12", "pad:2", "color"], seed=2)
    assert data.size == (16, 16)
    assert data.name == f"{tmp_path.name}+resize:12+pad:2+color"
    assert data.origin["transforms"][0] == {"name": "resize", "size": 12}


def test_loading_data_imports_neither_torch_nor_a_graph_library():
    code = (
        "import sys; from graphtask.data.catalog import load_data; load_data('cdigits'); "
        "print(sorted({'torch', 'torchvision', 'igraph', 'networkx'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
