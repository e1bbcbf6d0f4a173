import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_folders import copy_run, flipped, hide, train_small

import graphtask as gt
from graphtask.runs.layout import CHECKPOINT, CONFIG, HISTORY, MANIFEST, METRICS, WEIGHTS
from graphtask.training.run import Run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "run"
    train_small(folder)
    return folder


def statuses(*paths, **options):
    table = gt.check_runs(paths, **options)
    return {Path(run).name: status for run, status in zip(table["run"], table["status"], strict=True)}


def test_each_run_has_a_row_and_one_damaged_run_costs_its_own(original, tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        copy_run(original, tmp_path / "more" / name)
    content = (tmp_path / "more" / "b" / METRICS).read_bytes()
    (tmp_path / "more" / "b" / METRICS).write_bytes(content[:-30])
    (tmp_path / "more" / "c" / MANIFEST).unlink()
    for name in (MANIFEST, WEIGHTS):
        (tmp_path / "more" / "d" / name).unlink()
    (tmp_path / "more" / "e" / CONFIG).unlink()
    found = statuses(tmp_path)
    assert found == {"a": "intact", "b": "damaged", "c": "unverified", "d": "unfinished", "e": "damaged"}
    table = gt.check_runs(tmp_path).set_index("run")
    assert table.loc[str(tmp_path / "more" / "b"), "damaged"] == METRICS
    assert (table.loc[table["status"] == "intact", "message"] == "").all()
    assert (table.loc[table["status"] != "intact", "message"] != "").all()


def test_a_run_that_may_not_be_read_costs_its_own_row(original, tmp_path, monkeypatch):
    for name in ("a", "b"):
        copy_run(original, tmp_path / name)
    hide(tmp_path / "a", monkeypatch)
    assert statuses(tmp_path) == {"a": "unreadable", "b": "intact"}


def test_an_unfinished_run_is_checked_by_its_checkpoint(original, tmp_path):
    folder = copy_run(original, tmp_path / "run")
    for name in (MANIFEST, WEIGHTS):
        (folder / name).unlink()
    content = (folder / CHECKPOINT).read_bytes()
    (folder / CHECKPOINT).write_bytes(flipped(content, 500))
    table = gt.check_runs(folder)
    assert table[["status", "damaged"]].values.tolist() == [["damaged", CHECKPOINT]]


def test_write_accepts_a_whole_run_and_not_a_damaged_one(original, tmp_path):
    for name in ("whole", "cut", "mixed"):
        (copy_run(original, tmp_path / name) / MANIFEST).unlink()
    (tmp_path / "cut" / METRICS).write_text("epoch\n1\n")
    with np.load(tmp_path / "mixed" / HISTORY) as arrays:
        np.savez(tmp_path / "mixed" / HISTORY, **{**arrays, "w": arrays["w"][:-1]})
    assert statuses(tmp_path, write=True) == {"whole": "intact", "cut": "damaged", "mixed": "damaged"}
    assert Run.open(tmp_path / "whole").seed == 3
    assert statuses(tmp_path) == {"whole": "intact", "cut": "unverified", "mixed": "unverified"}


@pytest.mark.parametrize(("name", "problem"), [("missing", "does not exist"), ("", "no run in this folder")])
def test_a_path_without_a_run_is_one_line(tmp_path, name, problem):
    with pytest.raises(gt.errors.RunError, match=problem):
        gt.check_runs(tmp_path / name)


@pytest.mark.timeout(60)
def test_write_never_waits_for_a_pipe(original, tmp_path):
    folder = copy_run(original, tmp_path / "run")
    for name in (MANIFEST, WEIGHTS):
        (folder / name).unlink()
    os.mkfifo(folder / WEIGHTS)
    table = gt.check_runs(folder, write=True)
    assert table["status"].tolist() == ["damaged"]
    assert "weights.safetensors: cannot be read (it is a named pipe" in table["message"][0]


def test_folders_nested_deeper_than_python_calls_are_searched(original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):  # one by one: the whole path may be too long to be created at once
        os.mkdir("d")  # noqa: PTH102
        os.chdir("d")
    copy_run(original, Path("run"))
    try:
        with contextlib.chdir(tmp_path):
            assert gt.check_runs("d")["status"].tolist() == ["intact"]
    finally:  # which shutil.rmtree, and so pytest, cannot
        shutil.rmtree("run")
        for _ in range(1200):
            os.chdir("..")
            os.rmdir("d")  # noqa: PTH106
