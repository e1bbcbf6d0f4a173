import copy
import itertools
import math
from functools import cache

import networkx as nx
import pytest
import torch
import torch.fx
from torch import nn
from torchvision import models as zoo
from tracing.models import DependsOnValues, Functional, Remembers, Shared, Skip, TwoInputs, WriteIntoView

import graphtask as gt
from graphtask.graph import edge_names, provenance
from graphtask.tracing.capture import capture

X = torch.zeros(2, 4)
IMAGE = torch.zeros(1, 3, 64, 64)


def edges(graph):
    gt.check_graph(graph)
    return set(edge_names(graph))


def ops(graph):
    return {op: graph.vs["op"].count(op) for op in graph.vs["op"]}


def model(name, **options):
    return zoo.get_model(name, weights=None, **options)


@cache
def resnet18(granularity):
    """The graph of a network that everybody knows."""
    return gt.trace(model("resnet18"), IMAGE, granularity=granularity)


# --- small modules, by hand


def test_a_chain_is_a_chain_without_its_activations():
    net = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.LayerNorm(8), nn.Linear(8, 2), nn.Softmax(-1)
    )
    assert edges(gt.trace(net, X)) == {("input", "0"), ("0", "3"), ("3", "4")}
    graph = gt.trace(net, X, granularity="layer")
    assert edges(graph) == {("input", "0"), ("0", "4")}
    assert graph.vs["op"] == ["input", "Linear", "Linear"]
    assert graph.vs["shape"] == ["2x4", "2x8", "2x2"]
    assert graph.vs["parameters"] == [0, 40, 18]
    assert graph.vs["stage"] == [0, 0, 0]


@pytest.mark.parametrize("inplace", [False, True])
def test_a_skip_connection_is_kept_also_if_added_in_place(inplace):
    skip = {("input", "a"), ("a", "b"), ("b", "add"), ("input", "add")}
    assert edges(gt.trace(Skip(inplace=inplace), X)) == skip
    net = nn.Sequential(Skip(inplace=inplace), nn.Linear(4, 4))
    layers = {("input", "0.a"), ("0.a", "0.b"), ("0.b", "1"), ("input", "1")}
    assert edges(gt.trace(net, X, granularity="layer")) == layers
    assert edges(gt.trace(net, X, granularity="block", blocks=["Skip"])) == {("input", "0"), ("0", "1")}


def test_a_join_at_the_end_that_is_no_vertex_becomes_the_output():
    graph = gt.trace(Skip(), X, granularity="layer")
    assert edges(graph) == {("input", "a"), ("a", "b"), ("b", "output"), ("input", "output")}
    assert graph.vs[graph.vcount() - 1]["op"] == "output"


def test_a_write_into_a_view_reaches_the_readers_of_the_whole():
    written = edges(gt.trace(WriteIntoView(), X, granularity="layer"))
    assert written == {("input", "a"), ("input", "b"), ("a", "c"), ("b", "c")}


def test_a_module_called_twice_is_two_vertices():
    graph = gt.trace(Shared(), X)
    assert edges(graph) == {
        *{("input", "block.a"), ("block.a", "block.b"), ("block.b", "block.add"), ("input", "block.add")},
        *{("block.add", "block.a@1"), ("block.a@1", "block.b@1")},
        *{("block.b@1", "block.add@1"), ("block.add", "block.add@1")},
    }
    blocks = gt.trace(Shared(), X, granularity="block")
    assert edges(blocks) == {("input", "block"), ("block", "block@1")}
    assert blocks.vs["op"] == ["input", "Skip", "Skip"]
    assert blocks.vs["parameters"] == [0, 40, 40]


def test_several_inputs_and_outputs_are_joined_and_what_is_computed_in_vain_is_left_out():
    graph = gt.trace(TwoInputs(), {"image": X, "mask": torch.zeros(2, 3)})
    assert edges(graph) == {
        *{("input", "image"), ("input", "mask"), ("image", "left"), ("mask", "right")},
        *{("left", "add"), ("right", "add"), ("add", "output"), ("right", "output")},
    }
    assert ops(graph) == {"input": 3, "Linear": 2, "add": 1, "output": 1}
    assert None not in graph.vs["shape"] + graph.vs["parameters"]


