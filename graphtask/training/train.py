"""Training: a graph and a data set in, a run with the trained graph out, resumable at any moment."""

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import igraph
import pandas as pd
import torch

from graphtask.compiler.blocks import share_statistics
from graphtask.compiler.module import GraphModule
from graphtask.compiler.module import compile as compile_graph
from graphtask.compiler.writeback import write_back
from graphtask.data.catalog import CATALOG, load_data
from graphtask.data.dataset import ImageData
from graphtask.data.targets import PIXELS
from graphtask.errors import ArgumentError, DataError, DivergedError
from graphtask.graph import untrained, with_initial_size, with_provenance
from graphtask.runs.acquire import acquire_run
from graphtask.runs.config import VERSION
from graphtask.runs.status import is_finished, record_divergence
from graphtask.storage.graphml import dumps
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.training.batches import split_batches, with_splits
from graphtask.training.callbacks import Callback, ProgressBar
from graphtask.training.checkpointing import (
    Checkpointer,
    edge_history,
    load_checkpoint,
    restore_state,
    stop_requests,
    write_records,
)
from graphtask.training.config import CLASSIFICATION, OptimizationConfig, TrainConfig
from graphtask.training.cuda_graph import cuda_recorder
from graphtask.training.device import limited_threads
from graphtask.training.distributed import Processes, check_batch_size, join
from graphtask.training.environment import current_environment
from graphtask.training.loop import Trainer
from graphtask.training.run import Run
from graphtask.training.stored import store_run
from graphtask.training.task import task_of
from graphtask.types import STANDARD
from graphtask.validation import image_size

_TOO_LARGE_STEP = 0.5  # the initial weight of an edge: a step of this size jumps over zero


def train(
    graph: GraphLike,
    config: TrainConfig | None = None,
    *,
    out: str | Path | None = None,
    start: Run | None = None,
    progress: bool = True,
    callbacks: Iterable[Callback] = (),
    **options: Any,
) -> Run:
    """Train the network of a graph with an L1 penalty on every edge, and return the run with the trained graph.

    The data are images with classes unless ``task`` is another one; see `graphtask.tasks`.

    Runs are crash-safe: killed at any moment, the same call resumes from the last checkpoint. On a CPU with the same
    number of threads the result is bit-for-bit that of an undisturbed run. A finished run is opened instead; with more
    ``epochs`` it is trained further, from its final state, on the schedule of the new number.

    Processes that ``torchrun`` started train the run together, each on its slice of every batch. The result is that of
    one process up to rounding, and each process receives the run. Calls in several threads do not affect each other if
    each sets ``threads``.

    Args:
        graph: A valid architecture graph; edges with ``w`` start from it.
        config: Training configuration; None is `TrainConfig`, whose defaults are Appendix A of the paper.
        out: Folder of the run, created if missing; None keeps everything in memory (and cannot resume).
        start: A run of the same nodes and edges, whose blocks and head the network starts with (the edge weights are
            those of the graph); None draws them.
        progress: Report progress on standard error.
        callbacks: Called at the start, after every step and epoch, and at the end; see `graphtask.training.Callback`.
        options: Options of `TrainConfig` by keyword, with priority over ``config``: ``data``, ``epochs`` …

    Raises:
        GraphError: The graph is not valid.
        ArgumentError: An option is unknown or outside its range.
        DataError: The data cannot be loaded.
        RunError: The folder holds another run, is in use by another process, or is damaged.
        DivergedError: The loss is no longer finite.
        RunInterruptedError: Ctrl-C or SIGTERM; the state is saved.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> config = gt.TrainConfig(data=digits, channels=2, epochs=1, batch_size=64)
        >>> run = gt.train(gt.full_dag(4), config, progress=False)
        >>> run.metrics["epoch"].tolist(), run.history.w.shape, sorted(run.graph.es.attributes())
        ([1], (2, 6), ['w', 'weight'])
        >>> gt.train(gt.full_dag(4), config, seed=1, progress=False).config.optimization.seed
        1
    """
    graph = valid_graph(graph)
    config = (config or TrainConfig()).replace(**options)
    processes, target = join(config.runtime.device)
    check_batch_size(config.optimization.batch_size, processes)
    images = processes.in_turn(lambda: load_images(config))
    initial = with_initial_size(untrained(graph) if config.model.reset_weights else graph)
    record = run_record(config, initial, images, target)
    _check_edge_step(config.optimization)
    folder = None if out is None else Path(out)
    with limited_threads(config.runtime.threads):
        trainer = _trainer(config, initial, images, processes, target)
        if start is not None:
            _start_from(trainer.module, start)
        # Only now, so that a wrong argument does not leave a folder behind that refuses the right one.
        with acquire_run(
            folder if processes.leads else None,
            record,
            initial,
            environment=lambda: current_environment(record, n_processes=processes.size),
        ):
            run = processes.same(lambda: _opened_if_finished(folder))
            if run is None:
                called = [*([ProgressBar(images.name)] if progress else []), *callbacks]
                _fit(trainer, folder, callbacks=called if processes.leads else [])
                run = processes.same(lambda: _finished(trainer, record, initial, folder))
            return replace(run, imports=frozenset(config.code.values()), _data=images)


