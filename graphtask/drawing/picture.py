"""Figures that notebooks show as pictures, and the files they are written to."""

import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.drawing.fonts import families_of, undrawable
from graphtask.drawing.tooltips import with_tooltips
from graphtask.storage.atomic import write_atomically
from graphtask.terminal import shown
from graphtask.validation import abbreviated, invalid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")

_POWER = r"(?:[-+−.\d]|\\times)+(?:\^\{[-+−.\d]+\})?"
_POWER_OF_TEN = re.compile(rf"\$(?:{_POWER}|\\mathdefault\{{{_POWER}\}})\$")  # on logarithmic axes
# Control characters and lone surrogates, which fonts and XML lack, and marks that reverse the text behind them.
_UNDRAWABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_MAX_SVG = 400_000  # bytes of a picture inside a notebook; larger ones are shown as PNG


def new_figure(*, figsize: tuple[float, float], **options: Any) -> "Figure":
    r"""Return an empty figure without pyplot, with a rich display in notebooks.

    A plain ``matplotlib.figure.Figure`` is shown as text unless pyplot made it (matplotlib issues 16782, 25846).

    Args:
        figsize: Width and height in inches.
        **options: Other arguments of ``matplotlib.figure.Figure``.

    Example:
        >>> new_figure(figsize=(2.0, 1.0))._repr_png_()[:4]
        b'\x89PNG'
    """
    return _class()(figsize=figsize, **options)


def save_figure(figure: "Figure", path: str | Path) -> Path:
    """Write a figure as SVG, PDF or PNG, by the suffix of ``path``; the same figure has the same bytes.

    Text in SVG files is real text, and nodes and edges of graphs have tooltips.

    Returns:
        The path.

    Raises:
        ArgumentError: The suffix is another one.
        GraphtaskError: The file cannot be written.

    Example:
        >>> import graphtask as gt
        >>> save_figure(gt.draw(gt.full_dag(4)), "full.bmp")
        Traceback (most recent call last):
        ...
        graphtask.errors.ArgumentError: path must be a .svg, .pdf or .png file, got 'full.bmp'
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise invalid("path", "a .svg, .pdf or .png file", str(target))
    content = rendered(figure, suffix[1:])
    with write_atomically(target) as file:
        file.write(content)
    return target


def drawable(text: str) -> str:
    r"""Return a text with characters that no font or file has escaped; figures do it for all but labels of ticks.

    Example:
        >>> drawable("a\udcff")
        'a\\udcff'
    """
    return _UNDRAWABLE.sub(lambda found: shown(found[0]), text)


def rendered(figure: "Figure", form: str, *, dpi: float = 200) -> bytes:
    """Return the bytes of a figure as ``"svg"``, ``"pdf"`` or ``"png"``."""
    from matplotlib import rc_context

    dateless: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    settings: dict[Any, Any] = {"svg.hashsalt": "graphtask", "svg.fonttype": "none", "pdf.fonttype": 42}
    drawn = io.BytesIO()
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the missing glyph is drawn as a box
        figure.savefig(drawn, format=form, dpi=dpi, facecolor="white", metadata=dateless[form])
    content = drawn.getvalue()
    if form != "svg":  # its viewer chooses the fonts
        _warn_of_boxes(figure)
    return with_tooltips(content, getattr(figure, "tooltips", {})) if form == "svg" else content


def _warn_of_boxes(figure: "Figure") -> None:
    from matplotlib.text import Text

    boxes = undrawable(
        (text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)), ["sans-serif"]
    )
    if boxes:
        warnings.warn(
            f"no installed font has {abbreviated(''.join(boxes))}: drawn as boxes; "
            "install a font that has them (such as Noto Sans CJK), or write an .svg file",
            stacklevel=3,
        )


def _with_plain_texts(figure: "Figure") -> None:
    """Let names be drawn as they are: they come from files, and may not be formulas of TeX or valid Unicode."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if "$" in text.get_text() and not _POWER_OF_TEN.fullmatch(text.get_text()):
            text.set_parse_math(False)
        if _UNDRAWABLE.search(text.get_text()):
            text.set_text(drawable(text.get_text()))
        text.set_fontfamily(families_of(text.get_text(), text.get_fontfamily()))


def _class() -> "type[Figure]":
    """Return the class of all figures; matplotlib is imported on the first call."""
    from matplotlib.figure import Figure

    global _Picture  # noqa: PLW0603 - defined once, when matplotlib is there
    if _Picture is None:

        class Picture(Figure):
            """Figure with a rich display: PNG for every notebook, SVG where it is small."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                self.tooltips: dict[str, list[str]] = {}

            def draw(self, renderer: Any) -> None:
                _with_plain_texts(self)
                super().draw(renderer)

            def _repr_png_(self) -> bytes:
                return rendered(self, "png", dpi=160)

            def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
                svg = rendered(self, "svg")
                if len(svg) <= _MAX_SVG:
                    return {"image/svg+xml": svg.decode(), "text/plain": repr(self)}
                return {"image/png": self._repr_png_(), "text/plain": repr(self)}

            def __repr__(self) -> str:
                width, height = self.get_size_inches()
                return f"<graphtask picture, {width:.1f} x {height:.1f} inches; gt.plot.save writes it to a file>"

        _Picture = Picture
    return _Picture


_Picture: "type[Figure] | None" = None
