import csv
import json

import numpy as np
import pytest

import graphtask as gt


@pytest.fixture
def pruned(tmp_path):
    """A folder with graphs of two data sets, pruned from one full DAG by chance."""
    folder = tmp_path / "pruned"
    folder.mkdir()
    for number in range(8):
        graph = gt.full_dag(9)
        graph.es["weight"] = np.random.default_rng(number).random(graph.ecount()).tolist()
        graph = gt.prune(graph, threshold=0.5 * gt.critical_threshold(graph))
        graph["provenance"] = {**graph["provenance"], "data": ("a", "b")[number % 2]}
        gt.write(graph, folder / f"{number}.graphml")
    return folder


def test_samples_are_those_of_the_library(call, pruned, tmp_path):
    result = call("sample", pruned, "--label", "a", "-n", 3, "--seed", 5, "-o", "samples", "--format", "json")
    assert result.exit_code == 0, result.output
    graphs = gt.read_all([pruned], by="data").groups()["a"]
    fitted = gt.GraphDistribution.fit(graphs)
    expected = fitted.sample(3, seed=5)
    for number, graph in enumerate(expected):
        found = gt.read(tmp_path / "samples" / f"sample-{number:04}.graphml")
        assert found.get_edgelist() == graph.get_edgelist()
        assert gt.provenance(found) == gt.provenance(graph)
    (record,) = json.loads(result.stdout)
    assert record["graphs"] == 4
    assert record["nodes_correspond"] is True
    assert record["log_normalizer"] == fitted.log_normalizer.value
    assert record["log_normalizer_error"] == fitted.log_normalizer.error
    assert record["method"] == fitted.sampling_plan.method
    assert record["sampled_edges"] == pytest.approx(np.mean([graph.ecount() for graph in expected]))


def test_repaired_samples_count_their_repairs(call, pruned):
    result = call("sample", pruned, "--label", "a", "-n", 8, "--repair", "--format", "json")
    (record,) = json.loads(result.stdout)
    fitted = gt.GraphDistribution.fit(gt.read_all([pruned], by="data").groups()["a"])
    repairs = [
        gt.provenance(graph)["sampled"]["added_edges"] for graph in fitted.sample(8, seed=0, repair=True)
    ]
    assert record["method"] == "repair"
    assert record["added_edges_per_graph"] == pytest.approx(np.mean(repairs))


def test_a_stored_distribution_gives_the_same_samples(call, pruned, tmp_path):
    first = call("sample", pruned, "-n", 2, "-o", "one", "--save", "p.json", "--format", "json")
    second = call("sample", "--model", "p.json", "-n", 2, "-o", "two", "--format", "json")
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert "2 groups: a (4), b (4)" in first.stderr
    for name in ("sample-0000.graphml", "sample-0001.graphml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_samples_of_a_larger_batch_that_stay_are_told(call, pruned, tmp_path):
    first = call("sample", pruned, "-n", 12, "-o", "some")
    assert "earlier call" not in first.stderr
    second = call("sample", pruned, "-n", 11, "-o", "some")
    assert "some also has 1 graph of an earlier call" in second.stderr
    assert len(list((tmp_path / "some").iterdir())) == 12


@pytest.mark.usefixtures("rough_once")
def test_observed_and_sampled_graphs_are_compared(call, pruned, tmp_path):
    arguments = ("--table", "t.csv", "--plot", "t.svg", "--mean-graph", "mean.svg", "-n", 10, "--refits", 2)
    result = call("sample", pruned, *arguments)
    assert result.exit_code == 0, result.output
    with (tmp_path / "t.csv").open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    edges = [graph.ecount() for graph in gt.read_all([pruned]).graphs]
    assert float(rows["edges"]["observed_mean"]) == pytest.approx(np.mean(edges))
    assert rows["edges"]["n_sampled"] == "10"
    expected = gt.GraphDistribution.goodness_of_fit(gt.read_all([pruned]).graphs, n_refits=2).set_index(
        "metric"
    )
    for metric in ("edges", "log_prob"):
        for column in ("p_value", "p_westfall_young", "n_refits"):
            assert float(rows[metric][column]) == expected.loc[metric, column]
    for picture in ("t.svg", "mean.svg"):
        assert (tmp_path / picture).read_text().startswith("<?xml")


def test_graphs_named_beside_a_model_are_only_compared_with(call, pruned):
    call("sample", pruned, "--label", "a", "--save", "p.json", "-n", 0)
    result = call("sample", pruned, "--label", "b", "--model", "p.json", "-n", 2, "--format", "json")
    (record,) = json.loads(result.stdout)
    fitted = gt.GraphDistribution.load("p.json")
    others = gt.read_all([pruned], by="data").groups()["b"]
    assert record["mean_log_prob"] == pytest.approx(np.mean([fitted.log_prob(graph) for graph in others]))


def test_graphs_that_a_model_has_not_seen_need_no_refits_and_others_can_do_without(call, pruned, tmp_path):
    call("sample", pruned, "--label", "a", "--save", "p.json", "-n", 0)
    for options in (("--model", "p.json"), ("--refits", 0)):
        assert call("sample", pruned, "--table", "t.csv", "-n", 3, *options).exit_code == 0
        with (tmp_path / "t.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert ("p_value" in rows[0]) == ("--model" in options)
        assert "n_refits" not in rows[0]


def test_the_mean_graph_can_be_measured(call, pruned, tmp_path):
    assert call("sample", pruned, "--mean-graph", "mean.graphml", "-n", 0).exit_code == 0
    gt.check_graph(gt.read(tmp_path / "mean.graphml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "c"), "unknown label 'c'; the labels by dataset are a (4), b (4)"),
        (("--save", "p.txt"), "p.txt: the suffix must be .json"),
        (("--plot", "p.bmp"), "the suffix must be .svg, .pdf or .png"),
        (("--table", "p.txt"), "must be .csv, .json or .parquet"),
        (("--model", "none.json"), "none.json: cannot be read"),
        (("--threshold", "0.5"), "must have a `weight`"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(call, pruned, tmp_path, arguments, message):
    if arguments[0] == "--threshold":
        for path in pruned.iterdir():
            gt.write(gt.full_dag(4), path)
    result = call("sample", pruned, "-o", "samples", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pruned"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (".", "--shrinkage", "-1"),
        ("--model", "p.json", "--table", "t.csv"),
        (".", "-n", "0", "--plot", "p.svg"),
    ],
)
def test_a_wrong_call_is_refused(call, arguments):
    assert call("sample", *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("option", "name"),
    [("--table", "t.csv"), ("--plot", "p.svg"), ("--mean-graph", "m.graphml"), ("--save", "d.json")],
)
def test_a_missing_folder_is_found_out_before_anything_is_written(call, pruned, tmp_path, option, name):
    result = call("sample", pruned, "--label", "a", "-n", 2, "-o", "samples", option, f"missing/{name}")
    assert result.exit_code == 1
    assert "there is no folder missing" in result.stderr
    assert not (tmp_path / "samples").exists()
