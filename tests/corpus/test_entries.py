import os
import subprocess
import zipfile
from pathlib import Path

from run_folders import accept

import graphtask as gt
from graphtask.corpus.entries import find
from graphtask.runs.layout import is_run


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(folder, *paths, **options):
    entries = find(paths or [folder], **options)
    return [Path(entry.file).relative_to(folder).as_posix() for entry in entries]


def test_a_folder_stands_for_all_graph_files_in_it_and_in_its_folders_by_name(tmp_path):
    touch(
        tmp_path,
        "b.gml",
        "a.graphml",
        "a.png",
        "y/c.npz",
        "x/d.JSON",
        "x/z/e.txt",
        "x/f.csv",
        "q.edges",
        "r.tsv",
    )
    assert found(tmp_path) == [
        "a.graphml",
        "b.gml",
        "q.edges",
        "r.tsv",
        "x/d.JSON",
        "x/f.csv",
        "x/z/e.txt",
        "y/c.npz",
    ]


def test_hidden_files_and_links_to_folders_are_left_out_and_links_to_files_followed(tmp_path):
    touch(tmp_path, "a.gml", ".b.gml", ".git/c.gml", "x/d.gml")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.gml").symlink_to(tmp_path / "x" / "d.gml")
    assert found(tmp_path) == ["a.gml", "link.gml", "x/d.gml"]


def test_a_run_stands_for_its_trained_graph_and_nothing_else_of_it(tmp_path):
    touch(
        tmp_path,
        "runs/0/config.json",
        "runs/0/initial.graphml",
        "runs/0/trained.graphml",
        "runs/0/metrics.csv",
    )
    accept(tmp_path / "runs" / "0")
    touch(tmp_path, "runs/1/config.json", "runs/1/initial.graphml", "runs/1/more/x.gml")
    entries = find([tmp_path])
    assert [Path(entry.run).name for entry in entries] == ["0", "1"]
    assert [Path(entry.path).name for entry in entries] == ["trained.graphml"] * 2
    assert entries[0].problem == ""
    assert "not finished" in entries[1].problem
    assert is_run(tmp_path / "runs" / "0")


def test_a_folder_with_a_file_called_config_is_no_run(tmp_path):
    touch(tmp_path, "config.json", "a.gml")
    assert found(tmp_path) == ["a.gml", "config.json"]


def test_patterns_match_files_folders_and_archives_by_name(tmp_path):
    touch(tmp_path, "b1.gml", "a1.gml", "a2.graphml", "a3/x.gml", "deep/er/a4.gml", ".a5.gml")
    with zipfile.ZipFile(tmp_path / "a9.zip", "w") as archive:
        archive.writestr("in.gml", "")
    assert found(tmp_path, tmp_path / "a*") == ["a1.gml", "a2.graphml", "a3/x.gml", "a9.zip/in.gml"]
    assert found(tmp_path, tmp_path / "**" / "a4.*") == ["deep/er/a4.gml"]
    assert found(tmp_path, tmp_path / "[ab]1.gml") == ["a1.gml", "b1.gml"]
    (entry,) = find([tmp_path / "c*"])
    assert (entry.file, entry.problem) == (str(tmp_path / "c*"), "no file matches this pattern")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    touch(tmp_path, "a[1].gml", "a1.gml")
    assert found(tmp_path, tmp_path / "a[1].gml") == ["a[1].gml"]


def test_files_keep_the_order_in_which_they_are_named_and_may_be_missing_or_there_twice(tmp_path):
    touch(tmp_path, "b.gml", "a.what")
    names = ["b.gml", "missing.gml", "a.what", "b.gml"]
    assert found(tmp_path, *(tmp_path / name for name in names)) == names


def test_what_is_to_be_written_is_not_taken_for_a_graph(tmp_path):
    touch(tmp_path, "a.csv", "features.csv")
    assert found(tmp_path, exclude=[tmp_path / "x" / ".." / "features.csv"]) == ["a.csv"]
    assert found(tmp_path, tmp_path / "*.csv", exclude=[tmp_path / "features.csv"]) == ["a.csv"]


def test_a_folder_without_graphs_is_an_entry_that_says_so(tmp_path):
    touch(tmp_path, "none/readme.md", "b.gml")
    first, second = find([tmp_path / "none", tmp_path / "b.gml"])
    assert first.path == str(tmp_path / "none")
    assert first.problem.startswith("the folder has no graph file (.graphml, ")
    assert second.problem == ""


def test_names_that_are_not_unicode_are_found(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff.gml"
    Path(os.fsdecode(name)).touch()
    (entry,) = find([tmp_path])
    assert os.fsencode(entry.path) == name


def test_of_archived_runs_only_the_trained_graph_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "runs.zip", "w") as archive:
        for name in (
            "runs/1/initial.graphml", "runs/1/config.json", "runs/1/trained.graphml", "runs/1/metrics.csv",
            "runs/2/config.json", "runs/2/initial.graphml", "other.gml",
        ):  # fmt: skip
            archive.writestr(name, "")
    entries = find([tmp_path / "runs.zip"])
    assert [(entry.member, Path(entry.run).name, bool(entry.problem)) for entry in entries] == [
        ("runs/1/trained.graphml", "1", False),
        ("runs/2/config.json", "2", True),
        ("other.gml", "", False),
    ]


def test_a_folder_that_cannot_be_read_is_an_entry_of_its_own(tmp_path, monkeypatch):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        gt.write(gt.full_dag(3), tmp_path / folder / "x.graphml")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    first, second, third = find([tmp_path])
    assert (first.problem, third.problem) == ("", "")
    assert (Path(second.path).name, second.problem) == ("b", "the folder cannot be read: Permission denied")
    assert [bool(row["error"]) for row in gt.measure_files([tmp_path], metrics=["edges"])] == [
        False,
        True,
        False,
    ]


def test_folders_may_be_nested_deeper_than_python_calls(tmp_path):
    start = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
        Path("a.edges").write_text("0 1\n")
    finally:
        os.chdir(start)
    entries = find([tmp_path])
    assert [Path(entry.path).name for entry in entries] == ["a.edges"]
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=False)
