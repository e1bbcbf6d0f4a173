import numpy as np
import pytest
from PIL import Image

import graphtask as gt
from graphtask.data.catalog import CATALOG
from graphtask.data.extent import extent_of


def extent_of_images(data):
    return (len(data.x_train), len(data.x_test), data.size, data.in_channels, data.n_classes)


@pytest.mark.parametrize("name", ["cdigits", "cdigits_t8"])
def test_the_catalog_knows_how_large_its_data_sets_are(name):
    assert extent_of(name) == extent_of_images(gt.load_data(name))


def test_every_data_set_of_the_catalog_has_an_extent_without_its_files():
    for name in CATALOG:
        assert extent_of(name).in_channels == 3
    assert extent_of("cmnist") == (60_000, 10_000, (32, 32), 3, 10)
    assert extent_of("cifar10") == (50_000, 10_000, (32, 32), 3, 10)


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3), (3, 8, 6)])
@pytest.mark.parametrize("transforms", [(), ("pad:2", "scale:3"), ("resize:5",)])
def test_a_file_tells_it_by_its_headers(tmp_path, shape, transforms):
    labels = np.array([4, 9, 7, 4, 9])
    arrays = {"x_train": np.zeros((5, *shape), np.uint8), "x_test": np.zeros((3, *shape), np.uint8)}
    np.savez_compressed(tmp_path / "a.npz", **arrays, y_train=labels, y_test=labels[:3])
    found = extent_of(tmp_path / "a.npz", transforms=transforms)
    assert found == extent_of_images(gt.load_data(tmp_path / "a.npz", transforms=transforms))


@pytest.mark.parametrize("transforms", [("subset:20",), ("pad:1", "subset:30", "resize:4", "subset:9")])
def test_a_subset_has_fewer_images(tmp_path, transforms):
    labels = np.arange(40) % 3
    arrays = {"x_train": np.zeros((40, 8, 8), np.uint8), "x_test": np.zeros((12, 8, 8), np.uint8)}
    np.savez_compressed(tmp_path / "a.npz", **arrays, y_train=labels, y_test=labels[:12])
    found = extent_of(tmp_path / "a.npz", transforms=transforms)
    assert found == extent_of_images(gt.load_data(tmp_path / "a.npz", transforms=transforms))
    with pytest.raises(gt.errors.DataError, match=r"a\.npz: subset:41 needs 41 training images"):
        extent_of(tmp_path / "a.npz", transforms=["subset:41"])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_folder_tells_it_by_its_first_image(tmp_path, mode):
    for split, number in (("train", 3), ("test", 1)):
        for name in ("cats", "dogs"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(number):
                Image.new(mode, (6, 4)).save(tmp_path / split / name / f"{index}.png")
    assert extent_of(tmp_path) == extent_of_images(gt.load_data(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no zip"])
def test_what_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(gt.errors.DataError, match=r"a\.npz: not a readable \.npz file"):
        extent_of(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x_train=np.zeros((2, 3, 3)))
    with pytest.raises(gt.errors.DataError, match=r"b\.npz: array y_train is missing"):
        extent_of(tmp_path / "b.npz")
    with pytest.raises(gt.errors.DataError, match="unknown data set"):
        extent_of(tmp_path / "c.npz")
