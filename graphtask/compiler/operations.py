"""Blocks of the operations of cells: the attribute ``op`` of each node selects its block (``block="operations"``).

A node computes its operation on the weighted sum of its inputs. Names are those of NAS-Bench-101, NAS-Bench-201 and
DARTS, each with the order of normalization, convolution and ReLU of its source:

============================================  ======================================================================
operation                                     block
============================================  ======================================================================
``conv1x1-bn-relu``, ``conv3x3-bn-relu``      convolution, BN, ReLU (Ying et al., 2019)
``nor_conv_1x1``, ``nor_conv_3x3``            ReLU, convolution, BN (Dong & Yang, 2020)
``sep_conv_3x3``, ``5x5``, ``7x7``            twice: ReLU, depthwise and 1×1 convolution, BN (Liu et al., 2019)
``dil_conv_3x3``, ``5x5``                     ReLU, depthwise convolution of dilation 2, 1×1 convolution, BN
``conv_7x1_1x7``                              ReLU, convolutions 1×7 and 7×1, BN
``max_pool_3x3``, ``avg_pool_3x3``            3×3 pooling; ``maxpool3x3`` is the same
``skip_connect``, ``sum``, ``concat``         identity; values are added, never concatenated
``output``                                    identity
``input``                                     3×3 convolution, BN at the input of the network; else ReLU, 1×1 conv., BN
``none``, ``zero``                            zeros
============================================  ======================================================================

Where the channels or the resolution change (between stages, and at the input), an operation without parameters is
followed by a 1×1 convolution and BN.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import BlockFactory
from graphtask.errors import ArgumentError
from graphtask.validation import suggestion

OPERATION = "op"
"""Vertex attribute with the name of the operation."""

_Shape = Callable[[int, int, int], list[nn.Module]]


class Zeros(nn.Module):
    """Zeros of the shape of the argument: the operation ``none``."""

    def forward(self, a: Tensor) -> Tensor:
        """Return the zeros."""
        return torch.zeros_like(a)


def cell_operations(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return the block that brings a value into a later stage: ReLU, 1×1 convolution, BN.

    As ``block`` of `graphtask.compile` it stands for the block of each node's operation.
    """
    return nn.Sequential(*_projection(in_channels, out_channels, stride))


def operation_block(op: str | None, *, is_input: bool) -> BlockFactory:
    """Return the block of an operation.

    Args:
        op: Name of the operation; None, of nodes that were added on reading, is the sum of the inputs.
        is_input: Whether the node reads the image.

    Raises:
        ArgumentError: The operation has no block.

    Example:
        >>> operation_block("nor_conv_3x3", is_input=False)(8, 8, 1)(torch.zeros(1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """
    name = op or "sum"
    if name == "input" or (is_input and op is None):
        name = "stem" if is_input else "preprocess"
    if name in _CONVOLUTIONS:
        return partial(_sequence, _CONVOLUTIONS[name])
    if name in _UNPARAMETRIZED:
        return partial(_unparametrized, _UNPARAMETRIZED[name])
    known = sorted((_CONVOLUTIONS.keys() | _UNPARAMETRIZED.keys()) - {"stem", "preprocess"})
    raise ArgumentError(f"op must be an operation with a block, got {op!r}; {suggestion(name, known)}")


def _sequence(make: _Shape, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Sequential(*make(in_channels, out_channels, stride))


def _unparametrized(
    make: Callable[[], nn.Module], in_channels: int, out_channels: int, stride: int
) -> nn.Module:
    if in_channels == out_channels and stride == 1:
        return make()
    return nn.Sequential(make(), *_projection(in_channels, out_channels, stride)[1:])


def _projection(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return _relu_conv_bn(1, in_channels, out_channels, stride)


def _conv(
    size: int, in_channels: int, out_channels: int, stride: int, *, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        size,
        stride=stride,
        padding=dilation * (size // 2),
        dilation=dilation,
        groups=groups,
        bias=False,
    )


def _conv_bn(size: int, in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [_conv(size, in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)]


def _conv_bn_relu(size: int, in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [*_conv_bn(size, in_channels, out_channels, stride), nn.ReLU()]


def _relu_conv_bn(size: int, in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [nn.ReLU(), *_conv_bn(size, in_channels, out_channels, stride)]


def _depthwise(size: int, dilation: int, in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.ReLU(),
        _conv(size, in_channels, in_channels, stride, dilation=dilation, groups=in_channels),
        *_conv_bn(1, in_channels, out_channels, 1),
    ]


def _separable(size: int, in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    first = _depthwise(size, 1, in_channels, in_channels, stride)
    return [*first, *_depthwise(size, 1, in_channels, out_channels, 1)]


def _factorized(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
        nn.Conv2d(out_channels, out_channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
        nn.BatchNorm2d(out_channels),
    ]


_CONVOLUTIONS: dict[str, _Shape] = {
    "stem": partial(_conv_bn, 3),
    "preprocess": _projection,
    "conv1x1-bn-relu": partial(_conv_bn_relu, 1),
    "conv3x3-bn-relu": partial(_conv_bn_relu, 3),
    "nor_conv_1x1": partial(_relu_conv_bn, 1),
    "nor_conv_3x3": partial(_relu_conv_bn, 3),
    **{f"sep_conv_{size}x{size}": partial(_separable, size) for size in (3, 5, 7)},
    **{f"dil_conv_{size}x{size}": partial(_depthwise, size, 2) for size in (3, 5)},
    "conv_7x1_1x7": _factorized,
}

_UNPARAMETRIZED: dict[str, Callable[[], nn.Module]] = {
    **dict.fromkeys(("max_pool_3x3", "maxpool3x3"), partial(nn.MaxPool2d, 3, stride=1, padding=1)),
    "avg_pool_3x3": partial(nn.AvgPool2d, 3, stride=1, padding=1, count_include_pad=False),
    **dict.fromkeys(("skip_connect", "sum", "concat", "output"), nn.Identity),
    **dict.fromkeys(("none", "zero"), Zeros),
}
