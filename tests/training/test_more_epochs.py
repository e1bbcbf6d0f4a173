import pytest

import graphtask as gt
from graphtask.runs.layout import CHECKPOINT
from graphtask.training.checkpointing import Checkpointer

OPTIONS = {"channels": 2, "batch_size": 50, "learning_rate": 0.05, "progress": False}


def train(digits, out, **options):
    return gt.train(gt.full_dag(4), data=digits, out=out, **OPTIONS | options)


def test_a_finished_run_is_trained_further_to_the_bits_of_one_that_was_never_finished(digits, tmp_path):
    whole = train(digits, None, epochs=4, milestones=())
    train(digits, tmp_path / "run", epochs=2, milestones=())
    longer = train(digits, tmp_path / "run", epochs=4, milestones=())
    assert longer.metrics["epoch"].tolist() == [1, 2, 3, 4]
    assert longer.graph.es["w"] == whole.graph.es["w"]
    assert longer.config.optimization.epochs == 4
    assert gt.Run.open(tmp_path / "run").history.w.shape == (5, 6)


def test_finished_epochs_on_another_schedule_are_reported(digits, tmp_path):
    train(digits, tmp_path / "run", epochs=2, milestones=(0.5,))
    with pytest.warns(RuntimeWarning, match=r"epoch 2 had the learning rate 0\.005, which 0\.05 would be"):
        longer = train(digits, tmp_path / "run", epochs=4, milestones=(0.5,))
    assert longer.metrics["learning_rate"].tolist() == pytest.approx([0.05, 0.005, 0.005, 0.005])


def test_fewer_epochs_or_another_setting_besides_are_another_run(digits, tmp_path):
    train(digits, tmp_path / "run", epochs=2, milestones=())
    with pytest.raises(gt.RunError, match="epochs 2, got 1"):
        train(digits, tmp_path / "run", epochs=1, milestones=())
    with pytest.raises(gt.RunError, match="epochs 2, got 3"):
        train(digits, tmp_path / "run", epochs=3, milestones=(), seed=5)


def test_a_run_without_its_final_state_cannot_be_trained_further_and_stays_as_it_is(digits, tmp_path):
    run = train(digits, tmp_path / "run", epochs=1, milestones=())
    (tmp_path / "run" / CHECKPOINT).unlink()
    with pytest.raises(
        gt.RunError, match=r"checkpoint\.pt is missing or damaged, so the run cannot be trained further"
    ):
        train(digits, tmp_path / "run", epochs=2, milestones=())
    assert gt.Run.open(tmp_path / "run").graph.es["w"] == run.graph.es["w"]


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("command", [2, 4])
def test_killed_while_it_is_trained_further_the_new_command_completes_it(
    digits, tmp_path, monkeypatch, command
):
    whole = train(digits, None, epochs=4, milestones=())
    train(digits, tmp_path / "run", epochs=2, milestones=())

    def killed(self):
        if self.trainer.epoch == 3:
            raise Killed
        after_step(self)

    after_step = Checkpointer.after_step
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "after_step", killed)
        with pytest.raises(Killed):
            train(digits, tmp_path / "run", epochs=4, milestones=())
    if command == 2:
        with pytest.raises(gt.RunError, match="epochs 4, got 2"):
            train(digits, tmp_path / "run", epochs=2, milestones=())
    assert train(digits, tmp_path / "run", epochs=4, milestones=()).graph.es["w"] == whole.graph.es["w"]
