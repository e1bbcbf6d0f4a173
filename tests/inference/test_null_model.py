import networkx as nx
import numpy as np
import pytest
from helpers import staged
from scipy.stats import binom

import graphtask as gt
from graphtask.errors import ArgumentError
from graphtask.inference import null_model
from graphtask.inference.multiple import holm, westfall_young

METRICS = ["edges", "max_path", "mean_path", "motif_01_02_12", "motif_01_02_13_23"]


@pytest.fixture(scope="module")
def graph():
    return gt.random_dag(20, out_degree=3, seed=4)


@pytest.fixture(scope="module")
def table(graph):
    return gt.inference.null_model_tests(graph, metrics=METRICS, n_nulls=39, seed=7).set_index("metric")


def test_every_column_is_computed_from_the_graphs_of_randomize(graph, table):
    nulls = gt.priors.randomize(graph, 39, seed=7)
    for metric in METRICS[1:]:
        observed = float(gt.measure(graph, metrics=metric)[metric])
        null = [float(gt.measure(one, metrics=metric)[metric]) for one in nulls]
        center = np.mean([observed, *null])
        n_extreme = sum(abs(value - center) >= abs(observed - center) - 1e-9 for value in null)
        row = table.loc[metric]
        assert row["observed"] == observed
        assert row["null_mean"] == pytest.approx(np.mean(null))
        assert row["null_sd"] == pytest.approx(np.std(null, ddof=1))
        assert row["z"] == pytest.approx((observed - np.mean(null)) / np.std(null, ddof=1))
        assert row["p_value"] == (1 + n_extreme) / 40
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p_value"]), nan_ok=True)
    assert table.loc["edges", ["z", "p_value", "p_holm", "p_westfall_young"]].isna().all()
    assert table["excluded"].tolist() == ["the same for all graphs", "", "", "", ""]


def test_adjusted_p_values_are_those_of_the_largest_deviation(graph, table):
    nulls = gt.priors.randomize(graph, 39, seed=7)
    values = gt.measure_all([graph, *nulls], metrics=METRICS[1:]).to_numpy(dtype=float)
    expected = westfall_young(np.abs(values - values.mean(axis=0)))
    assert table["p_westfall_young"][1:].tolist() == pytest.approx(expected.tolist())
    assert (table["p_westfall_young"][1:] >= table["p_value"][1:]).all()


def test_the_p_value_is_that_of_all_graphs_with_these_degrees():
    """Every set of forward edges with these degrees has the same probability."""
    graph = staged([(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (1, 4)], [0, 0, 0, 1, 1, 1])
    known = {tuple(sorted(one.get_edgelist())): one for one in gt.priors.randomize(graph, 400, seed=1)}
    values = np.array([float(gt.measure(one, metrics="max_path")["max_path"]) for one in known.values()])
    observed = float(gt.measure(graph, metrics="max_path")["max_path"])
    exact = (np.abs(values - values.mean()) >= abs(observed - values.mean()) - 1e-9).mean()
    found = gt.inference.null_model_tests(graph, metrics="max_path", n_nulls=999, seed=2)["p_value"][0]
    assert len(known) > 4
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 1_000) + 0.002)


@pytest.mark.parametrize("preserve", ["degree", "stage"])
def test_a_graph_of_the_null_model_is_rejected_as_often_as_the_level_says(preserve):
    start = gt.random_dag(16, out_degree=3, seed=1)
    observed = gt.priors.randomize(start, 30, seed=5, preserve=preserve)
    p = [
        gt.inference.null_model_tests(
            one, metrics="motif_01_02_12", n_nulls=19, preserve=preserve, seed=seed
        )["p_value"][0]
        for seed, one in enumerate(observed)
    ]
    assert binom.sf(sum(value <= 0.2 for value in p) - 1, len(p), 0.2) > 1e-3


def test_planted_feed_forward_loops_are_found():
    starts, middles, ends = range(1, 9), range(9, 17), range(17, 25)
    edges = [*((0, node) for node in starts), *zip(starts, middles, strict=True)]
    edges += [
        *zip(starts, ends, strict=True),
        *zip(middles, ends, strict=True),
        *((node, 25) for node in ends),
    ]
    graph = staged(edges, [0] * 26)
    row = gt.inference.null_model_tests(graph, metrics=["motif_01_02_12"], n_nulls=99).iloc[0]
    assert (row["observed"], row["p_value"]) == (8, 0.01)
    assert row["z"] > 4


def test_metrics_that_cannot_be_tested_are_listed_with_the_reason(graph):
    weighted = graph.copy()
    weighted.es["weight"] = [0.5] * graph.ecount()
    names = ["total_weight", "invariant_hash", "parameters", "nodes"]
    found = gt.inference.null_model_tests(weighted, metrics=names, n_nulls=2).set_index("metric")
    assert found["excluded"].to_dict() == {
        "total_weight": "it reads weights, of which the null model has none",
        "invariant_hash": "its values are texts",
        "parameters": "undefined for 3 of 3 graphs",
        "nodes": "the same for all graphs",
    }
    assert found["p_value"].isna().all()
    known = gt.inference.null_model_tests(graph, metrics="parameters", n_nulls=2, channels=3)
    assert known["observed"][0] == gt.measure(graph, metrics="parameters", channels=3)["parameters"]


def test_without_spread_z_is_undefined_and_the_p_value_is_the_smallest(graph, monkeypatch):
    monkeypatch.setattr(null_model, "randomize", lambda *_args, **_kwargs: nulls)
    nulls = gt.priors.randomize(gt.random_dag(20, out_degree=3, seed=8), 1, seed=0) * 9
    row = gt.inference.null_model_tests(graph, metrics="motif_01_02_12", n_nulls=9).iloc[0]
    assert row["null_sd"] == 0
    assert np.isnan(row["z"])
    assert (row["observed"] != row["null_mean"], row["p_value"]) == (True, 0.1)


def test_a_graph_of_networkx_is_tested_as_it_is(graph, table):
    again = gt.inference.null_model_tests(gt.to_networkx(graph), metrics=METRICS, n_nulls=39, seed=7)
    assert isinstance(gt.to_networkx(graph), nx.DiGraph)
    assert again.set_index("metric").equals(table)
    assert again.attrs["mixing"]["is_mixed"]


def test_bad_arguments_are_refused(graph):
    with pytest.raises(ArgumentError, match="n_nulls must be an integer >= 2, got 1"):
        gt.inference.null_model_tests(graph, n_nulls=1)
    with pytest.raises(ArgumentError, match="preserve must be one of degree, stage, got 'order'"):
        gt.inference.null_model_tests(graph, preserve="order")
