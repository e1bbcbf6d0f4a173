"""Animations of training runs as GIF, MP4 and HTML."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import graphtask as gt
from graphtask.drawing.film import Film
from graphtask.drawing.style import DEAD, WEAK
from graphtask.graph import edge_names
from graphtask.pruning import pruned_parts


def recording(epochs=4, seed=0):
    graph, rng = gt.full_dag(6, stages=2), np.random.default_rng(seed)
    w = rng.uniform(0.1, 0.8, (epochs + 1, graph.ecount())).astype(np.float32)
    w[1:] *= rng.random((epochs, graph.ecount())) < 0.6
    history = gt.EdgeHistory(tuple(edge_names(graph)), w)
    graph.es["weight"] = history.magnitudes[-1].tolist()
    return gt.dynamics.Recording(graph, history)


def test_a_gif_has_a_frame_for_each_epoch_and_the_last_one_stays(tmp_path):
    with Image.open(gt.animate(recording(), out=tmp_path / "run.gif", fps=5, dpi=50)) as image:
        assert image.n_frames == 5
        durations = [(image.seek(frame), image.info["duration"])[1] for frame in range(5)]
    assert durations == [200] * 4 + [2000]


def test_the_number_of_frames_is_limited(tmp_path):
    path = gt.animate(recording(epochs=9), out=tmp_path / "run.gif", max_frames=4, dpi=30)
    with Image.open(path) as image:
        assert image.n_frames == 4


def test_frames_show_weak_edges_and_dead_paths_of_their_epoch():
    run = recording(epochs=3, seed=3)
    film = Film(run, threshold=0.05, layout=None, title="")
    for epoch in range(4):
        film.image(epoch, dpi=20)
        graph = run.graph.copy()
        graph.es["weight"] = run.history.magnitudes[epoch].tolist()
        parts = pruned_parts(graph, threshold=0.05)
        rgb = np.round(255 * film._lines.get_edgecolor()[:, :3]).astype(int)
        for color, chosen in ((WEAK, parts.weak_edges), (DEAD, parts.dead_edges)):
            wanted = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
            assert (rgb == wanted).all(axis=1).sum() == chosen.sum()
        kept = int((~(parts.weak_edges | parts.dead_edges)).sum())
        assert f"epoch {epoch} of 3 · {kept} edge" in film._axes.get_title(loc="left")


def test_an_html_file_needs_no_network_and_has_all_frames(tmp_path):
    text = gt.animate(recording(), out=tmp_path / "run.html", dpi=40).read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="frames">(.*?)</script>', text)
    assert json.loads(data)["epochs"] == [0, 1, 2, 3, 4]
    assert not re.search(r"https?://(?!www.w3.org)", text)


def test_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(gt.errors.ArgumentError, match=r"^out must be a \.gif or \.html file, got .*ffmpeg$"):
        gt.animate(recording(), out=tmp_path / "run.mp4")
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\n/bin/cat > /dev/null\necho "no encoder" >&2\nexit 3\n')
    program.chmod(0o755)
    with pytest.raises(gt.GraphtaskError, match=r"^ffmpeg failed: no encoder$"):
        gt.animate(recording(), out=tmp_path / "run.mp4", dpi=20)
    assert not (tmp_path / "run.mp4").exists()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_an_mp4_file_is_a_film(tmp_path):
    path = gt.animate(recording(), out=tmp_path / "run.mp4", dpi=31)
    assert path.read_bytes()[4:8] == b"ftyp"


def test_other_files_and_histories_are_refused(tmp_path):
    run = recording()
    with pytest.raises(gt.errors.ArgumentError, match=r"^out must be a \.gif, \.mp4 or \.html file"):
        gt.animate(run, out=tmp_path / "run.avi")
    other = gt.EdgeHistory(run.history.edges[:-1], run.history.w[:, :-1])
    with pytest.raises(gt.errors.ArgumentError, match=r"^run must be a run whose edge history"):
        gt.animate(gt.dynamics.Recording(run.graph, other), out=tmp_path / "run.gif")
