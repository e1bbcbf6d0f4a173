"""Names from files never reach the terminal raw, whatever the command, with a terminal and without one."""

import io
import json
import os
import pty
import select
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import graphtask as gt
from graphtask.graph import with_provenance
from graphtask.terminal import shown
from graphtask_cli import tables

TITLE = "\x1b]0;WINDOW TITLE\x1b\\"
CLEAR, MIRROR, BELL, C1 = "\x1b[2J", "\u202e", "\x07", "\x9b31m"
UNDECODABLE = "name\udcff\nx.graphml"
NAME = f"a{CLEAR}b{MIRROR}c{BELL}d{C1}[red]e"
RAW = (TITLE, CLEAR, MIRROR, BELL, C1, "\udcff", "\ud800")

# Runs every command of a file in one process, so that one terminal sees them all, and PyTorch is imported once.
RUNNER = """
import json, sys
import graphtask.study.local
from graphtask_cli.main import cli
from helpers import InlineEngine
graphtask.study.local.local_engine = lambda *_, **__: InlineEngine()
for arguments in json.load(open(sys.argv[1])):
    print("=====", ascii(arguments[0]), flush=True)
    try:
        cli(arguments, prog_name="graphtask")
    except SystemExit as end:
        print("----- status", end.code, flush=True)
"""


