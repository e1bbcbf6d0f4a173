"""``gt.animate``: a training run as GIF, MP4 or HTML file."""

import base64
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.drawing.film import Film, Recorded
from graphtask.drawing.placement import Layout
from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.reporting.page import Section, page, player_html
from graphtask.reporting.palette import quantized
from graphtask.storage.atomic import write_atomically
from graphtask.types import PAPER_THRESHOLD
from graphtask.validation import integer, invalid, number

if TYPE_CHECKING:
    from PIL.Image import Image

_HOLD = 2.0  # seconds of the last frame


def animate(
    run: Recorded,
    *,
    out: str | os.PathLike[str],
    threshold: float = PAPER_THRESHOLD,
    layout: Layout = None,
    fps: float = 8.0,
    max_frames: int = 100,
    dpi: int = 120,
    title: str = "",
    watch: Callable[[Any], Any] = iter,
) -> Path:
    """Write a training run as an animation: one frame per epoch, nodes in fixed places, edges as wide as their weight.

    Args:
        run: A run (`graphtask.Run`), or its `graphtask.dynamics.Recording`.
        out: Path of a ``.gif``, ``.mp4`` (needs the program ``ffmpeg``) or ``.html`` file (with a slider; needs no
            network).
        threshold: Edges below τ are light gray, and the paths that are then dead are red; at least 0.
        layout: Layout of the trained graph with all its edges, as in `graphtask.draw`.
        fps: Frames per second.
        max_frames: With more epochs, this many of them, evenly spaced.
        dpi: Pixels per inch; the picture is 6.4 inches wide.
        title: Text in front of the number of the epoch.
        watch: Receives the epochs and yields them as they are drawn; for progress bars.

    Returns:
        The path that was written.

    Raises:
        ArgumentError: An argument is invalid, or ffmpeg is missing.
        GraphtaskError: ffmpeg fails, or the file cannot be written.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> net = gt.compile(gt.full_dag(4), channels=2)
        >>> history = gt.EdgeHistory.record(net).history
        >>> run = gt.dynamics.Recording(gt.compiler.write_back(net, net.graph), history)
        >>> gt.animate(run, out=pathlib.Path(tempfile.mkdtemp()) / "run.gif").name
        'run.gif'
    """
    path = Path(out)
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise invalid("out", "a .gif, .mp4 or .html file", str(path))
    if suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise ArgumentError(
            f"out must be a .gif or .html file, got {str(path)!r}; for .mp4 install the program ffmpeg",
            argument="out",
        )
    rate = number(fps, name="fps", least=0.1, most=100)
    film = Film(run, threshold=number(threshold, name="threshold", least=0), layout=layout, title=title)
    n_frames = min(integer(max_frames, name="max_frames", least=1), film.n_epochs + 1)
    epochs = np.unique(np.linspace(film.n_epochs if n_frames == 1 else 0, film.n_epochs, n_frames).round())
    resolution = integer(dpi, name="dpi", least=20, most=600)
    images = [film.image(int(epoch), dpi=resolution) for epoch in watch(epochs.astype(int).tolist())]
    content = _WRITERS[suffix](images, rate, epochs.astype(int).tolist())
    with write_atomically(path) as file:
        file.write(content)
    return path


def _gif(images: "list[Image]", fps: float, _: list[int]) -> bytes:
    frames = quantized(images)
    lasting = [round(1000 / fps)] * (len(frames) - 1) + [round(1000 * _HOLD)]
    stream = io.BytesIO()
    frames[0].save(
        stream, format="GIF", save_all=True, append_images=frames[1:], duration=lasting, loop=0, disposal=1
    )
    return stream.getvalue()


def _mp4(images: "list[Image]", fps: float, _: list[int]) -> bytes:
    width, height = (size // 2 * 2 for size in images[0].size)  # H.264 needs even sizes
    frames = [image.crop((0, 0, width, height)) for image in images]
    frames += [frames[-1]] * round(_HOLD * fps)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "run.mp4"
        source = (
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{width}x{height}",
            "-r",
            f"{fps:g}",
            "-i",
            "-",
        )
        form = ("-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(target))
        found = subprocess.run(  # noqa: S603 - no shell
            ["ffmpeg", "-loglevel", "error", *source, *form],  # noqa: S607 - found on the path of the user
            input=b"".join(frame.tobytes() for frame in frames),
            capture_output=True,
            check=False,
        )
        if found.returncode or not target.exists():
            reason = found.stderr.decode(errors="replace").strip().splitlines()
            raise GraphtaskError(f"ffmpeg failed: {reason[-1] if reason else found.returncode}")
        return target.read_bytes()


def _html(images: "list[Image]", fps: float, epochs: list[int]) -> bytes:
    frames = []
    for image in quantized(images):
        stream = io.BytesIO()
        image.save(stream, format="PNG", optimize=True)
        frames.append(base64.b64encode(stream.getvalue()).decode())
    sections = [Section("", player_html(frames, epochs, fps=fps))]
    return page("Training run", sections, scripts=("player.js",)).encode("utf-8", errors="backslashreplace")


_WRITERS: dict[str, Callable[["list[Image]", float, list[int]], bytes]] = {
    ".gif": _gif,
    ".mp4": _mp4,
    ".html": _html,
}
