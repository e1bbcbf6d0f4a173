import copy
import io
import itertools
import math
import pickle

import igraph
import numpy as np
import pytest
import torch
from compiler.oracle import naive_logits, randomized, relative_error
from helpers import staged, staged_dags
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import graphtask as gt
from graphtask.compiler.blocks import ConvBlock

GATES = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "none": lambda w: w}
DIAMOND = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]


@pytest.fixture
def diamond():
    return staged(DIAMOND, [0, 0, 1, 1])


@pytest.fixture
def net(diamond):
    return gt.compile(diamond, channels=2, n_classes=3)


def images_for(graph, *, batch=2, in_channels=3, extra=(0, 0), seed=0):
    side = 2 ** max(graph.vs["stage"])
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        batch, in_channels, side + extra[0], side + extra[1], dtype=torch.float64, generator=generator
    )


# What the network computes


@given(
    staged_dags(),
    st.integers(1, 3),
    st.sampled_from(sorted(GATES)),
    st.tuples(st.integers(1, 3), st.integers(0, 7)),
    st.sampled_from(["plain", "auto"]),
    st.integers(0, 2**31),
)
def test_logits_gradients_and_statistics_are_those_of_the_naive_network(
    graph, channels, gate, extra, execution, seed
):
    module = gt.compile(graph, channels=channels, n_classes=4, gate=gate, execution=execution)
    module = randomized(module, seed)
    images = images_for(graph, extra=extra, seed=seed)
    values = {**{k: v.clone() for k, v in module.state_dict().items()}, **dict(module.named_parameters())}
    parameters = list(module.parameters())
    for training in (True, False):
        logits = module.train(training)(images)
        expected = naive_logits(graph, values, images, gate=GATES[gate], training=training)
        assert relative_error(logits, expected) < 1e-10
        direction = torch.randn(logits.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        gradients = torch.autograd.grad((logits * direction).sum(), parameters)
        oracle = torch.autograd.grad((expected * direction).sum(), parameters)
        scale = max(gradient.abs().max() for gradient in oracle)
        assert max((a - b).abs().max() for a, b in zip(gradients, oracle, strict=True)) < 1e-10 * scale
    for key, value in module.state_dict().items():
        if "running" in key:
            torch.testing.assert_close(value, values[key], rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    graph = staged([(0, 1), (0, 2), (1, 2)], [0, 0, 1])
    module = randomized(gt.compile(graph, channels=1, in_channels=1, n_classes=2), 5)
    names, values = zip(*module.named_parameters(), strict=True)
    images = images_for(graph, in_channels=1, extra=(1, 2), seed=3).requires_grad_()
    buffers = dict(module.named_buffers())

    def logits(images, *values):
        state = {**{k: v.clone() for k, v in buffers.items()}, **dict(zip(names, values, strict=True))}
        return torch.func.functional_call(module, state, (images,))

    assert torch.autograd.gradcheck(logits, (images, *values))


@pytest.mark.parametrize("permutation", list(itertools.permutations(range(4)))[1::5])
def test_the_order_of_vertices_and_edges_changes_no_bit(diamond, permutation):
    edges = [(permutation[i], permutation[j]) for i, j in reversed(DIAMOND)]
    vertices = [permutation.index(k) for k in range(4)]
    turned = staged(edges, [[0, 0, 1, 1][k] for k in vertices], [f"n{k}" for k in vertices])
    module, other = (
        randomized(gt.compile(graph, channels=2, execution="plain")) for graph in (diamond, turned)
    )
    state = module.state_dict()
    state["edge_weight"] = state["edge_weight"].flip(0)
    other.load_state_dict(state)
    images = images_for(diamond, extra=(3, 3))
    assert torch.equal(other(images), module(images))


def test_a_deep_chain_and_a_wide_graph_compile_and_learn():
    wide = staged([(0, i) for i in range(1, 101)] + [(i, 101) for i in range(1, 101)], [0] * 101 + [1])
    for graph in (gt.chain_dag(300, stages=3), wide):
        module = gt.compile(graph, channels=1)
        module(torch.randn(4, 3, 8, 8)).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (9, 4)])
def test_any_size_from_one_pixel_in_the_last_stage_is_accepted(size):
    module = gt.compile(gt.full_dag(4, stages=[2, 1, 1]), channels=1).eval()
    assert module(torch.zeros(3, 3, *size)).shape == (3, 10)


def test_one_image_gives_in_evaluation_what_it_gives_in_a_batch(diamond):
    module = randomized(gt.compile(diamond, channels=2)).eval()
    images = images_for(diamond, batch=5, extra=(4, 4))
    alone = torch.cat([module(image[None]) for image in images])
    torch.testing.assert_close(alone, module(images), rtol=1e-12, atol=1e-12)
    assert module(images[:0]).shape == (0, 10)


