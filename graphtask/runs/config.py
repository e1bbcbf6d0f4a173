"""Settings of a run: ``config.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphtask.errors import RunError
from graphtask.runs.layout import CONFIG
from graphtask.storage.atomic import write_atomically

# Settings that make two runs the same run; the others (device, threads …) may change when a run is resumed.
_IDENTITY = {
    "model": None,  # all of the section
    "data": ("validation", "crop_padding", "flip"),
    "optimization": None,
    "runtime": ("precision",),
}
_FACTS = {"graph_sha256": "graph", "data_fingerprint": "data set"}


def read_config(folder: Path) -> dict[str, Any]:
    """Read the settings of the run in ``folder``.

    Raises:
        RunError: The folder holds no run, or a damaged one.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"{folder}: no {CONFIG} here, so this is not a run folder; make one with train"
        ) from error
    except OSError as error:
        raise RunError(f"{folder / CONFIG}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RunError(
            f"{folder / CONFIG}: is damaged ({error}); delete the folder and train again"
        ) from error
    if not isinstance(config, dict) or not all(key in config for key in (*_IDENTITY, *_FACTS)):
        raise RunError(f"{folder / CONFIG}: is not the config of a run; delete the folder and train again")
    return config


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the settings of a new run."""
    with write_atomically(folder / CONFIG) as file:
        file.write((json.dumps(config, indent=2) + "\n").encode())


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
            f"{folder}: holds a run with {name} {before}, got {now}; choose another folder, or repeat that run's options "
            f"to resume it"
        )


def is_extension(folder: Path, config: Mapping[str, Any]) -> bool:
    """Return True if ``config`` describes the run in ``folder`` with more epochs.

    Raises:
        RunError: The folder holds no run, or a damaged one.
    """
    stored = read_config(folder)
    differences = _differences(stored, config)
    return (
        all(stored[key] == config.get(key) for key in _FACTS)
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
