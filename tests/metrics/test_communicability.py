import math
import warnings
from fractions import Fraction

import igraph
import networkx as nx
import pytest
from helpers import every, random_graphs
from mpmath import besseli, log, mp

import graphtask as gt
from graphtask.metrics import communicability
from graphtask.metrics.view import SMALL, GraphView, Options

GRAPHS = random_graphs(500, seed=1)


def view_of(graph):
    return GraphView(graph, Options())


def exactly_summed(graph, *, directed, n_terms):
    """The logarithm of the series in whole numbers: Σ_k w_k/k! = (Σ_k w_k·K!/k!)/K!."""
    neighbors = graph.get_adjlist(mode="in" if directed else "all")
    source, sink = graph.vs.select(_indegree=0)[0].index, graph.vs.select(_outdegree=0)[0].index
    walks = [int(node == source) for node in range(graph.vcount())]
    total = walks[sink]
    for k in range(1, n_terms):
        walks = [sum(walks[other] for other in near) for near in neighbors]
        total = total * k + walks[sink]
    return math.log(total) - math.lgamma(n_terms)


def same(found, expected):
    return found == pytest.approx(expected, rel=1e-13, abs=1e-13)


@every(5)
def test_undirected_equals_the_series_in_whole_numbers(step):
    for graph in GRAPHS[::step]:
        expected = exactly_summed(graph, directed=False, n_terms=70)
        assert same(communicability.ln_communicability(view_of(graph)), expected)
        assert same(communicability._between_in_large(view_of(graph), *view_of(graph).ends), expected)


@every(5)
def test_directed_equals_the_series_in_whole_numbers(monkeypatch, step):
    expected = [exactly_summed(graph, directed=True, n_terms=graph.vcount()) for graph in GRAPHS[::step]]
    for graph, value in zip(GRAPHS[::step], expected, strict=True):
        assert same(communicability.ln_communicability_directed(view_of(graph)), value)
    monkeypatch.setattr(communicability, "SMALL", 0)
    for graph, value in zip(GRAPHS[::step], expected, strict=True):
        assert same(communicability.ln_communicability_directed(view_of(graph)), value)


@every(5)
def test_undirected_equals_networkx_where_networkx_is_right(step):
    for graph in GRAPHS[::step]:
        if graph.density() < 0.4:
            continue
        view = view_of(graph)
        theirs = nx.Graph(graph.get_edgelist())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = nx.communicability(theirs)[view.ends.input][view.ends.output]
        assert communicability.ln_communicability(view) == pytest.approx(math.log(value), abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 20, 60, 200, 256, 257, 600, 2000])
def test_chains_equal_the_bessel_functions_of_a_walk_between_two_walls(n):
    row = gt.measure(gt.chain_dag(n), metrics=["ln_communicability", "ln_communicability_directed"])
    with mp.workdps(40):
        images = [besseli(abs(n - 1 + 2 * j * (n + 1)), 2) for j in range(-3, 4)]
        walls = [besseli(abs(n + 1 + 2 * j * (n + 1)), 2) for j in range(-3, 4)]
        expected = float(log(sum(images) - sum(walls)))
    assert row["ln_communicability"] == pytest.approx(expected, rel=1e-13)
    assert row["ln_communicability_directed"] == pytest.approx(-math.lgamma(n), rel=1e-13, abs=1e-15)


def test_chains_have_the_known_values():
    assert gt.measure(gt.chain_dag(20))["ln_communicability"] == pytest.approx(-39.294690, abs=1e-6)
    assert gt.measure(gt.chain_dag(60))["ln_communicability"] == pytest.approx(-184.517711, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 4, 10, 60, 90, 120, 256, 257, 400])
def test_the_full_dag_has_its_closed_forms(n):
    row = gt.measure(gt.full_dag(n), metrics=["ln_communicability", "ln_communicability_directed"])
    expected = (n - 1) + math.log1p(-math.exp(-n)) - math.log(n)
    directed = sum(Fraction(math.comb(n - 2, k - 1), math.factorial(k)) for k in range(1, n))
    assert row["ln_communicability"] == pytest.approx(expected, rel=1e-13)
    assert row["ln_communicability_directed"] == pytest.approx(
        math.log(directed.numerator) - math.log(directed.denominator), rel=1e-12, abs=1e-13
    )


@pytest.mark.slow
def test_the_full_dag_of_2000_nodes_does_not_overflow():
    value = gt.measure(gt.full_dag(2000), metrics="ln_communicability")["ln_communicability"]
    assert value == pytest.approx(1999 - math.log(2000), rel=1e-13)


@pytest.mark.parametrize(("clique", "chain"), [(30, 40), (40, 250)])
def test_a_clique_on_a_long_tail_is_right_although_walks_differ_by_hundreds_of_magnitudes(clique, chain):
    edges = [(i, j) for i in range(clique) for j in range(i + 1, clique)]
    edges += [(clique - 1 + k, clique + k) for k in range(chain)]
    graph = igraph.Graph(n=clique + chain, edges=edges, directed=True)
    assert (graph.vcount() > SMALL) == (chain == 250)
    for name, directed in (("ln_communicability", False), ("ln_communicability_directed", True)):
        expected = exactly_summed(graph, directed=directed, n_terms=900)
        assert gt.measure(graph, metrics=name)[name] == pytest.approx(expected, rel=1e-13)


def test_parallel_edges_count_twice():
    double = igraph.Graph(n=2, edges=[(0, 1), (0, 1)], directed=True)
    row = gt.measure(double)
    assert row["ln_communicability"] == pytest.approx(math.log(math.sinh(2)), rel=1e-14)
    assert row["ln_communicability_directed"] == pytest.approx(math.log(2), rel=1e-14)


def test_no_edges_communicate_nothing():
    row = gt.measure(igraph.Graph(n=3, directed=True))
    assert row["ln_communicability"] == row["ln_communicability_directed"] == -math.inf
