"""Graphs in GML, as networkx, igraph, Gephi and yEd write it.

The parser is our own: that of networkx recurses with the nesting of the file, and igraph's is compiled code. This
one takes token after token, in time linear in the file.
"""

import html.entities
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.foreign import with_groups
from graphtask.storage.limits import check_bytes, check_size
from graphtask.storage.values import one_line
from graphtask.validation import counted

MAX_BYTES = 64 << 20  # a few bytes can become a value
_MAX_ITEMS = 10_000_000
_MAX_DEPTH = 64

# All quantifiers are possessive, so that matching takes linear time.
_TOKEN = re.compile(
    r"""[ \t\r\n]* (?:
      (?P<comment> \#[^\n]* )
    | (?P<number> [+-]? (?: (?:\d++(?:\.\d*+)?+|\.\d++) (?:[eE][+-]?\d++)?+ | (?i:inf(?:inity)?+|nan) ) (?![\w.]) )
    | (?P<key> [A-Za-z_][\w.-]* )
    | (?P<text> "[^"]*" )
    | (?P<open> \[ )
    | (?P<close> \] )
    | (?P<end> \Z )
    )""",
    re.VERBOSE | re.ASCII,
)
_ENTITY = re.compile(r"&(?:([A-Za-z][A-Za-z0-9]*)|#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6}));")
_LIST_MARK = "_networkx_list_start"  # stands first in a list of one item
_DRAWING = frozenset({"graphics", "LabelGraphics", "edgeAnchor"})

_Id = int | str
_Items = list[tuple[str, Any]]


