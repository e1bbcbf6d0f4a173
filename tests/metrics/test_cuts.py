import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import loose_dags, random_graphs, repeated

import graphtask as gt
from graphtask.metrics.cuts import cut_widths
from graphtask.metrics.view import GraphView, Options

NAMES = ["span_path", "bottlenecks", "mean_cut_width", "max_cut_width", "cut_width_profile"]


def crossing(graph, depth):
    """Edges over every depth, one by one."""
    edges = [(depth[i], depth[j]) for i, j in graph.get_edgelist()]
    return [sum(i < cut <= j for i, j in edges) for cut in range(1, max(depth.values()) + 1)]


def depths(graph):
    """In which of networkx's generations every vertex is."""
    directed = nx.DiGraph(graph.get_edgelist())
    directed.add_nodes_from(range(graph.vcount()))
    return {node: depth for depth, nodes in enumerate(nx.topological_generations(directed)) for node in nodes}


def places(order):
    return {node: place for place, node in enumerate(order)}


@repeated(300)
def test_cut_widths_count_the_edges_that_lead_over_every_depth(count):
    for graph in random_graphs(count, seed=15) + loose_dags(count, seed=16):
        if graph.ecount() == 0:
            continue
        view = GraphView(graph, Options())
        expected = crossing(graph, depths(graph))
        assert cut_widths(view).tolist() == expected
        row = gt.measure(graph, metrics=NAMES[2:])
        assert row == {
            "mean_cut_width": pytest.approx(np.mean(expected)),
            "max_cut_width": max(expected),
            "cut_width_profile": " ".join(map(str, expected)),
            "undefined": "",
        }


def test_there_is_nothing_to_cut_without_edges():
    row = gt.measure(igraph.Graph(n=3, directed=True), metrics=NAMES[2:])
    assert row["undefined"].count("the graph has no edges") == 3


@repeated(500)
def test_bottlenecks_are_the_positions_that_one_edge_crosses_in_any_order(count):
    for graph in random_graphs(count, seed=17):
        expected = crossing(graph, places(GraphView(graph, Options()).order.tolist())).count(1)
        assert gt.measure(graph, metrics="bottlenecks")["bottlenecks"] == expected
        other = list(
            nx.lexicographical_topological_sort(nx.DiGraph(graph.get_edgelist()), key=lambda node: -node)
        )
        assert crossing(graph, places(other)).count(1) == expected


@repeated(500)
def test_the_span_is_the_longest_path_over_the_shortest(count):
    for graph in random_graphs(count, seed=18):
        theirs, ends = nx.DiGraph(graph.get_edgelist()), GraphView(graph, Options()).ends
        expected = nx.dag_longest_path_length(theirs, weight=None) / nx.shortest_path_length(theirs, *ends)
        assert gt.measure(graph, metrics="span_path")["span_path"] == pytest.approx(expected, abs=6e-13)


@pytest.mark.parametrize("n", [2, 60, 2000])
def test_the_chain_has_its_closed_forms(n):
    assert gt.measure(gt.chain_dag(n), metrics=NAMES) == {
        "span_path": 1,
        "bottlenecks": n - 1,
        "mean_cut_width": 1,
        "max_cut_width": 1,
        "cut_width_profile": " ".join("1" * (n - 1)),
        "undefined": "",
    }


@pytest.mark.parametrize("n", [2, 3, 60, 400])
def test_the_full_dag_has_its_closed_forms(n):
    full = gt.measure(gt.full_dag(n), metrics=NAMES)
    assert (full["span_path"], full["bottlenecks"]) == (n - 1, int(n == 2))
    assert (full["mean_cut_width"], full["max_cut_width"]) == (pytest.approx(n * (n + 1) / 6), n * n // 4)
