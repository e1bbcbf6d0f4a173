# ruff: noqa: T201  # a command that prints
"""Measure a corpus on a Ray cluster of two nodes on this machine, with a worker killed in the middle.

``python -m tests.benchmarks.cluster`` prints the table of `docs/benchmarks/cluster.md`; ``--graphs N`` chooses the size.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

METRICS = "nodes,edges,mean_degree,max_path"
OPTIONS = ["--column", "edges", "--stages", "1", "--metrics", METRICS, "-q"]
CLUSTER = Path(__file__).parents[1] / "engines" / "ray_cluster.py"


def write_graphs(path, n_graphs):
    """Write random DAGs of 6 to 15 nodes as edge lists: a path through all nodes, and each other pair with p = 0.3."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(n_graphs):
        n = int(rng.integers(6, 16))
        sources, targets = np.triu_indices(n, 1)
        kept = (targets == sources + 1) | (rng.random(len(sources)) < 0.3)
        texts.append("\n".join(f"{i} {j}" for i, j in zip(sources[kept], targets[kept], strict=True)))
    pq.write_table(pa.table({"edges": texts}), path, row_group_size=10_000)


def run(*arguments):
    """Run the command, and return its wall time and its peak memory in MB, without its child processes."""
    before = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "graphtask_cli", "metrics", *map(str, arguments)])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - before, used.ru_maxrss / 1024


class Killer(threading.Thread):
    """Kills a worker process of the cluster when half of the parts are there, and records the memory of workers."""

    def __init__(self, folder, n_parts):
        super().__init__(daemon=True)
        self.folder, self.n_parts = folder, n_parts
        self.killed, self.memory, self.is_over = "", 0, False

    def run(self):
        while not self.is_over:
            is_half = len(list(self.folder.glob("part-*"))) >= self.n_parts / 2
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    found = re.search(r"graphtask (part-\d+)", " ".join(process.cmdline()[:1]))
                    if not found:
                        continue
                    self.memory = max(self.memory, process.memory_info().rss / 2**20)
                    if is_half and not self.killed:
                        os.kill(process.pid, signal.SIGKILL)
                        self.killed = found[1]
            time.sleep(0.5)


def compare(left, right):
    """Return True if two tables have the same values in every column of both."""
    columns = [name for name in left.columns if name in right.columns and name != "graph"]
    assert {"file", "edges", "error", "sha256"} <= set(columns)
    return left[columns].equals(right[columns])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--graphs", type=int, default=100_000)
    parser.add_argument("--part-size", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_graphs(folder / "graphs.parquet", given.graphs)
        alone, memory = run(folder / "graphs.parquet", *OPTIONS, "--jobs", 1, "-o", folder / "local.parquet")
        print(f"one process: {alone:.1f} s, {given.graphs / alone:.0f} graphs/s, {memory:.0f} MB", flush=True)
        with subprocess.Popen(
            [sys.executable, str(CLUSTER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as cluster:
            address = cluster.stdout.readline().strip()
            out = folder / "features"
            killer = Killer(out, given.graphs // given.part_size)
            killer.start()
            parts = [*OPTIONS, "--part-size", given.part_size, "-o", f"{out}/"]
            ray = ["--engine", "ray", "--address", address]
            seconds, memory = run(folder / "graphs.parquet", *parts, *ray)
            killer.is_over = True
            cluster.stdin.close()
            cluster.wait()
        print(f"two nodes: {seconds:.1f} s, {given.graphs / seconds:.0f} graphs/s, killed: {killer.killed}")
        print(f"memory: driver {memory:.0f} MB, worker {killer.memory:.0f} MB")
        import graphtask as gt

        print("equal:", compare(gt.read_table(out), gt.read_table(folder / "local.parquet")))
        seconds, _ = run(folder / "graphs.parquet", *parts)
        print(f"verified again: {seconds:.1f} s")


if __name__ == "__main__":
    main()
