import io
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from helpers import weighted_architectures
from hypothesis import given
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from PIL import Image

import graphtask as gt
from graphtask.drawing.artists import sampled
from graphtask.drawing.picture import new_figure
from graphtask.drawing.placement import LAYOUTS
from graphtask.drawing.style import ACROSS, DEAD, WEAK, WITHIN, stage_colors
from graphtask.drawing.text import fitted
from graphtask.pruning import pruned_parts

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    "$\\frac{1}{0}$ $x^2",
    "שלום עולם",
    "x" * 200,
    "a \"quoted\" & 'b'",
    "tab\tand\nline",
    "\x00\x1b[31m\u202e",
]


def lines(axes, color):
    """The curves of one color: a list of (start, end, width)."""
    found = []
    for artist in axes.collections:
        curves = artist.get_paths() if isinstance(artist, PathCollection) else []
        if not curves or len(curves[0].vertices) < 4 or "edges" not in (artist.get_gid() or ""):
            continue
        if to_hex(artist.get_edgecolor()[0]) == color:
            widths = np.broadcast_to(artist.get_linewidth(), len(curves))
            found += [
                (tuple(curve.vertices[0]), tuple(curve.vertices[-1]), width)
                for curve, width in zip(curves, widths, strict=True)
            ]
    return found


def dots(axes):
    """The color of the filled nodes by position."""
    return {
        tuple(place): to_hex(color)
        for artist in axes.collections
        if "nodes-live" in (artist.get_gid() or "")
        for place, color in zip(artist.get_offsets(), artist.get_facecolor(), strict=False)
    }


def legend_texts(axes):
    boxes = [axes.get_legend(), *(artist for artist in axes.artists if hasattr(artist, "get_texts"))]
    return {text.get_text() for box in boxes for text in box.get_texts()}


def trained(graph, seed=0, share=0.5):
    rng = np.random.default_rng(seed)
    strong = rng.random(graph.ecount()) < share
    graph = graph.copy()
    graph.es["weight"] = np.where(strong, rng.uniform(0.1, 0.9, len(strong)), 0.001).tolist()
    return graph


@given(weighted_architectures())
def test_every_edge_is_drawn_once_in_the_color_of_its_kind(graph):
    positions = np.stack([np.arange(graph.vcount()), np.arange(graph.vcount()) ** 2], axis=1)
    parts = pruned_parts(graph, threshold=0.3)
    figure = gt.draw(graph, threshold=0.3, layout=positions)
    place = [tuple(map(float, point)) for point in positions]
    stage = graph.vs["stage"]
    expected = {WITHIN: [], ACROSS: [], WEAK: [], DEAD: []}
    for edge, weak, dead in zip(graph.es, parts.weak_edges, parts.dead_edges, strict=True):
        kind = ACROSS if stage[edge.source] < stage[edge.target] else WITHIN
        color = WEAK if weak else DEAD if dead else kind
        expected[color].append((place[edge.source], place[edge.target]))
    for color, ends in expected.items():
        assert sorted((start, end) for start, end, _ in lines(figure.axes[0], color)) == sorted(ends)


def test_weak_edges_can_be_hidden():
    graph = trained(gt.full_dag(8), share=0.6)
    light, hidden = (gt.draw(graph, threshold=0.01, weak=weak) for weak in ("light", "hidden"))
    assert len(lines(light.axes[0], WEAK)) == sum(weight < 0.01 for weight in graph.es["weight"])
    assert lines(hidden.axes[0], WEAK) == []
    assert any(text.startswith("below 0.01, not shown") for text in legend_texts(hidden.axes[0]))


def test_nodes_have_the_color_of_their_stage():
    graph = gt.full_dag(9, stages=3)
    positions = [(index, index % 2) for index in range(9)]
    for cmap in ("viridis", "cividis"):
        found = dots(gt.draw(graph, layout=positions, cmap=cmap).axes[0])
        colors = stage_colors(3, cmap=cmap)
        assert [found[place] for place in positions] == [colors[stage] for stage in graph.vs["stage"]]


