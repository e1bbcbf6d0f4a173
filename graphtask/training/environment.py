"""Machine and package versions of this process, for the provenance of a run."""

import datetime as dt
import importlib.metadata
import platform
from typing import Any

import torch

from graphtask.types import DISTRIBUTION

_PACKAGES = (DISTRIBUTION, "torch", "numpy", "igraph", "scipy", "pandas")


def current_environment(config: dict[str, Any], *, n_processes: int) -> dict[str, Any]:
    """Return the description of this machine that ``provenance.json`` records.

    Args:
        config: Settings of the run, as in ``config.json``.
        n_processes: Number of processes that train the run together.
    """
    device = torch.device(config["runtime"]["device"])
    return {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "processes": n_processes,
        "execution": config["runtime"]["execution"],
        "seed": config["optimization"]["seed"],
        "data_fingerprint": config["data_fingerprint"],
    }
