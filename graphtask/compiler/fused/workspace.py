"""Buffers of a fused step: matrices in one flat tensor, laid out in advance, which the next step uses again.

A row of a matrix is one activation of the whole batch. The backward goes through the stages, and the nodes of each, from
the last to the first; for each node it calls the reduce blocks of its value, then its own block. After the first node of
a stage come the gradients of its weights, then those of its sources. Who overwrites what, and when:

- ``table``, values of sources and nodes: the gradient of a source (dx of its reduce block) takes its place after the
  weight gradients of the stage. Values of nodes stay.
- ``sums``, the arguments a: the block of a node overwrites a by da, which earlier nodes, sources and weights read. The
  first node reads the images instead. Stages that are computed again share one matrix, which each fills first.
- ``kept``, u and v of each row of the table: nothing, as a backward may be repeated. Stages computed again have none.
- ``pulled``, dx of a few nodes, which `pull` writes and reduce blocks add to: free after the node's own block.
- ``scratch``, du, dv and ReLU(a) of one block, of the largest size: every block. u and v lie in du and dv in stages that
  are computed again and without gradients, where ReLU(a) shares dv.

A backward that keeps the graph (``retain_graph=True``) saves tables and sums first, and restores them. Without gradients
nothing is kept: the value of a node overwrites its sum (``table`` and ``sums`` are one matrix, of the nodes), and
``pulled`` holds a few sources of a later stage until they are added to its sums.

Fresh memory is slow on the CPU: the system returns it page by page, zeroed. So a step returns its memory when it ends:
after a backward that frees the graph, when the graph is dropped, or after inference; the next step takes it.
Accelerators have an allocator that does this already.
"""

import math
from collections.abc import Collection, Sequence
from functools import lru_cache, partial
from itertools import compress
from typing import NamedTuple, Self

import torch
from torch import Tensor

from graphtask.compiler.fused.stages import StagePlan

