import math

import igraph
import networkx as nx
import numpy as np
import pytest
from helpers import shuffled, weighted_architectures
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.errors import ArgumentError, DisconnectedError, GraphError
from graphtask.graph import edge_names
from graphtask.pruning import pruned_parts, relative_weights

THRESHOLDS = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))


def with_weights(graph, weights):
    graph = graph.copy()
    graph.es["weight"] = weights
    return graph


def brute_force(graph, threshold):
    """Edges (as pairs of names) on a path from input to output over edges of at least `threshold`."""
    names = graph.vs["name"]
    plain = nx.DiGraph()
    plain.add_nodes_from(names)
    full = nx.DiGraph(edge_names(graph))
    source = next(node for node in full if full.in_degree(node) == 0)
    sink = next(node for node in full if full.out_degree(node) == 0)
    weights = graph.es["weight"]
    plain.add_edges_from(
        pair for pair, weight in zip(edge_names(graph), weights, strict=True) if weight >= threshold
    )
    from_source = nx.descendants(plain, source) | {source}
    to_sink = nx.ancestors(plain, sink) | {sink}
    live = from_source & to_sink
    return {pair for pair in plain.edges if set(pair) <= live}, live


def is_connected_at(graph, threshold):
    try:
        gt.prune(graph, threshold=threshold)
    except DisconnectedError:
        return False
    return True


@given(weighted_architectures(), THRESHOLDS, st.integers(0, 2**32 - 1))
def test_pruning_agrees_with_networkx(graph, threshold, seed):
    graph = gt.as_architecture(shuffled(graph, seed))
    edges, live = brute_force(graph, threshold)
    if not edges:
        with pytest.raises(DisconnectedError):
            gt.prune(graph, threshold=threshold)
        return
    pruned = gt.prune(graph, threshold=threshold)
    gt.check_graph(pruned)
    assert set(edge_names(pruned)) == edges
    assert set(pruned.vs["name"]) == live


@given(weighted_architectures(), THRESHOLDS)
def test_what_remains_keeps_its_order_and_its_attributes(graph, threshold):
    graph.vs["label"] = [f"label of {name}" for name in graph.vs["name"]]
    graph.es["w"] = np.random.default_rng(0).normal(size=graph.ecount()).tolist()
    if not is_connected_at(graph, threshold):
        return
    pruned = gt.prune(graph, threshold=threshold)
    kept = set(edge_names(pruned))
    rows = zip(edge_names(graph), graph.es["weight"], graph.es["w"], strict=True)
    assert list(zip(edge_names(pruned), pruned.es["weight"], pruned.es["w"], strict=True)) == [
        row for row in rows if row[0] in kept
    ]
    rows = zip(graph.vs["name"], graph.vs["stage"], graph.vs["label"], strict=True)
    assert list(zip(pruned.vs["name"], pruned.vs["stage"], pruned.vs["label"], strict=True)) == [
        row for row in rows if row[0] in set(pruned.vs["name"])
    ]


@given(weighted_architectures(), THRESHOLDS)
def test_pruning_twice_at_one_threshold_is_pruning_once(graph, threshold):
    if is_connected_at(graph, threshold):
        once = gt.prune(graph, threshold=threshold)
        twice = gt.prune(once, threshold=threshold)
        assert edge_names(twice) == edge_names(once)
        assert gt.provenance(twice) == gt.provenance(once)


@given(weighted_architectures(), THRESHOLDS)
def test_the_parts_say_what_prune_removes_and_why(graph, threshold):
    parts = pruned_parts(graph, threshold=threshold)
    edges, live = brute_force(graph, threshold)
    names = edge_names(graph)
    weights = graph.es["weight"]
    assert parts.weak_edges.tolist() == [weight < threshold for weight in weights]
    assert parts.dead_edges.tolist() == [
        weight >= threshold and name not in edges for name, weight in zip(names, weights, strict=True)
    ]
    assert parts.dead_nodes.tolist() == [name not in live for name in graph.vs["name"]]


@given(weighted_architectures())
def test_the_critical_threshold_is_the_largest_weight_that_still_connects(graph):
    critical = gt.critical_threshold(graph)
    candidates = sorted({0.0, *graph.es["weight"]})
    assert critical == max(weight for weight in candidates if brute_force(graph, weight)[0])
    assert is_connected_at(graph, critical)
    assert not is_connected_at(graph, math.nextafter(critical, 2))


@given(weighted_architectures(max_nodes=7))
def test_the_critical_threshold_is_the_best_bottleneck_over_all_paths(graph):
    plain = nx.DiGraph()
    for pair, weight in zip(graph.get_edgelist(), graph.es["weight"], strict=True):
        plain.add_edge(*pair, strength=weight)
    paths = nx.all_simple_edge_paths(plain, 0, graph.vcount() - 1)
    assert gt.critical_threshold(graph) == max(
        min(plain.edges[edge]["strength"] for edge in path) for path in paths
    )


