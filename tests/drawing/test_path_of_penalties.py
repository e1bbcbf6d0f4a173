"""Paths of the L1 penalty as curves."""

import itertools

import numpy as np
import pandas as pd
import pytest

from graphtask.drawing.path import draw_path


@pytest.mark.parametrize("largest", [0.02, 0.05, 0.3, 1.9, 100])
def test_numbers_on_the_axis_of_a_path_do_not_overlap(largest):
    lambdas = np.geomspace(0.01, largest, 5)
    rows = [
        {"dataset": "a", "prior": "full", "edge_l1": x, "test_accuracy": 0.5, "edges": 9} for x in lambdas
    ]
    figure = draw_path(pd.DataFrame(rows))
    figure.canvas.draw()
    for axes in figure.axes:
        texts = [*axes.get_xticklabels(minor=False), *axes.get_xticklabels(minor=True)]
        boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
        inside = sorted(
            (box.x0, box.x1) for box in boxes if axes.bbox.x0 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1
        )
        assert len(inside) >= 2
        assert all(left[1] < right[0] for left, right in itertools.pairwise(inside))
