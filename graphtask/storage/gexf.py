"""Graphs in GEXF, as Gephi and networkx write them.

The parser is our own, over the events of expat: document types and entities are refused, and memory stays within a
small multiple of the size of the file. The reader of networkx builds the whole tree and resolves entities.
"""

import re
from typing import Any, NamedTuple, NoReturn
from xml.parsers import expat

from graphtask.errors import FormatError, GraphError
from graphtask.graph import PROVENANCE, WEIGHT
from graphtask.storage.assembly import LABEL, Parts
from graphtask.storage.builder import GraphBuilder, number_or_text
from graphtask.storage.foreign import with_groups
from graphtask.storage.values import one_line

CREATOR = "graphtask 1"
"""Creator in files of graphtask; provenance is in their description."""

_MAX_DEPTH = 64
_MAX_VALUE = 16 << 20
_ENCODINGS = re.compile(r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
_DIRECTIONS = {"directed": True, "mutual": False, "undirected": False}
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_KINDS = frozenset({"integer", "long", "float", "double", "short", "byte", "biginteger", "bigdecimal"})

_Attributes = dict[str, str]


class _Column(NamedTuple):
    """A declared attribute."""

    title: str
    kind: str


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a GEXF file.

    Nodes are named by their labels if these are unique, else by their ids. Nested nodes have the attribute ``group``
    with the label or id of the node around them, which is left out if it has no edge. Times, colors, positions and sizes
    are left out.

    Raises:
        FormatError: The file is not GEXF, or not safe to read; the message names the line.
        GraphError: Some edges are directed, and others are not.

    Example:
        >>> parse(
        ...     b'<gexf><graph defaultedgetype="directed"><nodes><node id="a"/><node id="b"/></nodes>'
        ...     b'<edges><edge source="a" target="b" weight="0.5"/></edges></graph></gexf>'
        ... ).edge_columns
        {'weight': [0.5]}
    """
    return _Reader(len(content)).parts(content)


class _Reader:
    """One file and the graph in it."""

    def __init__(self, n_bytes: int) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.XmlDeclHandler = self._check_declaration
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.EntityDeclHandler = self._refuse_doctype
        self._builder = GraphBuilder(n_bytes=n_bytes)
        self._path: list[str] = []
        self._prefix = ""  # of the elements of GEXF; those of drawings have another
        self._nodes: list[str] = []  # the nodes around the current place
        self._columns: dict[str, dict[str, _Column]] = {"node": {}, "edge": {}}
        self._groups: dict[str, str] = {}  # from a node to the node around it
        self._labels: dict[str, str] = {}
        self._scope = ""
        self._column = ""
        self._default: list[str] | None = None
        self._meta: dict[str, list[str]] = {"creator": [], "description": []}
        self._defaults: dict[str, dict[str, Any]] = {"node": {}, "edge": {}}
        self._edges: list[tuple[str, str, dict[str, Any]]] = []
        self._edge: dict[str, Any] | None = None
        self._directed = False
        self._kinds: set[bool] = set()
        self._n_graphs = 0

    def parts(self, content: bytes) -> Parts:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise FormatError(f"line {error.lineno}: is not whole, well-formed XML ({reason})") from None
        except (LookupError, UnicodeError) as error:
            raise FormatError(f"has an encoding that cannot be read ({error}); store it as UTF-8") from None
        if self._n_graphs != 1:
            raise FormatError("must hold one graph")
        for source, target, values in self._edges:
            self._builder.index_of(source)
            self._builder.index_of(target)
            self._builder.add_edge(source, target, {**self._defaults["edge"], **values})
        if len(self._kinds) > 1:
            raise GraphError(
                "the graph has both directed and undirected edges", remedy="give all of them one type"
            )
        is_ours = "".join(self._meta["creator"]) == CREATOR
        if is_ours and self._meta["description"]:
            self._builder.graph_values[PROVENANCE] = "".join(self._meta["description"])
        directed = self._kinds.pop() if self._kinds else self._directed
        parts = self._builder.parts(directed=directed, is_ours=is_ours)
        groups = {
            self._builder.index_of(node): self._builder.index_of(at) for node, at in self._groups.items()
        }
        names = [self._labels.get(identity) or identity for identity in self._builder.position]
        labels = [self._labels.get(identity) for identity in self._builder.position]
        return with_groups(_labeled(parts, labels), groups, names)

    def _start(self, name: str, attributes: _Attributes) -> None:
        prefix, _, local = name.rpartition(":")
        if not self._path:
            self._prefix = prefix
            if local != "gexf":
                self._refuse(f"is not GEXF: its root is <{local[:40]}>")
        self._path.append(local)
        if len(self._path) > _MAX_DEPTH:
            self._refuse(f"elements are nested more than {_MAX_DEPTH} deep")
        opener = (
            getattr(self, f"_open_{local}", None) if prefix == self._prefix and local in _OPENED else None
        )
        if opener is not None:
            opener(attributes)

    def _end(self, name: str) -> None:
        self._path.pop()
        prefix, _, local = name.rpartition(":")
        if prefix != self._prefix:
            return
        if local == "node" and self._nodes:
            self._nodes.pop()
        elif local == "edge":
            self._edge = None
        elif local == "default" and self._default is not None:
            column = self._columns[self._scope][self._column]
            self._defaults[self._scope][column.title] = self._value("".join(self._default), column)
            self._default = None

    def _characters(self, text: str) -> None:
        if self._default is not None:
            self._default.append(text)
        elif self._path[1:2] == ["meta"] and self._path[-1] in self._meta:
            self._meta[self._path[-1]].append(text)

    def _open_graph(self, attributes: _Attributes) -> None:
        self._n_graphs += 1
        if self._n_graphs > 1:
            self._refuse("holds two graphs; a file may hold one")
        self._directed = self._direction(attributes.get("defaultedgetype", "undirected"))

    def _open_attributes(self, attributes: _Attributes) -> None:
        self._scope = attributes.get("class", "")
        if self._scope not in self._columns:
            self._refuse(f"attributes must be of the class node or edge, got {one_line(self._scope)}")

    def _open_attribute(self, attributes: _Attributes) -> None:
        if self._scope not in self._columns:
            return
        identity = self._required(attributes, "id", "an attribute")
        self._column = identity
        self._columns[self._scope][identity] = _Column(
            attributes.get("title", identity), attributes.get("type", "string").lower()
        )

    def _open_default(self, _attributes: _Attributes) -> None:
        if self._scope in self._columns and self._column in self._columns[self._scope]:
            self._default = []

    def _open_node(self, attributes: _Attributes) -> None:
        identity = self._required(attributes, "id", "a node")
        if identity in self._builder.position:
            self._refuse(f"two nodes have the id {one_line(identity)}")
        values = dict(self._defaults["node"])
        if "label" in attributes:
            self._labels[identity] = attributes["label"]
        group = self._nodes[-1] if self._nodes else attributes.get("pid")
        if group is not None:
            self._groups[identity] = group
        self._builder.add_node(identity, values)
        self._nodes.append(identity)

    def _open_edge(self, attributes: _Attributes) -> None:
        ends = [self._required(attributes, side, "an edge") for side in ("source", "target")]
        self._edge = {key: attributes[key] for key in (LABEL, "kind") if key in attributes}
        if "weight" in attributes:
            self._edge[WEIGHT] = self._number(attributes["weight"])
        kind = attributes.get("type")
        self._kinds.add(self._directed if kind is None else self._direction(kind))
        if len(self._edges) > 8_000_000:
            self._refuse("the graph has more than 8,000,000 edges; graphs of that size are not read")
        self._edges.append((ends[0], ends[1], self._edge))

    def _open_attvalue(self, attributes: _Attributes) -> None:
        scope = "edge" if self._edge is not None else "node" if self._nodes else ""
        key = attributes.get("for", attributes.get("id", ""))
        if not scope:
            return self._open_graph_value(key, attributes)
        column = self._columns[scope].get(key)
        if column is None:
            self._refuse(f"a value is for the attribute {one_line(key)}, which is not declared")
        value = self._value(attributes.get("value", ""), column)
        if scope == "edge" and self._edge is not None:
            self._edge[column.title] = value
        else:
            self._builder.add_node(self._nodes[-1], {column.title: value})
        return None

    def _open_graph_value(self, key: str, attributes: _Attributes) -> None:
        if "graph" in self._path:
            self._builder.graph_values[key] = attributes.get("value", "")

    def _value(self, text: str, column: _Column) -> Any:
        if len(text) > _MAX_VALUE:
            self._refuse(f"a value of attribute {column.title!r} is longer than {_MAX_VALUE:,} characters")
        if column.kind == "boolean":
            if text.strip().lower() not in _BOOLEANS:
                self._refuse(f"{one_line(text)} is not a boolean, as attribute {column.title!r} must be")
            return _BOOLEANS[text.strip().lower()]
        return self._number(text) if column.kind in _KINDS else text

    def _number(self, text: str) -> Any:
        value = _FLOATS.get(text.strip().lower(), number_or_text(text.strip()))
        if isinstance(value, str):
            self._refuse(f"{one_line(text)} is not a number")
        return value

    def _direction(self, kind: str) -> bool:
        if kind.lower() not in _DIRECTIONS:
            self._refuse(f"the type of an edge must be directed or undirected, got {one_line(kind)}")
        return _DIRECTIONS[kind.lower()]

    def _required(self, attributes: _Attributes, key: str, owner: str) -> str:
        if key not in attributes:
            self._refuse(f"{owner} has no {key}")
        return attributes[key]

    def _check_declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and not _ENCODINGS.fullmatch(encoding):
            self._refuse(f"has the encoding {one_line(encoding)}, which is not read; store it as UTF-8")

    def _refuse_doctype(self, *_: object) -> NoReturn:
        self._refuse("has a document type or an entity (DOCTYPE, ENTITY), which are not read; remove it")

    def _refuse(self, message: str) -> NoReturn:
        raise FormatError(f"line {self._parser.CurrentLineNumber}: {message}")


_OPENED = frozenset({"graph", "attributes", "attribute", "default", "node", "edge", "attvalue"})


def _labeled(parts: Parts, labels: list[str | None]) -> Parts:
    """Return the parts named by their labels, if every node has a different one; else with the attribute ``label``."""
    columns = {name: values for name, values in parts.vertex_columns.items() if name != "name"}
    if None not in labels and len(set(labels)) == len(labels):
        return parts._replace(vertex_columns={**columns, "name": labels})
    if LABEL in columns or not any(labels):
        return parts
    return parts._replace(vertex_columns={LABEL: labels, **parts.vertex_columns})
