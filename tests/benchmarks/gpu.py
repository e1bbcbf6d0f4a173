# ruff: noqa: T201  # a command that prints
"""Prints what training costs on a GPU, and how far that is from what it could: ``python -m tests.benchmarks.gpu``.

``--device cpu --quick`` runs the same code on tiny networks, with a stand-in for the CUDA graph.
"""

import argparse
import gc
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import igraph
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import graphtask as gt

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests are no package


from benchmarks.baseline import run_published
from benchmarks.floors import (
    captured_launch_seconds,
    copied_bytes_per_second,
    floor_bytes,
    launch_seconds,
    launches_of,
    timed,
)
from benchmarks.workloads import PAPER, like_the_paper
from graphtask.compiler.execution import Executor, run_plain
from graphtask.compiler.fused.staged import run_fused
from graphtask.compiler.fused.workspace import step_layouts
from graphtask.data.batches import Batches
from graphtask.training.cuda_graph import WARM_UP, CudaRecorder, Recorder
from graphtask.training.loop import Trainer

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    nodes: int = 60
    channels: int = 11
    n_images: int = 50_000
    side: int = 32
    batch: int = 128
    part: int = 5_000
    """Images of the part of an epoch that slow executions are measured on."""
    copied: int = 2**31
    launches: int = 2_000
    repeats: int = 20
    seeds: int = 3
    epochs: int = 16
    """Of the runs whose accuracy is compared."""


QUICK = Scale(
    nodes=6, channels=2, n_images=70, side=8, batch=32, part=40, copied=2**16, launches=10, repeats=1, seeds=1, epochs=1
)  # fmt: skip


@dataclass(frozen=True)
class Execution:
    """One way to train a network."""

    executor: Executor
    whole: bool
    """Whether a whole epoch is measured, not only a part of it."""
    captured: bool = False
    channels_last: bool | None = None


EXECUTIONS = {
    "published": Execution(run_published, whole=False),
    "plain": Execution(run_plain, whole=False),
    "fused": Execution(run_fused, whole=True),
    "fused, channels last": Execution(run_fused, whole=False, captured=True, channels_last=True),
    "fused, captured": Execution(run_fused, whole=True, captured=True),
}


class CalledAgain:
    """Stands in for a CUDA graph where there is none: what is recorded is called."""

    def warm_up(self, work: Callable[[], None]) -> None:
        work()

    def forget(self) -> None:
        pass

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        return work


