"""Figures of the gallery: sphinx-gallery shows the figure that the last line of a block returns."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from graphtask.drawing.picture import rendered


def scrape(
    _block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any], **_: Any
) -> str:
    """Write the figure of a block, and return its reStructuredText; empty without a figure."""
    figure = block_vars["example_globals"].get("___")
    if not isinstance(figure, Figure) or hasattr(figure, "in_gallery"):
        return ""
    figure.in_gallery = True  # type: ignore[attr-defined]
    path = next(block_vars["image_path_iterator"])
    Path(path).write_bytes(rendered(figure, "png", dpi=130))
    return str(figure_rst([path], gallery_conf["src_dir"]))
