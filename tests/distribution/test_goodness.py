from functools import cache

import numpy as np
import pytest
from distribution.sets import known_model, prunings
from scipy.stats import binom, cramervonmises_2samp

import graphtask as gt
from graphtask.distribution.goodness import _gaps, goodness_of_fit

pytestmark = pytest.mark.usefixtures("rough_sizes")

METRICS = ["nodes", "edges", "log_paths", "mean_path"]


def check(graphs, **options):
    return goodness_of_fit(graphs, **{"metrics": METRICS, **options}).set_index("metric")


@pytest.mark.parametrize("ties", [False, True])
def test_the_difference_is_the_statistic_of_cramer_and_von_mises(ties):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 1)), rng.normal(size=(12, 1)) + 0.5
    if ties:
        x, y = x.round(), y.round()
    both = np.concatenate([x, y]).ravel()
    square = [((x <= at).mean() - (y <= at).mean()) ** 2 for at in both]
    assert _gaps(x, y) == pytest.approx([np.mean(square)])
    if not ties:  # scipy takes mean ranks
        # T of Anderson (1962) is nm/(n + m)² times the sum.
        assert _gaps(x, y) * 7 * 12 / 19 == pytest.approx(
            [cramervonmises_2samp(x.ravel(), y.ravel()).statistic]
        )


def test_what_is_undefined_is_less_than_everything():
    nothing = np.array([[np.nan], [1.0]])
    assert _gaps(nothing, nothing) == [0]
    assert _gaps(nothing, np.array([[-np.inf], [1.0]])) == [0]
    assert _gaps(nothing, np.array([[0.0], [1.0]])) > 0


@cache
def truth():
    model = known_model(3, certain_nodes=False)
    return gt.GraphDistribution(model, 10, model.presence.sum(), model.probability.sum())


def assert_rejected_as_often_as_it_may_be(n_graphs, n_experiments):
    """Of 6 rounds, the observed one is the most extreme in a sixth of the experiments; for ln P see docs/testing.md."""
    p = np.stack(
        [
            check(
                truth().sample(n_graphs, seed=seed), correspond=True, n_refits=5, n_sampled=20, seed=seed
            ).loc[METRICS, "p_value"]
            for seed in range(n_experiments)
        ]
    )
    assert ((p < 0.2).sum(axis=0) <= binom.isf(1e-5, n_experiments, 1 / 6)).all()
    assert ((p > 0.5).sum(axis=0) >= binom.ppf(1e-5, n_experiments, 1 / 2)).all()


@pytest.mark.slow
@pytest.mark.parametrize("n_graphs", [10, 20])
def test_a_true_model_is_rejected_as_often_as_it_may_be_(n_graphs):
    assert_rejected_as_often_as_it_may_be(n_graphs, 100)


@pytest.mark.slow
def test_graphs_that_vary_more_than_independent_edges_are_found_out_and_plain_ones_are_not():
    """One half thin, the other thick: all edges of a graph go together, which no edge by itself shows."""
    plain = prunings(10, seed=0, nodes=12, stages=3, keep=0.5)
    mixed = [
        *prunings(5, seed=1, nodes=12, stages=3, keep=0.25),
        *prunings(5, seed=2, nodes=12, stages=3, keep=0.75),
    ]
    assert check(plain, n_refits=39).loc["edges", "p_value"] > 0.05
    found = check(mixed, n_refits=39)
    assert found.loc["edges", "p_westfall_young"] <= 0.05
    # The same table without allowing for the fit does not see it.
    samples = gt.GraphDistribution.fit(mixed).sample(50, seed=0)
    lenient = gt.GraphDistribution.compare_metrics(mixed, samples, metrics=METRICS).set_index("metric")
    assert lenient.loc["edges", "p_value"] > found.loc["edges", "p_value"]


def test_the_same_seed_gives_the_same_table_and_another_one_another():
    graphs = prunings(3, seed=0, nodes=5)
    first, second, other = (check(graphs, n_refits=2, n_sampled=8, seed=seed) for seed in (1, 1, 2))
    assert first.equals(second)
    assert not first.equals(other)


@pytest.mark.parametrize("correspond", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_both_models_are_checked(correspond):
    graphs = prunings(5, seed=3, nodes=6)
    found = check(graphs, correspond=correspond, n_refits=2, n_sampled=10)
    assert list(found.index) == [*METRICS, "log_prob"]
    assert found["observed_mean"]["edges"] == np.mean([graph.ecount() for graph in graphs])
    fitted = gt.GraphDistribution.fit(graphs, correspond=correspond)
    assert found["observed_mean"]["log_prob"] == pytest.approx(
        np.mean([fitted.log_prob_before_conditioning(graph)[0] for graph in graphs])
    )
    assert (found["n_observed"] == 5).all()
    assert (found["n_sampled"] == 10).all()
    assert found["p_value"].dropna().between(0.3, 1).all()
    assert (found["p_westfall_young"] >= found["p_value"] - 1e-12)[found["p_value"].notna()].all()


@pytest.mark.parametrize("graphs", [[gt.banded_dag(6, bandwidth=3)], [gt.full_dag(5)] * 3])
def test_one_graph_and_equal_graphs_have_a_table(graphs):
    found = check(graphs, n_refits=2, n_sampled=10)
    assert (found["p_value"].isna() | found["p_value"].between(0.3, 1)).all()


@pytest.mark.slow
def test_a_metric_that_only_one_side_has_is_not_tested():
    graphs = [
        gt.priors.erdos_renyi_dag(6, p=0.5, seed=seed) for seed in range(4)
    ]  # their initial graphs differ
    found = goodness_of_fit(graphs, metrics=["sparsity", "edges"], n_refits=2, n_sampled=10).set_index(
        "metric"
    )
    assert found.loc["sparsity", "n_sampled"] == 0
    assert np.isnan(found.loc["sparsity", "p_value"])
    assert np.isfinite(found.loc["edges", "p_value"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_refits": 0}, "n_refits"),
        ({"n_sampled": 0}, "n_sampled"),
        ({"seed": -1}, "seed"),
        ({"shrinkage": -1}, "shrinkage"),
        ({"correspond": "maybe"}, "correspond"),
        ({"metrics": ["nonsense"]}, "nonsense"),
    ],
)
def test_what_does_not_work_is_an_error(options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        goodness_of_fit(prunings(2, seed=0), **options)
