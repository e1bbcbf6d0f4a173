"""Buffers of a fused step: regions of one flat tensor, laid out in advance and used again by the next step.

Buffers of a step with gradients, and their lifetimes. Every buffer is a matrix with one activation a row. "Dead" means
that its contents may be overwritten from then on.

========  ======================  =============================  ===============================================
buffer    rows of a stage         forward                        backward (stages from the last to the first)
========  ======================  =============================  ===============================================
table     sources, then nodes     written by reduce and node     nodes: read by weight gradients and by the blocks
                                  blocks, read by sums and       that take them as argument; dead after their
                                  reduce blocks                  stage. sources: dead after the weight gradients,
                                                                 then overwritten by the gradients of the sources,
                                                                 which reduce blocks read as their dx
sums      nodes                   written by weighted sums,      read as argument of the node's block, which
                                  read by node blocks            overwrites it by the gradient of the sum; that is
                                                                 read by earlier nodes; dead after the stage.
                                                                 Recomputed stages share one region, and fill it
                                                                 again first
kept      u and v of each row     written by its block; absent   read by the block, then dead
                                  in recomputed stages
pulled    one block of nodes      —                              gradients of node values: written by transposed
                                                                 sums and reduce blocks, read by node blocks as dx;
                                                                 dead after the block. Stages share one region
scratch   du, dv, ReLU(a)         ReLU(a); u and v of            written and read by one block; dead after it. In
                                  recomputed stages; dead        recomputed stages du and dv overwrite u and v
                                  after the block
========  ======================  =============================  ===============================================

A backward that keeps the graph (``retain_graph=True``) saves tables and sums first and restores them.

Without gradients there is no backward: a node's value overwrites its sum (``table`` and ``sums`` are the same rows, of
nodes only), and ``pulled`` holds a few sources of a later stage until they are added to its sums.

Fresh memory is slow on the CPU: the system returns it page by page, zeroed. So a step returns its memory to the
workspace, and the next step takes it. Accelerators have an allocator that does this already.
"""

import math
from collections import deque
from collections.abc import Collection, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from graphtask.compiler.fused.stages import StagePlan

AT_ONCE = 4  # sources that are added to a later stage together, without gradients
_LINE = 64  # elements: a region starts on a cache line, whatever the dtype
_GAP = 80  # elements between rows: at distances of a power of two, all would share a few places in the caches
_COLUMNS = 1024  # of a matrix of several pixels a row, at most
_KEPT_BY_MALLOC = 2**24  # bytes: freed blocks up to this size stay, up to twice as much


class Activation(NamedTuple):
    """Views of one activation in a buffer."""

    image: Tensor
    """(batch, channels, height, width)"""
    wide: Tensor
    """Shape that vectors of `Layout.tile` broadcast with."""
    columns: Tensor
    """One image whose channels are the columns of ``wide`` (channels last), or ``image`` (channels first)."""


class Layout(NamedTuple):
    """Shape of an activation, and its order in memory.

    PyTorch's normalizations of few channels are slow with channels last. There, several pixels share a row of a matrix,
    and per-channel vectors are tiled: loops are long enough to vectorize, and each column of the matrix is a channel
    for PyTorch's own statistics.
    """

    batch: int
    channels: int
    height: int
    width: int
    channels_last: bool

    @property
    def pixels(self) -> int:
        """Values of one channel."""
        return self.batch * self.height * self.width

    @property
    def numel(self) -> int:
        """Elements of the activation."""
        return self.pixels * self.channels

    @property
    def memory_format(self) -> torch.memory_format:
        """PyTorch's name for the order."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def repeats(self) -> int:
        """Pixels that share a row of a matrix: a power of two, so that it divides most numbers of pixels."""
        return _repeats(self.pixels, self.channels) if self.channels_last else 1

    def activations(self, matrix: Tensor) -> list[Activation]:
        """Return the views of the rows of a matrix (rows, numel or more)."""
        matrix = matrix[:, : self.numel]
        n, (batch, channels, height, width, channels_last) = len(matrix), self
        if not channels_last:
            rows = matrix.view(n, batch, channels, height, width).unbind()
            return [Activation(row, row, row) for row in rows]
        images = matrix.view(n, batch, height, width, channels).permute(0, 1, 4, 2, 3)
        wide = matrix.view(n, self.pixels // self.repeats, self.repeats * channels)
        columns = wide.transpose(1, 2)[:, None, :, :, None]
        return list(map(Activation, images.unbind(), wide.unbind(), columns.unbind()))

    def view_or_copy(self, image: Tensor) -> Tensor:
        """Return an image as a matrix of one row in this order; a view if it lies in it already."""
        image = image.contiguous(memory_format=self.memory_format)
        return (image.permute(0, 2, 3, 1) if self.channels_last else image).reshape(1, -1)

    def tile(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return per-channel vectors, rows of matrices (n, channels), as operands that broadcast with ``wide``."""
        vectors = torch.cat(values)
        vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
        if self.channels_last:
            vectors = vectors.index_select(1, _tiling(self.channels, self.repeats, vectors.device))
        return (vectors if self.channels_last else vectors[:, :, None, None]).unbind()


