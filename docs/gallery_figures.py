"""Figures of the gallery: sphinx-gallery shows the figure or the animation that the last line of a block returns."""

import shutil
import time
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from graphtask.drawing.picture import rendered

_SHOWN: dict[int, Figure | Path] = {}  # results of earlier blocks, which a block without one would show again


def scrape(
    _block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any], **_: Any
) -> str:
    """Write the figure of a block, and return its reStructuredText with size and time; empty without a figure."""
    shown = block_vars["example_globals"].get("___")
    if not isinstance(shown, Figure | Path) or id(shown) in _SHOWN:
        return ""
    _SHOWN[id(shown)] = shown
    path = Path(next(block_vars["image_path_iterator"]))
    if isinstance(shown, Path):  # of `graphtask.animate`, in the current folder
        path = Path(shutil.move(shown, path.with_suffix(shown.suffix)))
        facts = f"{path.suffix[1:].upper()} of {path.stat().st_size // 1000} kB"
    else:
        start = time.perf_counter()
        path.write_bytes(rendered(shown, "png", dpi=130))
        seconds = time.perf_counter() - start
        width, height = shown.get_size_inches()
        size = path.stat().st_size // 1000
        facts = f"{width:.1f} × {height:.1f} inches, PNG of {size} kB, rendered in {seconds:.1f} s"
    found: str = figure_rst([str(path)], gallery_conf["src_dir"])
    return f"{found}\n.. rst-class:: figure-facts\n\n{facts}\n\n"
