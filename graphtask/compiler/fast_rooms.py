"""Where every block of a step finds its argument and leaves its result: views of one allocation.

A view costs as much as a small operation, and a block needs some thirty. On the CPU, steps on images of one shape use
the same memory, so they use the same views.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from graphtask.compiler.fast_memory import InferenceMemory, Shape, Shapes, TrainingMemory
from graphtask.compiler.planner import StagePlan

_COLUMNS = 1024  # of a matrix of several pixels a row, at most


class Beside:
    """Values of one per channel, repeated as they have to stand beside the rows of a matrix.

    Args:
        n: How many values there are of each channel.
        repeats: How often a row holds each channel.
        channels: How many channels there are.
        like: A tensor of the activations' dtype; the values are no less precise than float32.
    """

    def __init__(self, n: int, repeats: int, channels: int, *, like: Tensor) -> None:
        dtype = torch.promote_types(like.dtype, torch.float32)
        with torch.inference_mode(mode=False):  # as the memory itself: steps of any kind may come later
            self._values = like.new_empty(n, channels, dtype=dtype)
            self._repeated = like.new_empty(n, repeats, channels, dtype=dtype)
        self._once = self._values.unsqueeze(1)
        self.rows: tuple[Tensor, ...] = self._repeated.view(n, -1).unbind()
        """A vector for each of the values."""

    def put(self, *values: Tensor) -> None:
        """Write the values: matrices with a column for each channel."""
        torch.cat(values, out=self._values)
        self._repeated.copy_(self._once)


class Scratch:
    """What is free for whichever block is computed.

    Args:
        rows: Three rows for activations, two without gradients.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self._beside: dict[tuple[int, int, int], Beside] = {}

    def beside(self, n: int, repeats: int, channels: int) -> Beside:
        """Room beside a matrix."""
        size = (n, repeats, channels)
        if size not in self._beside:
            self._beside[size] = Beside(*size, like=self.rows)
        return self._beside[size]


