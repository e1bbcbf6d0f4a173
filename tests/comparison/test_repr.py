import pytest

import graphtask as gt


@pytest.fixture(scope="module")
def groups():
    return {
        name: [gt.priors.erdos_renyi_dag(12, p=p, seed=seed, stages=2) for seed in range(4)]
        for name, p in (("thin", 0.3), ("thick", 0.6))
    }


def test_a_comparison_and_its_parts_are_shown_on_one_line(groups):
    graphs = [graph for group in groups.values() for graph in group]
    labels = [name for name, group in groups.items() for _ in group]
    found = gt.compare(graphs, labels=labels, n_permutations=9)
    embedding = gt.comparison.embed(graphs, method="pca")
    for result, start in (
        (found, "Comparison("),
        (embedding, "Embedding("),
        (gt.features_of(graphs), "Features("),
    ):
        assert repr(result).startswith(start)
        assert "\n" not in repr(result)
        assert len(repr(result)) < 200
