import shutil

import pytest

import graphtask as gt


@pytest.fixture
def files(tmp_path):
    for name, graph in {"full": gt.full_dag(6), "chain": gt.chain_dag(5)}.items():
        gt.write(graph, tmp_path / f"{name}.graphml")


def drawn(result):
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.mark.usefixtures("files")
def test_without_a_target_pictures_stand_beside_the_graphs(call, tmp_path):
    assert drawn(call("draw", "full.graphml", "chain.graphml")) == ["full.svg", "chain.svg"]
    assert (tmp_path / "full.svg").read_text().startswith("<?xml")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_a_file_takes_all_graphs_together(call, tmp_path, suffix, magic):
    assert drawn(call("draw", "full.graphml", "-o", f"one.{suffix}")) == [f"one.{suffix}"]
    assert drawn(call("draw", "full.graphml", "chain.graphml", "-o", f"both.{suffix}", "--title", "Two")) == [
        f"both.{suffix}"
    ]
    for name in ("one", "both"):
        assert (tmp_path / f"{name}.{suffix}").read_bytes().startswith(magic)


@pytest.mark.usefixtures("files")
def test_a_folder_takes_one_picture_of_each(call):
    assert drawn(call("draw", "full.graphml", "chain.graphml", "-o", "pictures", "--type", "png")) == [
        "pictures/full.png",
        "pictures/chain.png",
    ]


def test_a_threshold_marks_what_pruning_would_remove(call, trained, tmp_path):
    drawn(call("draw", trained, "--threshold", 0.3, "-o", "cut.svg"))
    drawn(call("draw", trained, "-o", "whole.svg"))
    red = "#d62f3f"
    assert red in (tmp_path / "cut.svg").read_text()
    assert red not in (tmp_path / "whole.svg").read_text()


def test_a_run_is_drawn_with_its_training(call, run_folder):
    assert drawn(call("draw", run_folder, "-o", "pictures")) == [
        "pictures/digits-0.svg",
        "pictures/digits-0-history.svg",
        "pictures/digits-0-curves.svg",
    ]


def test_the_history_of_a_run_counts_as_pruning_does(call, run_folder, monkeypatch):
    figures = []
    save = gt.plot.save
    monkeypatch.setattr(gt.plot, "save", lambda figure, path: figures.append(figure) or save(figure, path))
    weights = sorted(gt.Run.open(run_folder).graph.es["weight"])
    for threshold in weights[::8]:
        drawn(call("draw", run_folder, "--threshold", threshold, "-o", "pictures"))
        history = gt.Run.open(run_folder).history
        n_kept = gt.dynamics.edge_dynamics(history, threshold=threshold).edges
        assert figures[-2].axes[0].get_title() == f"kept ({n_kept})"


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("target", [[], ["-o", "one.svg"], ["chain.graphml", "-o", "both.svg"]])
def test_a_graph_without_weights_is_named(call, target):
    result = call("draw", "full.graphml", "--threshold", 0.1, *target)
    assert result.exit_code == 1
    assert result.stderr.startswith("graphtask: error: full.graphml: every edge must have a `weight`")


def test_different_graphs_get_different_pictures(call, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        gt.write(gt.chain_dag(4), tmp_path / folder / "b.graphml")
    gt.write(gt.chain_dag(5), tmp_path / "x-b.graphml")
    gt.write(gt.chain_dag(3), tmp_path / "a.graphml")
    (tmp_path / "a.edges").write_text("a b\nb c\n")
    result = call("draw", "x", "y", "x-b.graphml", "a.graphml", "a.edges", "--stages", 1, "-o", "pictures")
    assert result.exit_code == 0, result.output
    names = [path.name for path in (tmp_path / "pictures").iterdir()]
    assert sorted(names) == ["a.edges.svg", "a.graphml.svg", "x-b-2.svg", "x-b.svg", "y-b.svg"]
    assert sorted(f"pictures/{name}" for name in names) == sorted(result.stdout.split())
    result = call("draw", "a.graphml", "a.edges", "--stages", 1)
    assert sorted(result.stdout.split()) == ["a-edges.svg", "a-graphml.svg"]


def test_the_pictures_of_a_run_are_not_written_over_those_of_another_graph(call, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "a")
    gt.write(gt.chain_dag(4), tmp_path / "a-history.graphml")
    result = call("draw", "a", "a-history.graphml", "-o", "pictures")
    assert result.exit_code == 0, result.output
    assert len(set(result.stdout.split())) == 4 == len(list((tmp_path / "pictures").iterdir()))


@pytest.mark.usefixtures("files")
def test_a_run_is_animated(call, run_folder, tmp_path):
    assert drawn(call("draw", run_folder, "--animate", "-o", "run.gif", "--title", "digits")) == ["run.gif"]
    assert (tmp_path / "run.gif").read_bytes().startswith(b"GIF89a")
    for options, text in (
        (("full.graphml", "--animate", "-o", "run.gif"), "needs the folder of one run"),
        ((run_folder, "--animate"), "needs --out"),
        ((run_folder, "--animate", "--labels", "name", "-o", "a.gif"), "excludes --labels"),
    ):
        result = call("draw", *options)
        assert result.exit_code == 2
        assert text in result.stderr


def test_weak_edges_are_hidden_and_fonts_chosen(call, trained, tmp_path):
    options = ("--threshold", "0.3", "--weak", "hidden", "--font", "DejaVu Serif", "--font-size", "11")
    assert drawn(call("draw", trained, *options, "-o", "graph.svg")) == ["graph.svg"]
    text = (tmp_path / "graph.svg").read_text()
    assert "below 0.3, not shown" in text
    assert "font-family: 'DejaVu Serif'" in text
    assert "font-size: 11px" in text
