import math

import networkx as nx
import numpy as np
import pytest
import torch
from compiler.oracle import randomized, relative_error
from helpers import staged, staged_dags
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel

import graphtask as gt

OFF = {"tanh": 0.0, "sigmoid": -math.inf, "none": 0.0}


def images_for(graph, batch=3):
    side = 2 ** max(graph.vs["stage"]) + 2
    return torch.randn(batch, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def without(graph, dropped):
    """The graph without the edges and without what is then on no input→output path, by networkx; None if cut."""
    oracle = nx.DiGraph(edge for index, edge in enumerate(graph.get_edgelist()) if index not in dropped)
    source, target = graph.indegree().index(0), graph.outdegree().index(0)
    if source not in oracle or target not in oracle or not nx.has_path(oracle, source, target):
        return None
    alive = (nx.descendants(oracle, source) | {source}) & (nx.ancestors(oracle, target) | {target})
    small = graph.copy()
    small.delete_edges(sorted(dropped))
    small.delete_vertices([vertex for vertex in range(graph.vcount()) if vertex not in alive])
    gt.check_graph(small)
    return small


# write_back


@given(staged_dags(), st.sampled_from(sorted(OFF)), st.integers(0, 2**31))
def test_a_graph_compiled_again_gives_the_same_logits_bit_for_bit(graph, gate, seed):
    module = randomized(gt.compile(graph, channels=2, gate=gate), seed).float().eval()
    trained = gt.compiler.write_back(module, graph)
    again = gt.compile(trained, channels=2, gate=gate, seed=seed + 1)
    assert torch.equal(again.edge_weight, module.edge_weight)
    again.load_state_dict(module.state_dict())
    images = images_for(graph).float()
    assert torch.equal(again.eval()(images), module(images))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_edge_carries_its_raw_value_and_its_magnitude(dtype):
    graph = gt.full_dag(4, stages=2)
    module = randomized(gt.compile(graph, channels=1), 2).to(dtype)
    trained = gt.compiler.write_back(module, graph)
    assert trained.es["w"] == module.edge_weight.double().tolist()
    assert trained.es["weight"] == module.edge_weights().abs().double().tolist()
    assert min(trained.es["w"]) < 0 < min(trained.es["weight"])
    tolerance = 10 * torch.finfo(dtype).eps
    assert trained.es["weight"] == pytest.approx([abs(math.tanh(w)) for w in trained.es["w"]], rel=tolerance)


@given(staged_dags(), st.randoms(use_true_random=False))
def test_edges_are_matched_by_the_names_of_their_ends(graph, random):
    module = randomized(gt.compile(graph, channels=1), 1)
    edges = graph.get_edgelist()
    random.shuffle(edges)
    turned = staged(edges, graph.vs["stage"], graph.vs["name"])
    trained = gt.compiler.write_back(module, turned)
    for edge in trained.es:
        source, target = trained.vs[edge.source]["name"], trained.vs[edge.target]["name"]
        assert edge["weight"] == module.edge(source, target).abs().item()
        assert edge["w"] == module.edge_weight[module.edge_index(source, target)].item()


def test_the_graph_is_copied_and_learns_what_it_came_from():
    graph = gt.full_dag(5, stages=2)
    facts = gt.provenance(graph)
    trained = gt.compiler.write_back(
        gt.compile(graph, channels=3, in_channels=1, n_classes=7, gate="sigmoid"), graph
    )
    assert graph.es.attributes() == []
    assert gt.provenance(graph) == facts
    known = gt.provenance(trained)
    assert {**facts, **known} == known
    assert {key: known[key] for key in ("channels", "in_channels", "n_classes", "gate")} == {
        "channels": 3,
        "in_channels": 1,
        "n_classes": 7,
        "gate": "sigmoid",
    }
    assert known["initial"]["edges"] == 10


def test_the_initial_size_survives_pruning_and_training_again():
    graph = gt.full_dag(5, stages=2)
    trained = gt.compiler.write_back(randomized(gt.compile(graph, channels=1), 3), graph)
    pruned = gt.prune(trained, threshold=sorted(trained.es["weight"])[4])
    assert pruned.ecount() < 10
    again = gt.compiler.write_back(gt.compile(pruned, channels=1), pruned)
    assert gt.provenance(again)["initial"]["edges"] == 10


def test_a_magnitude_above_one_is_written_as_one_and_kept_raw():
    graph = gt.chain_dag(3, stages=1)
    graph.es["w"] = [-2.5, 0.5]
    trained = gt.compiler.write_back(gt.compile(graph, channels=1, gate="none"), graph)
    assert trained.es["weight"] == [1.0, 0.5]
    assert trained.es["w"] == [-2.5, 0.5]


def test_weights_that_are_no_numbers_are_refused():
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=1)
    nn.init.constant_(module.edge_weight, math.nan)
    with pytest.raises(gt.errors.GraphError, match=r"edge 'v0' → 'v1' must be a float in .*, got nan"):
        gt.compiler.write_back(module, graph)


