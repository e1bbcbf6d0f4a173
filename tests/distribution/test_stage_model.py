import itertools

import numpy as np
import pytest
from distribution.sets import every_graph, prunings
from helpers import random_graphs, shuffled

import graphtask as gt
from graphtask.distribution.distances import DistanceLaw, distance_class
from graphtask.distribution.edge_probabilities import bernoulli_entropy
from graphtask.distribution.sampling import sample_graph
from graphtask.distribution.sizes import SizeLaw
from graphtask.distribution.stage_model import StageModel, count_stages, fit_stage_model, staged


def fitted(graphs, **options):
    return fit_stage_model(count_stages([staged(graph) for graph in graphs]), **options)


def role_of(stage, place, n_stages):
    return n_stages if place == 0 else n_stages + 1 if place == len(stage) - 1 else stage[place]


def test_counts_are_those_of_counting():
    graphs = random_graphs(8, seed=0)
    counts = count_stages([staged(graph) for graph in graphs])
    pairs, edges = np.zeros_like(counts.pairs), np.zeros_like(counts.edges)
    n_stages = counts.sizes.shape[1]
    for graph in graphs:
        ordered = gt.as_architecture(graph)
        stage = ordered.vs["stage"]
        for i, j in itertools.combinations(range(ordered.vcount()), 2):
            cell = (
                role_of(stage, i, n_stages),
                role_of(stage, j, n_stages),
                distance_class(np.array([j - i]))[0],
            )
            pairs[cell] += 1
            edges[cell] += ordered.are_adjacent(i, j)
    assert np.array_equal(counts.pairs, pairs)
    assert np.array_equal(counts.edges, edges)
    assert (2 + counts.sizes.sum(axis=1)).tolist() == [graph.vcount() for graph in graphs]


@pytest.mark.parametrize("stages", [1, 2])
def test_probabilities_of_all_edge_sets_add_up_to_that_of_the_sizes(stages):
    model = fitted(prunings(5, seed=1, nodes=6, stages=stages, keep=0.5))
    for sizes in itertools.product(*(range(4 - stages) for _ in range(stages))):
        stage = [0, *np.repeat(range(stages), sizes).tolist(), stages - 1]
        n = len(stage)
        # Graphs whose edges allow another order of the nodes keep this one, for it is that of their vertices.
        graphs = every_graph([f"n{i}" for i in range(n)], stage, list(itertools.combinations(range(n), 2)))
        total = sum(np.exp(model.log_prob(graph)[0]) for graph in graphs)
        expected = sum(law.log_probability(size) for law, size in zip(model.sizes, sizes, strict=True))
        assert np.log(total) == pytest.approx(expected, abs=1e-9)


def test_entropy_and_expectations_are_the_sums_over_all_sizes():
    graphs = [graph for graph in random_graphs(14, seed=3) if max(graph.vs["stage"]) <= 2]
    model = fitted(graphs)
    assert len(model.ends) > 1
    entropy = edges = nodes = weight = 0.0
    for times, (first, last) in zip(model.times, model.ends, strict=True):
        laws = [law.probability for law in model.sizes[first : last + 1]]
        for counts in itertools.product(*(np.flatnonzero(law > 1e-6) for law in laws)):
            shares = [law[n] for law, n in zip(laws, counts, strict=True)]
            probability = times / model.times.sum() * np.prod(shares)
            if probability < 1e-9:
                continue
            stage = np.concatenate([[first], np.repeat(np.arange(first, last + 1), counts), [last]])
            rates = model.probabilities(stage)
            weight += probability
            nodes += probability * len(stage)
            edges += probability * rates.sum()
            entropy += probability * (bernoulli_entropy(rates).sum() - np.log(probability))
    assert weight == pytest.approx(1, abs=1e-4)
    assert model.expected_nodes == pytest.approx(nodes, rel=1e-3)
    assert model.expected_edges == pytest.approx(edges, rel=1e-3)
    assert model.entropy == pytest.approx(entropy, rel=1e-3)


def known_law(seed, *, n_classes=6):
    """Every node has an edge to the next one; all else is chance."""
    rates = np.random.default_rng(seed).uniform(0.05, 0.9, size=(4, 4, n_classes))
    rates[:, :, 0] = 1.0
    nothing = np.zeros(rates.shape, dtype=int)
    sizes = SizeLaw(np.array([5]), np.array([1]), 0, 0.5), SizeLaw(np.array([8]), np.array([1]), 0, 0.3)
    return StageModel(np.array([[0, 1]]), np.array([1]), sizes, DistanceLaw(rates, nothing, nothing))


