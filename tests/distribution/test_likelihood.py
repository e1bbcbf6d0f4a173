import numpy as np
import pytest
from distribution.sets import prunings

import graphtask as gt
from graphtask.distribution.model import GraphDistribution

SHORT = [gt.random_dag(20, rate=5.0, block=2, seed=seed) for seed in range(6)]
LONG = [gt.random_dag(20, decay="none", seed=seed) for seed in range(6)]


@pytest.mark.parametrize("correspond", [True, False])
@pytest.mark.parametrize("nodes", ["present", "all"])
@pytest.mark.parametrize("shrinkage", ["auto", 2.0])
def test_leaving_one_out_is_fitting_to_the_others(correspond, nodes, shrinkage):
    graphs = prunings(5, seed=0, keep=0.5)
    options = {"correspond": correspond, "nodes": nodes, "shrinkage": shrinkage}
    expected = [
        GraphDistribution.fit([*graphs[:index], *graphs[index + 1 :]], **options).log_prob(graph)
        for index, graph in enumerate(graphs)
    ]
    np.testing.assert_allclose(gt.loo_log_prob(graphs, **options), expected)


def test_the_most_likely_distribution_is_that_of_the_own_kind():
    fitted = {"short": GraphDistribution.fit(SHORT[1:]), "long": GraphDistribution.fit(LONG[1:])}
    for name, graph in (("short", SHORT[0]), ("long", LONG[0])):
        found = gt.most_likely(graph, fitted)
        assert found.name == name
        assert found.log_prob == {key: one.log_prob(graph) for key, one in fitted.items()}
        assert sum(found.posterior.values()) == pytest.approx(1)
        assert found.posterior[name] > 0.99


def test_posteriors_follow_bayes():
    fitted = {str(s): GraphDistribution.fit(SHORT, shrinkage=s) for s in (5.0, 6.0)}
    found = gt.most_likely(SHORT[0], fitted)
    a, b = found.log_prob.values()
    assert found.posterior["5.0"] == pytest.approx(1 / (1 + np.exp(b - a)))


def test_a_graph_that_is_impossible_everywhere_comes_from_nowhere():
    band = GraphDistribution.fit([gt.banded_dag(8, bandwidth=2)])
    found = gt.most_likely(gt.full_dag(8), {"band": band})
    assert found.name is None
    assert np.isnan(found.posterior["band"])
    full = GraphDistribution.fit([gt.full_dag(8)])
    assert gt.most_likely(gt.full_dag(8), {"band": band, "full": full}).name == "full"


def test_data_sets_are_told_apart_by_graphs_that_were_left_out():
    rows = gt.loo_most_likely([*SHORT, *LONG], ["short"] * 6 + ["long"] * 6)
    assert rows["label"].tolist() == ["short"] * 6 + ["long"] * 6
    assert rows["correct"].all()
    np.testing.assert_allclose(rows["log_prob_short"][:6], gt.loo_log_prob(SHORT))
    own = GraphDistribution.fit(LONG, correspond=False)
    np.testing.assert_allclose(rows["log_prob_long"][:6], [own.log_prob(graph) for graph in SHORT])


def test_labels_that_say_nothing_are_found_by_chance_only():
    graphs = prunings(24, seed=3, nodes=10, keep=0.5)
    rows = gt.loo_most_likely(graphs, ["a", "b"] * 12)
    # The own distribution has one graph less, so chance is below a half.
    assert rows["correct"].sum() <= 19


def test_corresponding_nodes_share_one_universe():
    sparse, dense = (prunings(5, seed=seed, nodes=10, keep=keep) for seed, keep in ((4, 0.25), (5, 0.8)))
    rows = gt.loo_most_likely([*sparse, *dense], [0] * 5 + [1] * 5)
    assert rows["correct"].mean() >= 0.8
    assert np.isfinite(rows[["log_prob_0", "log_prob_1"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gt.loo_log_prob(SHORT[:1]), "at least two"),
        (lambda: gt.most_likely(SHORT[0], {}), "no distribution"),
        (lambda: gt.loo_most_likely(SHORT, ["a"]), "1 label for 6 graphs"),
        (lambda: gt.loo_most_likely(SHORT, ["a"] * 6), "same label"),
        (lambda: gt.loo_most_likely(SHORT, ["a"] * 5 + ["b"]), "'b' has one graph"),
    ],
)
def test_what_cannot_be_compared_is_named(call, message):
    with pytest.raises(gt.ArgumentError, match=message):
        call()


def test_likelihoods_of_different_kinds_are_not_compared():
    graphs = prunings(3, seed=6)
    kinds = {str(same): GraphDistribution.fit(graphs, correspond=same) for same in (True, False)}
    with pytest.raises(gt.ArgumentError, match="likelihoods do not compare"):
        gt.most_likely(graphs[0], kinds)