def test_a_graph_with_other_edges_is_refused():
    graph = gt.full_dag(4, stages=1)
    module = gt.compile(graph, channels=1)
    chain = gt.chain_dag(4, stages=1)
    with pytest.raises(
        gt.errors.GraphError, match="lacks edges 'v0' → 'v2', 'v0' → 'v3', 'v1' → 'v3'; write back"
    ):
        gt.compiler.write_back(module, chain)
    with pytest.raises(
        gt.errors.GraphError, match="the module has no edges 'v0' → 'v2', 'v0' → 'v3', 'v1' → 'v3'"
    ):
        gt.compiler.write_back(gt.compile(chain, channels=1), graph)


def test_many_missing_edges_are_counted():
    graph = gt.full_dag(20, stages=1)
    with pytest.raises(gt.errors.GraphError, match=r"lacks edges .*, … \(171 in all\)"):
        gt.compiler.write_back(gt.compile(graph, channels=1), gt.chain_dag(20, stages=1))


# transfer


@given(staged_dags(), st.sampled_from(sorted(OFF)), st.data())
def test_the_small_module_is_the_large_one_with_its_other_edges_at_zero(graph, gate, data):
    module = randomized(gt.compile(graph, channels=2, gate=gate), data.draw(st.integers(0, 2**31)))
    pruned = without(
        graph, data.draw(st.sets(st.integers(0, graph.ecount() - 1), max_size=graph.ecount() - 1))
    )
    assume(pruned is not None)
    small = gt.compiler.extract_subnetwork(module, pruned)
    kept = {(pruned.vs[e.source]["name"], pruned.vs[e.target]["name"]) for e in pruned.es}
    weights = [[net.edge(*pair).item() for pair in kept] for net in (small, module)]
    assert weights[0] == pytest.approx(
        weights[1], rel=1e-15
    )  # vectorized functions may differ in the last bit
    with torch.no_grad():
        for edge in graph.es:
            if (graph.vs[edge.source]["name"], graph.vs[edge.target]["name"]) not in kept:
                module.edge_weight[edge.index] = OFF[gate]
    images = images_for(graph)
    for training in (False, True):
        logits = small.train(training)(images)
        assert relative_error(logits, module.train(training)(images)) < 1e-10
    expected = module.state_dict()
    for key, value in small.state_dict().items():
        if key != "edge_weight":
            torch.testing.assert_close(value, expected[key], rtol=1e-9, atol=1e-9)


def test_transfer_keeps_dtype_mode_and_frozen_parameters_and_shares_nothing():
    graph = gt.full_dag(4, stages=2)
    module = gt.compile(
        graph, channels=1, gate="sigmoid", execution="plain", block=lambda i, o, s: nn.Conv2d(i, o, 1, s)
    )
    module = module.to(torch.bfloat16).eval()
    module.nodes["[v1]"].weight.requires_grad_(False)
    small = gt.compiler.extract_subnetwork(module, without(graph, {1, 2}))
    assert {parameter.dtype for parameter in small.parameters()} == {torch.bfloat16}
    assert not any(part.training for part in small.modules())
    assert [name for name, p in small.named_parameters() if not p.requires_grad] == ["nodes.[v1].weight"]
    assert (small.gate, small.execution, small.block) == (module.gate, module.execution, module.block)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.zero_()
    assert all(
        parameter.abs().sum() > 0 for name, parameter in module.named_parameters() if "edge" not in name
    )


