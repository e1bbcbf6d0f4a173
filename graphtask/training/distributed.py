"""One run on several processes, started by ``torchrun``: each computes its slice of every batch.

All processes hold the same network, optimizer and data. A step differs from that of one process in three places, all
exact up to rounding. Batch normalization takes its statistics over the whole batch
(`graphtask.compiler.sync_batch_norm`), the loss of a slice is weighted by its share of the images, and gradients are
summed. So a run depends on the number of processes only in the last digits.
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
from graphtask.validation import counted, invalid

Value = TypeVar("Value")

_PATIENCE = dt.timedelta(hours=2)  # one process may download a data set while the others wait
_CPU = torch.device("cpu")


class Part(NamedTuple):
    """Share of one process in a batch."""

    images: slice
    """Images of the batch that it computes."""
    share: float
    """Factor on its loss, so that the gradients of all processes add up to that of the batch."""
    counts: bool
    """True if its loss and hits count; False if another process has the same images."""


class Processes:
    """Processes that train one run together; made by `join`.

    Args:
        rank: Number of this process, from 0; number 0 leads: it writes, reports, and decides.
        size: Number of processes; with 1, every method here does next to nothing.
        local_rank: Number of this process among those of its machine.

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
        """True for the process that writes, reports, and decides."""
        return self.rank == 0

    @contextlib.contextmanager
    def part(self, n_images: int) -> Iterator[Part]:
        """Yield the share of this process in a batch; statistics are shared inside the block.

        A batch with fewer than two images per process is computed whole by each of them: batch normalization of a
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
        """Return the slice of n items for this process; sizes differ by one at most."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def turns(self, values: Iterable[Value]) -> Iterator[Value]:
        """Yield every ``size``-th value, from number ``rank``."""
        return itertools.islice(values, self.rank, None, self.size)

    def gather(self, own: Tensor) -> Tensor:
        """Return the tensors of all processes, stacked, while a batch is shared; else that of this process alone."""
        if not self._split:
            return own[None]
        everything = own.new_empty((self.size, *own.shape))
        with _lost_connections():
            dist.all_gather(list(everything.unbind()), own.contiguous())
        return everything

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, bit for bit the same on all of them."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _lost_connections():
            dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])  # type: ignore[no-untyped-call]
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def anywhere(self, flag: bool) -> bool:
        """Return True if the flag is set in any process; they wait for each other here."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)], device="cpu")
        with _lost_connections():
            dist.all_reduce(flags)
        return bool(flags.item())

    def same(self, make: Callable[[], Value]) -> Value:
        """Return the result of the leader in all processes; a graphtask error of the leader is raised in all."""
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
        """Return the result of each process for itself: first one process of each machine, then the others."""
        first = [make()] if self.local_rank == 0 else []
        self.anywhere(False)
        return first[0] if first else make()


def join(device: str) -> tuple[Processes, torch.device]:
    """Join the other processes of this run, and choose the device of this one.

    There are others if ``torchrun`` started this process, or if the caller has made a process group. Each process of a
    machine takes its own GPU.

    Args:
        device: As in `graphtask.train`.

    Raises:
        ArgumentError: The device is not available here, or the processes cannot share it.
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
        ArgumentError: They have fewer than two images per process.
    """
    if processes.size > 1 and batch_size < 2 * processes.size:
        raise invalid(
            "batch_size",
            f"an integer >= {2 * processes.size} for {processes.size} processes",
            batch_size,
            remedy="or use fewer processes",
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
    """Turn a lost connection into an error of one line; the process that ended has reported its own reason."""
    try:
        yield
    except RuntimeError as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise RunError(
            f"the connection to the other processes of this run is lost; see their messages, and run the same command "
            f"again to resume ({reason})"
        ) from error
