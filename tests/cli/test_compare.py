import csv
import json
import math

import numpy as np
import pandas as pd
import pytest

import graphtask as gt
from graphtask.graph import with_provenance

pytestmark = pytest.mark.usefixtures("corpus")


def graph(p, chance, **facts):
    """A random graph that knows these facts about itself."""
    return with_provenance(gt.priors.erdos_renyi_dag(14, p=p, seed=chance), **facts)


@pytest.fixture
def corpus(tmp_path):
    """Five thin graphs and five thick ones, in two folders; each knows its data and seed."""
    graphs = {}
    for name, p in (("thin", 0.2), ("thick", 0.5)):
        (tmp_path / "graphs" / name).mkdir(parents=True)
        for seed in range(5):
            graphs[f"{name}/{seed}"] = graph(p, seed + 10 * (name == "thick"), data=name, seed=seed)
            gt.write(graphs[f"{name}/{seed}"], tmp_path / "graphs" / name / f"{seed}.graphml")
    return graphs


@pytest.fixture
def table(call, corpus):
    """Their features in a file."""
    files = [f"graphs/{name}.graphml" for name in corpus]
    result = call("metrics", *files, "--channels", 2, "-o", "features.csv")
    assert result.exit_code == 0, result.output


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


TABLES = {"features", "groups", "separability", "guesses", "confusion", "similarity", "dsc"}


def test_groups_are_compared_in_every_way(call, tmp_path):
    result = call(
        *("compare", "graphs", "--groups", "thin,thick", "-o", "out", "--type", "png", "--test", "mmd"),
        *("--test", "metrics", "--embedding", "pca", "--embedding", "mds", "--permutations", 99),
    )
    assert result.exit_code == 0, result.output
    assert "nearest-centroid accuracy 100% of 10 graphs" in result.stdout
    written = {path.name for path in (tmp_path / "out").iterdir()}
    tables = TABLES | {"embedding-pca", "embedding-mds", "tests", "metric_tests"}
    pictures = {"similarity", "dsc", "embedding-pca", "embedding-mds"}
    assert written == {f"{name}.csv" for name in tables} | {f"{name}.png" for name in pictures}


def test_what_is_written_is_what_the_library_finds(call, corpus, tmp_path):
    assert call("compare", "graphs", "--groups", "thin,thick", "-o", "out").exit_code == 0
    graphs, labels = list(corpus.values()), ["thin"] * 5 + ["thick"] * 5
    for name, expected in (
        ("similarity", gt.comparison.rbf_similarity(graphs)),
        ("dsc", gt.comparison.pairwise_dice_similarity(graphs)),
    ):
        rows = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        assert list(rows.columns[2:]) == rows["graph"].tolist() == list(corpus)
        np.testing.assert_allclose(rows.iloc[:, 2:], expected, rtol=1e-12)
    points = pd.read_csv(tmp_path / "out" / "embedding-pca.csv")
    np.testing.assert_allclose(points[["x", "y"]], gt.comparison.embed(graphs).points, atol=1e-12)
    guesses = pd.read_csv(tmp_path / "out" / "guesses.csv")
    assert guesses["label"].tolist() == labels
    assert guesses["knn"].tolist() == list(
        gt.comparison.classify_leave_one_out(graphs, labels, method="knn").predictions
    )
    features = pd.read_csv(tmp_path / "out" / "features.csv")
    np.testing.assert_allclose(features.iloc[:, 2:], gt.features_of(graphs).values)
    confusion = read(tmp_path / "out" / "confusion.csv")
    assert [(row["method"], row["label"]) for row in confusion[:2]] == [
        ("centroid", "thin"),
        ("centroid", "thick"),
    ]
    assert confusion[0]["thin"] == "5"


