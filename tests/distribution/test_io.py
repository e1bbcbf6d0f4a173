import copy
import json

import numpy as np
import pytest
from distribution.sets import prunings
from helpers import assert_same_graph

import graphtask as gt

pytestmark = pytest.mark.usefixtures("rough_sizes")


@pytest.fixture(scope="module")
def fitted():
    graphs = prunings(5, seed=0)
    return {
        "pairs": gt.GraphDistribution.fit(graphs),
        "stages": gt.GraphDistribution.fit(graphs, correspond=False),
    }


@pytest.mark.parametrize("kind", ["pairs", "stages"])
def test_a_stored_distribution_is_the_same_to_the_last_bit(fitted, kind, tmp_path):
    one, path = fitted[kind], tmp_path / "p.json"
    one.save(path)
    other = gt.GraphDistribution.load(path)
    graph = prunings(1, seed=1)[0]
    assert other.log_prob(graph) == one.log_prob(graph)
    assert other.log_normalizer == one.log_normalizer
    assert other.tilt == one.tilt
    assert other.edge_probabilities().equals(one.edge_probabilities())
    assert repr(other) == repr(one)
    for left, right in zip(one.sample(2, seed=0), other.sample(2, seed=0), strict=True):
        assert_same_graph(left, right)
    assert_same_graph(one.mean_graph(), other.mean_graph())


DAMAGE = {
    "a rate above 1": ("edge", lambda values: [1.5, *values[1:]]),
    "a rate that is missing": ("edge", lambda values: values[1:]),
    "no rate": ("edge", lambda values: [None, *values[1:]]),
    "text for rates": ("presence", lambda _: "0.5"),
    "NaN": ("presence", lambda values: [float("nan"), *values[1:]]),
    "a name twice": ("names", lambda names: [names[0], *names[:-1]]),
    "a node that is none": ("target", lambda values: [*values[:-1], 99]),
    "a negative node": ("source", lambda values: [-1, *values[1:]]),
    "an edge backwards": ("source", lambda values: [values[-1] + 1, *values[1:]]),
    "stages that fall": ("stage", lambda values: values[::-1]),
    "fractions of nodes": ("stage", lambda values: [0.5, *values[1:]]),
    "nested lists": ("stage", lambda values: [values]),
    "counts that are missing": ("counts", lambda _: {}),
    "whole numbers beyond measure": ("stage", lambda values: [*values[:-1], 10**30]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named_in_one_line(fitted, name, tmp_path):
    path = tmp_path / "p.json"
    fitted["pairs"].save(path)
    document = json.loads(path.read_text())
    key, change = DAMAGE[name]
    document["model"][key] = change(copy.deepcopy(document["model"][key]))
    path.write_text(json.dumps(document))
    with pytest.raises(gt.errors.FormatError, match=r"p\.json: is not a complete distribution") as caught:
        gt.GraphDistribution.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", [{"values": [], "times": [], "least": 1, "q": 0.5, "tilt": 0.0}] * 2),
        ("sizes", [{"values": [3], "times": [1], "least": 1, "q": 1.5, "tilt": 0.0}] * 2),
        *(
            ("sizes", [{"values": [3], "times": [1], "least": 0, "q": 0.5, "tilt": 0.0} | {key: [large]}] * 2)
            for key, large in (("values", 100_000), ("values", 10**9), ("times", 2**62))
        ),
        ("ends", [[0, 7]]),
        ("ends", [[1, 0]]),
        ("ends", []),
        ("times", [0]),
        ("sizes", [{"values": [3], "times": [1], "least": 5, "q": 0.5, "tilt": 0.0}] * 2),
        ("rate", [[0.5]]),
        ("edges", [[[1]]]),
    ],
)
def test_a_damaged_file_of_the_other_kind_is_named_too(fitted, key, value, tmp_path):
    path = tmp_path / "p.json"
    fitted["stages"].save(path)
    document = json.loads(path.read_text())
    document["model"][key] = value
    path.write_text(json.dumps(document))
    with pytest.raises(gt.errors.FormatError, match="is not a complete distribution"):
        gt.GraphDistribution.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a JSON"),
        (b"[" * 100_000, "not a JSON"),
        (b"\xff\xfe", "not a JSON"),
        (b"[1]", "is not a distribution"),
        (b'{"nodes": [], "links": []}', "is not a distribution"),
        (b'{"format": "graphtask distribution of graphs", "version": 99}', "version 99"),
        (b'{"format": "graphtask distribution of graphs", "version": 3}', "not a complete distribution"),
    ],
)
def test_another_file_is_told_from_a_distribution(content, message, tmp_path):
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(gt.errors.FormatError, match=message):
        gt.GraphDistribution.load(path)


def test_a_file_that_is_not_there_or_has_another_suffix_is_named(fitted, tmp_path):
    with pytest.raises(gt.errors.FormatError, match=r"none\.json: cannot be read"):
        gt.GraphDistribution.load(tmp_path / "none.json")
    with pytest.raises(gt.errors.ArgumentError, match=r"path must end in \.json"):
        fitted["stages"].save(tmp_path / "p.pickle")
    assert list(tmp_path.iterdir()) == []


def test_distributions_that_were_fitted_to_raw_frequencies_are_stored_too(tmp_path):
    raw = gt.GraphDistribution.fit([gt.full_dag(4), gt.full_dag(4)], shrinkage=0)
    raw.save(tmp_path / "p.json")
    assert np.array_equal(gt.GraphDistribution.load(tmp_path / "p.json").model.edge, np.ones(6))
