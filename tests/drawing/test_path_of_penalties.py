"""Paths of the L1 penalty as curves."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from graphtask.drawing.path import draw_path


@pytest.mark.parametrize("largest", [0.02, 0.05, 0.3, 1.9, 100])
def test_numbers_on_the_axis_of_a_path_do_not_overlap(largest):
    lambdas = np.geomspace(0.01, largest, 5)
    rows = [
        {"dataset": "a", "prior": "full", "edge_l1": x, "test_accuracy": 0.5, "edges": 9} for x in lambdas
    ]
    figure = draw_path(pd.DataFrame(rows))
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        texts = [*axes.get_xticklabels(minor=False), *axes.get_xticklabels(minor=True)]
        boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
        inside = sorted(
            (box.x0, box.x1) for box in boxes if axes.bbox.x0 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1
        )
        assert len(inside) >= 2
        assert all(left[1] < right[0] for left, right in itertools.pairwise(inside))


def test_a_path_for_each_run_is_a_line_of_its_own():
    rows = [
        {"dataset": "a", "prior": "full", "seed": seed, "edge_l1": x, "test_accuracy": 0.5, "edges": 9}
        for seed in range(3)
        for x in (0.01, 0.02, 0.1)
    ]
    figure = draw_path(pd.DataFrame(rows))
    for axes in figure.axes:
        assert [line.get_xdata().tolist() for line in axes.get_lines()] == [[0.01, 0.02, 0.1]] * 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a"]
