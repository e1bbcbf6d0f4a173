import json
import shutil
import sys

import pytest
from run_folders import unfinish

import graphtask as gt


@pytest.fixture
def two(run_folder, tmp_path):
    """A folder with two runs, one of which is the other under a different name."""
    for name in ("one", "two"):
        shutil.copytree(run_folder, tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_one_run_gets_its_row(call, run_folder):
    result = call("dynamics", run_folder, "--threshold", 0.3, "--format", "json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    run = gt.Run.open(run_folder)
    expected = gt.dynamics.dynamics_table({run_folder.name: run}, threshold=0.3).iloc[0]
    assert record["run"] == run_folder.name
    assert record["edges"] == expected["edges"]
    assert record["dsc_top_k"] == expected["dsc_top_k"]


def test_several_runs_get_the_means_of_their_data_set(call, two):
    result = call("dynamics", two, "-o", "all.csv", "--format", "json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    assert (record["dataset"], record["prior"], record["runs"]) == ("cdigits", "full", 2)
    assert record["edges_std"] == 0.0
    for_people = call("dynamics", two).stdout.splitlines()
    assert ["edges", f"{record['edges_mean']:.4g}", "±", "0"] in [line.split() for line in for_people]
    lines = (two.parent / "all.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["run", "one", "two"]
    each = call("dynamics", two, "--each", "--format", "json")
    assert [record["run"] for record in json.loads(each.stdout)] == ["one", "two"]


def test_a_picture_comes_with_its_data(call, two, tmp_path):
    result = call("dynamics", two, "--plot", "fig6.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "fig6.svg").read_text()
    assert (tmp_path / "fig6-data.csv").read_text().startswith("run,dataset,prior,seed,epoch,dsc_first")


def test_a_picture_of_a_run_that_falls_apart_shows_that_all_is_removed(call, run_folder, tmp_path):
    result = call("dynamics", run_folder, "--threshold", 0.99, "--plot", "fig6.svg")
    assert result.exit_code == 0, result.output
    assert "no edge is retained" in result.stderr
    assert (tmp_path / "fig6.svg").exists()


def test_top_k_graphs_are_files_that_can_be_measured(call, two, tmp_path):
    result = call("dynamics", two, "--top-k", "top")
    assert result.exit_code == 0, result.output
    graph = gt.read(tmp_path / "top" / "one.graphml")
    assert gt.provenance(graph)["top_k"]["epoch"] == 1


def test_top_k_graphs_of_names_that_differ_by_a_separator_are_different_files(call, run_folder, tmp_path):
    for name in ("x/b", "y/b", "x-b"):
        shutil.copytree(run_folder, tmp_path / "runs" / name)
    result = call("dynamics", "runs", "--top-k", "top")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "top").iterdir()) == [
        "x-b-2.graphml",
        "x-b.graphml",
        "y-b.graphml",
    ]


def test_a_run_that_cannot_be_read_costs_only_itself(call, two):
    (two / "one" / "history.npz").write_bytes(b"PK")
    result = call("dynamics", two, "--format", "json")
    assert result.exit_code == 0
    assert "history.npz: damaged" in result.stderr
    assert [record["run"] for record in json.loads(result.stdout)] == ["two"]
    unfinish(two / "two")
    result = call("dynamics", two)
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing"),
        (["--threshold", "0"], "> 0"),
        (["-o", "out.xls"], "out.xls"),
        (["--plot", "out.bmp"], "out.bmp"),
        (["trained.graphml"], "not a folder"),
    ],
)
def test_wrong_calls_get_one_line(call, run_folder, arguments, message, tmp_path):
    shutil.copy(run_folder / "trained.graphml", tmp_path)
    result = call(
        "dynamics", *([] if arguments[0] in {"missing", "trained.graphml"} else [run_folder]), *arguments
    )
    assert result.exit_code == (2 if "--threshold" in arguments else 1)
    assert result.stderr.startswith("graphtask: error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["trained.graphml"]


def test_pytorch_is_not_loaded(run_folder):
    import subprocess

    code = (
        "import sys; from graphtask_cli.main import cli\n"
        f"cli(['dynamics', {str(run_folder)!r}], standalone_mode=False); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
