"""Reports and explorer pages: one file, nothing from a network, hostile names as text."""

import json
import re

import pytest
from run_folders import copy_run, train_small

import graphtask as gt
from graphtask.graph import with_provenance
from graphtask.reporting.page import escaped, script_json

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


def test_fifty_graphs_of_sixty_nodes_make_less_than_five_megabytes(tmp_path):
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    graph = gt.full_dag(60, stages=3)
    for number in range(50):
        graph.es["weight"] = [(index * (number + 3) % 997) / 997 for index in range(graph.ecount())]
        gt.write(graph, graphs / f"{number:02}.graphml")
    path = gt.report([graphs], out=tmp_path / "report.html")
    assert path.stat().st_size < 5_000_000


def test_text_is_escaped_for_html_and_for_scripts():
    assert escaped("<b>\u202e") == "&lt;b&gt;\\u202e"
    assert "<" not in script_json({"name": "</script>"})
    assert json.loads(script_json(["\ud800<"])) == ["\ud800<"]


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
