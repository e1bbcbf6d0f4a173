import numpy as np
import pandas as pd
import pytest

import graphtask as gt
from graphtask.inference.multiple import holm


def sets():
    return {
        name: [gt.priors.erdos_renyi_dag(12, p=p, seed=seed) for seed in range(first, first + 4)]
        for name, p, first in (("thin", 0.2, 0), ("thick", 0.6, 10), ("thick too", 0.6, 20))
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "wl"},
        {"method": "energy", "paired": True, "features": ["nodes_stage_k", "mean_degree"]},
    ],
)
def test_each_pair_is_tested_as_it_would_be_alone_and_holm_corrects(options):
    groups = sets()
    rows = gt.inference.pairwise_tests(groups, **options)

    assert rows[["a", "b"]].to_numpy().tolist() == [
        ["thin", "thick"],
        ["thin", "thick too"],
        ["thick", "thick too"],
    ]
    for row in rows.to_dict("records"):
        alone = gt.two_sample_test(groups[row["a"]], groups[row["b"]], **options)
        assert (row["p_value"], row["statistic"]) == pytest.approx((alone.p_value, alone.statistic))
        assert row["kernel"] == alone.kernel
    np.testing.assert_array_equal(rows["p_holm"], holm(rows["p_value"]))


def test_the_groups_of_a_table_can_be_tested():
    groups = sets()
    table = pd.concat([gt.measure_all(graphs).assign(data=name) for name, graphs in groups.items()])

    of_table = gt.inference.pairwise_tests({name: table[table["data"] == name] for name in groups})

    pd.testing.assert_frame_equal(of_table, gt.inference.pairwise_tests(groups))


def test_any_test_of_two_sets_will_do():
    def test(a, b, *, seed):
        return gt.two_sample_test(a, b, method="wl", iterations=0, seed=seed + 1)

    rows = gt.inference.pairwise_tests(sets(), test=test, seed=4)

    assert set(rows["seed"]) == {5}


def test_what_cannot_be_tested_is_named():
    groups = {"a": np.ones((3, 2)), "b": np.zeros((2, 2)), "c": np.ones((1, 2))}
    with pytest.raises(
        gt.errors.ArgumentError, match=r"^a and c: a and b must have at least 2 graphs each, got 3 and 1"
    ):
        gt.inference.pairwise_tests(groups)


def test_the_matrix_is_symmetric_in_the_order_of_the_names():
    rows = gt.inference.pairwise_tests(sets())
    matrix = gt.inference.pairwise_matrix(rows, column="p_value")

    assert list(matrix.index) == list(matrix.columns) == ["thin", "thick", "thick too"]
    assert matrix.loc["thick too", "thin"] == matrix.loc["thin", "thick too"] == rows.loc[1, "p_value"]
    assert np.isnan(np.diag(matrix)).all()
    with pytest.raises(gt.errors.ArgumentError, match="column must be a column of the table"):
        gt.inference.pairwise_matrix(rows, column="q")


@pytest.mark.parametrize("groups", [{}, {"one": [1]}, [[1], [2]]])
def test_fewer_than_two_sets_are_an_error(groups):
    with pytest.raises(gt.errors.ArgumentError, match="groups must be a mapping of at least two names"):
        gt.inference.pairwise_tests(groups)
