"""Machines and package versions that trained a run, once for each start: ``provenance.json``."""

import json
import warnings
from pathlib import Path
from typing import Any

from graphtask.runs.layout import PROVENANCE
from graphtask.storage.atomic import write_atomically

_COMPARED = ("device", "threads", "execution", "processes")


def read_environments(folder: Path) -> list[dict[str, Any]]:
    """Read the environments of a run, one for each start or resumption; empty if the file is missing or damaged."""
    try:
        stored = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["environments"]
        return [{"processes": 1} | environment for environment in stored]  # earlier versions had one process
    except (OSError, ValueError, LookupError, TypeError):
        return []  # the first start, or a damaged record: nothing depends on it


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