def test_transfer_leaves_the_global_generator_alone():
    graph = gt.full_dag(4, stages=2)
    module = gt.compile(graph, channels=1)
    state = torch.get_rng_state()
    gt.compiler.extract_subnetwork(module, graph)
    assert torch.equal(torch.get_rng_state(), state)


def test_surviving_parameters_load_by_name_too():
    graph = gt.full_dag(5, stages=2)
    module = gt.compile(graph, channels=2, seed=1)
    pruned = without(graph, {0, 5})
    small, loaded = gt.compiler.extract_subnetwork(module, pruned), gt.compile(pruned, channels=2, seed=2)
    state = module.state_dict()
    index = [module.edge_index(pruned.vs[e.source]["name"], pruned.vs[e.target]["name"]) for e in pruned.es]
    survivors = {key: state[key] for key in loaded.state_dict()} | {
        "edge_weight": state["edge_weight"][index]
    }
    loaded.load_state_dict(survivors)
    assert all(
        torch.equal(a, b)
        for a, b in zip(small.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("edges", "stage", "names", "message"),
    [
        (
            [(0, 1), (1, 2)],
            [0, 0, 1],
            ["n0", "x", "n3"],
            "the module has no node 'x'",
        ),
        (
            [(0, 1), (1, 2)],
            [0, 1, 1],
            ["n0", "n1", "n3"],
            "stages must be those of the module, got 1 for node 'n1', which has 0 there",
        ),
        ([(0, 1)], [0, 1], ["n0", "n3"], "the module has no edge 'n0' → 'n3'"),
        ([(0, 1)], [0, 1], ["n1", "n3"], "the input node must be that of the module, 'n0', got 'n1'"),
        ([(0, 1)], [0, 1], ["n0", "n2"], "the output node must be that of the module, 'n3', got 'n2'"),
    ],
)
def test_what_does_not_fit_is_named(edges, stage, names, message):
    module = gt.compile(staged([(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)], [0, 0, 1, 1]), channels=1)
    with pytest.raises(gt.errors.GraphError, match=message):
        gt.compiler.extract_subnetwork(module, staged(edges, stage, names))


@pytest.mark.parametrize("function", [gt.compiler.write_back, gt.compiler.extract_subnetwork])
def test_an_invalid_graph_is_refused(function):
    graph = gt.full_dag(4, stages=2)
    module = gt.compile(graph, channels=1)
    graph.vs["stage"] = np.arange(3, -1, -1).tolist()
    with pytest.raises(gt.errors.GraphError, match="the stage decreases"):
        function(module, graph)


def test_weights_that_were_written_anew_are_not_pruned_at_an_earlier_threshold():
    graph = gt.full_dag(4)
    pruned = gt.prune(gt.compiler.write_back(gt.compile(graph, channels=2), graph), threshold=0.3)
    retrained = gt.compiler.write_back(gt.compile(pruned, channels=2), pruned)
    assert gt.provenance(retrained)["threshold"] is None
    assert gt.provenance(gt.prune(retrained, threshold=0.1))["threshold"] == 0.1


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, AveragedModel, torch.compile, lambda net: AveragedModel(nn.DataParallel(net))],
    ids=["data-parallel", "averaged", "compiled", "averaged-data-parallel"],
)
def test_weights_are_written_back_from_a_wrapper(wrap):
    graph = gt.full_dag(4)
    net = gt.compile(graph, channels=2)
    with torch.no_grad():
        net.edge_weight.copy_(torch.linspace(-1, 1, 6))
    wrapped = wrap(net)
    assert gt.compiler.write_back(wrapped, graph).es["w"] == gt.compiler.write_back(net, graph).es["w"]
    assert torch.equal(gt.compiler.extract_subnetwork(wrapped, graph).edge_weight, net.edge_weight)


@pytest.mark.parametrize("module", [nn.Linear(2, 2), nn.DataParallel(nn.Linear(2, 2)), None])
def test_a_module_that_holds_no_graph_module_is_refused_by_its_type(module):
    with pytest.raises(gt.errors.ArgumentError, match="module must be a GraphModule, or a wrapper"):
        gt.compiler.write_back(module, gt.full_dag(4))
