import hashlib
import sys
import threading

import pytest
import torch
from torch import nn

import graphtask as gt
from graphtask.compiler.randomness import seeded


def digest(seed):
    net = gt.compile(gt.full_dag(6, stages=2), channels=3, seed=seed)
    values = [value.detach().numpy().tobytes() for value in net.state_dict().values()]
    return hashlib.sha256(b"".join(values)).hexdigest()


def draws():
    """One draw of every kind that the initialization of a layer uses, and a few more."""
    return [
        torch.empty(3).uniform_(), torch.empty(3).normal_(), torch.rand(2), torch.randn(2), torch.randint(9, (4,)),
        torch.randperm(7), torch.rand_like(torch.ones(3)), torch.normal(0.0, 1.0, (3,)),
        torch.bernoulli(torch.full((9,), 0.5)), torch.multinomial(torch.ones(5), 3), nn.Linear(3, 2).weight,
        nn.Conv2d(2, 2, 3).weight, nn.init.orthogonal_(torch.empty(3, 3)), nn.init.trunc_normal_(torch.empty(4)),
        nn.functional.dropout(torch.ones(20)),
    ]  # fmt: skip


def test_draws_are_those_of_the_global_generator_with_that_seed_which_stays_as_it_was():
    torch.manual_seed(3)
    expected = draws()
    torch.manual_seed(8)
    before = torch.get_rng_state()
    with seeded(3):
        found = draws()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_networks_compiled_in_eight_threads_are_those_compiled_alone():
    alone = [digest(seed) for seed in range(8)]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = {}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=lambda s=s: found.update({s: digest(s)})) for s in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert [found[seed] for seed in range(8)] == alone
    assert torch.equal(before, torch.get_rng_state())


class Noisy(nn.Module):
    """A custom block that draws when it is made."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        self.scale = nn.Parameter(torch.randn(out_channels, 1, 1))

    def forward(self, a):
        return self.conv(a) * self.scale


def test_custom_blocks_draw_from_the_seed_too():
    torch.manual_seed(1)
    one = gt.compile(gt.full_dag(3), channels=2, block=Noisy, seed=4)
    torch.manual_seed(2)
    two = gt.compile(gt.full_dag(3), channels=2, block=Noisy, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_default_device_of_torch_changes_nothing(device):
    expected = digest(0)
    with torch.device(device):
        assert digest(0) == expected
