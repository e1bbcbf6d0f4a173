import subprocess
import sys
import threading
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import graphtask as gt
from graphtask.drawing.grouped import from_zero
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import ACROSS, DEAD, WEAK, WITHIN, stage_colors

SUFFIXES = ["svg", "pdf", "png"]


def test_the_same_graph_gives_the_same_bytes_in_another_process(tmp_path):
    code = (
        "import sys, graphtask as gt\n"
        "for path in sys.argv[1:]:\n"
        "    gt.plot.save(gt.draw(gt.banded_dag(20, bandwidth=3), title='banded'), path)"
    )
    there = {suffix: tmp_path / f"b.{suffix}" for suffix in SUFFIXES}
    subprocess.run([sys.executable, "-c", code, *map(str, there.values())], check=True)
    for suffix, path in there.items():
        here = gt.plot.save(gt.draw(gt.banded_dag(20, bandwidth=3), title="banded"), tmp_path / f"a.{suffix}")
        assert here.read_bytes() == path.read_bytes()
        assert b"<dc:date>" not in here.read_bytes()


def test_other_kinds_of_files_are_refused_before_anything_is_written(tmp_path):
    figure = gt.draw(gt.full_dag(3))
    for name in ("graph.bmp", "graph", "graph.svg.gz"):
        with pytest.raises(
            gt.errors.ArgumentError, match=r"^path must be a \.svg, \.pdf or \.png file, got "
        ):
            gt.plot.save(figure, tmp_path / name)
    with pytest.raises(gt.GraphtaskError, match="no folder"):
        gt.plot.save(figure, tmp_path / "missing" / "graph.svg")
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_the_settings_and_figures_of_the_caller_alone(tmp_path):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    gt.plot.save(gt.draw(gt.full_dag(5)), tmp_path / "graph.svg")
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_figures_can_be_drawn_in_another_thread(tmp_path):
    thread = threading.Thread(target=lambda: gt.plot.save(gt.draw(gt.full_dag(5)), tmp_path / "graph.png"))
    thread.start()
    thread.join()
    assert (tmp_path / "graph.png").exists()


# Linear RGB of a normal viewer to that of a dichromat; Machado, Oliveira & Fernandes, IEEE TVCG 15 (2009), severity 1.
VIEWS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(color, view):
    """CIE L*a*b* of a color as a viewer sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(VIEWS[view] @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("view", VIEWS)
def test_edges_and_stages_are_distinct_for_color_blind_readers(view):
    """A difference (CIE 1976) of 10 is seen at a glance."""
    for group, least in (([WITHIN, ACROSS, WEAK, DEAD], 20), (stage_colors(3), 25), (stage_colors(5), 10)):
        for first, second in combinations(group, 2):
            difference = np.linalg.norm(lab(first, view) - lab(second, view))
            assert difference > least, (first, second, difference)


@pytest.mark.parametrize("cmap", ["viridis", "cividis"])
@pytest.mark.parametrize("n_stages", [1, 2, 3, 5, 10])
def test_stages_are_distinct_in_gray_print_and_from_dead_paths(n_stages, cmap):
    colors = stage_colors(n_stages, cmap=cmap)
    gray = [lab(color, "normal")[0] for color in colors]
    assert len(set(colors)) == n_stages
    assert (np.diff(gray) > 50 / 2 / n_stages).all()
    assert DEAD not in colors


def test_kinds_of_edges_are_distinct_in_gray_print():
    """Dead paths are dashed as well."""
    gray = sorted(lab(color, "normal")[0] for color in (WITHIN, DEAD, ACROSS, WEAK))
    assert (np.diff(gray) > 11).all()


@pytest.mark.parametrize("values", [[37.0, 38.0], [66.0, 66.0], [0.0, 0.0], [1.0, 900.0]])
def test_an_axis_from_zero_has_room_above_values_that_hardly_vary(values):
    axes = new_figure(figsize=(2, 2)).subplots()
    axes.plot([0, 1], values)
    from_zero(axes)
    bottom, top = axes.get_ylim()
    assert bottom == 0
    assert top > 1.04 * max(values)