_AT_ONCE = 4  # sources that are added to a later stage together, without gradients
_LINE = 64  # elements: a region starts on a cache line, whatever the dtype
_GAP = 80  # elements between rows: at distances of a power of two, all would share a few places in the caches
_COLUMNS = 1024  # of ``wide``, at most
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

    PyTorch's normalizations of few channels are slow with channels last. There, several pixels share a row of ``wide``,
    and per-channel vectors are tiled: loops are long enough to vectorize, and each column of ``wide`` is a channel for
    PyTorch's own statistics.
    """

    batch: int
    channels: int
    height: int
    width: int
    channels_last: bool

    @property
    def n_values(self) -> int:
        """Values of one channel in the batch."""
        return self.batch * self.height * self.width

    @property
    def numel(self) -> int:
        """Elements of the activation."""
        return self.n_values * self.channels

    @property
    def memory_format(self) -> torch.memory_format:
        """PyTorch's name for the order."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def repeats(self) -> int:
        """Pixels that share a row of ``wide``: a power of two, so that it divides most numbers of pixels."""
        most = max(_COLUMNS // self.channels, 1).bit_length() - 1
        return math.gcd(self.n_values, 1 << most) if self.channels_last else 1

    def activations(self, matrix: Tensor) -> list[Activation]:
        """Return the views of the rows of a matrix (rows, numel or more)."""
        matrix = matrix[:, : self.numel]
        n, (batch, channels, height, width, channels_last) = len(matrix), self
        if not channels_last:
            rows = matrix.view(n, batch, channels, height, width).unbind()
            return [Activation(row, row, row) for row in rows]
        images = matrix.view(n, batch, height, width, channels).permute(0, 1, 4, 2, 3)
        wide = matrix.view(n, self.n_values // self.repeats, self.repeats * channels)
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
        return memory.as_strided((self.rows, self.columns), (self.stride, 1), self.start)


class Regions(NamedTuple):
    """Places of the buffers of a step, one region for each stage.

    Those of ``pulled`` overlap, and so do the sums of stages that are computed again; without gradients tables are sums.
    """

    tables: list[Region]
    sums: list[Region]
    kept: list[Region]
    pulled: list[Region]
    scratch: Region

    @property
    def numel(self) -> int:
        """Elements of all."""
        return self.scratch.end

    @classmethod
    def training(
        cls, stages: Sequence[StagePlan], layouts: Sequence[Layout], recompute: Collection[int]
    ) -> Self:
        """Return the places in a step with gradients; ``layouts`` are those of `step_layouts`."""
        place = partial(_place, stages, layouts)
        again = [stage.stage in recompute for stage in stages]
        tables = place(0, [s.n_rows for s in stages])
        sums = place(_end(tables), [s.n_nodes for s in stages], shared=again)
        kept = place(_end(sums), [0 if x else 2 * s.n_rows for s, x in zip(stages, again, strict=True)])
        pulled = place(_end(kept), [min(s.width, s.n_nodes) for s in stages], shared=[True] * len(stages))
        return cls(tables, sums, kept, pulled, _scratch(_end(pulled), 3, layouts))

    @classmethod
    def inference(cls, stages: Sequence[StagePlan], layouts: Sequence[Layout]) -> Self:
        """Return the places in a step without gradients; ``layouts`` are those of `step_layouts`."""
        place = partial(_place, stages, layouts)
        values, none = place(0, [s.n_nodes for s in stages]), place(0, [0] * len(stages))
        pulled = place(
            _end(values), [min(_AT_ONCE, s.n_sources) for s in stages], shared=[True] * len(stages)
        )
        return cls(values, values, none, pulled, _scratch(_end(pulled), 2, layouts))

    def buffers(self, memory: Tensor, layouts: Sequence[Layout]) -> "list[StageBuffers]":
        """Return the buffers of each stage in flat memory."""
        return [
            StageBuffers(layout, *(place.of(memory) for place in (*own, self.scratch)))
            for layout, *own in zip(layouts[1:], self.tables, self.sums, self.kept, self.pulled, strict=True)
        ]


class StageBuffers:
    """Buffers of one stage, or of the images, as matrices and as the activations in their rows; ``kept`` alternates u and v."""

    def __init__(
        self, layout: Layout, table: Tensor, sums: Tensor, kept: Tensor, pulled: Tensor, scratch: Tensor
    ) -> None:
        self.layout, self.table, self.sums, self.pulled = layout, table, sums, pulled
        matrices = map(layout.activations, (table, sums, kept, pulled, scratch))
        self.values, self.arguments, self.kept, self.gradients, rows = matrices
        self.du, self.dv, self.positive = rows[0], rows[1], rows[-1]


class Workspace:
    """The largest memory of ended steps, for the next one; threads may share it without a lock, as ``dict.pop`` is atomic."""

    def __init__(self) -> None:
        self._free: dict[str, Tensor] = {}

    def take(self, numel: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return a flat uninitialized tensor of at least ``numel`` elements."""
        free = self._free.pop("memory", None)
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
            self._free["memory"] = max(memory, self._free.pop("memory", memory), key=len)


def step_layouts(
    stages: Sequence[StagePlan], images: Sequence[int], *, channels: int, channels_last: bool
) -> list[Layout]:
    """Return the layout of images of shape (batch, channels, height, width), followed by that of each stage."""
    batch, in_channels, height, width = images
    sizes = [(in_channels, 0), *((channels << stage.stage, stage.stage) for stage in stages)]
    return [Layout(batch, c, -(-height // 2**s), -(-width // 2**s), channels_last) for c, s in sizes]


@lru_cache(maxsize=64)
def _tiling(channels: int, repeats: int, device: torch.device) -> Tensor:
    """Return the channel of each column of ``wide``; faster than ``repeat`` by a factor of four."""
    return torch.arange(channels, device=device).repeat(repeats)


def _place(
    stages: Sequence[StagePlan], layouts: Sequence[Layout], start: int, rows: Sequence[int],
    shared: Sequence[bool] = (),
) -> list[Region]:  # fmt: skip
    """Return a region for each stage: those that share their memory, then the others one after another."""
    regions = []
    for stage, layout, n in zip(stages, layouts[1:], rows, strict=True):
        gap = _GAP if stage.strategy == "dense" else 0  # sparse sums read rows without gaps
        regions.append(Region(start, n, layout.numel, layout.numel + gap))
    end = max(compress((region.end for region in regions), shared), default=start)
    for index, region in enumerate(regions):
        if not (shared and shared[index]):
            regions[index] = region._replace(start=end)
            end = regions[index].end
    return regions


def _end(regions: list[Region]) -> int:
    return max(region.end for region in regions)


def _scratch(start: int, rows: int, layouts: Sequence[Layout]) -> Region:
    largest = max(layout.numel for layout in layouts)
    return Region(start, rows, largest, largest)
