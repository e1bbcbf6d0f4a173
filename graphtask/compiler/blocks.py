"""Building blocks of a compiled graph: the block of nodes and reductions, and the classification head."""

import math
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphtask.compiler.sync_batch_norm import Gather, shared_batch_norm
from graphtask.validation import invalid

BlockFactory: TypeAlias = Callable[[int, int, int], nn.Module]
"""Function that makes a block from its input channels, output channels and stride."""

HeadFactory: TypeAlias = Callable[[int, int, int], nn.Module]
"""Function that makes a head from the channels of the output node, the number of outputs, and the stride of the output
node: the factor by which its sides are smaller than those of the image."""


class ConvBlock(nn.Module):
    """Block of every node: ``BN(Conv3×3(ReLU(a))) + BN(Conv1×1(a))``, convolutions without bias.

    Both convolutions have the same stride and return ``ceil(size / stride)`` pixels for any size, odd ones too. The
    block owns all its parameters: a weight, a scale and a shift for each convolution. Row 0 of ``running_means`` and
    ``running_vars``, (2, out_channels), belongs to the normalization after the 3×3 convolution, row 1 to the other one.

    Args:
        in_channels: Channels of the argument.
        out_channels: Channels of the result.
        stride: Stride of both convolutions.

    Example:
        >>> ConvBlock(3, 8, stride=2)(torch.zeros(4, 3, 9, 7)).shape
        torch.Size([4, 8, 5, 4])
    """

    eps: ClassVar[float] = 1e-5
    """Added to the variances."""
    momentum: ClassVar[float] = 0.1
    """Weight of a batch in the running statistics."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.gather: Gather | None = None
        """Collects batch statistics of all processes; see `share_statistics`."""
        self.weight3x3 = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.weight1x1 = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.scale3x3 = nn.Parameter(torch.ones(out_channels))
        self.scale1x1 = nn.Parameter(torch.ones(out_channels))
        self.shift3x3 = nn.Parameter(torch.zeros(out_channels))
        self.shift1x1 = nn.Parameter(torch.zeros(out_channels))
        self.running_means: Tensor
        self.running_vars: Tensor
        self.register_buffer("running_means", torch.zeros(2, out_channels))
        self.register_buffer("running_vars", torch.ones(2, out_channels))
        for weight in (self.weight3x3, self.weight1x1):  # the initialization of torch.nn.Conv2d
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))

    def forward(self, a: Tensor) -> Tensor:
        """Return the block's value, (batch, out_channels, out_height, out_width)."""
        long = functional.conv2d(functional.relu(a), self.weight3x3, stride=self.stride, padding=1)
        short = functional.conv2d(a, self.weight1x1, stride=self.stride)
        mean3x3, mean1x1 = self.running_means.unbind()
        var3x3, var1x1 = self.running_vars.unbind()
        x = self._normalized(long, mean3x3, var3x3, self.scale3x3, self.shift3x3)
        return x + self._normalized(short, mean1x1, var1x1, self.scale1x1, self.shift1x1)

    def extra_repr(self) -> str:
        """Return the sizes of the block, on one line."""
        out_channels, in_channels = self.weight1x1.shape[:2]
        return f"{in_channels}, {out_channels}, stride={self.stride}"

    def _normalized(self, y: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        if self.training and self.gather is not None:
            return shared_batch_norm(
                y, mean, variance, scale, shift, gather=self.gather, momentum=self.momentum, eps=self.eps
            )
        return functional.batch_norm(
            y, mean, variance, scale, shift, self.training, momentum=self.momentum, eps=self.eps
        )


class Head(nn.Module):
    """Class scores of a feature map: the mean over its pixels, then one linear layer.

    Args:
        channels: Channels of the feature map.
        n_classes: Number of scores.
        stride: Not used; the mean has no size.
    """

    def __init__(self, channels: int, n_classes: int, stride: int = 1) -> None:  # noqa: ARG002 - as of every head
        super().__init__()
        self.linear = nn.Linear(channels, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (logits) of each image, (batch, n_classes)."""
        scores: Tensor = self.linear(x.mean(dim=(2, 3)))
        return scores


class DenseHead(nn.Module):
    """Scores of every pixel: a 1×1 convolution, and bilinear interpolation to the size of the image.

    Args:
        channels: Channels of the feature map.
        n_classes: Number of scores.
        stride: Factor by which the sides of the result are longer than those of the feature map.

    Example:
        >>> DenseHead(8, 3, 4)(torch.zeros(2, 8, 5, 6)).shape
        torch.Size([2, 3, 20, 24])
    """

    def __init__(self, channels: int, n_classes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, n_classes, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (logits) of each pixel, (batch, n_classes, height, width)."""
        scores: Tensor = self.conv(x)
        if self.stride == 1:
            return scores
        size = [side * self.stride if side > 1 else 1 for side in scores.shape[2:]]  # one row stays one row
        return functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)


def share_statistics(module: nn.Module, gather: Gather) -> None:
    """Make every `ConvBlock` of a module take its batch statistics over the batch of all processes.

    All processes must call the module, and its backward, alike. Parameters and state dict stay as they are.

    Args:
        module: Module to change in place.
        gather: Function that returns a tensor of every process, stacked along a new first dimension.

    Raises:
        ArgumentError: A block normalizes over the batch in its own way.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(3), channels=2)
        >>> share_statistics(net, lambda own: own[None])  # a single process
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  # the base class has no public name
            raise invalid(
                "block",
                "free of batch normalization when processes share a batch",
                type(part).__name__,
                remedy="train in one process, or use the standard block",
            )
    for part in module.modules():
        if isinstance(part, ConvBlock):
            part.gather = gather


def has_hooks(module: nn.Module) -> bool:
    """Return True if calling a module runs forward or backward hooks."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in names)
