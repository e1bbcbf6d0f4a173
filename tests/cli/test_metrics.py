import csv
import io
import json
import math
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner
from helpers import InlineParts

import graphtask as gt
from graphtask_cli.main import cli


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
    for column in table.columns:
        for row, value in zip(found, table[column], strict=True):
            text = row[column]
            assert (
                text == str(value)
                or (text in {"", "nan"} and value is pd.NA)
                or float(text) == value
                or (math.isnan(value) and math.isnan(float(text)))
            )


@pytest.mark.usefixtures("files")
def test_a_table_of_errors_alone_replaces_no_file(call, tmp_path):
    assert call("metrics", "a.graphml", "-o", "features.csv").exit_code == 0
    before = (tmp_path / "features.csv").read_bytes()
    result = call("metrics", "missing.graphml", "-o", "features.csv")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "graphtask: error: features.csv is not written"
    assert (tmp_path / "features.csv").read_bytes() == before


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
    assert summary == "graphtask: 2 of 4 graphs cannot be measured; see the column error"
    assert call("metrics", *arguments, "--strict").exit_code == 1
    assert call("metrics", "broken.graphml", "missing.graphml").exit_code == 1


def test_a_folder_without_graphs_costs_only_its_row(call, files, tmp_path):
    (tmp_path / "none").mkdir()
    arguments = ["none", "b.graphml", "missing*.gml", "--metrics", "edges", "--format", "json"]
    result = call("metrics", *arguments)
    assert result.exit_code == 0, result.output
    assert [row["edges"] for row in json.loads(result.stdout)] == [None, files["b"].ecount(), None]
    assert result.stderr.startswith("graphtask: error: none: the folder has no graph file (")
    assert "graphtask: error: missing*.gml: no file matches this pattern\n" in result.stderr
    assert call("metrics", *arguments, "--strict").exit_code == 1
    assert call("metrics", "none").exit_code == 1


def test_a_threshold_measures_what_is_left_and_records_what_breaks(call, trained):
    result = call("metrics", trained, "--threshold", 0.3, "--format", "csv")
    (row,) = rows(result)
    assert (row["edges"], row["threshold"], float(row["sparsity"])) == ("2", "0.3", 0.8)
    broken = call("metrics", trained, "--threshold", 0.6, "--format", "csv")
    assert broken.exit_code == 1
    assert "critical threshold 0.5" in rows(broken)[0]["error"]
    relative = call("metrics", trained, "--threshold", 0.6, "--relative", "--format", "csv")
    assert (relative.exit_code, rows(relative)[0]["edges"]) == (0, "2")
    without = call("metrics", trained, "--relative")
    assert without.exit_code == 2
    assert "--relative must be False without a threshold" in without.stderr


def test_a_run_is_one_row_with_its_origin(call, run_folder):
    for path in (run_folder, run_folder.parent):
        (row,) = json.loads(call("metrics", path, "--format", "json").stdout)
        assert (row["graph"], row["dataset"], row["seed"]) == ("digits-0", "cdigits", 0)
        assert row["parameters"] == gt.compiler.count_parameters(gt.Run.open(run_folder).graph, channels=2)


@pytest.mark.usefixtures("files")
def test_the_table_for_people_says_beside_it_what_is_undefined(call):
    result = call("metrics", "b.graphml", "a.graphml")
    assert "undefined" not in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("graphtask: parameters: unknown channel count")
    assert "--channels" in line
    assert line.endswith("(2 graphs)")


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
    assert list(found[0]) == [
        *("name", "formula", "range", "meaning", "reads_weights", "defined_when", "cost", "sets", "source")
    ]


def test_the_list_for_people_fits_on_a_page_and_loses_nothing(call):
    listed = call("metrics", "--list").stdout
    assert max(map(len, listed.splitlines())) <= 120
    stored = json.loads(call("metrics", "--list", "--format", "json").stdout)
    for row in stored:
        for key in ("name", "formula"):
            assert all(word in listed for word in row[key].split()), row[key]


