"""Verification of stored runs: every file against the manifest, every checkpoint against its sum."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from graphtask.errors import GraphtaskError, RunError
from graphtask.graph import RAW_WEIGHT, edge_names
from graphtask.runs.checkpoint_file import read_payload
from graphtask.runs.config import read_config
from graphtask.runs.files import read_file
from graphtask.runs.history import load_history
from graphtask.runs.layout import (
    CHECKPOINT,
    HISTORY,
    INITIAL,
    MANIFEST,
    PREVIOUS_CHECKPOINT,
    TRAINED,
    WEIGHTS,
    is_run,
)
from graphtask.runs.lock import lock_run
from graphtask.runs.manifest import describe_damage, find_damage, write_manifest
from graphtask.runs.metrics import read_metrics
from graphtask.runs.status import explain_status, is_finished
from graphtask.storage.graphml import read

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["intact", "damaged", "unfinished", "unverified", "unreadable"]


class RunCheck(NamedTuple):
    """Result of the verification of one run."""

    run: str
    """The run folder."""
    status: Status
    """``intact``: finished, and every file is as it was written; ``damaged``; ``unfinished``: ready to resume;
    ``unverified``: without a manifest, as earlier versions wrote it; ``unreadable``: a folder that cannot be listed."""
    damaged: str
    """The damaged files, separated by commas."""
    message: str
    """Reason and remedy; empty if the run is intact."""


def check_runs(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, write: bool = False
) -> "pd.DataFrame":
    """Verify every file of stored runs.

    Args:
        paths: Run folders, and folders with runs in them.
        write: Write the manifest of a run that has none, after reading all of its files.

    Returns:
        One row per run: ``run``, ``status``, ``damaged``, ``message``; see `RunCheck`.

    Raises:
        RunError: A path holds no run.

    Example:
        >>> import tempfile, graphtask as gt
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> options = {"data": digits, "channels": 2, "epochs": 1, "batch_size": 64, "progress": False}
        >>> run = gt.train(gt.full_dag(4), out=folder, **options)
        >>> gt.check_runs(folder)["status"].tolist()
        ['intact']
        >>> _ = (folder / "metrics.csv").write_text("epoch")
        >>> gt.check_runs(folder)[["status", "damaged"]].values.tolist()
        [['damaged', 'metrics.csv']]
    """
    import pandas as pd

    named = [paths] if isinstance(paths, str | os.PathLike) else paths
    folders = dict.fromkeys(found for path in named for found in _runs_in(Path(path)))
    return pd.DataFrame([check_run(folder, write=write) for folder in folders], columns=RunCheck._fields)


def check_run(folder: Path, *, write: bool = False) -> RunCheck:
    """Verify every file of one run; arguments as in `check_runs`."""
    name = str(folder)
    if not os.access(folder, os.R_OK | os.X_OK):
        return RunCheck(name, "unreadable", "", f"{folder}: permission denied; change its permissions")
    try:
        if write and not is_finished(folder) and (folder / WEIGHTS).exists():
            accept_files(folder)
        if is_finished(folder):
            found = find_damage(folder)
            return RunCheck(
                name,
                "damaged" if found else "intact",
                ",".join(found),
                describe_damage(folder, found) if found else "",
            )
    except GraphtaskError as error:
        return RunCheck(name, "damaged", MANIFEST if is_finished(folder) else "", str(error))
    return _unfinished(folder)


def accept_files(folder: Path) -> None:
    """Write the manifest of a finished run that has none, after reading all of its files.

    Raises:
        RunError: A file is missing or damaged, or the files are not of one run.
        RunInUseError: Another process holds the lock.
    """
    with lock_run(folder):
        read_config(folder)
        graph, history, metrics = (
            read(folder / TRAINED),
            load_history(folder / HISTORY),
            read_metrics(folder),
        )
        read(folder / INITIAL)
        check_consistent(folder, graph_edges=edge_names(graph), history_edges=history.edges)
        if len(metrics) != len(history.w) - 1 or _edge_weights(folder) != graph.es[RAW_WEIGHT]:
            raise RunError(not_one_run(folder))
        write_manifest(folder)


def check_consistent(
    folder: Path, *, graph_edges: Iterable[tuple[str, str]], history_edges: Iterable[tuple[str, str]]
) -> None:
    """Raise if graph and history of a run have different edges.

    Raises:
        RunError: They have.
    """
    if set(graph_edges) != set(history_edges):
        raise RunError(not_one_run(folder))


def not_one_run(folder: Path) -> str:
    """Return the message for files that do not belong to each other."""
    return (
        f"{folder}: its files are not of one run; restore them from a copy, or train again in another folder"
    )


def _unfinished(folder: Path) -> RunCheck:
    problems = {}
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        if (folder / name).exists():
            try:
                read_payload(folder, name)
            except RunError as error:
                problems[name] = str(error)
    try:
        read_config(folder)
    except RunError as error:
        return RunCheck(str(folder), "damaged", "config.json", str(error))
    if problems:
        return RunCheck(str(folder), "damaged", ",".join(problems), "; ".join(problems.values()))
    status: Status = "unverified" if (folder / WEIGHTS).exists() else "unfinished"
    return RunCheck(str(folder), status, "", f"{folder}: {explain_status(folder)}")


def _edge_weights(folder: Path) -> list[float]:
    """Return the edge weights among the stored parameters, read without PyTorch."""
    import safetensors.numpy

    content = read_file(folder, WEIGHTS)
    try:
        return [float(value) for value in safetensors.numpy.load(content)["edge_weight"]]
    except (ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise RunError(f"{folder / WEIGHTS}: damaged ({error}); restore it from a copy") from error


def _runs_in(path: Path) -> Iterator[Path]:
    """Yield the run folders that a path stands for, in alphabetical order, and folders that cannot be listed."""
    if not path.is_dir():
        problem = "is a file" if path.exists() else "does not exist"
        raise RunError(f"{path}: {problem}; name the folder of a run, or a folder of runs")
    found = list(_walk(path))
    if not found:
        raise RunError(f"{path}: no run in this folder; make one with train")
    yield from found


def _walk(top: Path) -> Iterator[Path]:
    waiting = [top]  # not by recursion: folders may be nested deeper than Python calls
    while waiting:
        folder = waiting.pop()
        # A run that lost its config or its graphs is still one.
        if is_run(folder) or is_finished(folder):
            yield folder
            continue
        try:
            with os.scandir(folder) as entries:
                inner = sorted(
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
                )
        except OSError:
            yield folder
            continue
        waiting.extend(folder / name for name in reversed(inner))
