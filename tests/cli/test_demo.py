import shlex
import signal
import subprocess
import sys

import pandas as pd
import pytest
from processes import PATIENCE, are_gone, children, wait_until

import graphtask as gt
from graphtask_cli.commands import demo
from graphtask_cli.messages import proposal


@pytest.fixture
def tiny(monkeypatch):
    """The demo on two small networks; what it trains is for another test to judge."""
    monkeypatch.setattr(demo, "DATA", ("cdigits",))
    monkeypatch.setattr(demo, "NODES", 5)
    monkeypatch.setattr(demo, "CHANNELS", 1)
    monkeypatch.setattr(demo, "PAPER_THRESHOLD", 0.0)
    monkeypatch.setattr(demo, "OPTIONS", {**demo.OPTIONS, "epochs": 1, "batch_size": 512})


@pytest.mark.usefixtures("tiny", "inline_study")
def test_the_demo_leaves_every_step_of_the_job(call, tmp_path):
    result = call("demo", "-o", "out", "--jobs", 1)
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    table = pd.read_csv(out / "metrics.csv")
    assert table["graph"].tolist() == ["cdigits-0", "cdigits-1"]
    assert table["test_accuracy_pruned"].between(0, 1).all()
    for name in table["graph"]:
        assert gt.Run.open(out / "runs" / name).graph.ecount() == gt.full_dag(5).ecount()
        assert gt.read(out / "pruned" / f"{name}.graphml").ecount() > 0
        assert (out / "pruned" / f"{name}.svg").stat().st_size > 1000
    assert (out / "overview.png").stat().st_size > 1000
    assert "cdigits-1" in (out / "report.html").read_text(encoding="utf-8")
    program = proposal()
    proposed = [line.strip() for line in result.stdout.splitlines() if line.startswith(f"  {program} ")]
    assert len(proposed) == 4
    for line in proposed[:3]:
        again = call(*shlex.split(line.removeprefix(program), comments=True))
        assert again.exit_code == 0, again.output
    for name in table["graph"]:
        assert f"{name} finished, test accuracy" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_demo_saves_and_leaves_no_process(tmp_path, number):
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from graphtask_cli.main import cli; cli()"
    command = [sys.executable, "-c", program, "demo", "-o", "out", "--jobs", "1"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert any("cdigits-0 started" in line for line in said)
        # The line comes as the run is handed over; its process may be yet to come.
        workers = wait_until(lambda: children(process.pid))
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert stdout == ""
    assert "Traceback" not in stderr
    assert "interrupted; the state is saved in " in stderr.splitlines()[-1]
    assert len(workers) == 1
    assert are_gone(workers)


@pytest.mark.slow
def test_the_demo_learns_and_really_loses_connections(call, tmp_path):
    assert call("demo", "-o", "out").exit_code == 0
    table = pd.read_csv(tmp_path / "out" / "metrics.csv")
    assert len(table) == 4
    assert (table.loc[table["graph"].str.fullmatch(r"cdigits-\d"), "test_accuracy_pruned"] >= 0.9).all()
    assert (table["sparsity"] > 0.2).all()
