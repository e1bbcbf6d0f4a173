"""Training runs: a graph and a data set in, a folder with the trained graph out, resumable at any moment."""

import contextlib
import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import filelock
import igraph
import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from graphtask.compiler.module import Execution, Gate, GraphModule
from graphtask.compiler.module import compile as compile_graph
from graphtask.compiler.writeback import write_back
from graphtask.data.batches import Batches, channel_statistics
from graphtask.data.catalog import load_data
from graphtask.data.dataset import ImageData
from graphtask.errors import ArgumentError, RunError, RunInterruptedError
from graphtask.graph import check, edge_names, with_initial_size, with_provenance
from graphtask.storage.atomic import write_atomically
from graphtask.storage.graphml import dumps, read, write
from graphtask.training.checkpoint import PREVIOUS, load_checkpoint, save_checkpoint
from graphtask.training.history import EdgeHistory, load_history
from graphtask.training.loop import Trainer
from graphtask.training.progress import ProgressBar, Reporter, Silence
from graphtask.training.regime import Regime

CONFIG = "config.json"
PROVENANCE = "provenance.json"
INITIAL = "initial.graphml"
TRAINED = "trained.graphml"
METRICS = "metrics.csv"
HISTORY = "history.npz"
WEIGHTS = "weights.safetensors"
LOCK = "run.lock"

PRECISIONS = ("fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda", "mps")

# What makes two runs the same run; the rest of the config (device, threads …) may change when a run is resumed.
_IDENTITY = ("graph_sha256", "data_fingerprint", "channels", "gate", "seed", "precision", "regime")


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

    def module(self, *, device: str = "cpu", execution: Execution = "auto") -> GraphModule:
        """The trained network, in evaluation mode."""
        net = compile_graph(
            self.graph,
            channels=self.config["channels"],
            in_channels=self.config["in_channels"],
            num_classes=self.config["num_classes"],
            gate=self.config["gate"],
            execution=execution,
        )
        net.load_state_dict(self.weights)
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
        return images


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
    data_root: str | Path | None = None,
    download: bool = False,
    transforms: Sequence[str] = (),
    data_seed: int = 0,
    threads: int | None = None,
    progress: bool = True,
    checkpoint_seconds: float = 300.0,
) -> Run:
    """Train the network of a graph under a price on every connection, and give back the trained graph.

    Killed at any moment, the same call goes on where the last checkpoint stands; on a CPU with the same number of
    threads it ends with the same bits as an undisturbed run. A finished run is not trained again, but opened.

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
        execution: How the network is executed: ``auto``, ``fast`` or ``plain``.
        gate: Of the edge weights: ``tanh``, ``sigmoid`` or ``none``.
        data_root: Where data sets of the catalog lie.
        download: Whether they may be downloaded.
        transforms: More transforms of the images, such as ``("pad:2", "colour")``.
        data_seed: Of the data set's random colours and tiles.
        threads: CPU threads during this call; None leaves PyTorch's number.
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
        >>> run.metrics["epoch"].tolist(), run.history.w.shape, run.graph.es.attributes()
        ([1], (2, 6), ['weight', 'w'])
    """
    check(graph)
    regime = regime or Regime()
    if precision not in PRECISIONS:
        raise ArgumentError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    target = choose_device(device)
    images = load_data(data, root=data_root, download=download, transforms=transforms, seed=data_seed)
    initial = with_initial_size(graph)
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
        "num_classes": images.n_classes,
        "gate": gate,
        "seed": seed,
        "precision": precision,
        "regime": json.loads(json.dumps(asdict(regime))),
        "device": str(target),
        "execution": execution,
    }
    folder = None if out is None else Path(out)
    with _threads(threads), _claimed(folder, config, initial):
        if folder is not None and (folder / WEIGHTS).exists():
            return _with_data(open_run(folder), images)
        module = compile_graph(
            initial,
            channels=channels,
            in_channels=images.in_channels,
            num_classes=images.n_classes,
            gate=gate,
            execution=execution,
            seed=seed,
        ).to(target)
        trainer = _trainer(module, images, regime=regime, seed=seed, precision=precision)
        _fit(trainer, folder, progress=progress, checkpoint_seconds=checkpoint_seconds, name=images.name)
        run = _finished(trainer, config, initial, images)
        return run if folder is None else _store(run, folder)


