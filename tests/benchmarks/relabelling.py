# ruff: noqa: T201  # a command that prints
"""Prints by how much renumbering the nodes changes the layout's metrics: ``python -m tests.benchmarks.relabeling``.

The other metrics do not change, which the tests hold them to. With ``--published published_30.json`` on the published
graphs, else on those of the benchmark of the metrics (60 nodes, all densities).
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import igraph
import numpy as np

import graphtask as gt

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests are no package

from helpers import shuffled

from benchmarks.metrics import mixed_dags

NAMES = ["pca_elongation", "q1d"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.relabeling", description=__doc__)
    parser.add_argument("--published", type=Path, help="a file as fixtures/published/graphs.json is")
    parser.add_argument("--times", type=int, default=4, help="renumberings of each graph")
    options = parser.parse_args()
    graphs = mixed_dags()[::5] if options.published is None else list(published(options.published))
    values, flags = [], []
    for seed in range(1 + options.times):
        table = gt.measure_all([shuffled(graph, seed) if seed else graph for graph in graphs], metrics=NAMES)
        values.append(table["pca_elongation"].to_numpy())
        flags.append(table["q1d"].to_numpy())
    change = np.abs(np.array(values[1:]) - values[0])
    print(f"{len(graphs)} graphs, {options.times} renumberings of each")
    print(
        f"change of pca_elongation: mean {change.mean():.4f}, median {np.median(change):.4f}, "
        f"95 % below {np.quantile(change, 0.95):.4f}, largest {change.max():.4f}"
    )
    print(f"standard deviation of one graph's values: mean {np.std(values, axis=0, ddof=1).mean():.4f}")
    print(f"q1d changes in {np.mean(np.array(flags[1:]) != flags[0]):.2%}")


def published(file: Path) -> Iterable[igraph.Graph]:
    """The graphs in the file, with their stages."""
    for entry in json.loads(file.read_text()).values():
        graph = igraph.Graph(n=entry["n"], edges=entry["edges"], directed=True)
        yield gt.as_architecture(graph, stages=entry["stage_sizes"])


if __name__ == "__main__":
    main()
