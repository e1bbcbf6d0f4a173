"""Batches against one image at a time, cropped and mirrored with plain slices."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from graphtask.data.batches import Batches, channel_statistics
from graphtask.errors import ArgumentError, DataError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
MEAN, STD = np.array([0.2, 0.5, 0.7]), np.array([0.1, 0.25, 0.3])


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (23, 6, 9, 3), dtype=np.uint8)


@pytest.fixture
def labels():
    return np.arange(23) * 10


def build(images, labels, **changes):
    return Batches(images, labels, **{"batch_size": 5, "mean": MEAN, "std": STD, **changes})


def normalized(image):
    """One image (height, width, channels) as the network gets it."""
    mean, std = (torch.tensor(255 * values, dtype=torch.float32) for values in (MEAN, STD))
    return ((torch.tensor(image).to(torch.float32) - mean) / std).permute(2, 0, 1)


def one_by_one(images, draws, *, padding, flip):
    for index, (row, column), mirrored in zip(*(drawn.tolist() for drawn in draws), strict=True):
        image = np.pad(images[index], ((padding, padding), (padding, padding), (0, 0)))
        image = image[row : row + images.shape[1], column : column + images.shape[2]]
        yield normalized(image[:, ::-1].copy() if flip and mirrored else image)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_a_batch_is_what_cropping_and_mirroring_one_image_at_a_time_gives(
    images, labels, padding, flip, device
):
    batches = build(images, labels, padding=padding, flip=flip, device=device)
    shown = list(batches.epoch(seed=3, epoch=2))
    draws = batches.draws(seed=3, epoch=2)
    assert [len(batch) for batch, _ in shown] == [5, 5, 5, 5, 3]
    assert torch.equal(
        torch.cat([batch for batch, _ in shown]).cpu(),
        torch.stack(list(one_by_one(images, draws, padding=padding, flip=flip))),
    )
    assert torch.cat([batch for _, batch in shown]).tolist() == labels[draws.order].tolist()
    assert all(batch.device.type == found.device.type == device for batch, found in shown)
    assert all(batch.dtype == torch.float32 and found.dtype == torch.int64 for batch, found in shown)


def test_every_shift_and_flip_reaches_the_pixels_equally_often():
    n_images, side = 40_500, 9
    image = (100 + np.arange(side * side, dtype=np.uint8)).reshape(1, side, side, 1)
    batches = Batches(
        np.repeat(image, n_images, axis=0), np.zeros(n_images, int), batch_size=4096, mean=[0.0], std=[1 / 255],
        padding=4, flip=True,
    )  # fmt: skip
    shown = torch.cat([batch for batch, _ in batches.epoch(seed=0, epoch=0)])[:, 0].round().long()
    center, left, right = shown[:, 4, 4], shown[:, 4, 3], shown[:, 4, 5]
    mirrored = ~((right == center + 1) | (left == center - 1))  # the middle column stays where it is
    counts = torch.bincount(2 * (center - 100) + mirrored, minlength=162)
    expected = n_images / 162
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert counts.numel() == 162
    assert 161 - 5 * (2 * 161) ** 0.5 < chi_square < 161 + 5 * (2 * 161) ** 0.5


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own(images, labels):
    batches = build(images, labels, padding=4, flip=True)
    orders = {tuple(torch.cat([found for _, found in batches.epoch(seed=seed, epoch=epoch)]).tolist())
              for seed in range(3) for epoch in range(3)}  # fmt: skip
    assert len(orders) == 9
    assert all(sorted(order) == labels.tolist() for order in orders)


@pytest.mark.parametrize("device", DEVICES)
def test_an_epoch_can_be_begun_in_its_middle(images, labels, device):
    batches = build(images, labels, padding=4, flip=True, device=device)
    whole = list(batches.epoch(seed=1, epoch=7))
    for start in range(len(batches) + 1):
        tail = list(
            build(images, labels, padding=4, flip=True, device=device).epoch(seed=1, epoch=7, start=start)
        )
        assert len(tail) == len(batches) - start
        for (one, its_labels), (other, other_labels) in zip(tail, whole[start:], strict=True):
            assert torch.equal(one, other)
            assert torch.equal(its_labels, other_labels)


def test_an_epoch_depends_on_nothing_but_its_seed_and_number(images, labels):
    batches = build(images, labels, padding=4, flip=True)
    state = torch.get_rng_state()
    first = [batch for batch, _ in batches.epoch(seed=0, epoch=0)]
    torch.rand(10)
    list(batches.epoch(seed=5, epoch=1))
    again = [batch for batch, _ in batches.epoch(seed=0, epoch=0)]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    torch.set_rng_state(state)
    list(batches.epoch(seed=0, epoch=0))
    assert torch.equal(torch.get_rng_state(), state)


def test_shuffling_does_not_change_with_batch_size_or_augmentation(images, labels):
    one = build(images, labels, padding=4, flip=True).draws(seed=0, epoch=0)
    other = build(images, labels, batch_size=7, padding=4).draws(seed=0, epoch=0)
    assert all(torch.equal(mine, yours) for mine, yours in zip(one, other, strict=True))
    assert torch.equal(one.order, build(images, labels).draws(seed=0, epoch=0).order)


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 23), (5, 5), (23, 1), (100, 1)])
def test_there_are_as_many_batches_as_the_length_says(images, labels, batch_size, expected):
    batches = build(images, labels, batch_size=batch_size)
    assert (
        len(batches) == len(list(batches.epoch(seed=0, epoch=0))) == len(list(batches.in_order())) == expected
    )


def test_for_evaluation_images_come_in_order_and_as_they_are(images, labels):
    batches = build(images, labels, padding=4, flip=True)
    shown, found = (torch.cat(parts) for parts in zip(*batches.in_order(), strict=True))
    assert torch.equal(shown, torch.stack([normalized(image) for image in images]))
    assert found.tolist() == labels.tolist()


def test_the_training_images_end_up_with_mean_0_and_deviation_1(images, labels):
    statistics = channel_statistics(images)
    shown = torch.cat(
        [batch for batch, _ in build(images, labels, mean=statistics.mean, std=statistics.std).in_order()]
    )
    assert torch.allclose(shown.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(shown.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_other_types_are_cast_after_normalising_in_float32(images, labels):
    exact = next(build(images, labels).in_order())[0]
    assert torch.equal(
        next(build(images, labels, dtype=torch.bfloat16).in_order())[0], exact.to(torch.bfloat16)
    )


def test_statistics_are_those_of_float64():
    images = np.random.default_rng(1).integers(0, 256, (5000, 4, 3, 3), dtype=np.uint8)
    images[..., 1] //= 50
    statistics = channel_statistics(images)
    np.testing.assert_allclose(statistics.mean, (images / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, (images / 255).std(axis=(0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_channel_that_never_changes_is_normalised_to_zero(value):
    images = np.full((4, 3, 3, 1), value, np.uint8)
    statistics = channel_statistics(images)
    assert statistics.std.tolist() == [1.0]
    assert abs(float(statistics.mean[0]) - value / 255) < 1e-15
    batches = Batches(images, np.zeros(4, int), mean=statistics.mean, std=statistics.std)
    assert next(batches.in_order())[0].abs().max() < 1e-6


class Watch(TorchDispatchMode):
    """Remembers which operations ran, and the largest tensor that came out of one."""

    def __init__(self):
        super().__init__()
        self.names, self.largest = set(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.names.add(function.overloadpacket.__name__)
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
        return result


def test_a_batch_neither_waits_for_the_device_nor_copies_the_data_set(images):
    many = np.repeat(images, 50, axis=0)
    batches = build(many, np.zeros(len(many), int), padding=4, flip=True)
    with Watch() as watch:
        iterator = batches.epoch(seed=0, epoch=0)
    assert "randperm" in watch.names
    with Watch() as watch:
        for _ in iterator:
            pass
    assert "gather" in watch.names
    assert not watch.names & {
        "_local_scalar_dense",
        "item",
        "nonzero",
        "masked_select",
        "randperm",
        "randint",
    }
    assert watch.largest == 5 * 3 * 14 * 17  # one batch with its frame


def test_the_read_only_arrays_of_a_data_set_will_do(make_data):
    data = make_data(channels=3)
    batches = Batches(data.x_train, data.y_train, mean=MEAN, std=STD)
    assert next(batches.in_order())[1].tolist() == data.y_train.tolist()
    gray = make_data(channels=1)
    assert len(Batches(gray.x_train, gray.y_train, mean=[0.5], std=[0.5])) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch_size": 0}, ArgumentError, "batch_size must be an integer >= 1, got 0"),
        ({"batch_size": 2.5}, ArgumentError, "batch_size must be an integer >= 1, got 2.5"),
        ({"padding": -1}, ArgumentError, "padding must be an integer >= 0, got -1"),
        ({"images": np.zeros((23, 6, 9, 3))}, DataError, "got float64 of shape"),
        ({"images": np.zeros((23, 6, 9), np.uint8)}, DataError, "got uint8 of shape (23, 6, 9)"),
        (
            {"images": np.zeros((0, 6, 9, 3), np.uint8), "labels": np.zeros(0, int)},
            DataError,
            "of shape (0, 6, 9, 3)",
        ),
        ({"labels": np.zeros(22, int)}, DataError, "labels must have shape (23,) for 23 images, got (22,)"),
        ({"mean": [0.5]}, DataError, "mean must be numbers, one for each channel (3), got [0.5]"),
        ({"std": [0.5, 0.5, 0.0]}, DataError, "std must be positive numbers, one for each channel (3)"),
        ({"std": [0.5, 0.5, np.nan]}, DataError, "got [0.5, 0.5, nan]"),
    ],
)
def test_what_does_not_fit_is_refused(images, labels, changes, error, message):
    with pytest.raises(error) as caught:
        build(**{"images": images, "labels": labels, **changes})
    assert message in str(caught.value)


@pytest.mark.parametrize("start", [-1, 6])
def test_an_epoch_cannot_begin_outside_itself(images, labels, start):
    with pytest.raises(ArgumentError, match=rf"start must be an integer in \[0, 5\], got {start}"):
        build(images, labels).epoch(seed=0, epoch=0, start=start)
