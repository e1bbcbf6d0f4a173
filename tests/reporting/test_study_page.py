"""A study as a page: progress, curves, newest graphs."""

import pytest
from helpers import InlineEngine
from run_folders import hide

import graphtask as gt
from graphtask.reporting.study_page import progress_table, status_line, study_page


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    values = {
        "name": "tiny",
        "seeds": 2,
        "channels": 2,
        "epochs": 2,
        "batch_size": 64,
        "threshold": 0.0,
        "priors": {"full": {"nodes": 4}},
        "data": {"cdigits": {"transforms": ["subset:100"]}},
        "out": str(folder / "runs"),
    }
    study = gt.Study.read(values)
    study.save()
    engine = InlineEngine()
    study.run(engine=engine, progress=False)
    return study


def test_the_page_has_every_run_the_curves_and_the_newest_graphs(study):
    text = study_page(study, refresh=30)
    assert '<meta http-equiv="refresh" content="30">' in text
    assert "2 runs: 2 finished" in text
    for job in study.jobs:
        assert job.name in text
    assert text.count('src="data:image/svg+xml;base64,') == 2
    assert 'http-equiv="refresh"' not in study_page(study)


def test_a_run_that_may_not_be_read_is_shown_as_failed(study, monkeypatch):
    hide(study.jobs[0].folder, monkeypatch)
    text = study_page(study)
    assert "2 runs: 1 finished, 1 failed" in text
    assert "cannot be read (Permission denied)" in text


def test_the_epochs_of_all_runs_are_one_table(study):
    table = progress_table(study)
    assert table[["run", "epoch"]].to_numpy().tolist() == [
        [job.name, epoch] for job in study.jobs for epoch in (1, 2)
    ]
    assert len(gt.plot.draw_progress(table).axes[0].lines) == 2


def test_the_refresh_is_a_number_of_seconds(study):
    with pytest.raises(gt.errors.ArgumentError, match=r"^refresh must be an integer >= 1"):
        study_page(study, refresh=0)


def test_damaged_and_missing_runs_are_left_out(tmp_path):
    other = gt.Study.read({"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": str(tmp_path)})
    assert progress_table(other).empty
    other.jobs[0].folder.mkdir(parents=True)
    (other.jobs[0].folder / "metrics.csv").write_text("epoch\nx\n")
    assert progress_table(other).empty
    assert "1 run: 1 waiting" in status_line(other.status())
