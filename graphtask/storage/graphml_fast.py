"""Fast path for GraphML exactly as `write` writes it: regular expressions, line by line.

Whatever is not exactly so (another order, a space, an entity) is none of this module's business: it gives None, and
the parser decides. So nothing is read here in another way than the parser would read it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.graphml_keys import FORMAT_VERSION, GRAPHML, GRAPHTASK
from graphtask.storage.limits import check_size
from graphtask.storage.values import from_json

_MAX_BYTES = 8 << 20  # the text is taken apart as a whole
_MAX_KEYS = 32

_HEAD = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<graphml xmlns="{GRAPHML}" xmlns:gt="{GRAPHTASK}" gt:version="{FORMAT_VERSION}">\n'
)
_GRAPH = '  <graph id="G" edgedefault="directed">\n'
_TAIL = "  </graph>\n</graphml>\n"

# Neither control characters nor those that XML forbids, and no entities but of the three characters that need one.
_NOT = "<>&\x00-\x1f\x7f-\x9f\ufffe\uffff"
_TEXT = f"(?:[^{_NOT}]++|&(?:lt|gt|amp);)++"
_KEY = re.compile(
    f'  <key id="([a-z][0-9]{{1,3}})" for="(graph|node|edge)" attr\\.name="([^"{_NOT}]++)" '
    f'attr\\.type="[a-z]++" gt:type="(boolean|int|float|string|json)"/>\n'
)


class _Key(NamedTuple):
    identity: str
    scope: str
    name: str
    kind: str


def _text(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if "&" in text else text


# Pattern of the texts of each type (never empty: an empty match is an absent value), and the function that makes
# values of them. Where that raises ValueError, the parser has the word.
_PATTERNS = {
    "boolean": "true|false",
    "int": "-?[0-9]++",
    "float": "-?[0-9][0-9.e+-]*+|NaN|-?INF",
    "string": _TEXT,
    "json": _TEXT,
}
_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: text == "true",
    "int": int,
    "float": float,
    "string": _text,
    "json": lambda text: from_json(_text(text)),
}


def parse(content: bytes) -> Parts | None:
    """The parts of the graph in a file that is exactly as `write` writes it; None for any other.

    Args:
        content: The bytes of the file.
    """
    if len(content) > _MAX_BYTES or not content.startswith(_HEAD.encode()):
        return None
    try:
        return _parts(content.decode(), n_bytes=len(content))
    except (ValueError, KeyError, FormatError):
        return None


def _parts(text: str, *, n_bytes: int) -> Parts | None:
    keys, place = _keys(text)
    end = len(text) - len(_TAIL)
    if not text.startswith(_GRAPH, place) or not text.endswith(_TAIL) or place + len(_GRAPH) > end:
        return None
    graph_values, first_node = _graph_values(text, place + len(_GRAPH), keys["graph"])
    first_edge = text.find("    <edge ", first_node, end)
    first_edge = end if first_edge < 0 else first_edge
    nodes = _lines(text, first_node, first_edge, '    <node id="n([0-9]++)">', keys["node"], "</node>")
    edges = _lines(
        text, first_edge, end, '    <edge source="n([0-9]++)" target="n([0-9]++)">', keys["edge"], "</edge>"
    )
    if nodes is None or edges is None:
        return None
    ids = [row[0] for row in nodes]
    position = {str(index): index for index in range(len(ids))}
    if list(position) != ids:
        return None
    n_cells = sum(
        len(keys[scope]) * count
        for scope, count in (("graph", 1), ("node", len(nodes)), ("edge", len(edges)))
    )
    check_size(len(nodes), len(edges), n_cells=n_cells, n_bytes=n_bytes)
    return Parts(
        n_nodes=len(nodes),
        edges=[(position[row[0]], position[row[1]]) for row in edges],
        graph_values=graph_values,
        vertex_columns=with_names(_columns(nodes, keys["node"], 1), [f"n{identity}" for identity in ids]),
        edge_columns=_columns(edges, keys["edge"], 2),
        is_ours=True,
    )


def _keys(text: str) -> tuple[dict[str, list[_Key]], int]:
    """Return the declared attributes of the graph, its nodes and its edges, and the end of their text."""
    keys: dict[str, list[_Key]] = {"graph": [], "node": [], "edge": []}
    place = len(_HEAD)
    while match := _KEY.match(text, place):
        key = _Key(*match.groups())
        keys[key.scope].append(key)
        place = match.end()
    found = [key for group in keys.values() for key in group]
    n_different = min(len({key.identity for key in found}), len({(key.scope, key.name) for key in found}))
    if len(found) > _MAX_KEYS or n_different < len(found):
        raise ValueError("the parser has the word")
    return keys, place


def _graph_values(text: str, place: int, keys: Sequence[_Key]) -> tuple[dict[str, Any], int]:
    """Return the attributes of the graph, and the end of their text."""
    values: dict[str, Any] = {}
    for key in keys:
        pattern = re.compile(f'    <data key="{key.identity}">({_PATTERNS[key.kind]})</data>\n')
        match = pattern.match(text, place)
        values[key.name] = _CONVERTERS[key.kind](match[1]) if match else None
        place = match.end() if match else place
    return values, place


def _lines(
    text: str, start: int, end: int, opening: str, keys: Sequence[_Key], closing: str
) -> list[tuple[str, ...]] | None:
    """Return the ids and the texts in every line, if all lines have this form."""
    data = "".join(f'(?:<data key="{key.identity}">({_PATTERNS[key.kind]})</data>)?+' for key in keys)
    # The empty group at the end makes a tuple of every match.
    found: list[tuple[str, ...]] = re.compile(f"^{opening}{data}{closing}()\n", re.MULTILINE).findall(
        text, start, end
    )
    return found if len(found) == text.count("\n", start, end) else None


def _columns(rows: Sequence[tuple[str, ...]], keys: Sequence[_Key], first: int) -> dict[str, list[Any]]:
    columns = {}
    for index, key in enumerate(keys, start=first):
        convert = _CONVERTERS[key.kind]
        columns[key.name] = [convert(row[index]) if row[index] else None for row in rows]
    return columns