def test_functions_with_parameters_are_vertices_and_constants_are_not():
    graph = gt.trace(Functional(), X)
    assert edges(graph) == {("input", "matmul"), ("matmul", "mul"), ("mul", "matmul@1")}
    assert graph.vs["parameters"] == [0, 16, 4, 16]
    assert edges(gt.trace(Functional(), X, granularity="layer")) == {
        ("input", "matmul"),
        ("matmul", "matmul@1"),
    }


def test_tensors_of_one_vertex_that_meet_again_are_one_edge():
    net = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).requires_grad_(requires_grad=False)
    assert edges(gt.trace(net, torch.zeros(2, 3, 4))) == {
        *{("input", "self_attn"), ("self_attn", "add"), ("input", "add"), ("add", "norm1")},
        *{("norm1", "linear1"), ("linear1", "linear2"), ("linear2", "add@1"), ("norm1", "add@1")},
        ("add@1", "norm2"),
    }


def test_recurrent_layers_embeddings_and_weight_norm_are_layers():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.lstm = nn.Embedding(10, 4), nn.LSTM(4, 5, batch_first=True)
            self.head = nn.utils.parametrizations.weight_norm(nn.Linear(5, 2))

        def forward(self, tokens):
            states, _ = self.lstm(self.words(tokens))
            return self.head(states[:, -1])

    graph = gt.trace(Text(), torch.zeros(2, 7, dtype=torch.int64), granularity="layer")
    assert edges(graph) == {("input", "words"), ("words", "lstm"), ("lstm", "head")}
    assert graph.vs["parameters"] == [0, 40, 220, 14]
    assert graph.vs["shape"] == ["2x7", "2x7x4", "2x7x5", "2x2"]


def test_a_block_without_gradients_and_a_shape_that_depends_on_values_are_traced():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = Skip(), nn.Linear(4, 4)

        def forward(self, x):
            with torch.no_grad():
                x = self.body(x)
            return self.head(x[x[:, 0] > 0])

    graph = gt.trace(Frozen(), X, granularity="block", blocks=["Skip"])
    assert edges(graph) == {("input", "body"), ("body", "head")}
    assert graph.vs["shape"] == ["2x4", "2x4", "?x4"]


# --- networks that everybody knows, counted by hand


def test_resnet18_has_its_convolutions_norms_and_eight_additions():
    graph = resnet18("leaf")
    assert ops(graph) == {"input": 1, "Conv2d": 20, "BatchNorm2d": 20, "add": 8, "Linear": 1}
    # 2 in the stem, 6 in each block, 2 more in each of the three with a convolution on the skip connection, 1 at the end
    assert len(edges(graph)) == 2 + 8 * 6 + 3 * 2 + 1
    assert {("bn1", "layer1.0.add"), ("layer1.0.add", "layer1.1.add")} <= edges(graph)
    assert ("layer2.0.downsample.1", "layer2.0.add") in edges(graph)
    assert sum(graph.vs["parameters"]) == 11_689_512
    # convolution and norm of the stem; a stage of two blocks has ten vertices, and two more with a downsampling
    assert [graph.vs["stage"].count(stage) for stage in range(6)] == [1, 2, 10, 12, 12, 12 + 1]
    assert graph.vs.find("layer4.1.conv2")["shape"] == "1x512x2x2"


def test_resnet18_without_joins_shows_all_layers_that_a_sum_brings_together():
    graph = resnet18("layer")
    assert ops(graph) == {"input": 1, "Conv2d": 20, "Linear": 1}
    # stem 1; layer1: 1 + 1, 2 + 1; layer2, 3, 4: 3 + 1 + 3, 2 + 1 each; the last sum has 3 terms
    assert len(edges(graph)) == 1 + 5 + 3 * 10 + 3
    assert {source for source, target in edges(graph) if target == "fc"} == {
        "layer4.0.downsample.0",
        "layer4.0.conv2",
        "layer4.1.conv2",
    }


