"""Device of a network, and number of CPU threads."""

import contextlib
import threading
from collections.abc import Iterator

import torch

from graphtask.errors import ArgumentError
from graphtask.validation import integer, invalid

DEVICES = ("auto", "cpu", "cuda", "mps")

_lock = threading.Lock()
_own = threading.local()


class _Shared:
    """Number of threads before the first of the calls that are running now, and how many calls there are."""

    original = 0
    n_calls = 0


def choose_device(device: str) -> torch.device:
    """Return the device of that name; ``auto`` is CUDA if it is available, else MPS, else the CPU.

    Raises:
        ArgumentError: The device is unknown or not available here.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    kind, _, index = str(device).partition(":")
    if kind not in available or (index and not index.isdecimal()):
        raise invalid("device", f"one of {', '.join(DEVICES)}, cuda:0, cuda:1 …", device)
    if not available[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        found = ", ".join(name for name, is_available in available.items() if is_available)
        raise ArgumentError(
            f"device {device!r} is not available here; use auto or one of: {found}", argument="device"
        )
    return torch.device(device)


@contextlib.contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Let PyTorch use this many CPU threads inside the block; None leaves the number as it is.

    PyTorch keeps the number per thread of Python, and takes the one set last for new threads. So when several threads
    are inside such a block, each of them leaves with the number before the first of them entered.

    Raises:
        ArgumentError: The number is below 1.
    """
    if threads is None:
        yield
        return
    threads = integer(threads, name="threads")
    nested = getattr(_own, "depth", 0)
    with _lock:
        if _Shared.n_calls == 0:
            _Shared.original = torch.get_num_threads()
        before = torch.get_num_threads() if nested else _Shared.original
        _Shared.n_calls += 1
        torch.set_num_threads(threads)
    _own.depth = nested + 1
    try:
        yield
    finally:
        _own.depth = nested
        with _lock:
            _Shared.n_calls -= 1
            torch.set_num_threads(before)
