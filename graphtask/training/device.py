"""Where a network runs, and on how many threads."""

import contextlib
from collections.abc import Iterator

import torch

from graphtask.errors import ArgumentError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(device: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA if there is one, else MPS, else the CPU.

    Raises:
        ArgumentError: There is no such device here.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    kind, _, index = device.partition(":")
    if kind not in available or (index and not index.isdecimal()):
        raise ArgumentError(
            f"device {device!r} is unknown; use one of {', '.join(DEVICES)}, cuda:0, cuda:1 …"
        )
    if not available[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        there = ", ".join(name for name, there in available.items() if there)
        raise ArgumentError(f"device {device!r} is not available here; use auto or one of: {there}")
    return torch.device(device)


@contextlib.contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Let PyTorch use that many CPU threads inside the block; None leaves the number as it is.

    Raises:
        ArgumentError: The number is below 1.
    """
    before = torch.get_num_threads()
    if threads is not None:
        if threads < 1:
            raise ArgumentError(f"threads is {threads}; use at least 1")
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
