import subprocess
import sys
import threading

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb

import graphtask as gt
from graphtask.drawing.style import REMOVED, stage_colors

SUFFIXES = ["svg", "pdf", "png"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_graph_gives_the_same_bytes_in_another_process(tmp_path, suffix):
    code = (
        "import sys, graphtask as gt\n"
        "gt.save_figure(gt.draw(gt.banded_dag(20, bandwidth=3), title='banded'), sys.argv[1])"
    )
    here = gt.save_figure(gt.draw(gt.banded_dag(20, bandwidth=3), title="banded"), tmp_path / f"a.{suffix}")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / f"b.{suffix}")], check=True)
    assert here.read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"<dc:date>" not in here.read_bytes()


def test_other_kinds_of_files_are_refused_before_anything_is_written(tmp_path):
    figure = gt.draw(gt.full_dag(3))
    for name in ("graph.bmp", "graph", "graph.svg.gz"):
        with pytest.raises(gt.ArgumentError, match=r"use \.svg, \.pdf or \.png"):
            gt.save_figure(figure, tmp_path / name)
    with pytest.raises(gt.GraphtaskError, match="no folder"):
        gt.save_figure(figure, tmp_path / "missing" / "graph.svg")
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_the_settings_and_figures_of_the_caller_alone(tmp_path):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    gt.save_figure(gt.draw(gt.full_dag(5)), tmp_path / "graph.svg")
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_figures_can_be_drawn_in_another_thread(tmp_path):
    thread = threading.Thread(target=lambda: gt.save_figure(gt.draw(gt.full_dag(5)), tmp_path / "graph.png"))
    thread.start()
    thread.join()
    assert (tmp_path / "graph.png").exists()


@pytest.mark.parametrize("n_stages", [1, 2, 3, 5, 10])
def test_stages_are_told_apart_in_grey_print_and_from_what_is_removed(n_stages):
    colors = stage_colors(n_stages)
    gray = [
        sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), to_rgb(c), strict=True))
        for c in colors
    ]
    assert len(set(colors)) == n_stages
    assert gray == sorted(gray)
    assert REMOVED not in colors
