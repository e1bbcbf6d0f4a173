"""Time and memory of the executions of one network."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

import graphtask as gt
from benchmarks.baseline import run_published
from benchmarks.workloads import Workload
from graphtask.compiler.execution import run_plain

EXECUTIONS = ("published", "plain", "fused")
WARM_UP = 2  # steps that do not count


def make_step(workload: Workload, execution: str, *, device: str, precision: str) -> Callable[[], None]:
    """A function that does one step: forward, backward, and SGD as in `graphtask.train`; or one batch of inference."""
    net = gt.compile(workload.graph, channels=workload.channels, execution="fused").to(device)
    if execution != "fused":
        net.executor = {"published": run_published, "plain": run_plain}[execution]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(workload.batch, 3, workload.size, workload.size, generator=generator).to(device)
    labels = torch.randint(10, (workload.batch,), generator=generator).to(device)

    def context():
        return torch.autocast(device, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()

    if not workload.training:
        net.eval()

        def infer() -> None:
            with torch.inference_mode(), context():
                net(images)

        return infer
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)

    def train() -> None:
        optimizer.zero_grad()
        with context():
            loss = nn.functional.cross_entropy(net(images), labels)
        (loss + 1e-3 * net.resource_loss()).backward()
        optimizer.step()

    return train


def times(steps: dict[str, Callable[[], None]], *, rounds: int, device: str) -> dict[str, float]:
    """The median seconds of each step; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + WARM_UP):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_memory(workload: Workload, execution: str, *, device: str, precision: str) -> int:
    """The bytes that three steps need at most beyond what the process held before; to be run in a fresh process."""
    step = make_step(workload, execution, device=device, precision=precision)
    before = _high_water_mark(device)
    for _ in range(3):
        step()
    return _high_water_mark(device) - before


def _high_water_mark(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent process held before it became this one
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
