"""Results that a study computed from a finished run, one row for each threshold: ``outcome.json``.

Rows are used only if they are intact, of the same trained graph, and of the same version of graphtask.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graphtask.errors import GraphtaskError
from graphtask.runs.files import read_object
from graphtask.runs.layout import OUTCOME, TRAINED
from graphtask.runs.manifest import check_files, read_manifest
from graphtask.storage.atomic import write_atomically
from graphtask.types import DISTRIBUTION

Row = dict[str, Any]


def read_outcome(folder: Path) -> dict[float, Row]:
    """Read the rows of a run by threshold; empty if there are none, or if they are damaged or out of date."""
    try:
        content = read_object(folder, OUTCOME)
        rows = content.pop("rows", None)
        if not _are_rows(rows) or content != _header(folder, rows):
            return {}
        check_files(folder, (TRAINED,))
    except GraphtaskError:
        return {}  # the rows only save time
    return {float(key): row for key, row in rows.items()}


def write_outcome(folder: Path, rows: dict[float, Row]) -> None:
    """Write the rows of a run, whose lock this process holds.

    Raises:
        GraphtaskError: The run has no manifest, or the file cannot be written.
    """
    texts = {repr(threshold): row for threshold, row in rows.items()}
    content = {**_header(folder, texts), "rows": texts}
    with write_atomically(folder / OUTCOME) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def _header(folder: Path, rows: dict[str, Row]) -> dict[str, str]:
    return {
        "graphtask": version(DISTRIBUTION),
        "trained_sha256": read_manifest(folder)[TRAINED].sha256,
        "sha256": hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
    }


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, dict) and all(_is_number(key) and _is_row(row) for key, row in rows.items())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(value, str | int | float) for value in row.values())