def test_the_stronger_edge_is_the_wider_one():
    graph = gt.full_dag(5, stages=1)
    graph.es["weight"] = np.linspace(0, 0.7, graph.ecount()).tolist()
    positions = [(0, 0), (1, 0.5), (2, -0.3), (3, 0.2), (4, 0)]
    figure = gt.draw(graph, layout=positions)
    width = {(start, end): width for start, end, width in lines(figure.axes[0], WITHIN)}
    ordered = [width[positions[edge.source], positions[edge.target]] for edge in graph.es]
    assert (np.diff(ordered) > 0).all()
    assert ordered[0] > 0
    assert {"weight 0.7", "weight 0.35", "weight 0.07"} <= legend_texts(figure.axes[0])


def test_the_legend_counts_what_is_drawn():
    graph = gt.full_dag(5, stages=2)
    weights = {("v0", "v1"): 0.5, ("v1", "v4"): 0.75, ("v0", "v2"): 0.4}
    names = [(edge.source_vertex["name"], edge.target_vertex["name"]) for edge in graph.es]
    graph.es["weight"] = [weights.get(name, 0.001) for name in names]
    assert legend_texts(gt.draw(graph, threshold=0.3).axes[0]) == {
        "stage 0",
        "stage 1",
        "within a stage (1)",
        "across stages (1)",
        "below 0.3 (7)",
        "dead path (1)",
        "dead node (2)",
        *("weight 0.75", "weight 0.38", "weight 0.075"),
    }
    plain = legend_texts(gt.draw(graph).axes[0])
    assert {"stage 0", "stage 1", "within a stage (4)", "across stages (6)"} < plain


@pytest.mark.parametrize("width", [2.5, 4.0, 6.4])
def test_the_legend_fits_the_width_of_the_figure(width):
    graph = trained(gt.full_dag(12, stages=3), share=0.4)
    figure = gt.draw(graph, threshold=0.006, figsize=(width, 4))
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    for box in [axes.get_legend(), *(artist for artist in axes.artists if hasattr(artist, "get_texts"))]:
        extent = box.get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= width * figure.dpi
        assert extent.y0 >= 0


def test_a_graph_that_a_threshold_breaks_has_only_dead_nodes():
    graph = gt.chain_dag(4)
    graph.es["weight"] = [0.9, 0.01, 0.9]
    axes = gt.draw(graph, threshold=0.5).axes[0]
    assert (len(lines(axes, DEAD)), len(lines(axes, WEAK))) == (2, 1)
    assert "dead node (4)" in legend_texts(axes)


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
    assert len(lines(figure.axes[0], WITHIN)) + len(lines(figure.axes[0], ACROSS)) == graph.ecount()
    assert gt.plot.save(figure, tmp_path / "graph.png").stat().st_size > 1000


@pytest.mark.parametrize("layout", [*LAYOUTS, None])
@pytest.mark.parametrize("graph", [gt.full_dag(2), gt.random_dag(30, seed=2), gt.full_dag(12)])
def test_nothing_that_is_drawn_lies_outside_the_figure(graph, layout, tmp_path):
    graph = trained(graph, share=0.6)
    graph.vs["x"], graph.vs["y"] = range(graph.vcount()), [node % 5 for node in range(graph.vcount())]
    figure = gt.draw(graph, threshold=0.012, title="everything in one picture", layout=layout)
    gt.plot.save(figure, tmp_path / "graph.png")
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
    figure = gt.plot.draw_grid(graphs, title="seven chains")
    texts = {text.get_text() for text in figure.texts}
    assert len(figure.axes) == 7
    assert set(graphs) <= texts
    assert "9 nodes, 8 edges" in texts
    assert figure.get_suptitle() == "seven chains"


