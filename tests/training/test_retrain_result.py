import dataclasses
import json
import math
import shutil
import statistics

import pandas as pd
import pytest
from run_folders import accept

import graphtask as gt

TAU = 0.3


@pytest.fixture(scope="module")
def again(run, tmp_path_factory):
    return gt.retrain(run, out=tmp_path_factory.mktemp("again"), threshold=TAU, progress=False)


@pytest.fixture(scope="module")
def table(run, again):
    return gt.training.compare_retrained(
        run, {"retrained": again}, threshold=TAU, device="cpu"
    ).table.set_index("network")


def test_each_network_has_its_row(run, table):
    assert table.index.tolist() == ["full", "thresholded", "retrained"]
    assert (table["run"] == run.folder.name).all()
    assert (table["prior"] == "full").all()
    assert table["edges"].tolist() == [15, *[gt.prune(run.graph, threshold=TAU).ecount()] * 2]


def test_the_accuracy_of_the_thresholded_network_is_that_of_the_parity_report(run, table):
    report = gt.training.parity(run, threshold=TAU, device="cpu")
    assert table.loc["full", "test_accuracy"] == report.score_trained
    assert table.loc["thresholded", "test_accuracy"] == report.score_pruned


def test_parameters_are_those_of_the_compiled_networks(run, again, table):
    for name, trained in (("full", run), ("retrained", again)):
        counted = sum(value.numel() for value in trained.module().parameters())
        assert table.loc[name, "parameters"] == counted
    assert table.loc["thresholded", "parameters"] == table.loc["retrained", "parameters"]


def test_seconds_are_medians_over_the_epochs(run, again, table):
    assert table.loc["full", "seconds_per_epoch"] == pytest.approx(statistics.median(run.metrics["seconds"]))
    assert table.loc["full", "seconds_std"] == pytest.approx(statistics.stdev(run.metrics["seconds"]))
    ratio = statistics.median(again.metrics["seconds"]) / statistics.median(run.metrics["seconds"])
    assert table.loc["retrained", "epoch_time_ratio"] == pytest.approx(ratio)
    assert table.loc["full", "epoch_time_ratio"] == 1.0
    assert math.isnan(table.loc["thresholded", "seconds_per_epoch"])
    assert "not trained" in table.loc["thresholded", "undefined"]


def test_times_of_different_hardware_have_no_ratio(run, again, tmp_path):
    shutil.copytree(again.folder, tmp_path / "elsewhere")
    path = tmp_path / "elsewhere" / "provenance.json"
    stored = json.loads(path.read_text())
    stored["environments"].append(
        stored["environments"][0] | {"device": "H100", "threads": 2, "processes": 4}
    )
    path.write_text(json.dumps(stored))
    accept(path.parent)
    table = gt.training.compare_retrained(
        run, {"there": gt.Run.open(tmp_path / "elsewhere")}, threshold=TAU
    ).table
    assert math.isnan(table["epoch_time_ratio"].iloc[-1])
    assert "H100 with 2 threads in 4 processes" in table["undefined"].iloc[-1]
    path.write_text("{}")
    accept(path.parent)
    table = gt.training.compare_retrained(
        run, {"there": gt.Run.open(tmp_path / "elsewhere")}, threshold=TAU
    ).table
    assert "unknown hardware" in table["undefined"].iloc[-1]


def test_what_could_not_be_done_has_a_row_with_the_reason(run):
    result = gt.training.compare_retrained(
        run, {}, threshold=0.999, failures={"retrained": "the loss is not finite"}
    )
    table = result.table
    assert table["test_accuracy"].isna().tolist() == [False, True, True]
    assert "no path" in table["undefined"][1]
    assert table["undefined"][2] == "the loss is not finite"


def test_the_data_may_be_others(run, digits):
    fewer = dataclasses.replace(digits, x_test=digits.x_test[:7], y_test=digits.y_test[:7])
    accuracy = gt.training.compare_retrained(run, {}, threshold=TAU, data=fewer).table["test_accuracy"][1]
    assert accuracy * 7 == pytest.approx(round(accuracy * 7))


def test_the_summary_has_each_prior_and_network_side_by_side():
    rows = [
        {"dataset": "a", "prior": prior, "network": network, "test_accuracy": accuracy, "seconds_per_epoch": 2.0,
         "epoch_time_ratio": 0.5, "parameters": 10, "channels": 3, "edges": 4}
        for prior, network, accuracy in [
            ("full", "full", 0.8), ("full", "retrained", 0.9), ("full", "full", 0.6), ("banded-2", "full", math.nan)
        ]
    ]  # fmt: skip
    summary = gt.training.RetrainResult(pd.DataFrame(rows)).summary()
    assert summary[["prior", "network", "runs"]].to_numpy().tolist() == [
        ["full", "full", 2], ["full", "retrained", 1], ["banded-2", "full", 0],
    ]  # fmt: skip
    assert summary["test_accuracy_mean"].tolist() == pytest.approx([0.7, 0.9, math.nan], nan_ok=True)
    assert summary["test_accuracy_std"][0] == pytest.approx(statistics.stdev([0.8, 0.6]))