def test_other_blocks_take_the_place_of_the_papers(diamond):
    made = []

    def block(in_channels, out_channels, stride):
        made.append((in_channels, out_channels, stride))
        return nn.Conv2d(in_channels, out_channels, 1, stride=stride)

    module = gt.compile(diamond, channels=2, block=block)
    assert sorted(made) == sorted([(3, 2, 1), (2, 2, 1), (4, 4, 1), (4, 4, 1), (2, 4, 2), (2, 4, 2)])
    assert module(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_the_whole_module_is_one_graph_for_torch_compile(net):
    images = torch.randn(4, 3, 8, 8)
    net.eval()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), net(images))


def test_blocks_of_one_shape_share_what_torch_compile_makes_of_them():
    images = torch.randn(4, 3, 8, 8)
    net = gt.compile(gt.full_dag(20, stages=3), channels=2, execution="plain").eval()
    expected = net(images)
    compiled = []

    def backend(program, _inputs):
        compiled.append(program)
        return program.forward

    for block in (*net.nodes.values(), *net.reduces.values()):
        block.compile(backend=backend, dynamic=False)
    with torch.no_grad():
        torch.testing.assert_close(net(images), expected)
    assert len(compiled) == 7  # the input's, a node of each stage, and reductions over one and two stages


@pytest.mark.parametrize("recompute", [3, [3], [-1], "0", None, [[0]], [0.5]])
def test_stages_that_are_not_there_cannot_be_computed_again(recompute):
    with pytest.raises(
        gt.errors.ArgumentError, match="recompute must be True, False, or stages among 0, 1, 2, got"
    ):
        gt.compile(gt.full_dag(6, stages=3), channels=2, recompute=recompute)


# Its parameters


def test_the_papers_net_has_the_papers_parameters():
    module = gt.compile(gt.full_dag(60, stages=3), channels=11)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in module.named_children()}
    assert counts == {"nodes": 513_480, "reduces": 347_600, "head": 450}
    assert module.edge_weight.shape == (1770,)
    assert sum(p.numel() for p in module.parameters()) == 863_300
    sizes = [sum(p.numel() for p in module.node(f"v{i}").parameters()) for i in range(60)]
    assert sizes == [374] + [1_254] * 19 + [4_928] * 20 + [19_536] * 20
    assert sum(p.numel() for p in module.reduce("v0", 2).parameters()) == 5_016


def test_state_dict_keys_carry_the_names_of_the_nodes(net):
    parts = [f"{part}{size}" for part in ("weight", "scale", "shift") for size in ("3x3", "1x1")]
    parts += ["running_means", "running_vars"]
    blocks = [f"nodes.[n{i}]" for i in range(4)] + ["reduces.[n0]1", "reduces.[n1]1"]
    expected = {f"{block}.{part}" for block in blocks for part in parts}
    assert set(net.state_dict()) == {"edge_weight", "head.linear.weight", "head.linear.bias"} | expected


def test_every_execution_has_the_same_state_dict(diamond):
    states = [
        gt.compile(diamond, channels=2, execution=execution).state_dict() for execution in ("plain", "auto")
    ]
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_nodes_may_have_any_name():
    names = ["a.b", "type", "", "quote\"'\\\n{}é→[x]1", "[x]"]
    graph = staged([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)], [0, 0, 1, 1, 2], names)
    module = gt.compile(graph, channels=1)
    assert module(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    assert [isinstance(module.node(name), ConvBlock) for name in names] == [True] * 5
    again = gt.compile(graph, channels=1, seed=1)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again.node("a.b").weight3x3, module.node("a.b").weight3x3)


def test_nodes_reductions_and_edges_are_found_by_name(net):
    assert net.node("n2") is net.nodes["[n2]"]
    assert net.reduce("n1", 1) is net.reduces["[n1]1"]
    with torch.no_grad():
        net.edge_weight.copy_(torch.arange(5) / 10)
    for index, (source, target) in enumerate(DIAMOND):
        assert net.edge_index(f"n{source}", f"n{target}") == index
        assert net.edge(f"n{source}", f"n{target}").item() == pytest.approx(math.tanh(index / 10))


@pytest.mark.parametrize(
    ("gate", "raw"), [("tanh", math.atanh(0.3)), ("sigmoid", math.log(3 / 7)), ("none", 0.3)]
)
def test_every_edge_starts_at_the_initial_weight(diamond, gate, raw):
    module = gt.compile(diamond, channels=1, gate=gate, initial_weight=0.3)
    assert module.edge_weight.tolist() == pytest.approx([raw] * 5)
    assert module.edge_weights().tolist() == pytest.approx([0.3] * 5)