def test_every_skip_connection_doubles_the_paths():
    resnet = gt.measure(resnet18("layer"))
    assert resnet["log_paths"] == pytest.approx(8 * math.log(2))
    assert (resnet["min_path"], resnet["max_path"], resnet["edge_connectivity"]) == (5, 18, 1)
    dense = zoo.DenseNet(growth_rate=4, block_config=(3, 4), num_init_features=8, num_classes=5)
    row = gt.measure(gt.trace(dense, IMAGE, granularity="layer"))
    assert row["log_paths"] == pytest.approx(7 * math.log(2))


def test_resnet18_is_a_chain_of_eight_blocks():
    graph = resnet18("block")
    names = ["input", "conv1", *(f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)), "fc"]
    assert edges(graph) == set(itertools.pairwise(names))
    assert ops(graph) == {"input": 1, "Conv2d": 1, "BasicBlock": 8, "Linear": 1}
    assert graph.vs["stage"] == [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]


def dense_block_edges(n_layers):
    """The full DAG on the layers, what is before them, and what is behind them."""
    return (n_layers + 2) * (n_layers + 1) // 2


def test_a_dense_block_is_the_full_dag_of_its_layers():
    net = zoo.DenseNet(growth_rate=4, block_config=(3, 4), num_init_features=8, num_classes=5)
    graph = gt.trace(net, IMAGE, granularity="block")
    assert ops(graph) == {"input": 1, "Conv2d": 2, "_DenseLayer": 7, "Linear": 1}
    assert len(edges(graph)) == 1 + dense_block_edges(3) + dense_block_edges(4)
    second = [f"features.denseblock2.denselayer{index}" for index in (1, 2, 3, 4)]
    nodes = ["features.transition1.conv", *second, "classifier"]
    inside = graph.induced_subgraph([graph.vs.find(name).index for name in nodes])
    assert inside.isomorphic(gt.full_dag(6))


@pytest.mark.slow
def test_densenet121_counted_by_hand():
    layers = (6, 12, 24, 16)
    net = model("densenet121")
    example = torch.zeros(1, 3, 224, 224)
    blocks = gt.trace(net, example, granularity="block")
    assert ops(blocks) == {"input": 1, "Conv2d": 4, "_DenseLayer": 58, "Linear": 1}
    assert len(edges(blocks)) == 1 + sum(map(dense_block_edges, layers)) == 598
    assert [blocks.vs["stage"].count(stage) for stage in range(6)] == [1, 1, 6 + 1, 12 + 1, 24 + 1, 16 + 1]
    assert len(edges(gt.trace(net, example, granularity="layer"))) == 598 + 58
    leaves = gt.trace(net, example)
    # The first concatenation of a block has one term; there is one more after its last layer.
    assert ops(leaves) == {"input": 1, "Conv2d": 120, "BatchNorm2d": 121, "cat": 58, "Linear": 1}
    n_terms = sum(sum(range(2, n + 1)) + n + 1 for n in layers)
    assert len(edges(leaves)) == 2 + n_terms + 4 * sum(layers) + 3 * 2 + 2
    assert sum(leaves.vs["parameters"]) == 7_978_856


def check_vision_transformer(net, example, *, n_blocks, stage):
    leaves = gt.trace(net, example)
    # Each block adds twice; the position is added once.
    assert ops(leaves) == {
        "input": 1,
        "Conv2d": 1,
        "cat": 1,
        "add": 2 * n_blocks + 1,
        "LayerNorm": 2 * n_blocks + 1,
        "MultiheadAttention": n_blocks,
        "Linear": 2 * n_blocks + 1,
    }
    assert len(edges(leaves)) == 3 + 9 * n_blocks + 2
    assert leaves.vs["stage"] == [0] + [stage] * (leaves.vcount() - 1)
    assert sum(leaves.vs["parameters"]) == sum(parameter.numel() for parameter in net.parameters())
    layers = gt.trace(net, example, granularity="layer")
    # Block k reads 2k − 1 terms in its attention and 2k in its perceptron, which has one edge inside.
    assert len(edges(layers)) == 1 + sum(4 * k for k in range(1, n_blocks + 1)) + 2 * n_blocks + 1
    blocks = gt.trace(net, example, granularity="block")
    assert ops(blocks) == {"input": 1, "Conv2d": 1, "EncoderBlock": n_blocks, "Linear": 1}
    assert blocks.isomorphic(gt.chain_dag(n_blocks + 3))


