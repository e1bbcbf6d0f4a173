import pytest

import graphtask as gt
from graphtask.graph import with_provenance
from graphtask.runs.labels import prior_label, provenance_labels


def test_labels_are_those_of_the_provenance():
    graph = with_provenance(gt.banded_dag(6, bandwidth=2, stages=1), data="cmnist", seed=4)
    assert provenance_labels(graph) == ("cmnist", "banded-2", 4)


@pytest.mark.parametrize(
    "prior",
    [None, 3, [], {"name": {}}, {"arguments": []}, {"name": "x", "arguments": {"p": "q"}}, {"name": None}],
)
def test_provenance_of_any_type_gives_text(prior):
    assert isinstance(prior_label(prior), str)


def test_a_number_beyond_floats_is_left_out():
    assert prior_label({"name": "banded", "arguments": {"bandwidth": 10**400}}) == "banded"
