import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

import graphtask as gt


def table(**columns):
    return pd.DataFrame(columns)


def test_means_spreads_and_differences_are_those_of_numpy():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(3, 1, 12), rng.normal(4, 2, 30)
    (row,) = gt.GraphDistribution.compare_metrics(table(x=ours), table(x=theirs)).to_dict("records")
    assert row["observed_mean"] == pytest.approx(ours.mean())
    assert row["sampled_std"] == pytest.approx(theirs.std(ddof=1))
    pooled = np.sqrt((11 * ours.var(ddof=1) + 29 * theirs.var(ddof=1)) / 40)
    assert row["standardized_difference"] == pytest.approx((theirs.mean() - ours.mean()) / pooled)
    assert row["p_value"] == ks_2samp(ours, theirs).pvalue
    assert (row["n_observed"], row["n_sampled"]) == (12, 30)


def test_values_that_are_not_finite_are_left_out_and_counted():
    ours, theirs = table(x=[1.0, np.nan, 3.0], y=[np.nan] * 3), table(x=[2.0, -np.inf], y=[1.0, 2.0])
    x, y = gt.GraphDistribution.compare_metrics(ours, theirs).to_dict("records")
    assert (x["observed_mean"], x["n_observed"], x["sampled_mean"], x["n_sampled"]) == (2.0, 2, 2.0, 1)
    assert np.isnan(x["sampled_std"])
    assert y["n_observed"] == 0
    assert np.isnan([y["observed_mean"], y["standardized_difference"], y["p_value"]]).all()


def test_metrics_that_do_not_vary_differ_by_nothing_or_cannot_be_standardized():
    ours, theirs = table(same=[2, 2], other=[2, 2], text=["a", "b"]), table(same=[2], other=[3], text=["a"])
    same, other = gt.GraphDistribution.compare_metrics(ours, theirs).to_dict("records")
    assert same["standardized_difference"] == 0
    assert np.isnan(other["standardized_difference"])


def test_graphs_are_measured():
    graphs = [gt.random_dag(9, seed=seed) for seed in range(4)]
    rows = gt.GraphDistribution.compare_metrics(graphs, graphs, metrics=["edges", "nodes_stage_k"])
    assert rows["metric"].tolist() == ["edges", "nodes_stage_0", "nodes_stage_1", "nodes_stage_2"]
    assert (rows["standardized_difference"] == 0).all()
    assert (rows["p_value"] == 1).all()


def test_nothing_cannot_be_compared():
    with pytest.raises(gt.ArgumentError, match="sampled must be"):
        gt.GraphDistribution.compare_metrics([gt.full_dag(4)], [])
