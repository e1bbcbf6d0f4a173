from collections import Counter
from functools import cache
from itertools import combinations, permutations
from math import comb

import networkx as nx
import numpy as np
import pytest
from helpers import every, loose_dags, random_graphs

import graphtask as gt
from graphtask.metrics import motifs
from graphtask.metrics.motifs import METRICS
from graphtask.metrics.view import GraphView, Options

NAMES = [metric.name for metric in METRICS]
GRAPHS = random_graphs(200, seed=21) + loose_dags(300, seed=22)


def pairs(name):
    return [(int(edge[0]), int(edge[1])) for edge in name.split("_")[1:]]


@cache
def canonical(edges, size):
    return min(tuple(sorted((order[i], order[j]) for i, j in edges)) for order in permutations(range(size)))


def size_of(name):
    return max(map(max, pairs(name))) + 1


FORMS = {(size_of(name), canonical(tuple(pairs(name)), size_of(name))): name for name in NAMES}


@cache
def by_trying_all_subsets(index):
    """Count the induced subgraphs of three and of four nodes by their canonical form under all permutations."""
    graph = GRAPHS[index]
    edges, counts = set(graph.get_edgelist()), Counter(dict.fromkeys(NAMES, 0))
    for size in (3, 4):
        for chosen in combinations(range(graph.vcount()), size):
            found = tuple((i, j) for i in range(size) for j in range(size) if (chosen[i], chosen[j]) in edges)
            name = FORMS.get((size, canonical(found, size)))
            if name is not None:
                counts[name] += 1
    return dict(counts)


def test_the_motifs_are_all_connected_dags_of_three_and_four_nodes():
    for size, number in ((3, 4), (4, 24)):
        every = list(combinations(range(size), 2))
        graphs = [nx.DiGraph() for _ in range(2 ** len(every))]
        for bits, graph in enumerate(graphs):
            graph.add_nodes_from(range(size))
            graph.add_edges_from(pair for place, pair in enumerate(every) if bits >> place & 1)
        classes = []
        for graph in filter(nx.is_weakly_connected, graphs):
            if not any(nx.is_isomorphic(graph, other) for other in classes):
                classes.append(graph)
        assert len(classes) == number
        named = [nx.DiGraph(pairs(name)) for name in NAMES if size_of(name) == size]
        assert len(named) == number
        assert all(sum(nx.is_isomorphic(one, other) for other in named) == 1 for one in classes)


@pytest.mark.parametrize("dense_steps", [1e9, 0.0], ids=["products", "igraph"])
@every(5)
def test_counts_equal_those_of_all_subsets(monkeypatch, dense_steps, step):
    monkeypatch.setattr(motifs, "_DENSE_STEPS", dense_steps)
    for index, graph in list(enumerate(GRAPHS))[::step]:
        row = gt.measure(graph, metrics=NAMES)
        assert row.pop("undefined") == ""
        assert row == by_trying_all_subsets(index)


def test_products_and_igraph_agree_on_larger_graphs():
    for graph in random_graphs(12, seed=23, most_nodes=40):
        view = GraphView(graph, Options())
        products = motifs._by_products(view.adjacency[np.ix_(view.order, view.order)])
        found = graph.motifs_randesu(size=4)
        assert products == {motif: found[motifs._graph(motif).isoclass()] for motif in motifs._motifs()}


def test_motifs_of_three_nodes_are_the_triads_of_networkx():
    names = {"motif_01_02": "021D", "motif_02_12": "021U", "motif_01_12": "021C", "motif_01_02_12": "030T"}
    graph = gt.random_dag(50, out_degree=4, seed=3)
    census = nx.triadic_census(nx.DiGraph(graph.get_edgelist()))
    row = gt.measure(graph, metrics=list(names))
    assert {kind: row[name] for name, kind in names.items()} == {
        kind: census[kind] for kind in names.values()
    }


@pytest.mark.parametrize("n", [4, 60, 300])
def test_chain_and_full_dag_have_their_closed_forms(n):
    chain = gt.measure(gt.chain_dag(n), metrics="motifs")
    assert (chain.pop("motif_01_12"), chain.pop("motif_01_12_23")) == (n - 2, n - 3)
    assert set(chain.values()) == {0, ""}
    if n <= 60:
        full = gt.measure(gt.full_dag(n), metrics="motifs")
        assert full.pop("motif_01_02_12") == comb(n, 3)
        assert full.pop("motif_01_02_03_12_13_23") == comb(n, 4)
        assert set(full.values()) == {0, ""}


def test_motifs_that_would_take_hours_are_skipped_unless_selected_by_name():
    row = gt.measure(gt.full_dag(300), metrics="motifs")
    assert row["motif_01_02_12"] == comb(300, 3)
    assert "motif_01_12_23: skipped, it needs" in row["undefined"]
