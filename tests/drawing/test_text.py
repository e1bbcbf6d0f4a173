"""Names of groups and titles in every picture: inside the figure, complete in the legend, whatever they are."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import graphtask as gt

NAMES = ["_mine", "<script>alert(1)</script>", "a_long_name_" * 17 + "1", "a_long_name_" * 17 + "2", "$x_1$"]
LABELS = [name for name in NAMES for _ in range(3)]
NUMBER = re.compile(r"[−\d.]+|\$(?:\\mathdefault|10).*")  # ticks outside the limits, which are not drawn
TITLE = "A long title of a picture " * 8


def table(**columns):
    """Return a row for each run, data set and value of the first column."""
    name, values = next(iter(columns.items()))
    return pd.DataFrame(
        [
            {"run": f"{dataset}-{seed}", "dataset": dataset, "prior": "full", **columns, name: value}
            for dataset, seed, value in itertools.product(NAMES, range(2), values)
        ]
    )


def sweep():
    rows = table(
        threshold=[0, 0.01, 0.1],
        test_accuracy=0.9,
        sparsity=0.5,
        critical_threshold=0.2,
        suggested_threshold=0.02,
    )
    return gt.plot.draw_sweep(rows)


def dynamics():
    rows = table(edges=[30], eliminated=36, dsc_largest_first=0.6, dsc_smallest_first=0.2)
    overlap = table(epoch=[1, 2, 3], dsc_first=0.5, dsc_final=0.5)
    return gt.plot.draw_dynamics(rows, overlap, np.full((4, 9), 0.5), title=TITLE)


PICTURES = {
    "sweep": sweep,
    "dynamics": dynamics,
    "progress": lambda: gt.plot.draw_progress(table(epoch=[1, 2], test_accuracy=0.5, live_edges=9)),
    "path": lambda: gt.plot.draw_path(table(edge_l1=[0.01, 0.1], test_accuracy=0.5, edges=9)),
    "retraining": lambda: gt.plot.draw_retraining(
        table(network=["full", "retrained"], test_accuracy=0.5, epoch_time_ratio=1.0)
    ),
    "similarity": lambda: gt.plot.draw_similarity(np.full((15, 15), 0.5), LABELS, title=TITLE),
    "embedding": lambda: gt.plot.draw_embedding(
        np.random.default_rng(0).normal(size=(15, 2)), LABELS, title=TITLE
    ),
    "features": lambda: gt.plot.draw_features(
        pd.DataFrame({"edges": range(15), "a" * 60: range(15), "b_" * 40: range(15)}), LABELS, title=TITLE
    ),
    "observed": lambda: gt.plot.draw_observed_sampled(
        pd.DataFrame({"edges": [1, 2], "a" * 60: [1, 2]}),
        pd.DataFrame({"edges": [3], "a" * 60: [3]}),
        title=TITLE,
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_names_and_titles_are_inside_the_figure(kind):
    """Constrained layout warns, and warnings are errors, where they leave no space for the panels."""
    figure = PICTURES[kind]()
    FigureCanvasAgg(figure).draw()
    width, height = figure.canvas.get_width_height()
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and not NUMBER.fullmatch(text.get_text()):
            box = text.get_window_extent()
            assert min(box.x0, box.y0) >= -3, text.get_text()
            assert box.x1 <= width + 3, text.get_text()
            assert box.y1 <= height + 3, text.get_text()


@pytest.mark.parametrize("kind", ["sweep", "dynamics", "progress", "path", "embedding", "features"])
def test_every_group_is_in_the_legend(kind):
    texts = [text.get_text() for legend in PICTURES[kind]().legends for text in legend.get_texts()]
    for begin in ("_mine", "<script", "a_long", "$x_1$"):
        found = [text for text in texts if text.strip("\N{HAIR SPACE}").startswith(begin)]
        assert len(found) == (2 if begin == "a_long" else 1)
    assert len(set(texts)) == len(texts)
