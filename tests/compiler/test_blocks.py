import pytest
import torch
from torch import nn
from torch.nn import functional

from graphtask.compiler.blocks import ConvBlock, Head


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 8), (32, 33)])
def test_a_block_rounds_the_size_up_whatever_it_is(size, stride):
    shape = ConvBlock(2, 3, stride).eval()(torch.zeros(1, 2, *size)).shape
    assert shape == (1, 3, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_is_the_sum_of_two_normalised_convolutions_of_which_one_sees_only_positive_values(stride):
    block = ConvBlock(2, 3, stride).double()
    a = torch.randn(4, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def normalized(x):
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
        return (x - mean[:, None, None]) / (variance + 1e-5).sqrt()[:, None, None]

    long = functional.conv2d(a.clamp(min=0), block.weight3x3, stride=stride, padding=1)
    short = functional.conv2d(a, block.weight1x1, stride=stride)
    torch.testing.assert_close(block(a), normalized(long) + normalized(short), rtol=1e-12, atol=1e-12)


def test_a_block_owns_two_weights_and_two_pairs_of_scales_and_shifts():
    block = ConvBlock(2, 3, 1)
    assert {name: tuple(value.shape) for name, value in block.named_parameters()} == {
        "weight3x3": (3, 2, 3, 3),
        "weight1x1": (3, 2, 1, 1),
        "scale3x3": (3,),
        "scale1x1": (3,),
        "shift3x3": (3,),
        "shift1x1": (3,),
    }
    assert {name: tuple(value.shape) for name, value in block.named_buffers()} == {
        "running_means": (2, 3),
        "running_vars": (2, 3),
    }


def test_a_block_starts_as_convolutions_and_normalizations_of_pytorch_do():
    torch.manual_seed(3)
    parts = [nn.Conv2d(2, 3, 3, bias=False), nn.Conv2d(2, 3, 1, bias=False)]
    torch.manual_seed(3)
    block = ConvBlock(2, 3)
    assert torch.equal(block.weight3x3, parts[0].weight)
    assert torch.equal(block.weight1x1, parts[1].weight)


@pytest.mark.parametrize("training", [True, False])
def test_a_block_has_the_bits_of_pytorch_modules(training):
    block = ConvBlock(2, 3, 2).train(training)
    norms = [nn.BatchNorm2d(3).train(training), nn.BatchNorm2d(3).train(training)]
    with torch.no_grad():
        for norm, scale, shift in zip(
            norms, (block.scale3x3, block.scale1x1), (block.shift3x3, block.shift1x1), strict=True
        ):
            scale.copy_(norm.weight.uniform_())
            shift.copy_(norm.bias.uniform_())
    for _ in range(2):
        a = torch.randn(4, 2, 6, 5)
        long = functional.conv2d(a.relu(), block.weight3x3, stride=2, padding=1)
        short = functional.conv2d(a, block.weight1x1, stride=2)
        assert torch.equal(block(a), norms[0](long) + norms[1](short))
    for row, norm in enumerate(norms):
        assert torch.equal(block.running_means[row], norm.running_mean)
        assert torch.equal(block.running_vars[row], norm.running_var)


def test_the_head_scores_the_mean_pixel():
    head = Head(2, 3)
    x = torch.arange(2 * 2 * 4, dtype=torch.float32).reshape(2, 2, 2, 2)
    means = torch.tensor([[1.5, 5.5], [9.5, 13.5]])
    torch.testing.assert_close(head(x), means @ head.linear.weight.T + head.linear.bias)
