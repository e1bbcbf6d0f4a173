"""What all commands do alike: start fast, fail in one line, end quietly."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from processes import PATIENCE, wait_until

import graphtask as gt
from graphtask_cli import messages
from graphtask_cli.failures import in_one_line
from graphtask_cli.main import COMMANDS, cli

GRAPHTASK = str(Path(sys.executable).with_name("graphtask"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def shell(command, cwd, *, expect=0):
    done = subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done


LOADING = """
import json, sys
from graphtask_cli.main import cli
for arguments in json.load(sys.stdin):
    try:
        status = cli(arguments, standalone_mode=False)
    except SystemExit as end:
        status = end.code
    assert not status, (arguments, status)
    print("MODULES", *sys.modules, file=sys.stderr)
"""


def modules_after(calls, cwd):
    """The modules that are loaded after each of several commands of one process."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING], cwd=cwd, capture_output=True, text=True, check=False, env=ENVIRONMENT,
        input=json.dumps(calls),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = [set(part.split("\n")[0].split()) for part in done.stderr.split("MODULES ")[1:]]
    return dict(zip(map(" ".join, calls), loaded, strict=True))


def test_every_command_can_be_reached_from_the_group():
    context = click.Context(cli)
    assert [cli.get_command(context, name).name for name in cli.list_commands(context)] == list(COMMANDS)
    assert cli.get_command(context, "no-such-command") is None


def test_the_version_is_that_of_the_package(call):
    assert call("--version").output == f"graphtask {gt.__version__}\n"


def test_another_package_of_the_same_name_is_named(tmp_path):
    (tmp_path / "graphtask").mkdir()
    (tmp_path / "graphtask" / "__init__.py").write_text("__version__ = '1.0'\n")
    command = [sys.executable, "-c", "import graphtask; from graphtask_cli.main import cli; cli()", "--help"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT | {"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install graphtask-nn" in done.stderr
    assert str(tmp_path) in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_loads_neither_pytorch_nor_igraph_nor_pandas(tmp_path):
    heavy = {"torch", "igraph", "pandas", "numpy", "scipy", "matplotlib", "rich"}
    calls = [["--help"], *([name, "--help"] for name in COMMANDS)]
    for arguments, loaded in modules_after(calls, tmp_path).items():
        assert heavy.isdisjoint(loaded), arguments


def test_making_counting_pruning_measuring_and_drawing_never_load_pytorch(tmp_path, trained):
    calls = [
        ["new", "full", "--nodes", "6", "-o", "full.graphml"],
        ["compile", "full.graphml"],
        ["prune", str(trained), "-o", "pruned.graphml"],
        ["metrics", "full.graphml", "pruned.graphml", "--channels", "2"],
        ["draw", "full.graphml"],
    ]
    for arguments, loaded in modules_after(calls, tmp_path).items():
        assert "igraph" in loaded
        assert "torch" not in loaded, arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["metrics", "missing.graphml", "--strict"],
        ["compile", "missing.graphml"],
        ["compile", "broken.graphml"],
        ["compile", "."],
        ["prune", "untrained.graphml"],
        ["draw", "untrained.graphml", "-o", "picture.gif"],
        ["draw", "untrained.graphml", "--threshold", "0.1"],
        ["draw", "empty"],
        ["metrics", "untrained.graphml", "-o", "table.xlsx"],
        ["metrics", "untrained.graphml", "-o", "no/such/folder.csv"],
        ["new", "full", "--nodes", "6", "-o", "no/such/folder.graphml"],
        ["new", "from", "broken.graphml", "-o", "valid.graphml"],
        ["train", "untrained.graphml", "--data", "no-such-data", "--out", "run"],
    ],
)
def test_what_fails_says_so_in_one_line_and_exits_with_1(call, tmp_path, arguments):
    gt.write(gt.full_dag(5), tmp_path / "untrained.graphml")
    (tmp_path / "broken.graphml").write_text("<graphml><graph>")
    (tmp_path / "empty").mkdir()
    result = call(*arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("graphtask: error: ")
    assert len(line) > len("graphtask: error: ") + 20


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["compile", "graph.graphml", "--channels", "0"],
        ["new", "full", "--nodes", "1", "-o", "one.graphml"],
        ["prune", "graph.graphml", "--threshold", "nan"],
        ["metrics", "graph.graphml", "--layout-starts", "0"],
        ["new", "full", "--nodes", "6", "--stages", "3,2", "-o", "six.graphml"],
        ["train", "graph.graphml", "--data", "cdigits", "--epochs", "0", "--out", "run"],
        ["-x"],
        ["train", "graph.graphml", "--dada", "cdigits", "-o", "run"],
        ["new", "full"],
        ["new", "full", "--nodes", "six", "-o", "six.graphml"],
        ["new", "full", "--nodes", "6", "--stages", "a,b", "-o", "six.graphml"],
        ["metrics"],
        ["draw"],
        ["metrics", "graph.graphml", "--format", "yaml"],
        ["compile", "graph.graphml", "--channels", "3", "--budget", "100"],
        ["prune", "graph.graphml", "--parity"],
        ["train", "graph.graphml", "--data", "cdigits", "--out", "run", "--milestones", "soon"],
        ["train", "graph.graphml", "--data", "cdigits"],
    ],
)
def test_wrong_usage_exits_with_2_and_names_the_help_in_one_line(call, arguments):
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("graphtask: error: ")
    assert line.endswith("--help)")


