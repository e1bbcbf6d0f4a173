import numpy as np
import pytest

import graphtask as gt
from graphtask.inference.classifier import _folds

QUICK = {"n_permutations": 19, "steps": 12, "width": 4, "folds": 3}


def chains(*sizes):
    return [gt.chain_dag(size) for size in sizes]


def full(*sizes):
    return [gt.full_dag(size) for size in sizes]


def test_sets_that_differ_are_told_apart_and_the_result_repeats():
    a, b = chains(6, 7, 8, 9, 10), full(6, 7, 8, 9, 10)

    result = gt.inference.classifier_test(a, b, **QUICK)

    assert (result.effect_size, result.p_value, result.n_permutations) == (1, 0.05, 19)
    assert result.statistic > result.null_quantiles[0.95] > 0.3
    assert result == gt.inference.classifier_test(a, b, **QUICK)
    assert result.kernel == "GIN of 2 layers, 4 channels, 12 steps, 3 folds"


def test_sets_of_one_kind_are_not_told_apart():
    rng = np.random.default_rng(0)
    graphs = [gt.priors.erdos_renyi_dag(10, p=0.4, seed=int(seed)) for seed in rng.integers(1000, size=10)]
    found = [
        gt.inference.classifier_test(
            [graphs[i] for i in order[:5]], [graphs[i] for i in order[5:]], seed=seed, **QUICK
        )
        for seed, order in enumerate(rng.permuted(np.tile(np.arange(10), (3, 1)), axis=1))
    ]

    assert np.median([result.p_value for result in found]) > 0.05


def test_paired_sets_use_all_swaps_where_there_are_few():
    result = gt.inference.classifier_test(chains(6, 7, 8, 9), full(6, 7, 8, 9), paired=True, **QUICK)

    assert (result.exact, result.n_permutations, result.paired) == (True, 16, True)
    assert result.notes == (
        "no p-value can be below 0.125 with so few graphs: a large one is no evidence of equal sets",
    )


def test_equal_graphs_have_a_p_value_of_one():
    assert gt.inference.classifier_test(full(6, 6, 6), full(6, 6, 6), **QUICK).p_value == 1


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_folds_share_both_sets_evenly(n_folds):
    rng = np.random.default_rng(0)
    members = rng.permutation(17) < 7
    folds = _folds(members, rng.permutation(17), n_folds=n_folds, paired=False)

    for chosen in (members, ~members, np.ones(17, dtype=bool)):
        counts = np.bincount(folds[chosen], minlength=n_folds)
        assert counts.max() - counts.min() <= 1


def test_pairs_stay_in_one_fold():
    folds = _folds(np.arange(10) < 5, np.random.default_rng(0).permutation(5), n_folds=3, paired=True)

    np.testing.assert_array_equal(folds[:5], folds[5:])
    assert sorted(np.bincount(folds[:5]).tolist()) == [1, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"a": [[1.0], [2.0]]},
            "a must be a list of graphs, got a list of list",
        ),
        ({"b": []}, "b must be a list of graphs, got an empty list"),
        ({"a": full(5)}, "a and b must have at least 2 graphs each, got 1 and 3"),
        ({"folds": 1}, "folds must be"),
        ({"steps": 0}, "steps must be"),
        ({"learning_rate": -1}, "learning_rate must be"),
        ({"paired": True, "a": full(5, 6)}, "as many graphs each for paired=True"),
    ],
)
def test_what_does_not_work_is_an_error(arguments, message):
    arguments = {"a": full(4, 5, 6), "b": chains(4, 5, 6)} | arguments

    with pytest.raises(gt.errors.ArgumentError, match=message):
        gt.inference.classifier_test(arguments.pop("a"), arguments.pop("b"), **arguments)
