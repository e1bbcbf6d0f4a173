from pathlib import Path

import pytest
from run_folders import accept

import graphtask as gt
from graphtask_cli.sources import expand, graph_path, named


def make_run(folder, *, finished=True):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "initial.graphml").touch()
    if finished:
        accept(folder)
    return folder


def test_files_keep_their_order_and_are_called_by_their_names():
    sources = expand([Path("b.graphml"), Path("a.graphml"), Path("x/c.graphml")])
    assert [source.label for source in sources] == ["b", "a", "c"]
    assert [source.run for source in sources] == [None] * 3


def test_equal_names_are_told_apart_by_their_folders():
    paths = [Path("one/full.graphml"), Path("two/full.graphml"), Path("banded.graphml")]
    assert [source.label for source in expand(paths)] == ["one/full", "two/full", "banded"]


def test_the_same_file_twice_is_two_rows_of_one_name():
    assert [source.label for source in expand([Path("a.graphml")] * 2)] == ["a", "a"]


def test_a_folder_stands_for_its_graphs_and_its_runs_by_name(tmp_path):
    for name in ("b.graphml", "a.graphml", "notes.md"):
        (tmp_path / name).touch()
    run = make_run(tmp_path / "run-1")
    (tmp_path / "other").mkdir()
    sources = expand([tmp_path])
    assert [source.label for source in sources] == ["a", "b", "run-1"]
    assert sources[-1].path == run / "trained.graphml"
    assert sources[-1].run == run


def test_a_folder_without_graphs_is_an_error(tmp_path):
    with pytest.raises(
        gt.errors.FormatError, match=r"the folder has no graph file \(\.graphml, .*\) and no run"
    ):
        expand([tmp_path])


def test_a_run_that_is_not_finished_has_no_trained_graph(tmp_path):
    with pytest.raises(gt.errors.RunError, match="not finished"):
        graph_path(make_run(tmp_path / "run", finished=False))
    assert graph_path(Path("a.graphml")) == Path("a.graphml")


def test_errors_name_their_file_once():
    with pytest.raises(gt.errors.GraphError, match=r"^a\.graphml: is wrong$"), named(Path("a.graphml")):
        raise gt.errors.GraphError("is wrong")
    with pytest.raises(gt.errors.GraphError, match=r"^a\.graphml is wrong$"), named(Path("a.graphml")):
        raise gt.errors.GraphError("a.graphml is wrong")
    with pytest.raises(gt.errors.RunError, match=r"^run: this run is wrong$"), named(Path("run")):
        raise gt.errors.RunError("this run is wrong")
