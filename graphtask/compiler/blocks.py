"""The building blocks of a compiled graph: one block for the input, the nodes and the reductions, and the head."""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

BlockFactory: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes a block from its input channels, its output channels and its stride."""


class ConvBlock(nn.Module):
    """The block of every node: ``BN(Conv3×3(ReLU(a))) + BN(Conv1×1(a))``, convolutions without bias.

    Both convolutions have the same stride and give ``ceil(size / stride)`` pixels for any size, odd ones too.

    Args:
        in_channels: Channels of the argument.
        out_channels: Channels of the result.
        stride: Pixels of the argument for one of the result, in both directions.

    Example:
        >>> import torch
        >>> ConvBlock(3, 8, stride=2)(torch.zeros(4, 3, 9, 7)).shape
        torch.Size([4, 8, 5, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3x3 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm3x3 = nn.BatchNorm2d(out_channels)
        self.conv1x1 = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        self.norm1x1 = nn.BatchNorm2d(out_channels)

    def forward(
        self, a: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        """The block's value at ``a``."""
        long: Tensor = self.norm3x3(self.conv3x3(functional.relu(a)))
        short: Tensor = self.norm1x1(self.conv1x1(a))
        return long + short


class Head(nn.Module):
    """Class scores of a feature map: the mean over its pixels, then one linear layer.

    Args:
        channels: Channels of the feature map.
        n_classes: Number of scores.
    """

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, n_classes)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """The scores (logits) of each image."""
        scores: Tensor = self.linear(x.mean(dim=(2, 3)))
        return scores
