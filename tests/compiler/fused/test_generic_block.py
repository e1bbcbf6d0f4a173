"""Blocks of the user's own making in the fused execution."""

import pytest
import torch
from compiler.executions import ORDERS, assert_same, fused_execution, images_for, result
from compiler.oracle import randomized
from torch import nn

import graphtask as gt
from graphtask.compiler.execution import run_plain
from graphtask.errors import ArgumentError, GraphtaskError


class Doubled(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, a):
        return torch.tanh(self.conv(a))


@ORDERS
@pytest.mark.parametrize("strategy", ["dense", "sparse"])
def test_other_blocks_compute_the_same(channels_last, graph, strategy):
    module = randomized(gt.compile(graph, channels=2, n_classes=3, block=Doubled))
    images = images_for(graph).requires_grad_()
    fused = fused_execution(module, strategy=strategy, channels_last=channels_last)
    assert_same(result(fused, module, images, times=2), result(run_plain, module, images, times=2))
    with torch.no_grad():
        assert_same(result(fused, module, images), result(run_plain, module, images))
    logits = fused(module, images)
    once = torch.autograd.grad(logits.sum(), module.edge_weight, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(logits.sum(), module.edge_weight)[0], once)


@ORDERS
def test_one_block_may_differ_from_the_others(channels_last, graph, module):
    module.nodes["[v4]"] = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)).double()
    nn.utils.parametrizations.weight_norm(module.node("v1"), "weight3x3")
    images = images_for(graph).requires_grad_()
    assert_same(
        result(fused_execution(module, channels_last=channels_last), module, images),
        result(run_plain, module, images),
    )


def test_hooks_on_blocks_are_called(graph, module):
    seen = []
    module.node("v1").register_forward_hook(lambda *_: seen.append("forward"))
    module.node("v2").register_full_backward_hook(lambda *_: seen.append("backward"))
    fused_execution(module)(module, images_for(graph)).sum().backward()
    assert seen == ["forward", "backward"]


def test_a_block_with_another_shape_is_named(graph):
    module = gt.compile(
        graph, channels=2, execution="fused", block=lambda i, o, s: nn.Conv2d(i, o, 3, stride=s)
    )
    with pytest.raises(ArgumentError, match="from a Conv2d"):
        module(images_for(graph).float())


