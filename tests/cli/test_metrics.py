import csv
import io
import json
import math

import pandas as pd
import pytest

import graphtask as gt


@pytest.fixture
def files(tmp_path):
    graphs = {"b": gt.full_dag(6), "a": gt.banded_dag(9, bandwidth=2), "c": gt.chain_dag(5, stages=4)}
    for name, graph in graphs.items():
        gt.write(graph, tmp_path / f"{name}.graphml")
    return graphs


def rows(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_rows_keep_the_order_and_every_digit(call, files):
    result = call("metrics", "b.graphml", "a.graphml", "c.graphml", "--channels", 3, "--format", "csv")
    assert result.exit_code == 0, result.output
    table = gt.measure_all(files.values(), channels=3)
    found = rows(result)
    assert [row["graph"] for row in found] == ["b", "a", "c"]
    for column in table.columns.drop("undefined"):
        for row, value in zip(found, table[column], strict=True):
            text = row[column]
            assert (
                text == str(value) or float(text) == value or (math.isnan(value) and math.isnan(float(text)))
            )


def test_a_broken_file_gets_a_row_that_says_why(call, files, tmp_path):
    (tmp_path / "broken.graphml").write_text("<graphml>")
    arguments = ["b.graphml", "broken.graphml", "a.graphml", "missing.graphml"]
    result = call("metrics", *arguments, "--format", "json", "--channels", 1)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [row["graph"] for row in found] == ["b", "broken", "a", "missing"]
    assert [row["edges"] for row in found] == [files["b"].ecount(), None, files["a"].ecount(), None]
    assert [row["error"] == "" for row in found] == [True, False, True, False]
    *errors, summary = result.stderr.splitlines()
    assert [line.startswith("graphtask: error: ") for line in errors] == [True, True]
    assert summary == "graphtask: 2 of 4 graphs cannot be measured; the column error says why"
    assert call("metrics", *arguments, "--strict").exit_code == 1
    assert call("metrics", "broken.graphml", "missing.graphml").exit_code == 1


def test_a_threshold_measures_what_is_left_and_records_what_breaks(call, trained):
    result = call("metrics", trained, "--threshold", 0.3, "--format", "csv")
    (row,) = rows(result)
    assert (row["edges"], row["threshold"], float(row["sparsity"])) == ("2", "0.3", 0.8)
    broken = call("metrics", trained, "--threshold", 0.6, "--format", "csv")
    assert broken.exit_code == 1
    assert "critical threshold 0.5" in rows(broken)[0]["error"]


def test_a_run_is_one_row_with_its_origin(call, run_folder):
    for path in (run_folder, run_folder.parent):
        (row,) = json.loads(call("metrics", path, "--format", "json").stdout)
        assert (row["graph"], row["data"], row["seed"]) == ("digits-0", "cdigits", 0)
        assert row["parameters"] == gt.count_parameters(gt.open_run(run_folder).graph, channels=2)


@pytest.mark.usefixtures("files")
def test_the_table_for_people_says_beside_it_what_is_undefined(call):
    result = call("metrics", "b.graphml", "a.graphml")
    assert "undefined" not in result.stdout
    assert result.stderr.splitlines() == ["graphtask: parameters: channels not given (2 graphs)"]


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_tables_go_to_files(call, files, tmp_path, suffix):
    result = call(
        "metrics",
        *(f"{name}.graphml" for name in files),
        "-o",
        f"features.{suffix}",
        "--metrics",
        "edges,log_paths",
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == f"features.{suffix}: 3 graphs\n"
    frame = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[suffix](
        tmp_path / f"features.{suffix}"
    )
    assert frame["graph"].tolist() == list(files)
    assert frame["edges"].tolist() == [graph.ecount() for graph in files.values()]


def test_more_starts_of_the_layout_report_their_spread(call, files):
    result = call(
        "metrics", "a.graphml", "--metrics", "pca_elongation", "--layout-starts", 3, "--format", "csv"
    )
    (row,) = rows(result)
    expected = gt.measure(files["a"], metrics=["pca_elongation"], layout_starts=3)
    assert float(row["pca_elongation"]) == expected["pca_elongation"]
    assert float(row["pca_elongation_spread"]) == expected["pca_elongation_spread"]


def test_graphs_without_stages_are_measured_on_request(call, tmp_path):
    (tmp_path / "foreign.graphml").write_text(
        '<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/><node id="c"/>'
        '<edge source="a" target="c"/><edge source="b" target="c"/></graph></graphml>'
    )
    assert call("metrics", "foreign.graphml").exit_code == 1
    (row,) = rows(call("metrics", "foreign.graphml", "--stages", "2,2", "--join", "--format", "csv"))
    assert (row["nodes"], row["edges"]) == ("4", "4")


def test_the_list_names_every_metric_with_its_formula(call):
    from graphtask.metrics.registry import all_metrics

    found = json.loads(call("metrics", "--list", "--format", "json").stdout)
    assert [row["name"] for row in found] == [metric.name for metric in all_metrics()]
    assert all(row["formula"] for row in found)