@pytest.fixture
def skips(tmp_path):
    """A module in the folder of the files that registers a metric and a set."""
    (tmp_path / "own_skips.py").write_text(
        "import graphtask as gt\n"
        "def skips(view):\n"
        "    return int((view.edges[:, 1] - view.edges[:, 0] > 1).sum())\n"
        "gt.metrics.register_metric(gt.metrics.Metric(name='skips', compute=skips, formula='skipping edges', sets=('mine',)))\n"
    )
    yield "own_skips"
    if "own_skips" in sys.modules:
        gt.metrics.unregister_metric("skips")
        del sys.modules["own_skips"]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_module_in_the_folder_may_bring_metrics_of_ones_own(call, skips, jobs):
    arguments = ["b.graphml", "c.graphml", "--import", skips, "--metrics", "mine", "--jobs", jobs]
    result = call("metrics", *arguments, "--format", "csv")
    assert result.exit_code == 0, result.output
    assert [row["skips"] for row in rows(result)] == ["10", "0"]
    assert "skipping edges" in call("metrics", "--list", "--import", f"{skips}.py", "--format", "csv").stdout


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("text", "why"), [(None, "No module named"), ("1 / 0", "ZeroDivisionError")])
def test_a_module_that_cannot_be_imported_is_one_line(call, tmp_path, text, why):
    if text:
        (tmp_path / "own_broken.py").write_text(text)
    result = call("metrics", "b.graphml", "--import", "own_broken")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("graphtask: error: module 'own_broken' cannot be imported (")
    assert why in line


