import numpy as np
import pytest

import graphtask as gt
from graphtask.comparison.groups import group_order, groups_of


def test_groups_keep_the_order_in_which_they_come_up():
    found = groups_of(["z", "a", "z", "m"], n_graphs=4)
    assert found.names == ("z", "a", "m")
    assert found.codes.tolist() == [0, 1, 0, 2]
    assert found.sizes.tolist() == [2, 1, 1]


def test_graphs_are_ordered_group_by_group_and_otherwise_stay():
    labels = np.array(["b", "a", "c", "a", "b"])
    order = group_order(labels)
    assert order.tolist() == [0, 4, 1, 3, 2]
    assert group_order(labels[order]).tolist() == list(range(5))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], "1 label for 2 graphs"),
        ("ab", "1 label for 2 graphs"),
        (["a", ""], "1 empty ones for 2 graphs"),
    ],
)
def test_every_graph_needs_one_label(labels, message):
    with pytest.raises(gt.ArgumentError, match=message):
        groups_of(labels, n_graphs=2)
