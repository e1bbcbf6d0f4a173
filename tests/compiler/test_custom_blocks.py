"""Custom blocks, which the plain execution computes whatever is asked for."""

import re

import pytest
import torch
from compiler.executions import images_for, result
from compiler.oracle import randomized
from torch import nn

import graphtask as gt
from graphtask.compiler.execution import run_plain, why_plain


class Custom(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, a):
        return torch.tanh(self.conv(a))


def one_custom_block():
    module = gt.compile(gt.full_dag(7, stages=[3, 3, 1]), channels=2, n_classes=3)
    module.nodes["[v4]"] = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True))
    return module


def all_custom_blocks():
    return gt.compile(gt.full_dag(7, stages=[3, 3, 1]), channels=2, n_classes=3, block=Custom)


@pytest.mark.parametrize("make", [one_custom_block, all_custom_blocks])
@pytest.mark.parametrize("execution", ["auto", "fused"])
def test_custom_blocks_compute_the_same_under_every_execution(graph, make, execution):
    module = randomized(make())
    module.execution = execution
    images = images_for(graph).requires_grad_()
    assert "is not a ConvBlock" in why_plain(module, images)

    def called(module, images):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return module(images)

    def plain(module, images):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return run_plain(module, images)

    found, expected = result(called, module, images), result(plain, module, images)
    assert torch.equal(found[0], expected[0])
    for name, gradient in expected[1].items():
        assert (found[1][name] is None) if gradient is None else torch.equal(found[1][name], gradient)


@pytest.mark.parametrize("execution", ["auto", "fused"])
def test_hooks_on_blocks_are_called(graph, module, execution):
    seen = []
    module.execution = execution
    module.node("v1").register_forward_hook(lambda *_: seen.append("forward"))
    module.node("v2").register_full_backward_hook(lambda *_: seen.append("backward"))
    module(images_for(graph)).sum().backward()
    assert seen == ["forward", "backward"]


def test_a_loss_on_features_that_a_hook_puts_aside_reaches_the_nodes_before_it(graph, module):
    kept = []
    module.node("v4").register_forward_hook(lambda _, __, value: kept.append(value))
    module(images_for(graph))
    kept[0].square().sum().backward()
    assert module.node("v0").weight3x3.grad.any()


@pytest.mark.parametrize("part", ["block", "head"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda *_: 1 / 0, "failed (ZeroDivisionError: division by zero)"),
        (lambda: nn.Identity(), "failed (TypeError"),
        (lambda *_: "no module", "must be a class or function that returns a torch.nn.Module"),
    ],
    ids=["raises", "arguments", "result"],
)
def test_a_block_or_head_that_cannot_be_made_is_one_line(part, make, words):
    with pytest.raises(gt.errors.ArgumentError, match=rf"{part} .*{re.escape(words)}") as raised:
        gt.compile(gt.full_dag(4), channels=2, **{part: make})
    assert "\n" not in str(raised.value)
