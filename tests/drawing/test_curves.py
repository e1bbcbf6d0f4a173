import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

import graphtask as gt

HISTORY = np.array([[0.5, 0.5, 0.5], [0.7, 0.1, 0.0], [0.6, 0.001, 0.0]])


def panels(figure):
    curves = [
        next(artist for artist in axes.collections if isinstance(artist, LineCollection))
        for axes in figure.axes
    ]
    return [[np.asarray(segment) for segment in curve.get_segments()] for curve in curves]


def test_edges_are_kept_or_removed_by_their_last_weight():
    kept, removed = panels(gt.plot.draw_history(HISTORY, threshold=0.006))
    assert [segment[:, 1].tolist() for segment in kept] == [[0.5, 0.7, 0.6]]
    assert len(removed) == 2
    assert kept[0][:, 0].tolist() == [0, 1, 2]


def test_edges_on_dead_paths_are_removed_as_pruning_removes_them():
    history = gt.EdgeHistory(
        edges=(("a", "b"), ("a", "c"), ("b", "c")), w=np.arctanh([[0.5, 0.5, 0.5], [0.9, 0.5, 0.001]])
    )
    kept, removed = panels(gt.plot.draw_history(history, threshold=0.006))
    assert (len(kept), len(removed)) == (1, 2)
    assert len(kept) == gt.dynamics.edge_dynamics(history, threshold=0.006).edges
    assert not panels(gt.plot.draw_history(history, threshold=0.95))[0]


def test_what_is_kept_can_be_said():
    figure = gt.plot.draw_history(HISTORY, kept=[False, True, True])
    assert [axes.get_title() for axes in figure.axes] == ["kept (2)", "removed (1)"]


def test_zeros_stay_on_a_logarithmic_axis(tmp_path):
    figure = gt.plot.draw_history(np.zeros((4, 3)))
    assert np.isfinite(np.concatenate(panels(figure)[1])).all()
    gt.plot.save(figure, tmp_path / "zeros.svg")
    gt.plot.save(gt.plot.draw_history(np.full((1, 2), 0.5), threshold=0.0), tmp_path / "start.svg")


@pytest.mark.parametrize("history", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2))])
def test_a_history_of_another_shape_is_refused(history):
    with pytest.raises(gt.errors.ArgumentError, match=r"\(epochs \+ 1, edges\)"):
        gt.plot.draw_history(history)
    with pytest.raises(gt.errors.ArgumentError, match=r"^kept must be of shape"):
        gt.plot.draw_history(HISTORY, kept=[True])


def test_curves_show_the_columns_of_a_run():
    names = ["train_loss", "test_loss", "train_accuracy", "test_accuracy", "live_edges"]
    metrics = pd.DataFrame({"epoch": [1, 2, 3], **{name: np.arange(3) + i for i, name in enumerate(names)}})
    figure = gt.plot.draw_curves(metrics)
    drawn = [line.get_ydata().tolist() for axes in figure.axes for line in axes.get_lines()]
    assert drawn == [metrics[name].tolist() for name in names]
    with pytest.raises(gt.errors.ArgumentError, match="a table with the column 'live_edges'"):
        gt.plot.draw_curves(metrics.drop(columns="live_edges"))
