import numpy as np
import pytest
from distribution.sets import prunings

import graphtask as gt
from graphtask.distribution.model import GraphDistribution, fitted, support_of

pytestmark = pytest.mark.usefixtures("rough_sizes")

SHORT = [gt.random_dag(14, rate=5.0, block=2, seed=seed) for seed in range(4)]
LONG = [gt.random_dag(14, decay="none", seed=seed) for seed in range(4)]


@pytest.mark.parametrize("correspond", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shrinkage", [2.0])
def test_leaving_one_out_is_fitting_to_the_others(correspond, shrinkage):
    graphs = prunings(3, seed=0, nodes=6, keep=0.6)
    options = {"correspond": correspond, "shrinkage": shrinkage}
    support = support_of(graphs, correspond=correspond, initial=None)
    expected = [
        # The stages and distances of the graph itself stay possible.
        fitted([*graphs[:index], *graphs[index + 1 :]], support, strength=shrinkage, others=[graph]).log_prob(
            graph
        )
        for index, graph in enumerate(graphs)
    ]
    np.testing.assert_allclose(gt.GraphDistribution.log_prob_leave_one_out(graphs, **options), expected)


def test_the_most_likely_distribution_is_that_of_the_own_kind():
    fitted = {"short": GraphDistribution.fit(SHORT[1:]), "long": GraphDistribution.fit(LONG[1:])}
    for name, graph in (("short", SHORT[0]), ("long", LONG[0])):
        found = gt.GraphDistribution.most_likely(graph, fitted)
        assert found.name == name
        assert found.log_prob == {key: one.log_prob(graph) for key, one in fitted.items()}
        assert sum(found.posterior.values()) == pytest.approx(1)
        assert found.posterior[name] > 0.99


def test_posteriors_follow_bayes():
    fitted = {str(s): GraphDistribution.fit(SHORT, shrinkage=s) for s in (5.0, 6.0)}
    found = gt.GraphDistribution.most_likely(SHORT[0], fitted)
    a, b = found.log_prob.values()
    assert found.posterior["5.0"] == pytest.approx(1 / (1 + np.exp(b - a)))


def test_a_graph_that_is_impossible_everywhere_comes_from_nowhere():
    band = GraphDistribution.fit([gt.banded_dag(8, bandwidth=2)])
    found = gt.GraphDistribution.most_likely(gt.full_dag(8), {"band": band})
    assert found.name is None
    assert np.isnan(found.posterior["band"])
    full = GraphDistribution.fit([gt.full_dag(8)])
    with pytest.raises(gt.errors.ArgumentError, match="the possible nodes and edges differ"):
        gt.GraphDistribution.most_likely(gt.full_dag(8), {"band": band, "full": full})


@pytest.mark.slow
def test_data_sets_are_told_apart_by_graphs_that_were_left_out():
    rows = gt.GraphDistribution.most_likely([*SHORT, *LONG], ["short"] * 4 + ["long"] * 4, leave_one_out=True)
    assert rows["label"].tolist() == ["short"] * 4 + ["long"] * 4
    assert rows["correct"].all()
    # The others are fitted without one graph each, too: the mean over all of them.
    held_out = [GraphDistribution.fit([*LONG[:index], *LONG[index + 1 :]]) for index in range(4)]
    expected = np.mean([[own.log_prob(graph) for graph in SHORT] for own in held_out], axis=0)
    np.testing.assert_allclose(rows["log_prob_long"][:4], expected, atol=0.5)


def test_labels_that_say_nothing_are_found_by_chance_only():
    """With equal sizes of the fits neither label has an advantage: half of the predictions are correct on average."""
    correct = []
    for seed in range(5):
        graphs = prunings(6, seed=30 + seed, nodes=8, keep=0.5)
        correct += gt.GraphDistribution.most_likely(graphs, ["a", "b"] * 3, leave_one_out=True)[
            "correct"
        ].tolist()
    assert 7 <= sum(correct) <= 23  # of 30: beyond with probability 0.003 for independent ones


def test_corresponding_nodes_share_one_support():
    sparse, dense = (prunings(5, seed=seed, nodes=10, keep=keep) for seed, keep in ((4, 0.25), (5, 0.8)))
    rows = gt.GraphDistribution.most_likely([*sparse, *dense], [0] * 5 + [1] * 5, leave_one_out=True)
    assert rows["correct"].mean() >= 0.8
    assert np.isfinite(rows[["log_prob_0", "log_prob_1"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gt.GraphDistribution.log_prob_leave_one_out(SHORT[:1]), "at least two"),
        (lambda: gt.GraphDistribution.most_likely(SHORT[0], {}), "groups must be"),
        (lambda: gt.GraphDistribution.most_likely(SHORT, ["a"], leave_one_out=True), "1 label for 4 graphs"),
        (
            lambda: gt.GraphDistribution.most_likely(SHORT, ["a"] * 4, leave_one_out=True),
            "at least two different",
        ),
        (
            lambda: gt.GraphDistribution.most_likely(SHORT, ["a"] * 3 + ["b"], leave_one_out=True),
            "one graph of 'b'",
        ),
    ],
)
def test_what_cannot_be_compared_is_named(call, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        call()


def test_likelihoods_of_different_kinds_are_not_compared():
    graphs = prunings(3, seed=6)
    kinds = {str(same): GraphDistribution.fit(graphs, correspond=same) for same in (True, False)}
    with pytest.raises(gt.errors.ArgumentError, match="same possible graphs"):
        gt.GraphDistribution.most_likely(graphs[0], kinds)
