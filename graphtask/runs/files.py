"""Reading of one file of a run folder: regular files only, bounded sizes, one wording for errors."""

from pathlib import Path
from typing import Any

from graphtask.errors import RunError
from graphtask.runs import layout
from graphtask.storage.bounded_json import parse_json
from graphtask.storage.regular import read_regular

_MIB = 1 << 20
_LIMITS = {
    layout.CONFIG: _MIB,
    layout.PROVENANCE: 16 * _MIB,
    layout.METRICS: 64 * _MIB,
    layout.DIVERGED: _MIB,
    layout.MANIFEST: _MIB,
    layout.OUTCOME: 64 * _MIB,
}
_LARGEST = 1 << 40  # of arrays and parameters: their size is that of the network

REMEDY = "restore the file from a copy, or train again in another folder"


def read_file(folder: Path, name: str) -> bytes:
    """Return the content of a file of a run folder.

    Raises:
        RunError: The file is missing, not a regular file, or too large.
    """
    try:
        return read_regular(folder / name, limit=_LIMITS.get(name, _LARGEST))
    except OSError as error:
        raise RunError(f"{folder / name}: cannot be read ({error.strerror}); {REMEDY}") from error


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a file of a run folder.

    Raises:
        RunError: The file is missing, or is not a JSON object.
    """
    content = read_file(folder, name)
    try:
        value = parse_json(content)
    except ValueError as error:
        raise damaged(folder, name, str(error)) from error
    if not isinstance(value, dict):
        raise damaged(folder, name, "not a JSON object")
    return value


def damaged(folder: Path, name: str, reason: str) -> RunError:
    """Return the error for a damaged file of a run folder."""
    return RunError(f"{folder / name}: damaged ({' '.join(reason.split())}); {REMEDY}")
