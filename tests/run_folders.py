"""Run folders for tests: a small finished run, copies of it, and ways to damage its files."""

import errno
import json
import math
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import graphtask as gt
from graphtask.graph import edge_names, with_initial_size, with_provenance
from graphtask.runs.layout import HISTORY, LOCK, MANIFEST, METRICS, TRAINED, WEIGHTS
from graphtask.runs.manifest import LISTED, write_manifest
from graphtask.runs.metrics import write_metrics

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


def drawn(n: int, count: int) -> list[int]:
    """At most ``count`` random places among n, the same in every test."""
    return random.Random(12).sample(range(n), min(n, count))


def hide(folder: Path, monkeypatch) -> None:
    """Let the system deny everything in a folder, as if its permissions were 0; also for root, which ignores them."""

    def denying(function):
        def call(path, *arguments, **options):
            named = isinstance(path, str | os.PathLike)
            if (
                named
                and (Path(path) == folder or folder in Path(path).parents)
                and (function is not stat or Path(path) != folder)
            ):
                if function is access:
                    return False
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
            return function(path, *arguments, **options)

        return call

    stat, access = os.stat, os.access
    for name in ("stat", "open", "scandir", "access"):
        monkeypatch.setattr(os, name, denying(getattr(os, name)))


def made_up_run(run_folder: Path, target: Path, graph, magnitudes, *, data: str) -> Path:
    """A run folder with any trained graph and edge history, and the other files of a real run.

    Args:
        run_folder: A finished run.
        target: The new folder.
        graph: The graph; its weights are the last magnitudes.
        magnitudes: Shape (epochs + 1, edges).
        data: Name of its data set.
    """
    copy_run(run_folder, target)
    graph = with_provenance(with_initial_size(graph), data=data)
    graph.es["weight"] = [float(value) for value in magnitudes[-1]]
    gt.write(graph, target / TRAINED)
    gt.EdgeHistory(tuple(edge_names(graph)), np.arctanh(magnitudes).astype(np.float32)).save(target / HISTORY)
    row = pd.read_csv(target / METRICS).iloc[-1]
    epochs = range(1, len(magnitudes))
    write_metrics(target, [{**row, "epoch": epoch, "test_accuracy": 0.5 + epoch / 1000} for epoch in epochs])
    accept(target)
    return target
