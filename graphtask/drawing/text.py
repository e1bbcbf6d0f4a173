"""Texts of pictures: short forms of names, their sizes, and rows that fit."""

import bisect
from collections.abc import Iterable, Sequence

from graphtask.drawing.fonts import families_of
from graphtask.drawing.picture import drawable
from graphtask.drawing.style import TEXT, WIDTH

MAX_LENGTH = 24  # characters of a name; tooltips and tables have the whole of it
_BOLD = 1.15  # width of bold letters in those of regular ones
_BESIDE = 0.45  # inches next to the text of a legend's entry


def shortened(text: object, *, length: int = MAX_LENGTH) -> str:
    r"""Return a text in one line of at most ``length`` printable characters, without its middle if it is longer.

    Example:
        >>> shortened("features.denseblock4.denselayer16.conv2"), shortened("two\nlines")
        ('features.dense…r16.conv2', 'two lines')
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    if len(line) <= length:
        return line
    tail = 2 * (length - 1) // 5
    return f"{line[: length - 1 - tail]}…{line[len(line) - tail :]}"


def group_names(names: Iterable[object]) -> dict[str, str]:
    """Return short and distinct forms of the names of groups, by name, for legends and axes.

    Example:
        >>> list(group_names(["a" * 30, "a" * 31, "b"]).values())
        ['aaaaaaaaaaaaaa…aaaaaaaaa', 'aaaaaaaaaaaaaa…aaaaaaaaa (2)', 'b']
    """
    forms: dict[str, str] = {}
    for name in dict.fromkeys(map(str, names)):
        form = shortened(drawable(name))
        if form.startswith("_"):
            form = f"\N{HAIR SPACE}{form}"  # matplotlib leaves such names out of legends
        taken, number, free = set(forms.values()), 1, form
        while free in taken:
            number += 1
            free = f"{form} ({number})"
        forms[name] = free
    return forms


def n_columns(texts: Sequence[str], *, most: int, width: float = WIDTH) -> int:
    """Return the number of columns of a legend that fit into ``width`` inches, between 1 and ``most``."""
    widest = max((text_size(text, TEXT)[0] / 72 for text in texts), default=0.0)
    return int(max(1, min(most, len(texts), width // (widest + _BESIDE))))


def text_size(text: str, size: float, font: str | None = None) -> tuple[float, float]:
    """Return width and height in points."""
    import warnings

    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that the font lacks are drawn as boxes
        width, height, _ = text_to_path.get_text_width_height_descent(
            text, FontProperties(family=families_of(text, [font or "sans-serif"]), size=size), ismath=False
        )
    return float(width), max(float(height), size)


def fitted(text: object, *, width: float, size: float, font: str | None = None) -> str:
    """Return text as one line of at most ``width`` inches in bold letters of ``size`` points."""
    line = drawable(" ".join(str(text).split()))
    if _BOLD * text_size(line, size, font)[0] <= 72 * width:
        return line
    longest = bisect.bisect(
        range(len(line)),
        72 * width,
        key=lambda n: _BOLD * text_size(f"{line[:n]}…", size, font)[0],
    )
    return f"{line[: max(longest - 1, 1)].rstrip()}…"
