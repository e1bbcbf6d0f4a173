import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.preprocessing import StandardScaler

import graphtask as gt

METHODS = ("pca", "mds", pytest.param("umap", marks=pytest.mark.slow))
SIZES = (2, 3, 10, 100)

_PROGRAM = """
import sys
import numpy as np
import graphtask as gt
method, n_graphs = sys.argv[1], int(sys.argv[2])
values = np.random.default_rng(n_graphs).normal(size=(n_graphs, 15)) + 3 * (np.arange(n_graphs) % 5)[:, None]
sys.stdout.write(gt.comparison.embed(values, method=method).points.tobytes().hex())
"""


def clouds(n_graphs, seed=None):
    rng = np.random.default_rng(n_graphs if seed is None else seed)
    return rng.normal(size=(n_graphs, 15)) + 3 * (np.arange(n_graphs) % 5)[:, None]


def share_beside_their_own(points):
    """Share of graphs whose nearest neighbor is of their cloud."""
    distances = squareform(pdist(points)) + np.diag(np.full(len(points), np.inf))
    return (distances.argmin(axis=1) % 5 == np.arange(len(points)) % 5).mean()


@pytest.mark.parametrize("n_graphs", SIZES)
def test_pca_is_scikit_learns_up_to_signs_that_are_fixed(n_graphs):
    values = clouds(n_graphs) * np.arange(1, 16)
    found = gt.comparison.embed(values)
    standardized = StandardScaler().fit_transform(values)
    model = PCA(2, svd_solver="full").fit(standardized)
    theirs = model.transform(standardized)
    for ours, other in zip(found.points.T, theirs.T, strict=True):
        np.testing.assert_allclose(ours * np.sign(ours @ other or 1), other, atol=1e-9)
    shares = model.explained_variance_ratio_
    assert found.axes == (f"PC 1 ({100 * shares[0]:.0f} %)", f"PC 2 ({100 * shares[1]:.0f} %)")


def test_of_features_that_count_alike_the_first_says_where_right_is():
    """Rounding makes one of the others the largest in a fifth of the cases."""
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=7)
        points = gt.comparison.embed(np.stack([x, -x, x, -x], axis=1)).points
        assert (np.diff(points[np.argsort(x), 0]) > 0).all()


