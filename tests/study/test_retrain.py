import json
import math

import pandas as pd
import pytest
from helpers import InlineEngine
from run_folders import accept

import graphtask as gt
from graphtask.study.retrain import retrain_runs
from graphtask.study.worker import perform

TAU = 0.3


@pytest.fixture(scope="module")
def done(scans, tmp_path_factory):
    """A study of two priors and two seeds, finished."""
    values = {
        "name": "done",
        "out": str(tmp_path_factory.mktemp("runs")),
        "seeds": 2,
        "channels": 2,
        "device": "cpu",
        "optimization": {"epochs": 2, "batch_size": 16, "edge_l1": 0.05},
        "priors": {"full": {"nodes": 6}, "thin": {"kind": "banded", "nodes": 6, "bandwidth": 3}},
        "data": {"scans": {"source": str(scans)}},
    }
    study = gt.Study.read(values)
    assert {perform(job).kind for job in study.jobs} == {"finished"}
    return study


@pytest.fixture(autouse=True)
def engines(monkeypatch):
    """Let jobs be done in this process, and remember them."""
    begun = []

    class Engine(InlineEngine):
        def submit(self, job):
            begun.append(job)
            return super().submit(job)

    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: Engine())
    return begun


def retrain(study, out, **options):
    folders = {job.name: job.folder for job in study.jobs}
    return retrain_runs(folders, out=out, threshold=TAU, device="cpu", progress=False, **options)


def copied(folder, place):
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return place


def test_a_new_run_is_the_one_that_retrain_gives_by_itself(done, tmp_path):
    found = retrain(done, tmp_path / "new", epochs=1, threads=1, budget=5000)
    assert found.failed == {}
    run = gt.Run.open(done.jobs[0].folder)
    for options, name in (
        ({"channels": "same"}, "retrained"),
        ({"channels": "fit", "budget": 5000}, "retrained_fit"),
    ):
        folder = tmp_path / "new" / "scans" / "full" / "seed-0" / name
        mine = gt.Run.open(folder)
        alone = gt.retrain(run, threshold=TAU, epochs=1, device="cpu", threads=1, progress=False, **options)
        assert mine.graph.es["w"] == alone.graph.es["w"]
        assert mine.record["graph_sha256"] == alone.record["graph_sha256"]
        assert mine.config.model.channels == alone.config.model.channels
        assert gt.provenance(mine.graph)["retrained"] == gt.provenance(alone.graph)["retrained"]
        again = gt.retrain(run, out=folder, threshold=TAU, epochs=1, device="cpu", progress=False, **options)
        assert again.graph.es["w"] == mine.graph.es["w"], "the folder is that of the same run"


def test_the_table_has_the_priors_side_by_side_and_finished_runs_are_opened(done, tmp_path, engines):
    found = retrain(done, tmp_path / "new", budget=5000)
    assert len(engines) == 8
    assert {job.threads for job in engines} == {1}  # as the runs had
    assert retrain(done, tmp_path / "new", budget=5000).table.equals(found.table)
    assert len(engines) == 8
    assert found.table["run"].tolist()[::4] == [job.name for job in done.jobs]
    side_by_side = found.side_by_side()
    assert side_by_side[["dataset", "prior"]].to_numpy().tolist() == [
        ["scans", "full"],
        ["scans", "banded-3"],
    ]
    for _, row in side_by_side.iterrows():
        of_prior = found.table[found.table["prior"] == row["prior"]]
        for network in ("full", "thresholded", "retrained", "retrained_fit"):
            values = of_prior.loc[of_prior["network"] == network, "test_accuracy"]
            assert row[f"{network}_n"] == 2
            assert row[f"{network}_mean"] == pytest.approx(sum(values) / 2)
            assert row[f"{network}_std"] == pytest.approx(abs(values.iloc[0] - values.iloc[1]) / math.sqrt(2))
    seconds = found.side_by_side("seconds_per_epoch")
    assert seconds["thresholded_n"].tolist() == [0, 0]
    assert seconds["thresholded_mean"].isna().all()


