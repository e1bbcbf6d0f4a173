"""Code by name: modules that a user names, and classes such as ``AdamW`` or ``package.module:name``.

Importing a module runs its code. This is the only place of the library that imports a module by a variable name; its
callers pass names that the user has typed, never names that were read from a graph, a run folder or ``study.json``.
"""

import contextlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.validation import invalid, suggestion

_LOCAL_SETTINGS = MappingProxyType({"matplotlibrc": "matplotlib", ".numba_config.yaml": "numba"})

_CODE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def is_code_name(text: str) -> bool:
    """Return True for ``package.module:name``, where a path or another name may stand, too.

    Example:
        >>> is_code_name("mypackage.data:scans"), is_code_name("./scans:1.npz"), is_code_name("cmnist")
        (True, False, False)
    """
    return _CODE.fullmatch(text) is not None


def called(function: Any, value: str, /, *arguments: Any, name: str, **keywords: Any) -> Any:
    """Return the result of a function of the user, whose errors become one line.

    Args:
        function: The function.
        value: Its name, for messages.
        arguments: Its positional arguments.
        name: Name of the option, for messages.
        keywords: Its keyword arguments.

    Raises:
        ArgumentError: The function raises an error other than those of graphtask.
    """
    try:
        return function(*arguments, **keywords)
    except GraphtaskError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ArgumentError(f"{name} {value!r} failed ({type(error).__name__}: {reason})") from error


def import_named(module: str) -> ModuleType:
    """Import an installed module, or one in the current folder.

    The current folder stays at the end of ``sys.path``, so that a file such as ``json.py`` in it replaces no library.

    Args:
        module: Name of the module, such as ``package.module``.

    Raises:
        ArgumentError: The module is missing, or raises an error.

    Example:
        >>> import_named("torch.nn").__name__
        'torch.nn'
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - a text, as the others in sys.path
        if here not in sys.path:
            sys.path.append(here)
        return importlib.import_module(module)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ArgumentError(
            f"module {module!r} cannot be imported ({type(error).__name__}: {reason})"
        ) from error


def ignore_local_settings() -> None:
    """Import libraries that read settings from the current folder in another one, if it holds such settings.

    matplotlib reads ``matplotlibrc``, which can name a program to run, and numba ``.numba_config.yaml``.
    """
    for file, library in _LOCAL_SETTINGS.items():
        if os.path.lexists(file) and importlib.util.find_spec(library):
            with contextlib.chdir(Path(__file__).parent):
                importlib.import_module(library)


def load_named(
    value: str, *, home: ModuleType | Mapping[str, Any] | None = None, name: str, base: type | None = None
) -> Any:
    """Return the object with this name.

    Args:
        value: Name in ``home``, or ``package.module:name``.
        home: Module whose classes have plain names, or a table of them; None allows none.
        name: Name of the option, for messages.
        base: Base class of the classes of a module that count.

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
        found: Any = import_named(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ArgumentError, AttributeError) as error:
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


def _of_home(value: str, *, home: ModuleType | Mapping[str, Any] | None, name: str, base: type | None) -> Any:
    known = dict(home) if isinstance(home, Mapping) else _classes(home, base=base)
    if value not in known:
        raise ArgumentError(
            f"unknown {name} {value!r}; {suggestion(value, known) if known else 'write package.module:name'}",
            argument=name,
        )
    return known[value]


def _classes(home: ModuleType | None, *, base: type | None) -> dict[str, Any]:
    return {
        key: entry
        for key, entry in (vars(home) if home is not None else {}).items()
        if inspect.isclass(entry) and not key.startswith("_") and (base is None or issubclass(entry, base))
    }
