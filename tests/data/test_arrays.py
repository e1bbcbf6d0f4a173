import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import graphtask as gt
from graphtask.data.arrays import as_image_data, channels_last, read_labels

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(20) % 2


def assert_same(data, images=IMAGES, labels=LABELS):
    """The 16 training and 4 test images are those of the reference, however they came in."""
    expected = as_image_data((images, labels))
    assert data.fingerprint == expected.fingerprint


class Pairs(Dataset):
    """A map-style data set as torchvision has them: float images with channels first."""

    classes = ("even", "odd")

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return torch.tensor(IMAGES[index] / 255, dtype=torch.float32).permute(2, 0, 1), int(LABELS[index])


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        IMAGES.astype(np.int64),
        IMAGES.astype(np.float64),
        IMAGES / 255,
        (IMAGES / 255).astype(np.float32),
        IMAGES.astype(np.uint16) * 257,
        np.moveaxis(IMAGES, 3, 1),
        torch.tensor(IMAGES),
        torch.tensor(IMAGES / 255, dtype=torch.float32).permute(0, 3, 1, 2),
        IMAGES.tolist(),
    ],
    ids=[
        "uint8",
        "int64",
        "whole-floats",
        "unit64",
        "unit32",
        "uint16",
        "nchw",
        "tensor",
        "unit-nchw",
        "lists",
    ],
)
def test_pixels_of_any_type_and_order_are_the_same_images(images):
    assert_same(as_image_data((images, LABELS)))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS.astype(np.uint8), ("0", "1")),
        (LABELS[:, None], ("0", "1")),
        (LABELS.astype(np.float32), ("0", "1")),
        (LABELS.astype(bool), ("0", "1")),
        (np.eye(2)[LABELS], ("0", "1")),
        (torch.tensor(LABELS), ("0", "1")),
        (LABELS * 5 + 3, ("3", "8")),
        (np.where(LABELS, "dog", "cat"), ("cat", "dog")),
        (np.where(LABELS, "dog", "cat")[:, None], ("cat", "dog")),
        (["dog" if label else "cat" for label in LABELS], ("cat", "dog")),
        (np.array(["dog" if label else "cat" for label in LABELS], dtype=object), ("cat", "dog")),
    ],
)
def test_labels_of_any_kind_are_the_same_classes(labels, names):
    data = as_image_data((IMAGES, labels))
    assert_same(data)
    assert data.class_names == names


@pytest.mark.parametrize(
    "source",
    [
        (IMAGES, LABELS, IMAGES[:4], LABELS[:4]),
        [IMAGES, LABELS, IMAGES[:4], LABELS[:4]],
        ((IMAGES, LABELS), (IMAGES[:4], LABELS[:4])),
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:4], "y_test": LABELS[:4]},
        {
            "train_images": IMAGES,
            "train_labels": LABELS,
            "test_images": IMAGES[:4],
            "test_labels": LABELS[:4],
        },
    ],
)
def test_splits_are_given_in_several_ways(source):
    data = gt.load_data(source)
    assert (len(data.x_train), len(data.x_test), data.x_val) == (20, 4, None)


def test_a_torch_data_set_a_loader_and_a_pair_of_them_are_data():
    assert_same(as_image_data(Pairs()))
    assert as_image_data(Pairs()).class_names == ("even", "odd")
    assert_same(as_image_data(DataLoader(Pairs(), batch_size=4, shuffle=True)))
    assert_same(as_image_data(TensorDataset(torch.tensor(IMAGES), torch.tensor(LABELS))))
    both = as_image_data((Pairs(), Pairs()))
    assert (len(both.x_train), len(both.x_test)) == (20, 20)
    three = as_image_data((Pairs(), Pairs(), Pairs()))
    assert three.splits == ("train", "test", "val")


def test_gray_images_need_no_axis_for_the_channel():
    data = as_image_data((IMAGES[..., 0], LABELS))
    assert (data.in_channels, data.size) == (1, (8, 8))


def test_many_bands_are_found_by_the_square_sides():
    bands = np.zeros((20, 13, 8, 8), np.uint8)
    assert as_image_data((bands, LABELS)).in_channels == 13
    assert channels_last(np.zeros((2, 2, 2, 3)), where="x").shape == (2, 2, 2, 3)
    with pytest.raises(gt.errors.DataError, match="axis 1 or axis 3 could be the channels"):
        channels_last(np.zeros((2, 3, 8, 3)), where="x")


def test_a_pixel_value_means_the_same_in_all_splits():
    dark = (IMAGES // 8).astype(np.uint16)
    data = as_image_data((IMAGES.astype(np.uint16) * 257, LABELS, dark, LABELS))
    assert data.x_test.max() == 0, "the dark images are dark on the scale of the training images"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (IMAGES, r"data must be a name, a path, .* got ndarray of uint8, shape \(20, 8, 8, 3\)"),
        (3, "data must be .* got a int"),
        ((IMAGES, LABELS[:3]), "20 train images and 3 labels"),
        ((IMAGES[0], LABELS), "every image needs one label|must have shape"),
        ((IMAGES.astype(int) * 2, LABELS), r"whole numbers in \[0, 255\], floats in \[0, 1\], or uint16"),
        ((np.full((20, 8, 8), np.nan), LABELS), "must be finite"),
        ((IMAGES.astype(int) - 1, LABELS), "must be floats in all splits"),
        ((IMAGES, np.zeros((20, 3))), "not one-hot"),
        ((IMAGES, np.arange(20) / 7), "labels must be integers, words or one-hot rows"),
        ((IMAGES, LABELS, IMAGES, LABELS + 1), "label 2, which no training image has"),
        ((IMAGES[:2], LABELS[:2]), "too few to hold out"),
        ({"x_train": IMAGES}, "array y_train is missing"),
        ({"pixels": IMAGES}, "array x_train is missing"),
        ([1, 2, 3], "data must be"),
        (("a", "b"), "not an array|must have shape|data must be"),
    ],
)
def test_what_is_no_data_is_one_short_line_without_the_array(source, message):
    with pytest.raises(gt.errors.DataError, match=message) as caught:
        as_image_data(source)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 330


def test_class_names_are_those_of_the_labels_from_zero():
    labels, names = read_labels({"train": [0, 2]}, where="x", class_names=("a", "b", "c"))
    assert labels["train"].tolist() == [0, 2]
    assert names == ("a", "b", "c")


def test_a_run_on_arrays_is_that_on_the_same_image_data():
    options = {"channels": 1, "epochs": 1, "batch_size": 8, "crop_padding": 0, "progress": False}
    one = gt.train(gt.full_dag(3), data=(IMAGES / 255, np.where(LABELS, "b", "a")), **options)
    two = gt.train(gt.full_dag(3), data=as_image_data((IMAGES, LABELS)), **options)
    assert one.graph.es["w"] == two.graph.es["w"]
    assert one.data_name == "arrays"


def test_a_validation_split_takes_a_share_of_every_class_always_the_same():
    data = as_image_data(
        (np.zeros((100, 8, 8), np.uint8), np.arange(100) % 4, np.zeros((4, 8, 8), np.uint8), np.arange(4))
    )
    split = data.with_validation(0.2, seed=1)
    assert np.bincount(split.y_val).tolist() == [5] * 4
    assert np.bincount(split.y_train).tolist() == [20] * 4
    assert split.fingerprint == data.with_validation(0.2, seed=1).fingerprint
    assert split.fingerprint != data.with_validation(0.2, seed=2).fingerprint
    assert split.with_validation(0, seed=0).x_val is None