def test_a_network_that_is_the_same_with_fitted_channels_is_not_trained_twice(done, tmp_path, engines):
    retrain(done, tmp_path / "new", budget=1, epochs=1)  # fitted: a single channel
    assert len(engines) == 8
    engines.clear()
    pruned = gt.prune(gt.Run.open(done.jobs[0].folder).graph, threshold=TAU)
    budget = gt.compiler.count_parameters(pruned, channels=2, in_channels=3, n_classes=2)
    found = retrain_runs(
        [done.jobs[0].folder], out=tmp_path / "other", threshold=TAU, budget=budget, progress=False
    )
    (job,) = engines
    assert job.name == "scans/full/seed-0/retrained"
    rows = found.table.set_index("network")
    assert rows.loc["retrained_fit", "channels"] == rows.loc["retrained", "channels"] == 2
    assert rows.loc["retrained_fit", "test_accuracy"] == rows.loc["retrained", "test_accuracy"]


def test_another_threshold_in_the_same_folder_is_refused_and_leaves_what_is_there(done, tmp_path):
    before = retrain(done, tmp_path / "new", channels=["same"])
    folders = [job.folder for job in done.jobs]
    other = retrain_runs(folders, out=tmp_path / "new", channels=["same"], threshold=0.0, progress=False)
    assert len(other.failed) == 4
    assert all("holds a run of another graph" in reason for reason in other.failed.values())
    assert retrain(done, tmp_path / "new", channels=["same"]).table.equals(before.table)


def test_what_cannot_be_opened_costs_only_itself(done, tmp_path):
    folders = {"no": tmp_path / "no", "yes": done.jobs[0].folder}
    found = retrain_runs(folders, out=tmp_path / "new", threshold=TAU, channels=["same"], progress=False)
    assert list(found.failed) == ["no"]
    assert set(found.table["run"]) == {"yes"}
    with pytest.raises(gt.errors.RunError, match="not a run folder"):
        retrain_runs([tmp_path / "no"], out=tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("what", ["run", "new network"])
def test_what_is_damaged_while_others_are_trained_costs_only_itself(done, tmp_path, monkeypatch, what):
    stored = copied(done.jobs[0].folder, tmp_path / "run")

    class Damaging(InlineEngine):
        def submit(self, job):
            ending = super().submit(job)
            if job.seed == 1000:
                ((stored if what == "run" else job.folder) / "metrics.csv").write_text("")
            return ending

    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: Damaging())
    runs = {"spoilt": stored, "whole": done.jobs[2].folder}
    options = {"threshold": TAU, "channels": ["same"], "device": "cpu", "progress": False}
    result = retrain_runs(runs, out=tmp_path / "new", **options)
    table, failed = result.table, result.failed
    ((name, reason),) = failed.items()
    assert "metrics.csv: damaged" in reason
    accuracies = table.set_index(["run", "network"])["test_accuracy"]
    assert accuracies["whole"].notna().all()
    if what == "run":
        assert name == "spoilt"
        assert set(table["run"]) == {"whole"}
        with pytest.raises(gt.errors.RunError, match=r"metrics\.csv: damaged"):
            retrain_runs([stored], out=tmp_path / "new", **options)
    else:
        assert name == "scans/full/seed-0/retrained"
        assert accuracies["spoilt"].isna().tolist() == [False, False, True]
        assert table["undefined"][2] == reason


def test_data_that_have_changed_are_noticed_before_anything_is_trained(done, tmp_path, engines):
    stored = copied(done.jobs[0].folder, tmp_path / "run")
    config = json.loads((stored / "config.json").read_text())
    (stored / "config.json").write_text(json.dumps(config | {"data_fingerprint": "of others"}))
    accept(stored)
    with pytest.raises(gt.errors.RunError, match="not of one run"):
        retrain_runs([stored], out=tmp_path / "new", threshold=TAU, progress=False)
    assert engines == []


@pytest.mark.parametrize("channels", [[], ["other"], ["same", 3]])
def test_channels_that_cannot_be_are_refused(done, tmp_path, channels):
    with pytest.raises(gt.errors.ArgumentError, match='must be "same", "fit", or both'):
        retrain(done, tmp_path / "new", channels=channels)


def test_a_budget_without_channels_that_are_fitted_to_it_is_refused(done, tmp_path):
    with pytest.raises(gt.errors.ArgumentError, match='budget requires "fit"'):
        retrain(done, tmp_path / "new", channels=["same"], budget=5000)
    assert not (tmp_path / "new").exists()


def test_a_table_of_one_run_has_no_deviation():
    row = {"dataset": "a", "prior": "full", "network": "full", "test_accuracy": 0.5}
    table = gt.training.RetrainResult(pd.DataFrame([row])).side_by_side()
    assert table["full_n"].tolist() == [1]
    assert table["full_std"].isna().all()
