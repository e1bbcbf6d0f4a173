import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import dice

import graphtask as gt

PAIRS = [(source, target) for source in "abc" for target in "def"]
edge_lists = st.lists(st.sampled_from(PAIRS), unique=True)


@given(edge_lists, edge_lists)
def test_the_dsc_is_one_minus_the_dice_distance_of_scipy(a, b):
    if not a and not b:
        assert math.isnan(gt.dice_similarity(a, b))
        return
    distance = dice([pair in a for pair in PAIRS], [pair in b for pair in PAIRS])
    assert gt.dice_similarity(a, b) == pytest.approx(1 - distance, abs=1e-15)
    assert gt.dice_similarity(a, b) == gt.dice_similarity(b, a)


def test_edges_of_graphs_are_known_by_the_names_of_their_ends():
    full, chain = gt.full_dag(4), gt.chain_dag(4)
    assert gt.dice_similarity(full, chain) == 2 * 3 / (6 + 3)
    assert gt.dice_similarity(full, full) == 1.0
    assert gt.dice_similarity(chain, [("v0", "v1")]) == 2 * 1 / (3 + 1)
    renamed = chain.copy()
    renamed.vs["name"] = ["a", "b", "c", "d"]
    assert gt.dice_similarity(chain, renamed) == 0.0


def test_pairs_may_be_of_any_kind_and_come_twice():
    assert gt.dice_similarity([["a", "b"], ("a", "b")], iter([("a", "b")])) == 1.0
