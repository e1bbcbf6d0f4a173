import json
import shutil

import click
import pytest
from run_folders import accept, unfinish

import graphtask as gt
from graphtask_cli.param_types import THRESHOLDS


@pytest.fixture
def two(run_folder, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(run_folder, tmp_path / "runs" / name)
    return tmp_path / "runs"


def sweep(call, *arguments):
    return call("sweep", *arguments, "--thresholds", "0,0.4,1", "--device", "cpu", "--threads", 1)


def test_a_run_gets_a_row_for_each_threshold(call, run_folder):
    result = sweep(call, run_folder, "--format", "json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    expected = gt.sweep(gt.Run.open(run_folder), thresholds=[0, 0.4, 1], device="cpu", progress=False).table
    for name in ("threshold", "status", "test_accuracy", "edges", "max_path", "suggested_threshold"):
        assert [row[name] for row in rows] == expected[name].astype(object).where(
            expected[name].notna(), None
        ).tolist()
    assert "suggested" in result.stderr


def test_several_runs_get_one_row_each_for_people_and_all_in_the_file(call, two, tmp_path):
    result = sweep(call, two, "-o", "sweep.csv", "--plot", "fig2.svg", "--metrics", "edges,log_paths")
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == ["one", "two"]
    lines = (tmp_path / "sweep.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3
    assert "log_paths" in lines[0]
    assert "<svg" in (tmp_path / "fig2.svg").read_text()
    assert len((tmp_path / "fig2-data.csv").read_text().splitlines()) == 1 + 2 * 3


def test_a_run_that_is_not_finished_costs_only_itself(call, two):
    unfinish(two / "one")
    result = sweep(call, two, "--format", "csv")
    assert result.exit_code == 0
    assert "one: the run is not finished" in result.stderr
    assert result.stdout.count("\ntwo,") + result.stdout.startswith("two,") == 3
    unfinish(two / "two")
    result = sweep(call, two)
    assert result.exit_code == 1
    assert result.stdout == ""


def test_data_that_is_somewhere_else_is_said(call, two):
    config = two / "one" / "config.json"
    stored = json.loads(config.read_text())
    stored["data_fingerprint"] = "other"
    config.write_text(json.dumps(stored))
    accept(two / "one")
    result = sweep(call, two / "one")
    assert result.exit_code == 1
    assert "not of one run" in result.stderr


@pytest.mark.parametrize(
    ("text", "thresholds"),
    [
        (None, None),
        ("0,0.006, 0.1", [0.0, 0.006, 0.1]),
        ("0.5", [0.5]),
        ("0:0.5:6", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ("log:0.001:1:4", [0.001, 0.01, 0.1, 1.0]),
    ],
)
def test_thresholds_are_read(text, thresholds):
    assert THRESHOLDS.convert(text, None, None) == thresholds


@pytest.mark.parametrize(
    "text", ["a", "0:1", "0:1:0.1", "0:1:1", "log:0:1:5", "log:1", "0:x:3", "log:-1:1:5"]
)
def test_what_is_no_threshold_is_refused(text):
    with pytest.raises(click.BadParameter, match="START:STOP:COUNT"):
        THRESHOLDS.convert(text, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["-o", "out.xls"], "out.xls"), (["--plot", "out.bmp"], "out.bmp"), (["--metrics", "color"], "color")],
)
def test_wrong_calls_get_one_line(call, run_folder, arguments, message, tmp_path):
    result = sweep(call, run_folder, *arguments)
    assert result.exit_code == (2 if "--metrics" in arguments else 1)
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "message"),
    [("nowhere", "nowhere: folder not found"), ("graphs", "graphs: no run in this folder")],
)
def test_no_path_beside_a_run_is_passed_over(call, run_folder, tmp_path, other, message):
    (tmp_path / "graphs").mkdir()
    gt.write(gt.chain_dag(3), tmp_path / "graphs" / "chain.graphml")
    result = sweep(call, run_folder, tmp_path / other)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
