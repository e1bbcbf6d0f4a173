import math

import numpy as np
import pytest

import graphtask as gt
from graphtask.study import probe
from graphtask.study.cost import hours_in_all
from graphtask.study.worker import perform


@pytest.fixture
def tried(monkeypatch):
    """Let every step take two seconds, and remember which jobs were tried out."""
    jobs = []

    def seconds_per_step(job, extent):
        jobs.append((job, extent))
        return 2.0, 5

    monkeypatch.setattr(probe, "seconds_per_step", seconds_per_step)
    return jobs


def test_the_cost_follows_from_steps_images_epochs_and_runs(tried):
    study = gt.Study.read(
        {
            "name": "paper",
            "out": "no/such",
            "seeds": 10,
            "device": "cpu",
            "threads": 2,
            "priors": {"full": {"nodes": 6}},
            "data": {"cmnist": {}, "cifar10": {}},
        }
    )
    cost = study.cost()
    assert len(tried) == 1, "both data sets have the same images, so the same network"
    assert cost["images"].tolist() == [60_000, 50_000]
    assert cost["seconds_per_epoch"].tolist() == [60_000 / 128 * 2, 50_000 / 128 * 2]
    of_one = 50_000 / 128 * 2 * 100 * (1 + 10_000 / 50_000 / 3) / 3600
    assert cost["hours_per_run"][1] == pytest.approx(of_one)
    assert cost["hours_left"][1] == pytest.approx(10 * of_one)
    assert cost["source"].tolist() == ["5 steps"] * 2
    assert cost["place"].tolist() == ["2 CPU threads"] * 2
    total = cost["hours_left"].sum()
    assert hours_in_all(cost, slots=2) == pytest.approx(total / 2)
    assert hours_in_all(cost, slots=1000) == pytest.approx(cost["hours_per_run"].max())


def test_networks_that_differ_are_tried_out_each(tried):
    study = gt.Study.read(
        {
            "name": "several",
            "out": "no/such",
            "seeds": 2,
            "device": "cpu",
            "priors": {
                "full": {"nodes": 6},
                "chain": {"nodes": 6},
                "wide": {"kind": "full", "nodes": 6, "channels": 3},
            },
            "data": {"cdigits": {}, "cdigits_t8": {"optimization": {"batch_size": 32}}},
        }
    )
    study.cost()
    assert len(tried) == 6


def test_data_that_are_not_there_are_left_out_and_said(tried, values):
    values["data"]["lost"] = {"source": "lost.npz"}
    cost = gt.Study.read(values).cost()
    assert cost["dataset"].tolist() == ["scans", "lost"]
    assert cost["images"][0] == 64
    assert tried[0][1] == (64, 32, (8, 8), 3, 2)
    assert cost["hours_left"].isna().tolist() == [False, True]
    assert "lost.npz" in cost["undefined"][1]
    assert math.isnan(hours_in_all(cost, slots=1))


def test_epochs_that_were_trained_tell_better_and_finished_runs_cost_nothing(tried, study):
    assert perform(study.jobs[0]).kind == "finished"
    cost = study.cost()
    assert not tried
    seconds = np.median(gt.Run.open(study.jobs[0].folder).metrics["seconds"])
    assert cost["seconds_per_epoch"][0] == pytest.approx(seconds)
    assert cost[["runs", "left", "source"]].to_numpy().tolist() == [[3, 2, "epochs of its runs"]]
    assert cost["hours_left"][0] == pytest.approx(seconds * 2 * 2 * (1 + 32 / 64 / 3) / 3600)


def test_a_device_that_is_not_here_is_said(values):
    cost = gt.Study.read(values | {"device": "cuda:63"}).cost()
    assert "device 'cuda:63' is not available here" in cost["undefined"][0]
    assert cost["hours_left"].isna().all()


def test_steps_are_really_tried_and_leave_nothing_behind(study):
    cost = study.cost()
    assert 0 < cost["seconds_per_epoch"][0] < math.inf
    assert cost["source"][0].endswith(" steps")
    assert not study.out.exists()
