"""What accelerators get: the same function (see test_fast.py), and few launches."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import graphtask as gt
from graphtask.compiler.fast import FastExecution
from graphtask.compiler.fast_planes import moments_of_planes
from graphtask.compiler.fast_step import read_network


class Launches(TorchDispatchMode):
    """Counts the operators that would launch something: neither views nor room without content."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        returns = func._schema.returns
        looks = any(value.alias_info is not None and not value.alias_info.is_write for value in returns)
        self.n += not (looks or "empty" in func._schema.name or "view" in func._schema.name)
        return func(*args, **(kwargs or {}))


def launches(graph, precision):
    net = gt.compile(graph, channels=2)
    net.executor = FastExecution(net.plan, channels_last=False)
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(2):  # the first step also prepares what later ones use
        net.zero_grad()
        with Launches() as counter:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                logits = net(images)
            logits.float().sum().backward()
    return counter.n


@pytest.mark.parametrize(("precision", "most"), [("fp32", 34), ("bf16", 36)])
def test_a_block_more_is_few_launches_more(precision, most):
    five, six = (gt.chain_dag(n) for n in (5, 6))
    assert 0 < launches(six, precision) - launches(five, precision) <= most


def test_what_is_brought_into_a_stage_shares_its_launches(monkeypatch):
    graph = gt.full_dag(12, stages=[6, 6])
    together = launches(graph, "fp32")
    monkeypatch.setattr("graphtask.compiler.fast_step.grouped", lambda _stage, _reductions: [])
    alone = launches(graph, "fp32")
    # Of six blocks, all but the convolutions are launched once.
    assert alone - together >= 5 * 20


def test_only_neighbors_in_the_same_mode_are_computed_together():
    net = gt.compile(gt.full_dag(14, stages=[13, 1]), channels=2)
    net.reduce("v4", 1).eval()
    del net.reduces["[v8]1"]
    net.reduces["[v8]1"] = nn.Conv2d(2, 4, 1, stride=2)
    execution = FastExecution(net.plan, channels_last=False)
    images = torch.zeros(2, 3, 4, 4)
    network = read_network(
        net, images, stages=execution.stages, sums=execution.sum_plans(images.device), channels_last=False
    )
    found = [(item.nodes.start, item.nodes.stop) for item in network.together(0)]
    assert found == [(0, 4), (5, 8), (9, 13)]
    many = gt.compile(gt.full_dag(26, stages=[25, 1]), channels=2)
    execution = FastExecution(many.plan)
    network = read_network(
        many, images, stages=execution.stages, sums=execution.sum_plans(images.device), channels_last=False
    )
    assert [item.rows for item in network.together(0)] == [slice(0, 10), slice(10, 20), slice(20, 25)]


def test_the_moments_of_planes_are_those_of_their_channels():
    planes = 9 + torch.randn(2, 5, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean, variance = moments_of_planes(planes)
    expected_variance, expected_mean = torch.var_mean(planes, dim=(1, 3), correction=0)
    torch.testing.assert_close(mean, expected_mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(variance, expected_variance, rtol=1e-12, atol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_cuda_the_moments_of_low_precision_are_of_full_precision(dtype):
    planes = (9 + torch.randn(2, 50, 3, 64, generator=torch.Generator().manual_seed(0))).to(dtype)
    mean, variance = moments_of_planes(planes.cuda())
    assert mean.dtype == variance.dtype == torch.float32
    expected_variance, expected_mean = torch.var_mean(planes.double(), dim=(1, 3), correction=0)
    torch.testing.assert_close(mean.cpu().double(), expected_mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(variance.cpu().double(), expected_variance, rtol=1e-4, atol=0)
