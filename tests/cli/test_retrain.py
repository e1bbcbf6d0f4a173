import json
import shutil

import pytest
from helpers import InlineEngine

import graphtask as gt


@pytest.fixture(autouse=True)
def _inline(inline_study):
    pass


FIT = ("--budget", 20_000)  # other channels than the run's, so that there are two networks


def retrain(call, *arguments):
    return call(
        "retrain",
        *arguments,
        "--out",
        "new",
        "--threshold",
        0.3,
        "--device",
        "cpu",
        "--threads",
        1,
        "--quiet",
    )


def test_a_run_is_compared_with_its_retrained_networks(call, run_folder, tmp_path):
    result = retrain(call, run_folder, *FIT, "--format", "json", "--table", "table.csv")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["network"] for row in rows] == ["full", "thresholded", "retrained", "retrained_fit"]
    for row in rows[2:]:
        run = gt.Run.open(tmp_path / "new" / "cdigits" / "full" / "seed-0" / row["network"])
        assert row["test_accuracy"] == run.metrics["test_accuracy"].iloc[-1]
        assert row["channels"] == run.config.model.channels
        assert row["edge_l1"] == 0.02
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 5
    again = retrain(call, run_folder, *FIT, "--format", "json")
    assert json.loads(again.stdout) == rows


def test_several_runs_get_means_and_a_picture(call, run_folder, tmp_path):
    graph = gt.banded_dag(6, bandwidth=3)
    gt.write(graph, "banded.graphml")
    options = "--data cdigits --channels 2 --epochs 1 --batch-size 256 --threads 1 --edge-l1 0.02 --quiet"
    assert call("train", "banded.graphml", *options.split(), "--out", "banded").exit_code == 0
    result = retrain(call, run_folder, tmp_path / "banded", "--plot", "fig5.svg", "--format", "csv")
    assert result.exit_code == 0, result.output
    lines = [line.split(",")[:4] for line in result.stdout.splitlines()[1:]]
    assert lines == [
        ["cdigits", prior, network, "1"]
        for prior in ("full", "banded-3") for network in ("full", "thresholded", "retrained")
    ]  # fmt: skip
    assert "<svg" in (tmp_path / "fig5.svg").read_text()
    assert len((tmp_path / "fig5-data.csv").read_text().splitlines()) == 7
    shown = retrain(call, run_folder, tmp_path / "banded").stdout.splitlines()
    assert shown[0].split() == ["dataset", "prior", "full", "thresholded", "retrained", "runs"]
    assert [" ".join(line.split()[:4]) for line in shown[2:6]] == [
        "test accuracy cdigits full", "test accuracy cdigits banded-3",
        "seconds per epoch cdigits", "seconds per epoch cdigits",
    ]  # fmt: skip


def test_the_regime_may_be_changed(call, run_folder, tmp_path):
    result = retrain(call, run_folder, "--edge-l1", 0, "--epochs", 2, "--batch-size", 512, "--seed", 5)
    assert result.exit_code == 0, result.output
    run = gt.Run.open(tmp_path / "new" / "cdigits" / "full" / "seed-0" / "retrained")
    assert (run.config.optimization.edge_l1, len(run.metrics), run.seed) == (0, 2, 5)


def test_cuda_graphs_may_be_switched_off(call, run_folder, monkeypatch):
    jobs = []

    class Heard(InlineEngine):
        def submit(self, job):
            jobs.append(job)
            return super().submit(job)

    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: Heard())
    assert retrain(call, run_folder, "--no-cuda-graph").exit_code == 0
    assert [job.config.runtime.cuda_graph for job in jobs] == [False]


def test_a_graph_that_falls_apart_gets_a_row_that_says_so(call, run_folder):
    result = call("retrain", run_folder, "--out", "new", "--threshold", 0.99, "--format", "json")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"graphtask: error: {run_folder}: no path from the input to the output")
    rows = json.loads(result.stdout)
    assert [row["test_accuracy"] is None for row in rows] == [False, True, True]


def test_runs_that_would_share_a_folder_are_told_apart(call, run_folder, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(run_folder, tmp_path / "runs" / name)
    result = retrain(call, tmp_path / "runs", "--format", "json")
    assert "use another out" in result.stderr
    assert {row["run"] for row in json.loads(result.stdout)} == {"one"}


def test_whoever_stops_it_stops_all_of_it_and_the_next_call_goes_on(call, run_folder, tmp_path, monkeypatch):
    class Interrupted(InlineEngine):
        def submit(self, _):
            raise KeyboardInterrupt

    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: Interrupted())
    result = retrain(call, run_folder, *FIT, "--table", "table.csv")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "run the same command again" in result.stderr
    assert not (tmp_path / "table.csv").exists()
    monkeypatch.setattr("graphtask.study.study.local_engine", lambda *_, **__: InlineEngine())
    assert retrain(call, run_folder, *FIT).exit_code == 0
    status = json.loads(call("study", "status", tmp_path / "new", "--format", "json").stdout)
    assert [(row["run"], row["status"]) for row in status] == [
        (f"cdigits/full/seed-0/{name}", "finished") for name in ("retrained", "retrained_fit")
    ]


def test_a_failure_is_listed_and_costs_only_its_network(call, run_folder, tmp_path):
    place = tmp_path / "new" / "cdigits" / "full" / "seed-0"
    place.mkdir(parents=True)
    (place / "retrained").write_text("in the way")
    result = retrain(call, run_folder, *FIT, "--format", "json")
    assert result.exit_code == 1
    assert result.stderr.count("cdigits/full/seed-0/retrained: the run folder cannot be used") == 1
    rows = {row["network"]: row for row in json.loads(result.stdout)}
    assert rows["retrained"]["test_accuracy"] is None
    assert rows["retrained_fit"]["test_accuracy"] > 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--no-same-channels"], 2),
        (["--epochs", "0"], 2),
        (["--table", "x.xls"], 1),
        (["--plot", "x.bmp"], 1),
    ],
)
def test_wrong_calls_are_refused(call, run_folder, arguments, status, tmp_path):
    result = retrain(call, run_folder, *arguments)
    assert result.exit_code == status
    assert not (tmp_path / "new").exists()
