"""``graphtask study watch``: one frame of the table, and the page."""

import io
import os
import re

import pytest
from helpers import InlineEngine
from rich.console import Console

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.reporting.study_page import newest_graphs
from graphtask.runs.history import load_history
from graphtask_cli.braille import adjacency_picture
from graphtask_cli.watching import frame, sparkline


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(
        "seeds = 3\nchannels = 1\nepochs = 2\nbatch_size = 64\n[priors.full]\nnodes = 4\n"
        "[data.cdigits]\ntransforms = ['subset:100']\n"
    )
    return path


def text_of(renderable):
    stream = io.StringIO()
    Console(file=stream, width=120).print(renderable)
    return stream.getvalue()


def test_a_waiting_study_is_shown_once_and_as_a_page(call, study, tmp_path):
    result = call("study", "watch", study, "--once", "--html", "tiny.html")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("tiny: 3 runs: 3 waiting")
    assert result.stdout.count("0/2") == 3
    assert "wrote tiny.html" in result.stderr
    assert 'http-equiv="refresh" content="10"' in (tmp_path / "tiny.html").read_text()
    assert call("study", "watch", study, "--once", "--html", "tiny.txt").exit_code == 2


def test_finished_runs_have_curves_and_come_last(study):
    whole = gt.Study.read(study)
    some = gt.Study(name="tiny", out=whole.out, threshold=whole.threshold, jobs=whole.jobs[:1])
    some.run(engine=InlineEngine(), progress=False)
    lines = text_of(frame(whole, n_rows=9)).splitlines()
    assert lines[0].startswith("tiny: 3 runs: 1 finished, 2 waiting")
    table = next(index for index, line in enumerate(lines) if "seed-0" in line)
    assert re.search(r"cdigits/full/seed-0 +finished +2/2 +[\d.]+% +[▁-█]{2} +6 +[▁-█]{2}", lines[table])
    assert "waiting" in lines[table - 1]
    assert [line.rstrip() for line in lines[table + 1 :]] == [
        "cdigits/full/seed-0, epoch 2",
        "edges 1 + 0 + 0, between 5",
        "⠙⢿",  # the full DAG of four nodes, and its diagonal
        "",
    ]
    assert text_of(frame(whole, n_rows=1, height=0)).rstrip().endswith("… and 2 more")


def test_the_newest_graphs_are_those_of_prune_while_the_run_goes_on(study):
    whole = gt.Study.read(study)
    some = gt.Study(name="tiny", out=whole.out, threshold=whole.threshold, jobs=whole.jobs[:2])
    some.run(engine=InlineEngine(), progress=False)
    for job in some.jobs:
        (job.folder / "trained.graphml").unlink()  # a run in progress has none
    os.utime(some.jobs[0].folder / "history.npz", (2**32, 2**32))
    first, second = newest_graphs(whole, 4)
    assert [first.run, second.run] == ["cdigits/full/seed-0", "cdigits/full/seed-1"]
    assert first.epoch == 2
    history = load_history(some.jobs[0].folder / "history.npz")
    kept = {
        edge for edge, weight in zip(history.edges, history.magnitudes[-1], strict=True) if weight >= 0.006
    }
    assert set(edge_names(first.pruned)) <= kept


def test_a_dot_is_a_pair_of_nodes_and_the_diagonal_the_nodes_that_are_left():
    graph = gt.full_dag(8, stages=2)
    graph.es["weight"] = [float(target - source == 1) for source, target in graph.get_edgelist()]
    chain = gt.prune(graph, threshold=0.5)
    assert adjacency_picture(graph, chain, height=9).plain.splitlines() == ["⠙⢦⡀⠀", "⠀⠀⠙⢦"]
    picture = adjacency_picture(graph, chain, height=1)  # two nodes to a dot
    assert picture.plain.splitlines() == ["⠙⢦"]
    assert [span.style for span in picture.spans] == ["blue", "default"]


@pytest.mark.parametrize("n_nodes", [2, 3, 60, 61, 500])
def test_pictures_are_at_most_as_high_as_the_terminal_allows(n_nodes):
    chain = gt.chain_dag(n_nodes)
    lines = adjacency_picture(chain, chain, height=5).plain.splitlines()
    assert len(lines) <= 5
    assert {len(line) for line in lines} <= set(range(1, 11))


def test_sparklines_have_at_most_sixteen_points_and_end_with_the_last_value():
    line = sparkline(list(range(100)))
    assert len(line) == 16
    assert (line[0], line[-1]) == ("▁", "█")
    assert sparkline([float("nan")]) == ""
