"""Random draws of one call: a generator of its own, whatever other threads and the caller's generator do."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Let every random operation on the CPU inside the block draw from one generator with this seed.

    The global generator is neither read nor changed, and other threads are not affected: a dispatch mode belongs to
    its thread. The draws are those of ``torch.manual_seed(seed)`` followed by the same operations.

    Args:
        seed: Seed of the generator, >= 0.

    Example:
        >>> with seeded(3):
        ...     found = torch.empty(2).uniform_(), torch.randn(2)
        >>> generator = torch.Generator().manual_seed(3)
        >>> torch.equal(found[0], torch.empty(2).uniform_(generator=generator))
        True
        >>> torch.equal(found[1], torch.randn(2, generator=generator))
        True
    """
    generator = torch.Generator().manual_seed(seed % 2**64)
    with torch.device("cpu"), _DrawFrom(generator):
        yield generator


class _DrawFrom(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Pass a generator to every random operation on the CPU that was called without one."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = generator

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and _is_on_cpu(args, options):
            drawing = _with_generator(func)
            if drawing is not None and options.get("generator") is None:
                return drawing(*args, **options, generator=self._generator)
        return func(*args, **options)


def _with_generator(func: Any) -> Callable[..., Any] | None:
    """Return the operation, or its overload, that takes a generator; None if there is none."""
    packet = func.overloadpacket
    for overload in (func, *(getattr(packet, name) for name in packet.overloads() if "generator" in name)):
        names = [argument.name for argument in overload._schema.arguments]  # noqa: SLF001 - torch has no other way
        if "generator" in names and _same_arguments(func, names):
            return overload  # type: ignore[no-any-return]
    return None


def _same_arguments(func: Any, names: list[str]) -> bool:
    return {argument.name for argument in func._schema.arguments} <= set(names)  # noqa: SLF001


def _is_on_cpu(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    tensors = [value for value in args if isinstance(value, Tensor)]
    if tensors:
        return all(tensor.device.type == "cpu" for tensor in tensors)
    return torch.device(options.get("device") or "cpu").type == "cpu"
