import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import InlineEngine

import graphtask as gt
from graphtask.engines.protocol import Ending

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr("graphtask.study.local.local_engine", lambda *_, **__: InlineEngine())


@pytest.fixture
def study_file(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    images = rng.integers(0, 256, size=(32, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "scans.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    path = tmp_path / "tiny.toml"
    path.write_text(
        "seeds = 2\nchannels = 1\ndevice = 'cpu'\n[optimization]\nepochs = 1\nbatch_size = 16\n[priors.full]\nnodes = 4\n"
        "[data.scans]\nsource = 'scans.npz'\n[data.missing]\nsource = 'missing.npz'\nseeds = 1\n"
    )
    return path


@pytest.mark.usefixtures("inline")
def test_a_study_is_listed_run_looked_at_and_read(call, study_file, tmp_path):
    listed = call("study", "run", study_file, "--dry-run", "--jobs", 1)
    assert listed.exit_code == 0, listed.output
    assert re.search(r"^scans +full +2 +2 +1 +32 .* 1 CPU thread +\d+ steps$", listed.stdout, re.MULTILINE)
    assert "runs/tiny: 3 runs, 3 of them to do" in listed.stderr
    assert "not in the sums: missing/full: " in listed.stderr
    assert re.search(r"about \S+ core-hours; [\d.]+ s with 1 in parallel", listed.stderr)
    assert "estimated from a few training steps on random images" in listed.stderr
    assert not (tmp_path / "runs").exists()

    done = call("study", "run", study_file, "--jobs", 1)
    assert done.exit_code == 1
    assert f"{tmp_path}/runs/tiny: 2 of 3 runs finished" in done.stdout
    (failure,) = (line for line in done.stderr.splitlines() if line.startswith("graphtask: error"))
    assert failure.startswith("graphtask: error: missing/full/seed-0: unknown data set")
    assert re.search(r"\[1/3\] scans/full/seed-0 finished, test accuracy", done.stderr)

    status = call("study", "status", tmp_path / "runs" / "tiny", "--format", "json")
    assert [row["status"] for row in json.loads(status.stdout)] == ["finished", "failed", "finished"]

    written = call("study", "results", study_file, "-o", "table.csv")
    assert written.exit_code == 0, written.output
    table = pd.read_csv(tmp_path / "table.csv")
    assert table["status"].tolist() == ["finished", "finished", "failed"]
    assert table["test_accuracy_pruned"].notna().tolist() == [True, True, False]
    shown = call("study", "results", study_file)
    assert shown.stderr.count("graphtask: error: missing/full/seed-0") == 1
    assert "nan" not in shown.stdout

    summary = call("study", "results", study_file, "--summary", "--format", "csv").stdout.splitlines()
    assert summary[0] == "feature,scans_mean,scans_std,scans_n,missing_mean,missing_std,missing_n"
    assert "±" in call("study", "results", study_file, "--summary").stdout


@pytest.mark.usefixtures("inline")
def test_several_studies_make_one_table_with_their_priors_side_by_side(call, study_file, tmp_path):
    banded = tmp_path / "banded.toml"
    banded.write_text(study_file.read_text().replace("[priors.full]", "[priors.banded]\nbandwidth = 2"))
    empty = call("study", "results", study_file, banded, "--summary")
    assert (empty.exit_code, empty.stdout) == (1, "")
    assert "no run of 6 is finished, so there is no summary" in empty.stderr
    for path in (study_file, banded):
        assert call("study", "run", path, "--jobs", 1, "--quiet").exit_code == 1  # one data set is missing
    summary = call("study", "results", study_file, banded, "--summary", "--format", "csv").stdout.splitlines()
    assert summary[0].startswith("feature,scans/full_mean,scans/full_std,scans/full_n,missing/full_mean")
    assert "scans/banded_mean" in summary[0]
    call("study", "results", study_file, banded, "-o", "table.csv")
    table = pd.read_csv("table.csv")
    assert table["study"].tolist() == ["tiny"] * 3 + ["banded"] * 3
    twice = call("study", "results", study_file, study_file, "--summary")
    assert twice.stdout == call("study", "results", study_file, "--summary").stdout
    banded.write_text(study_file.read_text())
    mixed = call("study", "results", study_file, banded, "--summary")
    assert mixed.stderr.startswith("graphtask: error: tiny and banded both have runs of scans/full")


@pytest.mark.usefixtures("inline")
def test_elsewhere_means_runs_and_data(call, study_file, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "scans.npz").rename(tmp_path / "data" / "scans.npz")
    done = call("study", "run", study_file, "--runs", "there", "--data-root", "data", "--jobs", 1, "--quiet")
    assert "there: 2 of 3 runs finished" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert gt.Run.open(tmp_path / "there" / "scans" / "full" / "seed-1").data().name == "scans"


def test_progress_says_what_dies_and_what_is_waited_for(study_file, capsys):
    from graphtask.study.progress import StudyProgress

    study = gt.Study.read(study_file)
    with StudyProgress(study.jobs, InlineEngine()) as progress:
        job = study.jobs[0]
        progress.begin(job)
        progress.again(job, Ending("died", "SIGKILL"), number=1, of=2)
        progress.end(job, Ending("busy"), is_new=True)
        progress.end(job, Ending("failed", "no more memory"), is_new=True)
        progress._printed = -1e9
        progress.look([study.jobs[1]])
        progress.stopping([study.jobs[1]])
        progress.end(study.jobs[1], Ending("interrupted"), is_new=True)
        progress.end(study.jobs[1], Ending("died", "SIGKILL"), is_new=True)
        progress.end(study.jobs[1], Ending("refused", "node b cannot take part"), is_new=True)
    assert capsys.readouterr().err.splitlines() == [
        "[0/3] scans/full/seed-0 started",
        "[0/3] scans/full/seed-0: SIGKILL; retry 1 of 2 before its next checkpoint",
        "[0/3] scans/full/seed-0: another process is training it; waiting for that",
        "[1/3] scans/full/seed-0 failed: no more memory",
        "[1/3] 1 of 3 runs finished, 1 failed; missing/full/seed-0 epoch 1/1",
        "[1/3] interrupted: 1 run saves its state; press Ctrl-C again to end at once",
        "[1/3] missing/full/seed-0: saved after 0 of 1 epoch",
        "[1/3] missing/full/seed-0: SIGKILL; it will resume from its last checkpoint",
        "[1/3] missing/full/seed-0: node b cannot take part; waiting for another machine",
    ]


def test_on_a_terminal_there_is_a_bar_for_all_and_a_line_for_each_running_run(study_file):
    from rich.console import Console

    from graphtask.study.progress import StudyProgress
    from graphtask.study.status import State

    study = gt.Study.read(study_file)
    progress = StudyProgress(study.jobs, InlineEngine())
    running = State(study.jobs[0], "running", epoch=1, test_score=0.5, live_edges=6, seconds_per_epoch=75.0)
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(progress._bars([running]))
    console.file.close()
    lines = console.export_text().splitlines()
    assert lines[0].startswith("all")
    assert "0 of 3 runs finished" in lines[0]
    assert lines[1].rstrip().endswith("epoch 1/1 · test accuracy 50.0%, live edges 6")
    progress.begin(study.jobs[0])
    console = Console(width=70, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(progress._bars([running._replace(epoch=0, test_score=None)]))
    console.file.close()
    lines = console.export_text().splitlines()
    assert len(lines) == 2, "a line that is too long is cut"
    assert re.search(r"epoch 1/1 · 0\.?\d* s · 1 min 15 s", lines[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "no.toml"), "no.toml: the study cannot be read (No such file or directory)"),
        (("status", "."), "is not the folder of a study (no study.json)"),
        (
            ("results", "tiny.toml", "-o", "table.xlsx"),
            "the suffix of a table must be .csv, .json or .parquet",
        ),
        (
            ("run", "tiny.toml", "--jobs", 1, "--gpus", "0"),
            "--jobs cannot be combined with gpus; use --jobs-per-gpu",
        ),
    ],
)
@pytest.mark.usefixtures("study_file")
def test_what_cannot_be_done_is_one_line(call, arguments, message):
    result = call("study", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.startswith("graphtask: error: ")
    assert len(result.stderr.splitlines()) == 1
    assert call("study", "run", "tiny.toml", "--gpus", "a").exit_code == 2


def test_the_studies_that_are_shipped_can_be_read():
    paper = gt.Study.read(STUDIES / "paper.toml")
    assert len(paper.jobs) == 50
    assert {job.config.replace(seed=0).optimization for job in paper.jobs} == {gt.TrainConfig().optimization}
    assert {
        gt.compiler.count_parameters(job.graph(), channels=job.config.model.channels)
        for job in paper.jobs[:5]
    } == {863_300}
    banded = gt.Study.read(STUDIES / "paper-banded.toml")
    assert {job.config.replace(seed=0).optimization for job in banded.jobs} == {gt.TrainConfig().optimization}
    assert banded.jobs[0].graph().get_edgelist() == gt.banded_dag(60, bandwidth=10).get_edgelist()
    for name in ("ladder", "ladder-16"):
        ladder = gt.Study.read(STUDIES / f"{name}.toml", data_root="/data")
        assert len(ladder.jobs) == 15
        assert {job.data.source for job in ladder.jobs} == {
            f"/data/{name}.npz" for name in ("mnist", "kmnist", "fashionmnist", "cifar10")
        }
    assert len(gt.Study.read(STUDIES / "digits.toml").jobs) == 6


@pytest.mark.usefixtures("inline")
def test_a_dry_run_says_that_the_folder_cannot_be_used(call, study_file, tmp_path, monkeypatch):
    (tmp_path / "runs").write_text("")
    result = call("study", "run", study_file, "--dry-run", "--jobs", 1)
    assert (result.exit_code, result.stdout) == (1, "")
    folder = tmp_path / "runs"
    assert result.stderr == (
        f"graphtask: error: cannot write into {folder}/tiny: {folder} is not a folder; choose another one\n"
    )
    (tmp_path / "there").mkdir()
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path / "there")
    result = call("study", "run", study_file, "--dry-run", "--jobs", 1, "--runs", "there")
    assert result.exit_code == 1
    assert f"you may not write into {tmp_path / 'there'}; choose another one" in result.stderr
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.usefixtures("inline")
def test_a_dry_run_says_that_the_folder_holds_another_study(call, study_file):
    gt.Study.read(
        {"name": "other", "priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}}, out="runs"
    ).save()
    result = call("study", "run", study_file, "--dry-run", "--jobs", 1, "--runs", "runs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds the study 'other'" in result.stderr
