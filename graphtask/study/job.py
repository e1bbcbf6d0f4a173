"""One job of a study: everything that a process anywhere needs to know to train one run."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import igraph

from graphtask.graph import untrained, with_initial_size
from graphtask.priors.registry import PRIORS
from graphtask.reading import read
from graphtask.storage.graphml import dumps
from graphtask.training.config import Regime

KINDS: Mapping[str, Callable[..., igraph.Graph]] = MappingProxyType(
    {
        **{name: prior.function for name, prior in PRIORS.items()},
        "file": read,
    }
)
"""The function behind each kind of prior."""

RUN_SEED = "run"
"""As the ``seed`` of a random prior: that of the run, so that every run has a graph of its own."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data set of a study; see `graphtask.load_data`."""

    name: str
    """What it is called in the study."""
    source: str
    """A name of the catalog, or the absolute path of an ``.npz`` file or an image folder."""
    root: str | None = None
    """Where data sets of the catalog lie."""
    download: bool = False
    """Whether they may be downloaded."""
    transforms: tuple[str, ...] = ()
    """More transforms, in their order."""
    seed: int = 0
    """Of colors and tiles."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """The initial graphs of a study."""

    name: str
    """What it is called in the study."""
    kind: str
    """A key of `KINDS`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Of the function behind the kind."""

    def graph(self, seed: int) -> igraph.Graph:
        """The initial graph of the run with that seed.

        Raises:
            GraphtaskError: An argument is out of range, or the file cannot be read.

        Example:
            >>> Prior(name="wide", kind="banded", arguments={"n_nodes": 4, "bandwidth": 2}).graph(0).ecount()
            5
        """
        arguments = dict(self.arguments)
        if arguments.get("seed") == RUN_SEED:
            arguments["seed"] = seed
        return KINDS[self.kind](**arguments)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a study: a data set, a prior, a seed, and how to train; options as those of `graphtask.train`."""

    out: Path
    """Folder of all runs of the study, absolute."""
    data: Data
    prior: Prior
    seed: int
    channels: int = 11
    regime: Regime = field(default_factory=Regime)
    gate: str = "tanh"
    precision: str = "fp32"
    execution: str = "auto"
    cuda_graph: bool = True
    device: str = "auto"
    fresh: bool = False
    threads: int = 1
    """CPU threads while it is trained."""
    checkpoint_seconds: float = 300.0
    threshold: float = 0.006
    """At which the trained graph is pruned for the table of results."""
    label: str = ""
    """What the run is called, if not after its data set, prior and seed."""

    @property
    def name(self) -> str:
        """How the run is called in messages and tables, such as ``cmnist/full/seed-0``."""
        return self.label or f"{self.data.name}/{self.prior.name}/seed-{self.seed}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out / self.name

    def graph(self) -> igraph.Graph:
        """The initial graph."""
        return self.prior.graph(self.seed)

    def identity(self) -> dict[str, Any]:
        """What the config of its run folder has to say, as far as that is known without the data."""
        # Who watches a study asks often; but a file may change.
        digest = _digest.__wrapped__ if self.prior.kind == "file" else _digest
        seed = self.seed if self.prior.arguments.get("seed") == RUN_SEED else 0
        return {
            "graph_sha256": digest(json.dumps(asdict(self.prior)), seed, fresh=self.fresh),
            "channels": self.channels,
            "gate": self.gate,
            "seed": self.seed,
            "precision": self.precision,
            "regime": json.loads(json.dumps(asdict(self.regime))),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the job as values that JSON can hold; `from_dict` returns an equal job."""
        return asdict(self) | {"out": str(self.out)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Job":
        """Return the job from the result of `to_dict`."""
        data = values["data"]
        parts = {
            "out": Path(values["out"]),
            "data": Data(**data | {"transforms": tuple(data["transforms"])}),
            "prior": Prior(**values["prior"]),
            "regime": Regime(**values["regime"] | {"milestones": tuple(values["regime"]["milestones"])}),
        }
        return cls(**{**values, **parts})


@lru_cache(maxsize=4096)
def _digest(prior: str, seed: int, *, fresh: bool) -> str:
    """The SHA-256 by which `graphtask.train` knows an initial graph."""
    graph = Prior(**json.loads(prior)).graph(seed)
    initial = with_initial_size(untrained(graph) if fresh else graph)
    return hashlib.sha256(dumps(initial)).hexdigest()
