"""Settings of a run: ``config.json``."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphtask.errors import RunError
from graphtask.runs.files import damaged, read_object
from graphtask.runs.layout import CONFIG
from graphtask.storage.atomic import write_atomically
from graphtask.validation import abbreviated

# What makes two runs the same run; the rest of the config (device, threads …) may change when a run is resumed.
_IDENTITY = ("graph_sha256", "data_fingerprint", "channels", "gate", "seed", "precision", "regime")

_LARGEST = 1 << 31
_SHA256 = re.compile("[0-9a-f]{64}")

Check = Callable[[Any], bool]


def _is_integer(least: int) -> Check:
    return lambda value: type(value) is int and least <= value < _LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4096 and value.isprintable()


def _is_optional_text(value: Any) -> bool:
    return value is None or _is_text(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_integer(1), value))


def _is_options(value: Any) -> bool:
    """Return True for options by name; their names and ranges are checked where they are used."""
    return isinstance(value, dict) and all(map(_is_option, value.values()))


def _is_option(value: Any) -> bool:
    if isinstance(value, list):
        return all(item is None or isinstance(item, str | int | float) for item in value)
    return value is None or isinstance(value, str | int | float) or _is_options(value)


_DATA: Mapping[str, tuple[str, Check]] = {
    "name": ("a name", _is_text),
    "source": ("a name or path, or null", _is_optional_text),
    "root": ("a path or null", _is_optional_text),
    "transforms": ("a list of names", _is_texts),
    "seed": ("an integer >= 0", _is_integer(0)),
}

_SCHEMA: Mapping[str, tuple[str, Check]] = {
    "graph_sha256": (
        "64 hexadecimal digits",
        lambda value: isinstance(value, str) and bool(_SHA256.fullmatch(value)),
    ),
    "data": ("an object", lambda value: isinstance(value, dict)),
    "data_fingerprint": ("text", _is_text),
    "channels": ("an integer >= 1", _is_integer(1)),
    "in_channels": ("an integer >= 1", _is_integer(1)),
    "n_classes": ("an integer >= 1", _is_integer(1)),
    "size": ("two integers >= 1", _is_size),
    "gate": ("tanh, sigmoid or none", lambda value: value in ("tanh", "sigmoid", "none")),
    "seed": ("an integer >= 0", _is_integer(0)),
    "precision": ("fp32 or bf16", lambda value: value in ("fp32", "bf16")),
    "regime": ("options by name", _is_options),
    "device": ("a device", _is_text),
    "execution": ("auto, fast or plain", lambda value: value in ("auto", "fast", "plain")),
}


def read_config(folder: Path) -> dict[str, Any]:
    """Read the settings of the run in ``folder``; every key is present, with the right type and range.

    Raises:
        RunError: The folder holds no run, a damaged one, or one of another version of graphtask.
    """
    if not (folder / CONFIG).exists():
        raise RunError(f"{folder}: no {CONFIG} here, so this is not a run folder; make one with train")
    config = read_object(folder, CONFIG)
    _check(folder, config, _SCHEMA)
    _check(folder, config["data"], _DATA, prefix="data.")
    return config


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the settings of a new run."""
    with write_atomically(folder / CONFIG) as file:
        file.write((json.dumps(config, indent=2) + "\n").encode())


def check_same_run(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise if the run in ``folder`` is not the one that ``config``, or the part of a config, describes.

    Raises:
        RunError: It is another run; the message names the difference.
    """
    stored = read_config(folder)
    for key in _IDENTITY:
        if key not in config or stored[key] == config[key]:
            continue
        before, now = stored[key], config[key]
        if key in {"graph_sha256", "data_fingerprint"}:
            kind = "graph" if key == "graph_sha256" else "data set"
            raise RunError(f"{folder}: holds a run of another {kind}; choose another folder")
        if key == "regime":
            key = next(name for name in {**now, **before} if before.get(name) != now.get(name))  # noqa: PLW2901
            if key not in now:
                raise newer(folder, key)
            before, now = before.get(key), now[key]
        raise RunError(
            f"{folder}: holds a run with {key} {abbreviated(before)}, not {abbreviated(now)}; choose another folder, "
            f"or repeat that run's options to resume it"
        )


def newer(folder: Path, key: str) -> RunError:
    """Return the error for a config with an option that this version does not have."""
    return RunError(
        f"{folder / CONFIG}: unknown option {abbreviated(key)}, so another version of graphtask wrote it; use that version"
    )


def _check(
    folder: Path, values: Mapping[str, Any], schema: Mapping[str, tuple[str, Check]], *, prefix: str = ""
) -> None:
    for key, (requirement, holds) in schema.items():
        if key not in values:
            raise damaged(folder, CONFIG, f"{prefix}{key} is missing")
        if not holds(values[key]):
            raise damaged(
                folder, CONFIG, f"{prefix}{key} must be {requirement}, got {abbreviated(values[key])}"
            )
    for key in values:
        if key not in schema:
            raise newer(folder, f"{prefix}{key}")
