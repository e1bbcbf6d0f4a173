import pytest

import graphtask as gt
from graphtask.training.config import OPTIONS, option_field
from graphtask_cli.commands.train import train

# Tables, which have no place on the command line.
IN_FILES_ONLY = {"optimizer_options", "schedule_options"}


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - IN_FILES_ONLY))
def test_every_option_of_the_configuration_is_one_with_the_same_default(name):
    context = train.make_context("train", ["graph.graphml", "--out", "run"])
    assert context.params[name] == option_field(name).default
    assert context.show_default


def test_options_are_read_from_a_file_and_those_of_the_command_line_have_priority(call, run_folder, tmp_path):
    (tmp_path / "run.toml").write_text(
        'data = "cdigits"\nchannels = 1\nepochs = 7\n[optimization]\nbatch_size = 512\n[runtime]\nthreads = 1\n'
    )
    result = call(
        *(
            "train",
            _graph(run_folder),
            "--config",
            tmp_path / "run.toml",
            "--epochs",
            "1",
            "--quiet",
            "--out",
            "new",
        )
    )
    assert result.exit_code == 0, result.output
    config = gt.Run.open(tmp_path / "new").config
    assert (config.model.channels, config.optimization.epochs, config.optimization.batch_size) == (1, 1, 512)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown option 'epoch'; did you mean 'epochs'?"),
        ("[optimization]\nepoch = 3", "[optimization] unknown option 'epoch'"),
        ("epochs = 0", "epochs must be an integer >= 1, got 0"),
        ("epochs = ", "not valid TOML"),
    ],
)
def test_a_file_of_options_that_is_wrong_is_one_line(call, run_folder, tmp_path, text, message):
    (tmp_path / "run.toml").write_text(text)
    result = call("train", _graph(run_folder), "--config", tmp_path / "run.toml", "--out", "new")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_data_set_is_a_matter_of_the_call(call, run_folder):
    result = call("train", _graph(run_folder), "--out", "new")
    assert result.exit_code == 2
    assert "data is missing; pass a name" in result.stderr


def test_a_run_reports_its_files_and_the_next_command(call, run_folder, monkeypatch):
    monkeypatch.setattr("graphtask_cli.messages._program", lambda: ["graphtask"])
    again = call(
        "train", _graph(run_folder), *["--data", "cdigits", "--channels", "2", "--epochs", "1", "--batch-size", "256"],
        *["--threads", "1", "--edge-l1", "0.02", "--quiet", "--out"], run_folder,
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    lines = again.stdout.splitlines()
    run = gt.Run.open(run_folder)
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
    assert result.stderr.startswith("epoch 1/1 · ")
    assert "epoch 1/1" not in result.stdout


def _graph(run_folder):
    return run_folder / "initial.graphml"


def test_the_options_for_reading_graphs_are_not_those_of_training(call, tmp_path):
    gt.write(gt.full_dag(3), tmp_path / "g.graphml")
    result = call(
        "train", "g.graphml", "--reading", "auto", "--drop-isolated", "--data", "no such", "-o", "run"
    )
    assert result.exit_code == 1
    assert result.stderr.startswith("graphtask: error: unknown data set")


@pytest.mark.parametrize("part", ["block", "head", "loss"])
def test_code_of_the_user_that_fails_is_one_line(call, tmp_path, part):
    gt.write(gt.full_dag(4), tmp_path / "g.graphml")
    words = (
        "train g.graphml --data cdigits --transform subset:200 --channels 2 --epochs 1 --threads 1 --quiet"
    )
    result = call(*words.split(), f"--{part}", "os:getcwd", "-o", "run")
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert part in result.stderr
    assert "failed (TypeError: posix.getcwd() takes no arguments" in result.stderr