def test_there_is_no_table_of_graphs_that_cannot_be_measured(call):
    result = call("metrics", "missing.graphml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "missing.graphml: cannot be read" in result.stderr
    assert "missing" in call("metrics", "missing.graphml", "--format", "csv").stdout


# Corpora


@pytest.fixture
def corpus(tmp_path):
    """Thirty graphs of different sizes and stages, in a folder, in the order of their names."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for seed in range(30):
        graph = gt.random_dag(6 + seed % 5, seed=seed, stages=1 + seed % 3)
        graph.es["weight"] = [(index + 1) / graph.ecount() for index in range(graph.ecount())]
        gt.write(gt.graph.with_provenance(graph, data="cmnist", seed=seed), folder / f"g{seed:02}.graphml")
    return folder


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_the_number_of_processes_changes_no_byte(call, corpus, tmp_path, suffix):
    (corpus / "g05.edges").write_text("no graph")
    for jobs in (1, 2):
        result = call("metrics", "corpus", "--jobs", jobs, "-o", f"{jobs}.{suffix}")
        assert result.exit_code == 0, result.output
    content = (tmp_path / f"1.{suffix}").read_bytes()
    assert content == (tmp_path / f"2.{suffix}").read_bytes()
    if suffix == "parquet":
        frame = pd.read_parquet(tmp_path / "1.parquet")
        assert len(frame) == 31
        assert frame["graph"].tolist()[4:7] == ["g04", "g05.edges", "g05.graphml"]
        assert frame["seed"].dropna().tolist() == list(range(30))
        assert frame["error"].astype(bool).sum() == 1


def test_every_row_says_where_it_comes_from(call, corpus):
    import hashlib

    (row, *_) = rows(call("metrics", "corpus", "--jobs", 1, "--metrics", "edges", "--format", "csv"))
    assert (row["dataset"], row["seed"], row["threshold"]) == ("cmnist", "0", "")
    assert row["file"] == "corpus/g00.graphml"
    assert row["sha256"] == hashlib.sha256((corpus / "g00.graphml").read_bytes()).hexdigest()
    assert list(row)[-3:] == ["error", "file", "sha256"]


@pytest.mark.usefixtures("corpus")
def test_patterns_archives_and_lists_are_named_like_files(call, tmp_path):
    shutil.make_archive(tmp_path / "packed", "zip", tmp_path / "corpus")
    shutil.make_archive(tmp_path / "packed", "gztar", tmp_path / "corpus")
    expected = [
        row["sha256"]
        for row in rows(call("metrics", "corpus", "--jobs", 1, "--metrics", "edges", "--format", "csv"))
    ]
    for path in ("corpus/*.graphml", "**/g*.graphml", "packed.zip", "packed.tar.gz"):
        found = rows(call("metrics", path, "--jobs", 1, "--metrics", "edges", "--format", "csv"))
        assert sorted(row["sha256"] for row in found) == sorted(expected)
        assert sorted(row["graph"] for row in found) == [f"g{seed:02}" for seed in range(30)]


@pytest.mark.parametrize(
    "text", ["corpus/g03.graphml\ncorpus/g01.graphml\r\n\n", "corpus/g03.graphml\0corpus/g01.graphml\0"]
)
@pytest.mark.usefixtures("corpus")
def test_a_dash_stands_for_the_paths_on_standard_input(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "metrics",
        "corpus/g00.graphml",
        "-",
        "corpus/g02.graphml",
        "--metrics",
        "edges",
        "--format",
        "csv",
    ]
    result = CliRunner().invoke(cli, arguments, input=text)
    assert [row["graph"] for row in rows(result)] == ["g00", "g03", "g01", "g02"]


def test_a_second_call_measures_only_what_is_new_and_says_the_same(call, corpus):
    arguments = ["metrics", "corpus", "--jobs", 1, "--cache", "corpus/rows.sqlite", "--format", "csv"]
    first = call(*arguments, "-o", "corpus/features.csv")
    assert first.exit_code == 0, first.output
    content = (corpus / "features.csv").read_bytes()
    second = call(*arguments, "-o", "corpus/features.csv")
    assert second.exit_code == 0, second.output
    assert (corpus / "features.csv").read_bytes() == content  # the table and the cache are no graphs
    (corpus / "rows.sqlite").write_bytes(b"what?")
    third = call(*arguments)
    (line,) = [line for line in third.stderr.splitlines() if "cache" in line]
    assert line.startswith("graphtask: corpus/rows.sqlite: the cache cannot be used")
    assert len(rows(third)) == 31  # the old table is a file like any other now


def test_strict_is_about_any_error_and_its_absence_about_all(call, corpus):
    arguments = ["--jobs", 1, "--metrics", "edges"]
    assert call("metrics", "corpus", "--strict", *arguments).exit_code == 0
    (corpus / "broken.gml").write_text("graph [")
    result = call("metrics", "corpus", *arguments)
    assert result.exit_code == 0
    assert "broken.gml: line 1: the file ends too early" in result.stderr
    assert call("metrics", "corpus", "--strict", *arguments).exit_code == 1
    assert call("metrics", "corpus/broken.gml", *arguments).exit_code == 1


def test_many_errors_are_summed_up(call, tmp_path):
    for index in range(15):
        (tmp_path / f"{index:02}.edges").write_text("?")
    result = call("metrics", ".", "--metrics", "edges")
    *errors, summary = result.stderr.splitlines()
    assert len(errors) == 10
    assert summary.endswith("15 of 15 graphs cannot be measured; see the column error of --format csv")


def test_a_table_without_the_column_error_does_not_refer_to_it(call, files):
    arguments = [
        "metrics",
        *list(files)[:1],
        "b.graphml",
        "missing.graphml",
        "absent.graphml",
        "--metrics",
        "edges",
    ]
    summary = call(*arguments).stderr.splitlines()[-1]
    assert summary.endswith("graphs cannot be measured")
    summary = call(*arguments, "-o", "table.csv").stderr.splitlines()[-1]
    assert summary.endswith("; see the column error")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_standard_input_that_names_nothing_is_an_error(text):
    result = CliRunner().invoke(cli, ["metrics", "-"], input=text)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "graphtask: error: no paths on standard input; pass one path per line\n"


@pytest.mark.usefixtures("corpus")
def test_a_table_for_people_has_an_end(call):
    result = call("metrics", *["corpus"] * 20, "--jobs", 1, "--metrics", "edges")
    assert len(result.stdout.splitlines()) == 502
    assert result.stderr.splitlines()[-1].startswith("graphtask: … and 100 more graphs")


@pytest.mark.usefixtures("corpus")
def test_nothing_is_left_of_a_table_that_was_interrupted(call, tmp_path, monkeypatch):
    from graphtask.corpus import measure

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "answer", interrupt)
    before = sorted(tmp_path.iterdir())
    result = call("metrics", "corpus/g00.graphml", "-o", "features.csv")
    assert result.exit_code == 130
    assert result.stderr == "graphtask: interrupted\n"
    assert sorted(tmp_path.iterdir()) == before


def test_the_options_that_name_a_reading_are_offered(call, tmp_path):
    (tmp_path / "odd.edges").write_text("a b\nb a\na b\nb c\n")
    assert "multi-edges" in call("metrics", "odd.edges", "--stages", 1).stderr
    assert "--order ids" in call("metrics", "odd.edges", "--stages", 1, "--merge").stderr
    result = call(
        "metrics",
        "odd.edges",
        "--stages",
        1,
        "--merge",
        "--order",
        "ids",
        "--metrics",
        "edges",
        "--format",
        "csv",
    )
    assert rows(result)[0]["edges"] == "2"


@pytest.mark.usefixtures("corpus")
def test_columns_of_stages_that_only_some_graphs_have_are_in_order_and_explained(call):
    metrics = ["--metrics", "nodes_stage_k,edges"]
    found = rows(call("metrics", "corpus", "--jobs", 1, *metrics, "--format", "csv"))
    assert list(found[0])[5:9] == ["nodes_stage_0", "nodes_stage_1", "nodes_stage_2", "edges"]
    assert found[0]["nodes_stage_2"] == "nan"
    assert "nodes_stage_2: the graph has no such stage" in found[0]["undefined"]
    assert found[2]["undefined"] == ""


def test_parquet_keeps_whole_numbers_flags_and_what_is_missing(call, corpus, tmp_path):
    import pyarrow.parquet as pq

    (corpus / "broken.gml").write_text("?")
    call(
        "metrics",
        "corpus",
        "--jobs",
        1,
        "--metrics",
        "nodes_stage_k,edges,q1d,log_paths,parameters",
        "-o",
        "features.parquet",
    )
    table = pq.read_table(tmp_path / "features.parquet")
    types = {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)}
    assert (types["edges"], types["nodes_stage_2"], types["seed"]) == ("int64", "int64", "int64")
    assert (types["q1d"], types["log_paths"], types["parameters"]) == ("bool", "double", "double")
    assert (types["threshold"], types["dataset"], types["undefined"]) == ("double", "string", "string")
    assert table.column("edges").to_pylist()[0] is None  # broken.gml
    assert table.column("nodes_stage_2").to_pylist()[1] is None  # the graph has one stage


@pytest.mark.usefixtures("corpus")
def test_measuring_loads_neither_torch_nor_matplotlib_nor_pandas(tmp_path):
    code = (
        "import sys; from graphtask_cli.main import cli; "
        "cli(['metrics', 'corpus', '--metrics', 'edges', '--jobs', '2', '--format', 'csv'], standalone_mode=False); "
        "sys.exit(' '.join({'torch', 'pandas', 'sklearn', 'matplotlib', 'pyarrow'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.usefixtures("files")
def test_null_has_a_row_for_every_metric_of_every_graph(call, tmp_path):
    gt.write(gt.random_dag(12, seed=3), tmp_path / "random.graphml")
    arguments = [
        "random.graphml",
        "missing.graphml",
        "--metrics",
        "edges,max_path",
        "--null",
        19,
        "--seed",
        5,
    ]
    found = rows(call("metrics", *arguments, "--format", "csv", "--cache", "."))
    expected = gt.inference.null_model_tests(
        gt.random_dag(12, seed=3), metrics=["edges", "max_path"], n_nulls=19, seed=5
    )
    assert [(row["graph"], row["metric"]) for row in found] == [
        ("random", "edges"),
        ("random", "max_path"),
        ("missing", ""),
    ]
    assert float(found[1]["z"]) == expected["z"][1]
    assert found[0]["excluded"] == "the same for all graphs"
    assert found[2]["error"] != ""
    assert rows(call("metrics", *arguments, "--format", "csv", "--cache", ".")) == found
    other = rows(call("metrics", *arguments, "--preserve", "stage", "--format", "csv", "--cache", "."))
    assert other[1]["null_mean"] != found[1]["null_mean"]


@pytest.mark.usefixtures("files")
def test_null_shows_people_the_tested_metrics_only(call, tmp_path):
    gt.write(gt.random_dag(12, seed=3), tmp_path / "random.graphml")
    arguments = ["random.graphml", "--metrics", "edges,max_path", "--null", 19]
    result = call("metrics", *arguments)
    assert "max_path" in result.stdout
    assert "edges" not in result.stdout
    assert "1 metric not tested; see the column excluded of --format csv" in result.stderr
    assert call("metrics", *arguments, "-o", "tests.parquet").exit_code == 0
    assert pd.read_parquet(tmp_path / "tests.parquet")["metric"].tolist() == ["edges", "max_path"]
    failed = call("metrics", "random.graphml", "--null", 1)
    assert failed.exit_code == 2
    assert "--null must be an integer >= 2, got 1" in failed.stderr


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr("graphtask.corpus.partitioned.LocalEngine", lambda **_: InlineParts(None))


@pytest.mark.usefixtures("inline", "files")
def test_a_folder_of_parts_is_resumed_and_is_one_table(call, tmp_path):
    (tmp_path / "broken.edges").write_text("?")
    arguments = ["metrics", "a.graphml", "b.graphml", "broken.edges", "--metrics", "edges", "-o", "features/"]
    result = call(*arguments, "--part-size", 2)
    assert (result.exit_code, result.stdout) == (0, "features: 3 graphs in 2 parts\n")
    assert result.stderr.startswith("graphtask: error: broken.edges: ")
    assert call(*arguments, "--part-size", 2).stdout == "features: 3 graphs in 2 parts, 2 of them kept\n"
    assert gt.read_table(tmp_path / "features")["edges"].fillna(0).tolist() == [15, 15, 0]
    result = call(*arguments, "--strict", "--part-size", 2)
    assert result.exit_code == 1
    result = call(*arguments, "--part-size", 1)
    assert result.exit_code == 1
    assert "another part_size; choose another folder" in result.stderr.splitlines()[-1]
    result = call("metrics", "broken.edges", "-o", "none/")
    assert result.exit_code == 1


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "ray"], "--engine ray needs a folder for its files; pass -o FOLDER/"),
        (["--engine", "ray", "-o", "t.csv"], "--engine ray needs a folder for its files; pass -o FOLDER/"),
        (["--part-size", 5], "--part-size needs a folder for its files; pass -o FOLDER/"),
        (["--address", "auto", "-o", "f/"], "--address excludes --engine local"),
        (["--cache", ".", "-o", "f/"], "--cache excludes a folder; pass -o FILE"),
        (["--null", 9, "-o", "f/"], "--null excludes a folder; pass -o FILE"),
        (["--format", "csv", "-o", "f/"], "--format excludes a folder, whose files are in Parquet"),
    ],
)
def test_options_that_need_or_exclude_a_folder(call, tmp_path, options, message):
    result = call("metrics", "a.graphml", *options)
    assert (result.exit_code, result.stderr) == (
        2,
        f"graphtask: error: {message} (see graphtask metrics --help)\n",
    )
    assert not (tmp_path / "f").exists()


@pytest.mark.usefixtures("files")
def test_a_cluster_without_ray_is_one_line_that_installs_it(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = call("metrics", "a.graphml", "--engine", "ray", "-o", "f/")
    assert result.exit_code == 1
    assert result.stderr.endswith("pip install 'graphtask-nn[ray]'\n")
    assert result.stderr.count("\n") == 1


def test_a_column_of_edge_lists_and_a_scheme_are_options(call, tmp_path):
    pd.DataFrame({"edges": ["0 1", "0 1\n1 2"]}).to_parquet(tmp_path / "graphs.parquet")
    result = call(
        "metrics",
        "graphs.parquet",
        "--column",
        "edges",
        "--stages",
        1,
        "--metrics",
        "edges",
        "--format",
        "csv",
    )
    assert [row["edges"] for row in rows(result)] == ["1", "2"]
    assert [row["graph"] for row in rows(result)] == ["0", "1"]
    result = call("metrics", "graphs.parquet")
    assert "name its edge lists with --column edges" in result.stderr
    result = call("metrics", "https://localhost/a.gml")
    assert "its scheme is not allowed; allow it with --scheme https" in result.stderr
    result = call("metrics", "x", "--scheme", "nosuch")
    assert result.exit_code in {1, 2}
    assert "must be schemes that fsspec knows" in result.stderr


def test_an_empty_name_is_no_folder(call, tmp_path):
    gt.write(gt.full_dag(4), tmp_path / "g.graphml")
    result = call("metrics", "g.graphml", "--metrics", "edges", "-o", "")
    assert result.exit_code == 1
    assert "must be .csv, .json or .parquet" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["g.graphml"]
