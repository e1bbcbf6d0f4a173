import numpy as np
import pytest
import torch

import graphtask as gt
from graphtask.training.penalty import EdgePenalty, incoming_edges, scale_free

KINDS = ["relative", "hoyer"]


def network(seed=0):
    net = gt.compile(gt.random_dag(9, seed=seed), channels=1).double()
    with torch.no_grad():
        net.edge_weight.copy_(
            torch.from_numpy(np.random.default_rng(seed).normal(size=net.edge_weight.shape))
        )
    return net


def by_hand(net, kind):
    """The penalty as a sum over the nodes, from the definition."""
    graph, total = net.graph, 0.0
    gates = np.abs(np.tanh(net.edge_weight.detach().numpy()))
    for node in graph.vs:
        own = gates[graph.incident(node, mode="in")]
        if len(own):
            total += (own / own.max()).sum() if kind == "relative" else own.sum() ** 2 / (own**2).sum()
    return total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_penalty_is_the_sum_over_the_nodes(kind, seed):
    net = network(seed)
    assert EdgePenalty(net, kind)().item() == pytest.approx(by_hand(net, kind), rel=1e-12)
    assert EdgePenalty(net, "l1")().item() == net.resource_loss().item()


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_differences_and_of_the_formula(kind):
    net = network(1)
    incoming = incoming_edges(net)
    gates = net.edge_weights().detach().abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda g: scale_free(g, incoming, kind=kind), (gates,))
    scale_free(gates, incoming, kind=kind).backward()
    for edges in incoming:
        g = gates.detach()[edges[edges < len(gates)]].numpy()
        if kind == "relative":
            expected = np.full(len(g), 1 / g.max())
            expected[g.argmax()] = -(g.sum() - g.max()) / g.max() ** 2
        else:
            ratio = g.sum() / (g**2).sum()
            expected = 2 * ratio * (1 - g * ratio)
        found = gates.grad[edges[edges < len(gates)]].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        assert found @ g == pytest.approx(0, abs=1e-10)  # no force on the common scale


@pytest.mark.parametrize("kind", KINDS)
def test_a_common_factor_of_the_edges_into_a_node_changes_nothing_and_l1_falls(kind):
    net = network(2)
    penalty, l1 = EdgePenalty(net, kind), net.resource_loss().item()
    before = penalty().item()
    target = np.array(net.graph.get_edgelist())[:, 1]
    factor = torch.from_numpy(np.random.default_rng(0).uniform(0.01, 0.9, size=9)[target])
    with torch.no_grad():
        net.edge_weight.copy_((net.edge_weight.tanh() * factor).atanh())
    assert penalty().item() == pytest.approx(before, rel=1e-12)
    assert net.resource_loss().item() < 0.9 * l1


@pytest.mark.parametrize("kind", KINDS)
def test_it_counts_equal_edges_and_stays_finite_at_zero(kind):
    incoming = torch.tensor([[0, 1, 2], [3, 4, 4]])
    for values, expected in (
        ([0.2, 0.2, 0.2, 0.7], 4.0),
        ([0.2, 0.2, 0.0, 0.7], 3.0),
        ([1e-30, 1e-30, 1e-30, 1e-37], 4.0),
        ([0.0, 0.0, 0.0, 0.7], 1.0),
    ):
        magnitudes = torch.tensor(values, requires_grad=True)
        found = scale_free(magnitudes, incoming, kind=kind)
        found.backward()
        assert found.item() == pytest.approx(expected)
        assert torch.isfinite(magnitudes.grad).all()


@pytest.mark.parametrize("kind", ["l1", *KINDS])
def test_a_step_follows_the_gradient_of_the_loss_and_of_the_penalty(kind, digits):
    graph = gt.full_dag(5)
    graph.es["w"] = np.random.default_rng(0).normal(size=graph.ecount()).tolist()
    options = {"channels": 2, "epochs": 1, "batch_size": 120, "momentum": 0.0, "progress": False}
    free, found = (
        gt.train(graph, data=digits, edge_l1=value, edge_penalty=kind, **options).history.w
        for value in (0.0, 0.3)
    )
    net = gt.compile(graph, channels=2)
    EdgePenalty(net, kind)().backward()
    expected = -0.1 * 0.3 * net.edge_weight.grad.numpy()
    np.testing.assert_allclose((found - free)[1], expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-3


def test_a_proximal_step_is_that_of_the_l1_penalty_only():
    with pytest.raises(
        gt.errors.ArgumentError, match="edge_penalty must be l1 with edge_update='proximal', got 'hoyer'"
    ):
        gt.TrainConfig(edge_penalty="hoyer", edge_update="proximal")
    with pytest.raises(gt.errors.ArgumentError, match="edge_penalty must be"):
        gt.TrainConfig(edge_penalty="l2")
