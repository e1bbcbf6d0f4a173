import warnings

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import graphtask as gt


def sample(n_graphs, n_groups, *, shift=1.0, n_features=6, seed=0):
    """Features in units of very different sizes, and groups of different sizes."""
    rng = np.random.default_rng(seed)
    codes = np.sort(rng.integers(0, n_groups, size=n_graphs))
    values = rng.normal(size=(n_graphs, n_features)) + shift * codes[:, None]
    return values * 10.0 ** np.arange(n_features) + 1e3, [f"g{code}" for code in codes]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("options", "classifier", "n_groups"),
    [
        ({"method": "centroid"}, NearestCentroid(), 5),
        ({"method": "knn", "k": 1}, KNeighborsClassifier(1), 5),
        ({"method": "knn", "k": 3}, KNeighborsClassifier(3), 2),
    ],
)
def test_guesses_are_those_of_scikit_learn_with_one_graph_left_out(options, classifier, n_groups, seed):
    values, labels = sample(40, n_groups, seed=seed)
    found = gt.comparison.classify_leave_one_out(values, labels, n_permutations=1, **options)
    pipeline = make_pipeline(StandardScaler(), classifier)
    guesses = cross_val_predict(pipeline, values, labels, cv=LeaveOneOut())
    assert list(found.predictions) == guesses.tolist()
    assert found.accuracy == (guesses == np.array(labels)).mean()
    for name, row in zip(found.groups, found.counts, strict=True):
        assert row.tolist() == [
            sum(guess == other for guess, label in zip(guesses, labels, strict=True) if label == name)
            for other in found.groups
        ]


def by_hand(values, labels, k):
    """Every fold in plain words."""
    labels = np.array(labels)
    names = list(dict.fromkeys(labels))
    guesses = {"centroid": [], "knn": []}
    for index in range(len(values)):
        keep = np.arange(len(values)) != index
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice|Degrees of freedom")
            mean, spread = np.nanmean(values[keep], axis=0), np.nanstd(values[keep], axis=0)
            scaled = np.where(spread > 0, (values - mean) / spread, 0)
        scaled = np.where(np.isnan(scaled), 0, scaled)
        others, own = labels[keep], scaled[index]
        centroids = {name: scaled[keep][others == name].mean(axis=0) for name in names if name in others}
        guesses["centroid"].append(min(centroids, key=lambda name: ((centroids[name] - own) ** 2).sum()))
        nearest = others[np.argsort(((scaled[keep] - own) ** 2).sum(axis=1), kind="stable")][:k].tolist()
        guesses["knn"].append(max(nearest, key=lambda name: (nearest.count(name), -nearest.index(name))))
    return guesses


@pytest.mark.parametrize("seed", range(4))
def test_undefined_and_constant_features_count_as_the_other_graphs_say(seed):
    values, labels = sample(25, 4, seed=seed)
    rng = np.random.default_rng(seed)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 2] = 7.0
    values[3, 2] = 9.0  # the same for all but one
    values[:, 4] = np.nan
    values[5, 4] = 1.0  # undefined for all but one
    given = np.column_stack([values, ~np.isnan(values)]).astype(float)
    expected = by_hand(np.delete(given, [2 + 6], axis=1), labels, 3)
    for method, guesses in expected.items():
        assert (
            list(
                gt.comparison.classify_leave_one_out(
                    values, labels, method=method, n_permutations=1
                ).predictions
            )
            == guesses
        )


def test_of_several_groups_with_as_many_votes_the_nearest_wins():
    values = np.array([[0.0], [1.0], [2.5], [10.0], [11.0], [12.5]])
    found = gt.comparison.classify_leave_one_out(
        values, ["a", "z", "m", "a", "z", "m"], method="knn", k=3, n_permutations=1
    )
    assert found.predictions[0] == "z"


def test_nothing_leaks_from_the_graph_that_is_left_out():
    """Noise of many features and few graphs is where a leak shows: accuracy has to stay at chance."""
    rng = np.random.default_rng(5)
    labels = ["a", "b"] * 10
    found = [
        gt.comparison.classify_leave_one_out(
            rng.normal(size=(20, 30)), labels, method=method, n_permutations=19, seed=trial
        )
        for method in ("centroid", "knn")
        for trial in range(40)
    ]
    assert np.mean([one.accuracy for one in found]) == pytest.approx(
        np.mean([one.chance for one in found]), abs=0.05
    )
    assert np.mean([one.chance for one in found]) < 0.5  # because the own group is one graph smaller


