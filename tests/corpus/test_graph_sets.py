import tarfile

import pytest
from helpers import assert_same_graph

import graphtask as gt
from graphtask.corpus.entries import Entry
from graphtask.corpus.graph_sets import argument_labels, label_of
from graphtask.graph import with_provenance


def known(graph, **facts):
    return with_provenance(graph, **facts)


@pytest.fixture
def corpus(tmp_path):
    """Three graphs in two folders, two of which know their data."""
    graphs = {
        "easy/a.graphml": known(gt.chain_dag(4), data="cmnist", seed=0),
        "easy/b.graphml": known(gt.banded_dag(6, bandwidth=2), data="cmnist", seed=1),
        "hard/c.graphml": gt.full_dag(5),
    }
    for name, graph in graphs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        gt.write(graph, tmp_path / name)
    return tmp_path, graphs


def test_graphs_come_in_the_order_named_with_their_sources(corpus):
    folder, graphs = corpus
    found = gt.read_all([folder / "hard", folder / "easy"])
    assert [source.removeprefix(f"{folder}/") for source in found.sources] == [
        "hard/c.graphml",
        "easy/a.graphml",
        "easy/b.graphml",
    ]
    assert found.names == found.sources
    assert found.failures == ()
    for source, graph in zip(found.sources, found.graphs, strict=True):
        assert_same_graph(graph, graphs[source.removeprefix(f"{folder}/")])


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("data", ["cmnist", "cmnist", ""]),
        ("prior", ["chain", "banded-2", "full"]),
        ("seed", ["0", "1", ""]),
        ("folder", ["easy", "easy", "hard"]),
        ("bandwidth", ["", "2", ""]),
    ],
)
def test_labels_come_from_provenance_or_the_folder(corpus, by, labels):
    folder, _ = corpus
    found = gt.read_all([folder], by=by)
    assert list(found.labels) == labels
    assert {label: len(graphs) for label, graphs in found.groups().items()} == {
        label: labels.count(label) for label in labels
    }
    assert len(found) == 3


def test_each_argument_can_be_a_group(corpus):
    folder, _ = corpus
    found = gt.read_all([f"{folder}/easy", f"{folder}/*/c.graphml", folder / "easy"], by="argument")
    assert list(found.labels) == ["easy", "easy", "c.graphml", "easy", "easy"]


def test_a_folder_without_graphs_is_left_out_and_named(corpus):
    folder, _ = corpus
    (folder / "none").mkdir()
    found = gt.read_all([folder / "none", folder / "easy"], by="argument")
    assert list(found.labels) == ["easy", "easy"]
    (failure,) = found.failures
    assert failure.startswith(f"{folder / 'none'}: the folder has no graph file (")


def test_arguments_are_told_apart_by_as_little_as_needed():
    assert argument_labels(["runs/a/full", "runs/b/full", "x/y"]) == ["a/full", "b/full", "y"]
    assert argument_labels(["a", "b/a", "a"]) == ["a", "b/a", "a"]
    assert argument_labels(["/x/full", "full"]) == ["x/full", "full"]
    assert argument_labels([".", "a"]) == [".", "a"]


def test_pruning_happens_on_the_way_and_what_falls_apart_is_said(tmp_path):
    strong, weak = gt.full_dag(4), gt.full_dag(4)
    strong.es["weight"] = [0.9, 0.001, 0.001, 0.9, 0.001, 0.9]
    weak.es["weight"] = [0.001] * 6
    gt.write(strong, tmp_path / "strong.graphml")
    gt.write(weak, tmp_path / "weak.graphml")
    (tmp_path / "broken.graphml").write_text("<graphml>")
    found = gt.read_all([tmp_path], threshold=0.006)
    assert_same_graph(found.graphs[0], gt.prune(strong, threshold=0.006))
    assert len(found) == 1
    assert len(found.failures) == 2
    assert "broken.graphml" in found.failures[0]
    assert "weak.graphml: no path from the input to the output is left" in found.failures[1]


