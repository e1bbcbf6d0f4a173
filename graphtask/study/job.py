"""One job of a study: all that a process needs to train one run."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import igraph

from graphtask.graph import untrained, with_initial_size
from graphtask.named import called, is_code_name, load_named
from graphtask.priors.registry import PRIORS
from graphtask.reading import read
from graphtask.storage.atomic import check_inside
from graphtask.storage.graphml import dumps
from graphtask.storage.names import safe_path
from graphtask.storage.objects import valid_graph
from graphtask.training.config import DataConfig, TrainConfig
from graphtask.types import PAPER_THRESHOLD

KINDS: Mapping[str, Callable[..., igraph.Graph]] = MappingProxyType(
    {
        **{name: prior.function for name, prior in PRIORS.items()},
        "file": read,
    }
)
"""Function of each kind of prior."""

RUN_SEED = "run"
"""Value of ``seed`` of a random prior: the seed of the run, so that every run has its own graph."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Initial graphs of a study."""

    name: str
    """Name in the study."""
    kind: str
    """Key of `KINDS`, or ``package.module:name`` of a function that returns a graph."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of its function."""

    def graph(self, seed: int) -> igraph.Graph:
        """Return the initial graph of the run with that seed.

        Raises:
            GraphtaskError: An argument is out of range, or the file cannot be read.

        Example:
            >>> Prior(name="wide", kind="banded", arguments={"n_nodes": 4, "bandwidth": 2}).graph(0).ecount()
            5
        """
        arguments = dict(self.arguments)
        if arguments.get("seed") == RUN_SEED:
            arguments["seed"] = seed
        if self.kind in KINDS:
            return KINDS[self.kind](**arguments)
        function = load_named(self.kind, home=KINDS, name="kind")
        return valid_graph(called(function, self.kind, name="kind", **arguments))


class Jobs(Protocol):
    """Jobs of a study with their folder; `graphtask.Study` is one."""

    @property
    def out(self) -> Path:
        """Folder of all runs."""

    @property
    def jobs(self) -> "tuple[Job, ...]":
        """Jobs, in the order in which they start."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a study: an initial graph, and its training configuration.

    Raises:
        ArgumentError: Its name is not safe as a relative path.
    """

    out: Path
    """Folder of all runs of the study, absolute."""
    prior: Prior
    config: TrainConfig
    """Training configuration, with the data set and the seed of the run."""
    threshold: float = PAPER_THRESHOLD
    """Threshold at which the trained graph is pruned for the table of results."""
    label: str = ""
    """Name of the run, if it is not made of its data set, prior and seed; ``/`` separates folders."""

    def __post_init__(self) -> None:
        safe_path(self.name, name="label")

    @property
    def data(self) -> DataConfig:
        """Data set of the run; ``name`` is its name in the study."""
        return self.config.data

    @property
    def data_name(self) -> str:
        """Name of the data set in the study."""
        return str(self.data.name)

    @property
    def data_source(self) -> str:
        """Name, path or folder of the data set."""
        return str(self.data.source)

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config.optimization.seed

    @property
    def device(self) -> str:
        """Device of the run, such as ``auto`` or ``cuda:1``."""
        return self.config.runtime.device

    @property
    def threads(self) -> int:
        """CPU threads of the run."""
        return self.config.runtime.threads or 1

    @property
    def worker(self) -> str:
        """Module that trains it; see `graphtask.engines.protocol.Task`, also for the next four."""
        return "graphtask.study.worker"

    @property
    def log(self) -> Path:
        """File that receives all output of processes on this machine."""
        return self.out / "study.log"

    @property
    def names_code(self) -> bool:
        """Return True if it imports code of the user."""
        return bool(self.code)

    def on_cpu(self) -> "Job":
        """Return the job with the CPU as its device, if the device is free to choose."""
        return replace(self, config=self.config.replace(device="cpu")) if self.device == "auto" else self

    @property
    def name(self) -> str:
        """Name of the run in messages and tables, such as ``cmnist/full/seed-0``."""
        return self.label or f"{self.data_name}/{self.prior.name}/seed-{self.seed}"

    @property
    def folder(self) -> Path:
        """The run folder.

        Raises:
            GraphtaskError: A symbolic link leads out of the folder of the study.
        """
        folder = self.out / self.name
        check_inside(self.out, folder)
        return folder

    @property
    def code(self) -> dict[str, str]:
        """Keys that name code of the user, as ``package.module:name``; see `TrainConfig.code`."""
        kind = {"kind": self.prior.kind} if is_code_name(self.prior.kind) else {}
        return {**self.config.code, **kind}

    def graph(self) -> igraph.Graph:
        """Return the initial graph."""
        return self.prior.graph(self.seed)

    def identity(self) -> dict[str, Any]:
        """Return the part of the config of its run folder that is known without the data."""
        # A study that is watched asks often; but a file may change.
        digest = _digest.__wrapped__ if self.prior.kind == "file" else _digest
        seed = self.seed if self.prior.arguments.get("seed") == RUN_SEED else 0
        graph = digest(json.dumps(asdict(self.prior)), seed, reset_weights=self.config.model.reset_weights)
        return {"graph_sha256": graph, **self.config.to_json()}

    def to_dict(self) -> dict[str, Any]:
        """Return the job as values that JSON can hold; `from_dict` returns an equal job."""
        return {
            "out": str(self.out),
            "prior": asdict(self.prior),
            "config": self.config.to_json(),
            "threshold": self.threshold,
            "label": self.label,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Job":
        """Return the job from the result of `to_dict`."""
        parts = {
            "out": Path(values["out"]),
            "prior": Prior(**values["prior"]),
            "config": TrainConfig.from_json(values["config"]),
        }
        return cls(**{**values, **parts})


@lru_cache(maxsize=4096)
def _digest(prior: str, seed: int, *, reset_weights: bool) -> str:
    """Return the SHA-256 of an initial graph in the config of its run."""
    graph = Prior(**json.loads(prior)).graph(seed)
    initial = with_initial_size(untrained(graph) if reset_weights else graph)
    return hashlib.sha256(dumps(initial)).hexdigest()
