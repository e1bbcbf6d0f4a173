"""The HTML page of a report: sections, styles, scripts and data in one file that needs no network."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.drawing.cards import escaped
from graphtask.drawing.picture import rendered
from graphtask.reporting.palette import with_few_colors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_ASSETS = resources.files("graphtask.reporting") / "assets"

_NUMBER = re.compile(r"[-+\d.,%±() einfna]*|undefined|disconnected")  # cells that are aligned on the right
_MAX_SVG = 200_000  # bytes; larger figures are PNG images

EXPLORER = """\
<div class="controls">
<label>Graph <select id="graph"></select></label>
<label>Compare with <select id="second"><option value="-1">nothing</option></select></label>
<label><input type="checkbox" id="same-tau" checked> same τ for both</label>
<label><input type="checkbox" id="hide-weak"> hide weak edges</label>
<button type="button" id="zoom-in" aria-label="zoom in">+</button>
<button type="button" id="zoom-out" aria-label="zoom out">−</button>
<button type="button" id="fit">fit</button>
</div>
<div class="controls">
<label for="slider">Threshold τ</label><input type="range" id="slider" min="0" max="0" value="0" step="1">
<input id="typed" inputmode="decimal" aria-label="threshold τ as a number">
</div>
<div id="explorer">
<div>
<div id="canvas" tabindex="0" role="application" aria-label="graph; arrow keys pan, plus and minus zoom, 0 fits"></div>
<p class="caption"><span class="swatch" style="color:var(--faint)"></span>below τ
<span class="swatch" style="color:var(--dead);border-top-style:dashed"></span>on a dead path
<span class="swatch" style="color:var(--only-a)"></span>only in the first graph
<span class="swatch" style="color:var(--only-b);border-top-style:dashed"></span>only in the second</p>
</div>
<div>
<table><tbody>
<tr><td>τ</td><td id="tau"></td></tr>
<tr><td>state</td><td id="state"></td></tr>
<tr><td>nodes</td><td id="n-nodes"></td></tr>
<tr><td>edges</td><td id="n-edges"></td></tr>
<tr><td>sparsity</td><td id="sparsity"></td></tr>
<tr><td id="score-name"></td><td id="score"></td></tr>
<tr><td>critical τ</td><td id="critical"></td></tr>
</tbody></table>
<table><thead><tr><th></th><th>nodes</th><th>edges</th><th>sparsity</th></tr></thead><tbody id="stages"></tbody></table>
<table hidden><caption class="caption">Difference</caption><tbody id="difference"></tbody></table>
<dl id="details" aria-live="polite"><dt>hover or tap</dt><dd>a node or an edge</dd></dl>
</div>
</div>
"""
"""Controls, canvas and tables of the explorer."""

EXPLORER_SCRIPTS = ("cytoscape.min.js", "rules.js", "explorer.js")
"""Scripts that define ``graphtaskExplorer``; their order matters."""


class Section(NamedTuple):
    """A section of a report: its heading, and its body as HTML."""

    title: str
    body: str


def page(
    title: str,
    sections: Iterable[Section],
    *,
    graphs: Sequence[Mapping[str, Any]] = (),
    scripts: Sequence[str] = (),
    refresh: int | None = None,
) -> str:
    """Return the whole page.

    Args:
        title: Heading of the page.
        sections: Sections above the explorer; those without a title have no heading.
        graphs: Graphs of the explorer (`explorer_data`); without them there is none.
        scripts: Names of further scripts among the assets.
        refresh: Seconds after which a browser reloads the page; None for never.
    """
    explorer = [Section("Explorer", EXPLORER)] if graphs else []
    body = "\n".join(
        f"<section>{f'<h2>{escaped(section.title)}</h2>' if section.title else ''}\n{section.body}</section>"
        for section in [*sections, *explorer]
    )
    data = (
        f'<script type="application/json" id="graph-data">{script_json(list(graphs))}</script>\n'
        if graphs
        else ""
    )
    names = [*((*EXPLORER_SCRIPTS, "page.js") if graphs else ()), *scripts, "theme.js"]
    code = data + "".join(f"<script>{_inline(name)}</script>\n" for name in names)
    reload = "" if refresh is None else f'<meta http-equiv="refresh" content="{refresh}">\n'
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"{reload}<title>{escaped(title)}</title>\n<style>{asset('report.css')}</style>\n</head>\n<body>\n"
        f'<header><h1>{escaped(title)}</h1><button type="button" id="theme">light / dark</button></header>\n'
        f"{body}\n{code}</body>\n</html>\n"
    )


def player_html(frames: Sequence[str], epochs: Sequence[int], *, fps: float) -> str:
    """Return the player of an animation; ``frames`` are PNG images in base64."""
    data = script_json({"frames": list(frames), "epochs": list(epochs), "seconds": 1 / fps})
    return (
        '<figure><img id="frame" alt=""></figure>\n<div class="controls"><button type="button" id="play">play</button>\n'
        '<input type="range" id="epoch" min="0" value="0" step="1" aria-label="epoch"><span id="epoch-text"></span></div>\n'
        f'<script type="application/json" id="frames">{data}</script>\n'
    )


def script_json(value: object) -> str:
    """Return JSON that is safe inside a script element: no ``<``, no line separators, no lone surrogates."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def table_html(table: "pd.DataFrame", *, caption: str = "") -> str:
    """Return a table as HTML, with every cell escaped."""
    columns = [[_cell(value) for value in table[name]] for name in table.columns]
    kinds = ["" if all(map(_NUMBER.fullmatch, cells)) else ' class="text"' for cells in columns]
    head = "".join(f"<th{kind}>{escaped(name)}</th>" for name, kind in zip(table.columns, kinds, strict=True))
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{escaped(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in zip(*columns, strict=True)
    )
    note = f'<p class="caption">{escaped(caption)}</p>' if caption else ""
    return f'<div class="scroll">{note}<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>\n'


def figure_html(figure: "Figure", *, caption: str) -> str:
    """Return a figure as an inlined image with its caption: SVG if that is small, else PNG."""
    kind, content = "svg+xml", rendered(figure, "svg")
    if len(content) > _MAX_SVG:
        kind, content = "png", with_few_colors(rendered(figure, "png", dpi=160))
    data = base64.b64encode(content).decode()
    width = round(96 * float(figure.get_size_inches()[0]))
    return (
        f'<figure><img alt="{escaped(caption)}" width="{width}" src="data:image/{kind};base64,{data}">'
        f'<figcaption class="caption">{escaped(caption)}</figcaption></figure>\n'
    )


def note(text: str) -> str:
    """Return a paragraph of explanation."""
    return f'<p class="note">{escaped(text)}</p>\n'


def asset(name: str) -> str:
    """Return the text of an asset."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def _inline(name: str) -> str:
    return asset(name).replace("</script", "<\\/script")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"  # noqa: PLR0124 - NaN
    return "" if value is None else str(value)