def test_a_relative_threshold_is_free_of_the_scale(tmp_path):
    graph = gt.full_dag(4)
    graph.es["weight"] = [0.9e-3, 1e-5, 1e-5, 0.9e-3, 1e-5, 0.9e-3]
    gt.write(graph, tmp_path / "scaled.graphml")
    (found,) = gt.read_all([tmp_path], threshold=0.1, relative=True).graphs
    assert_same_graph(found, gt.prune(graph, threshold=0.1, relative=True))
    (row,) = gt.measure_files([tmp_path], metrics=["edges"], threshold=0.1, relative=True)
    assert row["edges"] == gt.diff(graph, graph, threshold=0.1, relative=True).first.ecount() == 3
    for call in (gt.read_all, gt.measure_files):
        with pytest.raises(gt.errors.ArgumentError, match="relative must be False without a threshold"):
            call([tmp_path], relative=True)
    with pytest.raises(gt.errors.ArgumentError, match="relative must be False without a threshold"):
        gt.diff(graph, graph, relative=True)


def test_strict_makes_the_first_broken_graph_an_error_of_its_own_kind(corpus):
    folder, _ = corpus
    with pytest.raises(gt.errors.GraphError, match=r"a\.graphml: every edge must have a `weight`"):
        gt.read_all([folder], threshold=0.1, strict=True)


def test_nothing_usable_is_an_error_that_shows_the_first_reason(corpus, tmp_path):
    folder, _ = corpus
    with pytest.raises(
        gt.errors.FormatError, match=r"no graph can be used; the first of 3: .*must have a `weight`"
    ):
        gt.read_all([folder], threshold=0.1)
    with pytest.raises(gt.errors.ArgumentError, match="paths must name at least one"):
        gt.read_all([])
    with pytest.raises(gt.errors.ArgumentError, match="paths must be a list of paths"):
        gt.read_all(str(folder))
    with pytest.raises(gt.errors.FormatError, match="no file matches"):
        gt.read_all([f"{tmp_path}/nothing*"])


def test_archives_are_read_and_their_folders_are_groups(corpus):
    folder, graphs = corpus
    with tarfile.open(folder / "all.tar.gz", "w:gz") as archive:
        for name in graphs:
            archive.add(folder / name, name)
    found = gt.read_all([folder / "all.tar.gz"], by="folder")
    assert list(found.labels) == ["easy", "easy", "hard"]
    for graph, original in zip(found.graphs, graphs.values(), strict=True):
        assert_same_graph(graph, original)


def test_foreign_graphs_are_read_as_asked(tmp_path):
    (tmp_path / "foreign.edges").write_text("0 2\n1 2\n0 2\n")
    found = gt.read_all([tmp_path / "foreign.edges"], stages=1, join=True, merge=True)
    assert found.graphs[0].ecount() == 4
    assert found.labels == ("",)


def test_the_folder_of_a_run_is_the_one_around_it():
    entry = Entry("runs/cmnist/seed-0/trained.graphml", run="runs/cmnist/seed-0")
    assert label_of(gt.chain_dag(3), entry, by="folder") == "cmnist"


def test_numbers_are_written_as_people_write_them():
    graph = known(gt.chain_dag(3), threshold=0.006, seed=3)
    assert [label_of(graph, Entry("a"), by=key) for key in ("threshold", "seed")] == ["0.006", "3"]


def test_labels_from_names_that_are_not_valid_unicode_fit_into_tables(tmp_path):
    path = tmp_path / "a\udcff" / "g.graphml"
    path.parent.mkdir()
    gt.write(gt.chain_dag(3), path)
    found = gt.read_all([path], by="folder")
    assert (found.labels, found.names) == (("a\\udcff",), (str(path),))
    assert gt.read_all([path], by="argument").labels[0].isprintable()
