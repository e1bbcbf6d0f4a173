"""Tooltips of SVG files: a ``<title>`` in every shape of a group, which browsers show on hover."""

import re
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_SHAPE = re.compile(rb"<(?:use|path)\b[^>]*?/>")
_DEFINITIONS = re.compile(rb"<defs>.*?</defs>", re.DOTALL)


def with_tooltips(svg: bytes, tooltips: Mapping[str, Sequence[str]]) -> bytes:
    """Return an SVG file of matplotlib with a title in every shape of the named groups.

    Args:
        svg: The file.
        tooltips: Texts of the shapes of each group (an artist with this ``gid``), in the order of the shapes. A group
            with another number of shapes is left as it is.

    Example:
        >>> with_tooltips(b'<g id="a"><path d="M 0 0"/></g>', {"a": ["x < y"]})
        b'<g id="a"><path d="M 0 0"><title>x &lt; y</title></path></g>'
    """
    for group, texts in tooltips.items():
        start = svg.find(b'<g id="' + group.encode() + b'">')
        if start >= 0:
            end = _end_of_group(svg, start)
            svg = svg[:start] + _titled(svg[start:end], texts) + svg[end:]
    return svg


def _end_of_group(svg: bytes, start: int) -> int:
    depth = 0
    for tag in re.finditer(rb"<g\b|</g>", svg[start:]):
        depth += 1 if tag.group() == b"<g" else -1
        if depth == 0:
            return start + tag.end()
    return len(svg)


def _titled(group: bytes, texts: Sequence[str]) -> bytes:
    hidden = [definition.span() for definition in _DEFINITIONS.finditer(group)]
    shapes = [
        shape
        for shape in _SHAPE.finditer(group)
        if not any(low <= shape.start() < high for low, high in hidden)
    ]
    if len(shapes) != len(texts):
        return group
    pieces, end = [], 0
    for shape, text in zip(shapes, texts, strict=True):
        name = b"use" if shape.group().startswith(b"<use") else b"path"
        title = escape(_printable(text)).encode("utf-8", "replace")
        pieces += [
            group[end : shape.start()],
            shape.group()[:-2],
            b"><title>",
            title,
            b"</title></",
            name,
            b">",
        ]
        end = shape.end()
    return b"".join([*pieces, group[end:]])


def _printable(text: str) -> str:
    """Return the text without characters that XML forbids."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
