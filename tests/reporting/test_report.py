"""Reports and explorer pages: one file, nothing from a network, hostile names as text."""

import json
import re

import numpy as np
import pytest
from run_folders import copy_run, made_up_run, train_small

import graphtask as gt
from graphtask.drawing.cards import escaped
from graphtask.graph import with_provenance
from graphtask.reporting.page import script_json

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[2J"


def graph_data(text):
    (data,) = re.findall(r'<script type="application/json" id="graph-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(data)


def test_a_report_of_graphs_has_tables_figures_and_the_explorer(tmp_path):
    for seed in range(6):
        graph = gt.random_dag(10, seed=seed, stages=2)
        gt.write(with_provenance(graph, data="ab"[seed % 2]), tmp_path / f"{seed}.graphml")
    path = gt.report([tmp_path], out=tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    for heading in (
        "At a glance",
        "Features by data set",
        "Distributions by data set",
        "Similarity",
        "Embedding",
        "same distribution",
        "Explorer",
    ):
        assert heading in text
    assert [graph["label"] for graph in graph_data(text)] == ["a", "b"] * 3


def test_nothing_is_loaded_from_a_network(tmp_path):
    gt.view(gt.full_dag(5), out=tmp_path / "g.html")
    text = (tmp_path / "g.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"'](?!data:)", text)


def test_hostile_names_are_text(tmp_path):
    graph = gt.full_dag(4, stages=2)
    graph.vs["name"] = [f"{HOSTILE}{number}" for number in range(4)]
    gt.view(graph, out=tmp_path / "g.html", title=HOSTILE)
    text = (tmp_path / "g.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert graph_data(text)[0]["nodes"][0].startswith("<script>")


@pytest.mark.parametrize("out", ["report", "report.pdf", "report.html.gz"])
def test_the_page_is_an_html_file(tmp_path, out):
    with pytest.raises(gt.errors.ArgumentError, match=r"out must end in \.html"):
        gt.view(gt.full_dag(4), out=tmp_path / out)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    train_small(folder)
    return folder


def made_up_runs(small_run, folder, count, *, n_nodes, epochs):
    graph, rng = gt.full_dag(n_nodes, stages=3), np.random.default_rng(0)
    for number in range(count):
        last = np.where(rng.random(graph.ecount()) < 0.5, 0.5, 0.001)
        magnitudes = rng.uniform(0.001, 0.9, (epochs + 1, graph.ecount())).clip(0, 0.99)
        magnitudes[-1] = last
        made_up_run(
            small_run, folder / f"{number:02}", graph, magnitudes, data=("cmnist", "cifar10")[number % 2]
        )
    return folder


@pytest.fixture(scope="module")
def reported(small_run, tmp_path_factory):
    """Eight runs on two data sets of the paper, and their report."""
    folder = made_up_runs(small_run, tmp_path_factory.mktemp("made-up") / "runs", 8, n_nodes=10, epochs=5)
    path = gt.report([folder], out=folder.with_name("report.html"))
    return folder, path.read_text(encoding="utf-8")


def test_runs_have_their_features_and_edge_dynamics_next_to_those_of_the_paper(reported):
    folder, text = reported
    for heading in (
        "At a glance",
        "Features by",
        "Distributions by",
        "Similarity",
        "Embedding",
        "Edge dynamics",
    ):
        assert f"<h2>{heading}" in text
    assert text.count("<th>cmnist, paper</th>") == 2
    runs = {path.name: gt.dynamics.open_recording(path) for path in sorted(folder.iterdir())}
    summary = gt.dynamics.dynamics_summary(gt.dynamics.dynamics_table(runs)).set_index("dataset")
    for column, paper in (("a_percent", 50.0), ("c_percent", 49.33), ("edges", 23.0)):
        cells = [
            f"{mean:.4g} ± {std:.3g}"
            for mean, std in zip(summary[f"{column}_mean"], summary[f"{column}_std"], strict=True)
        ]
        assert f"<td>{cells[0]}</td><td>{paper:g}</td><td>{cells[1]}</td>" in text
    features = gt.measure_all([gt.prune(run.graph) for name, run in runs.items() if int(name) % 2 == 0])
    cell = f"{features['log_paths'].mean():.4g} ± {features['log_paths'].std():.3g}"
    assert f">log_paths</td><td>{cell}</td><td>4.03</td>" in text
    assert all(len(graph["history"]["epochs"]) == 6 for graph in graph_data(text))


def test_pairs_of_data_sets_are_tested_as_by_the_library(reported):
    folder, text = reported
    graphs = gt.read_all([folder], threshold=0.006).groups()
    pairs = gt.inference.pairwise_tests(graphs)
    row = pairs.iloc[0]
    assert f"<td>{row['p_value']:.4g}</td><td>{row['p_holm']:.4g}</td>" in text
    tests = gt.inference.metric_tests(*graphs.values(), n_permutations=999).set_index("metric")
    wanted = tests.loc["log_paths"]
    assert f"{wanted['hedges_g']:+.2f} ({wanted['p_westfall_young']:.2g})" in text


@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_fifty_runs_of_sixty_nodes_make_less_than_five_megabytes(small_run, tmp_path, count):
    folder = made_up_runs(small_run, tmp_path / "runs", count, n_nodes=60, epochs=40)
    path = gt.report([folder], out=tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert len(graph_data(text)) == count
    data = len(re.findall(r'id="graph-data">(.*?)</script>', text, re.DOTALL)[0])
    assert len(text) - data + data / count * 50 < 5_000_000


def test_text_is_escaped_for_html_and_for_scripts():
    assert escaped("<b>\u202e") == "&lt;b&gt;\\u202e"
    assert "<" not in script_json({"name": "</script>"})
    assert json.loads(script_json(["\ud800<"])) == ["\ud800<"]


def test_a_study_is_reported_with_its_progress(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text("channels = 1\nepochs = 1\n[priors.full]\nnodes = 4\n[data.cdigits]\n")
    study = gt.Study.read(path)
    study.save()
    gt.write(gt.full_dag(4), study.out / "extra.graphml")
    for source in (path, study.out):
        text = gt.report([source], out=tmp_path / "report.html").read_text(encoding="utf-8")
        assert "<h2>Study tiny</h2>" in text
        assert "1 run: 1 waiting" in text


def test_a_damaged_run_costs_its_own_graph(tmp_path):
    train_small(tmp_path / "runs" / "good")
    copy_run(tmp_path / "runs" / "good", tmp_path / "runs" / "bad")
    table = tmp_path / "runs" / "bad" / "metrics.csv"
    table.write_text(table.read_text().replace("0.1,", "0.2,", 1))  # a number, so only the manifest shows it
    text = gt.report([tmp_path / "runs"], out=tmp_path / "report.html").read_text(encoding="utf-8")
    assert [graph["name"] for graph in graph_data(text)] == ["good"]
    assert "metrics.csv: damaged" in text
    with pytest.raises(gt.errors.FormatError, match=r"no graph can be used.*metrics\.csv: damaged"):
        gt.report([tmp_path / "runs" / "bad"], out=tmp_path / "report.html")
