import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

import graphtask as gt
from graphtask.runs.config import check_same_run
from graphtask.study.job import Job
from graphtask.study.outcome import known_outcome
from graphtask.study.status import State, seconds_left, state_of
from graphtask.study.summary import summarize_results
from graphtask.study.worker import perform


@pytest.fixture(scope="module")
def done(scans, tmp_path_factory):
    """A study of two finished runs, and one that was never begun; the threshold cuts something."""
    values = {
        "name": "done",
        "out": str(tmp_path_factory.mktemp("runs")),
        "seeds": 3,
        "threshold": 0.3,
        "channels": 2,
        "device": "cpu",
        "optimization": {"epochs": 3, "batch_size": 16, "edge_l1": 0.05},
        "priors": {"full": {"nodes": 6}},
        "data": {"scans": {"source": str(scans)}},
    }
    study = gt.Study.read(values)
    assert [perform(job).kind for job in study.jobs[:2]] == ["finished"] * 2
    return study


def test_a_job_survives_its_journey_and_describes_the_run_that_it_trains(done):
    job = done.jobs[0]
    assert Job.from_dict(job.to_dict()) == job
    check_same_run(job.folder, job.identity())
    with pytest.raises(gt.errors.RunError, match="epochs 3, got 4"):
        check_same_run(job.folder, dataclasses.replace(job, config=job.config.replace(epochs=4)).identity())
    assert gt.provenance(gt.Run.open(job.folder).graph)["data"] == "scans"


def test_a_row_is_what_pruning_and_measuring_the_run_gives(done):
    table = done.results()
    assert table[["dataset", "prior", "seed", "status"]].to_numpy().tolist() == [
        ["scans", "full", 0, "finished"], ["scans", "full", 1, "finished"], ["scans", "full", 2, "waiting"],
    ]  # fmt: skip
    for job, (_, row) in zip(done.jobs[:2], table.iterrows(), strict=False):
        run = gt.Run.open(job.folder)
        pruned = gt.prune(run.graph, threshold=0.3)
        assert 0 < pruned.ecount() < 15
        parity = gt.training.parity(run, threshold=0.3, device="cpu")
        assert row["test_accuracy_pruned"] == parity.score_pruned
        assert row["test_accuracy"] == run.metrics["test_accuracy"].iloc[-1]
        assert row["critical_threshold"] == gt.critical_threshold(run.graph)
        assert row["seconds_per_epoch"] == np.median(run.metrics["seconds"])
        measured = gt.measure(pruned)
        for name, value in measured.items():
            assert row[name] == value or (math.isnan(value) and math.isnan(row[name])), name
    assert math.isnan(table["test_accuracy_pruned"].iloc[2])
    assert table["run"].tolist() == [job.name for job in done.jobs]


def test_the_second_time_nothing_is_computed_and_the_table_is_the_same(done, monkeypatch):
    first = done.results()
    monkeypatch.setattr("graphtask.study.results._images", lambda _: pytest.fail("loads data"))
    pd.testing.assert_frame_equal(done.results(), first)


def test_what_was_remembered_of_other_weights_or_by_another_version_is_not_believed(done):
    job = done.jobs[0]
    path = job.folder / "outcome.json"
    content = json.loads(path.read_text())
    assert known_outcome(job) is not None
    for change in ({"graphtask": "0.0.0"}, {"trained_sha256": ""}, {"rows": 3}):
        path.write_text(json.dumps(content | change))
        assert known_outcome(job) is None
    path.write_text("{")
    before = done.results()
    assert json.loads(path.read_text())["rows"].keys() == {"0.3"}
    pd.testing.assert_frame_equal(before, done.results())


def test_a_run_that_pruning_disconnects_is_an_outcome(done):
    table = done.results(threshold=1.0)
    assert table["status"].tolist() == ["disconnected", "disconnected", "waiting"]
    assert table["undefined"].str.contains("no path from the input to the output").tolist() == [
        True,
        True,
        False,
    ]
    assert table["test_accuracy"].notna().tolist() == [True, True, False]
    assert table["test_accuracy_pruned"].isna().all()
    assert table["error"].tolist() == [""] * 3
    assert set(done.results()["status"]) == {"finished", "waiting"}