def places(axes, graph):
    """Position of every node of a drawn graph by its name."""
    points = [
        tuple(np.round(place, 9))
        for artist in axes.collections
        if "nodes" in (artist.get_gid() or "")
        for place in artist.get_offsets()
    ]
    assert len(points) == graph.vcount()
    return set(points)


@pytest.mark.parametrize("layout", [None, "kamada-kawai", "circle", "stages"])
def test_before_and_after_have_their_nodes_in_the_same_places(layout):
    before = trained(gt.random_dag(30, seed=2), share=0.7)
    after = gt.prune(before)
    figure = gt.draw(before, after, threshold=0.006, layout=layout)
    first, second = figure.axes
    assert {"before", "after"} <= {text.get_text() for text in figure.texts}
    assert places(second, after) < places(first, before)
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()


def test_graphs_of_opposite_order_share_a_layout():
    first = gt.as_architecture(gt.chain_dag(4, stages=1))
    second = first.copy()
    second.vs["name"] = ["v0", "v2", "v1", "v3"]
    figure = gt.draw(first, second, names=["one", "other"])
    assert places(figure.axes[0], first) == places(figure.axes[1], second)
    with pytest.raises(gt.errors.ArgumentError, match=r"^names must be 2 different names"):
        gt.draw(first, second, names=["same", "same"])
    with pytest.raises(gt.errors.ArgumentError, match=r"^ax must be omitted for several graphs"):
        gt.draw(first, second, ax=Figure().subplots())


@pytest.mark.parametrize("length", [0, 60])
@pytest.mark.parametrize("seed", range(4))
def test_no_label_lies_on_a_node_or_an_edge(seed, length):
    """All boxes of names against all circles and curves, in points; only input and output may have no choice."""
    graph = gt.random_dag(14, seed=seed, stages=2)
    graph.vs["name"] = [name + length * "x" for name in graph.vs["name"]]
    figure = gt.draw(graph, labels="name")
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    nodes = [
        tuple(place)
        for artist in axes.collections
        if "nodes" in (artist.get_gid() or "")
        for place in artist.get_offsets()
    ]
    curves = np.concatenate(
        [
            axes.transData.transform(sampled(curve.vertices, 50))
            for artist in axes.collections
            if "edges" in (artist.get_gid() or "")
            for curve in artist.get_paths()
        ]
    )
    boxes = [
        (text, text.get_window_extent()) for text in axes.texts if text.get_text() not in {"input", "output"}
    ]
    assert len(boxes) >= (6 if length == 0 else 3)
    n_omitted = graph.vcount() - len(axes.texts)
    legends = [axes.get_legend(), *axes.findobj(Legend)]
    notes = {
        text.get_text() for legend in legends for text in legend.get_texts() if "without" in text.get_text()
    }
    assert notes == ({f"{n_omitted} label{'s' * (n_omitted > 1)} without space"} if n_omitted else set())
    for text, box in boxes:
        inside = (curves > [box.x0, box.y0]).all(axis=1) & (curves < [box.x1, box.y1]).all(axis=1)
        assert not inside.any(), text
        assert not any(box.contains(*axes.transData.transform(node)) for node in nodes), text
    for index, (_, first) in enumerate(boxes):
        assert not any(first.overlaps(second) for _, second in boxes[index + 1 :])


def test_arrow_heads_are_whole_and_lie_above_all_edges():
    figure = gt.draw(gt.random_dag(12, seed=1))
    heads = [artist for artist in figure.axes[0].collections if isinstance(artist, PolyCollection)]
    assert heads
    for artist in heads:
        assert not artist.get_clip_on()
        assert artist.get_alpha() is None
        assert artist.get_zorder() > 4
        for path in artist.get_paths():
            tip, left, right = path.vertices[:3]
            assert np.linalg.norm(tip - left) == pytest.approx(np.linalg.norm(tip - right), rel=1e-6)


