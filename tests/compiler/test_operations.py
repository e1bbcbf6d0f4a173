import pytest
import torch
from torch import nn
from torch.nn import functional

import graphtask as gt
from graphtask.compiler.operations import _CONVOLUTIONS, _UNPARAMETRIZED, operation_block
from graphtask.errors import ArgumentError, GraphError
from graphtask.reading import ReadOptions, from_bytes

OPS = sorted({*_CONVOLUTIONS, *_UNPARAMETRIZED} - {"stem", "preprocess"} | {"input"})
OPERATIONS = "operations"


def cell(text, name="cell.txt", **options):
    return from_bytes(text.encode(), name=name, options=ReadOptions(**{"stages": 1, **options}))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("is_input", [False, True])
def test_every_operation_has_the_channels_and_pixels_of_a_block(op, stride, is_input):
    for in_channels, out_channels in ((4, 4), (3, 8)):
        block = operation_block(op, is_input=is_input)(in_channels, out_channels, stride)
        shape = block(torch.rand(2, in_channels, 9, 7)).shape
        assert shape == (2, out_channels, -(-9 // stride), -(-7 // stride))


@pytest.mark.parametrize(
    ("op", "number"),
    [
        ("conv1x1-bn-relu", 8 * 8 + 16),
        ("conv3x3-bn-relu", 9 * 64 + 16),
        ("nor_conv_3x3", 9 * 64 + 16),
        ("sep_conv_5x5", 2 * (25 * 8 + 64 + 16)),
        ("dil_conv_3x3", 9 * 8 + 64 + 16),
        ("conv_7x1_1x7", 2 * 7 * 64 + 16),
        ("max_pool_3x3", 0),
        ("skip_connect", 0),
        (None, 0),
    ],
)
def test_operations_have_the_parameters_of_their_source(op, number):
    block = operation_block(op, is_input=False)(8, 8, 1)
    assert sum(parameter.numel() for parameter in block.parameters()) == number


def test_a_cell_of_nasbench201_computes_what_its_definition_says():
    """With weights of 1 a node is the sum over its edges of operation(source)."""
    text = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
    graph = cell(text)
    net = gt.compile(graph, channels=4, block=OPERATIONS, gate="none", initial_weight=1.0).eval()
    images = torch.rand(3, 3, 8, 8)

    def op(name, x):
        return net.node(name)(x)

    def pooled(x):
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    x0 = net.node("0")(images)
    x1 = op("0>1", x0)
    x2 = x0 + op("1>2", x1)
    x3 = pooled(x0) + op("2>3", x2)
    torch.testing.assert_close(net(images), net.head(x3))
    assert "1>3" not in graph.vs["name"]  # none is no edge
    assert [type(part) for part in net.node("0>1")] == [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
    assert net.node("0>1")[1].kernel_size == (3, 3)
    assert net.node("1>2")[1].kernel_size == (1, 1)


def test_cells_of_every_benchmark_compile_and_train():
    matrix = (
        '{"module_adjacency": [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], '
        '"module_operations": ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]}'
    )
    steps = "[('sep_conv_3x3', 0), ('skip_connect', 1), ('dil_conv_5x5', 2), ('max_pool_3x3', 0)]"
    genotype = f"Genotype(normal={steps}, normal_concat=[2, 3], reduce={steps}, reduce_concat=[2, 3])"
    for graph in (cell(matrix, "cell.json"), cell(genotype, join=True, stages=2)):
        net = gt.compile(graph, channels=2, block=OPERATIONS)
        loss = net(torch.rand(2, 3, 8, 8)).logsumexp(dim=1).sum()
        loss.backward()
        assert all(parameter.grad is not None for parameter in net.parameters())
        again = gt.compiler.extract_subnetwork(net, gt.compiler.write_back(net, graph))
        assert again.state_dict().keys() == net.state_dict().keys()


def test_an_unknown_operation_and_a_graph_without_any_are_one_line():
    graph = cell("|nor_conv_3x3~0|+|skip~0|nor_conv_1x1~1|")
    with pytest.raises(
        ArgumentError, match="op must be an operation with a block, got 'skip'; known are avg_pool"
    ):
        gt.compile(graph, channels=2, block=OPERATIONS)
    with pytest.raises(GraphError, match="no vertex has an `op`, which the block of operations needs"):
        gt.compile(gt.full_dag(3), channels=2, block=OPERATIONS)


def test_the_same_seed_gives_the_same_parameters():
    graph = cell("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|")
    first, again = (gt.compile(graph, channels=2, block=OPERATIONS, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("size", [8, (9, 7)])
def test_multiplications_of_cells_are_those_of_their_layers(size):
    graph = cell("|nor_conv_3x3~0|+|skip_connect~0|sep_conv_5x5~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    pixels = 64 if size == 8 else 63
    stem, nor, depthwise, point, last = 9 * 3 * 4, 9 * 16, 25 * 4, 16, 16
    expected = pixels * (stem + nor + 2 * (depthwise + point) + last) + 4 * 10
    assert gt.compiler.count_macs(graph, channels=4, size=size, block=OPERATIONS) == expected


def test_counted_multiplications_of_the_standard_block_are_its_closed_form():
    graph = gt.full_dag(6, stages=2)
    shape = {"channels": 4, "in_channels": 2, "n_classes": 5, "size": (9, 7)}
    counted = gt.compiler.count_macs(graph, block=gt.blocks.ConvBlock, **shape)
    assert counted == gt.compiler.count_macs(graph, **shape)


def test_the_block_has_a_name_and_a_run_keeps_it():
    from graphtask.compiler.operations import cell_operations
    from graphtask.training.config import TrainConfig

    assert gt.blocks.BLOCKS["operations"] is cell_operations
    assert TrainConfig(block=cell_operations).model.block == "operations"
    assert TrainConfig(block="operations").code == {}, "which needs no --allow-import"
