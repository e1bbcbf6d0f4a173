import numpy as np
import pandas as pd
import pytest

import graphtask as gt
from graphtask.features.samples import pool

PAPER = [
    *["sparsity", "sparsity_stage_0", "sparsity_stage_1", "sparsity_stage_2"],
    *["nodes", "nodes_stage_0", "nodes_stage_1", "nodes_stage_2"],
    *["log_paths", "mean_path", "max_path", "ln_communicability"],
    *["edge_connectivity", "mean_degree", "pca_elongation"],
]


def test_graphs_are_measured_by_the_fifteen_features_of_the_paper():
    pooled = pool([gt.full_dag(9)] * 2, [gt.chain_dag(12)] * 3)

    assert list(pooled.names) == PAPER
    assert (pooled.n_a, pooled.n_b, pooled.matrix.shape) == (2, 3, (5, 15))
    assert pooled.matrix[:, PAPER.index("nodes")].tolist() == [9, 9, 12, 12, 12]


def test_a_measured_table_gives_the_same_as_its_graphs():
    a, b = [gt.full_dag(n) for n in (5, 6)], [gt.chain_dag(n) for n in (7, 8, 9)]

    of_graphs, of_tables = pool(a, b), pool(gt.measure_all(a), gt.measure_all(b))

    assert of_graphs.names == of_tables.names
    np.testing.assert_array_equal(of_graphs.matrix, of_tables.matrix)


def test_a_stage_that_one_set_does_not_have_is_undefined_there():
    pooled = pool([gt.full_dag(6, stages=2)], [gt.full_dag(6, stages=3)], features=["nodes_stage_k"])

    assert pooled.names == ("nodes_stage_0", "nodes_stage_1", "nodes_stage_2")
    np.testing.assert_array_equal(pooled.matrix, [[3, 3, np.nan], [2, 2, 2]])


def test_columns_and_arrays_are_taken_as_they_are():
    a, b = pd.DataFrame({"x": [1, 2], "flag": [True, False]}), pd.DataFrame({"x": [3.5], "flag": [True]})

    assert pool(a, b, features=["flag", "x"]).matrix.tolist() == [[1, 1], [0, 2], [1, 3.5]]
    assert pool(a, b, features="x").names == ("x",)
    assert pool([[1, 2], [3, 4]], np.array([[5, 6]])).matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_flags_that_some_rows_lack_are_numbers():
    a, b = pd.DataFrame({"q1d": [True, False]}), pd.DataFrame({"q1d": [np.nan, None]}, dtype=object)

    np.testing.assert_array_equal(pool(a, b, features=["q1d"]).matrix, [[1], [0], [np.nan], [np.nan]])


FRAME = pd.DataFrame({"nodes": [1, 2], "data": ["x", "y"]})


@pytest.mark.parametrize(
    ("a", "b", "features", "message"),
    [
        ([], [gt.full_dag(4)], None, "a and b must be of the same kind, got an empty list and graphs"),
        ([gt.full_dag(4)], FRAME, None, "got graphs and a table"),
        (FRAME, FRAME, ["edges"], "features must be columns of the table"),
        (FRAME, FRAME, ["data"], "features must be numeric columns, got 'data'"),
        (FRAME[["data"]].astype(object), FRAME, ["data"], "features must be numeric columns, got 'data'"),
        (FRAME[["data"]], FRAME[["data"]], None, "the table has none of the paper's features"),
        (np.zeros((2, 3)), np.zeros((2, 4)), None, "got 3 and 4 columns"),
        (np.zeros(3), np.zeros(3), None, r"got an array of float64, shape \(3,\)"),
        ([["a"]], [["b"]], None, "a must be graphs"),
        ([gt.full_dag(4)], [gt.full_dag(4)], ["beauty"], "names of metrics or sets, got 'beauty'"),
    ],
)
def test_sets_that_cannot_be_compared_are_an_error(a, b, features, message):
    with pytest.raises(gt.ArgumentError, match=message):
        pool(a, b, features=features)
