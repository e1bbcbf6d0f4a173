"""The folder of a run: what was asked for, where it ran, and who may write in it."""

import contextlib
import datetime as dt
import importlib.metadata
import json
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import igraph

from graphtask.errors import RunError, RunInUseError
from graphtask.runs.status import DIVERGED, forget_divergence
from graphtask.storage.atomic import remove_leftovers, write_atomically
from graphtask.storage.graphml import write
from graphtask.types import DISTRIBUTION

CONFIG = "config.json"
PROVENANCE = "provenance.json"
INITIAL = "initial.graphml"
TRAINED = "trained.graphml"
METRICS = "metrics.csv"
HISTORY = "history.npz"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.pt"
PREVIOUS_CHECKPOINT = "checkpoint-previous.pt"
OUTCOME = "outcome.json"
LOCK = "run.lock"

_WRITTEN = (
    *(CONFIG, PROVENANCE, INITIAL, TRAINED, METRICS, HISTORY, WEIGHTS),
    *(CHECKPOINT, PREVIOUS_CHECKPOINT, OUTCOME, DIVERGED),
)  # by whoever holds the lock, and nobody else

# What makes two runs the same run; the rest of the config (device, threads …) may change when a run is resumed.
_IDENTITY = ("graph_sha256", "data_fingerprint", "channels", "gate", "seed", "precision", "regime")


@contextlib.contextmanager
def claimed(
    folder: Path | None, config: dict[str, Any], initial: igraph.Graph, *, n_processes: int = 1
) -> Iterator[None]:
    """Hold the run folder for this process: made if new, refused if it holds another run or is in use."""
    if folder is None:
        yield
        return
    with locked(folder):
        if (folder / CONFIG).exists():
            check_same_run(folder, config)
        else:
            strangers = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
            if strangers and not (folder / INITIAL).exists():
                raise RunError(
                    f"{folder}: the folder is not empty ({strangers[0]} …) and holds no run; choose another one"
                )
            write(initial, folder / INITIAL)
            _write_json(folder / CONFIG, config)
        if not (folder / WEIGHTS).exists():  # a finished run is not trained here, but opened
            forget_divergence(folder)
            _record_environment(folder, _environment(config, n_processes))
        yield


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, which is made if need be; whoever was killed while writing is tidied up after.

    Raises:
        RunInUseError: Another process holds it.
        RunError: The folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not 0: `is_claimed` holds the lock for a moment, too.
        lock = filelock.FileLock(folder / LOCK, timeout=0.5)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunInUseError(
            f"{folder}: another process is training this run; wait for it, or stop it"
        ) from error
    except OSError as error:
        raise RunError(
            f"{folder}: the run folder cannot be used ({error.strerror}); choose another one"
        ) from error
    try:
        for name in _WRITTEN:
            remove_leftovers(folder / name)
        yield
    finally:
        lock.release()


def is_claimed(folder: Path) -> bool:
    """Whether a process is training the run in ``folder`` at this moment."""
    if not (folder / LOCK).is_file():
        return False
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False  # a folder that nobody can use


def check_same_run(folder: Path, config: dict[str, Any]) -> None:
    """Raise if the run in ``folder`` is not the one that ``config``, or the part of a config, describes.

    Raises:
        RunError: It is another run; says in what.
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
            key = next(name for name in now if before.get(name) != now[name])  # noqa: PLW2901
            before, now = before.get(key), now[key]
        raise RunError(
            f"{folder}: holds a run with {key} {before}, and {now} is asked for; choose another folder, "
            f"or repeat that run's options to go on with it"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """What was asked for when the run in ``folder`` was started.

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
    if not isinstance(config, dict) or not all(key in config for key in _IDENTITY):
        raise RunError(f"{folder / CONFIG}: is not the config of a run; delete the folder and train again")
    return config


def environments(folder: Path) -> list[dict[str, Any]]:
    """Where a run was trained, once for each time it was begun or resumed; empty if nothing tells."""
    try:
        stored = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["environments"]
        return [
            {"processes": 1} | environment for environment in stored
        ]  # older versions knew one process only
    except (OSError, ValueError, LookupError, TypeError):
        return []  # the first time, or a record that somebody damaged: it decides nothing


def _record_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Add where the run is trained now to where it was trained before, and warn if the bits will differ for it."""
    before = environments(folder)
    keys = ("device", "threads", "execution", "processes")
    changed = [key for key in keys if before and before[-1].get(key) != environment[key]]
    for key in changed:
        warnings.warn(
            f"{folder}: resumed with {key} {environment[key]} instead of {before[-1].get(key)}; the last digits may differ "
            f"from an undisturbed run's",
            RuntimeWarning,
            stacklevel=2,
        )
    _write_json(folder / PROVENANCE, {"environments": [*before, environment]})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with write_atomically(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def _environment(config: dict[str, Any], n_processes: int) -> dict[str, Any]:
    import torch

    packages = (DISTRIBUTION, "torch", "numpy", "igraph", "scipy", "pandas")
    device = torch.device(config["device"])
    return {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "processes": n_processes,
        "execution": config["execution"],
        "seed": config["seed"],
        "data_fingerprint": config["data_fingerprint"],
    }
