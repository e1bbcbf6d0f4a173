import igraph
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

import graphtask as gt
from graphtask.features.table import center, spread, standardize

NAN, INF = np.nan, np.inf

TABLES_1_AND_2 = (
    *("sparsity", "sparsity_stage_0", "sparsity_stage_1", "sparsity_stage_2"),
    *("nodes", "nodes_stage_0", "nodes_stage_1", "nodes_stage_2"),
    *("log_paths", "mean_path", "max_path", "ln_communicability", "edge_connectivity", "mean_degree"),
    "pca_elongation",
)


def pruned(seed, *, stages=3):
    graph = gt.full_dag(12, stages=stages)
    graph.es["weight"] = np.random.default_rng(seed).random(graph.ecount()).tolist()
    return gt.prune(graph, threshold=0.5)


def test_the_features_are_those_of_the_papers_tables_without_parameters():
    found = gt.features_of([pruned(0), pruned(1)])
    assert found.names == TABLES_1_AND_2
    table = gt.measure_all([pruned(0), pruned(1)], channels=2)
    np.testing.assert_array_equal(found.values, table[list(TABLES_1_AND_2)].to_numpy(dtype=float))


def test_a_table_of_all_metrics_gives_the_same_features_as_its_graphs():
    graphs = [pruned(seed) for seed in range(3)]
    table = gt.measure_all(graphs, channels=2)
    table.insert(0, "data", "cmnist")
    table["threshold"] = 0.006
    assert gt.features_of(table).names == TABLES_1_AND_2
    np.testing.assert_array_equal(gt.features_of(table).values, gt.features_of(graphs).values)


def test_other_numbers_of_stages_have_the_features_of_their_stages():
    found = gt.features_of([pruned(0, stages=2), pruned(1, stages=2)])
    assert len(found.names) == 13
    assert "nodes_stage_1" in found.names
    assert "nodes_stage_2" not in found.names


def test_any_metrics_can_be_chosen():
    graphs = [gt.full_dag(4), gt.chain_dag(5)]
    found = gt.features_of(graphs, features=["edges", "min_path"])
    assert found.standardized().tolist() == [[1, -1], [-1, 1]]
    table = gt.measure_all(graphs, metrics=["edges", "min_path"])
    assert gt.features_of(table, features=["min_path"]).standardized().tolist() == [[-1], [1]]


@given(
    arrays(
        float,
        st.tuples(st.integers(1, 8), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
    )
)
def test_standardised_features_are_those_of_scikit_learn(values):
    ours = gt.features_of(values).standardized()
    theirs = StandardScaler().fit_transform(values)
    constant = np.ptp(values, axis=0) == 0
    assert (ours[:, constant] == 0).all()
    np.testing.assert_allclose(ours[:, ~constant], theirs[:, ~constant], rtol=1e-6, atol=1e-6)


def test_a_feature_that_differs_only_by_rounding_is_the_same_for_all():
    values = np.array([[0.1 + 0.2, 1.0], [0.3, 2.0], [0.3, 4.0]])
    found = gt.features_of(values)
    assert found.notes == ("feature 0: the same for all graphs",)
    assert (found.standardized()[:, 0] == 0).all()
    assert len(found.names) == 2


def test_what_is_undefined_stands_at_the_mean_and_is_told_apart():
    table = pd.DataFrame({"x": [1.0, 3.0, NAN, -INF], "y": [NAN] * 4, "z": [0, 1, 2, 3]})
    found = gt.features_of(table, features=["x", "y", "z"])
    assert found.names == ("x", "x is defined", "z")
    assert found.standardized()[:, 0].tolist() == [-1, 1, 0, 0]
    assert found.standardized()[:, 1].tolist() == [1, 1, -1, -1]
    assert found.notes == (
        "x: undefined for 2 of 4 graphs; its availability counts as a feature",
        "y: undefined for all graphs; left out",
    )


def test_graphs_without_a_history_lack_sparsity_and_are_compared_by_the_rest():
    bare = igraph.Graph([(0, 1), (1, 2)], directed=True)
    found = gt.features_of([gt.as_architecture(bare, stages=3), gt.chain_dag(4)])
    assert "sparsity is defined" in found.names
    assert np.isfinite(found.standardized()).all()


def test_flags_and_missing_cells_are_numbers():
    table = pd.DataFrame({"q1d": [True, False], "nodes": pd.array([3, None], dtype="Int64")})
    found = gt.features_of(table, features=["q1d", "nodes"])
    np.testing.assert_array_equal(found.values, [[1, 3, 1], [0, NAN, 0]])


def test_rows_are_standardised_by_other_rows_only():
    others = np.array([[0.0, 7.0, NAN], [4.0, 7.0, NAN]])
    assert standardize(np.array([[10.0, 9.0, 1.0]]), by=others).tolist() == [[4.0, 0.0, 0.0]]
    assert center(others).tolist() == [2, 7, 0]
    assert spread(others).tolist() == [2, INF, INF]


@pytest.mark.parametrize(
    ("sample", "features", "message"),
    [
        ([], None, "sample must be graphs"),
        (np.zeros(3), None, r"sample must be graphs"),
        (np.full((2, 2), NAN), None, "features must be defined"),
        (pd.DataFrame({"x": [1.0]}), None, "none of the paper's features"),
        (pd.DataFrame({"x": [1.0]}), ["y"], "got 'y'"),
        (pd.DataFrame({"x": ["a"]}), ["x"], "numeric columns"),
        (pd.DataFrame({"x": np.zeros(0)}), ["x"], "an empty table"),
        ([gt.full_dag(3)], ["nonsense"], "got 'nonsense'"),
        ("abc", None, "sample must be graphs"),
    ],
)
def test_what_cannot_be_compared_is_an_error(sample, features, message):
    with pytest.raises(gt.ArgumentError, match=message):
        gt.features_of(sample, features=features)


def test_features_pass_through():
    found = gt.features_of(np.eye(3))
    assert gt.features_of(found) is found
