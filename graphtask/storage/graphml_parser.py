"""Parser of GraphML, over the events of expat.

Document types (and with them every entity) are refused, and every quantity that a file could inflate has a limit, so
that memory stays within a small multiple of the size of the file, and time is linear in it.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NoReturn
from xml.parsers import expat

from graphtask.errors import FormatError, GraphError
from graphtask.storage import graphml_fast, limits
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.foreign import MARKER, with_groups
from graphtask.storage.graphml_keys import DRAWING, FORMAT_VERSION, GRAPHTASK, Key, columns, declared_key
from graphtask.storage.values import one_line

MAX_VALUE = 16 << 20  # characters in one value
_MAX_TAG = 1 << 20  # bytes in one tag or comment: expat parses it again with every piece
_MAX_DEPTH = 64
_CHUNK = 1 << 16
_MAX_KEYS = 10_000

# Roles of open elements.
_DOCUMENT, _ROOT, _GRAPH, _NODE, _EDGE = "document", "graphml", "graph", "node", "edge"
_KEY, _DEFAULT, _DATA = "key", "default", "data"
_DRAWING, _LABEL, _SKIPPED = "drawing", "label", "skipped"

_ELEMENTS = frozenset({_NODE, _EDGE, _GRAPH})
_WITH_TEXT = frozenset({_DATA, _DEFAULT, _DRAWING, _LABEL, _SKIPPED})

_ENCODINGS = re.compile(r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
_SHOWN = 40  # characters of a name in a message
_DIRECTED = {"directed": "true", "undirected": "false"}
_TRUE = {"true", "1"}
_NO_NODE = "\0"  # no id in XML is this

_Attributes = dict[str, str]
_Opener = Callable[[_Attributes], str]


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a GraphML file.

    Nested graphs, as yEd writes groups, become one graph whose nodes have the attribute ``group``; a group itself is a
    node only if it has edges. Ports and drawings are left out.

    Raises:
        FormatError: The file is not whole, not GraphML, or not safe to read; the message names the line.
        GraphError: Some edges are directed, and others are not.

    Example:
        >>> parse(
        ...     b'<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/>'
        ...     b'<edge source="a" target="b"/></graph></graphml>'
        ... ).edges
        [(0, 1)]
    """
    ours = graphml_fast.parse(content)
    if ours is not None:
        return ours
    parser = GraphmlParser()
    for start in range(0, len(content), _CHUNK):
        parser.feed(content[start : start + _CHUNK])
    return parser.finish()


