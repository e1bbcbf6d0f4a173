import numpy as np
import pandas as pd
import pytest

import graphtask as gt


def tables(groups):
    """One run for each (data, prior) pair, three epochs each; the values are those of the run's number."""
    rows, overlaps = [], []
    for number, (data, prior) in enumerate(groups):
        run = {"run": f"r{number}", "dataset": data, "prior": prior, "seed": number}
        dsc = 0.5 + 0.1 * number
        rows.append(
            run | {"edges": 6, "eliminated": 4, "dsc_largest_first": dsc, "dsc_smallest_first": dsc / 2}
        )
        overlaps += [
            run | {"epoch": epoch, "dsc_first": dsc / epoch, "dsc_final": dsc * epoch / 3}
            for epoch in (1, 2, 3)
        ]
    return pd.DataFrame(rows), pd.DataFrame(overlaps)


def test_curves_are_the_means_of_each_data_set():
    table, overlap = tables([("a", "full"), ("a", "full"), ("b", "full")])
    figure = gt.plot.draw_dynamics(table, overlap, np.full((4, 10), 0.5))
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "overlap with epoch 1")
    a, b = panel.get_lines()
    assert [a.get_label(), b.get_label()] == ["a", "b"]
    assert a.get_ydata() == pytest.approx(np.array([0.55, 0.55 / 2, 0.55 / 3]))
    assert b.get_ydata() == pytest.approx(np.array([0.7, 0.7 / 2, 0.7 / 3]))


def test_priors_are_told_apart_when_there_are_several():
    table, overlap = tables([("a", "full"), ("a", "banded-10")])
    (legend,) = gt.plot.draw_dynamics(table, overlap, np.full((4, 10), 0.5)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["a, full", "a, banded-10"]


def test_bars_are_the_overlap_with_the_first_epoch_beside_that_of_chance():
    table, overlap = tables([("a", "full"), ("a", "full")])
    axes = gt.plot.draw_dynamics(table, overlap, np.full((4, 10), 0.5)).axes[-1]
    heights = [bar.get_height() for bar in axes.patches if bar.get_height() > 0]
    assert heights == pytest.approx([0.55, 0.275])
    assert axes.get_lines()[-2].get_ydata() == pytest.approx([0.6, 0.6])


def test_runs_without_retained_edges_leave_gaps(tmp_path):
    table, overlap = tables([("a", "full")])
    table[["dsc_largest_first", "dsc_smallest_first"]] = np.nan
    overlap[["dsc_first", "dsc_final"]] = np.nan
    gt.plot.save(gt.plot.draw_dynamics(table, overlap, np.full((4, 10), 0.001)), tmp_path / "gaps.png")


def test_tables_of_something_else_are_refused():
    table, overlap = tables([("a", "full")])
    with pytest.raises(gt.errors.ArgumentError, match="must have the column 'dsc_smallest_first'"):
        gt.plot.draw_dynamics(table.drop(columns="dsc_smallest_first"), overlap, np.full((4, 10), 0.5))
    with pytest.raises(gt.errors.ArgumentError, match="row"):
        gt.plot.draw_dynamics(table, overlap.iloc[:0], np.full((4, 10), 0.5))
