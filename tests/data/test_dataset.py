import dataclasses
import hashlib
import json

import numpy as np
import pytest

from graphtask.data import dataset
from graphtask.data.dataset import ImageData, check_size
from graphtask.errors import ArgumentError, DataError

GREY = np.zeros((4, 8, 8, 1), np.uint8)
LABELS = np.array([0, 1, 0, 1])


def build(**changes):
    arguments = {
        "name": "tiny",
        "x_train": GREY,
        "y_train": LABELS,
        "x_test": GREY,
        "y_test": LABELS,
        "class_names": ("a", "b"),
    }
    return ImageData(**{**arguments, **changes})


def test_shape_and_classes_are_read_off_the_arrays():
    images = np.zeros((4, 6, 10, 3), np.uint8)
    data = build(x_train=images, x_test=images, class_names=("a", "b", "c"))
    assert (data.n_classes, data.in_channels, data.size) == (3, 3, (6, 10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": GREY[:0], "y_train": LABELS[:0]},
            "tiny: x_train must have at least one image, got shape (0, 8, 8, 1)",
        ),
        (
            {"x_test": GREY[:0], "y_test": LABELS[:0]},
            "tiny: x_test must have at least one image, got shape (0, 8, 8, 1)",
        ),
        ({"x_train": GREY[:, :0]}, "must have at least one image"),
        (
            {"x_train": GREY.astype(np.float16)},
            "x_train must be an array of uint8 in [0, 255] or of float32, got an array of float16",
        ),
        (
            {"x_test": np.full(GREY.shape, np.nan)},
            "x_test must be an array of uint8 in [0, 255] or of float32, got an array of float64",
        ),
        (
            {"x_train": GREY.tolist()},
            "x_train must be an array of uint8 in [0, 255] or of float32, got a list",
        ),
        (
            {"x_train": GREY[..., 0]},
            "x_train must have shape (images, height, width, channels), got (4, 8, 8)",
        ),
        ({"x_test": GREY[:, :7]}, "training images are 8×8×1, test images 7×8×1"),
        ({"y_train": np.array([0, 1, 2, 1])}, "y_train[2] must be in [0, 1] for 2 classes, got 2"),
        ({"y_test": np.array([0, 1, 0, -1])}, "y_test[3] must be in [0, 1] for 2 classes, got -1"),
        ({"y_train": np.array([0, 2**64 - 1, 0, 1], np.uint64)}, "got 18446744073709551615"),
        ({"y_train": LABELS[:3]}, "y_train must have shape (4,) for 4 images, got (3,)"),
        ({"y_train": LABELS[:, None]}, "got (4, 1)"),
        (
            {"y_train": LABELS.astype(float)},
            "y_train must be an array of integers, got an array of float64",
        ),
        ({"y_train": LABELS.tolist()}, "y_train must be an array of integers, got a list"),
        ({"class_names": ("a",)}, "tiny: 1 class; classification needs at least 2"),
    ],
)
def test_arrays_that_make_no_data_set_are_refused_in_one_line(changes, message):
    with pytest.raises(DataError) as caught:
        build(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_of_any_integer_type_become_int64():
    assert build(y_train=LABELS.astype(np.uint8)).y_train.dtype == np.int64


def test_the_arrays_are_read_only_and_those_of_the_caller_stay_as_they_are():
    mine = GREY.copy()
    data = build(x_train=mine)
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        data.y_train[0] = 1
    assert mine.flags.writeable


def test_the_fingerprint_is_sha256_over_names_types_shapes_and_bytes():
    data = build(x_train=np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1))
    text = b"".join(
        f"{key} {kind} {getattr(data, key).shape}\n".encode() + getattr(data, key).astype(kind).tobytes()
        for key, kind in (("x_train", "|u1"), ("y_train", "<i8"), ("x_test", "|u1"), ("y_test", "<i8"))
    )
    assert data.fingerprint == hashlib.sha256(text).hexdigest()


def test_the_fingerprint_depends_on_every_array_and_on_nothing_else():
    other = GREY.copy()
    other[3, 7, 7, 0] = 1
    base = build().fingerprint
    changed = [
        build(x_train=other),
        build(x_test=other),
        build(y_train=1 - LABELS),
        build(y_test=1 - LABELS),
        build(x_train=GREY.reshape(4, 4, 16, 1), x_test=GREY.reshape(4, 4, 16, 1)),
    ]
    assert len({base, *(data.fingerprint for data in changed)}) == 6
    assert build(name="other", origin={"source": "elsewhere"}, class_names=("c", "d")).fingerprint == base
    assert build(x_train=np.asfortranarray(GREY), y_train=LABELS.astype(np.int16)).fingerprint == base


def test_a_changed_copy_has_a_fingerprint_of_its_own():
    data = build()
    before = data.fingerprint
    assert dataclasses.replace(data, y_train=1 - LABELS).fingerprint != before


@pytest.mark.parametrize(("n_train", "n_test"), [(4, 4), (5, 1), (12, 8), (10, 7)])
def test_a_subset_is_balanced_and_keeps_images_with_their_labels_in_order(make_data, n_train, n_test):
    data = make_data(40, 24)
    subset = data.subset(n_train, n_test, seed=3)
    for split, count in (("train", n_train), ("test", n_test)):
        x, y = getattr(subset, f"x_{split}"), getattr(subset, f"y_{split}")
        whole = {image.tobytes(): index for index, image in enumerate(getattr(data, f"x_{split}"))}
        found = [whole[image.tobytes()] for image in x]
        assert len(x) == count
        assert found == sorted(set(found))
        assert getattr(data, f"y_{split}")[found].tolist() == y.tolist()
        assert np.ptp(np.bincount(y, minlength=4)) <= 1
    assert subset.origin["subset"] == {"n_train": n_train, "n_test": n_test, "seed": 3}
    assert json.loads(json.dumps(subset.origin)) == subset.origin


def test_a_larger_subset_contains_the_smaller_one_and_another_seed_another_one(make_data):
    data = make_data(400, 8)
    small, large = (data.subset(count, 4, seed=0) for count in (40, 80))
    assert {image.tobytes() for image in small.x_train} < {image.tobytes() for image in large.x_train}
    assert small.fingerprint == data.subset(40, 4, seed=0).fingerprint
    assert small.fingerprint != data.subset(40, 4, seed=1).fingerprint


def test_a_subset_that_a_class_cannot_fill_names_it_and_the_largest_one(make_data):
    with pytest.raises(
        DataError, match=r"class 'class 0' has 3 train images, a balanced subset of 13 needs 4; use .* 12"
    ):
        make_data(12, 8).subset(13, 4, seed=0)
    with pytest.raises(ArgumentError, match="n_test must be an integer >= 1, got 0"):
        make_data().subset(4, 0, seed=0)
    with pytest.raises(ArgumentError, match=r"n_train must be an integer >= 1, got 4\.5"):
        make_data().subset(4.5, 4, seed=0)


def test_sizes_beyond_the_limit_are_refused_however_large():
    check_size((dataset.MAX_BYTES,), what="this")
    with pytest.raises(DataError, match=r"this would take 4.0 GiB; the limit is 4 GiB"):
        check_size((dataset.MAX_BYTES + 1,), what="this")
    with pytest.raises(DataError, match="the limit"):
        check_size((2**62, 2**62), what="this")