def test_the_default_edge_weight_is_one_half(net):
    assert net.edge_weights().tolist() == pytest.approx([0.5] * 5)
    assert net.edge_weight.tolist() == pytest.approx([math.atanh(0.5)] * 5)


def test_raw_weights_of_the_graph_are_the_start(diamond):
    diamond.es["w"] = [0.1, -0.2, 3.0, 0, -math.inf]
    assert gt.compile(diamond, channels=1).double().edge_weight.tolist() == pytest.approx(
        [0.1, -0.2, 3, 0, -math.inf]
    )
    torch.set_default_dtype(torch.float64)
    try:
        assert gt.compile(diamond, channels=1).edge_weight.tolist() == [0.1, -0.2, 3.0, 0, -math.inf]
    finally:
        torch.set_default_dtype(torch.float32)


@given(st.lists(st.floats(-5, 5, width=32), min_size=5, max_size=5), st.sampled_from(sorted(GATES)))
def test_the_resource_loss_is_the_sum_of_magnitudes(raw, gate):
    graph = staged(DIAMOND, [0, 0, 1, 1])
    graph.es["w"] = raw
    module = gt.compile(graph, channels=1, gate=gate)
    function = {"tanh": math.tanh, "sigmoid": lambda w: 1 / (1 + math.exp(-w)), "none": float}[gate]
    assert module.resource_loss().item() == pytest.approx(sum(abs(function(w)) for w in raw), rel=1e-5)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.float32, torch.float32), (torch.float64, torch.float64), (torch.bfloat16, torch.float32)],
)
def test_the_resource_loss_keeps_its_precision_under_autocast(diamond, dtype, expected):
    module = gt.compile(diamond, channels=1, initial_weight=-0.3).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = module.resource_loss()
    assert loss.dtype == expected
    assert torch.equal(loss, module.resource_loss())
    exact = torch.tanh(module.edge_weight.detach().double()).abs().sum().item()
    assert loss.item() == pytest.approx(exact, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, module.edge_weight)
    assert (gradient < 0).all()


def test_images_of_full_precision_are_cast_under_autocast(net):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(torch.randn(4, 3, 8, 8))
        assert net(torch.randn(4, 3, 8, 8).bfloat16()).isfinite().all()
    assert logits.dtype == torch.bfloat16


# Randomness, copies, text


def test_the_seed_decides_and_the_global_generator_is_left_alone(diamond):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = gt.compile(diamond, channels=2, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    second, third = gt.compile(diamond, channels=2, seed=3), gt.compile(diamond, channels=2, seed=4)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.node("n0").weight3x3, third.node("n0").weight3x3)


def test_the_generators_of_accelerators_are_left_alone(diamond, monkeypatch):
    def touched(*_):
        raise AssertionError

    for backend in (torch.cuda, torch.mps, torch.xpu):
        for name in ("manual_seed", "manual_seed_all"):
            monkeypatch.setattr(backend, name, touched, raising=False)
    gt.compile(diamond, channels=2, seed=3)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_computes_the_same_and_shares_nothing(net, copied):
    images = torch.randn(4, 3, 8, 8)
    clone = copied(net)
    assert torch.equal(clone.eval()(images), net.eval()(images))
    with torch.no_grad():
        for parameter in clone.parameters():
            parameter.zero_()
    assert net.edge_weights().tolist() == pytest.approx([0.5] * 5)
    assert clone.edge_weights().tolist() == [0] * 5
    assert clone(images).abs().max() == 0


def test_weights_survive_a_file_that_is_read_without_executing_code(net, diamond):
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = gt.compile(diamond, channels=2, n_classes=3, seed=9)
    other.load_state_dict(torch.load(file, weights_only=True))
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(other.eval()(images), net.eval()(images))


def test_the_graph_of_a_module_is_a_copy(net, diamond):
    assert net.graph.get_edgelist() == DIAMOND
    net.graph.delete_vertices([0])
    diamond.delete_vertices([0])
    assert net.graph.vcount() == 4