@dataclass(frozen=True)
class Bench:
    """Where, and how much, is measured."""

    device: torch.device
    scale: Scale

    def trainer(self, graph: igraph.Graph, execution: Execution, precision: str, *, n_images: int) -> Trainer:
        """Training of a network on noise, as many epochs as it takes until all steps are recorded, and one more."""
        scale = self.scale
        net = gt.compile(graph, channels=scale.channels, execution="fused").to(self.device)
        net.executor = execution.executor
        net.program.channels_last = execution.channels_last
        return Trainer(
            net,
            train=self.batches(n_images, padding=4, flip=True),
            test=self.batches(scale.batch),
            config=gt.TrainConfig(
                epochs=WARM_UP + 2 if execution.captured else 2, batch_size=scale.batch, precision=precision
            ),
            recorder=self.recorder() if execution.captured else None,
        )

    def recorder(self) -> Recorder:
        return CudaRecorder(self.device) if self.device.type == "cuda" else CalledAgain()

    def batches(self, n_images: int, **options: object) -> Batches:
        rng = np.random.Generator(np.random.PCG64(0))
        images = rng.integers(256, size=(n_images, self.scale.side, self.scale.side, 3), dtype=np.uint8)
        labels = rng.integers(10, size=n_images)
        return Batches(
            images, labels, batch_size=self.scale.batch, mean=[0.5] * 3, std=[0.25] * 3, device=self.device,
            **options,
        )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What training of one network in one way costs."""

    epoch: float
    """Seconds, of the last epoch; of a part, scaled to the whole."""
    n_steps: int
    allocated: int
    reserved: int
    launches: int


def measure(
    bench: Bench, graph: igraph.Graph, execution: Execution, precision: str, *, whole: bool
) -> Measured:
    on_gpu = bench.device.type == "cuda"
    gc.collect()
    before = 0
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(bench.device)
        before = torch.cuda.memory_allocated(bench.device)
    n_images = bench.scale.n_images if whole else bench.scale.part
    trainer = bench.trainer(graph, execution, precision, n_images=n_images)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", RuntimeWarning
        )  # a step that cannot be captured is not measured as if it were
        trainer.fit()
    peak = (
        (torch.cuda.max_memory_allocated(bench.device) - before, torch.cuda.max_memory_reserved(bench.device))
        if on_gpu
        else (0, 0)
    )
    n_steps = -(-bench.scale.n_images // bench.scale.batch)
    images, labels = next(trainer.train.epoch(seed=0, epoch=0))
    trainer.module.train()
    return Measured(
        epoch=trainer.rows[-1]["seconds"] * n_steps / len(trainer.train),
        n_steps=n_steps,
        allocated=peak[0],
        reserved=peak[1],
        launches=launches_of(lambda: trainer._train_step(images, labels), bench.device),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="default: both")
    parser.add_argument("--quick", action="store_true", help="tiny networks: only to see that it runs")
    options = parser.parse_args(arguments)
    bench = Bench(torch.device(options.device), QUICK if options.quick else Scale())
    precisions = options.precision or list(PRECISIONS)
    print(f"{machine(bench.device)}\n")
    parts = [partial(print_epochs, bench, precision) for precision in precisions]
    parts += [
        partial(print_pruned, bench, precisions[-1]),
        partial(print_convolutions, bench, precisions),
        partial(print_accuracy, bench),
    ]
    for part in parts:
        try:
            part()
        except (RuntimeError, RuntimeWarning) as error:  # the others may still run
            print(f"{part.func.__name__}: {str(error).splitlines()[0]}\n", flush=True)


def machine(device: torch.device) -> str:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU ({platform.machine()})"
    return f"{where}; Python {platform.python_version()}, PyTorch {torch.__version__}, graphtask {gt.__version__}"


def print_epochs(bench: Bench, precision: str) -> None:
    """Epochs of the full DAG, beside what they cannot be faster than."""
    scale, device = bench.scale, bench.device
    graph = gt.full_dag(scale.nodes, stages=3)
    net = gt.compile(graph, channels=scale.channels).to(device)
    images = torch.zeros(scale.batch, 3, scale.side, scale.side, device=device)
    moved = floor_bytes(net, images, itemsize=PRECISIONS[precision].itemsize)
    copied = copied_bytes_per_second(scale.copied, device)
    launch, captured = launch_seconds(scale.launches, device), captured_launch_seconds(scale.launches, device)
    print(
        f"{precision}: {net!r}\n{scale.n_images:,} images of {scale.side}×{scale.side} pixels, augmented, batch "
        f"{scale.batch}. A step moves at least {moved / 1e6:,.0f} MB, at the {copied / 1e9:,.0f} GB/s of a large copy "
        f"{1e3 * moved / copied:.2f} ms.\nA launch costs {1e6 * launch:.2f} µs, in a CUDA graph {1e6 * captured:.2f} µs."
        f"\nMarked *: measured on {scale.part:,} images, and scaled.\n"
    )
    print(
        "| execution | s an epoch | faster | ms a step | MB allocated | MB reserved | launches a step | byte floor "
        "| launch floor |\n" + "|---" * 9 + "|"
    )
    published = None
    for name, execution in EXECUTIONS.items():
        try:
            found = measure(bench, graph, execution, precision, whole=execution.whole)
        except (
            RuntimeError,
            RuntimeWarning,
        ) as error:  # out of memory, or not captured: the others may still run
            print(f"| {name} | {str(error).splitlines()[0]} |" + " |" * 7, flush=True)
            continue
        published = published or found.epoch
        step = found.epoch / found.n_steps
        cells = [
            name + ("" if execution.whole else " *"),
            f"{found.epoch:.2f}",
            f"{published / found.epoch:.2f}×",
            f"{1e3 * step:.2f}",
            f"{found.allocated / 1e6:,.0f}",
            f"{found.reserved / 1e6:,.0f}",
            f"{found.launches:,}",
            f"{moved / copied / step:.0%}",
            f"{found.launches * (captured if execution.captured else launch) / step:.0%}",
        ]
        print("| " + " | ".join(cells) + " |", flush=True)
    print()


def print_pruned(bench: Bench, precision: str) -> None:
    """The effect of the paper's Table 3: epochs of the full network, and of networks of the size it was pruned to."""
    captured = EXECUTIONS["fused, captured"]

    def epoch(graph: igraph.Graph) -> float:
        return measure(bench, graph, captured, precision, whole=False).epoch

    full = epoch(gt.full_dag(bench.scale.nodes, stages=3))
    print(
        f"{precision}, captured, all measured on {bench.scale.part:,} images and scaled: the full DAG takes {full:.2f} s "
        f"an epoch.\n\n| pruned like the paper's | nodes | edges | s an epoch | ratio | ratio in the paper |\n"
        + "|---" * 6
        + "|"
    )
    for name, graph, ratio in pruned_graphs(bench.scale):
        seconds = epoch(graph)
        print(
            f"| {name} | {graph.vcount()} | {graph.ecount()} | {seconds:.2f} | {full / seconds:.1f} | {ratio} |",
            flush=True,
        )
    print()


