import sys

import numpy as np
import pytest

import graphtask as gt


@pytest.fixture(scope="module")
def graphs():
    return [gt.priors.erdos_renyi_dag(12, p=p, seed=seed) for p in (0.2, 0.5, 0.5) for seed in range(4)]


LABELS = ["thin"] * 4 + ["thick"] * 4 + ["thick too"] * 4


def test_a_comparison_is_what_its_parts_find(graphs):
    found = gt.compare(graphs, LABELS, embeddings=("pca", "mds", "pca"), seed=3, n_permutations=49, k=2)
    np.testing.assert_array_equal(found.similarity, gt.comparison.rbf_similarity(graphs))
    np.testing.assert_array_equal(found.dsc, gt.comparison.pairwise_dice_similarity(graphs))
    assert list(found.embeddings) == ["pca", "mds"]
    np.testing.assert_array_equal(
        found.embeddings["mds"].points, gt.comparison.embed(graphs, method="mds", seed=3).points
    )
    for one, method in zip(found.classifications, ("centroid", "knn"), strict=True):
        alone = gt.comparison.classify_leave_one_out(
            graphs, LABELS, method=method, k=2, n_permutations=49, seed=3
        )
        assert one.row() == alone.row()
    assert found.labels == tuple(LABELS)
    assert found.features.names == gt.features_of(graphs).names


def test_groups_are_summed_up_by_pairs_of_graphs(graphs):
    found = gt.compare(graphs, LABELS, n_permutations=1)
    table = found.groups().set_index("label")
    assert list(table.index) == ["thin", "thick", "thick too"]
    assert table["graphs"].tolist() == [4, 4, 4]
    same = np.array([[a == b for b in LABELS] for a in LABELS])
    for name, matrix in (("similarity", found.similarity), ("dsc", found.dsc)):
        for label in table.index:
            own = np.array(LABELS) == label
            others = matrix[np.ix_(own, own)][~np.eye(4, dtype=bool)]
            assert table.loc[label, f"{name}_within"] == pytest.approx(others.mean())
            assert table.loc[label, f"{name}_between"] == pytest.approx(matrix[own][:, ~own].mean())
    assert table["recall_knn"].tolist() == list(found.classifications[1].recall.values())
    assert same.sum() == 48


def test_features_alone_have_no_edges_to_compare(graphs):
    table = gt.measure_all(graphs)
    found = gt.compare(table, LABELS, n_permutations=1)
    assert found.dsc is None
    assert "dsc_within" not in found.groups()
    both = gt.compare(table, LABELS, graphs=graphs, n_permutations=1)
    np.testing.assert_array_equal(both.dsc, gt.comparison.pairwise_dice_similarity(graphs))


def test_of_too_many_graphs_there_are_no_matrices_and_it_is_said(graphs, monkeypatch):
    monkeypatch.setattr(sys.modules[gt.compare.__module__], "MOST_PAIRED", 11)
    found = gt.compare(graphs, LABELS, n_permutations=1)
    assert found.similarity is None
    assert found.dsc is None
    assert found.notes[-1].startswith("12 graphs are too many for matrices of all pairs")
    assert list(found.groups().columns) == ["label", "graphs", "recall_centroid", "recall_knn"]


def test_notes_come_once(graphs):
    found = gt.compare(graphs, LABELS, embeddings=("pca", "mds"), n_permutations=1)
    assert len(set(found.notes)) == len(found.notes)
    assert "sparsity: the same for all graphs" in found.notes


def test_bad_arguments_are_errors(graphs):
    with pytest.raises(gt.errors.ArgumentError, match="12 rows of features"):
        gt.compare(gt.measure_all(graphs), LABELS, graphs=graphs[:3])
    with pytest.raises(gt.errors.ArgumentError, match="at least two groups"):
        gt.compare(graphs, ["a"] * 12)
    with pytest.raises(gt.errors.ArgumentError, match="method must be"):
        gt.compare(graphs, LABELS, embeddings=("tsne",), n_permutations=1)
