"""Settings of a run: ``config.json``."""

import json
from pathlib import Path
from typing import Any

from graphtask.errors import RunError
from graphtask.runs.layout import CONFIG
from graphtask.storage.atomic import write_atomically

# What makes two runs the same run; the rest of the config (device, threads …) may change when a run is resumed.
_IDENTITY = ("graph_sha256", "data_fingerprint", "channels", "gate", "seed", "precision", "regime")


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
    if not isinstance(config, dict) or not all(key in config for key in _IDENTITY):
        raise RunError(f"{folder / CONFIG}: is not the config of a run; delete the folder and train again")
    return config


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the settings of a new run."""
    with write_atomically(folder / CONFIG) as file:
        file.write((json.dumps(config, indent=2) + "\n").encode())


def check_same_run(folder: Path, config: dict[str, Any]) -> None:
    """Raise if the run in ``folder`` is not the one that ``config``, or the part of a config, describes.

    Raises:
        RunError: It is another run; the message names the difference.
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
