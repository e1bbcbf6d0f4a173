import itertools

import numpy as np
import pytest
from distribution.sets import every_graph, prunings
from helpers import random_graphs

import graphtask as gt
from graphtask.distribution.distances import DistanceRates, distance_class
from graphtask.distribution.orders import canonical, sampled_orders
from graphtask.distribution.sizes import SizeDistribution
from graphtask.distribution.stage_model import StageModel, count_stages, fit_stage_model


def fitted(graphs, **options):
    return fit_stage_model([canonical(graph) for graph in graphs], **options)


def role_of(stage, place, n_stages):
    return n_stages if place == 0 else n_stages + 1 if place == len(stage) - 1 else stage[place]


def test_counts_are_those_of_counting():
    graphs = [canonical(graph) for graph in random_graphs(8, seed=0)]
    orders = [sampled_orders(graph, 1, seed=3) for graph in graphs]
    counts = count_stages(graphs, orders)
    pairs, edges = np.zeros_like(counts.pairs), np.zeros_like(counts.edges)
    n_stages = counts.sizes.shape[1]
    for graph, order in zip(graphs, orders, strict=True):
        stage, has = graph.stage.tolist(), graph.matrix[np.ix_(order[0], order[0])]
        assert not np.tril(has).any()
        for i, j in itertools.combinations(range(len(stage)), 2):
            cell = (
                role_of(stage, i, n_stages),
                role_of(stage, j, n_stages),
                distance_class(np.array([j - i]))[0],
            )
            pairs[cell] += 1
            edges[cell] += has[i, j]
    assert np.array_equal(counts.pairs, pairs)
    assert np.array_equal(counts.edges, edges)
    assert (2 + counts.sizes.sum(axis=1)).tolist() == [len(graph.stage) for graph in graphs]


def test_means_over_orders_keep_the_number_of_edges():
    graphs = [canonical(graph) for graph in random_graphs(5, seed=4)]
    counts = count_stages(graphs, [sampled_orders(graph, 7) for graph in graphs])
    assert counts.edges.sum() == sum(len(graph.edges) for graph in graphs)
    assert (counts.edges <= counts.pairs).all()


@pytest.mark.parametrize("stages", [1, 2])
def test_probabilities_of_all_classes_add_up_to_that_of_the_sizes(stages):
    """Of all ordered graphs with given sizes, valid or not, each isomorphism class counts once."""
    model = fitted(prunings(5, seed=1, nodes=6, stages=stages, keep=0.5))
    for sizes in itertools.product(*(range(4 - stages) for _ in range(stages))):
        stage = [0, *np.repeat(range(stages), sizes).tolist(), stages - 1]
        n = len(stage)
        valid = {}
        invalid = 0.0
        rates = model.probabilities(np.array(stage))
        for graph in every_graph(
            [f"n{i}" for i in range(n)], stage, list(itertools.combinations(range(n), 2))
        ):
            try:
                gt.check_graph(graph)
            except gt.errors.GraphError:
                has = np.array(graph.get_adjacency().data, dtype=bool)
                pairs = np.triu_indices(n, 1)
                invalid += np.prod(np.where(has, rates, 1 - rates)[pairs])
                continue
            form = canonical(graph)
            valid[form.edges.tobytes()] = np.exp(model.log_prob(form)[0].value)
        expected = sum(own.log_probability(size) for own, size in zip(model.sizes, sizes, strict=True))
        assert sum(valid.values()) + invalid * np.exp(expected) == pytest.approx(np.exp(expected), rel=1e-9)


def test_expectations_are_the_sums_over_all_sizes():
    graphs = [graph for graph in random_graphs(14, seed=3) if max(graph.vs["stage"]) <= 2]
    model = fitted(graphs)
    assert len(model.ends) > 1
    edges = nodes = weight = 0.0
    for times, (first, last) in zip(model.times, model.ends, strict=True):
        laws = [own.probability for own in model.sizes[first : last + 1]]
        for counts in itertools.product(*(np.flatnonzero(own > 1e-6) for own in laws)):
            shares = [own[n] for own, n in zip(laws, counts, strict=True)]
            probability = times / model.times.sum() * np.prod(shares)
            if probability < 1e-9:
                continue
            stage = np.concatenate([[first], np.repeat(np.arange(first, last + 1), counts), [last]])
            weight += probability
            nodes += probability * len(stage)
            edges += probability * model.probabilities(stage).sum()
    assert weight == pytest.approx(1, abs=1e-4)
    assert model.expected_nodes == pytest.approx(nodes, rel=1e-3)
    assert model.expected_edges == pytest.approx(edges, rel=1e-3)