@given(weighted_architectures(), st.integers(0, 2**32 - 1))
def test_the_critical_threshold_does_not_depend_on_the_order_of_vertices_and_edges(graph, seed):
    assert gt.critical_threshold(shuffled(graph, seed)) == gt.critical_threshold(graph)


def test_a_weight_that_equals_the_threshold_stays():
    graph = with_weights(gt.chain_dag(3), [0.5, 0.006])
    assert gt.prune(graph, threshold=0.006).ecount() == 2
    with pytest.raises(DisconnectedError):
        gt.prune(graph, threshold=math.nextafter(0.006, 1))


def test_threshold_zero_removes_nothing():
    graph = with_weights(gt.full_dag(5), [0.0] * 10)
    assert gt.prune(graph, threshold=0).ecount() == 10
    assert gt.critical_threshold(graph) == 0.0


def test_any_threshold_above_zero_removes_edges_that_are_exactly_zero():
    graph = with_weights(gt.full_dag(3), [0.9, 0.0, 0.5])
    assert gt.prune(graph, threshold=0).ecount() == 3
    assert gt.prune(graph, threshold=5e-324).get_edgelist() == [(0, 1), (1, 2)]
    assert gt.prune(graph, threshold=5e-324, relative=True).get_edgelist() == [(0, 1), (1, 2)]


def test_one_edge_is_enough():
    graph = with_weights(gt.full_dag(2), [0.25])
    assert gt.prune(graph).get_edgelist() == [(0, 1)]
    assert gt.critical_threshold(graph) == 0.25


def test_long_dead_ends_go_completely():
    trunk = [(0, 1)]
    dead_end = [(0, 2), *[(node, node + 1) for node in range(2, 40)], (40, 1)]
    graph = gt.as_architecture(igraph.Graph(trunk + dead_end, directed=True), stages=1)
    for weak in (("v2", "v3"), ("v20", "v21"), ("v40", "v1")):
        graph.es["weight"] = [0.0 if pair == weak else 1.0 for pair in edge_names(graph)]
        assert edge_names(gt.prune(graph)) == [("v0", "v1")]


def test_a_strong_edge_that_the_input_cannot_reach_goes_too():
    graph = with_weights(gt.full_dag(4), [0.0, 0.9, 0.0, 0.9, 0.9, 0.9])
    assert edge_names(gt.prune(graph)) == [("v0", "v2"), ("v2", "v3")]


def test_disconnection_is_its_own_error_and_names_the_critical_threshold():
    graph = with_weights(gt.chain_dag(3), [0.3, 0.1])
    with pytest.raises(
        DisconnectedError, match=r"left at threshold 0.2; .* critical threshold 0.1: use that or less"
    ):
        gt.prune(graph, threshold=0.2)
    parts = pruned_parts(graph, threshold=0.2)
    assert parts.dead_nodes.all()
    assert parts.weak_edges.tolist() == [False, True]
    assert parts.dead_edges.tolist() == [True, False]


def test_pruning_leaves_its_argument_alone():
    graph = with_weights(gt.full_dag(4), [0.9, 0.0, 0.0, 0.9, 0.0, 0.9])
    before = (edge_names(graph), graph.es["weight"], gt.provenance(graph))
    gt.prune(graph)
    assert (edge_names(graph), graph.es["weight"], gt.provenance(graph)) == before


def test_the_threshold_and_the_first_size_are_remembered():
    graph = with_weights(gt.full_dag(4), [0.9, 0.02, 0.0, 0.9, 0.0, 0.9])
    once = gt.prune(graph)
    twice = gt.prune(once, threshold=0.1)
    assert gt.provenance(once)["threshold"] == 0.006
    assert gt.provenance(twice)["threshold"] == 0.1
    assert gt.provenance(twice)["initial"]["edges"] == 6
    assert gt.provenance(twice)["prior"] == gt.provenance(graph)["prior"]


def test_a_graph_of_unknown_history_remembers_its_size_before_pruning():
    graph = with_weights(gt.full_dag(3), [0.9, 0.0, 0.9])
    del graph["provenance"]
    assert gt.provenance(gt.prune(graph))["initial"]["edges"] == 3


@pytest.mark.parametrize(
    "function", [gt.prune, gt.critical_threshold, lambda graph: pruned_parts(graph, threshold=0.1)]
)
def test_an_untrained_graph_is_told_to_train_first(function):
    with pytest.raises(GraphError, match="must have a `weight`; train the graph"):
        function(gt.full_dag(4))


@pytest.mark.parametrize("function", [gt.prune, gt.critical_threshold])
def test_an_invalid_graph_is_refused(function):
    with pytest.raises(GraphError, match="no vertex has a `name`"):
        function(igraph.Graph([(0, 1)], directed=True))
    with pytest.raises(GraphError, match=r"^graph must be a graph \(.*\), got None"):
        function(None)


@pytest.mark.parametrize("threshold", [-0.1, -1, float("nan"), -math.inf, "0.5", None, [0.1]])
def test_a_threshold_that_is_negative_or_no_number_is_refused(threshold):
    graph = with_weights(gt.chain_dag(2), [0.5])
    with pytest.raises(
        ArgumentError, match=r"^threshold must be a number >= 0, got .*; the paper's is 0.006"
    ):
        gt.prune(graph, threshold=threshold)