class Region(NamedTuple):
    """Place of a matrix in flat memory."""

    start: int
    rows: int
    columns: int
    stride: int
    """Elements from one row to the next."""

    @property
    def end(self) -> int:
        """First element after it, on a cache line."""
        return self.start + -(-self.rows * self.stride // _LINE) * _LINE

    def of(self, memory: Tensor) -> Tensor:
        """Return the matrix (rows, columns) in ``memory``."""
        whole = memory[self.start : self.start + self.rows * self.stride].view(self.rows, self.stride)
        return whole[:, : self.columns]


class Regions(NamedTuple):
    """Places of the buffers of a step: one region for each stage, empty where a stage has no such buffer."""

    tables: tuple[Region, ...]
    sums: tuple[Region, ...]
    kept: tuple[Region, ...]
    pulled: tuple[Region, ...]
    scratch: Region
    numel: int

    @classmethod
    def training(
        cls, stages: Sequence[StagePlan], layouts: Sequence[Layout], recompute: Collection[int]
    ) -> Self:
        """Return the places in a step with gradients; ``layouts`` are those of `step_layouts`."""
        place = partial(_place, stages, layouts)
        lost = [stage.stage in recompute for stage in stages]
        tables, end = place(0, [s.n_rows for s in stages])
        own, end = place(end, [0 if x else s.n_nodes for s, x in zip(stages, lost, strict=True)])
        again, end = place(end, [x * s.n_nodes for s, x in zip(stages, lost, strict=True)], shared=True)
        sums = tuple(two if x else one for one, two, x in zip(own, again, lost, strict=True))
        n_kept = [0 if x else 2 * s.n_rows for s, x in zip(stages, lost, strict=True)]
        kept, end = place(end, n_kept, gaps=False)
        pulled, end = place(end, [min(s.width, s.n_nodes) for s in stages], shared=True)
        scratch = _scratch(end, 3, layouts)
        return cls(tables, sums, kept, pulled, scratch, scratch.end)

    @classmethod
    def inference(cls, stages: Sequence[StagePlan], layouts: Sequence[Layout]) -> Self:
        """Return the places in a step without gradients; ``layouts`` are those of `step_layouts`."""
        place = partial(_place, stages, layouts)
        values, end = place(0, [s.n_nodes for s in stages])
        kept, _ = place(0, [0] * len(stages))
        reduced, end = place(end, [min(AT_ONCE, s.n_sources) for s in stages], shared=True)
        scratch = _scratch(end, 2, layouts)
        return cls(values, values, kept, reduced, scratch, scratch.end)


class Workspace:
    """Memory of the last step, for the next one; threads may share it without a lock, as ``deque`` is atomic."""

    def __init__(self) -> None:
        self._free: deque[Tensor] = deque(maxlen=1)

    def take(self, numel: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return a flat uninitialized tensor of at least ``numel`` elements."""
        free = self._pop()
        if free is not None and len(free) >= numel and (free.dtype, free.device) == (dtype, device):
            return free
        del free  # before the new one exists, so that the two never take memory together
        if device.type == "cpu":
            # The C library of Linux returns what convolutions free to the system, and fetches it again page by page,
            # unless a block of about that size was freed before. Elsewhere this has no effect.
            torch.empty(_KEPT_BY_MALLOC, dtype=torch.uint8)
        with torch.inference_mode(mode=False):  # an inference tensor could not serve a step with gradients
            return torch.empty(numel, dtype=dtype, device=device)

    def give_back(self, memory: Tensor) -> None:
        """Keep the memory of a finished step, or what is kept already if that is larger."""
        if memory.device.type == "cpu":
            other = self._pop()
            self._free.append(memory if other is None or len(other) < len(memory) else other)

    def _pop(self) -> Tensor | None:
        try:
            return self._free.pop()
        except IndexError:
            return None


def step_layouts(
    stages: Sequence[StagePlan], images: Sequence[int], *, channels: int, channels_last: bool
) -> list[Layout]:
    """Return the layout of images of shape (batch, channels, height, width), followed by that of each stage."""
    batch, in_channels, height, width = images
    return [
        Layout(batch, in_channels, height, width, channels_last),
        *(
            Layout(batch, channels << s, -(-height // 2**s), -(-width // 2**s), channels_last)
            for s in (stage.stage for stage in stages)
        ),
    ]


@lru_cache(maxsize=64)
def _repeats(pixels: int, channels: int) -> int:
    return math.gcd(pixels, 1 << (max(_COLUMNS // channels, 1).bit_length() - 1))


@lru_cache(maxsize=64)
def _tiling(channels: int, repeats: int, device: torch.device) -> Tensor:
    """Return the channel of each column of a matrix; faster than ``repeat`` by a factor of four."""
    return torch.arange(channels, device=device).repeat(repeats)


def _place(
    stages: Sequence[StagePlan], layouts: Sequence[Layout], start: int, rows: Sequence[int],
    *, shared: bool = False, gaps: bool = True,
) -> tuple[tuple[Region, ...], int]:  # fmt: skip
    """Return regions one after another, or all at ``start`` if only one exists at a time, and the end of the last."""
    regions: list[Region] = []
    end = start
    for stage, layout, n in zip(stages, layouts[1:], rows, strict=True):
        gap = _GAP if gaps and stage.strategy == "dense" else 0  # sparse sums read rows without gaps
        regions.append(Region(start if shared else end, n, layout.numel, layout.numel + gap))
        end = max(end, regions[-1].end)
    return tuple(regions), end


def _scratch(start: int, rows: int, layouts: Sequence[Layout]) -> Region:
    largest = max(layout.numel for layout in layouts)
    return Region(start, rows, largest, largest)
