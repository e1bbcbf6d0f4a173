import numpy as np
import pandas as pd
import pytest

import graphtask as gt
from graphtask.features.precision import is_constant, numerical_errors
from graphtask.features.table import Features, prepared


def noisy(n=6):
    """A metric whose values differ by its numerical error only, and one that differs truly."""
    error = numerical_errors(["pca_elongation"])[0]
    rng = np.random.default_rng(0)
    return pd.DataFrame({"pca_elongation": error * rng.integers(0, 2, size=n), "edges": np.arange(n)})


def test_full_dags_have_a_constant_elongation():
    """It was standardized rounding noise: −1.09 … +1.56 for the values 2e-9 … 9e-9."""
    found = gt.features_of([gt.full_dag(n) for n in range(10, 15)])
    column = found.standardized()[:, found.names.index("pca_elongation")]
    assert column.tolist() == [0.0] * 5
    assert any(note.startswith("pca_elongation: the same for all graphs") for note in found.notes)


def test_a_difference_of_the_numerical_error_is_no_difference_in_features_and_similarity():
    table = noisy()
    found = gt.features_of(table, features=["pca_elongation", "edges"])
    assert (found.standardized()[:, 0] == 0).all()
    assert "within its numerical error" in found.notes[0]
    assert repr(found) == "Features(6 graphs, 2 features, 1 constant)"
    without = gt.comparison.rbf_similarity(
        table.assign(pca_elongation=0.0), features=["pca_elongation", "edges"]
    )
    np.testing.assert_array_equal(gt.comparison.rbf_similarity(found), without)


def test_a_difference_of_the_numerical_error_is_not_tested():
    a, b = noisy(4), noisy(4)
    found = gt.inference.metric_tests(a, b, features=["pca_elongation", "edges"]).set_index("metric")
    assert found.loc["pca_elongation", "excluded"] == "the same for all graphs"
    rows = pd.concat([a, b]).assign(data=["x"] * 4 + ["y"] * 4)
    trend = gt.inference.trend_test(rows, by="data", order=["x", "y"], features=["pca_elongation"])
    assert trend["excluded"].tolist() == ["the same for all graphs"]
    result = gt.two_sample_test(a, b, features=["pca_elongation", "edges"])
    plain = gt.two_sample_test(
        a.assign(pca_elongation=0.0), b.assign(pca_elongation=0.0), features=["pca_elongation", "edges"]
    )
    assert (result.statistic, result.p_value) == (plain.statistic, plain.p_value)


def test_a_difference_of_the_numerical_error_is_no_difference_in_predictions_and_positions():
    table, labels = noisy(8), ["a", "b"] * 4
    same = table.assign(pca_elongation=0.0)
    features = ["pca_elongation", "edges"]
    for method in ("centroid", "knn"):
        found, plain = (
            gt.comparison.classify_leave_one_out(one, labels, method=method, features=features)
            for one in (table, same)
        )
        assert found.predictions == plain.predictions
    found, plain = (gt.embed(one, features=features).points for one in (table, same))
    np.testing.assert_allclose(found, plain, atol=1e-12)


def test_metrics_of_distributions_do_not_differ_by_the_numerical_error():
    table = noisy()
    rows = gt.GraphDistribution.compare_metrics(table, noisy().assign(edges=1)).set_index("metric")
    assert rows.loc["pca_elongation", "standardized_difference"] == 0


def test_columns_of_families_have_the_error_of_the_family():
    names = ["sparsity_stage_1", "sparsity", "nodes_stage_2", "no metric", "ln_communicability"]
    errors = dict(zip(names, numerical_errors(names), strict=True))
    assert errors["sparsity_stage_1"] == errors["sparsity"]
    assert errors["nodes_stage_2"] == errors["no metric"] == 0
    assert errors["ln_communicability"] > 0


@pytest.mark.parametrize("values", [[np.nan, 1.0, 1.0], [5.0, 5.0, 5.0 + 1e-13], [np.nan] * 3])
def test_equal_values_and_gaps_are_constant(values):
    assert is_constant(np.array(values)[:, None]).tolist() == [True]


def test_features_that_repeat_another_are_left_out():
    rng = np.random.default_rng(1)
    base = rng.standard_normal((30, 2))
    values = np.column_stack([base[:, 0], 3 - 2 * base[:, 0], base[:, 1], base[:, 0] + 0.01 * base[:, 1]])
    found = prepared(values, ["a", "b", "c", "d"], np.zeros(4)).without_correlated(0.9)
    assert found.names == ("a", "c")
    assert found.notes == ("b: left out, it repeats a", "d: left out, it repeats a")
    assert isinstance(found, Features)
    assert gt.features_of(values, max_correlation=1.0).names == tuple(f"feature {i}" for i in range(4))
    with pytest.raises(gt.ArgumentError, match="max_correlation must be"):
        found.without_correlated(2.0)


def test_leaving_out_repeated_features_restores_the_power_that_they_cost():
    """Ten copies of one feature hide a difference in another one."""
    rejected = {None: 0, 0.9: 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal((20, 2))
        values[10:, 1] += 1.3
        copies = np.column_stack([values[:, 1], *[values[:, 0]] * 10])
        for limit in rejected:
            test = gt.two_sample_test(copies[:10], copies[10:], max_correlation=limit, n_permutations=199)
            rejected[limit] += test.p_value <= 0.05
    assert rejected[0.9] >= rejected[None] + 10
