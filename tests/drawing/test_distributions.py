import numpy as np
import pandas as pd
import pytest
from matplotlib.legend import Legend

import graphtask as gt


@pytest.fixture(scope="module")
def corresponding():
    graph = gt.full_dag(9)
    graphs = []
    for seed in range(4):
        graph.es["weight"] = np.random.default_rng(seed).random(graph.ecount()).tolist()
        graphs.append(gt.prune(graph, threshold=0.9 * gt.critical_threshold(graph)))
    return gt.GraphDistribution.fit(graphs)


def test_the_matrix_has_the_probability_of_every_edge(corresponding):
    table = corresponding.edge_probabilities()
    figure = gt.plot.draw_distribution(table, corresponding.mean_graph(), title="nine nodes")
    (image,) = figure.axes[0].images
    drawn = image.get_array()
    expected = np.full((9, 9), np.nan)
    expected[np.triu_indices(9, 1)] = table["probability"]
    np.testing.assert_array_equal(np.ma.filled(drawn, np.nan), expected)
    assert figure.axes[1].get_title(loc="left").startswith("mean graph: ")


def test_nodes_that_feed_nobody_in_the_table_come_after_their_sources():
    band = gt.GraphDistribution.fit([gt.banded_dag(6, bandwidth=2)] * 2).edge_probabilities()
    (image,) = gt.plot.draw_distribution(band, gt.banded_dag(6, bandwidth=2)).axes[0].images
    shown = ~np.isnan(np.ma.filled(image.get_array(), np.nan))
    assert np.array_equal(shown, np.triu(np.ones((6, 6), bool), 1) & np.tri(6, k=2, dtype=bool))


@pytest.mark.usefixtures("rough_once")
def test_distance_laws_are_curves_one_for_each_two_stages():
    fitted = gt.GraphDistribution.fit([gt.random_dag(12, seed=seed) for seed in range(3)])
    table = fitted.edge_probabilities()
    lines = gt.plot.draw_distribution(table, fitted.mean_graph()).axes[0].get_lines()
    inner = table[~table["source_group"].eq("input") & ~table["target_group"].eq("output")]
    pairs = inner.groupby(["source_group", "target_group"])["probability"].apply(list)
    assert [line.get_ydata().tolist() for line in lines] == pairs.tolist()
    assert [line.get_label() for line in lines] == [f"{a[-1]} → {b[-1]}" for a, b in pairs.index]


def test_another_table_is_refused():
    with pytest.raises(gt.errors.ArgumentError, match="edge_probabilities"):
        gt.plot.draw_distribution(pd.DataFrame({"x": [1]}), gt.full_dag(3))


def test_observed_and_sampled_graphs_are_dots_in_a_panel_for_each_metric():
    observed, sampled = pd.DataFrame({"a": [1, 2], "b": [1.0, np.nan]}), pd.DataFrame({"a": [3], "b": [2.0]})
    figure = gt.plot.draw_observed_sampled(observed, sampled)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    dots = [[list(dots.get_offsets()[:, 1]) for dots in axes.collections] for axes in figure.axes]
    assert dots == [[[1, 2], [3]], [[1], [2]]]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["observed (2)", "sampled (1)"]


def test_metrics_that_never_vary_are_left_out_unless_named():
    same = pd.DataFrame({"a": [1, 1], "b": [1, 2], "text": ["x", "y"]})
    assert [axes.get_title() for axes in gt.plot.draw_observed_sampled(same, same).axes] == ["b"]
    assert len(gt.plot.draw_observed_sampled(same, same, metrics=["a", "b"]).axes) == 2
    for metrics, words in ((["c"], "give tables of gt.measure_all"), ([], "nothing to draw")):
        with pytest.raises(gt.errors.ArgumentError, match=words):
            gt.plot.draw_observed_sampled(same, same, metrics=metrics)


def test_a_metric_that_one_side_does_not_have_says_so(tmp_path):
    ours, theirs = pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [np.nan]})
    figure = gt.plot.draw_observed_sampled(ours, theirs)
    assert [text.get_text() for text in figure.axes[0].texts] == ["undefined"]
    gt.plot.save(figure, tmp_path / "one.svg")


def test_the_mean_graph_has_its_share_of_the_picture_and_the_legend_is_inside(corresponding):
    figure = gt.plot.draw_distribution(
        corresponding.edge_probabilities(), corresponding.mean_graph(), title="nine nodes"
    )
    figure.draw_without_rendering()
    right = figure.axes[1]
    width, height = figure.get_size_inches()
    assert right.get_position().width * width > 2.4
    for legend in right.findobj(Legend):
        box = legend.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= right.get_position().y0 * height