def test_data_that_have_changed_are_an_error_of_their_rows_only(done, scans, tmp_path):
    arrays = dict(np.load(scans))
    arrays["x_test"] = arrays["x_test"] // 2
    np.savez(tmp_path / "other.npz", **arrays)
    jobs = [
        dataclasses.replace(job, config=job.config.replace(data=str(tmp_path / "other.npz")))
        for job in done.jobs
    ]
    (jobs[0].folder / "outcome.json").unlink()
    table = gt.Study(name="x", out=done.out, threshold=0.3, jobs=tuple(jobs)).results()
    assert table["status"].tolist() == ["failed", "finished", "waiting"]
    assert "was trained on data other than" in table["error"][0]
    assert done.results()["status"][0] == "finished"


def test_a_changed_study_says_for_each_run_what_is_there(done):
    jobs = [dataclasses.replace(job, config=job.config.replace(learning_rate=0.2)) for job in done.jobs]
    study = gt.Study(name="done", out=done.out, threshold=0.3, jobs=tuple(jobs))
    table = study.status()
    assert table["status"].tolist() == ["failed", "failed", "waiting"]
    assert "holds a run with learning_rate 0.1, got 0.2" in table["error"][0]
    ending = perform(jobs[0])
    assert (ending.kind, ending.reason) == ("failed", table["error"][0])


def test_status_tells_how_far_the_runs_are(done):
    table = done.status()
    assert table["status"].tolist() == ["finished", "finished", "waiting"]
    assert table["epoch"].tolist() == [3, 3, 0]
    mean = table["seconds_per_epoch"][:2].mean()
    assert table["seconds_left"].tolist() == [0, 0, pytest.approx(3 * mean)]


def test_the_time_left_follows_from_runs_of_the_same_kind(values):
    values["priors"]["chain"] = {"nodes": 4}
    study = gt.Study.read(values)
    full = [job for job in study.jobs if job.prior.name == "full"]
    chain = [job for job in study.jobs if job.prior.name == "chain"]
    assert seconds_left([State(job, "waiting") for job in study.jobs], slots=1) is None
    states = [
        State(full[0], "finished", epoch=2, seconds_per_epoch=10.0),
        State(full[1], "running", epoch=1, seconds_per_epoch=20.0),  # 20 s left
        State(full[2], "waiting"),  # two epochs of 15 s
        State(chain[0], "waiting"),  # nothing is known of chains: 15 s as well
        State(chain[1], "failed", "diverged"),
    ]
    assert seconds_left(states, slots=1) == 20 + 30 + 30
    assert seconds_left(states, slots=2) == 40
    assert seconds_left(states, slots=100) == 30
    assert seconds_left(states[:1], slots=1) == 0


def test_a_summary_is_the_mean_and_sample_deviation_over_finished_runs(done):
    table = done.results()
    summary = summarize_results(table).set_index("feature")
    for feature in ("sparsity", "nodes_stage_0", "mean_path", "test_accuracy_pruned"):
        values = table[feature][:2]
        assert summary.loc[feature].tolist() == pytest.approx([values.mean(), values.std(), 2])
    assert list(summary.columns) == ["scans_mean", "scans_std", "scans_n"]
    paper = [
        "sparsity", "sparsity_stage_0", "sparsity_stage_1", "sparsity_stage_2", "nodes", "nodes_stage_0",
        "nodes_stage_1", "nodes_stage_2", "parameters", "log_paths", "mean_path", "max_path", "ln_communicability",
        "edge_connectivity", "mean_degree", "pca_elongation",
    ]  # fmt: skip
    assert summary.index.tolist()[: len(paper)] == paper


def test_a_summary_keeps_priors_apart():
    table = pd.DataFrame(
        {"dataset": ["a"] * 3, "prior": ["x", "x", "y"], "status": ["finished", "disconnected", "finished"]}
        | {"sparsity": [0.5, math.nan, 0.7], "test_accuracy": [0.5, 0.6, 0.7]}
    )
    summary = summarize_results(table).set_index("feature")
    assert summary["a/x_n"].tolist() == [1, 2]
    assert summary["a/y_mean"].tolist() == [0.7, 0.7]
    assert summary["a/y_std"].isna().all()


def test_a_folder_that_is_a_file_and_a_config_that_is_damaged_are_states(study):
    first, second, third = study.jobs
    first.folder.parent.mkdir(parents=True)
    first.folder.write_text("")
    second.folder.mkdir()
    (second.folder / "config.json").write_text("{")
    states = [state_of(job) for job in study.jobs]
    assert [state.word for state in states] == ["failed", "failed", "waiting"]
    assert "is not a folder" in states[0].reason
    assert "config.json: damaged" in states[1].reason
    assert [perform(job).kind for job in (first, second)] == ["failed", "failed"]
    assert not third.folder.exists()