def open_run(folder: str | Path) -> Run:
    """The finished run that `train` stored in ``folder``.

    Raises:
        RunError: The folder holds no run, or one that is not finished, or that is damaged.
    """
    folder = Path(folder)
    config = _read_config(folder)
    if not (folder / WEIGHTS).exists():
        raise RunError(f"{folder}: the run is not finished; run the same train command again to finish it")
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        metrics = pd.read_csv(folder / METRICS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise RunError(
            f"{folder}: the run is damaged ({error}); delete the folder and train again"
        ) from error
    return Run(
        config=config,
        initial_graph=read(folder / INITIAL),
        graph=read(folder / TRAINED),
        metrics=metrics,
        history=load_history(folder / HISTORY),
        weights=weights,
        folder=folder,
    )


def choose_device(device: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA if there is one, else MPS, else the CPU.

    Raises:
        ArgumentError: There is no such device here.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    kind, _, index = device.partition(":")
    if kind not in available or (index and not index.isdecimal()):
        raise ArgumentError(
            f"device {device!r} is unknown; use one of {', '.join(DEVICES)}, cuda:0, cuda:1 …"
        )
    if not available[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        there = ", ".join(name for name, there in available.items() if there)
        raise ArgumentError(f"device {device!r} is not available here; use auto or one of: {there}")
    return torch.device(device)


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


def _trainer(module: GraphModule, images: ImageData, *, regime: Regime, seed: int, precision: str) -> Trainer:
    train, test = data_batches(images, regime=regime, device=module.edge_weight.device)
    return Trainer(module, train=train, test=test, regime=regime, seed=seed, precision=precision)


def _fit(
    trainer: Trainer, folder: Path | None, *, progress: bool, checkpoint_seconds: float, name: str
) -> None:
    if folder is not None:
        state, warning = load_checkpoint(folder)
        if warning:
            warnings.warn(warning, RuntimeWarning, stacklevel=4)
        if state is not None:
            trainer.load_state_dict(state)
    keeper = _Keeper(trainer, folder, checkpoint_seconds)
    with _reporter(trainer, progress=progress, name=name) as reporter, _stop_requests(keeper):
        trainer.fit(reporter=reporter, on_step=keeper.after_step, on_epoch=keeper.after_epoch)


class _Keeper:
    """Saves the state of a trainer when it is time, and stops it when somebody asked for that."""

    def __init__(self, trainer: Trainer, folder: Path | None, seconds: float) -> None:
        self.trainer = trainer
        self.folder = folder
        self.stop = False
        self._seconds = seconds
        self._saved = time.monotonic()

    def after_step(self) -> None:
        if self.stop:
            self._save()
            raise RunInterruptedError(
                f"stopped in epoch {self.trainer.epoch + 1} of {self.trainer.regime.epochs}; everything is saved in "
                f"{self.folder}: run the same command again to go on"
            )
        if time.monotonic() - self._saved > self._seconds:
            self._save()

    def after_epoch(self) -> None:
        self._save()
        if self.folder is not None:
            _write_records(self.trainer, self.folder)

    def _save(self) -> None:
        self.trainer.check_finite()
        if self.folder is not None:
            save_checkpoint(self.folder, self.trainer.state_dict())
        self._saved = time.monotonic()


@contextlib.contextmanager
def _stop_requests(keeper: _Keeper) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a stop after the current step; the second one acts at once."""
    if keeper.folder is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request(_number: int, _frame: FrameType | None) -> None:
        keeper.stop = True
        restore()

    for number in signals:
        signal.signal(number, request)
    try:
        yield
    finally:
        restore()


def _reporter(trainer: Trainer, *, progress: bool, name: str) -> contextlib.AbstractContextManager[Reporter]:
    if not progress:
        return contextlib.nullcontext(Silence())
    n_steps = len(trainer.train)
    return ProgressBar(
        n_epochs=trainer.regime.epochs,
        n_steps=n_steps,
        n_done=trainer.epoch * n_steps + trainer.step,
        n_edges=len(trainer.module.edge_weight),
        title=name,
    )


def _finished(trainer: Trainer, config: dict[str, Any], initial: igraph.Graph, images: ImageData) -> Run:
    trained = with_provenance(
        write_back(trainer.module, initial),
        data=images.name,
        data_fingerprint=images.fingerprint,
        seed=trainer.seed,
        epochs=trainer.regime.epochs,
        resource_price=trainer.regime.resource_price,
        test_accuracy=trainer.rows[-1]["test_accuracy"],
    )
    return Run(
        config=config,
        initial_graph=initial,
        graph=trained,
        metrics=pd.DataFrame(trainer.rows),
        history=_history(trainer),
        weights={
            key: value.detach().to("cpu", copy=True).contiguous()
            for key, value in trainer.module.state_dict().items()
        },
        _data=images,
    )


def _store(run: Run, folder: Path) -> Run:
    write(run.graph, folder / TRAINED)
    # The weights come last: where they are, the run is finished.
    with write_atomically(folder / WEIGHTS) as file:
        file.write(safetensors.torch.save(run.weights))
    (folder / PREVIOUS).unlink(missing_ok=True)
    return _with_data(open_run(folder), run.data())


def _with_data(run: Run, images: ImageData) -> Run:
    return Run(**{**vars(run), "_data": images})


def _history(trainer: Trainer) -> EdgeHistory:
    return EdgeHistory(
        edges=tuple(edge_names(trainer.module.graph)),
        w=np.stack([weights.numpy() for weights in trainer.history]),
        gate=trainer.module.gate,
    )


def _write_records(trainer: Trainer, folder: Path) -> None:
    with write_atomically(folder / METRICS) as file:
        pd.DataFrame(trainer.rows).to_csv(file, index=False)
    _history(trainer).save(folder / HISTORY)


@contextlib.contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if threads is not None:
        if threads < 1:
            raise ArgumentError(f"threads is {threads}; use at least 1")
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _claimed(folder: Path | None, config: dict[str, Any], initial: igraph.Graph) -> Iterator[None]:
    """Hold the run folder for this process: made if new, refused if it holds another run or is in use."""
    if folder is None:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunError(f"{folder}: another process is training this run; wait for it, or stop it") from error
    except OSError as error:
        raise RunError(f"{folder}: the run folder cannot be used ({error.strerror})") from error
    try:
        if (folder / CONFIG).exists():
            _check_same_run(folder, config)
        else:
            strangers = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
            if strangers and not (folder / INITIAL).exists():
                raise RunError(
                    f"{folder}: the folder is not empty ({strangers[0]} …) and holds no run; choose another one"
                )
            write(initial, folder / INITIAL)
            _write_json(folder / CONFIG, config)
        _write_json(folder / PROVENANCE, _environment(config))
        yield
    finally:
        lock.release()


def _check_same_run(folder: Path, config: dict[str, Any]) -> None:
    stored = _read_config(folder)
    for key in _IDENTITY:
        if stored[key] == config[key]:
            continue
        before, now = stored[key], config[key]
        if key == "regime":
            key = next(name for name in now if before.get(name) != now[name])  # noqa: PLW2901
            before, now = before.get(key), now[key]
        raise RunError(
            f"{folder}: holds a run with another {key} ({before} there, {now} asked for); choose another folder, "
            f"or repeat that run's options to go on with it"
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"{folder}: no {CONFIG} here, so this is not a run folder; make one with train"
        ) from error
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder / CONFIG}: cannot be read ({error}); delete the folder and train again"
        ) from error
    if not isinstance(config, dict) or not all(key in config for key in _IDENTITY):
        raise RunError(f"{folder / CONFIG}: is not the config of a run; delete the folder and train again")
    return config


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with write_atomically(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def _environment(config: dict[str, Any]) -> dict[str, Any]:
    packages = ("graphtask", "torch", "torchvision", "numpy", "igraph", "scipy", "pandas")
    device = torch.device(config["device"])
    return {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "seed": config["seed"],
        "data_fingerprint": config["data_fingerprint"],
    }
