"""Settings of a run: ``config.json``, the training configuration and facts about graph and data."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphtask.errors import RunError
from graphtask.runs.files import damaged, read_object
from graphtask.runs.history import is_gate_name
from graphtask.runs.layout import CONFIG
from graphtask.storage.atomic import write_atomically
from graphtask.validation import abbreviated

VERSION = 2
"""Version of the format; 1 had no sections."""

# Settings that make two runs the same run; the others (device, threads …) may change when a run is resumed.
_IDENTITY = {
    "model": None,  # all of the section
    "data": ("task", "validation", "crop_padding", "flip"),
    "optimization": None,
    "runtime": ("precision",),
}
_FACTS = {"graph_sha256": "graph", "data_fingerprint": "data set"}

_LARGEST = 1 << 31
_SHA256 = re.compile("[0-9a-f]{64}")

_Check = Callable[[Any], bool]


def _is_integer(least: int) -> _Check:
    return lambda value: type(value) is int and least <= value < _LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4096


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_integer(1), value))


def _is_section(value: Any) -> bool:
    """Return True for options by name; names and ranges are those of the training configuration, checked by it."""
    return isinstance(value, dict)


_SCHEMA: Mapping[str, tuple[str, _Check]] = {
    "version": (f"the integer {VERSION}", lambda value: value == VERSION),
    "model": ("a table of options", _is_section),
    "data": ("a table of options", _is_section),
    "optimization": ("a table of options", _is_section),
    "runtime": ("a table of options", _is_section),
    "graph_sha256": ("64 hexadecimal digits", _is_digest),
    "data_fingerprint": ("text", _is_text),
    "in_channels": ("an integer >= 1", _is_integer(1)),
    "n_classes": ("an integer >= 1", _is_integer(1)),
    "size": ("two integers >= 1", _is_size),
    "n_train": ("an integer >= 1", _is_integer(1)),
}

# The options that are read without the training configuration, which needs PyTorch.
_OPTIONS: Mapping[tuple[str, str], tuple[str, _Check]] = {
    ("model", "channels"): ("an integer >= 1", _is_integer(1)),
    ("model", "gate"): ("tanh, sigmoid, none or package.module:name", is_gate_name),
    ("data", "name"): ("a name", _is_text),
    ("data", "source"): ("a name or path, or null", lambda value: value is None or _is_text(value)),
    ("data", "root"): ("a path or null", lambda value: value is None or _is_text(value)),
    ("data", "transforms"): (
        "a list of names",
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
    ),
    ("data", "seed"): ("an integer >= 0", lambda value: type(value) is int and value >= 0),
    ("optimization", "seed"): ("an integer >= 0", lambda value: type(value) is int and value >= 0),
    ("optimization", "epochs"): ("an integer >= 1", _is_integer(1)),
}


def read_config(folder: Path) -> dict[str, Any]:
    """Read the settings of the run in ``folder``; every key is present, with the right type and range.

    Raises:
        RunError: The folder holds no run, a damaged one, or one of another version of graphtask.
    """
    if not (folder / CONFIG).exists():
        raise RunError(f"{folder}: no {CONFIG} here, so this is not a run folder; make one with train")
    config = read_object(folder, CONFIG)
    version = config.get("version", 1)
    if type(version) is int and version != VERSION:
        raise RunError(
            f"{folder / CONFIG}: has format {abbreviated(version)}, this version of graphtask reads {VERSION}; use the "
            f"version of graphtask that trained the run"
        )
    for key, (requirement, holds) in _SCHEMA.items():
        if key not in config:
            raise damaged(folder, CONFIG, f"{key} is missing")
        _check(folder, key, config[key], requirement, holds)
    for (section, name), (requirement, holds) in _OPTIONS.items():
        if name not in config[section]:
            raise damaged(folder, CONFIG, f"{section}.{name} is missing")
        _check(folder, f"{section}.{name}", config[section][name], requirement, holds)
    for key in config:
        if key not in _SCHEMA:
            raise other_version(folder, key)
    return config


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the settings of a run."""
    with write_atomically(folder / CONFIG) as file:
        file.write((json.dumps(config, indent=2) + "\n").encode())


def other_version(folder: Path, reason: str) -> RunError:
    """Return the error for a config with options that this version of graphtask does not have."""
    return RunError(
        f"{folder / CONFIG}: damaged, or written by another version of graphtask ({reason}); use the version that trained "
        f"the run"
    )


def check_same_run(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise if the run in ``folder`` is not the one that ``config``, or the part of a config, describes.

    Raises:
        RunError: It is another run; the message names the difference.
    """
    stored = read_config(folder)
    for key, kind in _FACTS.items():
        if key in config and stored[key] != config[key]:
            raise RunError(f"{folder}: holds a run of another {kind}; choose another folder")
    for name, (before, now) in _differences(stored, config).items():
        raise RunError(
            f"{folder}: holds a run with {name} {abbreviated(before)}, got {abbreviated(now)}; choose another folder, or "
            f"repeat that run's options to resume it"
        )


def is_extension(folder: Path, config: Mapping[str, Any]) -> bool:
    """Return True if ``config``, or the part of a config, describes the run in ``folder`` with more epochs.

    Raises:
        RunError: The folder holds no run, or a damaged one.
    """
    stored = read_config(folder)
    differences = _differences(stored, config)
    return (
        all(stored[key] == config[key] for key in _FACTS if key in config)
        and list(differences) == ["epochs"]
        and differences["epochs"][0] < differences["epochs"][1]
    )


def _differences(stored: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, as stored and as in ``config``, which may lack sections."""
    found = {}
    for section, names in _IDENTITY.items():
        before, now = stored[section], config.get(section, stored[section])
        for name in names or sorted({*before, *now}):
            if before.get(name) != now.get(name):
                found[name] = (before.get(name), now.get(name))
    return found


def _check(folder: Path, key: str, value: Any, requirement: str, holds: _Check) -> None:
    if not holds(value):
        raise damaged(folder, CONFIG, f"{key} must be {requirement}, got {abbreviated(value)}")
