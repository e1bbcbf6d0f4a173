import math

import numpy as np
import pytest
from dynamics.builders import TAU, VALUES, histories, history_of, trained
from hypothesis import example, given
from hypothesis import strategies as st

import graphtask as gt


def categories_one_by_one(history, retained, tau):
    """A to D by looking at one edge after the other, epoch by epoch."""
    weak, times, back, above = [], [], [], []
    for column, edge in enumerate(history.edges):
        course = [float(row[column]) for row in history.magnitudes][1:]
        if edge in retained:
            low = [value for value in course if value < tau]
            weak.append(1 if low else 0)
            times.append(len(low))
            continue
        fallen, rose, count = False, False, 0
        for value in course:
            if fallen and value > 10 * tau:
                rose = True
            if fallen and value > tau:
                count += 1
            if value < tau:
                fallen = True
        back.append(1 if rose else 0)
        above.append(count)

    def mean(values):
        return sum(values) / len(values) if values else math.nan

    return 100 * mean(weak), mean(times), 100 * mean(back), mean(above)


@given(histories(), st.data())
def test_categories_are_those_that_looking_at_each_edge_gives(history, data):
    retained = data.draw(st.sets(st.sampled_from(history.edges)))
    found = gt.dynamics.edge_dynamics(history, threshold=TAU, retained=retained)
    measured = (found.a_percent, found.b_epochs, found.c_percent, found.d_epochs)
    assert measured == pytest.approx(categories_one_by_one(history, retained, TAU), nan_ok=True)
    assert (found.edges, found.eliminated) == (len(retained), len(history.edges) - len(retained))


@given(histories(), st.sampled_from(VALUES[1:]))
def test_categories_keep_to_their_ranges(history, tau):
    found = gt.dynamics.edge_dynamics(
        history, threshold=tau, retained=history.edges[: len(history.edges) // 2]
    )
    n_epochs = len(history.w) - 1
    for share in (found.a_percent, found.c_percent):
        assert math.isnan(share) or 0 <= share <= 100
    assert math.isnan(found.b_epochs) or 0 <= found.b_epochs <= n_epochs
    assert math.isnan(found.d_epochs) or 0 <= found.d_epochs <= n_epochs - 1


def test_a_history_made_by_hand_has_the_categories_known_by_hand():
    # One column an edge: two that stay (one was weak twice), three that go (back far, back a little, never back).
    history = history_of(
        [
            # stays   dips    far    little  never
            [0.001, 0.001, 0.001, 0.001, 0.001],  # the start counts for nothing
            [0.500, 0.005, 0.500, 0.500, 0.009],
            [0.400, 0.300, 0.005, 0.005, 0.005],
            [0.400, 0.009, 0.101, 0.050, 0.004],
            [0.300, 0.200, 0.020, 0.005, 0.003],
            [0.300, 0.200, 0.002, 0.002, 0.001],
        ]
    )
    found = gt.dynamics.edge_dynamics(history, threshold=0.01, retained=history.edges[:2])
    assert (found.a_percent, found.b_epochs) == (50.0, 1.0)
    assert found.c_percent == pytest.approx(100 / 3)
    assert found.d_epochs == pytest.approx((2 + 1 + 0) / 3)
    assert found.undefined == ""


def test_what_equals_the_threshold_is_neither_below_nor_above_it():
    history = history_of([[0.5], [0.125], [0.25], [0.25], [2.5]])
    retained = gt.dynamics.edge_dynamics(history, threshold=TAU, retained=history.edges)
    assert retained.b_epochs == 1
    eliminated = gt.dynamics.edge_dynamics(history, threshold=TAU, retained=())
    assert (eliminated.c_percent, eliminated.d_epochs) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("retained", "undefined"),
    [
        ([("in", "n0"), ("in", "n1")], "c_percent: no edge is eliminated; d_epochs: no edge is eliminated"),
        ([], "a_percent: no edge is retained; b_epochs: no edge is retained"),
    ],
)
def test_shares_of_nothing_are_nan_with_a_reason(retained, undefined):
    found = gt.dynamics.edge_dynamics(history_of([[0.5, 0.5], [0.5, 0.5]]), retained=retained)
    assert found.undefined == undefined


@given(st.lists(st.sampled_from(VALUES[:5]), min_size=15, max_size=15), st.sampled_from(VALUES[1:5]))
@example([0.125] * 15, 0.125)  # every edge is retained, so that C and D are NaN
def test_by_default_those_are_retained_that_pruning_keeps(weights, tau):
    graph, history = trained(gt.full_dag(6), weights)
    found = gt.dynamics.edge_dynamics(history, threshold=tau)
    try:
        retained = gt.prune(graph, threshold=tau)
    except gt.errors.DisconnectedError:
        assert found.edges == 0
    else:
        named = gt.dynamics.edge_dynamics(history, threshold=tau, retained=retained)
        assert repr(found) == repr(named)  # in which NaN is NaN


def test_the_default_works_on_any_number_of_edges_and_names():
    chain = gt.chain_dag(2, stages=1)
    chain.vs["name"] = ["1", "0"]
    _, history = trained(chain, [0.3])
    assert gt.dynamics.edge_dynamics(history, threshold=0.2).edges == 1
    assert gt.dynamics.edge_dynamics(history, threshold=0.4).edges == 0


def test_magnitudes_are_those_of_the_gate():
    w = np.array([[0.0], [-3.0], [3.0]])
    history = gt.EdgeHistory(edges=(("a", "b"),), w=w, gate="sigmoid")
    assert gt.dynamics.edge_dynamics(history, threshold=0.5, retained=history.edges).b_epochs == 1


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.nan])
def test_a_threshold_has_to_be_above_zero(threshold):
    with pytest.raises(gt.errors.ArgumentError, match="threshold must be a number > 0"):
        gt.dynamics.edge_dynamics(history_of([[0.5], [0.5]]), threshold=threshold)


def test_what_does_not_belong_to_the_history_is_refused():
    with pytest.raises(gt.errors.ArgumentError, match="no edge 'x' → 'y'"):
        gt.dynamics.edge_dynamics(history_of([[0.5], [0.5]]), retained=[("x", "y")])
    with pytest.raises(gt.errors.ArgumentError, match="no epoch"):
        gt.dynamics.edge_dynamics(history_of([[0.5]]))
