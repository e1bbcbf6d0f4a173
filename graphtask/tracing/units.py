"""Grouping of operations of a network into vertices of its graph."""

import difflib
from collections import Counter
from collections.abc import Collection
from itertools import groupby
from typing import NamedTuple

from torch import nn

from graphtask.errors import ArgumentError
from graphtask.tracing.capture import Call, Operation

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Unit(NamedTuple):
    """Consecutive operations that make one vertex."""

    name: str
    """The path of the module, or of the one around a function with the name of the function; not always unique."""
    kind: str
    """The class of the module, or the name of the function."""
    operations: range


def leaf_units(operations: list[Operation], *, start: int) -> list[Unit]:
    """Return a unit for every call of a leaf module (one that calls no other module) and every other operation."""
    return _units(operations, start=start, chosen={})


def block_units(
    operations: list[Operation], *, start: int, module: nn.Module, blocks: Collection[str] | None
) -> list[Unit]:
    """Return a unit for every outermost call of a block, and those of `leaf_units` outside of blocks.

    Args:
        operations: The operations of one call of ``module``.
        start: The first of them that counts; those before are the tensors of the example.
        module: The module that was called.
        blocks: Names of the classes that are blocks. By default, all classes that are called at least twice, call
            other modules, and are not just containers (Sequential, ModuleList, ModuleDict).

    Raises:
        ArgumentError: No module of a class in ``blocks`` is called.
    """
    calls = {call.key: call for operation in operations for call in operation.calls}
    kinds = Counter(call.kind for call in calls.values())
    if blocks is None:
        inner = _callers(operations)
        chosen = {
            key: call
            for key, call in calls.items()
            if key in inner and kinds[call.kind] > 1 and not _is_container(module, call)
        }
    else:
        _check_known(blocks, kinds)
        chosen = {key: call for key, call in calls.items() if call.kind in blocks}
    return _units(operations, start=start, chosen=chosen)


def _check_known(blocks: Collection[str], kinds: Counter[str]) -> None:
    for name in blocks:
        if name not in kinds:
            close = difflib.get_close_matches(str(name), kinds, n=3)
            hint = (
                f"did you mean {', '.join(close)}?"
                if close
                else f"the classes are {', '.join(sorted(kinds))}"
            )
            raise ArgumentError(f"no module of class {name!r} is called; {hint}")


def _is_container(module: nn.Module, call: Call) -> bool:
    return isinstance(module.get_submodule(call.path), _CONTAINERS)


def _callers(operations: list[Operation]) -> set[str]:
    """Return the calls in which another module is called."""
    return {call.key for operation in operations for call in operation.calls[:-1]}


def _units(operations: list[Operation], *, start: int, chosen: dict[str, Call]) -> list[Unit]:
    callers = _callers(operations)

    def owner(position: int) -> Call | int:
        """Return the call whose unit the operation is part of, or the operation itself."""
        calls = operations[position].calls
        block = next((call for call in calls if call.key in chosen), None)
        if block is not None or not calls:
            return position if block is None else block
        return position if calls[-1].key in callers else calls[-1]

    units = []
    for own, positions in groupby(range(start, len(operations)), key=owner):
        members = list(positions)
        if isinstance(own, Call):
            name, kind = own.path, own.kind
        else:
            kind = operations[own].name
            name = ".".join([call.path for call in operations[own].calls[-1:]] + [kind])
        units.append(Unit(name, kind, range(members[0], members[-1] + 1)))
    return units