def test_the_text_of_a_module_is_one_line_with_its_size_and_options(net):
    assert repr(net) == (
        "GraphModule(4 nodes, 5 edges, 2 stages, 680 parameters, channels=2, in_channels=3, n_classes=3, "
        "gate='tanh', execution='auto')"
    )


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "channels must be an integer >= 1, got 0"),
        ({"channels": 2.0}, r"channels must be an integer >= 1, got 2\.0"),
        ({"channels": True}, "channels must be an integer >= 1, got True"),
        ({"in_channels": "3"}, "in_channels must be an integer >= 1, got '3'"),
        ({"n_classes": -1}, "n_classes must be an integer >= 1, got -1"),
        (
            {"channels": 2**20},
            r"channels must give stage 1 at most 1,048,576 channels, got 1048576·2\^1; number",
        ),
        ({"gate": "relu"}, "unknown gate 'relu'; known are tanh, sigmoid, none"),
        ({"gate": None}, "gate must be a class or function of a tensor of raw weights, got None"),
        ({"gate": torch.nn.Tanh()}, r"gate must be a class or function of a tensor of raw weights, got Tanh"),
        ({"gate": lambda w: w}, "gate must be a class or function of a module, or package.module:name"),
        ({"gate": torch.sum}, "gate must be a function of a tensor that returns a finite value for each"),
        ({"gate": "torch:softmax"}, "gate 'torch:softmax' failed"),
        (
            {"gate": "torch:sin", "initial_weight": 1.5},
            "initial_weight must be a value of the gate torch:sin",
        ),
        ({"execution": "slow"}, "execution must be one of auto, plain, fused, got 'slow'"),
        (
            {"initial_weight": 1.0},
            r"initial_weight must be a number in \(-1, 1\) for gate='tanh'",
        ),
        ({"initial_weight": -0.1, "gate": "sigmoid"}, r"in \(0, 1\) for"),
        ({"initial_weight": math.nan, "gate": "none"}, r"in \(-inf, inf\) for"),
        ({"initial_weight": "half"}, "got 'half'"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"seed": None}, "seed must be an integer"),
    ],
)
def test_arguments_out_of_range_are_named(diamond, arguments, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        gt.compile(diamond, **{"channels": 2, **arguments})


def test_numpy_integers_are_whole_numbers(diamond):
    module = gt.compile(diamond, channels=np.int64(2), n_classes=np.int32(4), seed=np.int64(3))
    assert module.head.linear.out_features == 4


def test_an_invalid_graph_is_refused():
    with pytest.raises(gt.errors.GraphError, match="`name`"):
        gt.compile(igraph.Graph(directed=True, edges=[(0, 1)]), channels=2)


def test_raw_weights_on_some_edges_only_are_refused(diamond):
    diamond.es[0]["w"] = 0.3
    with pytest.raises(gt.errors.GraphError, match="the `w` of edge 'n0' → 'n2' must be a float, got None"):
        gt.compile(diamond, channels=2)


def test_raw_weights_of_another_gate_are_refused(diamond):
    graph = gt.compiler.write_back(gt.compile(diamond, channels=2, gate="sigmoid"), diamond)
    with pytest.raises(
        gt.errors.ArgumentError,
        match="gate must be 'sigmoid', with which `w` of the edges was trained, got 'tanh'",
    ):
        gt.compile(graph, channels=2)
    del graph.es["w"]
    assert gt.compile(graph, channels=2).edge_weights().tolist() == pytest.approx([0.5] * 5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((2, 3, 8, 8)),
            r"images must be a tensor of shape \(batch, 3, height, width\), got ndarray",
        ),
        (torch.zeros(3, 8, 8), r"shape \(3, 8, 8\)"),
        (
            torch.zeros(2, 1, 8, 8),
            "compile the graph with in_channels=1",
        ),
        (torch.zeros(2, 3, 8, 1), "images must be at least 2×2 pixels for stage 1, got '8×1'"),
        (torch.zeros(2, 3, 8, 0), r"images \(width\) must be an integer >= 1, got 0"),
        (
            torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
            r"images must be of the network's dtype, torch\.float32, got torch\.uint8",
        ),
        (torch.zeros(2, 3, 8, 8).double(), r"got torch\.float64"),
        (torch.zeros(2, 3, 8, 8, device="meta"), "images must be on the network's device, cpu, got"),
        (torch.zeros(1, 3, 2, 2), r"at least 2 values per channel in stage 1 .* shape \(1, 3, 2, 2\)"),
        (torch.zeros(0, 3, 8, 8), "for batch normalization"),
    ],
)
def test_images_that_do_not_fit_are_refused(net, images, message):
    with pytest.raises(gt.errors.ArgumentError, match=message) as caught:
        net(images)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused(net):
    with pytest.raises(
        gt.errors.ArgumentError, match=r"name must be a name in module\.graph\.vs\['name'\], got 'x'"
    ):
        net.node("x")
    with pytest.raises(
        gt.errors.ArgumentError,
        match="stage must be a later stage that an edge of node 'n0' leads into, got 2",
    ):
        net.reduce("n0", 2)
    with pytest.raises(
        gt.errors.ArgumentError, match="source and target must be the ends of an edge, got 'n3' → 'n0'"
    ):
        net.edge("n3", "n0")
