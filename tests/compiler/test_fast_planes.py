"""What accelerators get: the same function (see test_fast.py), and few launches."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import graphtask as gt
from graphtask.compiler.fast import FastExecution
from graphtask.compiler.fast_planes import moments_of_planes


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
    with Launches() as counter:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = net(images)
        logits.float().sum().backward()
    return counter.n


@pytest.mark.parametrize(("precision", "most"), [("fp32", 36), ("bf16", 38)])
def test_a_block_more_is_few_launches_more(precision, most):
    five, six = (gt.chain_dag(n) for n in (5, 6))
    assert 0 < launches(six, precision) - launches(five, precision) <= most


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
