"""Built-in blocks: sizes, gradients, and every tool on runs that have them."""

import pytest
import torch
from torch import nn

import graphtask as gt

NAMES = sorted(gt.blocks.BLOCKS)


def full_dag(n_nodes, *, stages):
    """A full DAG whose nodes have operations, as one of the blocks needs them."""
    graph = gt.full_dag(n_nodes, stages=stages)
    operations = ["nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1"] * n_nodes
    graph.vs["op"] = ["input", *operations[: n_nodes - 2], "output"]
    return graph


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stride", "size"), [(1, (5, 4)), (2, (5, 4)), (4, (9, 4)), (2, (1, 7))])
def test_a_block_returns_the_size_over_its_stride_rounded_up(name, stride, size):
    value = gt.blocks.BLOCKS[name](3, 8, stride)(torch.zeros(2, 3, *size))
    assert value.shape == (2, 8, *(-(-side // stride) for side in size))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_of_a_network_are_those_of_finite_differences(name):
    net = gt.compile(
        full_dag(4, stages=2),
        channels=2,
        in_channels=2,
        n_classes=2,
        block=name,
        execution="plain",
        seed=1,
    )
    net = net.double()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=generator)

    def logits(weight, images):
        return torch.func.functional_call(net, {"edge_weight": weight}, (images,))

    inputs = net.edge_weight.detach().requires_grad_(), images.requires_grad_()
    assert torch.autograd.gradcheck(logits, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_parameters_is_that_of_the_network(name):
    graph = full_dag(5, stages=2)
    net = gt.compile(graph, channels=4, block=name)
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    assert gt.compiler.count_parameters(graph, channels=4, block=name) == n_parameters
    assert gt.compiler.fit_channels(graph, budget=n_parameters, block=name) == 4


def test_a_separable_block_is_the_product_of_its_convolutions():
    torch.manual_seed(0)
    block = gt.blocks.BLOCKS["separable"](3, 5, 1).double()
    depth, point = block[1].weight, block[2].weight
    dense = torch.einsum("oi,ihw->oihw", point[:, :, 0, 0], depth[:, 0])
    images = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert torch.allclose(block[:3](images), torch.conv2d(images.relu(), dense, padding=1))


def test_the_mlp_block_is_a_linear_layer_on_a_table():
    block = gt.blocks.BLOCKS["mlp"](3, 5, 1).double()
    table = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    linear = table.relu() @ block[1].weight[:, :, 0, 0].T
    expected = (linear - linear.mean(0)) / (linear.var(0, unbiased=False) + 1e-5).sqrt()
    assert torch.allclose(block(table[:, :, None, None])[:, :, 0, 0], expected)


def test_a_geometric_block_convolves_over_its_graph():
    geometric = pytest.importorskip("torch_geometric.nn")
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    net = gt.compile(
        gt.full_dag(4, stages=1),
        channels=4,
        in_channels=5,
        n_classes=2,
        block=gt.blocks.geometric(geometric.GCNConv, edges),
    )
    features = torch.randn(2, 5, 1, 4, generator=torch.Generator().manual_seed(0))
    assert net.eval()(features).shape == (2, 2)  # training would change the statistics
    node = net.node("v1")
    x = torch.randn(1, 4, 1, 4, generator=torch.Generator().manual_seed(1))
    expected = node.conv(x[0, :, 0].T.relu(), edges).T
    assert torch.allclose(node.eval()(x)[0, :, 0], expected / (1 + 1e-5) ** 0.5, atol=1e-6)
    with pytest.raises(
        gt.errors.ArgumentError, match="stages must be 0 for a block over a graph, got a stride of 2"
    ):
        gt.compile(gt.full_dag(4, stages=2), channels=4, block=gt.blocks.geometric(geometric.GCNConv, edges))


def test_registered_blocks_have_a_name_and_names_are_unique(monkeypatch):
    monkeypatch.setitem(gt.blocks.BLOCKS, "plain", None)  # which is taken back after the test
    del gt.blocks.BLOCKS["plain"]

    def plain(in_channels, out_channels, stride):
        return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)

    gt.blocks.register("plain", plain)
    assert gt.TrainConfig(block=plain).model.block == "plain"
    assert isinstance(gt.compile(gt.full_dag(3), channels=1, block="plain").node("v1"), nn.Conv2d)
    with pytest.raises(
        gt.errors.ArgumentError, match="name must be one that no other block has, got 'simple'"
    ):
        gt.blocks.register("simple", plain)
    with pytest.raises(gt.errors.ArgumentError, match="name must be a text without a colon"):
        gt.blocks.register("a:b", plain)
    with pytest.raises(gt.errors.ArgumentError, match="unknown block 'seperable'; did you mean 'separable'"):
        gt.compile(gt.full_dag(3), channels=1, block="seperable")
    with pytest.raises(gt.errors.ArgumentError, match="block must be a class or function"):
        gt.compile(gt.full_dag(3), channels=1, block=nn.ReLU())
