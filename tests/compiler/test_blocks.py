import pytest
import torch
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

    long = functional.conv2d(a.clamp(min=0), block.conv3x3.weight, stride=stride, padding=1)
    short = functional.conv2d(a, block.conv1x1.weight, stride=stride)
    torch.testing.assert_close(block(a), normalized(long) + normalized(short), rtol=1e-12, atol=1e-12)


def test_a_block_has_no_biases_beside_those_of_its_norms():
    assert {name: tuple(value.shape) for name, value in ConvBlock(2, 3, 1).named_parameters()} == {
        "conv3x3.weight": (3, 2, 3, 3),
        "norm3x3.weight": (3,),
        "norm3x3.bias": (3,),
        "conv1x1.weight": (3, 2, 1, 1),
        "norm1x1.weight": (3,),
        "norm1x1.bias": (3,),
    }


def test_the_head_scores_the_mean_pixel():
    head = Head(2, 3)
    x = torch.arange(2 * 2 * 4, dtype=torch.float32).reshape(2, 2, 2, 2)
    means = torch.tensor([[1.5, 5.5], [9.5, 13.5]])
    torch.testing.assert_close(head(x), means @ head.linear.weight.T + head.linear.bias)
