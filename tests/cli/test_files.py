"""Every file that a command reads or writes is a regular file, or refused in one line, at once."""

import os
import resource
from pathlib import Path

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

NEW = {
    "full": [],
    "chain": [],
    "banded": ["--bandwidth", 2],
    "erdos-renyi": ["--p", 0.5],
    "watts-strogatz": ["--neighbors", 2, "--p", 0.5],
    "barabasi-albert": ["--attachments", 2],
    "random-dag": [],
}
SMALL = [
    *("--channels", 2, "--epochs", 1, "--batch-size", 256, "--transform", "subset:300", "--threads", 1),
    *("--data", "cdigits", "--quiet"),
]
WRITE = {
    **{
        (f"new {kind}", "out"): ["new", kind, "--nodes", 6, *options, "-o", "X.graphml"]
        for kind, options in NEW.items()
    },
    ("new from", "out"): ["new", "from", "g.graphml", "-o", "X.graphml"],
    ("convert", "target"): ["convert", "g.graphml", "X.gml"],
    ("trace", "out"): ["trace", "net:make", "-o", "X.graphml"],
    ("compile", "out"): ["compile", "g.graphml", "--channels", 2, "-o", "X.pt2"],
    ("train", "out"): ["train", "g.graphml", *SMALL, "-o", "X"],
    ("path", "out"): ["path", "g.graphml", *SMALL, "-o", "X"],
    ("path", "table"): ["path", "g.graphml", *SMALL, "-o", "runs", "--table", "X.csv"],
    ("path", "plot"): ["path", "g.graphml", *SMALL, "-o", "runs", "--plot", "X.png"],
    ("prune", "out"): ["prune", "g.graphml", "-o", "X.graphml"],
    ("metrics", "out"): ["metrics", "g.graphml", "--metrics", "edges", "-o", "X.csv"],
    ("sweep", "out"): ["sweep", "run", "--thresholds", "0", "--metrics", "edges", "-o", "X.csv"],
    ("sweep", "plot"): ["sweep", "run", "--thresholds", "0,0.1", "--metrics", "edges", "--plot", "X.png"],
    ("retrain", "out"): ["retrain", "run", "--quiet", "-o", "X"],
    ("retrain", "table"): ["retrain", "run", "--quiet", "-o", "again", "--table", "X.csv"],
    ("retrain", "plot"): ["retrain", "run", "--quiet", "-o", "again", "--plot", "X.png"],
    ("compare", "out"): ["compare", "a", "b", "--by", "folder", "--test", "metrics", "-o", "X"],
    ("dynamics", "out"): ["dynamics", "run", "-o", "X.csv"],
    ("dynamics", "plot"): ["dynamics", "run", "--plot", "X.png"],
    ("dynamics", "stability"): ["dynamics", "run", "--stability", "X.graphml"],
    ("draw", "out"): ["draw", "g.graphml", "-o", "X.svg"],
    ("diff", "out"): ["diff", "g.graphml", "h.graphml", "-o", "X.svg"],
    ("view", "out"): ["view", "g.graphml", "-o", "X.html"],
    ("report", "out"): ["report", "g.graphml", "-o", "X.html"],
    ("sample", "out"): ["sample", "g.graphml", "h.graphml", "-n", 2, "-o", "X"],
    ("sample", "table"): ["sample", "g.graphml", "h.graphml", "-n", 2, "-o", "s", "--table", "X.csv"],
    ("sample", "plot"): ["sample", "g.graphml", "h.graphml", "-n", 2, "-o", "s", "--plot", "X.png"],
    ("sample", "mean"): ["sample", "g.graphml", "h.graphml", "-n", 2, "-o", "s", "--mean-graph", "X.graphml"],
    ("sample", "save"): ["sample", "g.graphml", "h.graphml", "-n", 2, "-o", "s", "--save", "X.json"],
    ("study watch", "page"): ["study", "watch", "s.toml", "--once", "--html", "X.html"],
    ("study results", "out"): ["study", "results", "s.toml", "-o", "X.csv"],
}
"""The call that writes a file or folder, for every parameter that names one; ``demo`` has the folder of ``study run``."""

WRITTEN = {name for _, name in WRITE}
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
            is_path = isinstance(param.type, click.Path | DataSource)
            if is_path or isinstance(param, click.Argument):
                yield " ".join([*above, name]), param


def test_every_parameter_that_names_a_file_is_tested():
    found = list(parameters())
    read = {
        (command, param.name)
        for command, param in found
        if param.name not in WRITTEN and not isinstance(param.type, Folder)
    }
    assert set(READ) == read - NOT_FILES
    written = {(command, param.name) for command, param in found if param.name in WRITTEN}
    assert set(WRITE) == written - {("demo", "out")}


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


@pytest.fixture
def written(tmp_path, run_folder):
    """A folder with two graphs, a finished run and a study, and what is in it."""
    for name, weights in (("g", (0.5, 0.25)), ("h", (0.75, 0.125))):
        graph = gt.full_dag(5, stages=2)
        graph.es["weight"] = graph.es["w"] = [weights[i % 2] for i in range(graph.ecount())]
        gt.write(graph, tmp_path / f"{name}.graphml")
        for folder in (tmp_path / "a", tmp_path / "b"):
            folder.mkdir(exist_ok=True)
            gt.write(graph, folder / f"{name}.graphml")
    (tmp_path / "run").symlink_to(run_folder)
    (tmp_path / "net.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1))\n"
    )
    (tmp_path / "s.toml").write_text(
        'name = "s"\nout = "study"\nseeds = 1\nepochs = 1\n[priors.full]\nnodes = 6\n[data.cdigits]\n'
    )
    return lambda: sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))


def check_refused_output(result, words):
    assert isinstance(result.exception, SystemExit), (words, result.exception)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert len([line for line in result.stderr.splitlines() if "error:" in line]) == 1, result.stderr


@pytest.mark.parametrize("words", WRITE.values(), ids=lambda words: " ".join(map(str, words)))
@pytest.mark.parametrize("kind", ["pipe", pytest.param("device", marks=pytest.mark.slow)])
def test_a_pipe_or_device_is_not_written(call, written, tmp_path, words, kind):
    name = next(word for word in map(str, words) if word.startswith("X"))
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/full")
    before = written()
    result = call(*words)
    check_refused_output(result, words)
    assert name in result.stderr
    assert written() == before  # refused before the work, not after it


@pytest.mark.slow
@pytest.mark.parametrize("words", WRITE.values(), ids=lambda words: " ".join(map(str, words)))
def test_a_full_disk_is_one_line(call, written, words):
    before = written()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limits[1]))
    try:
        result = call(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    check_refused_output(result, words)
    left = {path for path in map(Path, set(written()) - set(before)) if path.suffix == ".tmp"}
    assert not left
