"""Time training steps on random images; the data are not needed."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphtask.compiler.module import GraphModule
from graphtask.compiler.module import compile as compile_graph
from graphtask.data.dataset import ImageData
from graphtask.data.extent import Extent
from graphtask.data.targets import CLASSES, PIXELS, VALUES
from graphtask.graph import untrained
from graphtask.study.job import Job
from graphtask.training.batches import split_batches
from graphtask.training.cuda_graph import WARM_UP, cuda_recorder
from graphtask.training.device import choose_device, limited_threads
from graphtask.training.loop import Trainer
from graphtask.training.task import task_of
from graphtask.types import STANDARD
from graphtask.validation import counted

_SECONDS = 1.0  # approximate time of all timed steps
_MOST_STEPS = 50
_FEW = WARM_UP + 1  # steps, enough for a capture


def seconds_per_step(job: Job, extent: Extent) -> tuple[float, int]:
    """Return the seconds of a training step of a job on this machine, augmentation included, and the number of steps.

    Args:
        job: The job.
        extent: Of its data.

    Raises:
        GraphtaskError: Its graph cannot be created, or this machine lacks its device.
    """
    config = job.config
    with limited_threads(config.runtime.threads):
        module = compile_graph(
            untrained(job.graph()),
            channels=config.model.channels,
            in_channels=extent.in_channels,
            n_classes=extent.n_classes,
            gate=config.model.gate,
            execution=config.runtime.execution,  # type: ignore[arg-type]
            block=config.model.block or STANDARD,
            head=task_of(config).head,
        ).to(choose_device(job.device))
        # The first steps are excluded: they allocate memory.
        step = _timed(module, job, extent, n_steps=1)
        if step < _SECONDS:
            step = _timed(module, job, extent, n_steps=_FEW) / _FEW
        least = 2 if module.edge_weight.device.type == "cpu" else _FEW
        n_steps = min(max(int(_SECONDS / step), least), _MOST_STEPS)
        return _timed(module, job, extent, n_steps=n_steps) / n_steps, n_steps


def _timed(module: GraphModule, job: Job, extent: Extent, *, n_steps: int) -> float:
    """Return the seconds of an epoch with that number of steps."""
    recorder = cuda_recorder(module) if job.config.runtime.cuda_graph else None
    epochs = 1 if recorder is None else 2  # the first one captures the step, the second replays it
    # With random labels and the learning rate of the job, the loss would diverge.
    config = job.config.replace(epochs=epochs, learning_rate=1e-9, validation=None, early_stopping=0)
    n_images = n_steps * config.optimization.batch_size
    rng = np.random.Generator(np.random.PCG64(0))
    images = rng.integers(0, 256, (n_images, *extent.size, extent.in_channels), dtype=np.uint8)
    kinds: dict[str, npt.NDArray[Any]] = {
        CLASSES: rng.integers(0, extent.n_classes, n_images),
        VALUES: rng.integers(0, 2, (n_images, extent.n_classes)).astype(np.float32),
        PIXELS: rng.integers(0, extent.n_classes, (n_images, *extent.size)),
    }
    labels = kinds[job.data.targets]
    names = tuple(map(str, range(extent.n_classes)))
    random_data = ImageData("random", images, labels, images[:1], labels[:1], names)
    batches = split_batches(random_data, config, device=module.edge_weight.device)
    trainer = Trainer(module, train=batches.train, test=batches.test, config=config, recorder=recorder)
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.fit()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # On a CPU, time in which this process was idle was used by others, and is excluded.
    share = min(cpu / wall, 1.0) if module.edge_weight.device.type == "cpu" else 1.0
    return float(trainer.rows[-1]["seconds"]) * share


def place_of(job: Job) -> str:
    """Return the device of a job on this machine, for messages.

    Raises:
        ArgumentError: This machine lacks its device.
    """
    device = choose_device(job.device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "MPS"
    return counted(job.threads, "CPU thread")
