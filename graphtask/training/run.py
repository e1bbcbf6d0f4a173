"""Finished training runs: their files as one object, and their network and data again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import igraph
import pandas as pd
from torch import Tensor, nn

from graphtask.compiler.blocks import BlockFactory, ConvBlock
from graphtask.compiler.module import GraphModule
from graphtask.compiler.module import compile as compile_graph
from graphtask.data.catalog import load_data
from graphtask.data.dataset import ImageData
from graphtask.errors import ArgumentError, RunError
from graphtask.graph import WEIGHT
from graphtask.named import load_named
from graphtask.runs.history import EdgeHistory
from graphtask.training.config import TrainConfig
from graphtask.training.device import choose_device
from graphtask.training.hints import run_hints
from graphtask.training.stored import read_run
from graphtask.validation import counted


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training run; `Run.open` reads one from its folder.

    Args:
        record: Content of ``config.json``: the configuration, and facts about graph and data.
        initial_graph: Graph before training.
        graph: Trained graph, with ``weight`` and ``w`` on every edge.
        metrics: One row per epoch: ``epoch`` (from 1), ``learning_rate``, ``train_loss`` and ``test_loss`` (mean
            cross-entropy), ``train_accuracy`` and ``test_accuracy`` (in [0, 1]), ``resource_loss`` (Σ|gate(w)|),
            ``live_edges`` (of weight ≥ the configured threshold), ``edge_change`` (relative change of Σ|gate(w)| or of
            the number of live edges in the epoch, the larger one), ``seconds`` (of training, without evaluation).
            With validation images also ``validation_loss`` and ``validation_accuracy``; the test columns are then NaN
            until the last epoch.
        history: Every edge weight at the start and at the end of every epoch.
        weights: Final parameters and buffers of the network, by state-dict key.
        folder: Folder of the run; None if it is in memory only.
    """

    record: Mapping[str, Any]
    initial_graph: igraph.Graph
    graph: igraph.Graph
    metrics: pd.DataFrame
    history: EdgeHistory
    weights: dict[str, Tensor]
    folder: Path | None = None
    _data: ImageData | None = None

    def __repr__(self) -> str:
        return (
            f"Run({self.data_name}, seed {self.seed}, {counted(self.graph.vcount(), 'node')}, "
            f"{counted(self.graph.ecount(), 'edge')}, {counted(len(self.metrics), 'epoch')}, test accuracy "
            f"{self.test_accuracy:.1%}, folder {str(self.folder) if self.folder else None!r})"
        )

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import run_card

        return run_card(self)

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Open the finished run that `graphtask.train` stored in ``folder``.

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
            data: The data, as in `TrainConfig`: the network is tested on it once.
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
        """``in_channels`` and ``n_classes`` of the network, as arguments of `graphtask.compile`."""
        return {name: int(self.record[name]) for name in ("in_channels", "n_classes")}

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test images after the last epoch, in [0, 1]."""
        return float(self.metrics["test_accuracy"].iloc[-1])

    def hints(self, *, threshold: float | None = None) -> list[str]:
        """Return what to change if the edges have not settled, or none can be pruned; empty if all is well.

        Args:
            threshold: Pruning threshold τ; None is that of the configuration.
        """
        level = self.config.optimization.threshold if threshold is None else threshold
        return run_hints(self.record, self.metrics, self.graph.es[WEIGHT], threshold=level)

    def module(
        self, *, device: str = "cpu", execution: str = "auto", block: BlockFactory | str | None = None
    ) -> GraphModule:
        """Return the trained network, in evaluation mode.

        Args:
            device: As in `graphtask.train`.
            execution: As in `graphtask.compile`.
            block: Block of a run that was trained with a custom one: the class, or ``package.module:name``. Code that
                a run folder names is never imported unless it is repeated here.

        Raises:
            RunError: The run has a custom block that was not passed, or the stored parameters do not match the graph.
        """
        net = compile_graph(
            self.graph,
            channels=self.config.model.channels,
            gate=self.config.model.gate,  # type: ignore[arg-type]  # checked by ModelConfig
            execution=execution,  # type: ignore[arg-type]  # checked by compile
            block=self._block(block),
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
            RunError: It has changed since training.
        """
        if self._data is not None:
            return self._data
        source = self.config.data
        if source.source is None:
            raise RunError("this run was trained on arrays in memory; pass them: data=…")
        images = load_data(
            source.source, root=root or source.root, transforms=source.transforms, seed=source.seed
        )
        if images.fingerprint != self.record["data_fingerprint"]:
            raise RunError(
                f"{source.source} is not the data that this run was trained on (its sha256 differs); pass the right data: data=…"
            )
        return replace(images, name=self.data_name)

    def _block(self, block: BlockFactory | str | None) -> BlockFactory:
        named = self.config.model.block
        if block is None and named is not None:
            raise RunError(
                f"{self.folder or 'the run'}: has the custom block {named!r}, which is not imported by itself; pass "
                f"block={named!r}"
            )
        return load_block(block)


def load_block(block: BlockFactory | str | None) -> BlockFactory:
    """Return the block of a name; None is the standard block.

    Raises:
        ArgumentError: It cannot be imported, or is not callable.
    """
    if block is None:
        return ConvBlock
    found = load_named(block, name="block") if isinstance(block, str) else block
    if not callable(found) or isinstance(found, nn.Module):
        raise ArgumentError(
            f"block must be a class or function of (in_channels, out_channels, stride), got {found!r}"
        )
    return found