def test_an_error_from_the_operating_system_is_one_line_too(call, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graphtask.storage.writers.write_atomically", full_disk)
    result = call("new", "chain", "--nodes", "5", "-o", "chain.graphml")
    assert result.exit_code == 1
    assert result.stderr == "graphtask: error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_the_reader_of_a_pipe_may_leave_early(tmp_path, form):
    gt.write(gt.full_dag(5), tmp_path / "full.graphml")
    files = " ".join(["full.graphml"] * 300)
    command = f"{GRAPHTASK} metrics {files} --jobs 1 --metrics nodes,edges --format {form} | head -n 1"
    done = shell(command, tmp_path)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    command = f"{GRAPHTASK} metrics {files} --jobs 1 --metrics edges --format {form} | true"
    assert shell(command, tmp_path).stderr == ""


def test_a_file_name_that_is_no_text_does_not_break_a_table(tmp_path):
    gt.write(gt.full_dag(5), tmp_path / "gr\udcff\udcdfe.graphml")
    done = shell(f"{GRAPHTASK} metrics *.graphml --jobs 1 --metrics edges", tmp_path)
    assert done.stderr == ""
    assert "gr" in done.stdout
    assert done.stdout.split()[-2:] == ["edges", "10"]


def test_ctrl_c_ends_with_one_line_and_130(tmp_path, scans):
    gt.write(gt.full_dag(12), tmp_path / "full.graphml")
    options = ["--data", str(scans), "--out", "run", "--threads", "1", "--epochs", "10000"]
    with subprocess.Popen(
        [GRAPHTASK, "train", "full.graphml", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        wait_until((tmp_path / "run" / "config.json").exists)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert stdout == ""
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1].startswith("graphtask: ")


def test_ctrl_c_outside_of_training_says_interrupted(call, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(gt, "write", interrupt)
    result = call("new", "chain", "--nodes", "5", "-o", "chain.graphml")
    assert result.exit_code == 130
    assert result.stderr == "graphtask: interrupted\n"


def test_the_package_can_be_run_as_a_module(tmp_path):
    for package in ("graphtask", "graphtask_cli"):
        done = shell(f"{sys.executable} -m {package} --version", tmp_path)
        assert done.stdout == f"graphtask {gt.__version__}\n"
    assert "Usage: graphtask train" in shell(f"{sys.executable} -m graphtask train --help", tmp_path).stdout


@pytest.mark.parametrize(
    ("called", "found", "expected"),
    [
        ("bin/graphtask", "bin/graphtask", ["graphtask"]),
        ("bin/graphtask", "other/graphtask", ["bin/graphtask"]),
        ("bin/graphtask", None, ["bin/graphtask"]),
        ("lib/__main__.py", "bin/graphtask", ["graphtask"]),
        ("lib/__main__.py", None, ["bin/python", "-m", "graphtask"]),
        ("lib/__main__.py", "other/graphtask", ["bin/python", "-m", "graphtask"]),
    ],
)
def test_proposals_name_the_program_that_the_shell_finds(monkeypatch, tmp_path, called, found, expected):
    monkeypatch.chdir(tmp_path)
    for name in ("bin/graphtask", "other/graphtask"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(sys, "executable", "bin/python")
    monkeypatch.setattr(messages.shutil, "which", lambda _: found)
    assert messages.proposal("draw", "a b") == shlex.join([*expected, "draw", "a b"])


@pytest.mark.parametrize("arguments", [[], ["new"], ["study"]])
def test_a_group_without_a_command_prints_its_help(call, arguments):
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "\nCommands:\n" in result.stderr


def test_help_has_no_marks_of_its_source(call):
    assert '\n    eval "$(_GRAPHTASK_COMPLETE=bash_source graphtask)"\n' in call("--help").stdout
    for name in COMMANDS:
        assert "\\b" not in call(name, "--help").stdout


def test_memory_that_runs_out_is_one_line(capsys):
    with pytest.raises(click.exceptions.Exit) as raised, in_one_line():
        raise MemoryError("Unable to allocate 74.5 GiB")
    assert raised.value.exit_code == 1
    assert "memory ran out (Unable to allocate 74.5 GiB); use smaller inputs" in capsys.readouterr().err
