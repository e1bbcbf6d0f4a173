"""Every file that a command reads is a regular file, or refused in one line, at once."""

import os

import click
import pytest

import graphtask as gt
from graphtask.runs.manifest import LISTED, MANIFEST
from graphtask_cli.main import cli
from graphtask_cli.param_types import DataSource, Folder

pytestmark = pytest.mark.timeout(120)

READ = {
    ("new from", "source"): ["new", "from", "X.graphml", "-o", "o.graphml"],
    ("convert", "source"): ["convert", "X.graphml", "o.gexf"],
    ("compile", "graph_file"): ["compile", "X.graphml"],
    ("train", "graph_file"): ["train", "X.graphml", "--data", "cdigits", "-o", "run"],
    ("train", "config_file"): ["train", "g.graphml", "--config", "X.toml", "--data", "cdigits", "-o", "run"],
    ("train", "data"): ["train", "g.graphml", "--data", "X.npz", "-o", "run"],
    ("path", "graph_file"): ["path", "X.graphml", "--data", "cdigits", "-o", "runs"],
    ("path", "config_file"): ["path", "g.graphml", "--config", "X.toml", "--data", "cdigits", "-o", "runs"],
    ("path", "data"): ["path", "g.graphml", "--data", "X.npz", "-o", "runs"],
    ("prune", "source"): ["prune", "X.graphml"],
    ("metrics", "paths"): ["metrics", "X.graphml", "X.zip", "X.tar.gz", "--metrics", "edges"],
    ("metrics", "cache"): ["metrics", "g.graphml", "--cache", "X.sqlite", "--metrics", "edges"],
    ("sweep", "paths"): ["sweep", "X"],
    ("retrain", "paths"): ["retrain", "X", "-o", "new"],
    ("compare", "paths"): ["compare", "X.graphml", "X.tar"],
    ("compare", "table_path"): ["compare", "--from-table", "X.csv"],
    ("dynamics", "paths"): ["dynamics", "X"],
    ("check", "paths"): ["check", "X"],
    ("draw", "paths"): ["draw", "X.graphml", "-o", "o.svg"],
    ("diff", "first"): ["diff", "X.graphml", "g.graphml"],
    ("diff", "second"): ["diff", "g.graphml", "X.graphml"],
    ("view", "source"): ["view", "X.graphml", "-o", "o.html"],
    ("report", "paths"): ["report", "X.graphml", "-o", "o.html"],
    ("sample", "paths"): ["sample", "X.graphml", "X.zip"],
    ("sample", "model"): ["sample", "--model", "X.json"],
    ("study run", "source"): ["study", "run", "X.toml"],
    ("study status", "source"): ["study", "status", "X.toml"],
    ("study watch", "source"): ["study", "watch", "X.toml", "--once"],
    ("study results", "sources"): ["study", "results", "X.toml"],
}
"""The call that reads a file, for every parameter that names one."""

WRITTEN = {"out", "plot", "table", "mean", "save", "target", "page", "stability"}
NOT_FILES = {("trace", "source")}


def parameters(group=cli, above=()):
    """All parameters of all commands that name a file to read."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from parameters(command, (*above, name))
            continue
        for param in command.params:
            is_file = isinstance(param.type, click.Path | DataSource) and not isinstance(param.type, Folder)
            if (is_file or isinstance(param, click.Argument)) and param.name not in WRITTEN:
                yield " ".join([*above, name]), param.name


def test_every_parameter_that_names_a_file_is_tested():
    assert set(READ) == set(parameters()) - NOT_FILES


@pytest.fixture
def pipes(tmp_path):
    gt.write(gt.full_dag(4), tmp_path / "g.graphml")
    names = {word for words in READ.values() for word in words if word.startswith("X")}
    for name in names:
        os.mkfifo(tmp_path / name)
    return names


@pytest.fixture
def devices(tmp_path):
    gt.write(gt.full_dag(4), tmp_path / "g.graphml")
    names = {word for words in READ.values() for word in words if word.startswith("X")}
    for name in names:
        (tmp_path / name).symlink_to("/dev/zero")
    return names


def check_refused(call, words):
    result = call(*words)
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "Traceback" not in result.output
    # A cache that cannot be used costs only time.
    assert result.exit_code == (0 if "--cache" in words else 1), result.output
    assert "X" in result.stderr


@pytest.mark.usefixtures("pipes")
@pytest.mark.parametrize("words", READ.values(), ids=lambda words: " ".join(words))
def test_a_pipe_is_refused(call, words):
    check_refused(call, words)


@pytest.mark.usefixtures("devices")
@pytest.mark.parametrize("words", READ.values(), ids=lambda words: " ".join(words))
def test_a_device_is_refused(call, words):
    check_refused(call, words)


@pytest.mark.parametrize("name", [*LISTED, MANIFEST])
def test_a_pipe_in_a_run_folder_never_blocks_a_command(call, run_folder, tmp_path, name):
    folder = tmp_path / "run"
    folder.mkdir()
    for path in run_folder.iterdir():
        if path.name != name:
            (folder / path.name).symlink_to(path)
    os.mkfifo(folder / name)
    for words in (
        ["compile", "run"],
        ["metrics", "run", "--metrics", "edges", "--jobs", 1],
        ["sweep", "run", "--thresholds", "0", "--metrics", "edges"],
        ["dynamics", "run"],
        ["check", "run"],
        ["check", "run", "--write"],
        ["draw", "run"],
        ["view", "run", "-o", "o.html"],
        ["report", "run", "-o", "o.html"],
    ):
        result = call(*words)
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
        assert result.exit_code in {0, 1}, result.output
