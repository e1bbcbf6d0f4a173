import pytest
import torch

from graphtask.errors import RunError
from graphtask.runs.layout import CHECKPOINT, PREVIOUS_CHECKPOINT
from graphtask.training.checkpointing import load_checkpoint, save_checkpoint


def state(number):
    return {"epoch": number, "weights": torch.full((1000,), float(number))}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save_checkpoint(tmp_path, state(7))
    loaded, warning = load_checkpoint(tmp_path)
    assert loaded["epoch"] == 7
    assert torch.equal(loaded["weights"], state(7)["weights"])
    assert warning == ""


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path) == (None, "")


@pytest.mark.parametrize("position", [0, 30, 100, 2000, -1])
def test_one_flipped_bit_is_noticed_and_the_checkpoint_before_is_taken(tmp_path, position):
    save_checkpoint(tmp_path, state(1))
    save_checkpoint(tmp_path, state(2))
    content = bytearray((tmp_path / CHECKPOINT).read_bytes())
    content[position] ^= 1
    (tmp_path / CHECKPOINT).write_bytes(content)
    loaded, warning = load_checkpoint(tmp_path)
    assert loaded["epoch"] == 1
    assert "damaged" in warning


@pytest.mark.parametrize("length", [0, 10, 90, 500])
def test_a_truncated_only_checkpoint_is_an_error_that_says_what_to_do(tmp_path, length):
    save_checkpoint(tmp_path, state(1))
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[:length])
    with pytest.raises(RunError, match="delete the folder"):
        load_checkpoint(tmp_path)


def test_killed_between_two_renames_the_checkpoint_before_is_there(tmp_path):
    save_checkpoint(tmp_path, state(1))
    (tmp_path / CHECKPOINT).rename(tmp_path / PREVIOUS_CHECKPOINT)
    assert load_checkpoint(tmp_path)[0]["epoch"] == 1
