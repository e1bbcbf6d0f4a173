import pytest
import torch

import graphtask as gt
from graphtask.training.batches import split_batches
from graphtask.training.loop import evaluate


@pytest.fixture(scope="module")
def thinned(digits):
    """A run whose edges end up at very different strengths."""
    config = gt.TrainConfig(epochs=8, batch_size=40, edge_l1=0.02)
    return gt.train(gt.full_dag(9), data=digits, channels=2, seed=1, config=config, progress=False)


def thresholds(run):
    ranked = sorted(run.graph.es["weight"])
    top = gt.critical_threshold(run.graph)
    return [0.0, *(value for value in ranked[:: len(ranked) // 4] if value <= top), top]


def test_the_pruned_network_is_the_trained_one_without_the_cut_edges(thinned):
    for threshold in thresholds(thinned):
        report = gt.training.parity(thinned, threshold=threshold)
        assert report.score_cut == report.score_pruned
        assert report.difference_cut_pruned <= 1e-5 * report.largest_logit
        assert report.difference_thresholded_folded <= 1e-5 * report.largest_logit


def test_a_relative_threshold_compares_the_networks_of_relative_pruning(thinned):
    report = gt.training.parity(thinned, threshold=0.3, relative=True)
    pruned = gt.prune(thinned.graph, threshold=0.3, relative=True)
    assert (report.edges_after, report.relative) == (pruned.ecount(), True)
    assert report.edges_after != gt.prune(thinned.graph, threshold=0.3).ecount()
    assert report.score_cut == report.score_pruned
    assert report.difference_thresholded_folded <= 1e-5 * report.largest_logit


def test_nothing_changes_when_nothing_is_cut(thinned):
    report = gt.training.parity(thinned, threshold=0.0)
    assert report.edges_after == report.edges_before == 36
    assert report.score_trained == report.score_pruned
    assert report.difference_thresholded_cut == 0.0


def test_the_accuracies_are_those_of_an_evaluation(thinned, digits):
    threshold = thresholds(thinned)[-1]
    report = gt.training.parity(thinned, threshold=threshold)
    test = split_batches(digits, gt.TrainConfig(), device=torch.device("cpu")).test
    pruned = gt.compiler.extract_subnetwork(thinned.module(), gt.prune(thinned.graph, threshold=threshold))
    assert report.score_trained == evaluate(thinned.module(), test).score
    assert report.score_pruned == evaluate(pruned, test).score
    assert report.edges_after < report.edges_before


def test_dropped_constants_are_what_separates_thresholded_from_cut(digits):
    run = gt.train(
        gt.full_dag(4, stages=1),
        data=digits,
        channels=2,
        config=gt.TrainConfig(epochs=1, batch_size=40),
        progress=False,
    )
    weights = [0.0, 0.9, 0.9, 0.9, 0.9, 0.9]  # v0 → v1 falls: v1 sends a constant to v2 and v3
    run.graph.es["weight"] = weights
    run.weights["edge_weight"].copy_(torch.tensor(weights).atanh())
    report = gt.training.parity(run, threshold=0.5)
    assert (report.edges_after, report.nodes_after) == (3, 3)
    assert report.difference_thresholded_cut > 1e-3 * report.largest_logit
    assert report.difference_thresholded_folded <= 1e-5 * report.largest_logit
    assert report.difference_cut_pruned <= 1e-5 * report.largest_logit


def test_a_threshold_that_disconnects_is_its_own_error(thinned):
    with pytest.raises(gt.errors.DisconnectedError):
        gt.training.parity(thinned, threshold=1.0)
