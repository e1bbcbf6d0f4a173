"""Manifest of a finished run: sizes and SHA-256 sums of its files, ``manifest.json``.

The manifest is the last file of a run: where it is, the run is finished. It protects against damage (flipped bits,
files cut short, files of another run), not against a forged manifest.

A sum that was right is remembered in this process, by identity, size and times of the file, so that opening a run
again reads no file twice for its sum.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graphtask.errors import RunError
from graphtask.runs.files import damaged, read_file, read_object
from graphtask.runs.layout import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    INITIAL,
    MANIFEST,
    METRICS,
    PROVENANCE,
    TRAINED,
    WEIGHTS,
)
from graphtask.storage.atomic import write_atomically
from graphtask.storage.regular import open_regular

LISTED = (CONFIG, PROVENANCE, INITIAL, METRICS, HISTORY, TRAINED, WEIGHTS)
"""Files of a finished run that the manifest lists."""

_FORMAT = 1
_SETTLED = 2.0  # seconds; a file younger than the clock of the file system is fine may change without a trace
_HEXADECIMAL = frozenset("0123456789abcdef")


class Sum(NamedTuple):
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str


_verified: dict[str, tuple[tuple[int, ...], str]] = {}
"""Sum of each file that was read, with the file's identity at that time."""


def write_manifest(folder: Path) -> None:
    """Write the sums of all files of a run whose other files are complete.

    Raises:
        RunError: A file is missing.
        GraphtaskError: The manifest cannot be written.
    """
    files = {name: _sum_of(folder, name)._asdict() for name in LISTED}
    with write_atomically(folder / MANIFEST) as file:
        file.write(_text(files))


def read_manifest(folder: Path) -> dict[str, Sum]:
    """Read the sums of the files of a finished run.

    Raises:
        RunError: The manifest is missing or damaged, or another version of graphtask wrote it.
    """
    content = read_object(folder, MANIFEST)
    if type(content.get("format")) is int and content["format"] > _FORMAT:
        raise RunError(
            f"{folder / MANIFEST}: has format {content['format']}, so a newer version of graphtask wrote it; use that version"
        )
    files: Any = content.get("files")
    # The text must be exactly the one that is written: a flipped bit in it is not taken for one elsewhere.
    if not _are_sums(files) or read_file(folder, MANIFEST) != _text(files):
        raise RunError(
            f"{folder / MANIFEST}: damaged (its own sum differs); delete it and repeat the train command, "
            f"or accept the files as they are with graphtask check --write"
        )
    return {name: Sum(**entry) for name, entry in files.items()}


def find_damage(folder: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """Return the files of a finished run that differ from its manifest, with the reason; empty if all are intact.

    Args:
        folder: The run folder.
        names: Files to compare; None compares all.

    Raises:
        RunError: The manifest is missing or damaged.
    """
    sums = read_manifest(folder)
    found = {}
    for name in sums if names is None else names:
        reason = _difference(folder, name, sums[name])
        if reason:
            found[name] = reason
    return found


def check_files(folder: Path, names: Iterable[str] | None = None) -> None:
    """Raise if files of a finished run differ from its manifest; arguments as in `find_damage`.

    Raises:
        RunError: They differ; the message names the first one, the files that are intact, and a remedy.
    """
    if find_damage(folder, names):
        raise RunError(describe_damage(folder, find_damage(folder)))


def check_sizes(folder: Path) -> None:
    """Raise if a file of a finished run is missing or has another size than in its manifest; nothing else is read.

    Raises:
        RunError: There is such a file, or the manifest is damaged.
    """
    for name, expected in read_manifest(folder).items():
        try:
            n_bytes = (folder / name).stat().st_size
        except OSError:
            n_bytes = -1
        if n_bytes != expected.size:
            check_files(folder)


def describe_damage(folder: Path, found: Mapping[str, str]) -> str:
    """Return the message for damaged files, as `find_damage` returns them: what is intact, and the remedy."""
    intact = [name for name in LISTED if name not in found]
    first, *others = found
    more = f" and {', '.join(others)}" if others else ""
    return (
        f"{folder / first}: damaged ({found[first]}){more}; intact: {', '.join(intact) or 'none'}; "
        f"{_remedy(folder, found)}"
    )


def _remedy(folder: Path, found: Mapping[str, str]) -> str:
    if CONFIG in found or INITIAL in found or not (folder / CHECKPOINT).is_file():
        return "restore it from a copy, or train again in another folder"
    return f"restore it from a copy, or delete {MANIFEST} and repeat the train command, which restores it from {CHECKPOINT}"


def _difference(folder: Path, name: str, expected: Sum) -> str:
    try:
        found = _sum_of(folder, name)
    except RunError:
        return "it cannot be read" if os.path.lexists(folder / name) else "it is missing"
    if found.size != expected.size:
        return f"{found.size:,} bytes instead of {expected.size:,}"
    return "" if found == expected else f"its SHA-256 differs from {MANIFEST}"


def _sum_of(folder: Path, name: str) -> Sum:
    path = folder / name
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno())
            identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            key = os.path.realpath(path)
            known = _verified.get(key)
            if known is not None and known[0] == identity:
                return Sum(found.st_size, known[1])
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it has readinto
    except OSError as error:
        raise damaged(folder, name, f"cannot be read: {error.strerror}") from error
    if abs(time.time() - max(found.st_mtime, found.st_ctime)) > _SETTLED:
        _verified[key] = identity, digest
    return Sum(found.st_size, digest)


def _text(files: Mapping[str, Any]) -> bytes:
    body = {"format": _FORMAT, "files": dict(files)}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, "sha256": digest}, indent=2) + "\n").encode()


def _are_sums(files: Any) -> bool:
    if not isinstance(files, dict) or set(files) != set(LISTED):
        return False
    return all(
        isinstance(entry, dict)
        and set(entry) == {"size", "sha256"}
        and type(entry["size"]) is int
        and isinstance(entry["sha256"], str)
        and len(entry["sha256"]) == 64
        and set(entry["sha256"]) <= _HEXADECIMAL
        for entry in files.values()
    )
