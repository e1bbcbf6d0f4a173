"""Machines and package versions that trained a run, once for each start: ``provenance.json``."""

import json
import warnings
from pathlib import Path
from typing import Any

from graphtask.errors import RunError
from graphtask.runs.files import damaged, read_object
from graphtask.runs.layout import PROVENANCE
from graphtask.storage.atomic import write_atomically

_COMPARED = ("device", "threads", "execution", "processes")


def read_environments(folder: Path) -> list[dict[str, Any]]:
    """Read the environments of a run, one for each start or resumption; empty if the file is missing or damaged.

    Each has at least ``device``, ``threads``, ``execution`` and ``processes``.
    """
    try:
        return _read(folder)
    except RunError:
        return []  # the first start, or a damaged record: no result depends on it


def record_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Append the present environment, and warn if the last digits of the result may differ because of it."""
    before = read_environments(folder)
    changed = [key for key in _COMPARED if before and before[-1].get(key) != environment[key]]
    for key in changed:
        warnings.warn(
            f"{folder}: resumed with {key} {environment[key]} instead of {before[-1].get(key)}; the last digits may differ "
            f"from an undisturbed run's",
            RuntimeWarning,
            stacklevel=2,
        )
    with write_atomically(folder / PROVENANCE) as file:
        file.write((json.dumps({"environments": [*before, environment]}, indent=2) + "\n").encode())


def _read(folder: Path) -> list[dict[str, Any]]:
    stored = read_object(folder, PROVENANCE).get("environments")
    if not isinstance(stored, list):
        raise damaged(folder, PROVENANCE, "no list of environments")
    found = [{"processes": 1} | entry for entry in stored if isinstance(entry, dict)]  # version 0.0 had one
    if len(found) < len(stored) or not all(map(_is_environment, found)):
        raise damaged(folder, PROVENANCE, "an environment is incomplete")
    return found


def _is_environment(entry: dict[str, Any]) -> bool:
    return all(isinstance(entry.get(key), str) for key in ("device", "execution")) and all(
        type(entry.get(key)) is int and 0 < entry[key] < 1 << 31 for key in ("threads", "processes")
    )
