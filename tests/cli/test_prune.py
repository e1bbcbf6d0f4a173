import json
import shutil

import pytest
from run_folders import accept

import graphtask as gt


def test_a_trained_graph_loses_its_weak_edges_and_dead_paths(call, trained, tmp_path):
    result = call("prune", trained, "--threshold", 0.3, "-o", "pruned.graphml", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == [
        {
            "threshold": 0.3,
            "critical_threshold": 0.5,
            "edges_before": 10,
            "edges_after": 2,
            "nodes_before": 5,
            "nodes_after": 3,
            "weak_edges": 7,
            "edges_on_dead_paths": 1,
        }
    ]
    assert gt.read(tmp_path / "pruned.graphml").vs["name"] == ["v0", "v1", "v4"]


def test_a_threshold_that_cuts_everything_names_the_critical_one(call, trained, tmp_path):
    result = call("prune", trained, "--threshold", 0.6, "-o", "pruned.graphml")
    assert result.exit_code == 1
    assert "critical threshold 0.5" in result.stderr
    assert str(trained) in result.stderr
    assert not (tmp_path / "pruned.graphml").exists()


def test_of_a_diverged_run_not_the_same_command_is_proposed(call, tmp_path):
    gt.write(gt.full_dag(4), tmp_path / "four.graphml")
    options = "--data cdigits --channels 1 --epochs 1 --batch-size 64 --learning-rate 1e30 --edge-l1 0 --threads 1 --quiet"
    assert call("train", "four.graphml", *options.split(), "--out", "run").exit_code == 1
    for command in (["prune", "run"], ["dynamics", "run"], ["metrics", "run"]):
        result = call(*command)
        assert result.exit_code == 1
        assert "the run is not finished: the loss is not finite in epoch 1 of 1; lower" in result.stderr
        assert "same" not in result.stderr


def test_weights_of_a_file_that_are_no_shares_are_not_to_be_trained_but_scaled(call, tmp_path):
    (tmp_path / "a.csv").write_text("source,target,weight\na,b,0.5\nb,c,nan\na,c,0.25\n")
    result = call("prune", "a.csv", "--stages", 1)
    assert result.exit_code == 1
    assert "graphtask: error: a.csv: the edge weights of the file must all be in [0, 1]" in result.stderr


def test_without_a_file_pruning_only_reports(call, trained, tmp_path):
    assert call("prune", trained).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == [trained.name]


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_the_parity_of_a_run_is_that_of_the_library(call, run_folder, threshold):
    result = call(
        "prune", run_folder, "--threshold", threshold, "--parity", "--device", "cpu", "--format", "json"
    )
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    report = gt.training.parity(gt.Run.open(run_folder), threshold=threshold, device="cpu")
    assert record["accuracy_pruned"] == report.score_pruned
    assert record["accuracy_cut"] == record["accuracy_pruned"]
    assert record["edges_after"] == report.edges_after


def test_a_relative_threshold_prunes_as_in_the_library(call, run_folder, tmp_path):
    options = ("--threshold", 0.4, "--relative", "--parity", "--device", "cpu", "--format", "json")
    result = call("prune", run_folder, *options, "-o", tmp_path / "pruned.graphml")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    graph = gt.Run.open(run_folder).graph
    expected = gt.prune(graph, threshold=0.4, relative=True)
    assert record["edges_after"] == expected.ecount() == gt.read(tmp_path / "pruned.graphml").ecount()
    assert record["critical_threshold"] == gt.critical_threshold(graph, relative=True)
    assert record["relative"] is True
    assert record["difference_thresholded_folded"] <= 1e-5 * record["largest_logit"]


def test_a_parity_that_cannot_be_is_an_error_of_the_run(call, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"data_fingerprint": "another"}))
    accept(tmp_path / "run")
    result = call("prune", "run", "--parity", "--device", "cpu")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("graphtask: error: run: its files are not of one run")