def commands():
    graph = f"{NAME}.graphml"
    run, other = f"run{NAME}", "no such" + NAME
    train = ["train", graph, "--data", "cdigits", "--data-name", TITLE, "--transform", "subset:40"]
    return [
        ["new", "chain", "--nodes", "5", "-o", f"new{NAME}.graphml"],
        ["new", "from", graph, "-o", f"from{NAME}.graphml"],
        ["new", "from", other, "-o", "x.graphml"],
        ["trace", f"torchvision:{NAME}", "-o", "trace.graphml"],
        ["compile", graph],
        ["compile", graph, "-o", NAME],
        [*train, "--channels", "1", "--epochs", "2", "--batch-size", "20", "--threads", "1", "-o", run],
        [*train, "--channels", "2", "--epochs", "1", "-o", run],
        ["train", graph, "--data", other, "-o", "x"],
        ["prune", run],
        ["prune", graph, "--threshold", "0.9"],
        ["metrics", ".", "--jobs", "1"],
        ["metrics", ".", "--jobs", "1", "--format", "csv"],
        ["metrics", ".", "--jobs", "1", "--format", "json"],
        ["metrics", "archive.zip", other, "--metrics", "edges"],
        ["metrics", graph, "--metrics", NAME],
        ["metrics", graph, "--import", NAME],
        ["sweep", run, "--thresholds", "0,0.5", "--metrics", "edges", "--threads", "1"],
        ["retrain", run, "--threshold", "0", "-o", f"again{NAME}", "--epochs", "1", "--jobs", "1"],
        [
            "compare",
            "graphs",
            "--by",
            "data",
            "--test",
            "metrics",
            "--permutations",
            "19",
            "--format",
            "table",
        ],
        ["compare", "graphs", "--by", "data", "--format", "json", "-o", f"compared{NAME}"],
        ["compare", "graphs", "--groups", NAME],
        ["dynamics", run, "--each"],
        ["draw", graph, "-o", f"{NAME}.svg"],
        ["draw", "graphs", "-o", f"drawn{NAME}", "--stages", NAME],
        ["draw", graph, UNDECODABLE, "-o", "grid.svg"],
        ["draw", run, "--animate", "-o", f"film{NAME}.gif"],
        ["diff", graph, UNDECODABLE, "-o", f"diff{NAME}.svg"],
        ["diff", graph, graph, "--edges"],
        ["diff", other, graph],
        ["convert", graph, f"{NAME}.gexf"],
        ["convert", other, "-", "--to", "dot"],
        ["convert", other, "x.gexf"],
        ["convert", graph, f"x.{NAME}"],
        ["check", "."],
        ["check", other],
        ["view", graph, "-o", f"view{NAME}.html"],
        ["view", other, "-o", "view.html"],
        ["report", UNDECODABLE, "-o", "report.html"],
        ["report", run, graph, f"broken{NAME}.graphml", "-o", f"report{NAME}.html"],
        ["sample", graph, graph, "-n", "1", "-o", f"samples{NAME}"],
        ["sample", graph, "--label", f"no such{NAME}"],
        ["study", "run", f"{NAME}.toml", "--jobs", "1"],
        ["study", "status", f"{NAME}.toml"],
        ["study", "results", f"{NAME}.toml"],
        ["study", "watch", f"{NAME}.toml", "--once", "--html", f"watch{NAME}.html"],
        ["study", "status", other],
        ["demo", "-o", graph],
        [NAME],
        ["train", f"--{NAME}"],
        ["metrics", graph, "--format", NAME],
    ]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder with hostile names of files, members, data sets and priors."""
    folder = tmp_path_factory.mktemp("outside") / "hostile"
    folder.mkdir()
    graph = gt.full_dag(5, stages=2)
    graph.es["weight"] = 0.5
    gt.write(
        with_provenance(graph, data=TITLE, prior={"name": NAME, "kind": NAME}), folder / f"{NAME}.graphml"
    )
    gt.write(graph, folder / UNDECODABLE)
    (folder / "bad.json").write_text(
        '{"graph": {"provenance": {"data": "\\ud800"}}, "nodes": [{"id": "a"}, {"id": "b"}],'
        ' "links": [{"source": "a", "target": "b"}]}'
    )
    (folder / f"broken{NAME}.graphml").write_text("<graphml>")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr(f"{NAME}.graphml", (folder / f"{NAME}.graphml").read_text())
        archive.writestr(f"broken{NAME}.graphml", "<graphml>")
    content = (folder / f"{NAME}.graphml").read_bytes()
    with tarfile.open(folder / "archive.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(f"{TITLE}.graphml")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    (folder / "graphs").mkdir()
    for index, data in enumerate((TITLE, TITLE, NAME, NAME)):
        dag = gt.priors.erdos_renyi_dag(8, p=0.5, seed=index, stages=2)
        gt.write(with_provenance(dag, data=data, seed=index), folder / "graphs" / f"{index}{NAME}.graphml")
    toml = {"name": NAME, "runs": "study-runs", "seeds": [0], "channels": 1, "epochs": 1, "threads": 1}
    lines = [f"{key} = {json.dumps(value)}" for key, value in toml.items()]
    text = "\n".join(
        [
            *lines,
            '[data.a]\nsource = "none.npz"',
            f'[priors.{json.dumps(NAME)}]\nkind = "chain"\nn_nodes = 3\nstages = 1',
        ]
    )
    (folder / f"{NAME}.toml").write_text(text)
    (folder / "commands.json").write_text(json.dumps(commands()))
    return folder


def in_pipes():
    """Commands that neither train nor load PyTorch."""
    slow = {"train", "retrain", "trace", "sweep", "prune", "dynamics", "compile"}
    return [words for words in commands() if words[0] not in slow and words[:2] != ["study", "run"]]


def runner(folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "80"}
    return {
        "args": [sys.executable, "-P", "-c", RUNNER, "commands.json"],
        "cwd": folder,
        "env": {**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    }


def check(text):
    for raw in RAW:
        assert raw not in text, repr(text[max(0, text.find(raw) - 300) : text.find(raw) + 50])
    assert "Traceback" not in text
    assert text.count("----- status") == len(commands())
    assert text.count(shown(NAME)) > 20, "hostile names are shown, with their characters escaped"


def test_nothing_raw_reaches_a_terminal(hostile):
    controller, terminal = pty.openpty()
    with subprocess.Popen(**runner(hostile), stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        content = b""
        while True:
            if not select.select([controller], [], [], 240)[0]:
                process.kill()
                break
            try:
                content += os.read(controller, 1 << 16)
            except OSError:  # the other end is closed
                break
    os.close(controller)
    check(content.decode("utf-8", errors="surrogateescape"))


@pytest.mark.parametrize("words", in_pipes(), ids=lambda words: ascii(" ".join(words[:2])))
def test_nothing_raw_reaches_standard_error_or_a_table_in_a_pipe(hostile, call, monkeypatch, words):
    monkeypatch.chdir(hostile)
    result = call(*words)
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert [raw for raw in RAW if raw in result.stderr] == []
    if "csv" not in words:  # for programs, every byte as it is
        assert [raw for raw in RAW if raw in result.stdout] == []


def test_a_spreadsheet_runs_no_cell_and_the_table_is_read_back_as_it_was(tmp_path):
    names = ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\tx", "'=1", "'tis", "a", "\udcff\udcfe", "\ud800"]
    rows = [{"graph": name, "edges": -index} for index, name in enumerate(names)]
    tables.write_table(rows, tmp_path / "t.csv")
    raw = (tmp_path / "t.csv").read_text(encoding="utf-8", errors="surrogateescape")
    assert not any(line.startswith(("=", "+", "-", "@", "\t", '"=', '"\t')) for line in raw.splitlines())
    table = gt.read_table(tmp_path / "t.csv")
    assert table["graph"].tolist() == [*names[:-2], "\\xff\\xfe", "\\ud800"]
    assert table["edges"].tolist() == [-index for index in range(len(names))]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_a_lone_surrogate_costs_no_table(call, tmp_path, suffix):
    gt.write(gt.full_dag(4, stages=1), tmp_path / "good.graphml")
    (tmp_path / "bad.json").write_text(
        '{"graph": {"provenance": {"data": "\\ud800"}}, "nodes": [{"id": "a"}, {"id": "b"}],'
        ' "links": [{"source": "a", "target": "b"}]}'
    )
    result = call("metrics", "good.graphml", "bad.json", "--stages", 1, "-o", f"t{suffix}")
    assert result.exit_code == 0, result.stderr
    frame = gt.read_table(tmp_path / f"t{suffix}")
    assert frame["nodes"].tolist() == [4, 2]
    assert isinstance(frame, pd.DataFrame)


def test_nothing_is_written_outside_of_the_folder(hostile):
    outside = sorted(path.name for path in hostile.parent.iterdir())
    assert outside == [hostile.name], "the tests above ran all commands in this folder"
    assert not Path("/tmp/WINDOW TITLE").exists()
