"""Graphs of igraph and networkx are accepted wherever graphs are; anything else is refused."""

import networkx as nx
import numpy as np
import pytest

import graphtask as gt
from graphtask.inference.kernels import wl_kernel

GRAPHS = [gt.priors.erdos_renyi_dag(8, p=p, seed=seed) for p in (0.3, 0.8) for seed in range(3)]
OTHERS = [gt.to_networkx(graph) for graph in GRAPHS]
LABELS = ["a"] * 3 + ["b"] * 3


def test_different_sets_of_networkx_graphs_differ():
    """Their node ids were taken for features: p = 1."""
    chains = [nx.path_graph(4, create_using=nx.DiGraph) for _ in range(6)]
    stars = [nx.DiGraph([(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]) for _ in range(6)]
    assert gt.two_sample_test(chains, stars).p_value == pytest.approx(2 / 924)


@pytest.mark.parametrize(
    "call",
    [
        lambda graphs: gt.features_of(graphs).values,
        lambda graphs: gt.two_sample_test(graphs[:3], graphs[3:]).statistic,
        lambda graphs: gt.two_sample_test(graphs[:3], graphs[3:], method="wl").statistic,
        lambda graphs: gt.inference.metric_tests(graphs[:3], graphs[3:])["p_value"],
        lambda graphs: gt.inference.pairwise_tests({"a": graphs[:3], "b": graphs[3:]})["p_value"],
        lambda graphs: (
            gt.inference.classifier_test(
                graphs[:3], [gt.full_dag(8)] * 3, n_permutations=3, steps=2
            ).statistic
        ),
        lambda graphs: gt.comparison.embed(graphs).points,
        lambda graphs: gt.compare(graphs, LABELS).dsc,
        lambda graphs: gt.comparison.pairwise_dice_similarity(graphs),
        lambda graphs: gt.comparison.rbf_similarity(graphs),
        lambda graphs: gt.dice_similarity(graphs[0], graphs[1]),
        lambda graphs: wl_kernel(graphs),
        lambda graphs: gt.GraphDistribution.compare_metrics(graphs[:3], graphs[3:], metrics=["edges"])[
            "p_value"
        ],
        pytest.param(
            lambda graphs: gt.GraphDistribution.fit(graphs[:3], correspond=False).log_prob(graphs[3]),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_networkx_graphs_give_what_igraph_graphs_give(call):
    np.testing.assert_array_equal(call(OTHERS), call(GRAPHS))


@pytest.mark.parametrize(
    "wrong", [["text"] * 6, [object()] * 6, [{1: 2}] * 6, "text", [None] * 6, [[gt.full_dag(3)]] * 6]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda graphs: gt.features_of(graphs),
        lambda graphs: gt.two_sample_test(graphs, graphs),
        lambda graphs: gt.two_sample_test(graphs, graphs, method="wl"),
        lambda graphs: gt.inference.metric_tests(graphs, graphs),
        lambda graphs: gt.inference.classifier_test(graphs, graphs),
        lambda graphs: gt.comparison.embed(graphs),
        lambda graphs: gt.compare(graphs, LABELS),
        lambda graphs: wl_kernel(graphs),
        lambda graphs: gt.GraphDistribution.fit(graphs),
        lambda graphs: gt.GraphDistribution.compare_metrics(graphs, graphs),
    ],
)
def test_anything_else_is_refused_in_one_line(call, wrong):
    with pytest.raises(gt.GraphtaskError, match=r"must be") as error:
        call(wrong)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
