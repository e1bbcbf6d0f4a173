"""Modules by name: models of torchvision, and modules of a Python package."""

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from graphtask.errors import ArgumentError
from graphtask.named import import_named
from graphtask.validation import install_hint

_TORCHVISION = "torchvision"


def load_module(source: str, *, seed: int = 0) -> nn.Module:
    """Return the module with a name, on the CPU, with random parameters.

    Args:
        source: ``torchvision:resnet18``, any model of torchvision, built without pretrained weights, so that nothing
            is downloaded; or ``package.module:name``, where the name is that of a module, or of a class or function
            that returns one when called without arguments. Packages of the current folder are found after installed ones.
        seed: Random seed of the parameters; the global generator is not changed.

    Raises:
        ArgumentError: The name is unknown, or does not lead to a module.

    Example:
        >>> type(load_module("torchvision:resnet18")).__name__
        'ResNet'
    """
    place, separator, name = source.partition(":")
    if not (place and separator and name):
        raise ArgumentError(f"source must be torchvision:resnet18 or package.module:callable, got {source!r}")
    find = _torchvision_builder if place == _TORCHVISION else _attribute
    with _apart(seed):
        return _built(source, find(place, name))


@contextmanager
def _apart(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not torch.manual_seed: it would seed the accelerators too, whose generators are not forked.
        torch.default_generator.manual_seed(seed)
        yield


def _torchvision_builder(place: str, name: str) -> Callable[[], Any]:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # torchvision refuses a torch of another release
        raise ArgumentError(
            f"torchvision cannot be imported ({_said(error)}); {install_hint('vision')}"
        ) from error

    names = models.list_models()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "see torchvision.models.list_models()"
        raise ArgumentError(f"{place} has no model {name!r}; {hint}")
    builder = models.get_model_builder(name)
    # Detection and segmentation models load weights for their backbone by default.
    weights = [option for option in inspect.signature(builder).parameters if option.startswith("weights")]
    return lambda: builder(**dict.fromkeys(weights))


def _attribute(place: str, name: str) -> Any:
    package = import_named(place)
    if not hasattr(package, name):
        close = difflib.get_close_matches(name, dir(package), n=5, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise ArgumentError(f"{place} has no {name!r}{hint}")
    return getattr(package, name)


def _built(source: str, found: Any) -> nn.Module:
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ArgumentError(
            f"{source} is of type {type(found).__name__}, neither a module nor something to call"
        )
    try:
        module = found()
    except Exception as error:
        raise ArgumentError(f"{source}() fails: {_said(error)}") from error
    if not isinstance(module, nn.Module):
        raise ArgumentError(f"{source}() gives a {type(module).__name__}, not a torch.nn.Module")
    return module


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
