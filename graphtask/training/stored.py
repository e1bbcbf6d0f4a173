"""Files of a finished run: written by `store_run`, verified and read by `read_run`."""

from pathlib import Path
from typing import Any, NamedTuple

import igraph
import pandas as pd
import safetensors
import safetensors.torch
from torch import Tensor

from graphtask.compiler.budget import count_parameters
from graphtask.errors import ArgumentError, DataError, RunError
from graphtask.graph import RAW_WEIGHT, WEIGHT, edge_names, provenance
from graphtask.runs.check import check_consistent, not_one_run
from graphtask.runs.config import other_version, read_config
from graphtask.runs.files import damaged, read_file
from graphtask.runs.history import EdgeHistory, load_history
from graphtask.runs.layout import HISTORY, INITIAL, PREVIOUS_CHECKPOINT, TRAINED, WEIGHTS
from graphtask.runs.manifest import check_files, write_manifest
from graphtask.runs.metrics import read_metrics
from graphtask.runs.status import explain_status, is_finished
from graphtask.storage.atomic import write_atomically
from graphtask.storage.graphml import read, write
from graphtask.training.config import TrainConfig
from graphtask.training.task import task_of
from graphtask.types import STANDARD

_EDGE_WEIGHT = "edge_weight"


class StoredRun(NamedTuple):
    """Content of a finished run folder; the fields are those of `graphtask.Run`."""

    config: dict[str, Any]
    initial_graph: igraph.Graph
    graph: igraph.Graph
    metrics: pd.DataFrame
    history: EdgeHistory
    weights: dict[str, Tensor]


def store_run(folder: Path, *, graph: igraph.Graph, weights: dict[str, Tensor]) -> None:
    """Write the last files of a run, whose metrics table and edge history are written already.

    The manifest comes last: where it is, the run is finished. A kill at any moment leaves the run either finished or
    ready to resume from its last checkpoint.

    Args:
        folder: The run folder; this process holds its lock.
        graph: The trained graph.
        weights: The final parameters and buffers of the network, by state-dict key, on the CPU.
    """
    write(graph, folder / TRAINED)
    with write_atomically(folder / WEIGHTS) as file:
        file.write(safetensors.torch.save(weights))
    write_manifest(folder)
    (folder / PREVIOUS_CHECKPOINT).unlink(missing_ok=True)


def read_run(folder: Path) -> StoredRun:
    """Read a finished run: every file is compared with the manifest, read, and compared with the others.

    Raises:
        RunError: The folder holds no run, or one that is not finished, or one that is damaged; the message names the
            damaged file, and the files that are intact.
    """
    if is_finished(folder):
        check_files(folder)
    config = read_config(folder)
    if not is_finished(folder):
        raise RunError(f"{folder}: {explain_status(folder)}")
    stored = StoredRun(
        config=config,
        initial_graph=read(folder / INITIAL),
        graph=read(folder / TRAINED),
        metrics=read_metrics(folder),
        history=load_history(folder / HISTORY),
        weights=_read_weights(folder),
    )
    _check(folder, stored)
    return stored


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(read_file(folder, WEIGHTS))
    except (ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise damaged(folder, WEIGHTS, str(error)) from error


def _check(folder: Path, stored: StoredRun) -> None:
    """Raise if the files of a run do not belong to each other."""
    try:
        config = TrainConfig.from_json(stored.config)
    except (ArgumentError, DataError, TypeError) as error:
        raise other_version(folder, str(error)) from error
    check_consistent(folder, graph_edges=edge_names(stored.graph), history_edges=stored.history.edges)
    known, edge_weight = provenance(stored.graph), stored.weights.get(_EDGE_WEIGHT)
    belongs = (
        edge_weight is not None
        and {WEIGHT, RAW_WEIGHT} <= set(stored.graph.es.attributes())
        and edge_weight.tolist() == stored.graph.es[RAW_WEIGHT]
        and len(stored.metrics) == len(stored.history.w) - 1 <= config.optimization.epochs
        and known.get("seed") == config.optimization.seed
        and known.get("data") == stored.config["data"]["name"]
        and known.get("data_fingerprint") == stored.config["data_fingerprint"]
    )
    if not belongs:
        raise RunError(not_one_run(folder))
    # Before anybody compiles a network of that size.
    if not {"block", "head", "task"} & config.code.keys():  # code of others is not imported
        needed = count_parameters(
            stored.graph,
            channels=config.model.channels,
            in_channels=stored.config["in_channels"],
            n_classes=stored.config["n_classes"],
            block=config.model.block or STANDARD,
            head=task_of(config.replace(loss=None, score=None)).head,
        )
        if needed > sum(tensor.numel() for tensor in stored.weights.values()):
            raise RunError(
                f"{folder}: the weights do not match the trained graph and its config; "
                "restore them from a copy, or train again in another folder"
            )