class _Record(NamedTuple):
    """Items between two brackets, and the place of the first bracket."""

    items: _Items
    place: int


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a GML file.

    Nodes are named by ``name``, else by ``label`` if every node has one of its own, else by ``id``. All other values
    of the graph, its nodes and its edges are attributes, except for drawings (``graphics``); groups of yEd (``isGroup``)
    become the attribute ``group``. By the rules of the format, a
    graph is undirected unless it has ``directed 1``.

    Raises:
        FormatError: The text is not GML; the message names the line.

    Example:
        >>> parse(b"graph [ directed 1 node [ id 4 ] node [ id 2 ] edge [ source 4 target 2 ] ]").edges
        [(0, 1)]
    """
    check_bytes(len(content), limit=MAX_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text; store it as UTF-8") from None
    return _Reader(text).parts()


class _Reader:
    """One text and the graph in it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def parts(self) -> Parts:
        graphs = [value for key, value in self._document() if key == "graph"]
        if len(graphs) != 1 or not isinstance(graphs[0], _Record):
            raise FormatError(
                f"holds {counted(len(graphs), 'graph')}; a GML file has one, as in: graph [ … ]"
            )
        items = graphs[0].items
        nodes = [self._element(value, key) for key, value in items if key == "node"]
        edges = [self._element(value, key) for key, value in items if key == "edge"]
        check_size(len(nodes), len(edges), n_cells=0, n_bytes=len(self._text))
        others = _plain([(key, value) for key, value in items if key not in {"node", "edge"}])
        directed, is_multigraph = others.pop("directed", 0), others.pop("multigraph", 0)
        if not isinstance(directed, int) or directed not in {0, 1}:
            raise FormatError(f"'directed' must be 0 or 1, got {one_line(directed)}")
        ids, position = self._ids(nodes)
        ends = [tuple(self._end(edge, side, position) for side in ("source", "target")) for edge in edges]
        node_columns = self._columns(nodes, without={"id"})
        edge_columns = self._columns(edges, without={"source", "target", *(["key"] if is_multigraph else [])})
        groups = _groups(node_columns, position)
        labels = node_columns.get("label", ids)
        parts = Parts(
            n_nodes=len(nodes),
            edges=[(source, target) for source, target in ends],
            graph_values=others,
            vertex_columns=_named(node_columns, ids),
            edge_columns=edge_columns,
            directed=directed == 1,
        )
        return with_groups(parts, groups, [str(label) for label in labels])

    def _document(self) -> _Items:
        """Return the items of the whole file; the only loop over tokens."""
        items: _Items = []
        stack = [_Record(items, 0)]
        key: str | None = None
        n_items = 0
        for kind, token, place in self._tokens():
            if key is None:
                if kind == "key":
                    key = token
                elif kind == "close" and len(stack) > 1:
                    stack.pop()
                elif kind == "end" and len(stack) == 1:
                    break
                else:
                    self._refuse(
                        place,
                        "the file ends too early" if kind == "end" else f"{one_line(token)} is not a key",
                    )
                continue
            n_items += 1
            if n_items > _MAX_ITEMS:
                raise FormatError(f"has more than {_MAX_ITEMS:,} values; graphs of that size are not read")
            if kind == "open":
                record = _Record([], place)
                stack[-1].items.append((key, record))
                stack.append(record)
                if len(stack) > _MAX_DEPTH:
                    self._refuse(place, f"brackets are nested more than {_MAX_DEPTH} deep")
            elif kind in {"number", "text"}:
                stack[-1].items.append((key, self._value(kind, token, place)))
            else:
                self._refuse(place, f"the key {one_line(key)} has no value")
            key = None
        return items

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        place = 0
        while True:
            match = _TOKEN.match(self._text, place)
            if match is None:
                start = len(self._text) - len(self._text[place:].lstrip())
                self._refuse(start, f"{one_line(self._text[start : start + 40])} is no GML")
            place = match.end()
            kind = match.lastgroup or ""
            if kind != "comment":
                yield kind, match[kind], match.start(kind)
            if kind == "end":
                return

    def _value(self, kind: str, token: str, place: int) -> Any:
        if kind == "text":
            return _ENTITY.sub(_character, token[1:-1]) if "&" in token else token[1:-1]
        try:
            return int(token) if token.lstrip("+-").isdigit() else float(token)
        except ValueError:
            self._refuse(place, "a number has too many digits")

    def _element(self, value: Any, kind: str) -> dict[str, Any]:
        if not isinstance(value, _Record):
            raise FormatError(f"a {kind} must be {kind} [ … ], got {one_line(value)}")
        values = _plain([(key, item) for key, item in value.items if key not in _DRAWING])
        for key in ("id",) if kind == "node" else ("source", "target"):
            if not isinstance(values.get(key), int | str):
                self._refuse(value.place, f"{'an' if kind == 'edge' else 'a'} {kind} has no {key!r}")
        return values

    def _ids(self, nodes: list[dict[str, Any]]) -> tuple[list[_Id], dict[_Id, int]]:
        ids = [node["id"] for node in nodes]
        position = {identity: index for index, identity in enumerate(ids)}
        if len(position) < len(ids):
            twice = next(identity for index, identity in enumerate(ids) if position[identity] != index)
            raise FormatError(f"two nodes have the id {one_line(twice)}")
        return ids, position

    def _end(self, edge: dict[str, Any], side: str, position: dict[_Id, int]) -> int:
        index = position.get(edge[side])
        if index is None:
            raise FormatError(f"an edge names the node {one_line(edge[side])}, which does not exist")
        return index

    def _columns(self, records: list[dict[str, Any]], *, without: set[str]) -> dict[str, list[Any]]:
        names = list(dict.fromkeys(name for record in records for name in record if name not in without))
        check_size(0, 0, n_cells=len(names) * len(records), n_bytes=len(self._text))
        return {name: [record.get(name) for record in records] for name in names}

    def _refuse(self, place: int, message: str) -> NoReturn:
        line = self._text.count("\n", 0, place) + 1
        raise FormatError(f"line {line}: {message}")


def _named(columns: dict[str, list[Any]], ids: list[_Id]) -> dict[str, list[Any]]:
    if _identify(columns.get(NAME)) or not _identify(columns.get("label")):
        return with_names(columns, ids)
    others = {name: values for name, values in columns.items() if name != "label"}
    return with_names(others, columns["label"])


def _groups(columns: dict[str, list[Any]], position: dict[_Id, int]) -> dict[int, int]:
    """Return the node of the group around each node, as yEd writes it; removes its columns ``gid`` and ``isGroup``."""
    if "isGroup" not in columns:
        return {}
    del columns["isGroup"]
    return {
        node: position[around] for node, around in enumerate(columns.pop("gid", ())) if around in position
    }


def _identify(values: list[Any] | None) -> bool:
    if not values or None in values:
        return False
    return len(set(map(str, values))) == len(values)


def _plain(items: _Items) -> dict[str, Any]:
    """Return the items as a dict; a repeated key has a list of values."""
    lists: dict[str, list[Any]] = {}
    for key, value in items:
        lists.setdefault(key, []).append(_plain(value.items) if isinstance(value, _Record) else value)
    return {key: _single(values) for key, values in lists.items()}


def _single(values: list[Any]) -> Any:
    if values[0] == _LIST_MARK:
        return values[1:]
    return values if len(values) > 1 else values[0]


def _character(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name is not None:
        code = html.entities.name2codepoint.get(name)
    else:
        code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    if code is None or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return match.group()
    return chr(code)
