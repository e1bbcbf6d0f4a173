"""Colors and sizes that all pictures share.

Nothing in this package touches pyplot or its global state: figures work without a display and in threads, and
leave the caller's settings alone. matplotlib itself is imported on first use.
"""

from typing import Any

import numpy as np

from graphtask.validation import invalid

INK = "#2b2d33"
WITHIN = "#454b5a"  # edges inside a stage
ACROSS = "#d8b660"  # edges from one stage to a later one
WEAK = "#d9dade"  # edges below the threshold
DEAD = "#d62f3f"  # dead paths, and removed edges in curves
REMOVED = DEAD
BOTH = "#b8bcc6"  # edges of both graphs of a difference
FIRST = "#0072b2"  # edges of the first graph only
SECOND = "#d55e00"  # edges of the second graph only; dashed as well
BAND = "#f4f5f7"  # behind every second stage
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


def stage_colors(n_stages: int, *, cmap: str = "viridis") -> list[str]:
    """Return one color for each stage, dark to light: distinct for color-blind readers and in grayscale print.

    Args:
        n_stages: Number of stages.
        cmap: Name of a colormap of matplotlib.

    Raises:
        ArgumentError: The colormap is unknown.

    Example:
        >>> stage_colors(3)
        ['#414487', '#1e9c89', '#bddf26']
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if cmap not in colormaps:
        raise invalid("cmap", "a colormap of matplotlib, such as viridis or cividis", cmap)
    colors = colormaps[cmap](np.linspace(0.2, 0.9, max(n_stages, 2)))
    return [to_hex(color) for color in colors[:n_stages]]