def load_images(config: TrainConfig) -> ImageData:
    """Load the images of a configuration, under its name for them.

    Raises:
        ArgumentError: The configuration has no data.
        DataError: They cannot be loaded.
    """
    data = config.data
    if data.source is None:
        raise ArgumentError(
            f"data is missing; pass a name ({', '.join(CATALOG)}), a path, or arrays: data=…", argument="data"
        )
    images = load_data(
        data.source,
        root=data.root,
        download=data.download,
        transforms=data.transforms,
        seed=data.seed,
        targets=data.targets,
    )
    if images.targets != data.targets:
        raise ArgumentError(
            f"task must be one of {images.targets}, as the data are, got {data.task or CLASSIFICATION!r}; pass the arrays "
            f"together with the task",
            argument="task",
        )
    return images if data.name is None else replace(images, name=data.name)


def run_record(
    config: TrainConfig, initial: igraph.Graph, images: ImageData, target: torch.device
) -> dict[str, Any]:
    """Return the content of ``config.json``: the configuration, with paths that last, and facts about its inputs."""
    data, sections = config.data, config.to_json()
    sections["data"] |= {
        "name": images.name,
        "source": _lasting(data.source),
        "root": None if data.root is None else str(Path(data.root).resolve()),
    }
    sections["runtime"]["device"] = str(target)
    return {
        "version": VERSION,
        **sections,
        "graph_sha256": hashlib.sha256(dumps(initial)).hexdigest(),
        "data_fingerprint": images.fingerprint,
        "n_train": len(with_splits(images, config).y_train),
        "in_channels": images.in_channels,
        "n_classes": images.n_classes,
        "size": list(images.size),
    }


def _lasting(source: object) -> str | None:
    """Return the name or path that finds the data from any working directory; None for arrays in memory."""
    if not isinstance(source, str):
        return None
    return str(Path(source).resolve()) if source not in CATALOG and Path(source).exists() else source


def _check_edge_step(optimization: OptimizationConfig) -> None:
    """Warn where the L1 penalty moves an edge so far in a step that it jumps over zero."""
    step = optimization.edge_step(optimization.learning_rate)
    is_l1 = optimization.edge_update == "gradient" and optimization.edge_penalty == "l1"
    if is_l1 and optimization.gradient_clip is None and step >= _TOO_LARGE_STEP:
        warnings.warn(
            f"edge_l1={optimization.edge_l1:g} at learning_rate={optimization.learning_rate:g} moves an edge by "
            f"learning_rate·edge_l1/(1-momentum) = {step:g} per step: edges jump over zero and saturate at weight 1 "
            f"instead of vanishing; lower one of them, or use edge_update='proximal'",
            RuntimeWarning,
            stacklevel=3,
        )


