"""Files of a finished run: written by `store_run`, read by `read_run`."""

from pathlib import Path
from typing import Any, NamedTuple

import igraph
import pandas as pd
import safetensors
import safetensors.torch
from torch import Tensor

from graphtask.errors import RunError
from graphtask.graph import RAW_WEIGHT
from graphtask.runs.config import read_config
from graphtask.runs.history import EdgeHistory, load_history
from graphtask.runs.layout import HISTORY, INITIAL, PREVIOUS_CHECKPOINT, TRAINED, WEIGHTS
from graphtask.runs.metrics import read_metrics
from graphtask.runs.status import is_finished, unfinished
from graphtask.storage.atomic import write_atomically
from graphtask.storage.graphml import read, write


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

    A kill at any moment leaves the run either finished or ready to resume from its last checkpoint.

    Args:
        folder: The run folder; this process holds its lock.
        graph: The trained graph.
        weights: The final parameters and buffers of the network, by state-dict key, on the CPU.
    """
    write(graph, folder / TRAINED)
    # The weights come last: where they are, the run is finished.
    with write_atomically(folder / WEIGHTS) as file:
        file.write(safetensors.torch.save(weights))
    (folder / PREVIOUS_CHECKPOINT).unlink(missing_ok=True)


def read_run(folder: Path) -> StoredRun:
    """Read a finished run.

    Raises:
        RunError: The folder holds no run, or one that is not finished, or one that is damaged.
    """
    config = read_config(folder)
    if not is_finished(folder):
        raise RunError(f"{folder}: {unfinished(folder)}")
    weights = _read_weights(folder)
    metrics = read_metrics(folder)
    graph = read(folder / TRAINED)
    if weights["edge_weight"].tolist() != graph.es[RAW_WEIGHT]:
        raise RunError(f"{folder}: its files are not of one run; delete the folder and train again")
    return StoredRun(config, read(folder / INITIAL), graph, metrics, load_history(folder / HISTORY), weights)


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(folder / WEIGHTS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise RunError(
            f"{folder}: the run is damaged ({error}); delete the folder and train again"
        ) from error
