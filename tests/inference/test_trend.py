from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import page_trend_test, somersd, spearmanr

import graphtask as gt
from graphtask.inference.multiple import holm

ORDER = ["low", "middle", "high"]


def table(per_label, shift=0.0, seed=0, columns="xy", ties=False):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(rng.normal(size=(3 * per_label, len(columns))), columns=list(columns))
    rows["data"] = np.repeat(ORDER, per_label)
    rows["seed"] = np.tile(np.arange(per_label), 3)
    rows[list(columns)] += shift * np.repeat([0, 1, 2], per_label)[:, None]
    if ties:
        rows[list(columns)] = rows[list(columns)].round()
    return rows.sample(frac=1, random_state=seed)


def run(rows, **options):
    options = {"by": "data", "order": ORDER, "features": ["x", "y"]} | options
    return gt.inference.trend_test(rows, **options).set_index("metric")


def jonckheere(groups):
    """The sum of the Mann-Whitney counts of all pairs of samples, ties counted half."""
    return sum(
        (x < y) + 0.5 * (x == y) for first, second in combinations(groups, 2) for x in first for y in second
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("direction", ["rise", "fall", "any"])
def test_the_unblocked_test_is_that_of_jonckheere_and_terpstra_over_all_relabelings(ties, direction):
    rows = table(2, shift=0.7, seed=3, ties=ties)
    found = run(rows, direction=direction)

    for name in "xy":
        values = np.concatenate([rows.loc[rows["data"] == label, name] for label in ORDER])
        null = [jonckheere(np.asarray(order).reshape(3, 2)) for order in permutations(values)]
        centered = np.asarray(null) - 6  # of 12 pairs
        centered = {"rise": centered, "fall": -centered, "any": np.abs(centered)}[direction]
        assert found.loc[name, "p_value"] == pytest.approx((centered >= centered[0] - 1e-9).mean())
        assert found.loc[name, "trend"] == pytest.approx((null[0] - 6) / 6)
    assert found["exact"].all()
    assert set(found["n_permutations"]) == {90}


def test_the_trend_is_the_asymmetric_rank_correlation_of_somers():
    rows = table(6, shift=0.5, ties=True)
    ranks = rows["data"].map(ORDER.index)

    assert run(rows).loc["x", "trend"] == pytest.approx(somersd(ranks, rows["x"]).statistic)


@pytest.mark.parametrize("seed", range(4))
def test_the_blocked_test_is_that_of_page(seed):
    rows = table(5, shift=0.5, seed=seed)
    found = run(rows, block="seed", direction="rise")

    for name in "xy":
        blocks = rows.pivot_table(index="seed", columns="data", values=name)[ORDER].to_numpy()
        assert found.loc[name, "p_value"] == pytest.approx(page_trend_test(blocks, method="exact").pvalue)
        correlations = [spearmanr(block, [0, 1, 2]).statistic for block in blocks]
        assert found.loc[name, "trend"] == pytest.approx(np.mean(correlations))
    assert (found["exact"].all(), set(found["n_permutations"])) == (True, {6**5})


def test_blocks_see_what_differences_between_blocks_hide():
    rows = table(8, shift=0.3)
    rows["x"] += 100 * rows["seed"] - 0.9 * rows["x"]

    assert run(rows, direction="rise").loc["x", "p_value"] > 0.05
    assert run(rows, direction="rise", block="seed").loc["x", "p_value"] < 0.01


def test_random_relabelings_agree_with_all_of_them():
    rows = table(4, shift=0.4, seed=1)

    exact, sampled = run(rows, n_permutations=40_000), run(rows, n_permutations=20_000)

    assert (exact["exact"].all(), sampled["exact"].any()) == (True, False)
    np.testing.assert_allclose(sampled["p_value"], exact["p_value"], atol=0.015)
    pd.testing.assert_frame_equal(sampled, run(rows, n_permutations=20_000))


@pytest.mark.parametrize("block", [None, "seed"])
def test_reversed_orders_and_signs_mirror_the_result(block):
    rows = table(4, shift=0.5, seed=2)
    mirrored = rows.assign(x=-rows["x"], y=-rows["y"])

    rise = run(rows, direction="rise", block=block, n_permutations=40_000)
    for other in (
        run(rows, direction="fall", order=ORDER[::-1], block=block, n_permutations=40_000),
        run(mirrored, direction="fall", block=block, n_permutations=40_000),
    ):
        np.testing.assert_allclose(other["p_value"], rise["p_value"])
        np.testing.assert_allclose(other["trend"], -rise["trend"])


def test_expectations_choose_what_is_tested_and_holm_corrects_it():
    rows = table(3, shift=1, columns="xyz")
    found = run(rows, features=None, direction={"z": "rise", "x": "fall"})

    assert found["direction"].to_dict() == {"z": "rise", "x": "fall"}
    np.testing.assert_array_equal(found["p_holm"], holm(found["p_value"]))
    assert found.loc["z", "p_value"] < 0.05 < found.loc["x", "p_value"]
    assert found.loc["z", "mean_middle"] == pytest.approx(rows.loc[rows["data"] == "middle", "z"].mean())


def test_two_labels_are_a_rank_test_of_two_sets():
    rows = table(5, shift=0.5)
    found = run(rows, order=["low", "high"])
    a, b = (rows[rows["data"] == label][["x", "y"]] for label in ("high", "low"))

    both = gt.inference.metric_tests(a, b, features=["x", "y"], statistic="rank").set_index("metric")
    np.testing.assert_allclose(found["p_value"], both["p_value"])
    np.testing.assert_allclose(found["trend"], both["cliffs_delta"])
    assert set(found["n"]) == {10}


def test_undefined_and_constant_metrics_are_excluded_with_the_reason():
    rows = table(3, columns="xyuc")
    rows.iloc[0, 2], rows["c"] = np.nan, 1

    found = run(rows, features=list("xyuc"))

    assert found["excluded"].tolist() == ["", "", "undefined for 1 of 9 graphs", "the same for all graphs"]
    assert found["p_value"].isna().tolist() == [False, False, True, True]
    pd.testing.assert_frame_equal(found.iloc[:2], run(rows))
    assert run(rows[rows["seed"] == 0].assign(x=1, y=1))["p_value"].isna().all()


def test_blocks_that_lack_a_label_are_left_out_and_counted():
    rows = table(4, seed=1)
    partial = rows[~((rows["seed"] == 2) & (rows["data"] == "high"))]
    found = run(partial, block="seed")

    assert (set(found["blocks"]), set(found["blocks_left_out"]), set(found["n"])) == ({3}, {1}, {9})
    expected = run(rows[rows["seed"] != 2], block="seed")
    np.testing.assert_array_equal(found["p_value"], expected["p_value"])


def test_graphs_of_the_paper_are_tested_by_its_features():
    graphs = [
        gt.priors.erdos_renyi_dag(12, p=p, seed=seed)
        for seed, p in enumerate([0.2] * 3 + [0.4] * 3 + [0.7] * 3)
    ]
    rows = gt.measure_all(graphs).assign(data=np.repeat(ORDER, 3))
    found = gt.inference.trend_test(rows, by="data", order=ORDER).set_index("metric")

    assert len(found) == 15
    assert found.loc["mean_degree", "trend"] == 1
    assert found.loc["mean_degree", "p_value"] == pytest.approx(2 / 1680)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": ["low"]}, r"order must be at least two different labels"),
        ({"order": ["low", "low"]}, "order must be at least two different labels"),
        ({"order": ["low", "huge"]}, "order must be labels that occur in the column 'data'"),
        ({"by": "set"}, "by must be a column of the table"),
        ({"block": "day"}, "block must be a column of the table"),
        ({"block": "data"}, "block must have each label once, got 'low' 3 times"),
        ({"direction": "up"}, "direction must be one of any, rise, fall"),
        ({"direction": {"x": "sideways"}}, "direction must be"),
        ({"features": ["data"]}, "features must be numeric columns, got 'data'"),
    ],
)
def test_what_does_not_work_is_an_error(options, message):
    rows = table(3).sort_index()

    with pytest.raises(gt.errors.ArgumentError, match=message):
        run(rows, **options)


def test_a_study_without_any_whole_block_is_an_error():
    rows = table(2)
    rows["seed"] = np.arange(6)

    with pytest.raises(
        gt.errors.ArgumentError, match="block must be a column with a block that has all of low, middle, high"
    ):
        run(rows, block="seed")
    with pytest.raises(gt.errors.ArgumentError, match="table must be a table"):
        run([1, 2])
