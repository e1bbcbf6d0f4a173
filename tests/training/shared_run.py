"""One of several processes that train together; started by test_parallel.py as ``shared_run.py FOLDER RANK SIZE``."""

import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import distributed

import graphtask as gt
from graphtask.compiler.blocks import share_statistics
from graphtask.data.batches import Batches, channel_statistics
from graphtask.training.distributed import Processes, join
from graphtask.training.loop import Trainer

EVEN = gt.TrainConfig(epochs=2, batch_size=50, learning_rate=0.05, threshold=0.3)


def images():
    """Noise whose brightness depends on its class, in batches of 50, 50 and 3: too few for two processes."""
    rng = np.random.Generator(np.random.PCG64(0))
    labels = rng.integers(4, size=144)
    pixels = rng.integers(100, size=(144, 16, 16, 3)) + 50 * labels[:, None, None, None]
    split = slice(103), slice(103, None)
    x_train, x_test = (pixels.astype(np.uint8)[part] for part in split)
    y_train, y_test = (labels[part] for part in split)
    return gt.data.ImageData("noise", x_train, y_train, x_test, y_test, tuple("abcd"))


def states(processes: Processes, execution: str, dtype: torch.dtype):
    """The state of the network after every step, and the rows of the metrics table."""
    data = images()
    net = gt.compile(gt.full_dag(5, stages=2), channels=2, n_classes=4, seed=1, execution=execution).to(dtype)
    if processes.size > 1:
        share_statistics(net, processes.gather)
    mean, std = channel_statistics(data.x_train)
    options = {"batch_size": 50, "mean": mean, "std": std, "dtype": dtype}
    trainer = Trainer(
        net,
        train=Batches(data.x_train, data.y_train, padding=4, flip=True, **options),
        test=Batches(data.x_test, data.y_test, **options),
        config=gt.TrainConfig(
            epochs=2, batch_size=50, learning_rate=0.05, edge_l1=0.01, seed=2, gradient_clip=1.0, warm_up=0.5
        ),
        processes=processes,
    )
    found = []
    trainer.fit(
        on_step=lambda: found.append({key: value.clone() for key, value in net.state_dict().items()}),
    )
    return found, trainer.rows


def train(out, **options):
    return gt.train(
        gt.full_dag(6), data=images(), out=out, channels=2, seed=3, config=EVEN, progress=False, **options
    )


def stopped(out: Path, rank: int, *, asked: int, step: int) -> str:
    """What a run says in which one process gets SIGTERM after a step."""
    train_step = Trainer._train_step
    steps = 0

    def killed(self, *batch):
        nonlocal steps
        train_step(self, *batch)
        steps += 1
        if (rank, steps) == (asked, step):
            os.kill(os.getpid(), signal.SIGTERM)

    Trainer._train_step = killed
    try:
        train(out)
    except gt.errors.RunInterruptedError as error:
        return str(error)
    finally:
        Trainer._train_step = train_step
    return ""


def refused() -> str:
    """What is said of batches that cannot be shared."""
    try:
        gt.train(gt.full_dag(3), data=images(), config=gt.TrainConfig(batch_size=3), progress=False)
    except gt.errors.ArgumentError as error:
        return str(error)
    return ""


def main(folder: Path, rank: int, size: int) -> None:
    warnings.simplefilter("error")
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    processes, _ = join("cpu")
    outcome = {
        name: states(processes, execution, dtype)
        for name, execution, dtype in (
            ("fused64", "fused", torch.float64),
            ("plain64", "plain", torch.float64),
            ("fused32", "fused", torch.float32),
        )
    }
    run = train(folder / "run")
    outcome["weights"] = run.weights
    outcome["again"] = train(folder / "run").weights
    outcome["memory"] = train(None).weights
    outcome["refused"] = refused()
    outcome["stopped"] = stopped(folder / "stopped", rank, asked=1, step=4)
    outcome["resumed"] = train(folder / "stopped").weights
    outcome["half"] = stopped(folder / "half", rank, asked=0, step=2)
    torch.save(outcome, folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