def test_more_of_a_feature_is_further_right():
    rising = np.outer(np.arange(5.0), [1, 1, 1])
    assert (np.diff(gt.comparison.embed(rising).points[:, 0]) > 0).all()
    assert (gt.comparison.embed(rising).points[:, 1] == 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_graphs", SIZES)
def test_the_same_graphs_have_the_same_places(method, n_graphs):
    values = clouds(n_graphs)
    first, second = (gt.comparison.embed(values, method=method, seed=1) for _ in range(2))
    assert first.points.shape == (n_graphs, 2)
    assert np.isfinite(first.points).all()
    assert first.points.tobytes() == second.points.tobytes()
    assert first.method == method
    assert first.axes == second.axes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_graphs", SIZES)
def test_every_graph_has_the_same_point_in_any_order(method, n_graphs):
    values, order = clouds(n_graphs), np.random.default_rng(0).permutation(n_graphs)
    first, second = (gt.comparison.embed(rows, method=method).points for rows in (values, values[order]))
    assert first[order].tobytes() == second.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_graphs", [50, 100])
def test_neighbors_stay_neighbors(method, n_graphs):
    values = clouds(n_graphs)
    points = gt.comparison.embed(values, method=method).points
    assert trustworthiness(StandardScaler().fit_transform(values), points, n_neighbors=5) > 0.7
    assert share_beside_their_own(points) > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_graphs_that_are_all_alike_are_in_one_place(method):
    found = gt.comparison.embed(np.ones((12, 3)), method=method)
    assert (found.points == 0).all()
    assert len(found.notes) >= 3


@pytest.mark.parametrize("method", METHODS)
def test_some_graphs_may_be_alike(method):
    found = gt.comparison.embed(np.repeat(clouds(5), 4, axis=0), method=method)
    assert np.isfinite(found.points).all()
    assert pdist(found.points).max() > 1


def test_an_embedding_remembers_what_it_is_of():
    graphs = [gt.full_dag(9), gt.chain_dag(9), gt.banded_dag(9, bandwidth=2)]
    found = gt.comparison.embed(graphs, seed=4)
    assert found.features == gt.features_of(graphs).names
    assert found.notes == gt.features_of(graphs).notes
    assert found.seed == 4
    table = found.table(labels=["a", "b", "c"])
    assert list(table.columns) == ["label", "x", "y"]
    assert list(found.table(names=["1", "2", "3"]).columns) == ["graph", "x", "y"]
    np.testing.assert_array_equal(table[["x", "y"]], found.points)


def test_umap_of_three_graphs_is_their_pca_and_says_so():
    found = gt.comparison.embed(clouds(3), method="umap")
    np.testing.assert_array_equal(found.points, gt.comparison.embed(clouds(3)).points)
    assert "too few different graphs for umap" in found.notes[-1]
    assert found.axes[0].startswith("PC 1")


def test_without_umap_the_message_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(gt.errors.ArgumentError, match=r"pip install 'graphtask-nn\[umap\]'"):
        gt.comparison.embed(clouds(10), method="umap")


@pytest.mark.parametrize("n_graphs", [10, 5_000])
def test_umap_gets_neighbors_that_exist_and_one_thread(monkeypatch, n_graphs):
    """What is asked of umap-learn, whose first start takes too long for every day."""

    class Stub:
        def __init__(self, **options):
            self.options = options
            asked.append(options)

        def fit_transform(self, matrix):
            return matrix[:, :2]

    asked = []
    monkeypatch.setitem(sys.modules, "umap", type("umap", (), {"UMAP": Stub}))
    values = clouds(n_graphs)
    gt.comparison.embed(values, method="umap", seed=5, n_neighbors=15, min_dist=0.3)
    options = asked[0]
    assert options["n_neighbors"] == min(15, n_graphs - 1)
    assert (options["random_state"], options["n_jobs"], options["min_dist"]) == (5, 1, 0.3)
    assert options["init"].shape == (n_graphs, 2)
    assert 9 < np.abs(options["init"]).max() < 11
    indices, distances, *_ = options["precomputed_knn"]
    if n_graphs > 4096:
        assert (indices[:, 0] == np.arange(n_graphs)).all()
        assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.eye(3), {"method": "tsne"}, "method must be"),
        (np.eye(3), {"seed": -1}, "seed must be"),
        (np.eye(3), {"n_neighbors": 1}, "n_neighbors must be"),
        (np.eye(3), {"min_dist": 2}, "min_dist must be"),
        (np.ones((1, 3)), {}, "at least two graphs"),
    ],
)
def test_bad_arguments_are_errors(values, options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        gt.comparison.embed(values, **options)


def elsewhere(method, n_graphs, threads):
    """The bytes of the points that another process finds."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = dict.fromkeys(names, threads) | {"PATH": ""}
    command = [sys.executable, "-c", _PROGRAM, method, str(n_graphs)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return bytes.fromhex(done.stdout.decode())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "mds", "umap"])
@pytest.mark.parametrize("n_graphs", [3, 10, 2_000])
def test_other_processes_with_other_numbers_of_threads_find_the_same_bits(method, n_graphs):
    assert elsewhere(method, n_graphs, "1") == elsewhere(method, n_graphs, "2")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "mds", "umap"])
def test_ten_thousand_graphs_have_the_same_places_everywhere(method):
    here = gt.comparison.embed(clouds(10_000), method=method).points
    assert here.tobytes() == elsewhere(method, 10_000, "2")
    assert share_beside_their_own(here[:500]) > 0.9
