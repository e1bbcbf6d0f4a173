import numpy as np
import pytest
from helpers import weighted_architectures
from hypothesis import given, settings
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import graphtask as gt
from graphtask.drawing.style import ACROSS, REMOVED, WITHIN, stage_colors
from graphtask.pruning import pruned_parts


def lines(figure, color):
    """The curves of one color: a list of (start, end, width)."""
    found = []
    for artist in figure.axes[0].collections:
        curves = artist.get_paths() if isinstance(artist, PathCollection) else []
        if not curves or len(curves[0].vertices) != 3 or to_hex(artist.get_edgecolor()[0]) != color:
            continue
        widths = np.broadcast_to(artist.get_linewidth(), len(curves))
        found += [
            (tuple(curve.vertices[0]), tuple(curve.vertices[2]), width)
            for curve, width in zip(curves, widths, strict=True)
        ]
    return found


def dots(figure):
    """The color of the filled nodes by position."""
    return {
        tuple(place): to_hex(color)
        for artist in figure.axes[0].collections
        if isinstance(artist, PathCollection) and len(artist.get_offsets()) and artist.get_zorder() == 6
        for place, color in zip(artist.get_offsets(), artist.get_facecolor(), strict=False)
    }


def legend_texts(figure):
    axes = figure.axes[0]
    boxes = [axes.get_legend(), *(artist for artist in axes.artists if hasattr(artist, "get_texts"))]
    return {text.get_text() for box in boxes for text in box.get_texts()}


@settings(max_examples=25)
@given(weighted_architectures())
def test_every_edge_is_drawn_once_in_the_color_of_its_kind(graph):
    positions = np.stack([np.arange(graph.vcount()), np.arange(graph.vcount()) ** 2], axis=1)
    parts = pruned_parts(graph, threshold=0.3)
    figure = gt.draw(graph, threshold=0.3, layout=positions)
    place = [tuple(map(float, point)) for point in positions]
    stage = graph.vs["stage"]
    expected = {WITHIN: [], ACROSS: [], REMOVED: []}
    for edge, weak, dead in zip(graph.es, parts.weak_edges, parts.dead_edges, strict=True):
        kind = ACROSS if stage[edge.source] < stage[edge.target] else WITHIN
        expected[REMOVED if weak or dead else kind].append((place[edge.source], place[edge.target]))
    for color, ends in expected.items():
        assert sorted((start, end) for start, end, _ in lines(figure, color)) == sorted(ends)


def test_nodes_have_the_color_of_their_stage():
    graph = gt.full_dag(9, stages=3)
    positions = [(index, index % 2) for index in range(9)]
    found = dots(gt.draw(graph, layout=positions))
    assert [found[place] for place in positions] == [stage_colors(3)[stage] for stage in graph.vs["stage"]]


def test_the_stronger_edge_is_the_wider_one():
    graph = gt.full_dag(5, stages=1)
    graph.es["weight"] = np.linspace(0, 0.7, graph.ecount()).tolist()
    positions = [(0, 0), (1, 0.5), (2, -0.3), (3, 0.2), (4, 0)]
    width = {(start, end): width for start, end, width in lines(gt.draw(graph, layout=positions), WITHIN)}
    ordered = [width[positions[edge.source], positions[edge.target]] for edge in graph.es]
    assert (np.diff(ordered) > 0).all()
    assert ordered[0] > 0


def test_the_legend_counts_what_is_drawn():
    graph = gt.full_dag(5, stages=2)
    weights = {("v0", "v1"): 0.5, ("v1", "v4"): 0.75, ("v0", "v2"): 0.4}
    names = [(edge.source_vertex["name"], edge.target_vertex["name"]) for edge in graph.es]
    graph.es["weight"] = [weights.get(name, 0.001) for name in names]
    assert legend_texts(gt.draw(graph, threshold=0.3)) == {
        "stage 0",
        "stage 1",
        "within a stage (1)",
        "across stages (1)",
        "below 0.3 (7)",
        "dead path (1)",
        "dead node (2)",
    }
    assert legend_texts(gt.draw(graph)) == {"stage 0", "stage 1", "within a stage (4)", "across stages (6)"}


def test_a_graph_that_a_threshold_breaks_is_all_red():
    graph = gt.chain_dag(4)
    graph.es["weight"] = [0.9, 0.01, 0.9]
    figure = gt.draw(graph, threshold=0.5)
    assert len(lines(figure, REMOVED)) == 3
    assert "dead node (4)" in legend_texts(figure)


@pytest.mark.parametrize(
    "graph",
    [
        gt.full_dag(2),
        gt.full_dag(2, stages=1),
        gt.chain_dag(60, stages=20),
        gt.full_dag(60),
        gt.random_dag(500, seed=1),
    ],
    ids=["two", "two in one stage", "twenty stages", "full", "five hundred"],
)
def test_graphs_of_every_size_are_drawn_and_written(graph, tmp_path):
    figure = gt.draw(graph, title="a title")
    assert len(lines(figure, WITHIN)) + len(lines(figure, ACROSS)) == graph.ecount()
    assert gt.save_figure(figure, tmp_path / "graph.png").stat().st_size > 1000


def test_nothing_that_is_drawn_lies_outside_the_figure(tmp_path):
    graph = gt.full_dag(60, stages=3)
    rng = np.random.default_rng(0)
    graph.es["weight"] = rng.uniform(0, 0.02, graph.ecount()).tolist()
    figure = gt.draw(graph, threshold=0.012, title="everything at once")
    gt.save_figure(figure, tmp_path / "graph.png")
    width, height = figure.get_size_inches() * figure.dpi
    box = figure.get_tightbbox().padded(0).transformed(figure.dpi_scale_trans)
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_axes_of_the_caller_are_drawn_on():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert gt.draw(gt.full_dag(4), ax=right) is figure
    assert len(right.collections) > 0
    assert len(left.collections) == 0


def test_a_grid_has_every_graph_under_its_name():
    graphs = {f"graph {index}": gt.chain_dag(3 + index, stages=1 + index) for index in range(7)}
    figure = gt.draw_grid(graphs, title="seven chains")
    texts = {text.get_text() for text in figure.texts}
    assert len(figure.axes) == 7
    assert set(graphs) <= texts
    assert "9 nodes, 8 edges" in texts
    assert figure.get_suptitle() == "seven chains"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"threshold": 0.1}, gt.GraphError, "no `weight`"),
        ({"layout": [(0, 0)]}, gt.ArgumentError, "one finite"),
        ({"layout": [(0, 0), (1, 1), (2, float("nan"))]}, gt.ArgumentError, "one finite"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        gt.draw(gt.full_dag(3), **options)


def test_a_graph_that_is_not_valid_is_not_drawn():
    graph = gt.full_dag(4)
    del graph.vs["stage"]
    with pytest.raises(gt.GraphError, match="stage"):
        gt.draw(graph)
    with pytest.raises(gt.GraphError, match="stage"):
        gt.draw_grid({"broken": graph})
    with pytest.raises(gt.ArgumentError, match="no graph"):
        gt.draw_grid({})


def test_drawing_leaves_the_graph_alone():
    graph = gt.full_dag(6)
    graph.es["weight"] = [0.5] * graph.ecount()
    before = (graph.get_edgelist(), graph.vs["name"], graph.es["weight"], graph.attributes())
    gt.draw(graph, threshold=0.7)
    assert (graph.get_edgelist(), graph.vs["name"], graph.es["weight"], graph.attributes()) == before
