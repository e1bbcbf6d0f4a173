import itertools

import numpy as np
import pytest
from helpers import random_graphs
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

import graphtask as gt


def table(n_graphs, n_features=15, *, seed=0):
    return np.random.default_rng(seed).normal(size=(n_graphs, n_features)) * 10.0 ** np.arange(n_features)


@pytest.mark.parametrize("gamma", [None, 0.3])
@pytest.mark.parametrize("n_graphs", [1, 2, 50])
def test_rbf_similarity_is_scikit_learns_kernel_of_standardised_features(n_graphs, gamma):
    values = table(n_graphs)
    ours = gt.comparison.rbf_similarity(values, gamma=gamma)
    theirs = rbf_kernel(StandardScaler().fit_transform(values), gamma=gamma)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(ours, ours.T)
    assert (np.diag(ours) == 1).all()


def test_gamma_counts_features_that_are_the_same_for_all():
    values = np.array([[0.0, 5.0], [2.0, 5.0]])
    assert gt.comparison.rbf_similarity(values)[0, 1] == pytest.approx(np.exp(-0.5 * 4))


def test_similarity_does_not_depend_on_the_units_of_features():
    values = table(20, 4)
    np.testing.assert_allclose(
        gt.comparison.rbf_similarity(values),
        gt.comparison.rbf_similarity(values * [1, -3, 1e5, 1e-5] + 7),
        rtol=1e-8,
    )


def test_graphs_are_measured_first():
    graphs = [gt.full_dag(9), gt.chain_dag(9), gt.full_dag(9)]
    found = gt.comparison.rbf_similarity(graphs)
    assert found[0, 2] == 1
    assert found[0, 1] < 0.2


@pytest.mark.parametrize("gamma", [0, -1, float("nan"), float("inf"), "scale"])
def test_gamma_has_to_be_above_zero(gamma):
    with pytest.raises(gt.errors.ArgumentError, match="gamma must be"):
        gt.comparison.rbf_similarity(np.eye(3), gamma=gamma)


def test_the_matrix_of_edges_is_the_coefficient_of_every_pair():
    graphs = [*random_graphs(12, seed=1), gt.full_dag(9), gt.chain_dag(9)]
    found = gt.comparison.pairwise_dice_similarity(graphs)
    for (i, a), (j, b) in itertools.product(enumerate(graphs), repeat=2):
        assert found[i, j] == gt.dice_similarity(a, b)


def test_graphs_on_other_nodes_share_nothing():
    renamed = gt.full_dag(4)
    renamed.vs["name"] = ["a", "b", "c", "d"]
    assert gt.comparison.pairwise_dice_similarity([gt.full_dag(4), renamed]).tolist() == [[1, 0], [0, 1]]


def test_two_graphs_without_edges_have_no_coefficient():
    empty = gt.full_dag(2)
    empty.delete_edges([0])
    np.testing.assert_array_equal(
        gt.comparison.pairwise_dice_similarity([empty, gt.full_dag(2)]), [[np.nan, 0], [0, 1]]
    )


def test_there_have_to_be_graphs():
    for nothing in ([], gt.full_dag(3)):
        with pytest.raises(gt.errors.ArgumentError, match="non-empty list"):
            gt.comparison.pairwise_dice_similarity(nothing)


def brute_force(matrix, labels, first, second):
    pairs = [
        matrix[i, j]
        for i, j in itertools.permutations(range(len(labels)), 2)
        if (labels[i], labels[j]) == (first, second) and not np.isnan(matrix[i, j])
    ]
    return np.mean(pairs) if pairs else np.nan


def test_means_within_and_between_groups_leave_out_the_diagonal():
    labels = ["b", "a", "b", "c", "a", "b", "a"]
    matrix = gt.comparison.rbf_similarity(table(7))
    matrix[1, 4] = matrix[4, 1] = np.nan
    found = gt.comparison.group_similarity(matrix, labels)
    assert list(found.index) == list(found.columns) == ["b", "a", "c"]
    for first, second in itertools.product("abc", repeat=2):
        np.testing.assert_allclose(found.loc[first, second], brute_force(matrix, labels, first, second))
    within, between = gt.comparison.within_and_between(matrix, labels)
    same = np.array([[a == b for b in labels] for a in labels]) & ~np.eye(7, dtype=bool)
    other = np.array([[a != b for b in labels] for a in labels])
    np.testing.assert_allclose([within, between], [np.nanmean(matrix[same]), np.nanmean(matrix[other])])


def test_one_group_has_no_between_and_single_graphs_no_within():
    assert np.isnan(gt.comparison.within_and_between(np.ones((2, 2)), ["a", "a"])[1])
    assert np.isnan(gt.comparison.within_and_between(np.ones((2, 2)), ["a", "b"])[0])


@pytest.mark.parametrize("shape", [(2,), (2, 3)])
def test_similarities_have_to_be_square(shape):
    for function in (gt.comparison.group_similarity, gt.comparison.within_and_between):
        with pytest.raises(gt.errors.ArgumentError, match="square matrix"):
            function(np.ones(shape), ["a", "b"])


def test_the_papers_tables_give_the_papers_picture(paper_tables):
    """Graphs drawn around the published means: similar within data sets, and along the order of difficulty."""
    values, labels = paper_tables
    matrix = gt.comparison.rbf_similarity(values)
    within, between = gt.comparison.within_and_between(matrix, labels)
    assert within > 3 * between
    groups = gt.comparison.group_similarity(matrix, labels)
    assert groups.loc["cmnist", "ckmnist"] > groups.loc["cmnist", "cifar10"]
    assert groups.loc["cifar10", "cifar10_t8"] > groups.loc["cifar10", "cmnist"]
