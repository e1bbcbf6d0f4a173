"""Runs of networks that were trained in a custom loop."""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import pandas as pd
from torch import nn

from graphtask.columns import named_after
from graphtask.compiler.library import PARTS
from graphtask.compiler.module import GraphModule
from graphtask.compiler.writeback import unwrapped, write_back
from graphtask.data.dataset import ImageData
from graphtask.errors import RunError
from graphtask.graph import RAW_WEIGHT, edge_names, untrained, with_initial_size, with_provenance
from graphtask.runs.acquire import acquire_run
from graphtask.runs.history import EdgeHistory
from graphtask.runs.layout import HISTORY
from graphtask.runs.metrics import write_metrics
from graphtask.runs.settling import edge_change
from graphtask.runs.status import is_finished
from graphtask.training.batches import split_batches
from graphtask.training.config import TrainConfig
from graphtask.training.environment import current_environment
from graphtask.training.loop import evaluate
from graphtask.training.run import Run
from graphtask.training.stored import store_run
from graphtask.training.task import task_of
from graphtask.training.train import load_images, run_record
from graphtask.validation import invalid

_COLUMNS = (
    *("epoch", "learning_rate", "train_loss", "train_accuracy", "resource_loss"),
    *("test_loss", "test_accuracy", "live_edges", "edge_change", "seconds"),
)
"""Columns of classification; the accuracies of other tasks are named after their score."""


def run_of_module(
    module: nn.Module,
    *,
    data: Any,
    history: EdgeHistory | None,
    metrics: pd.DataFrame | None,
    out: Path | None,
    options: Mapping[str, Any],
) -> Run:
    """Return the run of a network; see `Run.from_module`."""
    net = unwrapped(module)
    history = history or EdgeHistory.record(net).history
    if set(history.edges) != set(edge_names(net.graph)):
        raise invalid("history", "that of this network", history, remedy="its edges are others")
    config = TrainConfig(**{"epochs": max(len(history.w) - 1, 1), **options}).replace(
        data=data, channels=net.channels, gate=net.gate, block=net.block
    )
    if net.make_head is not PARTS["head"].load(task_of(config).head):
        config = config.replace(head=net.make_head)
    images = load_images(config)
    initial = with_initial_size(_initial(net, history))
    record = run_record(config, initial, images, net.edge_weight.device)
    table = _table(metrics, net, history, images, config)
    score = f"test_{task_of(config).score.name}"
    graph = with_provenance(
        write_back(net, initial),
        data=record["data"]["name"],
        data_fingerprint=record["data_fingerprint"],
        seed=config.optimization.seed,
        epochs=len(history.w) - 1,
        edge_l1=config.optimization.edge_l1,
        edge_change=float(table["edge_change"].iloc[-1]),
        **{score: float(table[score].iloc[-1])},
    )
    weights = {
        key: value.detach().to("cpu", copy=True).contiguous() for key, value in net.state_dict().items()
    }
    imports = frozenset(config.code.values())
    run = Run(record, initial, graph, table, history, weights, imports=imports, _data=images)
    if out is not None:
        _store(run, out)
        return Run.open(out, imports=imports)
    return run


def _initial(net: GraphModule, history: EdgeHistory) -> igraph.Graph:
    """Return the graph with the weights at the start of the history, or without any if the history has one row."""
    graph = untrained(net.graph)
    if len(history.w) > 1:
        start = dict(zip(history.edges, history.w[0].astype(np.float64).tolist(), strict=True))
        graph.es[RAW_WEIGHT] = [start[pair] for pair in edge_names(graph)]
    return graph


def _table(
    metrics: pd.DataFrame | None,
    net: GraphModule,
    history: EdgeHistory,
    images: ImageData,
    config: TrainConfig,
) -> pd.DataFrame:
    """Return the metrics table: edge columns from the history, the columns of the caller, and one test at the end."""
    sums = history.magnitudes.sum(axis=1)
    live = (history.magnitudes >= config.optimization.threshold).sum(axis=1)
    n_rows, task = max(len(history.w) - 1, 1), task_of(config)
    columns = named_after(task.score.name, _COLUMNS).values()
    table = pd.DataFrame(math.nan, index=range(n_rows), columns=list(columns))
    table["epoch"] = range(1, n_rows + 1)
    table["learning_rate"] = [config.optimization.learning_rate_at(epoch) for epoch in range(n_rows)]
    table["resource_loss"] = sums[-n_rows:]
    table["live_edges"] = live[-n_rows:]
    changes = itertools.pairwise(zip(sums, live, strict=True))
    table["edge_change"] = [edge_change(before, after) for before, after in changes] or [0.0]
    if metrics is not None:
        if len(metrics) != n_rows:
            raise invalid("metrics", f"a table of {n_rows} rows, one per epoch of the history", len(metrics))
        for name in metrics.columns:
            table[name] = metrics[name].to_numpy()
    batches = split_batches(images, config, device=net.edge_weight.device)
    test = evaluate(net, batches.test, task=task, precision=config.runtime.precision)
    table.loc[n_rows - 1, ["test_loss", f"test_{task.score.name}"]] = list(test)
    return table


def _store(run: Run, folder: Path) -> None:
    record = dict(run.record)
    with acquire_run(
        folder, record, run.initial_graph, environment=lambda: current_environment(record, n_processes=1)
    ):
        if is_finished(folder):
            raise RunError(f"{folder}: holds a finished run; choose another folder")
        rows: Any = run.metrics.to_dict("records")
        write_metrics(folder, rows)
        run.history.save(folder / HISTORY)
        store_run(folder, graph=run.graph, weights=run.weights)