def pruned_graphs(scale: Scale) -> Iterator[tuple[str, igraph.Graph, float]]:
    if scale is QUICK:
        yield "chain", gt.chain_dag(3, stages=3), 1.0
        return
    for name, paper in PAPER.items():
        yield name, like_the_paper(name), paper.faster


def print_convolutions(bench: Bench, precisions: Sequence[str]) -> None:
    """The 3×3 convolutions of the full DAG, forward and backward, in both orders of memory."""
    scale = bench.scale
    orders = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
    columns = [f"{precision}, {order}" for precision in precisions for order in orders]
    print(f"| 3×3 convolution, µs | {' | '.join(columns)} |\n" + "|---" * (len(columns) + 1) + "|")
    stages = gt.compile(gt.full_dag(scale.nodes, stages=3), channels=1).program.stages
    size = (scale.batch, 3, scale.side, scale.side)
    images, *layouts = step_layouts(stages, size, channels=scale.channels, channels_last=False)
    pairs = [(images, layouts[0])]
    pairs += [(a, b) for i, a in enumerate(layouts) for b in layouts[i:]]
    for source, target in pairs:
        cells = [
            f"{1e6 * convolution_seconds(bench, source, target, PRECISIONS[precision], order):.0f}"
            for precision in precisions
            for order in orders.values()
        ]
        name = f"{source.channels}→{target.channels}, {source.height}×{source.width} to {target.height}×{target.width}"
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print()


def convolution_seconds(bench, source, target, dtype: torch.dtype, order: torch.memory_format) -> float:
    make = partial(torch.randn, dtype=dtype, device=bench.device)
    image = make(source.batch, source.channels, source.height, source.width).to(memory_format=order)
    weight = make(target.channels, source.channels, 3, 3).to(memory_format=order)
    gradient = make(target.batch, target.channels, target.height, target.width).to(memory_format=order)
    arguments: list[Tensor] = [image.requires_grad_(), weight.requires_grad_()]

    def work() -> None:
        for _ in range(bench.scale.repeats):
            value = functional.conv2d(*arguments, stride=source.height // target.height, padding=1)
            torch.autograd.grad(value, arguments, gradient)

    work()
    return min(timed(work, bench.device) for _ in range(3)) / bench.scale.repeats


def print_accuracy(bench: Bench) -> None:
    """What a short run learns in each precision."""
    scale = bench.scale
    graph = gt.full_dag(12, stages=3)
    digits = gt.load_data("cdigits")
    if scale is QUICK:
        digits = digits.subset(n_train=60, n_test=20, seed=0)
    config = gt.TrainConfig(epochs=scale.epochs, batch_size=32, edge_l1=0.02)
    print(
        f"{digits.name}, full DAG of 12 nodes, 4 channels, {scale.epochs} epochs of batches of 32, price 0.02\n\n"
        "| precision | test accuracy of each seed | mean |\n|---|---|---|"
    )
    for precision in PRECISIONS:
        found = [
            gt.train(
                graph, data=digits, channels=4, seed=seed, config=config, device=str(bench.device),
                precision=precision, progress=False,
            ).metrics["test_accuracy"].iloc[-1]
            for seed in range(scale.seeds)
        ]  # fmt: skip
        each = ", ".join(f"{value:.1%}" for value in found)
        print(f"| {precision} | {each} | {np.mean(found):.1%} |", flush=True)


if __name__ == "__main__":
    main()
