"""Built-in blocks by name, and the registry of all blocks; public as ``graphtask.blocks``.

A block is made by a callable of (in_channels, out_channels, stride). Its module maps (batch, in_channels, height,
width) to (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉). A table is an image of one pixel, a sequence an
image of one row, and a graph an image of one row with a pixel per node.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from graphtask.compiler.blocks import BlockFactory, ConvBlock, DenseHead, Head, HeadFactory
from graphtask.compiler.gates import GATES
from graphtask.compiler.operations import cell_operations
from graphtask.errors import ArgumentError
from graphtask.named import load_named, name_of
from graphtask.types import STANDARD
from graphtask.validation import invalid


def simple(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return ``BN(Conv3×3(ReLU(a)))``, the triplet of Xie et al. (2019) without a shortcut."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Residual(nn.Module):
    """``BN(Conv3×3(ReLU(a))) + a``; the shortcut is a 1×1 convolution where the shapes differ (He et al., 2016)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.long = simple(in_channels, out_channels, stride)
        is_same = in_channels == out_channels and stride == 1
        self.short = (
            nn.Identity() if is_same else nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        )

    def forward(self, a: Tensor) -> Tensor:
        """Return the block's value, (batch, out_channels, out_height, out_width)."""
        value: Tensor = self.long(a) + self.short(a)
        return value


def separable(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return ``BN(Conv1×1(DepthwiseConv3×3(ReLU(a))))``, the node of randomly wired networks (Xie et al., 2019)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def depthwise(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return ``BN(Conv1×1(ReLU(BN(DepthwiseConv3×3(ReLU(a))))))``, the block of MobileNet (Howard et al., 2017)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def bottleneck(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return 1×1, 3×3 and 1×1 convolutions with a quarter of the channels between (He et al., 2016)."""
    inner = max(out_channels // 4, 1)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def mlp(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return ``BN(Linear(ReLU(a)))`` at every pixel: for tables, which are images of one pixel."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def conv1d(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return ``BN(Conv3(ReLU(a)))`` along the rows: for sequences, which are images of one row."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, (1, 3), stride=stride, padding=(0, 1), bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Transformer(nn.Module):
    """Self-attention over the pixels and a perceptron of two layers, both residual (Vaswani et al., 2017).

    A 3×3 convolution stands before them, in place of positions (Wu et al., 2021).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
        self.norms = nn.ModuleList([nn.LayerNorm(out_channels) for _ in range(3)])
        self.attention = nn.MultiheadAttention(out_channels, math.gcd(out_channels, 4), batch_first=True)
        self.layers = nn.Sequential(
            nn.Linear(out_channels, 2 * out_channels), nn.GELU(), nn.Linear(2 * out_channels, out_channels)
        )

    def forward(self, a: Tensor) -> Tensor:
        """Return the block's value, (batch, out_channels, out_height, out_width)."""
        a = self.embed(a)
        x = a.flatten(2).transpose(1, 2)
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = self.norms[2](x + self.layers(self.norms[1](x)))
        value: Tensor = x.transpose(1, 2).reshape(a.shape)
        return value


class GeometricBlock(nn.Module):
    """``BN(conv(ReLU(a)))`` with a convolution of torch-geometric over the nodes of one graph; see `geometric`."""

    def __init__(self, conv: nn.Module, edge_index: Tensor, out_channels: int) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(out_channels)
        self.edge_index: Tensor
        self.register_buffer("edge_index", edge_index)

    def forward(self, a: Tensor) -> Tensor:
        """Return the block's value, (batch, out_channels, 1, nodes)."""
        x = self.conv(a.relu()[:, :, 0].transpose(1, 2), self.edge_index)
        value: Tensor = self.norm(x.transpose(1, 2)[:, :, None])
        return value


def geometric(conv: Callable[[int, int], nn.Module], edge_index: Tensor) -> BlockFactory:
    """Return a block that convolves over a graph, for node features as images of one row, (batch, features, 1, nodes).

    Args:
        conv: Class of torch-geometric, or another callable of (in_channels, out_channels) whose module is called with
            x, (batch, nodes, channels), and ``edge_index``.
        edge_index: Edges of the graph, (2, edges), integers.

    Example:
        >>> import torch
        >>> from torch_geometric.nn import GraphConv
        >>> block = geometric(GraphConv, torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))
        >>> block(5, 8, 1)(torch.zeros(1, 5, 1, 3)).shape
        torch.Size([1, 8, 1, 3])
    """

    def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        if stride != 1:
            raise ArgumentError(
                f"stages must be 0 for a block over a graph, got a stride of {stride}; compile a graph of one stage"
            )
        return GeometricBlock(conv(in_channels, out_channels), edge_index, out_channels)

    return block


BLOCKS: dict[str, BlockFactory] = {
    STANDARD: ConvBlock,
    "simple": simple,
    "residual": Residual,
    "separable": separable,
    "depthwise": depthwise,
    "bottleneck": bottleneck,
    "mlp": mlp,
    "conv1d": conv1d,
    "transformer": Transformer,
    "operations": cell_operations,
}
"""Every block that has a name."""


HEADS: dict[str, HeadFactory] = {"pooled": Head, "dense": DenseHead}
"""Heads by name: the mean over the pixels and a linear layer; a 1×1 convolution for every pixel."""


class Parts:
    """The parts of networks of one kind: blocks, heads or gates, by name or as ``package.module:name``.

    Args:
        kind: Name of the argument that takes them.
        known: The parts that have names.
        arguments: What they are called with, for messages.
    """

    def __init__(self, kind: str, known: Mapping[str, Any], arguments: str) -> None:
        self.kind, self.known, self.arguments = kind, known, arguments

    def load(self, part: Any) -> Any:
        """Return the part with this name, or the part itself.

        Raises:
            ArgumentError: It is unknown, cannot be imported, or is not callable.
        """
        found = load_named(part, home=self.known, name=self.kind) if isinstance(part, str) else part
        if not callable(found) or isinstance(found, nn.Module):
            raise ArgumentError(f"{self.kind} must be a class or function of {self.arguments}, got {found!r}")
        return found

    def name_of(self, part: Any) -> str:
        """Return the name that `load` finds a part by.

        Raises:
            ArgumentError: It is neither known nor a class or function of a module.

        Example:
            >>> PARTS["block"].name_of(separable), PARTS["block"].name_of(nn.Conv2d)
            ('separable', 'torch.nn.modules.conv:Conv2d')
        """
        known = next((name for name, entry in self.known.items() if entry is part), None)
        return known or name_of(part, name=self.kind)


PARTS = {
    "block": Parts("block", BLOCKS, "(in_channels, out_channels, stride)"),
    "head": Parts("head", HEADS, "(channels, outputs, stride)"),
    "gate": Parts("gate", GATES, "a tensor of raw weights"),
}
"""The three kinds of parts that a network is compiled from."""


def register(name: str, block: BlockFactory) -> None:
    """Give a block a name, for ``block=name`` in this process.

    Other processes (the command line, studies) need ``package.module:name`` instead.

    Raises:
        ArgumentError: The name is empty, has a colon, or names another block; or the block is not callable.

    Example:
        >>> import graphtask as gt
        >>> register("plain", lambda i, o, s: nn.Conv2d(i, o, 3, stride=s, padding=1))
        >>> gt.compile(gt.full_dag(3), channels=2, block="plain").node("v1")
        Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    if not isinstance(name, str) or not name or ":" in name:
        raise invalid("name", "a text without a colon", name)
    if BLOCKS.get(name, block) is not block:
        raise invalid("name", "one that no other block has", name)
    BLOCKS[name] = PARTS["block"].load(block)
