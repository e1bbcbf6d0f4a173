import json
import math
from fractions import Fraction
from pathlib import Path

import igraph
import pytest
from helpers import loose_dags, random_graphs, repeated

import graphtask as gt
from graphtask.metrics import communicability_means, simple

NAMES = ["ln_communicability_start_mean", "ln_communicability_end_mean", "ln_communicability_directed_mean"]
PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published" / "graphs.json"


def log_of_sum(matrix_of, start, n_terms):
    """The logarithm of the sum of the series in whole numbers: Σ_k w_k/k! = (Σ_k w_k·K!/k!)/K!."""
    walks, total = list(start), sum(start)
    for k in range(1, n_terms):
        walks = [sum(walks[other] for other in near) for near in matrix_of]
        total = total * k + sum(walks)
    return math.log(Fraction(total, math.factorial(n_terms - 1)))


def exactly(graph):
    n = graph.vcount()
    directed = log_of_sum(graph.get_adjlist(mode="out"), [1] * n, n + 1) - math.log(n * (n + 1) / 2)
    expected = {NAMES[2]: directed}
    inputs, outputs = graph.vs.select(_indegree=0).indices, graph.vs.select(_outdegree=0).indices
    if len(inputs) == len(outputs) == 1:
        for name, (node,) in zip(NAMES[:2], (inputs, outputs), strict=True):
            start = [int(other == node) for other in range(n)]
            expected[name] = log_of_sum(graph.get_adjlist(mode="all"), start, 80) - math.log(n)
    return expected


@pytest.mark.parametrize("small", [256, 0])
@repeated(300)
def test_everything_equals_the_series_in_whole_numbers(monkeypatch, small, count):
    monkeypatch.setattr(communicability_means, "SMALL", small)
    monkeypatch.setattr(simple, "SMALL", small)
    for graph in random_graphs(count, seed=27) + loose_dags(count, seed=28):
        row = gt.measure(graph, metrics=NAMES)
        for name, value in exactly(graph).items():
            assert row[name] == pytest.approx(value, rel=1e-13, abs=6e-13), name


@pytest.mark.parametrize("n", [2, 60, 750])
def test_the_full_dag_has_its_closed_forms(n):
    graph = gt.full_dag(n)
    row = gt.measure(graph, metrics=NAMES[:2])
    assert row[NAMES[0]] == row[NAMES[1]] == pytest.approx((n - 1) - math.log(n), rel=1e-13)


@pytest.mark.parametrize("n", [2, 60, 2000])
def test_the_directed_chain_has_its_closed_form(n):
    total = sum((n - k) / math.factorial(k) for k in range(min(n, 40)))
    row = gt.measure(gt.chain_dag(n), metrics=NAMES[2])
    assert row[NAMES[2]] == pytest.approx(math.log(total) - math.log(n * (n + 1) / 2), rel=1e-14)


def test_published_values_come_back():
    graphs = json.loads(PUBLISHED.read_text())
    compared = 0
    for known in graphs.values():
        graph = igraph.Graph(n=known["n"], edges=known["edges"], directed=True)
        row = gt.measure(graph, metrics=NAMES[:2])
        for name, published in zip(NAMES, ("start", "end"), strict=False):
            value = known.get(f"communicability_{published}_mean")
            if value is not None:
                compared += 1
                assert row[name] == pytest.approx(value, abs=1e-12)
    assert compared