@dataclass(eq=False, kw_only=True)
class Room:
    """The room of one block. What is flat is so in the order of its shape.

    Legend: a is the block's argument, u = Conv3×3(ReLU(a)), v = Conv1×1(a), x = BN(u) + BN(v); du … are gradients.
    """

    source: Shape
    """Shape of a."""
    target: Shape
    """Shape of u, v and x."""
    stride: int
    """Pixels of a for one of x."""
    a: Tensor
    x: Tensor
    """May be ``a`` itself."""
    scratch: Scratch
    kept: Tensor | None = None
    """``u`` and ``v`` for the backward, flat in one; None if they are computed again."""
    dx: Tensor | None = None
    da: Tensor | None = None
    """Where the gradient of a is wanted; may be ``a`` itself."""
    add: bool = False
    """Whether it is added to what is there."""

    @cached_property
    def argument(self) -> Tensor:
        """``a`` as images."""
        return self.source.image(self.a)

    @cached_property
    def read(self) -> Tensor:
        """The pixels of a that the 1×1 convolution reads, as images."""
        return self._read_of(self.argument)

    @cached_property
    def positive(self) -> Tensor:
        """Room for ReLU(a): the last row of scratch."""
        return self.scratch.rows[-1][: self.a.numel()]

    @cached_property
    def positive_argument(self) -> Tensor:
        """The same as images."""
        return self.source.image(self.positive)

    @cached_property
    def gradients(self) -> Tensor:
        """Room for du and dv, of shape (2, values): the first rows of scratch."""
        return self.scratch.rows.view(-1)[: 2 * self.target.numel].view(2, -1)

    @cached_property
    def gradient_images(self) -> tuple[Tensor, Tensor]:
        """``du`` and ``dv`` as images."""
        du, dv = self.gradients
        return self.target.image(du), self.target.image(dv)

    @cached_property
    def gradient_matrices(self) -> tuple[Tensor, Tensor]:
        """``du`` and ``dv`` as matrices."""
        du, dv = self._rows_of(self.gradients)
        return du, dv

    @cached_property
    def both(self) -> Tensor:
        """``u`` and ``v``, of shape (2, values)."""
        return self.gradients if self.kept is None else self.kept.view(2, -1)

    @cached_property
    def images(self) -> tuple[Tensor, Tensor]:
        """``u`` and ``v`` as images."""
        u, v = self.both
        return self.target.image(u), self.target.image(v)

    @cached_property
    def rows(self) -> Tensor:
        """``u`` and ``v`` as matrices: (2, rows, columns)."""
        return self._rows_of(self.both)

    @cached_property
    def matrices(self) -> tuple[Tensor, Tensor]:
        """Each of them."""
        u, v = self.rows
        return u, v

    @cached_property
    def x_rows(self) -> Tensor:
        """``x`` as a matrix."""
        return self._rows_of(self.x)

    @cached_property
    def columns(self) -> tuple[Tensor, Tensor]:
        """``u`` and ``v`` as images whose channels are the columns of their matrices."""
        return columns_of(self.rows)

    @cached_property
    def dx_rows(self) -> Tensor:
        """``dx`` as a matrix."""
        assert self.dx is not None
        return self._rows_of(self.dx)

    @cached_property
    def dx_columns(self) -> Tensor:
        """``dx`` as an image whose channels are the columns of its matrix."""
        return _image_of(self.dx_rows)

    @cached_property
    def da_read(self) -> Tensor:
        """The pixels of da that the 1×1 convolution reads in a, as images."""
        assert self.da is not None
        return self._read_of(self.source.image(self.da))

    @cached_property
    def repeats(self) -> int:
        """Pixels that stand side by side in a row of a matrix: a power of two, so that it divides what it should."""
        most = 1 << (max(_COLUMNS // self.target.channels, 1).bit_length() - 1)
        return math.gcd(self.target.pixels, most)

    def beside(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Matrices with a column for each channel, as vectors that stand beside the rows, until they are written over."""
        found = self.scratch.beside(sum(map(len, values)), self.repeats, self.target.channels)
        found.put(*values)
        return found.rows

    def _rows_of(self, flat: Tensor) -> Tensor:
        """A flat activation, or several, as matrices (rows, columns)."""
        return flat.view(*flat.shape[:-1], -1, self.repeats * self.target.channels)

    def _read_of(self, image: Tensor) -> Tensor:
        return image if self.stride == 1 else image[:, :, :: self.stride, :: self.stride]


def columns_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Two matrices as images whose channels are their columns."""
    u, v = rows
    return _image_of(u), _image_of(v)


def _image_of(matrix: Tensor) -> Tensor:
    """A matrix (rows, columns) as one image (1, columns, rows, 1), channels last."""
    return matrix.t().unsqueeze(-1).unsqueeze(0)


class TrainingRooms(NamedTuple):
    """The rooms of a step with gradients."""

    tables: tuple[Tensor, ...]
    """Of each stage: the sources and the nodes' values, and in the backward the gradients of the sources."""
    sums: tuple[Tensor, ...]
    """Of each stage: the nodes' sums, and in the backward the gradients of them."""
    kept: tuple[Tensor | None, ...]
    """Of each stage: what the two convolutions of sources and nodes gave."""
    pulled: tuple[Tensor, ...]
    """Of each stage: the gradients of the nodes' values of a block of nodes."""
    nodes: list[Room]
    """Of each node; that of the first still lacks the images."""
    reduces: list[list[Room]]
    """Of the reductions of each node."""


def training_rooms(
    stages: Sequence[StagePlan], shapes: Shapes, plan: TrainingMemory, memory: Tensor
) -> TrainingRooms:
    """The rooms of a step with gradients, in its memory."""
    tables, sums, pulled = (
        tuple(region.of(memory) for region in regions) for regions in (plan.tables, plan.sums, plan.pulled)
    )
    kept = tuple(None if region is None else region.of(memory) for region in plan.kept)
    scratch = Scratch(plan.scratch.of(memory))
    nodes: list[Room] = []
    reduces: list[list[Room]] = []
    for place, stage in enumerate(stages):
        shape = shapes.stages[place]
        for node in range(stage.n_nodes):
            row, a = stage.n_sources + node, sums[place][node]
            nodes.append(
                Room(
                    source=shape,
                    target=shape,
                    stride=1,
                    a=a,
                    x=tables[place][row],
                    scratch=scratch,
                    kept=_row(kept[place], row),
                    dx=pulled[place][node % stage.width],
                    da=a,
                )
            )
            reduces.append([])
        for row, source in enumerate(stage.sources):
            start, x = nodes[source.node], tables[place][row]
            reduces[source.node].append(
                Room(
                    source=start.target,
                    target=shape,
                    stride=source.stride,
                    a=start.x,
                    x=x,
                    scratch=scratch,
                    kept=_row(kept[place], row),
                    dx=x,  # the gradient is written over the value
                    da=start.dx,
                    add=True,
                )
            )
    return TrainingRooms(tables, sums, kept, pulled, nodes, reduces)


class Part(NamedTuple):
    """A few of the values that one stage brings into a later one, without gradients."""

    stage: int
    """Place of the later stage."""
    first: int
    """Row of the first of them among its sources."""
    values: Tensor
    """Rows for as many of them as are computed at a time."""
    rooms: list[tuple[int, int, Room]]
    """Of each: its node, its number among the node's reductions, and its room."""


class InferenceRooms(NamedTuple):
    """The rooms of a step without gradients."""

    values: tuple[Tensor, ...]
    """Of each stage: the nodes' sums, and over them their values."""
    nodes: list[Room]
    """Of each node; that of the first still lacks the images."""
    parts: list[list[Part]]
    """Of each stage: what it brings into later ones."""


def inference_rooms(
    stages: Sequence[StagePlan], shapes: Shapes, plan: InferenceMemory, memory: Tensor
) -> InferenceRooms:
    """The rooms of a step without gradients, in its memory."""
    values, reduced = (
        tuple(region.of(memory) for region in regions) for regions in (plan.values, plan.reduced)
    )
    scratch = Scratch(plan.scratch.of(memory))
    nodes = [
        Room(source=shape, target=shape, stride=1, a=row, x=row, scratch=scratch)
        for rows, shape in zip(values, shapes.stages, strict=True)
        for row in rows
    ]
    stage_of = [place for place, stage in enumerate(stages) for _ in stage.keys]
    reductions = [0] * len(nodes)
    parts: list[list[Part]] = [[] for _ in stages]
    for into, stage in enumerate(stages):
        for row, source in enumerate(stage.sources):
            found, width = parts[stage_of[source.node]], len(reduced[into])
            if not found or found[-1].stage != into or len(found[-1].rooms) == width:
                found.append(Part(into, row, reduced[into], []))
            start, rooms = nodes[source.node], found[-1].rooms
            room = Room(
                source=start.target,
                target=shapes.stages[into],
                stride=source.stride,
                a=start.x,
                x=reduced[into][len(rooms)],
                scratch=scratch,
            )
            rooms.append((source.node, reductions[source.node], room))
            reductions[source.node] += 1
    return InferenceRooms(values, nodes, parts)


def _row(kept: Tensor | None, row: int) -> Tensor | None:
    return None if kept is None else kept[row]
