"""Parameters and multiplications of a compiled graph, and the number of channels for a parameter budget."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import igraph

from graphtask.compiler.plan import make_plan
from graphtask.parameters import parameter_polynomial
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.validation import image_size, integer

if TYPE_CHECKING:
    from graphtask.compiler.blocks import BlockFactory, HeadFactory
    from graphtask.compiler.module import GraphModule


def count_parameters(
    graph: GraphLike,
    *,
    channels: int,
    in_channels: int = 3,
    n_classes: int = 10,
    block: "BlockFactory | str" = "standard",
    head: "HeadFactory | str" = "pooled",
) -> int:
    """Return the number of trainable parameters of the compiled graph.

    For the standard block it is a closed form; with another one the network is compiled without memory for its values.

    Args:
        graph: A valid architecture graph.
        channels: Channels of stage 0, at least 1.
        in_channels: Channels of the images, at least 1.
        n_classes: Number of scores, at least 1.
        block: As in `compile`.
        head: As in `compile`.

    Raises:
        GraphError: The graph is not valid.
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> count_parameters(gt.full_dag(60, stages=3), channels=11)
        863300
        >>> count_parameters(gt.full_dag(60, stages=3), channels=11, block="separable")
        116020
    """
    graph = valid_graph(graph)
    return _count(graph, in_channels=in_channels, n_classes=n_classes, block=block, head=head)(channels)


def fit_channels(
    graph: GraphLike,
    *,
    budget: int,
    in_channels: int = 3,
    n_classes: int = 10,
    block: "BlockFactory | str" = "standard",
    head: "HeadFactory | str" = "pooled",
) -> int:
    """Return the channels of stage 0 whose parameter count is nearest to a budget; the smaller number at a tie.

    Args:
        graph: A valid architecture graph.
        budget: Target number of parameters, at least 1 (ResNet-56 has 853,018).
        in_channels: Channels of the images, at least 1.
        n_classes: Number of scores, at least 1.
        block: As in `compile`; its parameters must increase with the channels.
        head: As in `compile`.

    Raises:
        GraphError: The graph is not valid.
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> fit_channels(gt.full_dag(60, stages=3), budget=853_018)
        11
    """
    graph = valid_graph(graph)
    budget = integer(budget, name="budget")
    count = _count(graph, in_channels=in_channels, n_classes=n_classes, block=block, head=head)
    # The number of parameters increases with the channels: double until it is too large, then halve the interval.
    low, high = 1, 2
    while count(high) < budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < budget else (low, middle)
    return min(low, high, key=lambda channels: abs(count(channels) - budget))


def count_macs(
    graph: GraphLike,
    *,
    channels: int,
    in_channels: int = 3,
    n_classes: int = 10,
    size: int | tuple[int, int] = 32,
    block: "BlockFactory | str" = "standard",
    head: "HeadFactory | str" = "pooled",
) -> int:
    """Return the multiply-accumulate operations for one image, in convolutions and matrix products.

    As usual, elementwise operations (edge weights, normalization, ReLU, pooling) are not counted. For the standard block
    it is a closed form; with another one PyTorch counts them, in a network without memory for its values.

    Args:
        graph: A valid architecture graph.
        channels: Channels of stage 0, at least 1.
        in_channels: Channels of the images, at least 1.
        n_classes: Number of scores, at least 1.
        size: Height and width of the images, in pixels; one number stands for both.
        block: As in `compile`.
        head: As in `compile`.

    Raises:
        GraphError: The graph is not valid.
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> count_macs(
        ...     gt.chain_dag(2, stages=1), channels=4, in_channels=1, size=8
        ... )  # (1·4 + 4·4)·10·8² + 4·10
        12840
    """
    graph = valid_graph(graph)
    plan = make_plan(graph)
    channels = integer(channels, name="channels")
    height, width = image_size(size, last_stage=plan.output.stage)
    if (block, head) != ("standard", "pooled"):
        net = _without_memory(
            graph, channels, in_channels=in_channels, n_classes=n_classes, block=block, head=head
        )
        return _macs_of(net, height, width)

    def of_block(inputs: int, stage: int) -> int:
        pixels: int = -(-height // 2**stage) * -(-width // 2**stage)
        return inputs * (channels << stage) * 10 * pixels

    macs = of_block(integer(in_channels, name="in_channels"), plan.input.stage)
    for node in plan.nodes:
        width_of_node = channels << node.stage
        macs += of_block(width_of_node, node.stage) if node.incoming else 0
        macs += sum(of_block(width_of_node, reduction.stage) for reduction in node.reduces)
    return macs + (channels << plan.output.stage) * integer(n_classes, name="n_classes")


def _count(
    graph: igraph.Graph,
    *,
    in_channels: int,
    n_classes: int,
    block: "BlockFactory | str",
    head: "HeadFactory | str",
) -> Callable[[int], int]:
    """Return the number of parameters as a function of the channels."""
    sizes = {
        "in_channels": integer(in_channels, name="in_channels"),
        "n_classes": integer(n_classes, name="n_classes"),
    }
    if (block, head) == ("standard", "pooled"):
        polynomial = parameter_polynomial(graph, **sizes)
        return lambda channels: polynomial.at(integer(channels, name="channels"))

    def counted(channels: int) -> int:
        net = _without_memory(graph, channels, **sizes, block=block, head=head)
        return sum(parameter.numel() for parameter in net.parameters())

    return counted


def _without_memory(
    graph: igraph.Graph,
    channels: int,
    *,
    in_channels: int,
    n_classes: int,
    block: "BlockFactory | str",
    head: "HeadFactory | str",
) -> "GraphModule":
    """Return the network on the device ``meta``, whose tensors have no values."""
    import torch  # the closed forms do without it

    from graphtask.compiler.module import compile

    with torch.device("meta"):
        net = compile(
            graph,
            channels=channels,
            in_channels=in_channels,
            n_classes=n_classes,
            execution="plain",
            block=block,
            head=head,
        )
    return net.to("meta")


def _macs_of(net: "GraphModule", height: int, width: int) -> int:
    """Return half of the floating-point operations that PyTorch counts for one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        net.eval()(torch.zeros(1, net.in_channels, height, width, device="meta"))
    return int(counter.get_total_flops()) // 2
