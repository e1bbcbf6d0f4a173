import math

import pandas as pd
import pytest

import graphtask as gt


def table(rows):
    names = ("run", "dataset", "prior", "network", "test_accuracy", "epoch_time_ratio")
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


def bars(axes):
    return [line.get_ydata()[0] for line in axes.get_lines() if len(line.get_ydata()) == 2]


def test_bars_are_the_means_of_the_runs():
    figure = gt.plot.draw_retraining(
        table(
            [
                ("0", "a", "full", "full", 0.8, 1.0), ("0", "a", "full", "retrained", 0.9, 0.5),
                ("1", "a", "full", "full", 0.6, 1.0), ("1", "a", "full", "retrained", 0.7, 0.3),
                ("2", "b", "full", "full", 0.5, 1.0), ("2", "b", "full", "retrained", 0.4, 0.2),
            ]
        )
    )  # fmt: skip
    accuracy, time = figure.axes
    assert bars(accuracy) == pytest.approx([0.7, 0.5, 0.8, 0.4])
    assert bars(time)[:-1] == pytest.approx([1.0, 1.0, 0.4, 0.2])
    assert [text.get_text() for text in accuracy.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["full", "retrained, same C"]


def test_priors_stand_side_by_side():
    rows = [("0", "a", "full", "full", 0.8, 1.0), ("1", "a", "banded-10", "full", 0.9, 1.0)]
    labels = gt.plot.draw_retraining(table(rows)).axes[0].get_xticklabels()
    assert [text.get_text() for text in labels] == ["a,\nfull", "a,\nbanded-10"]


def test_networks_without_values_and_with_other_names_are_no_trouble(tmp_path):
    rows = [
        ("0", "a", "full", "full", 0.8, math.nan), ("0", "a", "full", "thresholded", math.nan, math.nan),
        ("0", "a", "full", "mine", 0.7, math.nan),
    ]  # fmt: skip
    figure = gt.plot.draw_retraining(table(rows))
    assert "mine" in [text.get_text() for text in figure.legends[0].get_texts()]
    gt.plot.save(figure, tmp_path / "some.png")


def test_another_table_is_refused():
    with pytest.raises(gt.errors.ArgumentError, match="must have the column 'epoch_time_ratio'"):
        gt.plot.draw_retraining(
            table([("0", "a", "full", "full", 0.8, 1.0)]).drop(columns="epoch_time_ratio")
        )
