"""The trained network without its weak edges equals the pruned one with folded constants, up to rounding."""

import numpy as np
import pytest
import torch
from compiler.oracle import randomized, relative_error
from helpers import staged_dags
from hypothesis import assume, given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.compiler.fold import OffsetBlock


def cut(module, weak):
    """The same network, with the weak edges multiplied by zero."""
    with torch.no_grad():
        module.edge_weight[torch.as_tensor(weak)] = 0.0  # tanh(0) = 0
    return module


def trained(graph, seed, share):
    """A network with random parameters and statistics, in float64, with many weak edges."""
    module = randomized(gt.compile(graph, channels=2, execution="plain"), seed).double().eval()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        weak = torch.from_numpy(rng.random(graph.ecount()) < share)
        module.edge_weight[weak] *= 1e-3
    return module, gt.compiler.write_back(module, graph)


def images_of(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 3, *size, dtype=torch.float64, generator=generator)


def compared(graph, seed, *, share, size, relative, choose):
    """Relative errors of the logits with and without folding, against the network with weak edges cut."""
    module, weighted = trained(graph, seed, share)
    critical = gt.critical_threshold(weighted, relative=relative)
    threshold = choose * critical
    pruned = gt.prune(weighted, threshold=threshold, relative=relative)
    images = images_of(size)
    folded = gt.compiler.extract_subnetwork(module, pruned, fold=True, size=size)
    dropped = gt.compiler.extract_subnetwork(module, pruned)
    weights = np.asarray(weighted.es["weight"])
    if relative:
        target = np.array([edge.target for edge in graph.es])
        weights = weights / np.array([weights[target == node].max() for node in target])
    with torch.no_grad():
        expected = cut(module, weights < threshold)(images)
        return relative_error(folded(images), expected), relative_error(dropped(images), expected)


@given(
    staged_dags(),
    st.integers(0, 2**31),
    st.sampled_from([0.3, 0.6, 0.9]),
    st.sampled_from([(8, 8), (9, 13)]),
    st.booleans(),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_cut_equals_pruned_for_every_graph_and_threshold(graph, seed, share, size, relative, choose):
    assume(max(graph.vs["stage"]) <= 3)
    with_constants, _ = compared(graph, seed, share=share, size=size, relative=relative, choose=choose)
    assert with_constants < 1e-12


def test_without_folding_heavily_pruned_networks_differ():
    """Otherwise the test above would show nothing."""
    graph = gt.full_dag(14, stages=3)
    errors = np.array(
        [compared(graph, seed, share=0.8, size=(8, 8), relative=False, choose=1.0) for seed in range(20)]
    )
    assert errors[:, 0].max() < 1e-12
    assert (errors[:, 1] > 1e-3).sum() >= 10
    print(f"\nfolded {errors[:, 0].max():.1e}, dropped up to {errors[:, 1].max():.2f}")  # noqa: T201


def test_receiving_nodes_have_offsets_and_the_others_keep_their_blocks():
    graph = gt.as_architecture(
        gt.dag_from_predicate(4, lambda i, j: (i, j) in {(0, 1), (1, 2), (0, 2), (2, 3)}, stages=1)
    )
    module, weighted = trained(graph, 1, 0.0)
    weighted.es["weight"] = [0.001 if pair == (0, 1) else 0.5 for pair in graph.get_edgelist()]
    with torch.no_grad():
        module.edge_weight[:] = torch.tensor(weighted.es["weight"], dtype=torch.float64).atanh()
    small = gt.compiler.extract_subnetwork(module, gt.prune(weighted), fold=True, size=8)
    assert [type(block) is OffsetBlock for block in small.nodes.values()] == [False, True, False]
    assert small.node("v2").offset.shape == (1, 2, 8, 8)
    with pytest.raises(
        gt.errors.ArgumentError, match=r"^images must have the size .*8×8.*got 9×9; fold again"
    ):
        small(images_of((9, 9)))


def test_a_graph_that_was_not_pruned_cannot_be_folded():
    graph = gt.full_dag(4, stages=1)
    module = gt.compile(graph, channels=1)
    with pytest.raises(gt.errors.ArgumentError, match=r"^graph must be pruned with a recorded threshold"):
        gt.compiler.extract_subnetwork(module, graph, fold=True)


def test_folding_leaves_the_trained_network_alone():
    module, weighted = trained(gt.full_dag(8, stages=2), 3, 0.7)
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    pruned = gt.prune(weighted, threshold=gt.critical_threshold(weighted))
    gt.compiler.extract_subnetwork(module, pruned, fold=True, size=8)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training
