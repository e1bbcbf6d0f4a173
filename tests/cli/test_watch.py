"""``graphtask study watch``: one frame of the table, and the page."""

import io
import re

import pytest
from helpers import InlineEngine
from rich.console import Console

import graphtask as gt
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
    assert re.search(r"cdigits/full/seed-0 +finished +2/2 +[\d.]+% +[▁-█]{2} +6 +[▁-█]{2}", lines[-1])
    assert text_of(frame(whole, n_rows=1)).rstrip().endswith("… and 2 more")


def test_sparklines_have_at_most_sixteen_points_and_end_with_the_last_value():
    line = sparkline(list(range(100)))
    assert len(line) == 16
    assert (line[0], line[-1]) == ("▁", "█")
    assert sparkline([float("nan")]) == ""
