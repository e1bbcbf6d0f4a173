import math
from fractions import Fraction

import igraph
import numpy as np
import pytest
from helpers import every, random_graphs

import graphtask as gt
from graphtask.metrics import paths
from graphtask.metrics.view import GraphView, Options

GRAPHS = random_graphs(500, seed=0)


def view_of(graph):
    return GraphView(graph, Options())


def both_ways(graph):
    """The statistics by counts of every length, and by the sweep for large graphs."""
    return paths._from_counts(view_of(graph)), paths._swept(view_of(graph))


def dag(edges, n):
    return igraph.Graph(n=n, edges=edges, directed=True)


def enumerated_lengths(graph):
    source, sink = graph.vs.select(_indegree=0)[0].index, graph.vs.select(_outdegree=0)[0].index
    lengths, stack = [], [(source, 0)]
    while stack:
        node, length = stack.pop()
        if node == sink:
            lengths.append(length)
        stack += [(successor, length + 1) for successor in graph.successors(node)]
    return lengths


def exact_statistics(graph):
    """Number, mean, and variance of the path lengths, in whole numbers and fractions."""
    n = graph.vcount()
    moments = [(0, 0, 0)] * n
    for node in graph.topological_sorting():
        before = graph.predecessors(node)
        if not before:
            moments[node] = (1, 0, 0)
            continue
        count = sum(moments[p][0] for p in before)
        first = sum(moments[p][1] + moments[p][0] for p in before)
        second = sum(moments[p][2] + 2 * moments[p][1] + moments[p][0] for p in before)
        moments[node] = (count, first, second)
    count, first, second = moments[graph.vs.select(_outdegree=0)[0].index]
    return count, Fraction(first, count), Fraction(second * count - first * first, count * count)


def log_of(fraction):
    return math.log(fraction.numerator) - math.log(fraction.denominator)


@pytest.mark.parametrize("way", [0, 1])
@every(5)
def test_statistics_equal_those_of_all_enumerated_paths(way, step):
    for graph in GRAPHS[::step]:
        lengths = enumerated_lengths(graph)
        found = both_ways(graph)[way]
        mean = Fraction(sum(lengths), len(lengths))
        variance = Fraction(sum(length**2 for length in lengths), len(lengths)) - mean**2
        assert found.log_count == pytest.approx(math.log(len(lengths)), rel=4e-16, abs=1e-15)
        assert found.mean == pytest.approx(float(mean), rel=4e-16)
        assert found.std == pytest.approx(math.sqrt(variance), rel=1e-14, abs=0)
        assert (found.shortest, found.longest) == (min(lengths), max(lengths))


@pytest.mark.parametrize(
    "n", [2, 3, 4, 10, 60, 255, 256, 257, 500, pytest.param(2000, marks=pytest.mark.slow)]
)
def test_the_full_dag_has_its_closed_forms(n):
    row = gt.measure(gt.full_dag(n), metrics=["log_paths", "mean_path", "std_path", "min_path", "max_path"])
    assert row["log_paths"] == pytest.approx((n - 2) * math.log(2), rel=1e-14)
    assert row["mean_path"] == pytest.approx((n - 2) / 2 + 1, rel=1e-14)
    assert row["std_path"] == pytest.approx(math.sqrt(n - 2) / 2, rel=1e-13)  # binomial
    assert (row["min_path"], row["max_path"]) == (1, n - 1)


@pytest.mark.parametrize("n", [2, 20, 60, 256, 257, 2000])
def test_the_chain_has_one_path(n):
    row = gt.measure(gt.chain_dag(n), metrics=["log_paths", "mean_path", "std_path", "min_path", "max_path"])
    assert (row["log_paths"], row["std_path"]) == (0, 0)
    assert row["mean_path"] == row["min_path"] == row["max_path"] == n - 1


@pytest.mark.parametrize(("n", "density"), [(60, 0.98), (200, 0.5), (300, 0.2), (600, 0.6)])
def test_statistics_beyond_float64_equal_whole_number_arithmetic(n, density):
    chosen = np.random.default_rng(n).random((n, n)) < density
    graph = gt.dag_from_predicate(n, lambda i, j: bool(chosen[i, j]))
    count, mean, variance = exact_statistics(graph)
    found = paths.statistics(view_of(graph))
    assert count > 2**53
    assert found.log_count == pytest.approx(math.log(count), rel=1e-14)
    assert found.mean == pytest.approx(float(mean), rel=1e-14)
    assert found.std == pytest.approx(math.exp(log_of(variance) / 2), rel=1e-12)


@pytest.mark.parametrize("n_layers", [20, 100])
def test_a_rare_shortcut_has_a_small_but_right_deviation(n_layers):
    layers = [(5 * k + i, 5 * k + 5 + j) for k in range(n_layers - 1) for i in range(5) for j in range(5)]
    last = 5 * n_layers
    ends = [(last, i) for i in range(5)] + [(last - 5 + i, last + 1) for i in range(5)]
    uniform = dag(layers + ends, last + 2)
    shortcut = dag([*layers, *ends, (0, 10)], last + 2)
    _, mean, variance = exact_statistics(shortcut)
    for found in both_ways(uniform):
        assert found.std == 0
        assert found.mean == n_layers + 1
    for found in both_ways(shortcut):
        assert found.mean == pytest.approx(float(mean), rel=1e-15)
        assert found.std == pytest.approx(math.exp(log_of(variance) / 2), rel=1e-13)


def test_parallel_edges_are_paths_of_their_own():
    for found in both_ways(dag([(0, 1), (0, 1), (1, 2), (1, 2), (1, 2), (0, 2)], 3)):
        assert found.log_count == pytest.approx(math.log(7), rel=1e-15)
        assert found.mean == pytest.approx(13 / 7, rel=1e-15)


def test_a_single_node_is_one_path_of_no_edges():
    row = gt.measure(dag([], 1))
    assert [row[f"{name}_path"] for name in ("mean", "std", "min", "max")] == [0, 0, 0, 0]
    assert row["log_paths"] == 0


def test_no_edges_are_no_paths():
    row = gt.measure(dag([], 3))
    assert row["log_paths"] == -math.inf
    assert math.isnan(row["mean_path"])
    assert "log_paths: the graph has no edges" in row["undefined"]
