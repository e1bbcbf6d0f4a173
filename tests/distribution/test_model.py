import numpy as np
import pytest
import torch
from distribution.sets import prunings
from helpers import architectures, assert_same_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import graphtask as gt
from graphtask.distribution.model import support_of
from graphtask.distribution.pair_model import PairModel


def chance(graphs):
    return [graph.ecount() for graph in graphs], [graph.vcount() for graph in graphs]


def test_nodes_correspond_where_provenance_says_so_and_where_the_caller_does():
    graphs, others = prunings(4, seed=0), [gt.random_dag(7, seed=seed) for seed in range(4)]
    assert gt.GraphDistribution.fit(graphs).corresponds
    assert support_of(graphs, correspond=False, initial=None) is None
    assert support_of(others, correspond="auto", initial=None) is None
    assert gt.GraphDistribution.fit(others, correspond=True).corresponds
    assert gt.GraphDistribution.fit(others, initial=gt.full_dag(7)).corresponds


@pytest.mark.slow
@settings(max_examples=5)
@given(
    st.lists(architectures(max_nodes=7), min_size=1, max_size=4),
    st.sampled_from(["auto", 0.5, 100.0, float("inf")]),
)
def test_any_graphs_have_a_distribution_that_makes_valid_graphs(graphs, shrinkage):
    fitted = gt.GraphDistribution.fit(graphs, shrinkage=shrinkage)
    assert all(-np.inf < fitted.log_prob(graph) <= 1e-9 for graph in graphs)
    assert all(fitted.obstacle(graph) == "" for graph in graphs)
    for graph in fitted.sample(3, seed=0):
        gt.check_graph(graph)
        assert np.isfinite(fitted.log_prob(graph))
    gt.check_graph(fitted.mean_graph())


@pytest.mark.parametrize("correspond", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_sampled_graphs_have_as_many_edges_as_observed_ones(correspond):
    graphs = prunings(20, seed=1, nodes=12, stages=3, keep=0.3)
    fitted = gt.GraphDistribution.fit(graphs, correspond=correspond)
    sampled = fitted.sample(200, seed=0)
    for graph in sampled:
        gt.check_graph(graph)
    edges, sizes = chance(sampled)
    # The tilt comes from 512 graphs of its own, and is accepted within 0.03 standard deviations.
    error = np.std(edges) * (4 * np.sqrt(1 / 200 + 1 / 512) + 0.05)
    assert np.mean(edges) == pytest.approx(fitted.mean_edges, abs=error)
    assert np.mean(sizes) == pytest.approx(fitted.mean_nodes, rel=0.08)


def test_a_seed_gives_the_same_graphs_and_fewer_are_the_first_of_more():
    fitted = gt.GraphDistribution.fit(prunings(5, seed=2, nodes=12))
    again = gt.GraphDistribution.fit(prunings(5, seed=2, nodes=12))
    few, many = fitted.sample(2, seed=3), again.sample(4, seed=3)
    for left, right in zip(few, many, strict=False):
        assert_same_graph(left, right)
    other = fitted.sample(4, seed=4)
    assert [graph.get_edgelist() for graph in other] != [graph.get_edgelist() for graph in many]
    assert fitted.sample(0, seed=0) == []


def test_sampled_graphs_know_where_they_come_from_and_how_they_were_drawn():
    graphs = [gt.as_architecture(graph) for graph in prunings(6, seed=3, nodes=14, keep=0.15)]
    for seed, graph in enumerate(graphs):
        graph["provenance"] = {**graph["provenance"], "data": "digits", "seed": seed, "channels": 3}
    fitted = gt.GraphDistribution.fit(graphs)
    facts = [gt.provenance(graph) for graph in fitted.sample(40, seed=7)]
    assert all(fact["initial"] == gt.provenance(graphs[0])["initial"] for fact in facts)
    assert all(fact["channels"] == 3 and "data" not in fact and "seed" not in fact for fact in facts)
    told = [fact["sampled"] for fact in facts]
    assert [one["number"] for one in told] == list(range(40))
    assert all(one["seed"] == 7 and one["of"]["data"] == "digits" and one["n_graphs"] == 6 for one in told)
    assert {one["method"] for one in told} <= {"rejection", "mcmc"}
    repaired = [gt.provenance(graph)["sampled"] for graph in fitted.sample(40, seed=7, repair=True)]
    assert {one["method"] for one in repaired} == {"repair"}
    assert sum(one["added_edges"] for one in repaired) > 0
    assert gt.GraphDistribution.fit(fitted.sample(5, seed=0)).corresponds


def test_without_repair_samples_are_those_of_the_model():
    # A full DAG that is kept whole leaves nothing to chance but what shrinkage adds.
    fitted = gt.GraphDistribution.fit([gt.full_dag(6)] * 3, shrinkage=0)
    assert fitted.log_normalizer == (0, 0)
    assert fitted.log_prob(gt.full_dag(6)) == 0
    (graph,) = fitted.sample(1, seed=0)
    assert graph.ecount() == 15
    assert gt.provenance(graph)["sampled"]["method"] == "rejection"


def test_sampled_graphs_compile_and_train():
    fitted = gt.GraphDistribution.fit(prunings(5, seed=4, nodes=9, stages=3, keep=0.4))
    images = gt.load_data("cdigits").subset(n_train=32, n_test=16, seed=0)
    (graph,) = fitted.sample(1, seed=1)
    config = gt.TrainConfig(epochs=1, batch_size=16)
    run = gt.train(graph, data=images, channels=2, config=config, device="cpu", progress=False)
    assert np.isfinite(run.metrics["train_loss"]).all()
    assert gt.GraphDistribution.fit([run.graph, *fitted.sample(2, seed=2)]).corresponds


@pytest.mark.slow
@settings(max_examples=4)
@given(
    st.lists(architectures(max_nodes=7), min_size=1, max_size=3),
    st.integers(1, 2),
    st.sampled_from(["auto", 0.0, float("inf")]),
    st.booleans(),
)
def test_samples_of_any_fit_take_a_training_step(graphs, times, shrinkage, correspond):
    """Of one graph, of equal graphs, of graphs of different sizes: the networks have gradients everywhere."""
    try:
        fitted = gt.GraphDistribution.fit(graphs * times, shrinkage=shrinkage, correspond=correspond)
    except gt.errors.GraphError:
        assert correspond  # graphs of different kinds do not have the same nodes
        return
    for graph in fitted.sample(2, seed=0):
        gt.check_graph(graph)
        net = gt.compile(graph, channels=1, in_channels=1, n_classes=2)
        size = 2 ** (1 + max(graph.vs["stage"]))
        loss = cross_entropy(net(torch.rand(4, 1, size, size)), torch.tensor([0, 1, 0, 1]))
        (loss + net.resource_loss()).backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())
        before = torch.cat([parameter.detach().flatten().clone() for parameter in net.parameters()])
        torch.optim.SGD(net.parameters(), lr=0.1).step()
        after = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
        assert not torch.equal(before, after)


