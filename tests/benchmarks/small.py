"""Where the plain execution is the faster one: what `compiler.execution.expected_gain` was fitted to.

    python -m tests.benchmarks.small

Prints the gain of the fused execution by step, block, edge and values, and how often "auto" takes the slower one.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import click
import numpy as np
import torch

import graphtask as gt
from graphtask.compiler.execution import expected_gain, run_plain
from graphtask.compiler.fused.staged import run_fused
from graphtask.compiler.fused.stages import StagePlan
from graphtask.compiler.module import GraphModule

GRAPHS = {
    "chain 2": gt.chain_dag(2),
    "chain 13": gt.chain_dag(13, stages=3),
    "full 5": gt.full_dag(5, stages=1),
    "full 12, one stage": gt.full_dag(12, stages=1),
    "full 12": gt.full_dag(12, stages=3),
    "full 30": gt.full_dag(30, stages=3),
    "full 60": gt.full_dag(60, stages=3),
    "random 50": gt.random_dag(50, out_degree=4, seed=0, stages=3),
    "random 200": gt.random_dag(200, out_degree=4, seed=0, stages=3),
}
CHANNELS, SIZES, BATCHES = (2, 11, 48), (8, 16, 32), (1, 4, 16, 64)
MOST_VALUES = 4 * 10**7  # of all nodes; more is not small


def main() -> None:
    """Measure, fit and print."""
    torch.set_num_threads(1)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            report(list(measured(training=gradients)), "with" if gradients else "without")


def measured(*, training: bool) -> Iterator[tuple[list[float], float, float, float]]:
    """Of each kind of step: what it is made of, the gain that is expected, and seconds plain and fused."""
    for name, graph in GRAPHS.items():
        for channels, size, batch in itertools.product(CHANNELS, SIZES, BATCHES):
            if graph.vcount() * channels * size**2 * batch > MOST_VALUES:
                continue
            net = gt.compile(graph, channels=channels).train(training)
            images = torch.randn(batch, 3, size, size)
            plain_time, fused_time = (shortest(step(run, net, images)) for run in (run_plain, run_fused))
            click.echo(
                f"{name}, C={channels}, {size}×{size}, {batch}: {plain_time / fused_time:.2f}", err=True
            )
            stages = net.program.stages
            expected = expected_gain(stages, tuple(images.shape), channels=channels)
            yield parts(stages, images.shape, channels), expected, plain_time, fused_time


def step(execute: Callable[..., torch.Tensor], net: GraphModule, images: torch.Tensor) -> Callable[[], None]:
    """One step, with a backward where gradients are on."""

    def run() -> None:
        logits = execute(net, images)
        if logits.requires_grad:
            logits.sum().backward()

    return run


def shortest(run: Callable[[], None], *, seconds: float = 0.25) -> float:
    """The shortest time of 3 to 30 calls, after one that does not count."""
    run()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 30):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def parts(stages: Sequence[StagePlan], images: torch.Size, channels: int) -> list[float]:
    """One step, its blocks, its edges, the values of its blocks, and those of its edges."""
    batch, _, height, width = images
    counts = [1.0, 0, 0, 0, 0]
    for stage in stages:
        side = 1 << stage.stage
        values = batch * channels * side * -(-height // side) * -(-width // side)
        n_blocks, n_edges = stage.n_rows, len(stage.edges)
        counts = list(np.add(counts, [0, n_blocks, n_edges, n_blocks * values, n_edges * values]))
    return counts


def report(rows: list[tuple[list[float], float, float, float]], gradients: str) -> None:
    """Print the fit, with equal weight for equal ratios, and what comes of the one in use."""
    counts, expected, plain, fused = (np.array(column) for column in zip(*rows, strict=True))
    fitted = np.linalg.lstsq(counts / fused[:, None], 1e6 * (plain - fused) / fused, rcond=None)[0]
    taken = np.where(expected < 0, plain, fused)
    best = np.minimum(plain, fused)
    click.echo(
        f"{len(rows)} steps {gradients} gradients; gain in µs: {', '.join(f'{value:.3g}' for value in fitted)}"
    )
    for name, times in (("plain", plain), ("fused", fused), ("auto", taken)):
        slower = times > best / 0.9
        click.echo(
            f"  {name}: slower by a tenth in {slower.sum()}, at worst {np.max(times / best):.2f} times the time"
        )


if __name__ == "__main__":
    main()
