# ruff: noqa: T201  # a command that prints
"""Prints the table of docs/benchmarks/training.md: ``python -m tests.benchmarks``."""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import graphtask as gt

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests are no package

from benchmarks.measure import EXECUTIONS, make_step, peak_memory, times
from benchmarks.workloads import PAPER, Workload, like_the_paper, workloads
from graphtask.compiler.fused.staged import Program
from graphtask.compiler.plan import make_plan


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    found = {name: w for name, w in workloads().items() if options.only in name}
    if options.memory_of:
        workload = found[options.only]
        print(peak_memory(workload, options.memory_of, device=options.device, precision=options.precision))
        return
    print(f"{machine(options)}\n")
    print_comparison(found, options)
    if not options.only:
        print_pruned(options)
        print_planning()


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each execution")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--memory-of", choices=EXECUTIONS, help=argparse.SUPPRESS)
    return parser.parse_args()


def machine(options: argparse.Namespace) -> str:
    if options.device == "cuda":
        where = torch.cuda.get_device_name()
    else:
        where = f"{options.threads} threads, {_processor()}"
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}, graphtask {gt.__version__}"
    return f"{where}; {options.precision}; {versions}"


def _processor() -> str:
    if Path("/proc/cpuinfo").exists():
        names = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return names[0].split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def print_comparison(found: dict[str, Workload], options: argparse.Namespace) -> None:
    print(
        "| work | nodes | edges | C | published | plain | fused | faster | memory published | plain | fused | share |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, workload in found.items():
        memory = {execution: measure_memory(name, execution, options) for execution in EXECUTIONS}
        seconds = times(
            {execution: make(workload, execution, options) for execution in EXECUTIONS},
            rounds=options.rounds,
            device=options.device,
        )
        cells = [
            name,
            workload.graph.vcount(),
            workload.graph.ecount(),
            workload.channels,
            *(f"{1000 * seconds[execution]:.0f} ms" for execution in EXECUTIONS),
            f"{seconds['published'] / seconds['fused']:.2f}×",
            *(f"{memory[execution] / 1e6:.0f} MB" for execution in EXECUTIONS),
            f"{memory['fused'] / memory['published']:.2f}×",
        ]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def measure_memory(name: str, execution: str, options: argparse.Namespace) -> int:
    command = [
        sys.executable, "-m", "tests.benchmarks", "--only", name, "--memory-of", execution,
        "--threads", str(options.threads), "--device", options.device, "--precision", options.precision,
    ]  # fmt: skip
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_pruned(options: argparse.Namespace) -> None:
    """The effect of the paper's Table 3: how much faster a step is when the network has the size it was pruned to."""
    columns = ["pruned like the paper's", "nodes", "edges"]
    columns += [f"{execution} {what}" for execution in EXECUTIONS for what in ("full", "pruned", "ratio")]
    columns += ["ratio in the paper", "ratio of multiply-accumulates", "ratio of parameters"]
    print(f"\n| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    full = workloads()["full DAG, 60 nodes, batch 128"]
    full_macs, full_parameters = counts(full)
    pruned = {name: Workload(name, like_the_paper(name), 128, 11) for name in PAPER}
    seconds = {
        execution: times(
            {name: make(workload, execution, options) for name, workload in {"full": full, **pruned}.items()},
            rounds=options.rounds,
            device=options.device,
        )
        for execution in EXECUTIONS
    }
    for name, workload in pruned.items():
        cells = [name, workload.graph.vcount(), workload.graph.ecount()]
        for taken in seconds.values():
            cells += [f"{1000 * taken['full']:.0f} ms", f"{1000 * taken[name]:.0f} ms"]
            cells += [f"{taken['full'] / taken[name]:.1f}"]
        macs, parameters = counts(workload)
        cells += [PAPER[name].faster, f"{full_macs / macs:.1f}", f"{full_parameters / parameters:.1f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def counts(workload: Workload) -> tuple[int, int]:
    """Multiply-accumulates of an image, and parameters."""
    graph, channels = workload.graph, workload.channels
    return gt.compiler.count_macs(graph, channels=channels), gt.compiler.count_parameters(
        graph, channels=channels
    )


def make(workload: Workload, execution: str, options: argparse.Namespace) -> Callable[[], None]:
    return make_step(workload, execution, device=options.device, precision=options.precision)


def print_planning() -> None:
    print()
    for graph in (gt.full_dag(60, stages=3), gt.random_dag(2000, out_degree=10, seed=0, stages=3)):
        start = time.perf_counter()
        plan = make_plan(graph)
        Program(plan).sums(torch.device("cpu"))
        milliseconds = 1000 * (time.perf_counter() - start)
        print(f"Planning {graph.vcount():,} nodes and {graph.ecount():,} edges takes {milliseconds:.0f} ms.")


if __name__ == "__main__":
    main()
