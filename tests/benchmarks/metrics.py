# ruff: noqa: T201  # a command that prints
"""Prints the table of the metrics in docs/benchmarks/metrics.md: ``python -m tests.benchmarks.metrics``."""

import argparse
import csv
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import igraph
import numpy as np

import graphtask as gt

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests are no package

from benchmarks.workloads import PAPER, pruned_like
from graphtask.metrics.registry import select
from graphtask.metrics.view import Options

ROUNDS = 3
SAMPLE = 40  # graphs that the networkx loop measures; the others are extrapolated
LAYOUT = {"pca_elongation", "q1d"}
COMMUNICABILITY = {"ln_communicability", "ln_communicability_directed"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# A process as small as this one hands no memory on to the command, so that the high-water mark is the command's own.
LAUNCHER = """
import resource, subprocess, sys, time
start = time.perf_counter()
output = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE).stdout
seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss, output[:20].decode())
"""


class Line(NamedTuple):
    """A row of the table."""

    work: str
    goal: str
    ours: str
    networkx: str = "—"


class Ran(NamedTuple):
    """What a command needed."""

    seconds: float
    cpu: float
    """Seconds that it computed, its processes taken together."""
    peak: int
    """Bytes of its largest process."""
    output: str


def main() -> None:
    options = read_options()
    if options.large:
        print(seconds_of_large_graph())
        return
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):  # numpy reads them when it is imported
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.benchmarks.metrics", *sys.argv[1:]],
            {**os.environ, **ONE_THREAD},
        )
    import networkx as nx

    print(
        f"Python {platform.python_version()}, igraph {igraph.__version__}, numpy {np.__version__}, graphtask {gt.__version__}\n"
    )
    print(f"| work | goal | graphtask | networkx {nx.__version__} loop |")
    print("|---|---|---|---|")
    parts = {"dags": dag_lines, "corpus": corpus_lines, "large": large_lines}
    for name, lines in parts.items():
        if options.only in name:
            for line in lines(options):
                print("| " + " | ".join(line) + " |", flush=True)
    print(
        f"\nThe loop measured {SAMPLE} of the graphs; its time for all is extrapolated, and leaves out the parameters."
    )
    print(
        "Times on one core and of one process are CPU times, the others are wall times; memory is that of the largest process."
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.metrics", description=__doc__)
    parser.add_argument("--long", action="store_true", help="stream 100,000 graphs, not 10,000")
    parser.add_argument("--only", default="", help="parts whose name contains this: dags, corpus, large")
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def names(*, without: Iterable[str]) -> list[str]:
    """The paper's metrics, less some."""
    return [
        metric.name for metric in select("paper", options=Options()).metrics if metric.name not in without
    ]


def median_seconds(function: Callable[[], Any], *, clock: Callable[[], float], rounds: int = ROUNDS) -> float:
    seconds = []
    for _ in range(rounds):
        start = clock()
        function()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def dag_lines(_options: argparse.Namespace) -> Iterable[Line]:
    import networkx as nx

    graphs = mixed_dags()
    sample = [to_networkx(graph) for graph in graphs[:: len(graphs) // SAMPLE]]
    # Since 3.7, networkx computes communicability some 40 times as fast.
    is_new = tuple(int(part) for part in nx.__version__.split(".")[:2]) >= (3, 7)
    for work, left_out, goal, factors in (
        ("paper set without layout", LAYOUT, "0.5 s", (200, 10)),
        ("paper set", set(), "5 s", (20, 4)),
    ):
        chosen = names(without=left_out)
        gt.measure(graphs[0], metrics=chosen, channels=11)  # imports what it needs

        def ours(chosen: list[str] = chosen) -> None:
            gt.measure_all(graphs, metrics=chosen, channels=11)

        def theirs(with_layout: bool = not left_out) -> None:
            for graph in sample:
                by_networkx(graph, with_layout=with_layout)

        seconds = median_seconds(ours, clock=time.process_time)
        loop = median_seconds(theirs, clock=time.process_time, rounds=1) * len(graphs) / len(sample)
        yield Line(
            f"1,000 mixed DAGs of 60 nodes, {work}, one core",
            f"≤ {goal}, ≥ {factors[is_new]}×",
            f"{seconds:.2f} s, {loop / seconds:.0f}×",
            f"{loop:.0f} s",
        )


def mixed_dags() -> list[igraph.Graph]:
    """1,000 graphs of 60 nodes, from 2 % of all edges to all of them."""
    rng = np.random.default_rng(0)
    graphs = []
    for density in np.linspace(0.02, 1, 1000):
        chosen = (rng.random((60, 60)) < density).tolist()
        graphs.append(gt.dag_from_predicate(60, lambda i, j, chosen=chosen: chosen[i][j], stages=3))
    return graphs


def to_networkx(graph: igraph.Graph) -> Any:
    import networkx as nx

    found = nx.DiGraph()
    found.add_nodes_from((index, {"stage": stage}) for index, stage in enumerate(graph.vs["stage"]))
    found.add_edges_from(graph.get_edgelist())
    return found


def by_networkx(graph: Any, *, with_layout: bool) -> dict[str, float]:
    """The paper's metrics as networkx, or a plain loop where it has no function, gives them."""
    import networkx as nx
    from scipy.linalg import expm
    from sklearn.decomposition import PCA

    order = list(nx.topological_sort(graph))
    start, end = order[0], order[-1]
    both = graph.to_undirected()
    mean, std, log_count = path_statistics(graph, order)
    stages = [graph.nodes[node]["stage"] for node in order]
    row = {
        "nodes": len(graph),
        "edges": graph.number_of_edges(),
        **{f"nodes_stage_{stage}": stages.count(stage) for stage in set(stages)},
        "mean_path": mean,
        "std_path": std,
        "log_paths": log_count,
        "min_path": nx.shortest_path_length(graph, start, end),
        "max_path": nx.dag_longest_path_length(graph, weight=None),
        "ln_communicability": math.log(abs(nx.communicability(both)[start][end])),
        "ln_communicability_directed": math.log(
            expm(nx.to_numpy_array(graph, nodelist=order, weight=None))[0, -1]
        ),
        "edge_connectivity": nx.edge_connectivity(graph, start, end),
        "mean_degree": 2 * graph.number_of_edges() / len(graph),
    }
    if with_layout:
        positions = nx.kamada_kawai_layout(both, weight=None)
        points = np.array([positions[node] for node in order])
        shares = PCA(n_components=2).fit(points).explained_variance_ratio_
        row["pca_elongation"] = 2 * (shares[0] - 0.5)
    return row


def path_statistics(graph: Any, order: list[int]) -> tuple[float, float, float]:
    """Mean and deviation of the lengths of the paths, and the logarithm of their number."""
    moments = {order[0]: (1, 0, 0)}  # Σ 1, Σ length, Σ length² over the paths to a node
    for node in order[1:]:
        counts = lengths = squares = 0
        for before in graph.predecessors(node):
            count, length, square = moments[before]
            counts, lengths, squares = (
                counts + count,
                lengths + length + count,
                squares + square + 2 * length + count,
            )
        moments[node] = counts, lengths, squares
    count, length, square = moments[order[-1]]
    return length / count, math.sqrt(square * count - length**2) / count, math.log(count)


def corpus_lines(options: argparse.Namespace) -> Iterable[Line]:
    with tempfile.TemporaryDirectory() as folder:
        pruned, features = Path(folder, "pruned"), Path(folder, "features")
        for place, graphs in ((pruned, pruned_graphs()), (features, feature_graphs())):
            place.mkdir()
            for number, graph in enumerate(graphs):
                gt.write(graph, place / f"{number:04}.graphml")
        table = Path(folder, "rows.csv")
        yield command_line(pruned, table)
        ran = measure_files([str(features), "--metrics", "extended", "--jobs", "2"], table, n_files=1020)
        yield Line(
            "`graphtask metrics` on 1,020 files of 30 and 60 nodes, extended set, two processes, start-up included",
            "≤ 60 s",
            f"{ran.seconds:.1f} s",
            "more than an hour (published)",
        )
        yield streaming_line(
            sorted(pruned.iterdir()), table, thousands=(10, 100) if options.long else (2, 10)
        )


def command_line(folder: Path, table: Path) -> Line:
    import networkx as nx

    seconds = statistics.median(
        measure_files([str(folder), "--jobs", "2"], table, n_files=1000).seconds for _ in range(ROUNDS)
    )
    sample = sorted(folder.iterdir())[:SAMPLE]
    start = time.perf_counter()
    for file in sample:
        by_networkx(nx.DiGraph(nx.read_graphml(file)), with_layout=True)
    loop = (time.perf_counter() - start) * 1000 / len(sample)
    return Line(
        "`graphtask metrics` on 1,000 GraphML files, paper set, two processes, start-up included",
        "≤ 12 s",
        f"{seconds:.1f} s",
        f"{loop:.0f} s on one core",
    )


def pruned_graphs() -> Iterable[igraph.Graph]:
    """1,000 weighted graphs as large as the paper's after pruning."""
    rng = np.random.default_rng(0)
    pruned = list(PAPER.values())
    for seed in range(1000):
        like = pruned[seed % len(pruned)]
        graph = pruned_like(sizes=like.sizes, inside=like.inside, edges=like.edges, seed=seed)
        graph.es["weight"] = rng.random(graph.ecount()).tolist()
        yield graph


def feature_graphs() -> Iterable[igraph.Graph]:
    """1,020 graphs of 30 and of 60 nodes from the four families of random graphs."""
    for seed in range(1020):
        n = (30, 60)[seed % 2]
        kind = seed // 2 % 4
        if kind == 0:
            yield gt.priors.erdos_renyi_dag(n, p=(0.1, 0.2, 0.4)[seed // 8 % 3], seed=seed)
        elif kind == 1:
            yield gt.priors.barabasi_albert_dag(n, attachments=(2, 4, 8)[seed // 8 % 3], seed=seed)
        elif kind == 2:
            yield gt.priors.watts_strogatz_dag(n, neighbors=(4, 6, 10)[seed // 8 % 3], p=0.5, seed=seed)
        else:
            yield gt.random_dag(n, out_degree=(2, 4, 8)[seed // 8 % 3], seed=seed)


def streaming_line(files: list[Path], table: Path, *, thousands: tuple[int, int]) -> Line:
    """The same files over and over, so that the disk holds a thousand and the command reads as many as it is told."""
    listed = table.with_name("files.txt")
    fast = ",".join(names(without=LAYOUT))
    ran = []
    for count in thousands:
        listed.write_text("\n".join(map(str, files * count)))
        ran.append(
            measure_files(["-", "--metrics", fast, "--jobs", "1"], table, n_files=1000 * count, listed=listed)
        )
    few, many = ran
    ratio = thousands[1] / thousands[0]
    return Line(
        f"{thousands[1]},000 files streamed after {thousands[0]},000, without layout, one process",
        f"≤ 600 MB, memory flat, time {ratio:.0f} ± {0.15 * ratio:.2g} times",
        f"{many.cpu:.1f} s after {few.cpu:.1f} s, {many.cpu / few.cpu:.2f} times; "
        f"{many.peak / 1e6:.0f} MB after {few.peak / 1e6:.0f} MB",
    )


def measure_files(arguments: list[str], table: Path, *, n_files: int, listed: Path | None = None) -> Ran:
    graphtask = str(Path(sys.executable).with_name("graphtask"))
    ran = run([graphtask, "metrics", *arguments, "--out", str(table)], listed=listed)
    with table.open(newline="") as lines:
        n_measured = sum(row["error"] == "" for row in csv.DictReader(lines))
    if n_measured != n_files:
        raise SystemExit(f"the command measured {n_measured} of {n_files} files")
    return ran


def run(command: list[str], *, listed: Path | None = None) -> Ran:
    with (listed or Path(os.devnull)).open() as stdin:
        found = subprocess.run(
            [sys.executable, "-c", LAUNCHER, *command],
            check=True,
            stdin=stdin,
            stdout=subprocess.PIPE,
            text=True,
        )
    seconds, cpu, peak, *output = found.stdout.split()
    return Ran(
        float(seconds), float(cpu), int(peak) * (1 if sys.platform == "darwin" else 1024), " ".join(output)
    )


def large_lines(_options: argparse.Namespace) -> Iterable[Line]:
    ran = [run([sys.executable, "-m", "tests.benchmarks.metrics", "--large"]) for _ in range(ROUNDS)]
    seconds = statistics.median(float(one.output) for one in ran)
    yield Line(
        "one graph, 100,000 nodes, 1,000,000 edges, paper set without layout and communicability, one core",
        "≤ 10 s, ≤ 1.5 GB",
        f"{seconds:.1f} s, {max(one.peak for one in ran) / 1e9:.2f} GB with making the graph",
    )


def seconds_of_large_graph() -> float:
    graph = large_dag(100_000, n_edges=1_000_000)
    start = time.process_time()
    row = gt.measure(graph, metrics=names(without=LAYOUT | COMMUNICABILITY), channels=11)
    seconds = time.process_time() - start
    if row["nodes"] != 100_000 or row["max_path"] != row["max_path"]:
        raise SystemExit(f"the large graph was not measured: {row['undefined']}")
    return seconds


def large_dag(n: int, *, n_edges: int) -> igraph.Graph:
    """A chain, so that there is one input and one output, and other edges between any two nodes."""
    pairs = np.sort(np.random.default_rng(0).integers(n, size=(2 * n_edges, 2)), axis=1)
    others = np.unique(pairs[pairs[:, 1] - pairs[:, 0] > 1], axis=0)
    chosen = np.random.default_rng(1).choice(len(others), size=n_edges - (n - 1), replace=False)
    chain = np.column_stack([np.arange(n - 1), np.arange(1, n)])
    graph = igraph.Graph(n=n, edges=np.concatenate([chain, others[chosen]]), directed=True)
    graph.vs["stage"] = (3 * np.arange(n) // n).tolist()
    return graph


if __name__ == "__main__":
    main()
