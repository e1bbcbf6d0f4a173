"""One run on several processes, as ``torchrun`` starts them: each computes its slice of every batch.

All of them hold the same network, optimizer and data. A step differs from that of one process in three places, and
all three are exact up to rounding: batch normalization takes its statistics over the whole batch
(`graphtask.compiler.sync_batch_norm`), the loss of a slice counts by its share of the images, and the gradients are added
up. So no run depends on how many processes it has, but for the last digits.
"""

import atexit
import contextlib
import datetime as dt
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from graphtask.errors import ArgumentError, GraphtaskError, RunError
from graphtask.training.device import choose_device
from graphtask.validation import counted

Value = TypeVar("Value")

_PATIENCE = dt.timedelta(hours=2)  # one process may download a data set while the others wait
_CPU = torch.device("cpu")


class Part(NamedTuple):
    """Share of a batch that one process computes."""

    images: slice
    """Which images of the batch it takes."""
    share: float
    """By what its loss is multiplied, so that the gradients of all processes add up to that of the batch."""
    counts: bool
    """Whether its loss and hits count; not if another process has the same images."""


class Processes:
    """The processes that train one run together; made by `join`.

    Args:
        rank: Which of them this is, from 0; number 0 leads: it writes, reports, and decides.
        size: How many they are; 1 is a process on its own, for which every method here does next to nothing.
        local_rank: Which one it is among those of its machine.

    Example:
        >>> alone = Processes()
        >>> alone.leads, alone.same(lambda: "loaded"), alone.anywhere(False)
        (True, 'loaded', False)
        >>> [Processes(rank, 3).slice_of(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
    """

    def __init__(self, rank: int = 0, size: int = 1, *, local_rank: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        self._split = False

    @property
    def leads(self) -> bool:
        """True if this process writes, reports, and decides."""
        return self.rank == 0

    @contextlib.contextmanager
    def part(self, n_images: int) -> Iterator[Part]:
        """Share of a batch of this process; statistics are shared inside the block.

        A batch with fewer than two images a process is computed whole by each of them: batch normalization of a
        slice needs two values.
        """
        if self.size == 1:
            yield Part(slice(0, n_images), 1.0, counts=True)
        elif n_images < 2 * self.size:
            yield Part(slice(0, n_images), 1 / self.size, counts=self.leads)
        else:
            mine = self.slice_of(n_images)
            self._split = True
            try:
                yield Part(mine, (mine.stop - mine.start) / n_images, counts=True)
            finally:
                self._split = False

    def slice_of(self, n: int) -> slice:
        """The part of n things in a row that falls to this process; sizes differ by one at most."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def turns(self, values: Iterable[Value]) -> Iterator[Value]:
        """Every ``size``-th value, from number ``rank``."""
        return itertools.islice(values, self.rank, None, self.size)

    def gather(self, own: Tensor) -> Tensor:
        """Return the tensors of all processes, stacked, while a batch is shared; else that of this one."""
        if not self._split:
            return own[None]
        everything = own.new_empty((self.size, *own.shape))
        with _lost_connections():
            dist.all_gather(list(everything.unbind()), own.contiguous())
        return everything

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put into each tensor its sum over all processes, bit for bit the same on all of them."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _lost_connections():
            dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])  # type: ignore[no-untyped-call]
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def anywhere(self, flag: bool) -> bool:
        """Return True if the flag is set in one of the processes; they wait for each other here."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)], device="cpu")
        with _lost_connections():
            dist.all_reduce(flags)
        return bool(flags.item())

    def same(self, make: Callable[[], Value]) -> Value:
        """Return the value that the leader makes in all processes; a GraphtaskError of the leader is raised by all."""
        if self.size == 1:
            return make()
        outcome: list[object] = [None]
        if self.leads:
            try:
                outcome = [make()]
            except GraphtaskError as error:
                outcome = [error]
        with _lost_connections():
            dist.broadcast_object_list(outcome, src=0, device=_CPU)
        if isinstance(outcome[0], GraphtaskError):
            raise outcome[0]
        return outcome[0]  # type: ignore[return-value]

    def in_turn(self, make: Callable[[], Value]) -> Value:
        """Return the value that each process makes itself: first one process of each machine, then the others."""
        first = [make()] if self.local_rank == 0 else []
        self.anywhere(False)
        return first[0] if first else make()


def join(device: str) -> tuple[Processes, torch.device]:
    """Meet the other processes of this run, and choose the device of this one.

    There are others if ``torchrun`` started this process, or if the caller has made a process group. On GPUs each
    process of a machine takes its own.

    Args:
        device: As in `graphtask.train`.

    Raises:
        ArgumentError: There is no such device here, or the processes cannot use it together.
    """
    launched = dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1
    made = dist.is_available() and dist.is_initialized()
    if not (made or launched):
        return Processes(), choose_device(device)
    target = choose_device(device) if made and not launched else _own_device(device)
    if not made:
        # Decisions travel between CPUs, so that none of them waits for a GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if target.type == "cuda" else "gloo", timeout=_PATIENCE)
        atexit.register(dist.destroy_process_group)
    local_rank = int(os.environ.get("LOCAL_RANK", dist.get_rank()))
    return Processes(dist.get_rank(), dist.get_world_size(), local_rank=local_rank), target


def check_batch_size(batch_size: int, processes: Processes) -> None:
    """Raise if batches are too small to be shared.

    Raises:
        ArgumentError: They are.
    """
    if processes.size > 1 and batch_size < 2 * processes.size:
        raise ArgumentError(
            f"batch_size is {batch_size}, too small for {processes.size} processes; use at least "
            f"{2 * processes.size}, or fewer processes"
        )


def _own_device(device: str) -> torch.device:
    chosen = choose_device(device)
    if chosen.type == "mps":
        raise ArgumentError("several processes cannot train one run on MPS; use device cpu, or one process")
    if chosen.type != "cuda":
        return chosen
    if ":" in device:
        raise ArgumentError(
            f"device {device!r} names one GPU, but under torchrun each process takes its own; use cuda, and choose "
            f"among them with CUDA_VISIBLE_DEVICES"
        )
    n_gpus, n_here = torch.cuda.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
    if n_here > n_gpus:
        raise ArgumentError(
            f"{n_here} processes cannot share {counted(n_gpus, 'GPU')}; use --nproc-per-node {n_gpus}"
        )
    return choose_device(f"cuda:{os.environ['LOCAL_RANK']}")


@contextlib.contextmanager
def _lost_connections() -> Iterator[None]:
    """Say in one line that another process has gone; what it died of, it has said itself."""
    try:
        yield
    except RuntimeError as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise RunError(
            f"the other processes of this run cannot be reached any more; see what they say, and run the same command "
            f"again to go on ({reason})"
        ) from error