class GraphmlParser:
    """Incremental parser of one file.

    Attributes:
        is_ours: Whether the file declares that graphtask wrote it.

    Example:
        >>> parser = GraphmlParser()
        >>> parser.feed(b'<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/>')
        >>> parser.feed(b'<edge source="a" target="b"/></graph></graphml>')
        >>> parser.finish().edges
        [(0, 1)]
    """

    def __init__(self) -> None:
        self.is_ours = False
        self._text: list[str] = []
        self._parser = self._expat()
        self._n_bytes = 0

        self._roles = [_DOCUMENT]
        self._prefix = ""  # the name space of the root, as it stands before the names of elements
        self._openers: dict[str, dict[str, _Opener]] = defaultdict(dict)
        self._owner, self._index = "", 0  # the kind of element that data belong to now, and its number
        self._directed = ""
        self._n_undirected = 0
        self._n_graphs = 0
        self._n_padded = 0

        self._keys: dict[str, Key] = {}
        self._key = Key("", "", str, {})
        self._values: list[Any] = []
        self._slot = 0
        self._around: list[int] = []  # the nodes around the current place, in files of other programs
        self._groups: dict[int, int] = {}  # from a node to the node whose graph it is in
        self._label = ""
        self._labels: dict[str, dict[int, str]] = {_NODE: {}, _EDGE: {}}

        self._ids: dict[str, int] = {}
        self._sources: list[int] = []
        self._targets: list[int] = []
        self._waiting: list[tuple[list[int], int, str, int]] = []  # ends that stand before their nodes

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of the file.

        Raises:
            FormatError: It is not XML, not GraphML, or not safe; the message names the line.
        """
        self._n_bytes += len(chunk)
        self._parse(chunk, is_final=False)
        if self._n_bytes - max(self._parser.CurrentByteIndex, 0) > _MAX_TAG:
            self._refuse(f"a tag or a comment is longer than {_MAX_TAG:,} bytes")

    def finish(self) -> Parts:
        """Return the parts of the graph, after the whole file has been fed.

        Raises:
            FormatError: The file ends too early, or names a node that it does not have.
            GraphError: Some edges are directed, and others are not.
        """
        self._parse(b"", is_final=True)
        if self._n_graphs == 0:
            raise FormatError("has no graph; a GraphML file has a <graph> inside <graphml>")
        self._resolve_waiting()
        self._check_cells()
        graph, nodes, edges = (
            columns(self._keys.values(), scope, count, keep_empty=self.is_ours)
            for scope, count in ((_GRAPH, 1), (_NODE, len(self._ids)), (_EDGE, len(self._sources)))
        )
        node_columns = self._with_labels(_NODE, nodes, len(self._ids))
        graph_values = {name: values[0] for name, values in graph.items()}
        parts = Parts(
            n_nodes=len(self._ids),
            edges=list(zip(self._sources, self._targets, strict=True)),
            graph_values=graph_values,
            vertex_columns=with_names(node_columns, list(self._ids), is_ours=self.is_ours),
            edge_columns=self._with_labels(_EDGE, edges, len(self._sources)),
            directed=self._are_directed(),
            is_ours=self.is_ours or graph_values.pop(MARKER, None) is not None,
        )
        labels = self._labels[_NODE]
        names = [labels.get(index, identity) for index, identity in enumerate(self._ids)]
        return with_groups(parts, self._groups, names)

    # Handlers of expat ------------------------------------------------------------------------------------------

    def _expat(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.XmlDeclHandler = self._check_declaration
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        return parser

    def _parse(self, chunk: bytes, *, is_final: bool) -> None:
        try:
            self._parser.Parse(chunk, is_final)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise FormatError(f"line {error.lineno}: is not whole, well-formed XML ({reason})") from None
        except FormatError:
            raise
        except (LookupError, ValueError) as error:
            raise FormatError(f"has an encoding that cannot be read ({error}); store it as UTF-8") from None

    def _start(self, name: str, attributes: _Attributes) -> None:
        parent = self._roles[-1]
        if self._text:
            self._leave_text(parent)
        opener = self._openers[parent].get(name)
        self._roles.append(opener(attributes) if opener else self._role_of_other(parent, name, attributes))

    def _end(self, _name: str) -> None:
        role = self._roles.pop()
        if role == _DATA:
            self._take_value()
        elif role == _DEFAULT:
            self._key.default = self._taken_value()
        elif self._text:
            self._leave_text(role)
        if role in _ELEMENTS and not self.is_ours:
            self._leave_element(role)

    def _leave_element(self, role: str) -> None:
        if role == _NODE:
            self._around.pop()
        if self._around:
            self._owner, self._index = _NODE, self._around[-1]

    def _check_declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        # Python would try any codec of that name, even those that are no encodings of text.
        if encoding is not None and not _ENCODINGS.fullmatch(encoding):
            self._refuse(f"has the encoding {one_line(encoding)}, which is not read; store it as UTF-8")

    def _refuse_doctype(self, *_: object) -> NoReturn:
        self._refuse("has a document type or an entity (DOCTYPE, ENTITY), which are not read; remove it")

    def _refuse(self, message: str) -> NoReturn:
        raise FormatError(f"line {self._parser.CurrentLineNumber}: {message}")

    # Elements: each opener returns the role of its element ------------------------------------------------------------

    def _role_of_other(self, parent: str, name: str, attributes: _Attributes) -> str:
        """Return the role of an element without an opener in its place."""
        if len(self._roles) > _MAX_DEPTH:
            self._refuse(f"elements are nested more than {_MAX_DEPTH} deep")
        local = name.rpartition(" ")[2]
        if parent == _DOCUMENT:
            return self._open_root(name, local, attributes)
        if parent in {_SKIPPED, _LABEL}:
            return _SKIPPED
        if parent == _DRAWING:
            return _LABEL if local in {"NodeLabel", "EdgeLabel"} and not self._label else _DRAWING
        if parent in {_DATA, _DEFAULT}:
            self._refuse(f"<{local}> is in the value of attribute {self._key.name!r}, which must be text")
        if name != self._prefix + local:
            return _SKIPPED
        if local == _GRAPH and parent == _NODE and not self.is_ours:
            return _GRAPH  # a group of yEd: its nodes are nodes of the one graph
        if local == _GRAPH and parent in {_NODE, _EDGE}:
            self._refuse("a graph is nested in another; put all nodes into one graph")
        return self._refuse(f"<{local[:_SHOWN]}> is not read inside of <{parent}>; remove it")

    def _open_root(self, name: str, local: str, attributes: _Attributes) -> str:
        if local != "graphml":
            self._refuse(f"is not GraphML: its root is <{local[:_SHOWN]}>")
        version = attributes.get(f"{GRAPHTASK} version")
        if version not in {None, FORMAT_VERSION}:
            self._refuse(
                f"has version {one_line(version)} of the format, not {FORMAT_VERSION}; update graphtask"
            )
        self.is_ours = version is not None
        self._prefix = name.removesuffix("graphml")
        for role, openers in self._openers_by_role().items():
            self._openers[role] = {self._prefix + child: opener for child, opener in openers.items()}
        return _ROOT

    def _openers_by_role(self) -> dict[str, dict[str, _Opener]]:
        # Descriptions and ports carry no data of the graph; we write none, so that in our files they are damage.
        desc: dict[str, _Opener] = {} if self.is_ours else {"desc": self._skip}
        port: dict[str, _Opener] = {} if self.is_ours else {"port": self._skip}
        return {
            _ROOT: {"key": self._open_key, "graph": self._open_graph, "data": self._skip_data, **desc},
            _KEY: {"default": self._open_default, **desc},
            _GRAPH: {"node": self._open_node, "edge": self._open_edge, "data": self._open_graph_data, **desc},
            _NODE: {"data": self._open_data, **port, **desc},
            _EDGE: {"data": self._open_data, **desc},
        }

    def _skip(self, _: _Attributes) -> str:
        return _SKIPPED

    def _skip_data(self, attributes: _Attributes) -> str:
        key = self._declared(attributes)
        if key.values and key.kind != DRAWING and set(key.values) != {_GRAPH, _NODE, _EDGE}:
            self._refuse(f"data of attribute {key.name!r} are outside of the graph; move them into it")
        return _SKIPPED

    def _open_key(self, attributes: _Attributes) -> str:
        identity = attributes.get("id")
        if identity is None or identity in self._keys:
            self._refuse("a key has no id, or the id of another; every key needs an id of its own")
        if self._n_graphs:
            self._refuse("a key is after the graph; keys must come first")
        if len(self._keys) == _MAX_KEYS:
            self._refuse(f"has more than {_MAX_KEYS:,} keys; files with so many attributes are not read")
        try:
            self._key = self._keys[identity] = declared_key(attributes, is_ours=self.is_ours)
        except FormatError as error:
            self._refuse(str(error))
        return _KEY

    def _open_default(self, _: _Attributes) -> str:
        return _DEFAULT if self._key.values and self._key.kind != DRAWING else _SKIPPED

    def _open_graph(self, attributes: _Attributes) -> str:
        self._n_graphs += 1
        if self._n_graphs > 1:
            self._refuse("holds two graphs; a file may hold one")
        directed = _DIRECTED.get(attributes.get("edgedefault", ""))
        if directed is None:
            self._refuse('the graph must have edgedefault="directed" or "undirected"')
        self._directed = directed
        return _GRAPH

    def _open_node(self, attributes: _Attributes) -> str:
        index = len(self._ids)
        identity = attributes.get("id")
        if identity is None:
            self._refuse("a node has no id")
        if self._ids.setdefault(identity, index) != index:
            self._refuse(f"two nodes have the id {one_line(identity)}")
        if index == limits.MAX_NODES:
            self._refuse(
                f"the graph has more than {limits.MAX_NODES:,} nodes; graphs of that size are not read"
            )
        self._owner, self._index = _NODE, index
        if not self.is_ours:
            if self._around:
                self._groups[index] = self._around[-1]
            self._around.append(index)
        return _NODE

    def _open_edge(self, attributes: _Attributes) -> str:
        index = len(self._sources)
        if index == limits.MAX_EDGES:
            self._refuse(
                f"the graph has more than {limits.MAX_EDGES:,} edges; graphs of that size are not read"
            )
        if attributes.get("directed", self._directed) not in _TRUE:
            self._note_undirected(attributes)
        source = self._ids.get(attributes.get("source", _NO_NODE), -1)
        target = self._ids.get(attributes.get("target", _NO_NODE), -1)
        if source < 0 or target < 0:
            self._wait_for_nodes(attributes)
        self._sources.append(source)
        self._targets.append(target)
        self._owner, self._index = _EDGE, index
        return _EDGE

    def _wait_for_nodes(self, attributes: _Attributes) -> None:
        for ends, side in ((self._sources, "source"), (self._targets, "target")):
            identity = attributes.get(side)
            if identity is None:
                self._refuse(f"an edge has no {side}")
            self._waiting.append((ends, len(ends), identity, self._parser.CurrentLineNumber))

    def _note_undirected(self, attributes: _Attributes) -> None:
        directed = attributes.get("directed", self._directed)
        if directed not in {"false", "0"}:
            self._refuse(f"the direction of an edge must be true or false, got {one_line(directed)}")
        self._n_undirected += 1

    def _open_graph_data(self, attributes: _Attributes) -> str:
        if self._around:
            return _SKIPPED  # of a group, which is not the graph
        self._owner, self._index = _GRAPH, 0
        return self._open_data(attributes)

    def _open_data(self, attributes: _Attributes) -> str:
        key = self._keys.get(attributes.get("key", "")) or self._declared(attributes)
        values = key.values.get(self._owner)
        if values is None:
            if key.kind != DRAWING:
                self._refuse(
                    f"attribute {key.name!r} has a value here, but is not declared for {self._owner}s"
                )
            return _SKIPPED
        if key.kind == DRAWING:
            self._label = ""
            return _DRAWING
        if len(values) < self._index:
            self._pad(values)
        elif len(values) > self._index and values[self._index] is not None:
            self._refuse(f"a {self._owner} has two values of attribute {key.name!r}")
        self._key, self._values, self._slot = key, values, self._index
        return _DATA

    def _declared(self, attributes: _Attributes) -> Key:
        key = self._keys.get(attributes.get("key", ""))
        if key is None:
            self._refuse(f"data have the key {one_line(attributes.get('key'))}, which is not declared")
        return key

    def _pad(self, values: list[Any]) -> None:
        missing = self._index - len(values)
        self._n_padded += missing
        limits.check_size(0, 0, n_cells=self._n_padded, n_bytes=self._n_bytes)
        values.extend([None] * missing)

    # Text ------------------------------------------------------------------------------------------------------

    def _take_value(self) -> None:
        value = self._taken_value()
        if len(self._values) == self._slot:
            self._values.append(value)
        elif self._values[self._slot] is None:  # data of a group, after the data of its nodes
            self._values[self._slot] = value
        else:
            self._refuse(f"a {self._owner} has two values of attribute {self._key.name!r}")

    def _taken_value(self) -> Any:
        text = "".join(self._text)
        self._text.clear()
        if len(text) > MAX_VALUE:
            self._refuse(f"a value of attribute {self._key.name!r} is longer than {MAX_VALUE:,} characters")
        try:
            return self._key.convert(text)
        except ValueError as error:
            self._refuse(self._key.complaint(text, error))

    def _leave_text(self, role: str) -> None:
        """Keep text outside of values if it is a label, and refuse other text than white space."""
        text = "".join(self._text)
        self._text.clear()
        if role == _LABEL and self._owner in self._labels:
            self._label = self._label or text.strip()
            if self._label:
                self._labels[self._owner].setdefault(self._index, self._label)
        elif role not in _WITH_TEXT and not text.isspace():
            self._refuse(f"the text {one_line(text.strip())} is in a place without text")

    # The whole -------------------------------------------------------------------------------------------------

    def _resolve_waiting(self) -> None:
        for ends, index, identity, line in self._waiting:
            node = self._ids.get(identity)
            if node is None:
                raise FormatError(
                    f"line {line}: an edge names the node {one_line(identity)}, which does not exist"
                )
            ends[index] = node

    def _check_cells(self) -> None:
        counts = {_GRAPH: 1, _NODE: len(self._ids), _EDGE: len(self._sources)}
        used = [
            counts[scope]
            for key in self._keys.values()
            for scope, values in key.values.items()
            if values or key.has_default or self.is_ours
        ]
        limits.check_size(counts[_NODE], counts[_EDGE], n_cells=sum(used), n_bytes=self._n_bytes)

    def _are_directed(self) -> bool:
        if 0 < self._n_undirected < len(self._sources):
            raise GraphError(
                f"undirected edges ({self._n_undirected} of {len(self._sources)}) next to directed ones; "
                f"give all of them a direction, or none"
            )
        return self._n_undirected == 0 and (len(self._sources) > 0 or self._directed == "true")

    def _with_labels(self, scope: str, found: dict[str, list[Any]], n_elements: int) -> dict[str, list[Any]]:
        labels = self._labels[scope]
        if not labels or "label" in found:
            return found
        return {**found, "label": [labels.get(index) for index in range(n_elements)]}