def test_names_are_shown_as_text_whatever_they_hold(tmp_path):
    graph = gt.chain_dag(len(HOSTILE), stages=1)
    graph.vs["label"] = HOSTILE
    figure = gt.draw(
        graph, labels="label", title="$a$ <b>", layout=[(k, 5 * (k % 2)) for k in range(len(HOSTILE))]
    )
    for suffix in ("svg", "pdf", "png"):
        path = gt.plot.save(figure, tmp_path / f"hostile.{suffix}")
    root = ET.fromstring((tmp_path / "hostile.svg").read_bytes())
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert any(text.startswith("<script>a…") and text.endswith("> (input)") for text in texts)
    assert "$a$ <b>" in texts
    assert any(text.startswith("$\\frac") for text in texts)
    assert all(len(text) <= 34 for text in texts)
    assert not list(root.iter(f"{SVG}script"))
    assert path.stat().st_size > 1000


@pytest.mark.skipif(mpl.__version_info__[:2] < (3, 11), reason="older matplotlib draws letters left to right")
def test_right_to_left_names_are_drawn_from_right_to_left():
    """Alef is low and lamed is tall: read from the right, the first letter is the low one on the right."""
    figure = new_figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "\u05d0\u05dc", fontsize=30, ha="center", va="center")
    with Image.open(io.BytesIO(figure._repr_png_())) as image:
        ink = np.asarray(image.convert("L")) < 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    top = np.flatnonzero(ink[rows[0] : rows[0] + 3].any(axis=0))
    assert top.mean() < columns.mean()


def test_svg_files_have_real_text_and_tooltips(tmp_path):
    graph = trained(gt.random_dag(12, seed=4), share=0.9)
    graph.vs[3]["name"] = "<three> & $4$"
    path = gt.plot.save(gt.draw(graph, labels="name", threshold=0.006), tmp_path / "graph.svg")
    root = ET.fromstring(path.read_bytes())
    titles = {element.text for element in root.iter(f"{SVG}title")}
    names = graph.vs["name"]
    for edge in graph.es:
        assert f"{names[edge.source]} → {names[edge.target]}, weight {edge['weight']:.4g}" in titles
    for vertex in graph.vs:
        degrees = f"{vertex.indegree()} in, {vertex.outdegree()} out"
        assert f"{vertex['name']}, stage {vertex['stage']}, {degrees}" in titles
    texts = {"".join(element.itertext()) for element in root.iter(f"{SVG}text")}
    assert {"v0 (input)", "stage 0", "v1"} <= texts
    assert not re.search(rb'<g id="DejaVu', path.read_bytes())  # letters as shapes


def test_the_size_under_a_graph_of_a_grid_counts_the_edges_that_are_left():
    graph = gt.full_dag(4)
    graph.es["weight"] = [0.9, 0.001, 0.001, 0.9, 0.001, 0.9]
    for threshold, size in ((None, "4 nodes, 6 edges"), (0.006, "4 nodes, 3 of 6 edges")):
        figure = gt.plot.draw_grid({"a": graph}, threshold=threshold, weak="hidden")
        assert size in [text.get_text() for text in figure.texts]


