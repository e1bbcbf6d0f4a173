import math

import igraph
import numpy as np
import pytest
from helpers import random_graphs, shuffled

import graphtask as gt
from graphtask.metrics.weighted import METRICS

NAMES = [metric.name for metric in METRICS]


def weighted_graphs(count, seed):
    rng = np.random.default_rng(seed)
    graphs = random_graphs(count, seed=seed)
    for graph in graphs:
        weights = rng.random(graph.ecount()) * (rng.random(graph.ecount()) < 0.9)
        graph.es["weight"] = weights.tolist()
    return graphs


def enumerated(graph):
    """Length and weight of every path from the input to the output."""
    source, sink = graph.vs.select(_indegree=0).indices[0], graph.vs.select(_outdegree=0).indices[0]
    paths, stack = [], [(source, 0, 1.0)]
    while stack:
        node, length, weight = stack.pop()
        if node == sink:
            paths.append((length, weight))
        stack += [
            (graph.es[edge].target, length + 1, weight * graph.es[edge]["weight"])
            for edge in graph.incident(node, mode="out")
        ]
    return paths


def test_weighted_paths_equal_those_enumerated():
    dead = 0
    for graph in weighted_graphs(500, seed=31):
        row = gt.measure(graph, metrics=["log_weighted_paths", "mean_weighted_path"])
        paths = enumerated(graph)
        total = math.fsum(weight for _, weight in paths)
        if total == 0:
            dead += 1
            assert row["log_weighted_paths"] == -math.inf
            assert row["undefined"].count("every path has an edge of weight 0") == 2
            continue
        assert row["log_weighted_paths"] == pytest.approx(math.log(total), rel=1e-12, abs=1e-12)
        mean = math.fsum(length * weight for length, weight in paths) / total
        assert row["mean_weighted_path"] == pytest.approx(mean, rel=1e-12)
    assert 0 < dead < 250


def test_strengths_equal_sums_edge_by_edge():
    for graph in weighted_graphs(500, seed=32):
        n = graph.vcount()
        incoming, outgoing = np.zeros(n), np.zeros(n)
        for edge in graph.es:
            incoming[edge.target] += edge["weight"]
            outgoing[edge.source] += edge["weight"]
        row = gt.measure(graph, metrics=NAMES)
        assert row["total_weight"] == pytest.approx(incoming.sum())
        assert row["mean_strength"] == pytest.approx((incoming + outgoing).mean())
        assert row["std_strength"] == pytest.approx(np.std(incoming + outgoing), abs=1e-12)
        assert row["max_in_strength"] == pytest.approx(incoming.max())
        assert row["max_out_strength"] == pytest.approx(outgoing.max())
        initial = gt.provenance(graph)["initial"]["edges"]
        assert row["weighted_sparsity"] == pytest.approx(1 - incoming.sum() / initial)


def test_weights_of_one_count_paths():
    for graph in random_graphs(100, seed=33):
        graph.es["weight"] = 1.0
        row = gt.measure(graph, metrics=[*NAMES, "log_paths", "mean_path", "edges"])
        assert row["log_weighted_paths"] == pytest.approx(row["log_paths"], rel=1e-14)
        assert row["mean_weighted_path"] == pytest.approx(row["mean_path"], rel=1e-14)
        assert row["total_weight"] == row["edges"]


def test_dense_graphs_keep_each_weight_with_its_edge():
    graph = gt.full_dag(40)
    graph.es["weight"] = [1.0 if j == i + 1 else 1e-9 for i, j in graph.get_edgelist()]
    for same in (graph, shuffled(graph, 0)):
        row = gt.measure(same, metrics=["log_weighted_paths", "mean_weighted_path", "max_in_strength"])
        assert row["log_weighted_paths"] == pytest.approx(0, abs=1e-5)
        assert row["mean_weighted_path"] == pytest.approx(39, abs=1e-3)


@pytest.mark.parametrize("weight", [1e-3, 0.5])
def test_weights_of_two_thousand_nodes_neither_vanish_nor_overflow(weight):
    chain = gt.chain_dag(2000)
    chain.es["weight"] = weight
    row = gt.measure(chain, metrics=["log_weighted_paths", "mean_weighted_path"])
    assert row["log_weighted_paths"] == pytest.approx(1999 * math.log(weight), rel=1e-13)
    assert row["mean_weighted_path"] == 1999
    full = gt.full_dag(1000)
    full.es["weight"] = weight
    row = gt.measure(full, metrics=["log_weighted_paths", "mean_weighted_path"])
    assert row["log_weighted_paths"] == pytest.approx(math.log(weight) + 998 * math.log1p(weight), rel=1e-12)
    assert row["mean_weighted_path"] == pytest.approx(1 + 998 * weight / (1 + weight), rel=1e-12)


def test_before_training_weights_are_undefined():
    row = gt.measure(gt.full_dag(3), metrics=NAMES)
    assert row["undefined"].count("no edge has a weight (the graph is not trained)") == len(NAMES)
    assert all(math.isnan(row[name]) for name in NAMES)


@pytest.mark.parametrize("value", [None, "a", -0.5, math.nan, math.inf, True])
def test_what_is_no_weight_is_told(value):
    graph = igraph.Graph(n=3, edges=[(0, 1), (1, 2)], directed=True)
    graph.es["weight"] = [0.5, value]
    row = gt.measure(graph, metrics="total_weight")
    assert row["undefined"] == f"total_weight: the weight of edge 1 is {value!r}"


def test_weights_of_a_file_that_are_none_of_ours_are_pointed_out(tmp_path):
    (tmp_path / "a.edges").write_text("a b 3\nb c 0.5\n")
    row = gt.measure(gt.read(tmp_path / "a.edges", stages=1), metrics=["total_weight"])
    assert "renamed to `file_weight`" in row["undefined"]
    row = gt.measure(gt.chain_dag(3), metrics=["total_weight"])
    assert "the graph is not trained" in row["undefined"]
