"""Classes and functions by name: ``AdamW`` of a given module, or ``package.module:name`` of any."""

import importlib
import inspect
from types import ModuleType
from typing import Any

from graphtask.errors import ArgumentError
from graphtask.validation import invalid, suggestion


def load_named(value: str, *, home: ModuleType | None = None, name: str, base: type | None = None) -> Any:
    """Return the object with this name.

    Importing a module runs its code: pass only names that the user has typed, never names read from a run folder or a
    graph.

    Args:
        value: Name of a class of ``home``, or ``package.module:name``.
        home: Module of the plain names; None allows none.
        name: Name of the option, for messages.
        base: Base class of the classes of ``home`` that count.

    Raises:
        ArgumentError: There is no such object.

    Example:
        >>> import torch
        >>> load_named("AdamW", home=torch.optim, name="optimizer") is torch.optim.AdamW
        True
        >>> load_named("torch.nn:GELU", name="block") is torch.nn.GELU
        True
    """
    module, colon, attribute = value.partition(":")
    if not colon:
        return _of_home(value, home=home, name=name, base=base)
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"{name} {value!r} cannot be imported: {error}", argument=name) from error
    return found


def name_of(value: Any, *, name: str) -> str:
    """Return ``package.module:name`` of a class or function that `load_named` finds again.

    Raises:
        ArgumentError: It is local, interactive, or has no name.
    """
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not callable(value) or module is None or qualified is None or "<" in qualified:
        raise invalid(name, "a class or function of a module, or package.module:name", value)
    return f"{module}:{qualified}"


def _of_home(value: str, *, home: ModuleType | None, name: str, base: type | None) -> Any:
    known = (
        [
            key
            for key, entry in vars(home).items()
            if inspect.isclass(entry)
            and not key.startswith("_")
            and (base is None or issubclass(entry, base))
        ]
        if home is not None
        else []
    )
    if value not in known:
        raise ArgumentError(
            f"unknown {name} {value!r}; {suggestion(value, known) if known else 'write package.module:name'}",
            argument=name,
        )
    return getattr(home, value)
