"""Differences of two graphs: sets of edges, and one picture with both."""

import igraph
import numpy as np
import pytest
from helpers import weighted_architectures
from hypothesis import given
from matplotlib.colors import to_hex

import graphtask as gt
from graphtask.drawing.style import BOTH, FIRST, SECOND
from graphtask.graph import edge_names


def trained(seed, n_nodes=9):
    graph, rng = gt.full_dag(n_nodes, stages=2), np.random.default_rng(seed)
    graph.es["weight"] = np.where(rng.random(graph.ecount()) < 0.6, 0.5, 0.001).tolist()
    return graph


@given(weighted_architectures(), weighted_architectures())
def test_parts_are_those_of_sets(first, second):
    found = gt.diff(first, second)
    here, there = set(edge_names(first)), set(edge_names(second))
    assert tuple(map(set, found.edges)) == (here & there, here - there, there - here)
    here, there = set(first.vs["name"]), set(second.vs["name"])
    assert tuple(map(set, found.nodes)) == (here & there, here - there, there - here)
    table = found.summary().set_index("part")
    within = table.drop(["nodes", "edges"])
    assert within.sum().tolist() == table.loc["edges"].tolist() == list(found.edges.sizes)


def test_the_table_has_a_row_for_each_edge_with_its_weights():
    first, second = gt.chain_dag(3, stages=1), gt.full_dag(3, stages=1)
    first.es["weight"] = [0.5, 0.25]
    rows = gt.diff(first, second).table().replace({np.nan: None}).to_numpy().tolist()
    assert rows == [
        ["v0", "v1", "both", 0.5, None],
        ["v1", "v2", "both", 0.25, None],
        ["v0", "v2", "only_second", None, None],
    ]


def test_a_threshold_prunes_both_graphs_first():
    first, second = trained(1), trained(2)
    found = gt.diff(first, second, threshold=0.1)
    assert found.edges == gt.diff(gt.prune(first, threshold=0.1), gt.prune(second, threshold=0.1)).edges
    second.es["weight"] = 0.0
    with pytest.raises(gt.errors.DisconnectedError):
        gt.diff(first, second, threshold=0.1)


def drawn_edges(figure, key):
    (artist,) = (a for a in figure.axes[0].collections if (a.get_gid() or "").endswith(f"edges-{key}"))
    return artist


def test_the_picture_shows_every_edge_once_and_not_by_color_alone():
    found = gt.diff(gt.prune(trained(1), threshold=0.1), gt.prune(trained(4), threshold=0.1))
    figure = found.plot(names=["a", "b"])
    looks = {key: drawn_edges(figure, key) for key in ("both", "first", "second")}
    assert [len(artist.get_paths()) for artist in looks.values()] == list(found.edges.sizes)
    assert [to_hex(artist.get_edgecolor()[0]) for artist in looks.values()] == [BOTH, FIRST, SECOND]
    assert looks["second"].get_linestyle()[0][1] is not None
    assert looks["first"].get_linestyle()[0][1] is None
    boxes = [figure.axes[0].get_legend(), *figure.axes[0].artists]
    texts = [text.get_text() for box in boxes for text in box.get_texts()]
    assert f"only in a ({len(found.edges.first)})" in texts
    assert f"only in b ({len(found.edges.second)})" in texts


def test_nodes_of_both_graphs_lie_where_draw_puts_them():
    first, second = gt.full_dag(6, stages=1), gt.chain_dag(6, stages=1)
    together = gt.draw(first, second, names=["a", "b"])
    figure = gt.plot.draw_diff(first, second)

    def places(axes):
        return {
            tuple(np.round(place, 9))
            for artist in axes.collections
            if "nodes" in (artist.get_gid() or "")
            for place in artist.get_offsets()
        }

    assert places(figure.axes[0]) == places(together.axes[0])


def test_graphs_of_opposite_order_and_of_other_nodes_are_drawn():
    first = gt.as_architecture(gt.chain_dag(4, stages=1))
    second = first.copy()
    second.vs["name"] = ["v0", "v2", "v1", "w"]
    figure = gt.plot.draw_diff(first, second)
    assert [len(drawn_edges(figure, key).get_paths()) for key in ("first", "second")] == [3, 3]
    with pytest.raises(gt.errors.ArgumentError, match=r"^names must be 2 different names"):
        gt.plot.draw_diff(first, second, names=["a", "a"])
    with pytest.raises(gt.errors.GraphError):
        gt.diff(first, igraph.Graph(directed=True))
