import numpy as np
import pandas as pd
import pytest
from scipy.stats import PermutationMethod, mannwhitneyu, permutation_test, wilcoxon

import graphtask as gt
from graphtask.inference.effects import cliffs_delta, hedges_g
from graphtask.inference.multiple import holm


def table(n, shift=0.0, seed=0, columns="xyz"):
    return pd.DataFrame(
        np.random.default_rng(seed).normal(size=(n, len(columns))) + shift, columns=list(columns)
    )


def run(a, b, **options):
    return gt.inference.metric_tests(a, b, features=list(a.columns), **options).set_index("metric")


@pytest.mark.parametrize(("n_a", "n_b", "paired"), [(4, 4, False), (3, 7, False), (6, 6, True)])
def test_exact_p_values_of_means_are_those_of_scipy(n_a, n_b, paired):
    a, b = table(n_a, 0.8, seed=1), table(n_b, seed=2)
    found = run(a, b, paired=paired)

    for name in a:
        expected = permutation_test(
            (a[name].to_numpy(), b[name].to_numpy()),
            lambda x, y: abs(x.mean() - y.mean()),
            permutation_type="samples" if paired else "independent",
            alternative="greater",
            n_resamples=np.inf,
            vectorized=False,
        )
        assert found.loc[name, "p_value"] == pytest.approx(expected.pvalue, rel=1e-12)
        assert abs(found.loc[name, "difference"]) == pytest.approx(expected.statistic)
    assert found["exact"].all()


@pytest.mark.parametrize("ties", [False, True])
def test_exact_p_values_of_ranks_are_those_of_mann_and_whitney(ties):
    a, b = table(5, 0.8, seed=1), table(5, seed=2)
    if ties:
        a, b = a.round(), b.round()
    found = run(a, b, statistic="rank")

    for name in a:
        method = PermutationMethod(n_resamples=np.inf) if ties else "exact"
        expected = mannwhitneyu(a[name], b[name], method=method).pvalue
        assert found.loc[name, "p_value"] == pytest.approx(expected)


@pytest.mark.parametrize("ties", [False, True])
def test_exact_paired_p_values_of_ranks_are_those_of_wilcoxon(ties):
    a, b = table(8, 0.8, seed=1), table(8, seed=2)
    if ties:
        a, b = a.round(), b.round()
    found = run(a, b, statistic="rank", paired=True)

    for name in a:
        method = PermutationMethod(n_resamples=np.inf) if ties else "exact"
        expected = wilcoxon(a[name], b[name], method=method).pvalue
        assert found.loc[name, "p_value"] == pytest.approx(expected)


@pytest.mark.parametrize("paired", [False, True])
def test_each_row_describes_its_metric_and_holm_corrects_the_family(paired):
    a, b = table(6, 1.0, seed=1), table(6, seed=2)
    found = run(a, b, paired=paired, confidence=0.9)

    for name in a:
        row, x, y = found.loc[name], a[name].to_numpy(), b[name].to_numpy()
        assert row["difference"] == pytest.approx(x.mean() - y.mean())
        assert (row["mean_a"], row["sd_b"]) == pytest.approx((x.mean(), y.std(ddof=1)))
        for effect in (hedges_g, cliffs_delta):
            columns = [effect.__name__ + end for end in ("", "_low", "_high")]
            assert tuple(row[columns]) == pytest.approx(tuple(effect(x, y, paired=paired, confidence=0.9)))
    np.testing.assert_array_equal(found["p_holm"], holm(found["p_value"]))
    assert (found["p_westfall_young"] >= found["p_value"]).all()


def test_undefined_and_constant_metrics_are_excluded_with_the_reason_and_do_not_count():
    a, b = table(6, 1.0, seed=1, columns="xyuc"), table(6, seed=2, columns="xyuc")
    a.loc[2, "u"], b.loc[1, "u"], b.loc[3, "u"] = np.nan, -np.inf, np.inf
    a["c"] = b["c"] = 0.1
    a.loc[0, "c"] = 0.1 + 1e-17

    found = run(a, b)

    assert found["excluded"].tolist() == ["", "", "undefined for 3 of 12 graphs", "the same for all graphs"]
    assert found["p_value"].isna().tolist() == [False, False, True, True]
    assert np.isnan(found.loc["u", "mean_a"])
    pd.testing.assert_frame_equal(found.iloc[:2], run(a[["x", "y"]], b[["x", "y"]]))


def test_a_family_without_members_is_reported_not_raised():
    a = pd.DataFrame({"c": [1.0, 1.0]})

    assert run(a, a)["excluded"].tolist() == ["the same for all graphs"]


def test_few_graphs_leave_room_for_the_joint_correction_only():
    """5 against 5, 15 metrics that all tell them apart: Holm's smallest value is 15·2/252."""
    rng = np.random.default_rng(0)
    names = [f"m{index}" for index in range(15)]
    a, b = (pd.DataFrame(rng.normal(size=(5, 15)) + shift, columns=names) for shift in (20, 0))

    found = run(a, b)

    assert found["p_value"].tolist() == pytest.approx([2 / 252] * 15)
    assert found["p_holm"].tolist() == pytest.approx([15 * 2 / 252] * 15)
    assert found["p_westfall_young"].max() < 0.05


def test_graphs_are_measured():
    sparse = [gt.priors.erdos_renyi_dag(12, p=0.2, seed=seed) for seed in range(4)]
    dense = [gt.priors.erdos_renyi_dag(12, p=0.7, seed=seed) for seed in range(4, 8)]
    found = gt.inference.metric_tests(sparse, dense)

    assert len(found) == 15
    assert found.loc[found["metric"] == "mean_degree", "p_value"].item() == pytest.approx(2 / 70)
    pd.testing.assert_frame_equal(
        found, gt.inference.metric_tests(gt.measure_all(sparse), gt.measure_all(dense))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "median"}, "statistic must be one of mean, rank"),
        ({"confidence": 95}, "confidence must be"),
        ({"paired": True}, "as many graphs each for paired=True"),
    ],
)
def test_what_does_not_work_is_an_error(options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        run(table(4), table(5), **options)