def _trainer(
    config: TrainConfig, initial: igraph.Graph, images: ImageData, processes: Processes, target: torch.device
) -> Trainer:
    module = compile_graph(
        initial,
        channels=config.model.channels,
        in_channels=images.in_channels,
        n_classes=images.n_classes,
        gate=config.model.gate,
        execution=config.runtime.execution,  # type: ignore[arg-type]  # checked by RuntimeConfig
        block=config.model.block or STANDARD,
        head=task_of(config).head,
        seed=config.optimization.seed,
    ).to(target)
    image_size(images.size, last_stage=module.plan.output.stage)
    _check_pixels(images, stride=1 << module.plan.output.stage)
    batches = split_batches(images, config, device=target)
    if processes.size > 1:
        share_statistics(module, processes.gather)
    captures = config.runtime.cuda_graph and processes.size == 1
    return Trainer(
        module,
        train=batches.train,
        test=batches.test,
        validation=batches.validation,
        config=config,
        processes=processes,
        recorder=cuda_recorder(module) if captures else None,
    )


def _start_from(module: GraphModule, start: Run) -> None:
    """Copy the parameters of a run into a module, except for the edge weights."""
    try:
        module.load_state_dict({**start.weights, "edge_weight": module.edge_weight})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(
            f"start must be a run of this network, got {start!r} ({reason})", argument="start"
        ) from error


def _check_pixels(images: ImageData, *, stride: int) -> None:
    """Raise if the outputs of a dense head would have another size than the labels of the pixels."""
    if images.targets == PIXELS and any(side > 1 and side % stride for side in images.size):
        height, width = images.size
        raise DataError(
            f"{images.name}: sides must be multiples of {stride} for the last stage of the graph, got {height}×{width} pixels; "
            f"pad the images and their labels"
        )


def _opened_if_finished(folder: Path | None) -> Run | None:
    return Run.open(folder) if folder is not None and is_finished(folder) else None


def _fit(trainer: Trainer, folder: Path | None, *, callbacks: Sequence[Callback]) -> None:
    if folder is not None:
        state = trainer.processes.same(lambda: _newest_state(folder))
        if state is not None:
            restore_state(trainer, state, folder)
            _warn_of_another_schedule(trainer, folder)
    checkpointer = Checkpointer(trainer, folder, trainer.config.runtime.checkpoint_seconds)
    with stop_requests(checkpointer):
        try:
            trainer.fit(
                callbacks=callbacks, on_step=checkpointer.after_step, on_epoch=checkpointer.after_epoch
            )
        except DivergedError as error:
            if folder is not None and trainer.processes.leads:
                record_divergence(folder, str(error))
            raise


def _newest_state(folder: Path) -> dict[str, Any] | None:
    state, warning = load_checkpoint(folder)
    if warning:
        warnings.warn(warning, RuntimeWarning, stacklevel=6)
    return state


def _warn_of_another_schedule(trainer: Trainer, folder: Path) -> None:
    """Warn where the finished epochs of a run that is trained further had other learning rates than now."""
    optimization = trainer.config.optimization
    if optimization.schedule != "steps":
        return
    for row in trainer.rows:
        if row["learning_rate"] != optimization.learning_rate_at(row["epoch"] - 1):
            warnings.warn(
                f"{folder}: epoch {row['epoch']} had the learning rate {row['learning_rate']:g}, which "
                f"{optimization.learning_rate_at(row['epoch'] - 1):g} would be on the schedule of {optimization.epochs} epochs; "
                f"the result is not that of {optimization.epochs} epochs from the start",
                RuntimeWarning,
                stacklevel=4,
            )
            return


def _finished(trainer: Trainer, record: dict[str, Any], initial: igraph.Graph, folder: Path | None) -> Run:
    """Return the run that is trained now; stored, and opened again, if it has a folder."""
    optimization, score = trainer.config.optimization, f"test_{trainer.task.score.name}"
    trained = with_provenance(
        write_back(trainer.trained, initial),
        data=record["data"]["name"],
        data_fingerprint=record["data_fingerprint"],
        seed=optimization.seed,
        epochs=len(trainer.rows),
        edge_l1=optimization.edge_l1,
        edge_change=trainer.rows[-1]["edge_change"],
        **{score: trainer.rows[-1][score]},
    )
    run = Run(
        record=record,
        initial_graph=initial,
        graph=trained,
        metrics=pd.DataFrame(trainer.rows),
        history=edge_history(trainer),
        weights={
            key: value.detach().to("cpu", copy=True).contiguous()
            for key, value in trainer.trained.state_dict().items()
        },
    )
    if folder is None:
        return run
    write_records(trainer, folder)
    store_run(folder, graph=run.graph, weights=run.weights)
    return Run.open(folder)
