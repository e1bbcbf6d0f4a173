import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import graphtask as gt

TAUS = [0.0, 0.01, 0.1]


def swept(run, *, accuracies, data="a", prior="full", critical=0.1, suggested=0.01):
    origin = {"run": run, "dataset": data, "prior": prior}
    marks = {"critical_threshold": critical, "suggested_threshold": suggested}
    return pd.DataFrame(
        [
            origin | marks | {"threshold": tau, "test_accuracy": accuracy, "sparsity": tau * 5}
            for tau, accuracy in zip(TAUS, accuracies, strict=True)
        ]
    )


def test_the_mean_of_a_data_set_is_drawn_where_all_of_its_runs_are_connected():
    table = pd.concat(
        [swept("0", accuracies=[0.9, 0.8, 0.7]), swept("1", accuracies=[0.7, 0.6, math.nan]),
         swept("2", data="b", accuracies=[0.5, 0.5, 0.5])]
    )  # fmt: skip
    accuracy = gt.plot.draw_sweep(table).axes[0]
    a, b = accuracy.get_lines()
    assert a.get_ydata() == pytest.approx([0.8, 0.7, math.nan], nan_ok=True)
    assert b.get_ydata() == pytest.approx([0.5, 0.5, 0.5])


def test_thresholds_that_only_some_runs_have_are_left_out_of_the_mean():
    other = swept("1", accuracies=[0.7, 0.6, 0.5])
    other.loc[2, "threshold"] = 0.05
    (line,) = (
        gt.plot.draw_sweep(pd.concat([swept("0", accuracies=[0.9, 0.8, 0.7]), other])).axes[0].get_lines()
    )
    assert len(line.get_xdata()) == 2


def test_zero_stands_left_of_the_logarithmic_axis():
    figure = gt.plot.draw_sweep(swept("0", accuracies=[0.9, 0.8, 0.7]))
    FigureCanvasAgg(figure).draw()
    (line,) = figure.axes[0].get_lines()
    zero, least, most = line.get_xdata()
    assert 0 < zero < least == 0.01 < most
    axis = figure.axes[2].xaxis
    assert (
        dict(zip(axis.get_majorticklocs(), [t.get_text() for t in axis.get_ticklabels()], strict=True))[zero]
        == "0"
    )


def test_the_critical_and_the_suggested_threshold_of_every_run_are_marked():
    table = pd.concat(
        [swept("0", accuracies=[1, 1, 1]), swept("1", accuracies=[1, 1, 1], critical=0.2, suggested=math.nan)]
    )
    marks = [points.get_offsets()[:, 0] for points in gt.plot.draw_sweep(table).axes[2].collections]
    suggested, critical = (np.asarray(found) for found in marks[:2])
    assert suggested.tolist() == [0.01]
    assert sorted(critical) == [0.1, 0.2]


def test_a_sweep_of_zero_alone_can_be_drawn(tmp_path):
    table = swept("0", accuracies=[1, 1, 1]).iloc[:1]
    gt.plot.save(gt.plot.draw_sweep(table), tmp_path / "zero.png")


def test_another_table_is_refused():
    with pytest.raises(gt.errors.ArgumentError, match="must have the column 'critical_threshold'"):
        gt.plot.draw_sweep(swept("0", accuracies=[1, 1, 1]).drop(columns="critical_threshold"))


def test_a_critical_threshold_beyond_those_swept_is_still_inside_the_picture():
    figure = gt.plot.draw_sweep(swept("0", accuracies=[0.9, 0.8, 0.7], critical=0.8))
    assert figure.axes[2].get_xlim()[1] > 0.8
