import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.training import sweep as module
from graphtask.training.sweep import threshold_grid


@pytest.fixture(scope="module")
def thinned(digits):
    """A run whose edges end up at very different strengths."""
    config = gt.TrainConfig(epochs=6, batch_size=40, edge_l1=0.02)
    return gt.train(gt.full_dag(7), data=digits, channels=2, seed=1, config=config, progress=False)


@pytest.fixture(scope="module")
def table(thinned):
    return gt.sweep(thinned, device="cpu", progress=False).table


def with_weights(run, weights):
    """The run with other weights on its graph, and so other orders in which edges fall."""
    graph = run.graph.copy()
    graph.es["weight"] = weights
    return dataclasses.replace(run, graph=graph)


def test_the_accuracy_is_that_of_the_parity_report(thinned, table):
    connected = table[table["status"] == "connected"]
    for index in {0, len(connected) // 2, len(connected) - 1}:
        row = connected.iloc[index]
        report = gt.training.parity(thinned, threshold=row["threshold"], device="cpu")
        assert row["test_accuracy"] == report.score_pruned
        assert row["trained_accuracy"] == report.score_trained
        assert (row["edges"], row["nodes"]) == (report.edges_after, report.nodes_after)


def test_relative_thresholds_are_those_of_relative_pruning(thinned):
    found = gt.sweep(thinned, relative=True, thresholds=[0.0, 0.2, 0.5, 1.0], device="cpu", progress=False)
    critical = gt.critical_threshold(thinned.graph, relative=True)
    assert found.critical_threshold == critical
    assert found.table["relative"].all()
    for row in found.table[found.table["status"] == "connected"].itertuples():
        pruned = gt.prune(thinned.graph, threshold=row.threshold, relative=True)
        assert (row.edges, row.nodes) == (pruned.ecount(), pruned.vcount())
    assert critical in threshold_grid(thinned.graph, relative=True)


def test_the_metrics_are_those_of_the_pruned_graph(thinned, table):
    connected = table[table["status"] == "connected"]
    for index in {0, len(connected) - 1}:
        row = connected.iloc[index]
        measured = gt.measure(gt.prune(thinned.graph, threshold=row["threshold"]))
        assert row["undefined"] == measured.pop("undefined")
        expected = pytest.approx([float(value) for value in measured.values()], nan_ok=True)
        assert row[list(measured)].astype(float).tolist() == expected


def test_more_falls_as_the_threshold_rises(table):
    assert table["threshold"].is_monotonic_increasing
    assert table["sparsity"].is_monotonic_increasing
    assert table["nodes"].is_monotonic_decreasing
    assert table["edges"].iloc[[0, -1]].tolist() == [21, 0]
    assert table["trained_accuracy"].nunique() == table["critical_threshold"].nunique() == 1


def test_the_graph_falls_apart_right_above_the_critical_threshold(thinned):
    critical = gt.critical_threshold(thinned.graph)
    above = float(np.nextafter(critical, 1))
    table = gt.sweep(
        thinned, thresholds=[above, critical, 2.0, 0.0], metrics=["log_paths"], progress=False
    ).table
    assert table["threshold"].tolist() == [0.0, critical, above, 2.0]
    assert table["status"].tolist() == ["connected", "connected", "disconnected", "disconnected"]
    assert table["reason"].tolist() == [
        "", "", "no path from the input to the output is left", "every edge is below the threshold",
    ]  # fmt: skip
    lost = table[table["status"] == "disconnected"]
    assert lost[["test_accuracy", "test_loss"]].isna().all(axis=None)
    assert lost[["sparsity", "edges", "nodes"]].to_numpy().tolist() == [[1.0, 0, 0]] * 2
    assert lost["undefined"].str.startswith("log_paths: ").all()


def test_edges_of_equal_weight_fall_together(thinned):
    table = gt.sweep(
        with_weights(thinned, [0.25] * 21), thresholds=[0.0, 0.25, 0.3], metrics="edges", progress=False
    ).table
    assert table["edges"].tolist() == [21, 21, 0]
    assert table["critical_threshold"][0] == 0.25
    assert table["suggested_threshold"][0] == 0.25


def test_each_graph_is_tested_once(thinned, monkeypatch):
    tested, loaded = [], []
    evaluate, data = module.evaluate, gt.Run.data
    monkeypatch.setattr(
        module, "evaluate", lambda net, test, task: tested.append(net) or evaluate(net, test, task=task)
    )
    monkeypatch.setattr(gt.Run, "data", lambda run: loaded.append(run) or data(run))
    weights = {("v0", "v6"): 0.3, ("v0", "v1"): 0.2, ("v1", "v6"): 0.2}
    run = with_weights(thinned, [weights.get(pair, 0.1) for pair in edge_names(thinned.graph)])
    table = gt.sweep(
        run, thresholds=[0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3], metrics="edges", progress=False
    ).table
    assert table["edges"].tolist() == [21, 21, 21, 3, 3, 1, 1]
    assert (len(tested), len(loaded)) == (2 * 3, 1)  # on the test images, and on those that decide


def test_the_images_may_be_others(thinned, digits):
    fewer = dataclasses.replace(digits, x_test=digits.x_test[:10], y_test=digits.y_test[:10])
    table = gt.sweep(thinned, thresholds=[0.0], metrics="edges", data=fewer, progress=False).table
    assert table["test_images"].tolist() == [10]


def test_rows_say_which_run_they_are_of(run):
    row = gt.sweep(run, thresholds=[0], metrics="edges", progress=False).table.iloc[0]
    assert (row["run"], row["dataset"], row["prior"], row["seed"]) == (run.folder.name, "cdigits", "full", 3)


def test_the_usual_thresholds_have_all_that_a_picture_needs(thinned):
    grid = threshold_grid(thinned.graph)
    assert grid == sorted(set(grid))
    assert {0.0, 0.006, 1.0, gt.critical_threshold(thinned.graph)} <= set(grid)
    steps = np.diff(np.log10([tau for tau in grid if tau > 0]))
    assert steps.max() < 0.101


@pytest.mark.parametrize("thresholds", [[], [-0.1], [math.nan], ["0.1"]])
def test_thresholds_have_to_be_numbers_from_zero(thinned, thresholds):
    with pytest.raises(gt.errors.ArgumentError, match="threshold"):
        gt.sweep(thinned, thresholds=thresholds, progress=False)


def test_an_unknown_metric_is_refused_before_the_work(thinned):
    with pytest.raises(gt.errors.ArgumentError, match="got 'color'"):
        gt.sweep(dataclasses.replace(thinned, weights={}), metrics="color", progress=False)


@pytest.mark.parametrize(
    ("accuracies", "suggested"),
    [
        ([0.9, 0.9, 0.9, 0.9], 0.3),
        ([0.9, 0.88, 0.86, 0.9], 0.1),  # one standard error is 0.032
        ([0.9, 0.95, 0.87, 0.86], 0.2),
        ([0.9, math.nan, math.nan, math.nan], 0.0),
        ([0.5, 0.9, 0.9, 0.9], math.nan),
    ],
)
def test_the_suggested_threshold_is_the_last_before_the_first_noticeable_drop(accuracies, suggested):
    found = gt.training.suggested_threshold(
        [0.0, 0.1, 0.2, 0.3], accuracies, trained_accuracy=0.9, n_images=100
    )
    assert found == pytest.approx(suggested, nan_ok=True)


def test_a_network_without_errors_may_make_one():
    found = gt.training.suggested_threshold([0, 1, 2], [1.0, 0.99, 0.97], trained_accuracy=1.0, n_images=100)
    assert found == 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 50))
def test_the_suggestion_is_that_of_walking_along_the_sweep(hits, trained):
    last = math.nan
    q = (trained + 2) / 54
    for threshold, right in enumerate(hits):
        if right / 50 < trained / 50 - math.sqrt(q * (1 - q) / 50):
            break
        last = threshold
    accuracies = [right / 50 for right in hits]
    found = gt.training.suggested_threshold(
        range(len(hits)), accuracies, trained_accuracy=trained / 50, n_images=50
    )
    assert found == pytest.approx(last, nan_ok=True)
