import itertools

import numpy as np
import pytest
from distribution.sets import every_graph, known_model, prunings
from hypothesis import given, settings
from hypothesis import strategies as st

import graphtask as gt
from graphtask.distribution.pair_model import count_pairs, fit_pair_model
from graphtask.distribution.repair import repaired_graph
from graphtask.distribution.support import Support, common_support


def outcomes(model):
    """Every set of nodes with the input and the output, with every set of possible edges between them."""
    names, stage = list(model.support.names), model.support.stage.tolist()
    possible = {tuple(pair) for pair in model.support.pairs.tolist()}
    inner = range(1, len(names) - 1)
    for size in range(len(inner) + 1):
        for chosen in itertools.combinations(inner, size):
            nodes = [0, *chosen, len(names) - 1]
            pairs = [
                (i, j)
                for i, j in itertools.combinations(range(len(nodes)), 2)
                if (nodes[i], nodes[j]) in possible
            ]
            yield from every_graph([names[node] for node in nodes], [stage[node] for node in nodes], pairs)


@pytest.mark.parametrize("prior", [gt.full_dag(5, stages=2), gt.banded_dag(5, bandwidth=2)])
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_probabilities_of_all_graphs_add_up_to_one_before_conditioning(prior, seed):
    graph = prior.copy()
    graph.es["weight"] = np.random.default_rng(seed).random(graph.ecount()).tolist()
    graphs = [gt.prune(graph, threshold=gt.critical_threshold(graph) * share) for share in (1.0, 0.7, 0.3)]
    support = Support.of(prior)
    counts = count_pairs([support.membership(one) for one in graphs], support)
    model = fit_pair_model(support, counts)
    values = np.array([model.log_prob(one)[0] for one in outcomes(model)])
    assert np.exp(values).sum() == pytest.approx(1, abs=1e-10)
    edges = np.array([one.ecount() for one in outcomes(model)])
    assert np.exp(values) @ edges == pytest.approx(model.probability.sum())


def fitted_to(model, n_graphs, seed, **options):
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = [repaired_graph(model.draw, shift=0.0, rng=rng) for _ in range(n_graphs)]
    assert sum(sample.n_added + sample.n_dropped + sample.n_redrawn for sample in drawn) == 0
    places = [model.support.membership(sample.graph) for sample in drawn]
    counts = count_pairs(places, model.support)
    return fit_pair_model(model.support, counts, **options)


@pytest.mark.parametrize("certain_nodes", [True, False])
def test_the_fit_recovers_a_known_model(certain_nodes):
    truth = known_model(0, certain_nodes=certain_nodes)
    n = 3000
    fitted = fitted_to(truth, n, 1)
    for found, known, trials in (
        (fitted.edge, truth.edge, fitted.counts.together),
        (fitted.presence, truth.presence, np.full(9, n)),
    ):
        chance = (known > 0) & (known < 1)
        if not chance.any():
            continue
        z = (found - known)[chance] / np.sqrt(known * (1 - known) / trials)[chance]
        # Of 28 standard normal numbers one lies beyond 4.5 with probability 2e-4; their mean square is 1 ± 0.27.
        assert np.abs(z).max() < 4.5
        assert 0.3 < (z**2).mean() < 2.2
        assert np.abs(found - known)[~chance].max() < 0.01


def test_estimates_come_nearer_with_more_graphs():
    truth = known_model(2)
    errors = [np.abs(fitted_to(truth, n, 3).edge - truth.edge).mean() for n in (10, 200, 4000)]
    assert errors[0] > 2.5 * errors[1] > 2.5 * 2.5 * errors[2]


def test_shrinkage_predicts_new_graphs_better_than_raw_frequencies_and_than_pooled_rates():
    truth = known_model(4, nodes=14)
    fresh = [
        repaired_graph(truth.draw, shift=0.0, rng=np.random.default_rng(seed)).graph for seed in range(200)
    ]

    def held_out(strength):
        model = fitted_to(truth, 6, 5, strength=strength)
        return np.mean([model.log_prob(graph)[0] for graph in fresh])

    assert held_out(0) == -np.inf
    assert held_out(None) > held_out(0.05) + 5
    assert held_out(None) > held_out(np.inf) + 1


def test_the_posterior_mean_is_that_of_the_beta_prior():
    graphs = prunings(7, seed=5)
    support = common_support(graphs)
    counts = count_pairs([support.membership(graph) for graph in graphs], support)
    model = fit_pair_model(support, counts, strength=3.0)
    expected = (counts.edges + 3 * model.class_rate) / (counts.together + 3)
    np.testing.assert_allclose(model.edge, expected)


def test_counts_are_those_of_counting():
    graphs = prunings(6, seed=6, keep=0.4)
    support = common_support(graphs)
    counts = count_pairs([support.membership(graph) for graph in graphs], support)
    for row, (source, target) in enumerate(support.pairs.tolist()):
        ends = support.names[source], support.names[target]
        both = [graph for graph in graphs if set(ends) <= set(graph.vs["name"])]
        assert counts.together[row] == len(both)
        assert counts.edges[row] == sum(graph.are_adjacent(*ends) for graph in both)
    assert counts.nodes.sum() == sum(graph.vcount() for graph in graphs)


def test_what_is_impossible_is_named():
    chain = gt.chain_dag(4, stages=1)
    support = Support.of(gt.full_dag(4, stages=1))
    counts = count_pairs([support.membership(chain)], support)
    raw = fit_pair_model(support, counts, strength=0)
    assert raw.log_prob(chain) == (0.0, "")
    assert raw.log_prob(gt.full_dag(4, stages=1)) == (
        -np.inf,
        "no graph has the edge 'v0' → 'v2', and nothing was shrunk",
    )
    short = chain.copy()
    short.delete_vertices([3])
    assert raw.log_prob(short)[1] == "node 'v3' is always present"
    assert fit_pair_model(support, counts).log_prob(gt.full_dag(4, stages=1))[0] > -np.inf
    assert raw.log_prob(gt.full_dag(5, stages=1))[0] == -np.inf