@ORDERS
def test_a_block_of_another_stride_with_the_right_shape_is_called_as_it_is(channels_last):
    graph = gt.full_dag(4, stages=[2, 1, 1])
    module = gt.compile(graph, channels=2, n_classes=3)
    module.reduce("v0", 2).stride = 3  # of 5×5 pixels it leaves 2×2, as 4 does
    module = randomized(module)
    images = torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fused = fused_execution(module, channels_last=channels_last)
    assert_same(
        result(fused, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
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
    module = gt.compile(graph, channels=2, n_classes=3)
    module.nodes["[v1]"] = Deeper()
    module = randomized(module).eval()
    fused = fused_execution(module, channels_last=channels_last)
    images = images_for(graph, batch=1)
    with torch.no_grad():
        first = fused(module, images)
        assert all(torch.equal(fused(module, images), first) for _ in range(3))


@ORDERS
@pytest.mark.parametrize("node", ["[v1]", "[v2]"])
def test_a_gradient_given_to_a_block_is_its_own(channels_last, node):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=2, n_classes=3)
    module.nodes[node] = GivesItsGradientOn()
    module = randomized(module)
    images = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fused = fused_execution(module, channels_last=channels_last)
    assert_same(
        result(fused, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


def test_a_hook_may_ask_for_gradients_of_a_frozen_network(graph, module):
    module.requires_grad_(False)
    fused = fused_execution(module)
    images = images_for(graph)

    def ask(_, given):
        given[0].requires_grad_()

    hook = module.node("v1").register_forward_pre_hook(ask)
    fused(module, images)
    hook.remove()
    module.requires_grad_()
    assert_same(
        result(fused, module, images.requires_grad_()), result(run_plain, module, images.requires_grad_())
    )


def with_block(block, *, at="[v4]"):
    """A module with another block, in float64."""
    module = gt.compile(gt.full_dag(7, stages=[3, 3, 1]), channels=2, n_classes=3)
    module.nodes[at] = block
    return randomized(module)


class Zeros(nn.Module):
    def forward(self, a):
        return torch.zeros_like(a)


@ORDERS
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1)),
        lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)),
        lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(2), nn.Unflatten(2, (2, 2))),
        nn.Identity,
        Zeros,
    ],
    ids=["in place first", "in place last", "flat", "nothing", "zeros"],
)
def test_a_block_may_do_what_it_may_do_in_the_plain_execution(channels_last, make):
    module = with_block(make())
    images = torch.randn(3, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fused = fused_execution(module, channels_last=channels_last)
    images.requires_grad_()
    assert_same(result(fused, module, images), result(run_plain, module, images))
    with torch.no_grad():
        assert_same(result(fused, module, images), result(run_plain, module, images))


@ORDERS
@pytest.mark.parametrize("gradients", [True, False])
def test_dropout_draws_as_in_the_plain_execution(channels_last, gradients):
    module = with_block(nn.Sequential(nn.Dropout(0.5), nn.Conv2d(4, 4, 1)))
    images = torch.randn(3, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = []
    with torch.set_grad_enabled(gradients):
        for execute in (fused_execution(module, channels_last=channels_last), run_plain):
            with torch.random.fork_rng():
                torch.manual_seed(5)
                found.append(execute(module, images).detach())
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("gradients", [True, False])
def test_what_a_hook_keeps_stays_as_it_was(graph, module, gradients):
    seen = {}
    for execute in (fused_execution(module), run_plain):
        module.zero_grad()
        kept = []
        hook = module.node("v2").register_forward_hook(
            lambda _, given, value, kept=kept: kept.extend((*given, value))
        )
        with torch.set_grad_enabled(gradients):
            logits = execute(module, images_for(graph))
        if gradients:
            logits.sum().backward()
        hook.remove()
        seen[execute] = [tensor.detach() for tensor in kept]
    for actual, expected in zip(*seen.values(), strict=True):
        torch.testing.assert_close(actual, expected)


class Reads(nn.Module):
    """A block that scales by something from elsewhere, which is none of its parameters."""

    def __init__(self, scale):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.scales = [scale]

    def forward(self, a):
        return self.conv(a) * self.scales[0]


@pytest.mark.parametrize("derived", [False, True], ids=["leaf", "derived"])
def test_a_tensor_from_elsewhere_gets_its_gradient_or_an_error(graph, derived):
    scale = torch.full((1,), 2.0, dtype=torch.float64, requires_grad=True)
    module = with_block(Reads(scale.exp() if derived else scale))
    with pytest.raises(GraphtaskError, match="a Reads reads a tensor with gradients"):
        fused_execution(module)(module, images_for(graph))
    module(images_for(graph)).sum().backward()
    assert scale.grad is not None
    with torch.no_grad():
        torch.testing.assert_close(
            fused_execution(module)(module, images_for(graph)), run_plain(module, images_for(graph))
        )
    frozen = with_block(Reads(scale.detach()))
    images = images_for(graph).requires_grad_()
    assert_same(result(fused_execution(frozen), frozen, images), result(run_plain, frozen, images))


def test_parameters_that_are_made_from_others_are_not_from_elsewhere(graph):
    module = with_block(nn.Conv2d(4, 4, 1))
    whole = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight, bias = whole[:16].view(4, 4, 1, 1), whole[16:]
    changed = {"nodes.[v4].weight": weight, "nodes.[v4].bias": bias}
    found = []
    for execute in (fused_execution(module), run_plain):
        module.executor = execute
        logits = torch.func.functional_call(module, changed, images_for(graph))
        found.append(torch.autograd.grad(logits.square().sum(), whole)[0])
    torch.testing.assert_close(*found)
    assert found[1].abs().sum() > 0


def test_a_block_may_be_frozen_between_forward_and_backward(graph):
    found = []
    for execute in (fused_execution, lambda _: run_plain):
        module = with_block(nn.Conv2d(4, 4, 1))
        logits = execute(module)(module, images_for(graph))
        module.node("v4").requires_grad_(False)
        logits.square().sum().backward()
        found.append(module.node("v1").weight3x3.grad)
    torch.testing.assert_close(*found)


class OnItsFeatures(nn.Module):
    """A head that does to the feature map what it may do in the plain execution."""

    def __init__(self, inplace):
        super().__init__()
        self.inplace = inplace
        self.linear = nn.Linear(16, 3)

    def forward(self, x):
        x = x.relu_() if self.inplace else x.view(x.shape[0], -1)
        return self.linear(x.reshape(x.shape[0], -1))


@ORDERS
@pytest.mark.parametrize("inplace", [True, False])
def test_the_head_gets_a_feature_map_of_its_own_in_the_usual_order(channels_last, inplace):
    graph = gt.chain_dag(3, stages=1)
    module = gt.compile(graph, channels=4, n_classes=3)
    module.head = OnItsFeatures(inplace)
    module = randomized(module)
    images = images_for(graph).requires_grad_()
    fused = fused_execution(module, channels_last=channels_last)
    assert_same(result(fused, module, images, times=2), result(run_plain, module, images, times=2))
    with torch.no_grad():
        assert_same(result(fused, module, images, times=2), result(run_plain, module, images, times=2))
