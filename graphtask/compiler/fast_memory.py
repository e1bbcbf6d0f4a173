"""The memory of a fast step: one allocation, laid out in advance, and used again by the next step on the CPU.

Fresh memory is dear on the CPU: the system hands it out page by page, zeroed, which takes longer than computing what
goes into it. So a step gives its allocation back and the next one takes it. Accelerators have an allocator that does
this already.
"""

import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from graphtask.compiler.planner import StagePlan

_ALIGNMENT = 64  # elements: a region starts on a cache line, whatever the dtype
_GAP = 80  # elements between rows: at distances of a power of two, all would share a few places in the caches
_KEPT_BY_MALLOC = 2**24  # bytes: what is freed in blocks up to this size stays, up to twice as much
_AT_ONCE = 4  # sources that are reduced before they are added to a later stage, without autograd
_KINDS = 6  # of steps that are remembered: full and last batches of training, validation and test

T = TypeVar("T")


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
    stride: int
    """Elements from one row to the next."""

    @property
    def numel(self) -> int:
        """Elements of the allocation that it takes, whole cache lines."""
        return -(-self.rows * self.stride // _ALIGNMENT) * _ALIGNMENT

    def of(self, memory: Tensor) -> Tensor:
        """The matrix (rows, columns) in ``memory``."""
        whole = memory[self.start : self.start + self.rows * self.stride].view(self.rows, self.stride)
        return whole[:, : self.columns]


class Layout:
    """Hands out consecutive regions of one allocation of ``numel`` elements."""

    def __init__(self) -> None:
        self.numel = 0

    def reserve(self, rows: int, columns: int, *, gap: int = 0) -> Region:
        """Room for a matrix (rows, columns) with so many elements between its rows."""
        (region,) = self.share([(rows, columns, gap)])
        return region

    def share(self, matrices: Iterable[tuple[int, int, int]]) -> tuple[Region, ...]:
        """Room for one of several matrices (rows, columns, gap) at a time."""
        regions = tuple(Region(self.numel, rows, columns, columns + gap) for rows, columns, gap in matrices)
        self.numel += max((region.numel for region in regions), default=0)
        return regions


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
    pulled: tuple[Region, ...]
    """Of each stage, in the same room: the gradients of the nodes' values of a block of nodes."""
    numel: int


def training_memory(
    stages: Sequence[StagePlan], shapes: Shapes, *, checkpoint: Collection[int]
) -> TrainingMemory:
    """The memory of a step with gradients; the stages of ``checkpoint`` share the room for their sums."""
    layout = Layout()
    sizes = [(stage, shape.numel, _gap(stage)) for stage, shape in zip(stages, shapes.stages, strict=True)]
    tables = tuple(layout.reserve(stage.n_rows, numel, gap=gap) for stage, numel, gap in sizes)
    shared = iter(layout.share((s.n_nodes, numel, gap) for s, numel, gap in sizes if s.stage in checkpoint))
    sums = tuple(
        next(shared) if stage.stage in checkpoint else layout.reserve(stage.n_nodes, numel, gap=gap)
        for stage, numel, gap in sizes
    )
    kept = tuple(
        None if stage.stage in checkpoint else layout.reserve(stage.n_rows, 2 * numel)
        for stage, numel, _ in sizes
    )
    scratch = layout.reserve(3, _largest(shapes))
    pulled = layout.share((min(stage.width, stage.n_nodes), numel, gap) for stage, numel, gap in sizes)
    return TrainingMemory(tables, sums, kept, scratch, pulled, layout.numel)


class InferenceMemory(NamedTuple):
    """Where a step without gradients keeps its activations."""

    values: tuple[Region, ...]
    """Of each stage: the nodes' sums, and over them their values."""
    reduced: tuple[Region, ...]
    """Of each stage, in the same room: a few of its sources."""
    scratch: Region
    """Two rows for one block."""
    numel: int


def inference_memory(stages: Sequence[StagePlan], shapes: Shapes) -> InferenceMemory:
    """The memory of a step without gradients."""
    layout = Layout()
    sizes = [(stage, shape.numel, _gap(stage)) for stage, shape in zip(stages, shapes.stages, strict=True)]
    values = tuple(layout.reserve(stage.n_nodes, numel, gap=gap) for stage, numel, gap in sizes)
    reduced = layout.share((min(_AT_ONCE, stage.n_sources), numel, gap) for stage, numel, gap in sizes)
    scratch = layout.reserve(2, _largest(shapes))
    return InferenceMemory(values, reduced, scratch, layout.numel)


def _gap(stage: StagePlan) -> int:
    """The elements between the rows of a stage's matrices. Sums that are gathered read them without."""
    return 0 if "gather" in {stage.across, stage.inside} else _GAP


def _largest(shapes: Shapes) -> int:
    return max(shape.numel for shape in (shapes.images, *shapes.stages))


def keep_freed_memory() -> None:
    """Let the C library keep what convolutions allocate and free, several MB each, for the next ones.

    Linux's gives such memory back to the system and fetches it again page by page, unless a block of about that size
    was freed before: then it raises its threshold to that. Elsewhere this does nothing.
    """
    torch.empty(_KEPT_BY_MALLOC, dtype=torch.uint8)


class Recent:
    """Remembers what was made for the last few kinds of steps; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self._found)

    def get(self, kind: Hashable, make: Callable[[], T]) -> T:
        """What was made for a kind of step, or what ``make`` makes."""
        with self._lock:
            found: T = self._found.pop(kind) if kind in self._found else make()
            self._found[kind] = found  # the last one used is the last one forgotten
            if len(self._found) > _KINDS:
                del self._found[next(iter(self._found))]
        return found


class Allocation:
    """A flat tensor full of junk, and the views of it that steps of one kind share.

    Args:
        memory: The tensor.
    """

    def __init__(self, memory: Tensor) -> None:
        self.memory = memory
        self.views = Recent()

    def serves(self, numel: int, *, dtype: torch.dtype, device: torch.device) -> bool:
        """Whether it has room for so many elements of such a kind."""
        memory = self.memory
        return memory.numel() >= numel and (memory.dtype, memory.device) == (dtype, device)


class Pool:
    """Keeps the largest allocation that was given back, for the next step that asks; threads may share it."""

    def __init__(self) -> None:
        # Of one thread again and again: a lease that is garbage may be collected while another one is given back.
        self._lock = threading.RLock()
        self._kept: Allocation | None = None

    def take(self, numel: int, *, dtype: torch.dtype, device: torch.device) -> Allocation:
        """An allocation of at least ``numel`` elements."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None and kept.serves(numel, dtype=dtype, device=device):
            return kept
        del kept  # before the new one is made, so that the two never stand side by side
        if device.type == "cpu":
            keep_freed_memory()
        with torch.inference_mode(
            mode=False
        ):  # an inference tensor would be of no use to a step with gradients
            return Allocation(torch.empty(numel, dtype=dtype, device=device))

    def give_back(self, allocation: Allocation) -> None:
        """Keep an allocation that nobody uses any more."""
        if allocation.memory.device.type != "cpu":
            return
        with self._lock:
            if self._kept is None or self._kept.memory.numel() < allocation.memory.numel():
                self._kept = allocation

    def __reduce__(self) -> tuple[type["Pool"], tuple[()]]:
        """A copy of a pool is a new, empty one."""
        return (Pool, ())


class Lease:
    """Holds an allocation of a pool, and gives it back with the last reference to the lease."""

    def __init__(self, pool: Pool, numel: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self._pool = pool
        self.allocation = pool.take(numel, dtype=dtype, device=device)

    def __del__(self) -> None:
        if hasattr(self, "allocation"):
            self._pool.give_back(self.allocation)
