"""Run folders for tests: a small finished run, copies of it, and ways to damage its files."""

import json
import math
import shutil
from pathlib import Path

import graphtask as gt
from graphtask.runs.layout import LOCK, MANIFEST, WEIGHTS
from graphtask.runs.manifest import LISTED, write_manifest

OPTIONS = {"channels": 2, "epochs": 2, "batch_size": 64, "seed": 3, "progress": False}
WRONG = [
    *(None, True, -1, 0, 2.5, 1e308, math.nan, 10**400, "", "x", "../x", "\ud800", "a\0b", [], {}),
    *([[]], [1, 2, 3], {"x": {"y": {"z": 1}}}, "9" * 5000),
]
"""Values of every type, for the places of others."""


def train_small(folder, *, digits=None, **options):
    """A run of four nodes on 100 of the embedded digits; found again by name and transforms."""
    return gt.train(
        gt.full_dag(4), data=digits or "cdigits", transforms=("subset:100",), out=folder, **OPTIONS | options
    )


def copy_run(run_folder: Path, target: Path) -> Path:
    """Copy a run folder without its lock."""
    shutil.copytree(run_folder, target, ignore=shutil.ignore_patterns(LOCK))
    return target


def accept(folder: Path) -> None:
    """Write the manifest anew, as somebody would who wants damage to pass for the original."""
    for name in LISTED:
        (folder / name).touch()
    write_manifest(folder)


def unfinish(folder: Path) -> None:
    """Remove the last files of a run, as if it were not finished."""
    for name in (MANIFEST, WEIGHTS):
        (folder / name).unlink()


def places(value, path=()):
    """The paths to all values inside of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def edited(text: str, path, change):
    """The JSON text with one container changed: ``change(container, key)``."""
    value = json.loads(text)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return json.dumps(value)


def flipped(content: bytes, place: int, bit: int = 4) -> bytes:
    """The content with one bit flipped."""
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def sampled(n: int, count: int) -> range:
    """At most about ``count`` places among n, evenly spaced."""
    return range(0, n, max(1, n // count))
