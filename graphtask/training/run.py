"""Finished training runs: their files as one object, and their network and data again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import igraph
import pandas as pd
from torch import Tensor, nn

from graphtask.columns import score_of, shown_score, words
from graphtask.compiler.module import GraphModule
from graphtask.compiler.module import compile as compile_graph
from graphtask.data.catalog import load_data
from graphtask.data.dataset import ImageData
from graphtask.errors import RunError
from graphtask.graph import WEIGHT
from graphtask.runs.history import EdgeHistory
from graphtask.tasks import Task
from graphtask.training.config import TrainConfig
from graphtask.training.device import choose_device
from graphtask.training.hints import run_hints
from graphtask.training.stored import read_run
from graphtask.training.task import task_of
from graphtask.types import STANDARD
from graphtask.validation import counted


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training run; `Run.open` reads one from its folder.

    Args:
        record: Content of ``config.json``: the configuration, and facts about graph and data.
        initial_graph: Graph before training.
        graph: Trained graph, with ``weight`` and ``w`` on every edge.
        metrics: One row per epoch: ``epoch`` (from 1), ``learning_rate``, ``train_loss`` and ``test_loss`` (means),
            ``train_accuracy`` and ``test_accuracy`` (in [0, 1]; those of another task are named after its score), ``resource_loss`` (Σ|gate(w)|),
            ``live_edges`` (of weight ≥ the configured threshold), ``edge_change`` (relative change of Σ|gate(w)| or of
            the number of live edges in the epoch, the larger one), ``seconds`` (of training, without evaluation).
            With validation images also ``validation_loss`` and ``validation_accuracy``; the test columns are then NaN
            until the last epoch.
        history: Every edge weight at the start and at the end of every epoch.
        weights: Final parameters and buffers of the network, by state-dict key.
        folder: Folder of the run; None if it is in memory only.
        imports: Code of the user that may be imported, as ``package.module:name``.
    """

    record: Mapping[str, Any]
    initial_graph: igraph.Graph
    graph: igraph.Graph
    metrics: pd.DataFrame
    history: EdgeHistory
    weights: dict[str, Tensor]
    folder: Path | None = None
    imports: frozenset[str] = frozenset()
    _data: ImageData | None = None

    def __repr__(self) -> str:
        return (
            f"Run({self.data_name}, seed {self.seed}, {counted(self.graph.vcount(), 'node')}, "
            f"{counted(self.graph.ecount(), 'edge')}, {counted(len(self.metrics), 'epoch')}, test {words(self.score)} "
            f"{shown_score(self.test_score, self.score)}, folder {str(self.folder) if self.folder else None!r})"
        )

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import run_card

        return run_card(self)

    @classmethod
    def open(cls, folder: str | Path, *, imports: Collection[str] = ()) -> "Run":
        """Open the finished run that `graphtask.train` stored in ``folder``.

        Args:
            folder: Folder of the run.
            imports: Code of the user that the run may import, such as ``["package.module:block"]``. Code that only a
                run folder names is never imported.

        Raises:
            RunError: The folder holds no run, or one that is not finished or damaged.
        """
        folder = Path(folder)
        stored = read_run(folder)
        return cls(
            record=stored.config,
            initial_graph=stored.initial_graph,
            graph=stored.graph,
            metrics=stored.metrics,
            history=stored.history,
            weights=stored.weights,
            folder=folder,
            imports=frozenset(imports),
        )

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        *,
        data: Any,
        history: EdgeHistory | None = None,
        metrics: pd.DataFrame | None = None,
        out: str | Path | None = None,
        **options: Any,
    ) -> "Run":
        """Make a run of a network that was trained in a custom loop.

        Every tool for runs works on it: `graphtask.sweep`, `retrain`, `parity`, the edge dynamics, the commands.

        Args:
            module: A trained `GraphModule`, or a wrapper of one as in `graphtask.compiler.write_back`.
            data: The data, as in `TrainConfig`: the network is tested on it once, on standardized images as those of
                `graphtask.data.ImageData.tensors`.
            history: Edge weights over training, from `EdgeHistory.record`; None has the final ones only.
            metrics: Metrics table of the loop, one row per epoch; columns that are missing are NaN, and those of the
                last row are completed.
            out: Folder to store the run in, created if missing; None keeps it in memory.
            options: Further options of `TrainConfig` of the loop, such as ``edge_l1``, ``epochs``, ``seed``.

        Raises:
            ArgumentError: The module holds no `GraphModule`, or an option is invalid.
            DataError: The data cannot be loaded.
            RunError: The folder holds another run.

        Example:
            >>> import graphtask as gt
            >>> net = gt.compile(gt.full_dag(4), channels=2)
            >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
            >>> run = gt.Run.from_module(net, data=digits, edge_l1=0.0)
            >>> gt.sweep(run, thresholds=[0, 1], metrics="edges", progress=False).table["edges"].tolist()
            [6, 0]
        """
        from graphtask.training.own_loop import run_of_module

        return run_of_module(
            module,
            data=data,
            history=history,
            metrics=metrics,
            out=None if out is None else Path(out),
            options=options,
        )

    @cached_property
    def config(self) -> TrainConfig:
        """Training configuration."""
        return TrainConfig.from_json(self.record)

    @property
    def data_name(self) -> str:
        """Name of the data set in tables."""
        return str(self.record["data"]["name"])

    @property
    def seed(self) -> int:
        """Random seed of initialization, data order and augmentation."""
        return self.config.optimization.seed

    @property
    def ends(self) -> dict[str, Any]:
        """``in_channels``, ``n_classes``, ``block`` and ``head`` of the network, as arguments of `graphtask.compile`.

        Raises:
            RunError: The run has custom code that is not in ``imports``.
        """
        sizes = {name: int(self.record[name]) for name in ("in_channels", "n_classes")}
        return {**sizes, "block": self.config.model.block or STANDARD, "head": self.task.head}

    @property
    def score(self) -> str:
        """Name of the score in the tables: ``accuracy`` for classification."""
        return score_of(self.metrics.columns)

    @property
    def test_score(self) -> float:
        """Score on the test images after the last epoch; for classification the accuracy, in [0, 1]."""
        return float(self.metrics[f"test_{self.score}"].iloc[-1])

    @cached_property
    def task(self) -> Task:
        """Task of the network, with its loss, score and head.

        Raises:
            RunError: The run has custom code that is not in ``imports``.
        """
        self.check_imports()
        return task_of(self.config)

    def hints(self, *, threshold: float | None = None) -> list[str]:
        """Return what to change if the edges have not settled, or none can be pruned; empty if all is well.

        Args:
            threshold: Pruning threshold τ; None is that of the configuration.
        """
        level = self.config.optimization.threshold if threshold is None else threshold
        return run_hints(self.record, self.metrics, self.graph.es[WEIGHT], threshold=level)

    def module(self, *, device: str = "cpu", execution: str = "auto") -> GraphModule:
        """Return the trained network, in evaluation mode.

        Args:
            device: As in `graphtask.train`.
            execution: As in `graphtask.compile`.

        Raises:
            RunError: The run has custom code that is not in ``imports``, or the stored parameters do not match the graph.
        """
        net = compile_graph(
            self.graph,
            channels=self.config.model.channels,
            gate=self.config.model.gate,
            execution=execution,  # type: ignore[arg-type]  # checked by compile
            **self.ends,
        )
        try:
            net.load_state_dict(self.weights)
        except RuntimeError as error:
            raise RunError(
                f"{self.folder or 'the run'}: the weights do not match the trained graph; delete the folder and train again"
            ) from error
        return net.to(choose_device(device)).eval()

    def data(self, *, root: str | Path | None = None) -> ImageData:
        """Load the data set of the run, with its validation images if training held some out.

        Args:
            root: Folder of the data set now, if it has moved.

        Raises:
            DataError: It is missing.
            RunError: It has changed since training, or is custom code that is not in ``imports``.
        """
        if self._data is not None:
            return self._data
        source = self.config.data
        if source.source is None:
            raise RunError("this run was trained on arrays in memory; pass them: data=…")
        if "data" in self.config.code:
            self.check_imports()
        images = load_data(
            source.source,
            root=root or source.root,
            transforms=source.transforms,
            seed=source.seed,
            targets=self.task.targets if ":" in (source.task or "") else source.targets,
        )
        if images.fingerprint != self.record["data_fingerprint"]:
            raise RunError(
                f"{source.source} is not the data that this run was trained on (its sha256 differs); pass the right data: data=…"
            )
        return replace(images, name=self.data_name)

    def check_imports(self, options: Collection[str] = ()) -> None:
        """Raise if the run has custom code that is not in ``imports``; ``options`` replace their keywords.

        Raises:
            RunError: It has; the message names it.
        """
        for keyword, named in self.config.code.items():
            if named not in self.imports and keyword not in options:
                raise RunError(
                    f"{self.folder or 'the run'}: has the custom {keyword} {named!r}, which is not imported by itself; pass "
                    f"imports=[{named!r}] to Run.open, or --allow-import {named}"
                )
