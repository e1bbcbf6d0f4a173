"""Training runs: a graph and a data set in, a folder with the trained graph out, resumable at any moment."""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import igraph
import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from graphtask.compiler.execution import Execution
from graphtask.compiler.module import Gate, GraphModule
from graphtask.compiler.module import compile as compile_graph
from graphtask.compiler.blocks import share_statistics
from graphtask.compiler.writeback import write_back
from graphtask.data.batches import Batches, channel_statistics
from graphtask.data.catalog import load_data
from graphtask.data.dataset import ImageData
from graphtask.errors import ArgumentError, DivergedError, RunError
from graphtask.graph import RAW_WEIGHT, check_graph, untrained, with_initial_size, with_provenance
from graphtask.runs.history import EdgeHistory, load_history
from graphtask.runs.status import note_divergence, unfinished
from graphtask.storage.atomic import write_atomically
from graphtask.storage.csv_table import read_csv
from graphtask.storage.graphml import dumps, read, write
from graphtask.training.checkpoint import load_checkpoint
from graphtask.training.config import Regime
from graphtask.training.cuda_graph import cuda_recorder
from graphtask.training.device import choose_device, limited_threads
from graphtask.training.distributed import check_batch_size, join
from graphtask.training.folder import (
    HISTORY,
    INITIAL,
    METRICS,
    PREVIOUS_CHECKPOINT,
    TRAINED,
    WEIGHTS,
    claimed,
    read_config,
)
from graphtask.training.keeper import Keeper, edge_history, stop_requests, write_records
from graphtask.training.loop import Trainer
from graphtask.training.progress import ProgressBar, Reporter, Silence
from graphtask.validation import counted, image_size

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training run.

    Args:
        config: What was asked for, as in ``config.json``.
        initial_graph: The graph that training started from.
        graph: The trained graph, with ``weight`` and ``w`` on every edge.
        metrics: One row an epoch: ``epoch`` (from 1), ``learning_rate``, ``train_loss`` and ``test_loss`` (mean
            cross-entropy), ``train_accuracy`` and ``test_accuracy`` (in [0, 1]), ``resource_loss`` (Σ|gate(w)|),
            ``live_edges`` (of magnitude ≥ the regime's threshold), ``seconds`` (of training, without the test).
        history: Every edge weight at the start and at the end of every epoch.
        weights: The final parameters and buffers of the network, by state-dict key.
        folder: Where all of it is stored; None if nowhere.
    """

    config: dict[str, Any]
    initial_graph: igraph.Graph
    graph: igraph.Graph
    metrics: pd.DataFrame
    history: EdgeHistory
    weights: dict[str, Tensor]
    folder: Path | None = None
    _data: ImageData | None = None

    def __repr__(self) -> str:
        last = self.metrics.iloc[-1]
        return (
            f"Run({self.config['data']['name']}, seed {self.config['seed']}, {counted(self.graph.vcount(), 'node')}, "
            f"{counted(self.graph.ecount(), 'edge')}, {counted(len(self.metrics), 'epoch')}, test accuracy {last['test_accuracy']:.1%}, "
            f"folder {str(self.folder) if self.folder else None!r})"
        )

    def module(self, *, device: str = "cpu", execution: Execution = "auto") -> GraphModule:
        """The trained network, in evaluation mode.

        Raises:
            RunError: The stored parameters are not those of the trained graph's network.
        """
        net = compile_graph(
            self.graph,
            channels=self.config["channels"],
            in_channels=self.config["in_channels"],
            n_classes=self.config["n_classes"],
            gate=self.config["gate"],
            execution=execution,
        )
        try:
            net.load_state_dict(self.weights)
        except RuntimeError as error:
            raise RunError(
                f"{self.folder or 'the run'}: the weights do not fit the trained graph; delete the folder and train again"
            ) from error
        return net.to(choose_device(device)).eval()

    def data(self) -> ImageData:
        """The data set of the run, loaded again.

        Raises:
            DataError: It is not where it was.
            RunError: It is not what it was.
        """
        if self._data is not None:
            return self._data
        source = self.config["data"]
        if source["source"] is None:
            raise RunError("this run was trained on arrays in memory; pass them on: data=…")
        images = load_data(
            source["source"], root=source["root"], transforms=source["transforms"], seed=source["seed"]
        )
        if images.fingerprint != self.config["data_fingerprint"]:
            raise RunError(
                f"{source['source']} is not the data that this run was trained on (its sha256 differs); "
                f"pass the right data on: data=…"
            )
        return replace(images, name=source["name"])


def train(
    graph: igraph.Graph,
    *,
    data: str | Path | ImageData,
    out: str | Path | None = None,
    channels: int = 11,
    seed: int = 0,
    regime: Regime | None = None,
    device: str = "auto",
    precision: str = "fp32",
    execution: Execution = "auto",
    gate: Gate = "tanh",
    fresh: bool = False,
    data_root: str | Path | None = None,
    download: bool = False,
    transforms: Sequence[str] = (),
    data_seed: int = 0,
    data_name: str | None = None,
    threads: int | None = None,
    cuda_graph: bool = True,
    progress: bool = True,
    checkpoint_seconds: float = 300.0,
) -> Run:
    """Train the network of a graph under a price on every connection, and give back the trained graph.

    Killed at any moment, the same call goes on where the last checkpoint stands; on a CPU with the same number of
    threads it ends with the same bits as an undisturbed run. A finished run is not trained again, but opened.

    In processes that ``torchrun`` started, all of them train this run together, each on its slice of every batch; the
    result is that of one process, but for rounding. Each of them gets the same run back.

    Args:
        graph: A valid architecture graph; edges with ``w`` start from it.
        data: A name of the catalog (``cdigits``, ``cmnist``, ``cifar10`` …), a path to an ``.npz`` or to an image
            folder, or the data itself.
        out: Folder of the run, made if need be; None keeps everything in memory (and cannot resume).
        channels: Channels of stage 0, at least 1.
        seed: Of the parameters, the order of the images and their augmentation.
        regime: How to train; None is `Regime`, Appendix A of the paper.
        device: ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``fp32`` or ``bf16``.
        execution: How the network is executed: ``auto``, ``fused`` or ``plain``.
        gate: Of the edge weights: ``tanh``, ``sigmoid`` or ``none``.
        fresh: Whether a trained graph starts anew, as from its prior, instead of from its edge weights.
        data_root: Where data sets of the catalog lie.
        download: Whether they may be downloaded.
        transforms: More transforms of the images, such as ``("pad:2", "color")``.
        data_seed: Of the data set's random colors and tiles.
        data_name: What the data set is called in tables and in the graph's provenance; None takes its own name, which
            for a file is that of the file.
        threads: CPU threads during this call; None leaves PyTorch's number.
        cuda_graph: Whether one process on a GPU captures the training step as a CUDA graph and replays it, which gives
            the same results faster, in more memory; elsewhere it makes no difference.
        progress: Whether to report progress on standard error.
        checkpoint_seconds: Seconds between checkpoints within an epoch; there is one after every epoch in any case.

    Raises:
        GraphError: The graph is not valid.
        ArgumentError: An option is outside its range.
        DataError: The data cannot be loaded.
        RunError: The folder holds another run, is in use by another process, or is damaged.
        DivergedError: The loss is not finite any more.
        RunInterruptedError: Ctrl-C or SIGTERM; the state is saved.

    Example:
        >>> import graphtask as gt
        >>> quick = gt.Regime(epochs=1, batch_size=64)
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(4), data=digits, channels=2, regime=quick, progress=False)
        >>> run.metrics["epoch"].tolist(), run.history.w.shape, sorted(run.graph.es.attributes())
        ([1], (2, 6), ['w', 'weight'])
    """
    check_graph(graph)
    regime = regime or Regime()
    if precision not in PRECISIONS:
        raise ArgumentError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    processes, target = join(device)
    check_batch_size(regime.batch_size, processes)
    images = processes.in_turn(
        lambda: load_data(data, root=data_root, download=download, transforms=transforms, seed=data_seed)
    )
    if data_name is not None:
        images = replace(images, name=data_name)
    initial = with_initial_size(untrained(graph) if fresh else graph)
    config = {
        "graph_sha256": hashlib.sha256(dumps(initial)).hexdigest(),
        "data": {
            "name": images.name,
            "source": _lasting(data),
            "root": None if data_root is None else str(Path(data_root).resolve()),
            "transforms": list(transforms),
            "seed": data_seed,
        },
        "data_fingerprint": images.fingerprint,
        "channels": channels,
        "in_channels": images.in_channels,
        "n_classes": images.n_classes,
        "size": list(images.size),
        "gate": gate,
        "seed": seed,
        "precision": precision,
        "regime": json.loads(json.dumps(asdict(regime))),
        "device": str(target),
        "execution": execution,
    }
    folder = None if out is None else Path(out)
    with limited_threads(threads):
        module = compile_graph(
            initial,
            channels=channels,
            in_channels=images.in_channels,
            n_classes=images.n_classes,
            gate=gate,
            execution=execution,
            seed=seed,
        ).to(target)
        image_size(images.size, last_stage=module.plan.output.stage)
        train, test = data_batches(images, regime=regime, device=target)
        if processes.size > 1:
            share_statistics(module, processes.gather)
        trainer = Trainer(
            module,
            train=train,
            test=test,
            regime=regime,
            seed=seed,
            precision=precision,
            processes=processes,
            recorder=cuda_recorder(module) if cuda_graph and processes.size == 1 else None,
        )
        # Only now, so that a wrong argument does not leave a folder behind that refuses the right one.
        with claimed(folder if processes.leads else None, config, initial, n_processes=processes.size):
            run = processes.same(lambda: _opened_if_finished(folder))
            if run is None:
                _fit(
                    trainer,
                    folder,
                    progress=progress and processes.leads,
                    checkpoint_seconds=checkpoint_seconds,
                    name=images.name,
                )
                run = processes.same(lambda: _finished(trainer, config, initial, folder))
            return replace(run, _data=images)


def open_run(folder: str | Path) -> Run:
    """The finished run that `train` stored in ``folder``.

    Raises:
        RunError: The folder holds no run, or one that is not finished, or that is damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    if not (folder / WEIGHTS).exists():
        raise RunError(f"{folder}: {unfinished(folder)}")
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        metrics = read_csv(folder / METRICS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise RunError(
            f"{folder}: the run is damaged ({error}); delete the folder and train again"
        ) from error
    graph = read(folder / TRAINED)
    if "test_accuracy" not in metrics or weights["edge_weight"].tolist() != graph.es[RAW_WEIGHT]:
        raise RunError(f"{folder}: its files are not of one run; delete the folder and train again")
    return Run(
        config=config,
        initial_graph=read(folder / INITIAL),
        graph=graph,
        metrics=metrics,
        history=load_history(folder / HISTORY),
        weights=weights,
        folder=folder,
    )


def data_batches(images: ImageData, *, regime: Regime, device: torch.device) -> tuple[Batches, Batches]:
    """Training batches (augmented as the regime says) and test batches of a data set, on ``device``."""
    mean, std = channel_statistics(images.x_train)
    train = Batches(
        images.x_train,
        images.y_train,
        batch_size=regime.batch_size,
        mean=mean,
        std=std,
        device=device,
        padding=regime.crop_padding,
        flip=regime.flip,
    )
    test = Batches(
        images.x_test, images.y_test, batch_size=regime.batch_size, mean=mean, std=std, device=device
    )
    return train, test


def _lasting(data: str | Path | ImageData) -> str | None:
    """The name or path that finds the data again from any working directory; None for arrays in memory."""
    if isinstance(data, ImageData):
        return None
    return str(Path(data).resolve()) if Path(data).exists() else str(data)


def _opened_if_finished(folder: Path | None) -> Run | None:
    return open_run(folder) if folder is not None and (folder / WEIGHTS).exists() else None


def _fit(
    trainer: Trainer, folder: Path | None, *, progress: bool, checkpoint_seconds: float, name: str
) -> None:
    if folder is not None:
        state = trainer.processes.same(lambda: _newest_state(folder))
        if state is not None:
            trainer.load_state_dict(state)
    keeper = Keeper(trainer, folder, checkpoint_seconds)
    with _reporter(trainer, progress=progress, name=name) as reporter, stop_requests(keeper):
        try:
            trainer.fit(reporter=reporter, on_step=keeper.after_step, on_epoch=keeper.after_epoch)
        except DivergedError as error:
            if folder is not None and trainer.processes.leads:
                note_divergence(folder, str(error))
            raise


def _newest_state(folder: Path) -> dict[str, Any] | None:
    state, warning = load_checkpoint(folder)
    if warning:
        warnings.warn(warning, RuntimeWarning, stacklevel=6)
    return state


def _reporter(trainer: Trainer, *, progress: bool, name: str) -> contextlib.AbstractContextManager[Reporter]:
    if not progress:
        return contextlib.nullcontext(Silence())
    n_steps = len(trainer.train)
    return ProgressBar(
        n_epochs=trainer.regime.epochs,
        n_steps=n_steps,
        n_done=trainer.epoch * n_steps + trainer.step,
        n_edges=len(trainer.module.edge_weight),
        connections=trainer.connections(),
        title=name,
    )


def _finished(trainer: Trainer, config: dict[str, Any], initial: igraph.Graph, folder: Path | None) -> Run:
    """The run that is trained now; stored, and opened again, if it has a folder."""
    trained = with_provenance(
        write_back(trainer.module, initial),
        data=config["data"]["name"],
        data_fingerprint=config["data_fingerprint"],
        seed=trainer.seed,
        epochs=trainer.regime.epochs,
        edge_l1=trainer.regime.edge_l1,
        test_accuracy=trainer.rows[-1]["test_accuracy"],
    )
    run = Run(
        config=config,
        initial_graph=initial,
        graph=trained,
        metrics=pd.DataFrame(trainer.rows),
        history=edge_history(trainer),
        weights={
            key: value.detach().to("cpu", copy=True).contiguous()
            for key, value in trainer.module.state_dict().items()
        },
    )
    if folder is None:
        return run
    _store(run, trainer, folder)
    return open_run(folder)


def _store(run: Run, trainer: Trainer, folder: Path) -> None:
    write_records(trainer, folder)
    write(run.graph, folder / TRAINED)
    # The weights come last: where they are, the run is finished.
    with write_atomically(folder / WEIGHTS) as file:
        file.write(safetensors.torch.save(run.weights))
    (folder / PREVIOUS_CHECKPOINT).unlink(missing_ok=True)