def test_json_has_everything_in_full_precision(call):
    result = call(
        "compare", "graphs", "--test", "energy", "--test", "wl", "--permutations", 50, "--format", "json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["groups", "separability", "tests"]
    assert [row["label"] for row in found["groups"]] == ["thick", "thin"]
    groups = gt.read_all(["graphs"]).groups()
    expected = gt.inference.pairwise_tests(groups, method="energy", n_permutations=50)
    assert found["tests"][0]["p_value"] == expected["p_value"][0]
    assert [row["method"] for row in found["tests"]] == ["energy", "wl"]


def test_each_argument_can_be_a_group(call):
    result = call("compare", "graphs/thin", "graphs/thick", "--by", "argument", "--format", "json")
    found = json.loads(result.stdout)
    assert [(row["label"], row["graphs"]) for row in found["groups"]] == [("thin", 5), ("thick", 5)]


@pytest.mark.usefixtures("table")
def test_a_table_of_features_gives_the_same_numbers(call):
    by_graphs = json.loads(call("compare", "graphs/thin", "graphs/thick", "--format", "json").stdout)
    result = call("compare", "--from-table", "features.csv", "--format", "json", "-o", "out")
    by_table = json.loads(result.stdout)
    for ours, theirs in zip(by_table["groups"], by_graphs["groups"], strict=True):
        assert "dsc_within" not in ours
        assert ours == pytest.approx({name: theirs[name] for name in ours})
    assert by_table["separability"] == by_graphs["separability"]


@pytest.mark.usefixtures("table")
def test_any_column_of_a_table_can_be_the_group_and_the_features(call):
    result = call(
        *(
            "compare",
            "--from-table",
            "features.csv",
            "--by",
            "seed",
            "--features",
            "edges, parameters",
            "--format",
            "json",
        )
    )
    found = json.loads(result.stdout)
    assert [row["label"] for row in found["groups"]] == ["0", "1", "2", "3", "4"]
    assert found["separability"][0]["n_features"] == 2


@pytest.mark.usefixtures("table")
def test_rows_without_features_are_named_and_left_out(call, tmp_path):
    rows = pd.read_csv(tmp_path / "features.csv")
    rows["error"] = ["cannot be read" if index == 3 else "" for index in rows.index]
    measured = rows.columns[rows.columns.get_loc("threshold") + 1 : rows.columns.get_loc("undefined")]
    rows = rows.astype(dict.fromkeys(measured, object))
    rows.loc[4, measured] = None
    rows.to_csv(tmp_path / "features.csv", index=False)
    result = call("compare", "--from-table", "features.csv", "--format", "json")
    assert json.loads(result.stdout)["groups"][0]["graphs"] == 3
    assert "left out, without features: thin/3" in result.stderr
    assert "left out, without features: thin/4" in result.stderr


def test_pairs_are_made_by_a_key_and_graphs_without_partner_are_not_tested(call, corpus, tmp_path):
    gt.write(graph(0.2, 77, data="thin", seed=77), tmp_path / "graphs/thin/77.graphml")
    result = call(
        *("compare", "graphs", "--groups", "thin,thick", "--test", "mmd", "--test", "metrics"),
        *("--paired-by", "seed", "--format", "json"),
    )
    assert "1 of 11 graphs have no partner by seed" in result.stderr
    found = json.loads(result.stdout)
    assert found["groups"][0]["graphs"] == 6
    test = found["tests"][0]
    assert (test["n_a"], test["paired"], test["exact"], test["n_permutations"]) == (5, True, True, 32)
    ours = [graph for name, graph in corpus.items() if name.startswith("thin")]
    theirs = [graph for name, graph in corpus.items() if name.startswith("thick")]
    expected = gt.inference.metric_tests(ours, theirs, paired=True)
    assert [row["p_value"] for row in found["metric_tests"]] == pytest.approx(
        [None if math.isnan(value) else value for value in expected["p_value"]]
    )


def test_pairs_have_to_be_pairs(call, tmp_path):
    gt.write(graph(0.2, 77, data="thin", seed=0), tmp_path / "graphs/thin/77.graphml")
    options = ("compare", "graphs", "--test", "mmd", "--paired-by")
    result = call(*options, "seed")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "group 'thin' has 2 graphs with seed '0'" in result.stderr
    assert "pairs need" in call(*options, "data").stderr


def test_pairs_need_to_know_their_key(call):
    result = call("compare", "graphs", "--test", "mmd", "--paired-by", "threshold")
    assert result.exit_code == 1
    assert "no graph records its threshold" in result.stderr


def test_a_group_of_one_is_not_tested_and_others_are(call, tmp_path):
    gt.write(graph(0.3, 9, data="alone", seed=9), tmp_path / "graphs/thin/alone.graphml")
    result = call("compare", "graphs", "--test", "mmd", "--test", "metrics", "--format", "json")
    assert "not tested, only one graph: alone" in result.stderr
    found = json.loads(result.stdout)
    assert {(row["a"], row["b"]) for row in found["tests"] + found["metric_tests"]} == {("thick", "thin")}
    result = call("compare", "graphs", "--groups", "alone,thin", "--test", "mmd")
    assert result.exit_code == 1
    assert "tests require two groups of at least two graphs; only one graph: alone" in result.stderr


def test_what_limits_tests_is_said(call):
    few = [f"graphs/{name}/{seed}.graphml" for name in ("thin", "thick") for seed in range(2)]
    result = call("compare", *few, "--test", "mmd")
    assert "no p-value can be below" in result.stderr
    assert "(1 of 1 test)" in result.stderr


def test_of_many_tests_of_metrics_those_are_shown_that_found_something(call, tmp_path):
    for seed in range(5):
        gt.write(
            graph(0.2, seed + 50, data="third", seed=seed), tmp_path / f"graphs/thin/third{seed}.graphml"
        )
    result = call("compare", "graphs", "--test", "metrics")
    assert "tests of metrics have a corrected p-value <= 0.05" in result.stderr
    assert "mean_degree" in result.stdout
    assert "nodes_stage_0" not in result.stdout


def test_graphs_that_cannot_be_used_are_named_and_left_out(call, tmp_path):
    (tmp_path / "graphs" / "broken.graphml").write_text("<graphml>")
    result = call("compare", "graphs", "--format", "json")
    assert result.exit_code == 0
    assert "left out: graphs/broken.graphml" in result.stderr
    assert sum(row["graphs"] for row in json.loads(result.stdout)["groups"]) == 10


def test_pruning_happens_first(call, tmp_path):
    for data in ("a", "b"):
        for seed in range(3):
            rng = np.random.default_rng([seed, ord(data)])
            trained = with_provenance(gt.full_dag(8), data=data, seed=seed)
            trained.es["weight"] = rng.random(trained.ecount()).tolist()
            gt.write(trained, tmp_path / f"{data}{seed}.graphml")
    result = call("compare", ".", "--threshold", 0.4, "-o", "out")
    assert result.exit_code == 0, result.output
    assert all(float(row["sparsity"]) > 0 for row in read(tmp_path / "out" / "features.csv"))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["graphs/thin"], 1, "labels must name at least two groups, got only 'thin'"),
        (["graphs/thin/0.graphml"], 1, "labels must name at least two groups"),
        (
            ["graphs/thin/0.graphml", "graphs/thick/0.graphml"],
            1,
            "labels must name a group of at least two graphs",
        ),
        (["graphs", "--by", "experiment"], 1, "group the graphs by something else with --by ("),
        (
            ["graphs", "--groups", "thin,unknown"],
            1,
            "unknown group 'unknown'; the groups are thick, thin",
        ),
        (["graphs", "--features", "nonsense"], 1, "names of metrics or sets, got 'nonsense'"),
        (["graphs", "--features", "sparsity_stage_9"], 1, "names of metrics or sets"),
        (["nothing.graphml"], 1, "no graph can be used; the first of 1: "),
        (["graphs", "--threshold", "0.1"], 1, "no graph can be used; the first of 10: "),
        (["--from-table", "nothing.csv"], 1, "nothing.csv: cannot be read"),
        (["--from-table", "graphs/thin/0.graphml"], 1, "is not a table"),
        ([], 2, "pass either graph files"),
        (["graphs", "--from-table", "features.csv"], 2, "pass either"),
        (["--from-table", "features.csv", "--threshold", "0.1"], 2, "--from-table excludes --threshold"),
        (["--from-table", "features.csv", "--test", "wl"], 2, "requires graphs"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_writes_nothing(call, tmp_path, arguments, status, message):
    result = call("compare", *arguments, "-o", "out")
    assert result.exit_code == status
    assert message in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()
    if status == 1:
        assert result.stderr.splitlines()[-1].startswith("graphtask: error: ")


@pytest.mark.usefixtures("table")
def test_a_column_that_is_not_there_is_named(call):
    result = call("compare", "--from-table", "features.csv", "--by", "color")
    assert "unknown column 'color'" in result.stderr


def test_without_umap_nothing_is_measured(call, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.delitem(__import__("sys").modules, "umap", raising=False)
    result = call("compare", "graphs", "--embedding", "umap")
    assert result.exit_code == 1
    assert "pip install 'graphtask-nn[umap]'" in result.stderr


def test_a_table_without_features_is_named(call, tmp_path):
    (tmp_path / "names.csv").write_text("graph,group\na,one\nb,two\n")
    result = call("compare", "--from-table", "names.csv", "--by", "group")
    assert result.exit_code == 1
    assert result.stderr.startswith("graphtask: error: names.csv: the table has none of the paper's features")