def test_p_values_of_labels_without_meaning_are_uniform():
    rng = np.random.default_rng(2)
    p_values = [
        gt.comparison.classify_leave_one_out(
            rng.normal(size=(12, 3)), ["a", "b", "c"] * 4, n_permutations=19, seed=trial
        ).p_value
        for trial in range(150)
    ]
    for level in (0.05, 0.2, 0.5):
        n_below = sum(p_value <= level for p_value in p_values)
        assert binomtest(n_below, 150, level, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("method", ["centroid", "knn"])
def test_groups_far_apart_are_told_apart(method):
    values, labels = sample(50, 5, shift=20.0)
    found = gt.comparison.classify_leave_one_out(values, labels, method=method)
    assert found.accuracy == 1
    assert found.p_value == 1 / 1000
    assert found.chance < 0.35
    assert set(found.recall.values()) == {1.0}
    assert (found.confusion.to_numpy() == np.diag(found.counts.diagonal())).all()


def test_the_papers_data_sets_are_told_apart_by_their_features(paper_tables):
    table, labels = paper_tables
    found = gt.comparison.classify_leave_one_out(table, labels)
    assert found.accuracy > 0.85
    assert found.groups == ("cmnist", "ckmnist", "cfashionmnist", "cifar10", "cifar10_t8")
    assert found.features == tuple(table.columns)
    assert found.largest_share == 0.2


def test_the_interval_is_wilsons():
    values, labels = sample(30, 3)
    found = gt.comparison.classify_leave_one_out(values, labels, confidence=0.9, n_permutations=1)
    n, z = 30, 1.6448536269514722
    middle = (found.accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(found.accuracy * (1 - found.accuracy) / n + z**2 / (4 * n**2))
    assert found.interval == pytest.approx((middle - half, middle + half))


def test_the_same_seed_gives_the_same_result_and_rows_hold_it():
    values, labels = sample(30, 3, shift=0.3)
    rows = [
        gt.comparison.classify_leave_one_out(values, labels, seed=seed, n_permutations=99).row()
        for seed in (0, 0, 1)
    ]
    assert rows[0] == rows[1]
    assert rows[0]["chance"] != rows[2]["chance"]
    assert rows[0]["accuracy"] == rows[2]["accuracy"]
    assert (rows[0]["n_graphs"], rows[0]["n_groups"], rows[0]["n_features"]) == (30, 3, 6)


def test_a_group_of_one_is_said_to_be_hopeless():
    values, labels = sample(20, 2)
    labels[4] = "alone"
    for method in ("centroid", "knn"):
        found = gt.comparison.classify_leave_one_out(values, labels, method=method, n_permutations=9)
        assert found.recall["alone"] == 0
        assert found.notes[0] == "alone: one graph only, which cannot be predicted correctly"


def test_more_neighbors_than_graphs_are_all_of_them():
    values, labels = sample(5, 2)
    found = gt.comparison.classify_leave_one_out(values, labels, method="knn", k=99, n_permutations=1)
    assert (
        found.predictions
        == gt.comparison.classify_leave_one_out(
            values, labels, method="knn", k=4, n_permutations=1
        ).predictions
    )


def test_graphs_are_told_apart_by_any_metrics():
    graphs = [gt.random_dag(10, seed=seed) for seed in range(4)] + [
        gt.chain_dag(8 + seed) for seed in range(4)
    ]
    found = gt.comparison.classify_leave_one_out(
        graphs, ["random"] * 4 + ["chain"] * 4, features=["mean_degree"], n_permutations=99
    )
    assert found.accuracy == 1
    assert found.features == ("mean_degree",)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ("aaaa", {}, "at least two groups"),
        ("abcd", {}, "only groups of one"),
        ("aab", {}, "3 labels for 4 graphs"),
        (["a", "a", "b", ""], {}, "1 empty ones for 4 graphs"),
        ("aabb", {"method": "svm"}, "method must be"),
        ("aabb", {"k": 0}, "k must be"),
        ("aabb", {"n_permutations": 0}, "n_permutations must be"),
        ("aabb", {"seed": -1}, "seed must be"),
        ("aabb", {"confidence": 95}, "confidence must be"),
    ],
)
def test_bad_arguments_are_errors(labels, options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        gt.comparison.classify_leave_one_out(np.eye(4), list(labels), **options)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["centroid", "knn"])
def test_ten_thousand_graphs_are_no_problem(method):
    values, labels = sample(10_000, 5, n_features=15)
    assert (
        gt.comparison.classify_leave_one_out(values, labels, method=method, n_permutations=19).p_value
        == 1 / 20
    )
