# ruff: noqa: T201  # a command that prints
"""Compare the speed and memory of this checkout with those of another one.

    python -m tests.benchmarks.before_after ../other-checkout

The checkouts take turns: for each workload one child process of each is started, and their steps alternate. Memory is
the high-water mark of three steps in processes of their own.
"""

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parents[2]
WARM_UP = 2  # steps that do not count


def main() -> None:
    options = read_options()
    if options.child:
        serve(json.loads(options.child))
        return
    sys.path.insert(0, str(HERE / "tests"))
    from benchmarks.workloads import workloads

    print("| work | execution | ms before | ms after | ratio | MB before | MB after | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name, workload in workloads().items():
        if options.only in name:
            for execution in options.executions:
                print(row(name, workload, execution, options), flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.before_after", description=__doc__)
    parser.add_argument("before", nargs="?", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=9, help="timed steps of each checkout")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--executions", nargs="+", default=["fused"], choices=["fused", "plain"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def row(name: str, workload, execution: str, options: argparse.Namespace) -> str:
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.pickle"
        graph.write_bytes(pickle.dumps(workload.graph))
        task = {
            "graph": str(graph), "channels": workload.channels, "batch": workload.batch, "size": workload.size,
            "training": workload.training, "execution": execution, "threads": options.threads,
        }  # fmt: skip
        memory = [measured_memory(place, task) for place in (options.before, HERE)]
        seconds = alternating(task, options)
    cells = [name, execution]
    for values, unit in ((seconds, 1e3), (memory, 1e-6)):
        before, after = values
        cells += [f"{unit * before:.0f}", f"{unit * after:.0f}", f"{after / before:.3f}"]
    return f"| {' | '.join(cells)} |"


def alternating(task: dict, options: argparse.Namespace) -> list[float]:
    """Median seconds of a step before and after."""
    children = [child(place, task) for place in (options.before, HERE)]
    seconds: list[list[float]] = [[], []]
    for turn in range(options.rounds + WARM_UP):
        order = (0, 1) if turn % 2 else (1, 0)
        for index in order:
            taken = float(ask(children[index], "step"))
            if turn >= WARM_UP:
                seconds[index].append(taken)
    for process in children:
        process.communicate()
    return [statistics.median(values) for values in seconds]


def measured_memory(place: Path, task: dict) -> float:
    process = child(place, task)
    before = float(ask(process, "memory"))
    for _ in range(3):
        ask(process, "step")
    peak = float(ask(process, "memory"))
    process.communicate()
    return peak - before


def child(place: Path, task: dict) -> subprocess.Popen:
    python = place / ".venv" / "bin" / "python"
    command = [
        str(python if python.exists() else sys.executable),
        "-P",
        __file__,
        "--child",
        json.dumps(task),
    ]
    environment = {**os.environ, "PYTHONPATH": str(place)}
    return subprocess.Popen(
        command, cwd=place, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def ask(process: subprocess.Popen, question: str) -> str:
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    return process.stdout.readline()


def serve(task: dict) -> None:
    """Do a step, or report the high-water mark of memory, for every line of standard input."""
    step = make_step(task)
    for line in sys.stdin:
        if line.strip() == "step":
            start = time.perf_counter()
            step()
            print(time.perf_counter() - start, flush=True)
        else:
            status = Path("/proc/self/status").read_text().splitlines()
            print(
                1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1]), flush=True
            )


def make_step(task: dict):
    import torch

    import graphtask as gt

    torch.set_num_threads(task["threads"])
    net = gt.compile(
        pickle.loads(Path(task["graph"]).read_bytes()), channels=task["channels"], execution="plain"
    )
    if task["execution"] == "fused":
        try:
            net.execution = "fused"
        except gt.errors.ArgumentError:  # its name before
            net.execution = "fast"
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(task["batch"], 3, task["size"], task["size"], generator=generator)
    labels = torch.randint(10, (task["batch"],), generator=generator)
    if not task["training"]:
        net.eval()

        def infer() -> None:
            with torch.inference_mode():
                net(images)

        return infer
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)

    def train() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        (loss + 1e-3 * net.resource_loss()).backward()
        optimizer.step()

    return train


if __name__ == "__main__":
    main()
