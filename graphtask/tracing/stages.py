"""Number of times that the resolution has been halved at every operation of a network."""

import math
import re

from graphtask.tracing.capture import Captured, Operation

_SPATIAL = re.compile(r"(?:conv|pool|upsample|pixel_unshuffle)")
_PRODUCTS = {"matmul", "mm", "bmm", "einsum", "scaled_dot_product_attention"}
_N_SPATIAL = re.compile(r"([123])d")


def halvings(captured: Captured) -> list[int]:
    """Return the stage of every operation: the number of times that the resolution was halved since the example.

    A convolution or pooling with stride s in d dimensions adds log2(s₁ · … · s_d) / d, a transposed convolution
    subtracts as much, and a resizing to a given size (adaptive pooling, interpolation) counts by the positions
    (pixels, or frames) of its operand and its result. Of operations without strides only linear layers change the
    resolution, if the example holds images of P₀ pixels: on a grid with the channels last (Swin), and where they make
    tokens of the image, it is log2(P₀ / P) / d for P positions. All other operations have the resolution of their
    operands (products of two tensors, such as attention with pooled keys, that of the first one, all else the coarsest), and
    so has a pooling that leaves one position: the tail behind it, and
    squeeze and excitation, keep the stage.

    The stage is that number of halvings, rounded, and never less than in anything that the operation reads: where a
    network upsamples, or has read a coarser tensor on the side, it stays where it is.
    """
    image = max((operation.shape[2:] for operation in captured.operations[: captured.n_inputs]), key=len)
    levels: list[float] = []
    stages: list[int] = []
    for operation in captured.operations:
        deciding = operation.reads[:1] if operation.name in _PRODUCTS else operation.reads
        level = max((levels[read] for read in deciding), default=0.0)
        if _SPATIAL.search(operation.name):
            operand = captured.operations[operation.reads[0]]
            level += _step(operation, operand)
        elif operation.name == "linear":
            level = _grid_level(operation, level, image)
        levels.append(level)
        stages.append(max([math.floor(level + 0.5), *(stages[read] for read in operation.reads), 0]))
    return stages


def _step(operation: Operation, operand: Operation) -> float:
    """Return the halvings between the operand and the result of a convolution, pooling or resizing."""
    n_spatial = _n_spatial(operation)
    before, after = _n_positions(operand.shape[-n_spatial:]), _n_positions(operation.shape[-n_spatial:])
    if operation.strides and not ("pool" in operation.name and after == 1):
        strides = operation.strides * (n_spatial if len(operation.strides) == 1 else 1)
        sign = -1 if "transpose" in operation.name else 1
        return sign * math.log2(math.prod(strides)) / n_spatial
    if before > 1 and after > 1 and not operation.strides:
        return math.log2(before / after) / n_spatial
    return 0.0


def _grid_level(operation: Operation, level: float, image: tuple[int | None, ...]) -> float:
    """Return the halvings between the image and the result of a linear layer, if it is a grid, or the first tokens."""
    rank = len(operation.shape)
    is_grid = rank == len(image) + 2 or (rank == 3 and level == 0.0)
    positions = _n_positions(operation.shape[1:-1])
    if len(image) < 2 or not is_grid or positions == 1:
        return level
    return math.log2(_n_positions(image) / positions) / len(image)


def _n_spatial(operation: Operation) -> int:
    found = _N_SPATIAL.search(operation.name)
    return int(found[1]) if found else 2


def _n_positions(sizes: tuple[int | None, ...]) -> int:
    """Return the product of the sizes; 1, which leaves the resolution open, if a size depends on values."""
    return 1 if None in sizes else math.prod(size for size in sizes if size is not None)
