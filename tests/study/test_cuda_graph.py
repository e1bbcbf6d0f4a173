"""That a study's word about CUDA graphs arrives where they are made; a tape stands in for them."""

import dataclasses

import pytest
from helpers import InlineEngine
from training.tape import Tape

import graphtask as gt
from graphtask.data.extent import Extent
from graphtask.study import probe
from graphtask.study.retrain import retrain_runs
from graphtask.study.worker import perform
from graphtask.training import train as train_module
from graphtask.training.loop import Trainer


@pytest.fixture
def tapes(monkeypatch):
    """All tapes that are begun."""
    begun = []

    def recorder(_module):
        begun.append(Tape())
        return begun[-1]

    monkeypatch.setattr(train_module, "cuda_recorder", recorder)
    monkeypatch.setattr(probe, "cuda_recorder", recorder)
    return begun


def test_a_study_its_data_sets_and_its_priors_say_whether_steps_are_captured(values):
    assert [job.config.runtime.cuda_graph for job in gt.Study.read(values).jobs] == [True] * 3
    values["priors"]["other"] = {"kind": "chain", "nodes": 4, "cuda_graph": True}
    jobs = gt.Study.read(values | {"cuda_graph": False}).jobs
    assert {job.prior.name: job.config.runtime.cuda_graph for job in jobs} == {"full": False, "other": True}
    with pytest.raises(gt.errors.ArgumentError, match="cuda_graph"):
        gt.Study.read(values | {"cuda_graph": "no"})


def test_the_folder_of_a_study_that_was_run_before_there_were_any_is_read(study):
    study.save()
    path = study.out / "study.json"
    text = path.read_text()
    assert '"cuda_graph": true' in text
    path.write_text(text.replace('   "cuda_graph": true,\n', ""))
    assert '"cuda_graph"' not in path.read_text()
    assert gt.Study.read(study.out) == study


def test_it_arrives_in_training_and_a_finished_run_is_the_same_either_way(values, tapes):
    without = gt.Study.read(values | {"cuda_graph": False}).jobs
    captured = gt.Study.read(values).jobs
    assert perform(without[0]).kind == "finished"
    assert tapes == []
    assert perform(captured[1]).kind == "finished"
    assert [tape.recorded for tape in tapes] == [1]
    assert perform(captured[0]) == perform(without[1]) == ("finished", "")
    one, other = (job.identity() for job in (captured[0], without[0]))
    assert one.pop("runtime")["cuda_graph"] != other.pop("runtime")["cuda_graph"]
    assert one == other


def test_it_arrives_in_networks_that_are_retrained(study, tapes, monkeypatch, tmp_path):
    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: InlineEngine())
    folder = study.jobs[0].folder
    perform(study.jobs[0])
    tapes.clear()
    for cuda_graph, n_tapes in ((False, 0), (True, 1)):
        out = tmp_path / str(cuda_graph)
        found = retrain_runs(
            [folder], out=out, channels=["same"], device="cpu", cuda_graph=cuda_graph, progress=False
        )
        assert found.failed == {}
        gt.retrain(gt.Run.open(folder), device="cpu", cuda_graph=cuda_graph, progress=False)
        assert len(tapes) == 2 * n_tapes


def test_the_probe_tries_what_will_be_run_and_leaves_recording_out_of_what_it_times(study, monkeypatch):
    events = []

    class Epochs(Trainer):
        def _record_epoch(self):
            super()._record_epoch()
            events.append("epoch")

    class Heard(Tape):
        def record(self, work):
            events.append("recorded")
            return super().record(work)

    monkeypatch.setattr(probe, "_SECONDS", 1e6)
    monkeypatch.setattr(probe, "_MOST_STEPS", 5)
    monkeypatch.setattr(probe, "Trainer", Epochs)
    monkeypatch.setattr(probe, "cuda_recorder", lambda _module: Heard())
    (job, *_), extent = study.jobs, Extent(64, 32, (8, 8), 3, 2)
    probe.seconds_per_step(job, extent)
    # The first time one step is tried, twice, which is too few; then a few, and then as many as fit into the time.
    assert events == ["epoch", "epoch", *["recorded", "epoch", "epoch"] * 2]
    events.clear()
    probe.seconds_per_step(dataclasses.replace(job, config=job.config.replace(cuda_graph=False)), extent)
    assert events == ["epoch"] * 3


def test_memory_that_a_failed_capture_holds_back_does_not_cost_a_run_that_is_finished(study, monkeypatch):
    asked = []

    def refuse():
        asked.append(True)
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")

    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.empty_cache", refuse)
    assert perform(study.jobs[0]) == ("finished", "")
    assert asked