def known_rates(seed, *, n_classes=6):
    """Every node has an edge to the next one, so that there is one topological order; all else is random."""
    rates = np.random.default_rng(seed).uniform(0.05, 0.9, size=(4, 4, n_classes))
    rates[:, :, 0] = 1.0
    nothing = np.zeros(rates.shape, dtype=int)
    sizes = (
        SizeDistribution(np.array([5]), np.array([1]), 0, 0.5),
        SizeDistribution(np.array([8]), np.array([1]), 0, 0.3),
    )
    return StageModel(np.array([[0, 1]]), np.array([1]), sizes, DistanceRates(rates, nothing, nothing))


def drawn(model, n, seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    graphs = [model.draw_valid(rng, most=1) for _ in range(n)]
    assert all(n_draws == 1 for _, n_draws in graphs)
    return [graph for graph, _ in graphs]


def test_the_fit_recovers_a_known_model():
    truth = known_rates(0)
    model = fitted(drawn(truth, 600, 0))
    known, found = truth.rates.rate, model.rates.rate[:, :, : truth.rates.rate.shape[2]]
    seen = model.rates.pairs[:, :, : known.shape[2]]
    chance = (known < 1) & (seen > 300)
    z = (found - known)[chance] / np.sqrt(known * (1 - known) / np.maximum(seen, 1))[chance]
    assert chance.sum() >= 20
    assert np.abs(z).max() < 4.5
    assert (z**2).mean() < 2.5
    for own, other in zip(model.sizes, truth.sizes, strict=True):
        assert own.mean == pytest.approx(other.mean, abs=0.3)
        assert np.abs(own.probability[:15] - other.probability[:15]).max() < 0.07


def test_log_prob_is_that_of_sizes_and_edges_of_the_only_order():
    model, graph = known_rates(1), gt.chain_dag(5, stages=[2, 3])
    rates = model.probabilities(np.array([0, 0, 1, 1, 1]))
    pairs = [rates[i, j] if j == i + 1 else 1 - rates[i, j] for i in range(5) for j in range(i + 1, 5)]
    expected = model.sizes[0].log_probability(1) + model.sizes[1].log_probability(2) + np.log(pairs).sum()
    assert model.log_prob(canonical(graph))[0].value == pytest.approx(expected)


def test_input_and_output_have_rates_of_their_own():
    # Only input and output have long edges.
    graphs = [gt.dag_from_predicate(12, lambda i, j: j == i + 1 or i == 0 or j == 11, stages=1)] * 5
    rates = fitted(graphs).probabilities(np.zeros(12, dtype=int))
    assert rates[0].max() > 0.95 < rates[:11, 11].min()
    assert rates[1:10, 3:11][np.triu_indices(8)].max() < 0.05


def test_what_is_impossible_is_named():
    model = known_rates(2)
    gap = gt.dag_from_predicate(4, lambda i, j: (i, j) in {(0, 2), (1, 3), (0, 1), (2, 3)}, stages=2)
    value, reason = model.log_prob(canonical(gap))
    assert value.value == -np.inf
    assert "nothing was shrunk" in reason
    reason = model.log_prob(canonical(gt.full_dag(6, stages=3)))[1]
    assert reason == "no graph has its input in stage 0 and its output in stage 2"


def test_graphs_may_end_in_different_stages():
    model = fitted([gt.chain_dag(4, stages=1), gt.chain_dag(6, stages=2), gt.chain_dag(6, stages=2)])
    assert model.ends.tolist() == [[0, 0], [0, 1]]
    assert model.times.tolist() == [2, 3]  # one more each: the rule of succession
    assert np.isfinite(model.log_prob(canonical(gt.chain_dag(5, stages=1)))[0].value)
    rng = np.random.default_rng(0)
    last = [model.draw(rng).stage[-1] for _ in range(300)]
    assert np.mean(last) == pytest.approx(3 / 5, abs=0.1)


def test_a_graph_whose_stage_decreases_is_refused():
    graph = gt.chain_dag(4, stages=2)
    graph.vs["stage"] = [0, 1, 0, 1]
    with pytest.raises(gt.errors.GraphError, match="stage decreases"):
        canonical(graph)


def test_few_small_graphs_do_not_need_a_model_of_many_nodes():
    """Its chains took seconds a sweep: the tail of the sizes was as long as the tilt allowed."""
    graphs = [gt.full_dag(3), gt.chain_dag(3), gt.chain_dag(4), gt.full_dag(5, stages=2)]
    sizes = gt.GraphDistribution.fit(graphs).conditioned_model.sizes
    assert sum(size.mean for size in sizes) < 12
