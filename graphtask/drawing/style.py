"""The look that all pictures share, and the files they are written to.

Nothing in this package touches pyplot or its global state: figures work without a display and in threads, and
leave the caller's settings alone. matplotlib itself is imported on first use.
"""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.storage.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")

INK = "#2b2d33"
WITHIN = "#454b5a"  # edges inside a stage
ACROSS = "#cdb07c"  # edges from one stage to a later one
REMOVED = "#d62f3f"
TEXT = 8.0  # points
WIDTH = 6.4  # inches; a text column
LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": TEXT,
    "labelcolor": INK,
    "handlelength": 0.8,
    "handletextpad": 0.5,
    "columnspacing": 1.4,
}


def stage_colors(n_stages: int) -> list[str]:
    """One color for each stage, dark to light: told apart by color-blind readers and in gray print.

    Example:
        >>> stage_colors(3)
        ['#414487', '#1e9c89', '#bddf26']
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    colors = colormaps["viridis"](np.linspace(0.2, 0.9, max(n_stages, 2)))
    return [to_hex(color) for color in colors[:n_stages]]


def save_figure(figure: "Figure", path: str | Path) -> Path:
    """Write the figure as SVG, PDF or PNG, by the suffix of ``path``; the same figure gives the same bytes.

    Raises:
        ArgumentError: The suffix is another one.
        GraphtaskError: The file cannot be written.

    Example:
        >>> import graphtask as gt
        >>> save_figure(gt.draw(gt.full_dag(4)), "full.bmp")
        Traceback (most recent call last):
        ...
        graphtask.errors.ArgumentError: full.bmp: cannot draw a '.bmp' file; use .svg, .pdf or .png
    """
    from matplotlib import rc_context

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(f"{target}: cannot draw a {suffix!r} file; use .svg, .pdf or .png")
    dateless: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
    drawn = io.BytesIO()
    with rc_context({"svg.hashsalt": "graphtask", "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box in the title says as much
        figure.savefig(drawn, format=suffix[1:], dpi=200, facecolor="white", metadata=dateless[suffix])
    with write_atomically(target) as file:
        file.write(drawn.getvalue())
    return target
