from collections import Counter
from itertools import combinations

import pytest
from helpers import architectures, staged
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

import graphtask as gt
from graphtask.graph import edge_array, node_order, stages


def degrees(graph):
    return graph.indegree(), graph.outdegree()


def per_stage(graph):
    """For every vertex, the number of edges to and from every stage."""
    stage = stages(graph)
    counts = Counter()
    for source, target in graph.get_edgelist():
        counts[source, "to", stage[target]] += 1
        counts[target, "from", stage[source]] += 1
    return counts


def every_graph(graph, *, with_stages):
    """All sets of forward edges with the degrees of the graph, by trying all of them."""
    order = node_order(graph)
    place = {node: index for index, node in enumerate(order)}
    edges = frozenset((place[source], place[target]) for source, target in graph.get_edgelist())
    stage = [graph.vs[node]["stage"] for node in order]

    def shape(chosen):
        keys = [("out", i, stage[j] if with_stages else 0) for i, j in chosen]
        return Counter(keys + [("in", j, stage[i] if with_stages else 0) for i, j in chosen])

    wanted, pairs = shape(edges), list(combinations(range(graph.vcount()), 2))
    return {chosen for chosen in map(frozenset, combinations(pairs, len(edges))) if shape(chosen) == wanted}


def chosen(graph):
    return frozenset(map(tuple, edge_array(graph).tolist()))


SMALL = [
    staged([(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5), (1, 4)], [0, 0, 0, 1, 1, 1]),
    staged([(0, 1), (1, 2), (0, 3), (2, 4), (3, 4), (1, 4), (0, 2)], [0, 0, 1, 1, 1]),
    staged([(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 5), (4, 5), (2, 5)], [0, 0, 0, 0, 1, 1]),
]


@given(architectures(), st.sampled_from(["degree", "stage"]), st.integers(0, 99))
def test_degrees_order_and_stages_stay(graph, preserve, seed):
    for null in gt.priors.randomize(graph, 2, seed=seed, preserve=preserve):
        gt.check_graph(null)
        assert degrees(null) == degrees(graph)
        assert null.vs["stage"] == graph.vs["stage"]
        assert all(source < target for source, target in null.get_edgelist())
        if preserve == "stage":
            assert per_stage(null) == per_stage(graph)


@pytest.mark.parametrize("preserve", ["degree", "stage"])
@pytest.mark.parametrize("graph", SMALL, ids=["six", "five", "hub"])
def test_every_graph_is_reached_and_all_are_equally_likely(graph, preserve):
    possible = every_graph(graph, with_stages=preserve == "stage")
    n = 60 * len(possible)
    counts = Counter(chosen(null) for null in gt.priors.randomize(graph, n, seed=1, preserve=preserve))

    assert set(counts) == possible
    if len(possible) > 1:
        assert chisquare(list(counts.values())).pvalue > 1e-3


def test_the_same_seed_gives_the_same_graphs_and_another_gives_others():
    graph = gt.random_dag(30, seed=0)
    first, again, other = (gt.priors.randomize(graph, 2, seed=seed) for seed in (5, 5, 6))

    assert [one.get_edgelist() for one in first] == [one.get_edgelist() for one in again]
    assert first[0].get_edgelist() != other[0].get_edgelist()
    assert first[0].get_edgelist() != first[1].get_edgelist()


def test_the_chain_mixes_and_says_how():
    graph = gt.random_dag(60, out_degree=4, seed=2)
    graph.es["weight"] = [0.5] * graph.ecount()
    null = gt.priors.randomize(graph, 1, seed=0)[0]
    mixing = gt.provenance(null)["randomized"]

    assert mixing["is_mixed"]
    assert mixing["overlap_next"] == pytest.approx(mixing["overlap_far"], abs=0.05)
    assert 0 < mixing["acceptance"] < 1
    assert null.es.attributes() == []
    assert graph.es.attributes() == ["weight"]


def test_a_complete_band_is_the_only_graph_with_its_degrees():
    # Of two switched edges one would be shorter than both, and all short edges are there.
    graph = gt.banded_dag(40, bandwidth=3, stages=1)
    edges = sorted(map(tuple, edge_array(graph).tolist()))

    for null in gt.priors.randomize(graph, 5, seed=3):
        assert sorted(map(tuple, edge_array(null).tolist())) == edges
        assert gt.provenance(null)["randomized"]["acceptance"] == 0


def test_a_full_dag_has_no_other_graph_of_its_degrees():
    graph = gt.full_dag(6)
    null = gt.priors.randomize(graph, 1, seed=0)[0]

    assert sorted(null.get_edgelist()) == sorted(graph.get_edgelist())
    assert gt.provenance(null)["randomized"]["acceptance"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0, "seed": 0}, "n must be an integer >= 1, got 0"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"seed": 0, "preserve": "motifs"}, "preserve must be one of degree, stage, got 'motifs'"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(gt.errors.ArgumentError, match=words):
        gt.priors.randomize(gt.chain_dag(3), **arguments)