def test_a_vision_transformer_has_two_additions_in_every_block():
    net = zoo.VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
    check_vision_transformer(net, torch.zeros(1, 3, 32, 32), n_blocks=2, stage=3)


@pytest.mark.slow
def test_vit_b_16_counted_by_hand():
    check_vision_transformer(model("vit_b_16"), torch.zeros(1, 3, 224, 224), n_blocks=12, stage=4)


# --- independent oracles


def fx_layer_edges(net):
    """Edges between convolutions and linear layers, by another tracer and a search along paths without them."""
    traced = torch.fx.symbolic_trace(copy.deepcopy(net).eval())
    flow = nx.DiGraph((source, node) for node in traced.graph.nodes for source in node.all_input_nodes)
    layers = {
        node: node.target
        for node in flow
        if node.op == "call_module" and isinstance(traced.get_submodule(node.target), nn.Conv2d | nn.Linear)
    }
    layers |= {node: "input" for node in flow if node.op == "placeholder"}
    result = set()
    for layer, name in layers.items():
        rest = flow.subgraph([node for node in flow if node not in layers or node is layer])
        reached = nx.descendants(rest, layer) | {layer}
        result |= {
            (name, layers[node]) for near in reached for node in flow.successors(near) if node in layers
        }
    return result


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("googlenet", "mobilenet_v3_small", "resnet50", "shufflenet_v2_x0_5")
        ),
    ],
)
def test_layers_are_linked_as_another_tracer_finds(name):
    net = model(name, **({"init_weights": False} if name == "googlenet" else {}))
    expected = fx_layer_edges(net)
    got = {pair for pair in edges(gt.trace(net, IMAGE, granularity="layer")) if pair[1] != "output"}
    assert got == expected


@pytest.mark.parametrize(
    "graph",
    [gt.full_dag(5, stages=1), gt.full_dag(6, stages=3), gt.random_dag(9, out_degree=2, stages=2, seed=1)],
)
def test_the_network_of_a_graph_has_that_graph(graph):
    net = gt.compile(graph, channels=2, execution="plain")
    traced = gt.trace(net, torch.zeros(1, 3, 16, 16), granularity="block")
    paths = {module: path for path, module in net.named_modules()}
    keys = {paths[net.node(name)]: name for name in graph.vs["name"]}
    into_reduces = {target: source for source, target in edges(traced) if target.startswith("reduces.")}
    into_nodes = [
        (into_reduces.get(source, source), target) for source, target in edges(traced) if target in keys
    ]
    found = {(keys[source], keys[target]) for source, target in into_nodes if source != "input"}
    assert found == set(edge_names(graph))
    stages = {keys[vertex["name"]]: vertex["stage"] for vertex in traced.vs if vertex["name"] in keys}
    assert stages == dict(zip(graph.vs["name"], graph.vs["stage"], strict=True))


# --- what tracing leaves alone