def test_the_mean_graph_has_the_likely_edges_with_their_probability():
    graphs = prunings(20, seed=5, nodes=10, keep=0.5)
    fitted = gt.GraphDistribution.fit(graphs)
    table = fitted.edge_probabilities().set_index(["source", "target"])["probability"]
    mean = fitted.mean_graph()
    gt.check_graph(mean)
    for edge in mean.es:
        assert edge["weight"] == table[edge.source_vertex["name"], edge.target_vertex["name"]]
    assert abs(mean.ecount() - fitted.mean_edges) <= 3
    everything = fitted.mean_graph(threshold=0)
    assert everything.ecount() == 45
    half = fitted.mean_graph(threshold=0.5)
    assert min(half.es["weight"]) >= 0.5
    assert half.ecount() <= (table >= 0.5).sum()
    with pytest.raises(gt.errors.DisconnectedError, match="do not connect"):
        gt.GraphDistribution.fit(graphs).mean_graph(threshold=1)


def test_edges_outside_a_band_are_impossible():
    band = gt.banded_dag(10, bandwidth=2, stages=2)
    fitted = gt.GraphDistribution.fit([band, band])
    assert len(fitted.edge_probabilities()) == band.ecount()
    assert fitted.log_prob(gt.full_dag(10, stages=2)) == -np.inf
    assert all(max(j - i for i, j in graph.get_edgelist()) <= 2 for graph in fitted.sample(5, seed=0))


@pytest.mark.slow
def test_many_large_graphs_are_fitted_and_sampled():
    graphs = [gt.random_dag(60, seed=seed) for seed in range(20)]
    fitted = gt.GraphDistribution.fit(graphs)
    assert isinstance(gt.GraphDistribution.fit(graphs, correspond=True).model, PairModel)
    assert np.mean(chance(fitted.sample(100, seed=0))[0]) == pytest.approx(fitted.mean_edges, rel=0.05)


@pytest.mark.parametrize(
    ("graphs", "options", "message"),
    [
        ([], {}, "graphs must be a non-empty list"),
        (gt.full_dag(4), {}, "graphs must be a list"),
        ([gt.full_dag(4)], {"shrinkage": -1}, "shrinkage must be"),
        ([gt.full_dag(4)], {"shrinkage": "much"}, "shrinkage must be"),
        ([gt.full_dag(4)], {"shrinkage": float("nan")}, "shrinkage must be"),
        ([gt.full_dag(4)], {"correspond": "maybe"}, "correspond must be"),
        ([gt.full_dag(4)], {"correspond": False, "initial": gt.full_dag(4)}, "initial must be None"),
        ([gt.full_dag(4)], {"initial": gt.full_dag(3)}, "does not correspond"),
    ],
)
def test_what_cannot_be_fitted_is_named(graphs, options, message):
    with pytest.raises((gt.errors.ArgumentError, gt.errors.GraphError), match=message):
        gt.GraphDistribution.fit(graphs, **options)


def test_an_invalid_graph_is_named_by_its_number():
    broken = gt.full_dag(4)
    del broken.vs["stage"]
    with pytest.raises(gt.errors.GraphError, match="graphs\\[1\\]: no vertex has a `stage`"):
        gt.GraphDistribution.fit([gt.full_dag(4), broken])
    with pytest.raises(gt.errors.ArgumentError, match="n must be"):
        gt.GraphDistribution.fit([gt.full_dag(4)]).sample(-1, seed=0)
