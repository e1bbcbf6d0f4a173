import numpy as np
import pytest
from data.arrays import message_of
from PIL import Image

from graphtask.data import dataset
from graphtask.data.folder import read_folder
from graphtask.data.transforms import resize


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


def test_one_color_image_makes_a_folder_one_of_color_and_transparency_is_dropped(tmp_path):
    gray = write_images(tmp_path)["train"]
    color = np.random.default_rng(6).integers(0, 256, (7, 6, 4), dtype=np.uint8)
    Image.fromarray(color).save(tmp_path / "test/bee/0.png")
    data = read_folder(tmp_path)
    assert np.array_equal(data.x_test[1], color[..., :3])
    assert np.array_equal(data.x_train, np.repeat(np.stack(gray), 3, axis=3))


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
    assert f"{tmp_path / 'train'}: is not a folder; an image folder has" in message_of(
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
    assert message_of(lambda: read_folder(tmp_path)).startswith(f"{victim}: has more than 8 bits per channel")


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    write_images(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    assert "exceeds limit" in message_of(lambda: read_folder(tmp_path))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert "exceeds limit" in message_of(lambda: read_folder(tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(dataset, "MAX_BYTES", 6 * 42 - 1)
    assert "6 images of 7×6 would take" in message_of(lambda: read_folder(tmp_path))
