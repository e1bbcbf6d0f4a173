"""Blocks of the user's own making in the fast execution."""

import pytest
import torch
from compiler.executions import ORDERS, assert_same, fast_execution, images_for, result
from compiler.oracle import randomised
from torch import nn

import graphtask as gt
from graphtask.compiler.module import run_plain
from graphtask.errors import ArgumentError


class Doubled(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, a):
        return torch.tanh(self.conv(a))


@ORDERS
@pytest.mark.parametrize("way", ["product", "gather"])
def test_other_blocks_compute_the_same(channels_last, graph, way):
    module = randomised(gt.compile(graph, channels=2, num_classes=3, block=Doubled))
    images = images_for(graph).requires_grad_()
    fast = fast_execution(module, way=way, channels_last=channels_last)
    assert_same(result(fast, module, images, times=2), result(run_plain, module, images, times=2))
    with torch.no_grad():
        assert_same(result(fast, module, images), result(run_plain, module, images))
    logits = fast(module, images)
    once = torch.autograd.grad(logits.sum(), module.edge_weight, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(logits.sum(), module.edge_weight)[0], once)


@ORDERS
def test_one_block_may_differ_from_the_others(channels_last, graph, module):
    module.nodes["[v4]"] = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)).double()
    module.node("v1").conv3x3 = nn.utils.parametrizations.weight_norm(module.node("v1").conv3x3)
    images = images_for(graph).requires_grad_()
    assert_same(
        result(fast_execution(module, channels_last=channels_last), module, images),
        result(run_plain, module, images),
    )


def test_hooks_on_blocks_are_called(graph, module):
    seen = []
    module.node("v1").register_forward_hook(lambda *_: seen.append("forward"))
    module.node("v2").conv1x1.register_full_backward_hook(lambda *_: seen.append("backward"))
    fast_execution(module)(module, images_for(graph)).sum().backward()
    assert seen == ["forward", "backward"]


def test_a_block_with_another_shape_is_named(graph):
    module = gt.compile(
        graph, channels=2, execution="fast", block=lambda i, o, s: nn.Conv2d(i, o, 3, stride=s)
    )
    with pytest.raises(ArgumentError, match="a Conv2d gave"):
        module(images_for(graph).float())


@ORDERS
def test_a_block_of_another_geometry_is_called_as_it_is(channels_last, graph):
    for change in (
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 3, padding=2, dilation=2, bias=False)),
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 5, padding=2, bias=False)),
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 3, padding=1, groups=2, bias=False)),
    ):
        module = gt.compile(graph, channels=2, num_classes=3)
        change(module.node("v1"))
        module = randomised(module)
        images = images_for(graph).requires_grad_()
        fast = fast_execution(module, channels_last=channels_last)
        assert_same(result(fast, module, images), result(run_plain, module, images))


@ORDERS
def test_a_block_of_another_stride_with_the_right_shape_is_called_as_it_is(channels_last):
    graph = gt.full_dag(4, stages=[2, 1, 1])
    module = gt.compile(graph, channels=2, num_classes=3)
    block = module.reduce("v0", 2)
    block.conv3x3.stride = block.conv1x1.stride = (3, 3)  # of 5×5 pixels it leaves 2×2, as 4 does
    module = randomised(module)
    images = torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fast = fast_execution(module, channels_last=channels_last)
    assert_same(
        result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


class GivesItsGradientOn(nn.Module):
    """The gradient of a parameter is the very tensor that the block is given."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.shift = nn.Parameter(torch.zeros(1, 2, 4, 4))

    def forward(self, a):
        return self.conv(a) + self.shift


class Deeper(nn.Module):
    """Leaves its argument with another shape than it came with."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, a):
        return self.conv(a.unsqueeze_(0)[0])


@ORDERS
def test_what_a_block_does_to_its_argument_stays_with_the_step(channels_last):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=2, num_classes=3)
    module.nodes["[v1]"] = Deeper()
    module = randomised(module).eval()
    fast = fast_execution(module, channels_last=channels_last)
    images = images_for(graph, batch=1)
    with torch.no_grad():
        first = fast(module, images)
        assert all(torch.equal(fast(module, images), first) for _ in range(3))


@ORDERS
@pytest.mark.parametrize("node", ["[v1]", "[v2]"])
def test_a_gradient_given_to_a_block_is_its_own(channels_last, node):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=2, num_classes=3)
    module.nodes[node] = GivesItsGradientOn()
    module = randomised(module)
    images = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fast = fast_execution(module, channels_last=channels_last)
    assert_same(
        result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


def test_a_hook_may_ask_for_gradients_of_a_frozen_network(graph, module):
    module.requires_grad_(False)
    fast = fast_execution(module)
    images = images_for(graph)

    def ask(_, given):
        given[0].requires_grad_()

    hook = module.node("v1").register_forward_pre_hook(ask)
    fast(module, images)
    hook.remove()
    module.requires_grad_()
    assert_same(
        result(fast, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )
