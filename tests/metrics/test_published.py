"""The values published with Nowak & Janik (2020), arXiv:2002.08104; see fixtures/published/README.md.

``GRAPHTASK_PUBLISHED=path/to/published_30.json`` compares all of them instead of the part kept here, and prints how
many there are and the largest deviation of every metric (``pytest -s``).
"""

import json
import math
import os
from fractions import Fraction
from pathlib import Path

import igraph
import numpy as np
import pytest

import graphtask as gt
from graphtask.metrics.communicability import between
from graphtask.metrics.view import GraphView, Options

PART = Path(__file__).parents[2] / "fixtures" / "published" / "graphs.json"
PUBLISHED = json.loads(Path(os.environ.get("GRAPHTASK_PUBLISHED", PART)).read_text())
NAMES = {"num_edges": "edges"} | {
    name: name
    for name in ("log_paths", "mean_path", "min_path", "max_path", "edge_connectivity", "mean_degree")
}


def read(entry):
    graph = igraph.Graph(n=entry["n"], edges=entry["edges"], directed=True)
    return gt.as_architecture(graph, stages=entry["stage_sizes"])


def log_mean_communicability(graph, node):
    view = GraphView(graph, Options())
    logs = np.array([between(view, node, other) for other in range(view.n_nodes)])
    return float(logs.max() + np.log(np.exp(logs - logs.max()).mean()))


def test_every_published_value_comes_back():
    deviations = dict.fromkeys([*NAMES, "communicability_start_mean", "communicability_end_mean"], 0.0)
    for entry in PUBLISHED.values():
        graph = read(entry)
        row = gt.measure(graph, metrics=list(NAMES.values()))
        found = {theirs: row[ours] for theirs, ours in NAMES.items()}
        found["communicability_start_mean"] = log_mean_communicability(graph, 0)
        found["communicability_end_mean"] = log_mean_communicability(graph, entry["n"] - 1)
        for name, value in found.items():
            deviations[name] = max(deviations[name], abs(value - entry[name]))
    print(f"\n{len(PUBLISHED)} published graphs; largest deviations: {deviations}")  # noqa: T201  the report asked for
    assert max(deviations.values()) <= 1e-6
    assert all(deviations[name] == 0 for name in ("num_edges", "min_path", "max_path", "edge_connectivity"))


def test_one_graph_has_the_values_worked_out_exactly():
    row = gt.measure(read(PUBLISHED["er1kx_10_30_v0"]))
    assert row["edges"] == 56
    assert row["log_paths"] == round(math.log(370), 12)
    assert row["mean_path"] == round(float(Fraction(3787, 370)), 12)
    assert (row["min_path"], row["max_path"], row["edge_connectivity"]) == (5, 15, 3)
    assert row["ln_communicability"] == pytest.approx(-3.157268519, abs=1e-9)
    assert row["ln_communicability_directed"] == pytest.approx(-3.735372748, abs=1e-9)
    # Its published layout, from another order of the nodes, has 0.226378; they differ by some hundredths.
    assert row["pca_elongation"] == pytest.approx(0.226378, abs=0.01)