def test_the_fit_recovers_a_known_model():
    truth = known_law(0)
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = [sample_graph(truth.draw, shift=0.0, rng=rng) for _ in range(1500)]
    assert sum(sample.n_added + sample.n_dropped for sample in drawn) == 0
    model = fitted([sample.graph for sample in drawn])
    known, found = truth.law.rate, model.law.rate[:, :, : truth.law.rate.shape[2]]
    seen = model.law.pairs[:, :, : known.shape[2]]
    chance = (known < 1) & (seen > 300)
    z = (found - known)[chance] / np.sqrt(known * (1 - known) / np.maximum(seen, 1))[chance]
    assert chance.sum() >= 20
    assert np.abs(z).max() < 4.5
    assert (z**2).mean() < 2.5
    for own, law in zip(model.sizes, truth.sizes, strict=True):
        assert own.mean == pytest.approx(law.mean, abs=0.2)
        assert np.abs(own.probability[:15] - law.probability[:15]).max() < 0.05


def test_estimates_come_nearer_with_more_graphs():
    """Sixteen times as many graphs halve the error twice."""
    truth, models = known_law(2), []
    for n_graphs in (10, 160, 2560):
        rng = np.random.Generator(np.random.PCG64(3))
        models.append(fitted([sample_graph(truth.draw, shift=0.0, rng=rng).graph for _ in range(n_graphs)]))
    n_classes = min(truth.law.rate.shape[2], models[0].law.rate.shape[2])
    known = truth.law.rate[:, :, :n_classes]
    cells = (known < 1) & (models[0].law.pairs[:, :, :n_classes] >= 5)
    assert cells.sum() >= 20
    errors = [np.abs(model.law.rate[:, :, :n_classes] - known)[cells].mean() for model in models]
    assert errors[0] > 2.5 * errors[1] > 2.5 * 2.5 * errors[2]


def test_log_prob_is_that_of_sizes_and_edges():
    model, graph = known_law(1), gt.chain_dag(5, stages=[2, 3])
    rates = model.probabilities(np.array([0, 0, 1, 1, 1]))
    pairs = [rates[i, j] if j == i + 1 else 1 - rates[i, j] for i in range(5) for j in range(i + 1, 5)]
    expected = model.sizes[0].log_probability(1) + model.sizes[1].log_probability(2) + np.log(pairs).sum()
    assert model.log_prob(graph)[0] == pytest.approx(expected)
    named = shuffled(graph, 3)
    assert model.log_prob(named)[0] == pytest.approx(expected)


def test_input_and_output_have_rates_of_their_own():
    # Only input and output have long edges.
    graphs = [gt.dag_from_predicate(12, lambda i, j: j == i + 1 or i == 0 or j == 11, stages=1)] * 5
    rates = fitted(graphs).probabilities(np.zeros(12, dtype=int))
    assert rates[0].max() > 0.95 < rates[:11, 11].min()
    assert rates[1:10, 3:11][np.triu_indices(8)].max() < 0.05


def test_what_is_impossible_is_named():
    model = known_law(2)
    gap = gt.as_architecture(
        gt.dag_from_predicate(4, lambda i, j: (i, j) in {(0, 2), (1, 3), (0, 1), (2, 3)}, stages=2)
    )
    value, reason = model.log_prob(gap)
    assert value == -np.inf
    assert reason == "every pair of stage 0 and stage 1, 1 places apart, has an edge, and nothing was shrunk"
    reason = model.log_prob(gt.full_dag(6, stages=3))[1]
    assert reason == "no graph has its input in stage 0 and its output in stage 2"
    lonely = gt.full_dag(2, stages=2)
    lonely.delete_vertices([1])
    assert model.log_prob(lonely)[1] == "the graph has fewer than two nodes"


def test_graphs_may_end_in_different_stages():
    model = fitted([gt.chain_dag(4, stages=1), gt.chain_dag(6, stages=2), gt.chain_dag(6, stages=2)])
    assert model.ends.tolist() == [[0, 0], [0, 1]]
    assert model.times.tolist() == [1, 2]
    assert np.isfinite(model.log_prob(gt.chain_dag(5, stages=1))[0])
    rng = np.random.default_rng(0)
    last = [model.draw(rng).stage[-1] for _ in range(300)]
    assert np.mean(last) == pytest.approx(2 / 3, abs=0.1)


def test_a_graph_whose_stage_falls_is_refused():
    graph = gt.chain_dag(4, stages=2)
    graph.vs["stage"] = [0, 1, 0, 1]
    with pytest.raises(gt.GraphError, match="stage falls"):
        staged(graph)
