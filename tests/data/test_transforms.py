import hashlib
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphtask.data import dataset
from graphtask.data.transforms import (
    TRANSFORMS,
    Transform,
    color,
    pad,
    parse_transform,
    resize,
    scale,
    subset,
    tiles,
    transform,
)
from graphtask.errors import ArgumentError, DataError

RAMP = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def md5(images):
    return hashlib.md5(np.ascontiguousarray(images).tobytes()).hexdigest()


def test_colors_are_those_of_the_raw_words_one_word_an_image():
    drawn = np.random.PCG64(7).random_raw(50)
    colored = color(np.repeat(RAMP, 50, axis=0), seed=7)
    for image, word in zip(colored, drawn.tolist(), strict=True):
        brightest, rest = (word >> 32) % 3, [word & 255, (word >> 8) & 255]
        expected = [0, 0, 0]
        expected[brightest] = 255
        expected[(brightest + 1) % 3], expected[(brightest + 2) % 3] = rest
        assert image[15, 15].tolist() == expected
        for gray in range(256):  # round(g·c/255): the exact quotient is never a half, 255 being odd
            assert image[gray // 16, gray % 16].tolist() == [round(gray * value / 255) for value in expected]


def test_colors_are_bright_black_stays_black_and_every_hue_occurs():
    colored = color(np.repeat(RAMP, 3000, axis=0), seed=0)
    brightest = colored[:, 15, 15]
    assert (brightest.max(axis=1) == 255).all()
    assert (colored[:, 0, 0] == 0).all()
    share = (brightest == 255).mean(axis=0)
    assert (np.abs(share - 1 / 3) < 0.05).all()
    assert np.unique(brightest[:, 0]).size > 240


def test_colors_of_an_image_depend_neither_on_the_other_images_nor_on_its_own():
    gray = np.full((20, 2, 2, 1), 255, np.uint8)
    assert np.array_equal(color(gray[:5], seed=1), color(gray, seed=1)[:5])
    dark = gray.copy()
    dark[:10] = 0
    assert np.array_equal(color(dark, seed=1)[10:], color(gray, seed=1)[10:])


def test_training_and_test_images_have_other_colors_and_so_have_other_seeds():
    white = np.full((100, 1, 1, 1), 255, np.uint8)
    drawn = [color(white, seed=0), color(white, seed=0, split="test"), color(white, seed=1)]
    same = [
        (first == second).all(axis=(1, 2, 3)).mean() for first, second in itertools.combinations(drawn, 2)
    ]
    assert max(same) < 0.05


@given(st.integers(0, 2**64), st.integers(1, 5))
def test_color_and_pad_may_change_places(seed, width):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 1), dtype=np.uint8)
    assert np.array_equal(
        color(pad(images, width=width), seed=seed), pad(color(images, seed=seed), width=width)
    )


def test_pad_puts_a_black_frame_around_the_images():
    images = np.full((2, 3, 4, 3), 9, np.uint8)
    padded = pad(images, width=2)
    assert padded.shape == (2, 7, 8, 3)
    assert np.array_equal(padded[:, 2:5, 2:6], images)
    assert padded.sum() == images.sum()