def test_the_module_its_mode_and_the_random_generator_stay_as_they_are():
    net = nn.Sequential(Remembers(), nn.Linear(4, 4))
    net[0].norm.eval()
    modes = [module.training for module in net.modules()]
    state = copy.deepcopy(net.state_dict())
    parameters = list(net.parameters())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    gt.trace(net, torch.ones(3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in net.modules()] == modes
    assert all(new is old for new, old in zip(net.parameters(), parameters, strict=True))
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert net[0].calls == 0
    assert net[0].seen == []
    assert not hasattr(net[0], "last")
    assert torch.is_grad_enabled()


def test_a_recurrent_module_still_works_after_it_was_traced():
    net = nn.LSTM(4, 5)
    gt.trace(nn.Sequential(net), torch.zeros(3, 2, 4))
    assert net(torch.zeros(3, 2, 4))[0].requires_grad


def test_the_same_module_gives_the_same_graph_whatever_the_values():
    first, second = (gt.trace(Skip(), torch.randn(2, 4)) for _ in range(2))
    assert first.vs["name"] == second.vs["name"]
    assert edge_names(first) == edge_names(second)
    assert provenance(first) == provenance(second)


def test_the_provenance_names_the_module_and_the_arguments():
    facts = provenance(gt.trace(Shared(), (X,), granularity="block", blocks=["Skip"]))
    assert facts["prior"] == {
        "name": "trace",
        "arguments": {"module": "Shared", "example": [[2, 4]], "granularity": "block", "blocks": ["Skip"]},
    }
    assert facts["initial"]["edges"] == 2


def test_a_traced_graph_is_stored_without_loss_and_measured(tmp_path):
    graph = gt.trace(TwoInputs(), {"image": X, "mask": torch.zeros(2, 3)})
    gt.write(graph, tmp_path / "traced.graphml")
    again = gt.read(tmp_path / "traced.graphml")
    assert {name: again.vs[name] for name in again.vs.attributes()} == {
        name: graph.vs[name] for name in graph.vs.attributes()
    }
    assert edge_names(again) == edge_names(graph)
    row = gt.measure(graph)
    assert row["nodes"] == 7
    assert row["edges"] == 8


# --- errors


@pytest.mark.parametrize(
    ("module", "example", "options", "message"),
    [
        (DependsOnValues(), X, {}, r"depends on the values of tensors \(models.py, line \d+\)"),
        (Skip(), torch.zeros(2, 5), {}, r"Skip fails on this example \(models.py, line \d+\): .*shapes"),
        (model("squeezenet1_1"), X, {}, r"SqueezeNet fails on this example \(squeezenet.py, line \d+\)"),
        (Skip(), (X, X), {}, "Skip fails on this example"),
        (Skip(), {"y": X}, {}, "Skip fails on this example"),
        (Skip(), 3, {}, "example must hold a tensor"),
        (Skip(), [], {}, "example must hold a tensor"),
        (torch.relu, X, {}, "module must be a torch.nn.Module"),
        (nn.LazyLinear(4), X, {}, "LazyLinear has lazy parameters without a shape; call it once"),
        (nn.ReLU(), X, {}, "nothing reads parameters or joins tensors"),
        (
            nn.LayerNorm(4),
            X,
            {"granularity": "layer"},
            "nothing multiplies by weights; use granularity='leaf'",
        ),
        (Skip(), X, {"granularity": "leafs"}, "granularity must be one of .*got 'leafs'"),
        (Skip(), X, {"blocks": ["Skip"]}, "blocks must be None for granularity='leaf'"),
        (Shared(), X, {"granularity": "block", "blocks": "Skip"}, "blocks must be a list of class names"),
        (
            Shared(),
            X,
            {"granularity": "block", "blocks": ["Skp"]},
            "no module of class 'Skp' .* did you mean Skip?",
        ),
    ],
)
def test_what_cannot_be_traced_is_one_clear_line(module, example, options, message, capfd):
    with pytest.raises(gt.errors.ArgumentError, match=message) as raised:
        gt.trace(module, example, **options)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_result_without_the_example_is_an_error():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return self.value * torch.ones_like(x)

    with pytest.raises(gt.errors.ArgumentError, match="does not depend on the tensors of the example"):
        gt.trace(Constant(), torch.zeros(3))


def test_tied_parameters_count_once_in_a_vertex():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)
            self.b = nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    assert sum(capture(Tied(), X).parameter_sizes.values()) == 16
    assert gt.trace(Tied(), X).vs["parameters"] == [0, 16, 16]
    whole = gt.trace(nn.Sequential(Tied(), nn.Linear(4, 4)), X, granularity="block", blocks=["Tied"])
    assert whole.vs["parameters"] == [0, 16, 20]
