"""The memory of a fast step: one allocation, laid out in advance, and used again by the next step on the CPU.

Fresh memory is dear on the CPU: the system hands it out page by page, zeroed, which takes longer than computing what
goes into it. So a step gives its allocation back and the next one takes it. Accelerators have an allocator that does
this already.
"""

import threading
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphtask.compiler.planner import StagePlan

_ALIGNMENT = 64  # elements: a region starts on a cache line, whatever the dtype
_TOGETHER = 10  # sources that are reduced before they are added to a later stage, without autograd


class Shape(NamedTuple):
    """The shape of an activation, and its order in memory."""

    batch: int
    channels: int
    height: int
    width: int
    channels_last: bool

    @property
    def numel(self) -> int:
        """Elements of the activation."""
        return self.batch * self.channels * self.height * self.width

    @property
    def pixels(self) -> int:
        """Values of one channel."""
        return self.batch * self.height * self.width

    @property
    def memory_format(self) -> torch.memory_format:
        """PyTorch's name for the order."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def image(self, flat: Tensor) -> Tensor:
        """A view (batch, channels, height, width) of a flat activation."""
        if self.channels_last:
            return flat.view(self.batch, self.height, self.width, self.channels).permute(0, 3, 1, 2)
        return flat.view(self.batch, self.channels, self.height, self.width)

    def flat(self, image: Tensor) -> Tensor:
        """The elements of (batch, channels, height, width) in this order; a view if they lie so already."""
        return (image.permute(0, 2, 3, 1) if self.channels_last else image).reshape(-1)


class Shapes(NamedTuple):
    """The shapes of a step."""

    images: Shape
    stages: tuple[Shape, ...]


def step_shapes(
    stages: Sequence[StagePlan], images: tuple[int, int, int, int], *, channels: int, channels_last: bool
) -> Shapes:
    """The shapes of a step on images of shape (batch, channels, height, width).

    Args:
        stages: The stages.
        images: The shape of the images.
        channels: Channels of stage 0.
        channels_last: Whether the channels of a pixel lie side by side.
    """
    batch, _, height, width = images
    return Shapes(
        Shape(*images, channels_last),
        tuple(
            Shape(
                batch,
                channels << stage.stage,
                -(-height // 2**stage.stage),
                -(-width // 2**stage.stage),
                channels_last,
            )
            for stage in stages
        ),
    )


class Region(NamedTuple):
    """A matrix in an allocation."""

    start: int
    rows: int
    columns: int

    def of(self, memory: Tensor) -> Tensor:
        """The matrix (rows, columns) in ``memory``."""
        return memory[self.start : self.start + self.rows * self.columns].view(self.rows, self.columns)


class Layout:
    """Hands out consecutive regions of one allocation of ``numel`` elements."""

    def __init__(self) -> None:
        self.numel = 0

    def reserve(self, rows: int, columns: int) -> Region:
        """Room for a matrix (rows, columns)."""
        region = Region(self.numel, rows, columns)
        self.numel += -(-rows * columns // _ALIGNMENT) * _ALIGNMENT
        return region


class TrainingMemory(NamedTuple):
    """Where a step with gradients keeps its activations."""

    tables: tuple[Region, ...]
    """Of each stage: the sources and the nodes' values."""
    sums: tuple[Region, ...]
    """Of each stage: the nodes' sums, and in the backward the gradients of them."""
    kept: tuple[Region | None, ...]
    """Of each stage: what the two convolutions of sources and nodes gave; nothing if it is computed again."""
    scratch: Region
    """Three rows for one block."""
    pulled: Region
    """The gradients of the nodes' values of a block of nodes, as one row."""
    numel: int


def training_memory(
    stages: Sequence[StagePlan], shapes: Shapes, *, checkpoint: Collection[int]
) -> TrainingMemory:
    """The memory of a step with gradients; the stages of ``checkpoint`` share the room for their sums."""
    layout = Layout()
    pairs = list(zip(stages, shapes.stages, strict=True))
    tables = tuple(layout.reserve(stage.n_rows, shape.numel) for stage, shape in pairs)
    again = [stage.stage in checkpoint for stage in stages]
    shared = layout.reserve(
        1,
        max(
            (s.n_nodes * shape.numel for (s, shape), skip in zip(pairs, again, strict=True) if skip),
            default=0,
        ),
    )
    sums = tuple(
        Region(shared.start, stage.n_nodes, shape.numel)
        if skip
        else layout.reserve(stage.n_nodes, shape.numel)
        for (stage, shape), skip in zip(pairs, again, strict=True)
    )
    kept = tuple(
        None if skip else layout.reserve(stage.n_rows, 2 * shape.numel)
        for (stage, shape), skip in zip(pairs, again, strict=True)
    )
    scratch = layout.reserve(3, _largest(shapes))
    pulled = layout.reserve(1, max(min(stage.width, stage.n_nodes) * shape.numel for stage, shape in pairs))
    return TrainingMemory(tables, sums, kept, scratch, pulled, layout.numel)


class InferenceMemory(NamedTuple):
    """Where a step without gradients keeps its activations."""

    values: tuple[Region, ...]
    """Of each stage: the nodes' sums, and over them their values."""
    reduced: Region
    """A few sources, as one row."""
    together: int
    """How many."""
    scratch: Region
    """Two rows for one block."""
    numel: int


def inference_memory(stages: Sequence[StagePlan], shapes: Shapes) -> InferenceMemory:
    """The memory of a step without gradients."""
    layout = Layout()
    pairs = list(zip(stages, shapes.stages, strict=True))
    values = tuple(layout.reserve(stage.n_nodes, shape.numel) for stage, shape in pairs)
    together = min(_TOGETHER, max(stage.n_sources for stage in stages))
    widest = max((shape.numel for stage, shape in pairs if stage.sources), default=0)
    reduced = layout.reserve(1, together * widest)
    scratch = layout.reserve(2, _largest(shapes))
    return InferenceMemory(values, reduced, together, scratch, layout.numel)


def _largest(shapes: Shapes) -> int:
    return max(shape.numel for shape in (shapes.images, *shapes.stages))


class Pool:
    """Keeps the largest allocation that was given back, for the next step that asks; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: Tensor | None = None

    def take(self, numel: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """A flat tensor of at least ``numel`` elements, full of junk."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None and kept.numel() >= numel and (kept.dtype, kept.device) == (dtype, device):
            return kept
        del kept  # before the new one is made, so that the two never stand side by side
        with torch.inference_mode(
            mode=False
        ):  # an inference tensor would be of no use to a step with gradients
            return torch.empty(numel, dtype=dtype, device=device)

    def give_back(self, memory: Tensor) -> None:
        """Keep an allocation that nobody uses any more."""
        if memory.device.type != "cpu":
            return
        with self._lock:
            if self._kept is None or self._kept.numel() < memory.numel():
                self._kept = memory

    def __reduce__(self) -> tuple[type["Pool"], tuple[()]]:
        """A copy of a pool is a new, empty one."""
        return (Pool, ())


class Lease:
    """Holds an allocation of a pool, and gives it back with the last reference to the lease."""

    def __init__(self, pool: Pool, numel: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self._pool = pool
        self.memory = pool.take(numel, dtype=dtype, device=device)

    def __del__(self) -> None:
        if hasattr(self, "memory"):
            self._pool.give_back(self.memory)