def test_scale_repeats_every_pixel():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    scaled = scale(images, factor=3)
    assert scaled.shape == (2, 9, 12, 3)
    for row in range(9):
        for column in range(12):
            assert np.array_equal(scaled[:, row, column], images[:, row // 3, column // 3])


@pytest.mark.parametrize(
    ("shape", "size"), [((16, 16), 4), ((32, 32), 8), ((6, 9), 3), ((8, 8), 8), ((4, 4), 1)]
)
@pytest.mark.parametrize("seed", [0, 5])
def test_tiles_moves_and_turns_whole_tiles_as_the_raw_words_say(shape, size, seed):
    images = np.random.default_rng(1).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    corners = [(row, column) for row in range(0, shape[0], size) for column in range(0, shape[1], size)]
    stream = np.random.PCG64(seed)
    stream.advance(2 * 2**64)
    drawn = stream.random_raw(2 * len(corners)).tolist()
    order = sorted(range(len(corners)), key=lambda tile: drawn[tile])
    expected = np.zeros_like(images)
    for (row, column), source, word in zip(corners, order, drawn[len(corners) :], strict=True):
        top, left = corners[source]
        for image in range(3):
            tile = images[image, top : top + size, left : left + size]
            for _ in range((word >> 32) % 4):  # a quarter turn: the right column becomes the top row
                tile = np.stack([tile[:, size - 1 - index] for index in range(size)])
            expected[image, row : row + size, column : column + size] = tile
    assert np.array_equal(tiles(images, size=size, seed=seed), expected)


@given(st.integers(0, 2**64), st.sampled_from([1, 2, 4, 8]))
def test_tiles_loses_no_pixel(seed, size):
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    assert sorted(tiles(image, size=size, seed=seed).ravel()) == list(range(64))


def test_tiles_are_shuffled_and_turned_in_every_way():
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    tiled = [tiles(image, size=8, seed=seed)[0, :, :, 0] for seed in range(200)]
    steps = {int(found[0, 1]) - int(found[0, 0]) for found in tiled}
    places = {(int(found[:8, :8].min()) // 128, int(found[:8, :8].min()) % 16 // 8) for found in tiled}
    assert steps == {1, 16, -1, -16}
    assert len(places) == 4


def test_tiles_that_do_not_fit_name_the_sizes_that_do():
    with pytest.raises(
        DataError, match="tiles of 8×8 pixels do not fit images of 28×28; use a size of 1, 2, 4, 7, 14, 28"
    ):
        tiles(np.zeros((1, 28, 28, 1), np.uint8), size=8, seed=0)


def test_resize_keeps_plain_images_plain_and_averages_when_it_shrinks():
    assert (resize(np.full((2, 9, 5, 3), 77, np.uint8), size=4) == 77).all()
    chequered = np.indices((32, 32)).sum(axis=0).astype(np.uint8)[None, :, :, None] % 2 * 200
    assert np.abs(resize(chequered, size=8).astype(int) - 100).max() <= 2


def test_coloring_twice_is_refused():
    with pytest.raises(DataError, match="color needs gray images, got 3 channels"):
        color(np.zeros((1, 2, 2, 3), np.uint8), seed=0)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None])
def test_numbers_below_1_are_refused(value):
    images = np.zeros((1, 8, 8, 1), np.uint8)
    for call in (
        lambda: pad(images, width=value),
        lambda: scale(images, factor=value),
        lambda: tiles(images, size=value, seed=0),
        lambda: resize(images, size=value),
    ):
        with pytest.raises(ArgumentError, match="must be an integer >= 1"):
            call()


def test_results_too_large_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(dataset, "MAX_BYTES", 1000)
    images = np.zeros((4, 8, 8, 1), np.uint8)
    for call in (
        lambda: color(np.zeros((6, 8, 8, 1), np.uint8), seed=0),
        lambda: pad(images, width=10**9),
        lambda: scale(images, factor=10**9),
        lambda: resize(images, size=10**9),
    ):
        with pytest.raises(DataError, match="the limit is"):
            call()


def test_the_arrays_are_pinned():
    images = np.random.PCG64(0).random_raw(4 * 32 * 32).astype(np.uint8).reshape(4, 32, 32, 1)
    assert md5(color(images, seed=0)) == "18c74bf1cc70b293e39ee532b78c2eba"
    assert md5(color(images, seed=0, split="test")) == "ed40b09c9477728d9ee85999cfeb9262"
    assert md5(tiles(images, size=8, seed=0)) == "eb0c8777a8d5ef57ce29acc2ea760826"


@given(st.sampled_from(sorted(TRANSFORMS)), st.integers(1, 10**6))
def test_what_a_transform_is_written_as_is_read_as_the_same_transform(name, value):
    step = Transform(name, None if TRANSFORMS[name].argument is None else value)
    assert parse_transform(str(step)) == step == parse_transform(step)


def test_without_a_number_a_transform_has_its_default():
    assert [str(parse_transform(name)) for name in TRANSFORMS] == [
        "color",
        "pad:2",
        "tiles:8",
        "scale:2",
        "resize:32",
        "subset:1000",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "colour",
            "unknown transform 'colour'; known are color, pad:2, tiles:8, scale:2, resize:32, subset:1000",
        ),
        ("", "unknown transform ''"),
        ("color:3", "transform 'color:3': color has no number; write color"),
        ("tiles:0", "transform 'tiles:0': the size must be an integer >= 1, as in tiles:8"),
        ("tiles:", "the size must be"),
        ("pad:-2", "the width must be"),
        ("pad:2.5", "the width must be"),
        ("pad:2:3", "the width must be"),
        ("pad:²", "the width must be"),
        ("pad:" + "9" * 5000, "the width must be"),
        (Transform("tiles", 0), "the size must be"),
    ],
)
def test_a_transform_that_does_not_exist_is_refused_and_the_message_lists_what_does(text, message):
    with pytest.raises(ArgumentError) as caught:
        parse_transform(text)
    assert message in str(caught.value)


