import pandas as pd
import pytest

import graphtask as gt
from graphtask.runs.settling import edge_change
from graphtask.training.hints import run_hints


def hints(weights, *, rates=(0.1, 0.01, 0.001), change=0.0, threshold=0.006, **options):
    config = gt.TrainConfig(epochs=len(rates), **options)
    metrics = pd.DataFrame({"learning_rate": rates, "edge_change": [1.0] * (len(rates) - 1) + [change]})
    return run_hints({**config.to_json(), "n_train": 1280}, metrics, weights, threshold=threshold)


def test_a_run_that_is_settled_and_can_be_pruned_has_no_hint():
    assert hints([0.001, 0.5]) == []


def test_nothing_to_prune_comes_with_the_facts_that_explain_it():
    (hint,) = hints([0.2, 0.5])
    assert hint == (
        "no edge is below the threshold 0.006: the smallest weight is 0.2, edges at rest swing by up to "
        "lr·λ/(1−μ) = 1e-05, the last learning rate (0.001) lasted 10 steps; train longer, or raise edge_l1"
    )


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"edge_l1": 0.0}, "set edge_l1 above 0"),
        ({"rates": (0.1, 0.1), "milestones": (), "edge_l1": 0.0064}, "let the learning rate fall further"),
        ({"edge_update": "proximal"}, "train longer, or raise edge_l1"),
        ({"ema": 0.99}, "train longer at the last learning rate, or lower ema"),
        (
            {"ema": 0.5, "rates": (0.1, 0.1), "milestones": (), "edge_l1": 0.0064},
            "train longer, or raise edge_l1",
        ),
    ],
)
def test_the_remedy_fits_the_reason(options, remedy):
    (hint,) = hints([0.2], **options)
    assert remedy in hint


def test_of_an_average_its_span_is_given_and_not_the_swing_of_the_last_weights():
    (hint,) = hints([0.2], ema=0.99)
    assert "weights are averages over about 100 steps, the last learning rate (0.001) lasted 10 steps" in hint
    assert "swing" not in hint


def test_a_rate_that_rises_during_a_warm_up_and_stays_never_fell():
    (hint,) = hints([0.001], rates=(0.05, 0.1, 0.1), warm_up=2)
    assert hint.startswith("the learning rate never fell: the run is too short (3 epochs)")
    assert hints([0.001], rates=(0.05, 0.1, 0.01), warm_up=2) == []


def test_a_run_too_short_for_its_schedule_is_named():
    (hint,) = hints([0.001], rates=(0.1, 0.1), milestones=(0.8, 0.9))
    assert hint == (
        "the learning rate never fell: the run is too short (2 epochs) for the milestones 0.8, 0.9; use at least 10 epochs, or "
        "earlier milestones"
    )


def test_edges_that_still_move_are_named_with_their_change():
    (hint,) = hints([0.001], change=0.031)
    assert "the edges have not settled" in hint
    assert "3.1%" in hint


def test_the_change_is_the_larger_of_both_and_nothing_changes_from_nothing():
    assert edge_change((10.0, 10), (9.9, 8)) == pytest.approx(0.2)
    assert edge_change((10.0, 10), (8.0, 10)) == pytest.approx(0.2)
    assert edge_change((0.0, 0), (0.0, 0)) == 0.0
    assert edge_change((0.0, 0), (1.0, 1)) == 0.0


def test_a_run_gives_its_own_hints(digits):
    run = gt.train(gt.full_dag(4), data=digits, channels=1, epochs=1, batch_size=60, progress=False)
    assert [hint.partition(":")[0] for hint in run.hints()] == [
        "the learning rate never fell", "no edge is below the threshold 0.006",
    ]  # fmt: skip
    assert len(run.hints(threshold=0.9)) == 1
