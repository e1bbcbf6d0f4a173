"""Progress in notebooks: one output, updated in place, at most five times a second."""

import sys
from types import SimpleNamespace

import pytest
from helpers import InlineEngine

import graphtask as gt
from graphtask.engines.protocol import Ending
from graphtask.live import LiveBars, live_tracked
from graphtask.study.progress import StudyProgress


@pytest.fixture
def shown(monkeypatch):
    """All states of each output, in order."""
    outputs = []

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        outputs.append([data])
        return SimpleNamespace(update=lambda data, raw: outputs[-1].append(data))  # noqa: ARG005

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return outputs


def test_a_bar_is_one_output_that_is_updated(shown, monkeypatch):
    now = iter([10.0, 10.0, 10.1, 10.3, 10.3, 10.35])
    monkeypatch.setattr("graphtask.live.time.monotonic", lambda: next(now))
    bars = LiveBars()
    bars.update([(0.0, "first")])
    bars.update([(0.1, "too soon")])
    bars.update([(0.2, "<b>second</b>")], notes=["a note"])
    bars.update([(1.0, "last")], is_last=True)
    (states,) = shown
    assert [state["text/plain"] for state in states] == ["first", "<b>second</b>\na note", "last"]
    assert "&lt;b&gt;second" in states[1]["text/html"]
    assert 'value="1.0000"' in states[-1]["text/html"]


def test_items_are_followed_to_the_end(shown):
    assert list(live_tracked([1, 2, 3], title="sweeping")) == [1, 2, 3]
    (states,) = shown
    assert states[-1]["text/plain"].startswith("sweeping: 3 of 3")


def test_a_study_is_one_output_with_its_last_events(shown, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    values = {"seeds": 2, "priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": str(tmp_path)}
    study = gt.Study.read(values)
    with StudyProgress(study.jobs, InlineEngine()) as progress:
        progress.begin(study.jobs[0])
        progress.look([study.jobs[0]])
        progress.end(study.jobs[0], Ending("died", "SIGKILL"), is_new=True)
    (states,) = shown
    last = states[-1]["text/plain"].splitlines()
    assert last[0].startswith("0 of 2 runs finished")
    assert "started" in last[1]
    assert "SIGKILL" in last[2]
    assert capsys.readouterr().err == ""