def test_transforms_apply_in_order_to_both_splits_and_are_written_down(make_data):
    data = make_data(size=(6, 6))
    made = transform(data, ["scale:2", "pad:2", Transform("color"), "tiles:4"], seed=9)
    for split in ("train", "test"):
        gray = pad(scale(getattr(data, f"x_{split}"), factor=2), width=2)
        expected = tiles(color(gray, seed=9, split=split), size=4, seed=9)
        assert np.array_equal(getattr(made, f"x_{split}"), expected)
        assert np.array_equal(getattr(made, f"y_{split}"), getattr(data, f"y_{split}"))
    assert made.name == "random+scale:2+pad:2+color+tiles:4"
    assert made.origin == {
        "source": "random",
        "transforms": [
            {"name": "scale", "factor": 2},
            {"name": "pad", "width": 2},
            {"name": "color", "seed": 9},
            {"name": "tiles", "size": 4, "seed": 9},
        ],
    }
    assert json.loads(json.dumps(made.origin)) == made.origin
    assert data.origin == {"source": "random"}


def test_a_subset_is_balanced_in_both_parts_and_of_the_same_share(make_data):
    data = make_data(n_train=120, n_test=40)
    made = transform(data, ["subset:30", "scale:2"], seed=5)
    kept = data.subset(30, 10, seed=5)
    assert np.array_equal(made.x_train, scale(kept.x_train, factor=2))
    assert np.array_equal(made.x_test, scale(kept.x_test, factor=2))
    assert np.array_equal(made.y_train, kept.y_train)
    assert np.array_equal(made.y_test, kept.y_test)
    assert made.name == "random+subset:30+scale:2"
    assert made.origin["transforms"][0] == {"name": "subset", "number": 30, "seed": 5}
    assert len(subset(data, number=1, seed=0).x_test) == 1


def test_a_subset_that_a_class_cannot_fill_is_one_error(make_data):
    with pytest.raises(DataError, match="use at most"):
        transform(make_data(), ["subset:100000"])


def test_a_transform_that_does_not_fit_names_the_data_set(make_data):
    with pytest.raises(DataError, match="random: tiles of 3×3 pixels do not fit"):
        transform(make_data(), ["tiles:3"])


def test_the_seed_is_checked(make_data):
    for seed in (-1, 1.5):
        with pytest.raises(ArgumentError, match=f"seed must be an integer >= 0, got {seed}"):
            transform(make_data(), ["color"], seed=seed)


def test_numbers_of_numpy_do_as_well_and_are_written_down_as_plain_ones(make_data):
    made = transform(make_data(), ["color"], seed=np.int64(3)).subset(np.int32(4), 4, seed=np.uint8(1))
    assert json.loads(json.dumps(made.origin)) == made.origin
