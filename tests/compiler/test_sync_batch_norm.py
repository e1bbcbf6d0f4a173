import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import graphtask as gt
from graphtask.compiler.blocks import ConvBlock, share_statistics
from graphtask.compiler.fused.staged import Program
from graphtask.compiler.sync_batch_norm import Moments, combined, shared_batch_norm


class Threads:
    """Stands for several processes: threads of this one, which meet whenever one gathers."""

    def __init__(self, n):
        self.n = n
        self.rank = threading.local()
        self.slots = [None] * n
        self.barrier = threading.Barrier(n, timeout=60)
        self.gathered = 0

    def gather(self, own):
        self.slots[self.rank.value] = own
        self.barrier.wait()
        everything = torch.stack(self.slots)
        self.gathered += self.rank.value == 0
        self.barrier.wait()
        return everything

    def run(self, work):
        """``work(rank)`` in every thread; the results in order."""

        def start(rank):
            self.rank.value = rank
            try:
                return work(rank)
            except BaseException:
                self.barrier.abort()
                raise

        with ThreadPoolExecutor(self.n) as pool:
            return list(pool.map(start, range(self.n)))


def compiled(graph, *, execution, dtype=torch.float64, recompute=False, block=None, channels_last=None):
    options = {} if block is None else {"block": block}
    net = gt.compile(graph, channels=3, seed=1, execution=execution, recompute=recompute, **options).to(dtype)
    if channels_last is not None:
        net.program = Program(net.plan, net.recompute, channels_last=channels_last)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=dtype))
    return net


def learned(net, images, labels, *, whole):
    """Logits, and the gradients of the part of the loss that these images make."""
    logits = net(images)
    (functional.cross_entropy(logits, labels, reduction="sum") / whole).backward()
    return logits.detach(), {name: value.grad for name, value in net.named_parameters()}


def assert_as_alone(graph, slices, *, execution, dtype=torch.float64, tolerance=1e-10, **options):
    """Logits, gradients and running statistics of a batch in slices are those of the whole batch."""
    generator = torch.Generator().manual_seed(3)
    n = sum(slices)
    # Far from the origin, where a variance that is a difference of squares would lose its digits.
    images = 5 + torch.randn(n, 3, 12, 12, generator=generator, dtype=torch.float64)
    images, labels = images.to(dtype), torch.randint(10, (n,), generator=generator)
    alone = compiled(graph, execution="plain", dtype=dtype)
    logits, gradients = learned(alone, images, labels, whole=n)

    threads = Threads(len(slices))
    ends = np.cumsum(slices)

    nets = [compiled(graph, execution=execution, dtype=dtype, **options) for _ in slices]

    def work(rank):
        share_statistics(nets[rank], threads.gather)
        mine = slice(ends[rank] - slices[rank], ends[rank])
        return learned(nets[rank], images[mine], labels[mine], whole=n)

    parts, shares = zip(*threads.run(work), strict=True)
    assert threads.gathered > 0
    torch.testing.assert_close(torch.cat(parts), logits, rtol=tolerance, atol=tolerance)
    scale = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        total = sum(share[name] for share in shares)
        assert (total - gradient).abs().max() <= tolerance * scale, name
    for net in nets:
        for name, buffer in alone.named_buffers():
            torch.testing.assert_close(net.get_buffer(name), buffer, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("execution", ["plain", "fused"])
@pytest.mark.parametrize("slices", [(4, 4), (5, 2), (3, 1, 4)])
def test_a_batch_in_slices_gives_the_outputs_and_gradients_of_the_whole_batch(slices, execution):
    assert_as_alone(gt.full_dag(6, stages=2), slices, execution=execution)


@pytest.mark.parametrize("execution", ["plain", "fused"])
def test_in_single_precision_too_within_its_noise(execution):
    assert_as_alone(
        gt.full_dag(6, stages=2), (4, 3), execution=execution, dtype=torch.float32, tolerance=2e-4
    )


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_checkpointed_step_shares_its_statistics_too(channels_last):
    options = {"recompute": True, "channels_last": channels_last}
    assert_as_alone(gt.full_dag(6, stages=2), (4, 3), execution="fused", **options)


def test_in_the_memory_of_accelerators_too():
    assert_as_alone(gt.full_dag(6, stages=2), (3, 1, 4), execution="fused", channels_last=False)


def test_other_normalizations_over_the_batch_are_refused():
    net = compiled(gt.full_dag(4, stages=2), execution="fused")
    net.nodes["[v1]"] = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    with pytest.raises(gt.errors.ArgumentError, match="got 'BatchNorm2d'; train in one process"):
        share_statistics(net, lambda own: own[None])
    assert all(block.gather is None for block in net.modules() if isinstance(block, ConvBlock))


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e3, -1e4]),
)
def test_moments_of_parts_combine_to_those_of_the_whole(sizes, seed, offset):
    values = offset + np.random.Generator(np.random.PCG64(seed)).normal(size=(sum(sizes), 3))
    parts = np.split(values, np.cumsum(sizes)[:-1])
    rows = [torch.tensor([*part.mean(axis=0), *part.var(axis=0), len(part)]) for part in parts]
    own = Moments(rows[0][:3], rows[0][3:6], sizes[0])
    together = combined(own, lambda given: torch.stack([given, *rows[1:]]))
    np.testing.assert_allclose(together.mean, values.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(together.variance, values.var(axis=0), rtol=1e-9, atol=1e-12)
    assert together.n_values == sum(sizes)
    if sum(sizes) > 1:
        np.testing.assert_allclose(together.unbiased(), values.var(axis=0, ddof=1), rtol=1e-9, atol=1e-12)


def test_the_gradient_through_the_statistics_is_the_numerical_one():
    norm = nn.BatchNorm2d(2).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.7, -1.3]))
    mean, variance = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)

    def shared(y):
        return shared_batch_norm(
            y, mean, variance, norm.weight, norm.bias, gather=lambda own: own[None], momentum=0.1, eps=1e-5
        )

    y = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(shared(y), norm(y), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mean, norm.running_mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(variance, norm.running_var, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(shared, (y,))


def test_parameters_state_and_evaluation_stay_as_they_were():
    net = compiled(gt.full_dag(4, stages=2), execution="fused")
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    before, parameters, keys = net.eval()(images), list(net.parameters()), list(net.state_dict())
    share_statistics(net, lambda own: own[None])
    assert torch.equal(net(images), before)
    assert all(one is other for one, other in zip(net.parameters(), parameters, strict=True))
    assert list(net.state_dict()) == keys