@pytest.mark.parametrize("threshold", [1.5, math.inf])
def test_a_threshold_above_every_weight_disconnects(threshold):
    with pytest.raises(DisconnectedError):
        gt.prune(with_weights(gt.full_dag(4), [1.0] * 6), threshold=threshold)


def test_numpy_numbers_are_thresholds():
    graph = with_weights(gt.chain_dag(2), [0.5])
    pruned = gt.prune(graph, threshold=np.float32(0.5))
    assert type(gt.provenance(pruned)["threshold"]) is float


def test_2000_nodes_in_a_chain_or_a_wide_band_are_no_trouble():
    weights = np.random.default_rng(0).random
    chain = gt.chain_dag(2000)
    chain = with_weights(chain, weights(chain.ecount()).tolist())
    assert gt.critical_threshold(chain) == min(chain.es["weight"])
    band = gt.banded_dag(2000, bandwidth=50)
    band = with_weights(band, weights(band.ecount()).tolist())
    critical = gt.critical_threshold(band)
    edges, live = brute_force(band, critical)
    pruned = gt.prune(band, threshold=critical)
    assert (set(edge_names(pruned)), set(pruned.vs["name"])) == (edges, live)
    assert not brute_force(band, math.nextafter(critical, 1))[0]


def test_a_graph_pruned_twice_remembers_the_larger_threshold():
    graph = gt.full_dag(4)
    graph.es["weight"] = [0.9, 0.8, 0.1, 0.2, 0.7, 0.6]
    for first, second in ((0.3, 0.05), (0.05, 0.3)):
        twice = gt.prune(gt.prune(graph, threshold=first), threshold=second)
        assert gt.provenance(twice)["threshold"] == 0.3
        assert gt.provenance(twice)["initial"]["edges"] == 6


def relative_brute_force(graph):
    """The graph with every weight divided by the largest into the same node, by a double loop."""
    weights, pairs = graph.es["weight"], graph.get_edgelist()
    relative = []
    for (_, target), weight in zip(pairs, weights, strict=True):
        strongest = max(w for (_, other), w in zip(pairs, weights, strict=True) if other == target)
        relative.append(weight / strongest if strongest > 0 else 0.0)
    return with_weights(graph, relative)


@given(weighted_architectures(), THRESHOLDS, st.integers(0, 2**32 - 1))
def test_relative_pruning_is_pruning_by_the_share_of_the_strongest_edge_into_a_node(graph, threshold, seed):
    graph = gt.as_architecture(shuffled(graph, seed))
    expected = relative_brute_force(graph)
    assert relative_weights(graph).tolist() == expected.es["weight"]
    edges, live = brute_force(expected, threshold)
    if not edges:
        with pytest.raises(DisconnectedError, match="relative threshold"):
            gt.prune(graph, threshold=threshold, relative=True)
        return
    pruned = gt.prune(graph, threshold=threshold, relative=True)
    gt.check_graph(pruned)
    assert (set(edge_names(pruned)), set(pruned.vs["name"])) == (edges, live)
    kept = dict(zip(edge_names(graph), graph.es["weight"], strict=True))
    assert pruned.es["weight"] == [kept[pair] for pair in edge_names(pruned)]


@given(weighted_architectures())
def test_the_critical_relative_threshold_is_the_largest_that_still_connects(graph):
    expected = relative_brute_force(graph)
    critical = gt.critical_threshold(graph, relative=True)
    candidates = sorted({0.0, *expected.es["weight"]})
    assert critical == max(value for value in candidates if brute_force(expected, value)[0])
    gt.prune(graph, threshold=critical, relative=True)
    with pytest.raises(DisconnectedError):
        gt.prune(graph, threshold=math.nextafter(critical, 2), relative=True)


@given(weighted_architectures(), THRESHOLDS, st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_relative_pruning_is_free_of_the_scale_of_each_node(graph, threshold, seed, exponent):
    smallest = 2.0**-990  # half of a subnormal weight would be rounded
    graph.es["weight"] = [weight if weight >= smallest else 0.0 for weight in graph.es["weight"]]
    powers = np.random.default_rng(seed).integers(0, exponent, graph.vcount())  # exact factors
    scaled = with_weights(
        graph, [w * 0.5 ** powers[edge.target] for edge, w in zip(graph.es, graph.es["weight"], strict=True)]
    )
    parts = [pruned_parts(g, threshold=threshold, relative=True) for g in (graph, scaled)]
    assert all((ours == theirs).all() for ours, theirs in zip(*parts, strict=True))


def test_a_relative_threshold_has_its_own_place_in_the_provenance():
    graph = with_weights(gt.full_dag(4), [0.9, 0.02, 0.0, 0.9, 0.0, 0.9])
    facts = gt.provenance(gt.prune(gt.prune(graph), threshold=0.3, relative=True))
    assert (facts["threshold"], facts["relative_threshold"]) == (0.006, 0.3)
