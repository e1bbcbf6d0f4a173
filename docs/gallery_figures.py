"""Figures of the gallery: sphinx-gallery shows the figure that the last line of a block returns."""

import time
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from graphtask.drawing.picture import rendered


def scrape(
    _block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any], **_: Any
) -> str:
    """Write the figure of a block, and return its reStructuredText with size and time; empty without a figure."""
    figure = block_vars["example_globals"].get("___")
    if not isinstance(figure, Figure) or hasattr(figure, "in_gallery"):
        return ""
    figure.in_gallery = True  # type: ignore[attr-defined]
    path = next(block_vars["image_path_iterator"])
    start = time.perf_counter()
    Path(path).write_bytes(rendered(figure, "png", dpi=130))
    seconds = time.perf_counter() - start
    width, height = figure.get_size_inches()
    facts = f"{width:.1f} × {height:.1f} inches, PNG of {Path(path).stat().st_size // 1000} kB, rendered in {seconds:.1f} s"
    return f"{figure_rst([path], gallery_conf['src_dir'])}\n.. rst-class:: figure-facts\n\n{facts}\n\n"
