import math

import networkx as nx
import numpy as np
import pytest
from dynamics.builders import histories, history_of, trained
from helpers import shuffled
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.dynamics.ranking import largest_edges
from graphtask.graph import edge_names


@given(histories(), st.data())
def test_the_largest_edges_are_those_of_a_sort(history, data):
    epoch = data.draw(st.integers(1, len(history.w) - 1))
    k = data.draw(st.integers(0, len(history.edges)))
    row = history.magnitudes[epoch].tolist()
    order = sorted(range(len(row)), key=lambda index: (-row[index], index))
    assert largest_edges(history, k, epoch=epoch) == {history.edges[index] for index in order[:k]}
    rest = largest_edges(history, len(row) - k, epoch=epoch, smallest=True)
    assert rest == set(history.edges) - largest_edges(history, k, epoch=epoch)
    assert largest_edges(history, k, epoch=-1) == largest_edges(history, k, epoch=len(history.w) - 1)


@given(histories(), st.data())
def test_overlaps_are_dice_coefficients_of_the_largest_edges(history, data):
    retained = data.draw(st.sets(st.sampled_from(history.edges)))
    table = gt.dynamics.edge_overlap(history, retained=retained)
    assert table["epoch"].tolist() == list(range(1, len(history.w)))
    for row in table.itertuples():
        now, first, last = (
            largest_edges(history, len(retained), epoch=epoch) for epoch in (row.epoch, 1, -1)
        )
        expected = [gt.dice_similarity(now, other) for other in (first, last, retained)]
        assert [row.dsc_first, row.dsc_final, row.dsc_retained] == pytest.approx(expected, nan_ok=True)
    assert retained or table.drop(columns="epoch").isna().all(axis=None)


def test_overlaps_start_and_end_at_one():
    table = gt.dynamics.edge_overlap(history_of([[0.5, 0.5, 0.5], [0.9, 0.1, 0.2], [0.1, 0.9, 0.2]]), threshold=0.15,
                            retained=[("in", "n1")])  # fmt: skip
    assert table["dsc_first"].tolist() == [1.0, 0.0]
    assert table["dsc_final"].tolist() == [0.0, 1.0]


@given(st.permutations(range(15)), st.integers(1, 15))
def test_the_top_k_graph_is_the_smallest_that_hangs_together(ranks, at_least):
    graph, history = trained(gt.full_dag(6), [rank / 16 for rank in ranks])
    top = gt.dynamics.top_k_graph(graph, history, at_least=at_least)
    pairs = edge_names(graph)

    def hangs_together(k):
        chosen = [pairs[index] for index in np.argsort(ranks)[::-1][:k]]
        found = nx.DiGraph(chosen)
        return {"v0", "v5"} <= set(found) and nx.is_weakly_connected(found)

    assert top.k == next(k for k in range(at_least, 16) if hangs_together(k))
    assert set(edge_names(top.graph)) == {pairs[index] for index in np.argsort(ranks)[::-1][: top.k]}
    assert min(top.graph.degree()) > 0
    assert top.graph.es["weight"] == [
        history.magnitudes[1, pairs.index(pair)] for pair in edge_names(top.graph)
    ]


@given(st.permutations(range(15)))
def test_the_live_part_is_valid_and_has_all_paths(ranks):
    graph, history = trained(gt.full_dag(6), [rank / 16 for rank in ranks])
    top = gt.dynamics.top_k_graph(graph, history)
    whole = nx.DiGraph(edge_names(top.graph))
    paths = list(nx.all_simple_edge_paths(whole, "v0", "v5"))
    if top.live is None:
        assert not paths
        return
    gt.check_graph(top.live)
    assert set(edge_names(top.live)) == {edge for path in paths for edge in path}
    assert gt.provenance(top.live)["initial"]["edges"] == 15
    assert gt.provenance(top.live)["top_k"] == {"k": top.k, "epoch": 1}


def test_weak_connection_is_not_yet_a_path():
    graph = gt.dag_from_predicate(
        4, lambda i, j: (i, j) in {(0, 1), (1, 3), (0, 2), (2, 3), (1, 2)}, stages=1
    )
    strong = {("v0", "v2"): 0.9, ("v1", "v2"): 0.8, ("v1", "v3"): 0.7}
    graph, history = trained(graph, [strong.get(pair, 0.1) for pair in edge_names(graph)])
    top = gt.dynamics.top_k_graph(graph, history)
    assert (top.k, top.live) == (3, None)
    assert gt.dynamics.top_k_graph(graph, history, at_least=4).live is not None


def test_more_edges_may_fall_apart_again():
    # The three largest make one piece, the fourth is a piece of its own, the fifth joins them.
    graph = gt.full_dag(5, stages=1)
    order = [("v0", "v4"), ("v1", "v2"), ("v1", "v4")]
    weights = {pair: 0.9 - 0.1 * rank for rank, pair in enumerate(order)}
    graph, history = trained(graph, [weights.get(pair, 0.1) for pair in edge_names(graph)])
    assert gt.dynamics.top_k_graph(graph, history).k == 1
    assert gt.dynamics.top_k_graph(graph, history, at_least=2).k == 3


def test_the_order_of_vertices_and_edges_plays_no_part():
    rng = np.random.default_rng(5)
    graph, history = trained(gt.full_dag(8), rng.permutation(28) / 32)
    top = gt.dynamics.top_k_graph(graph, history, at_least=12)
    other = gt.dynamics.top_k_graph(shuffled(graph, 3), history, at_least=12)
    assert set(edge_names(top.graph)) == set(edge_names(other.graph))
    weights = dict(zip(edge_names(top.graph), top.graph.es["weight"], strict=True))
    assert weights == dict(zip(edge_names(other.graph), other.graph.es["weight"], strict=True))


def test_one_edge_is_enough_for_two_nodes():
    graph, history = trained(gt.chain_dag(2, stages=1), [0.3])
    top = gt.dynamics.top_k_graph(graph, history)
    assert (top.k, top.live.ecount()) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_least": 0}, "at_least must be an integer in"),
        ({"at_least": 16}, r"at_least must be an integer in \[1, 15\], got 16"),
        ({"epoch": 0}, "epoch must be an integer in"),
        ({"epoch": 2}, r"epoch must be an integer in \[1, 1\], or -1 for the last, got 2"),
    ],
)
def test_what_is_out_of_range_is_refused(options, message):
    graph, history = trained(gt.full_dag(6), [0.5] * 15)
    with pytest.raises(gt.errors.ArgumentError, match=message):
        gt.dynamics.top_k_graph(graph, history, **options)


def test_a_graph_of_another_run_is_refused():
    _, history = trained(gt.full_dag(6), [0.5] * 15)
    with pytest.raises(gt.errors.ArgumentError, match="other edges"):
        gt.dynamics.top_k_graph(gt.chain_dag(6), history)
    with pytest.raises(gt.errors.ArgumentError, match=r"k must be an integer in \[0, 15\], got 16"):
        largest_edges(history, 16)


def test_no_retained_edge_leaves_nothing_to_compare():
    table = gt.dynamics.edge_overlap(history_of([[0.5], [0.1]]), retained=())
    assert math.isnan(table["dsc_first"][0])