def test_sizes_and_fonts_are_adjustable():
    graph = gt.random_dag(10, seed=1)
    figure = gt.draw(graph, figsize=(4, 3), node_size=20, font="DejaVu Serif", font_size=11, title="large")
    axes = figure.axes[0]
    assert tuple(figure.get_size_inches()) == (4, 3)
    sizes = [artist.get_sizes()[0] for artist in axes.collections if "nodes" in (artist.get_gid() or "")]
    assert set(sizes) == {400.0}
    assert {text.get_fontfamily()[0] for text in axes.texts} == {"DejaVu Serif"}
    assert axes.get_legend().get_texts()[0].get_fontsize() == 11


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"threshold": 0.1}, gt.errors.GraphError, "must have a `weight`"),
        ({"layout": [(0, 0)]}, gt.errors.ArgumentError, "^layout must be one finite"),
        (
            {"layout": [(0, 0), (1, 1), (2, float("nan"))]},
            gt.errors.ArgumentError,
            "^layout must be one finite",
        ),
        (
            {"layout": [(0, 0), (1e308, 1), (-1e308, 0)]},
            gt.errors.ArgumentError,
            "^layout must be one finite",
        ),
        (
            {"layout": "spring"},
            gt.errors.ArgumentError,
            "^layout must be one of layered, stages, .*got 'spring'",
        ),
        ({"layout": "file"}, gt.errors.ArgumentError, "vertex attributes x and y; the graph has no x"),
        ({"labels": "color"}, gt.errors.ArgumentError, "^labels must be a vertex attribute .*name, stage"),
        ({"weak": "red"}, gt.errors.ArgumentError, "^weak must be one of light, hidden"),
        ({"cmap": "nice"}, gt.errors.ArgumentError, "^cmap must be a colormap"),
        ({"node_size": -1}, gt.errors.ArgumentError, "^node_size must be a number"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        gt.draw(gt.full_dag(3), **options)


@pytest.mark.parametrize("value", [10**400, [1, 2], "a", None, 1e308, float("inf")])
def test_positions_of_a_file_that_are_no_coordinates_are_refused(value):
    graph = gt.full_dag(3)
    graph.vs["x"], graph.vs["y"] = [0.0, value, -1e308], [0.0, 1.0, 2.0]
    with pytest.raises(gt.errors.ArgumentError, match=r"^layout must be"):
        gt.draw(graph, layout="file")


def test_a_graph_that_is_not_valid_is_not_drawn():
    graph = gt.full_dag(4)
    del graph.vs["stage"]
    with pytest.raises(gt.errors.GraphError, match="stage"):
        gt.draw(graph)
    with pytest.raises(gt.errors.GraphError, match="stage"):
        gt.plot.draw_grid({"broken": graph})
    with pytest.raises(gt.errors.ArgumentError, match="at least one graph"):
        gt.plot.draw_grid({})


def test_drawing_leaves_the_graph_alone():
    graph = gt.full_dag(6)
    graph.es["weight"] = [0.5] * graph.ecount()
    before = (graph.get_edgelist(), graph.vs["name"], graph.es["weight"], graph.attributes())
    gt.draw(graph, threshold=0.7)
    assert (graph.get_edgelist(), graph.vs["name"], graph.es["weight"], graph.attributes()) == before


def test_long_titles_are_shortened_to_the_width():
    figure = gt.plot.draw_grid({"x" * 200: gt.full_dag(3), "b": gt.full_dag(3)}, title="y" * 200)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [figure._suptitle, *(text for text in figure.texts if text.get_text().startswith("x"))]
    assert len(texts) == 2
    for text in texts:
        assert text.get_text().endswith("…")
        assert len(text.get_text()) > 20
        box = text.get_window_extent(renderer)
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert fitted("short  title", width=5, size=9) == "short title"


def test_equal_weights_are_equally_wide_and_nodes_equally_large_in_the_same_layout():
    whole = gt.full_dag(9)
    whole.es["weight"] = np.random.default_rng(0).uniform(0.1, 1, whole.ecount())
    part = gt.prune(whole, threshold=0.7)
    part.es["weight"] = np.minimum(part.es["weight"], 0.8)
    figure = gt.plot.draw_grid({"a": whole, "b": part}, same_layout=True)
    sizes, widths = [], []
    for axes in figure.axes:
        found = {artist.get_gid(): artist for artist in axes.collections if artist.get_gid()}
        sizes.append({float(a.get_sizes()[0]) for gid, a in found.items() if "nodes" in gid})
        widths.append(max(max(a.get_linewidths()) for gid, a in found.items() if "edges" in gid))
    assert sizes[0] == sizes[1]
    strongest = [max(graph.es["weight"]) for graph in (whole, part)]
    assert (widths[1] / widths[0]) == pytest.approx((0.15 + 0.85 * strongest[1] / strongest[0]), rel=1e-6)
