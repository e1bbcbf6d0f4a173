"""Images with few colors, which take a fraction of the bytes."""

import io
from typing import TYPE_CHECKING

import numpy as np

from graphtask.drawing.style import ACROSS, DEAD, INK, WEAK, WITHIN, stage_colors

if TYPE_CHECKING:
    from PIL.Image import Image

_N_COLORS = 200  # that an image chooses; those of drawings are added to them


def quantized(images: "list[Image]") -> "list[Image]":
    """Return RGB images with one palette: colors of the middle one, and exactly those of paper, nodes and edges."""
    from PIL import Image, ImageColor

    exact = [
        ImageColor.getrgb(name)
        for name in ("#ffffff", WITHIN, ACROSS, WEAK, DEAD, INK, *stage_colors(10), *stage_colors(3))
    ]
    palette = images[len(images) // 2].quantize(_N_COLORS)
    chosen = (palette.getpalette() or [])[: 3 * _N_COLORS]
    palette.putpalette([*chosen, *(channel for color in exact for channel in color)])
    reduced = []
    for image in images:
        pixels = np.asarray(image)
        # Pillow takes one of the entries near a color, also where an equal one exists.
        entries = np.array(image.quantize(palette=palette, dither=Image.Dither.NONE))
        for place, color in enumerate(exact, start=len(chosen) // 3):
            entries[(pixels == color).all(axis=2)] = place
        frame = Image.fromarray(entries)
        frame.putpalette(palette.getpalette() or [])
        reduced.append(frame)
    return reduced


def with_few_colors(png: bytes) -> bytes:
    """Return a PNG image of a drawing in a palette of its own."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        (small,) = quantized([picture.convert("RGB")])
    written = io.BytesIO()
    small.save(written, "PNG", optimize=True)
    return written.getvalue()
