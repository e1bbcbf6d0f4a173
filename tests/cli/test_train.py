import dataclasses

import click
import pytest

import graphtask as gt
from graphtask_cli.commands.train import train


def options():
    return {parameter.name: parameter for parameter in train.params if isinstance(parameter, click.Option)}


@pytest.mark.parametrize("field", dataclasses.fields(gt.Regime), ids=lambda field: field.name)
def test_every_part_of_the_regime_is_an_option_with_the_same_default(field):
    context = train.make_context("train", ["graph.graphml", "--data", "cdigits", "--out", "run"])
    assert context.params[field.name] == field.default
    assert context.show_default


def test_a_run_reports_its_files_and_the_next_command(call, run_folder, monkeypatch):
    monkeypatch.setattr("graphtask_cli.messages._program", lambda: ["graphtask"])
    again = call(
        "train", _graph(run_folder), *["--data", "cdigits", "--channels", "2", "--epochs", "1", "--batch-size", "256"],
        *["--threads", "1", "--edge-l1", "0.02", "--quiet", "--out"], run_folder,
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    lines = again.stdout.splitlines()
    run = gt.open_run(run_folder)
    assert lines[0].startswith(
        f"{run_folder}: test accuracy {run.metrics['test_accuracy'].iloc[-1]:.2%} after 1 epoch,"
    )
    for line in lines[1:-1]:
        assert (run_folder / line.split()[0]).is_file()
    assert "already finished" not in again.stderr  # -q hides it
    assert lines[-1] == f"next: graphtask prune {run_folder} --threshold 0.006 --parity -o pruned.graphml"


def test_the_folder_of_another_run_is_refused(call, run_folder):
    other = call("train", _graph(run_folder), "--data", "cdigits", "--seed", "1", "--out", run_folder)
    assert other.exit_code == 1
    assert other.stderr.startswith("graphtask: error: ")


def test_progress_goes_to_stderr(call, run_folder):
    result = call(
        "train", _graph(run_folder), *["--data", "cdigits", "--channels", "1", "--epochs", "1", "--batch-size", "512"],
        *["--threads", "1", "--out", "new"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("epoch 1/1: loss ")
    assert "epoch 1/1" not in result.stdout


def _graph(run_folder):
    return run_folder / "initial.graphml"
