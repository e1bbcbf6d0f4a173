"""Graphs as JSON in node-link form, as networkx (``node_link_data``) and d3 write them."""

from collections.abc import Sequence
from typing import Any

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.limits import check_bytes, check_size
from graphtask.storage.values import from_json, one_line

MAX_BYTES = 64 << 20  # each byte can become a value

_Record = dict[str, Any]

_EDGES = ("links", "edges")
_ENDS = ("source", "target")


def parse(content: bytes) -> Parts:
    """The parts of the graph in a JSON object with ``nodes`` and ``links`` (or ``edges``).

    Every other key of a node or an edge is an attribute, and so is every entry of ``graph``. Nodes are named by
    ``name``, else by ``id``; nodes without ``id`` are named by their position, as in d3. Edges are directed unless
    the object says ``"directed": false``.

    Raises:
        FormatError: The text is no such JSON.

    Example:
        >>> parse(b'{"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"source": "a", "target": "b"}]}').edges
        [(0, 1)]
    """
    check_bytes(len(content), limit=MAX_BYTES)
    document = _document(content)
    nodes = _records(document.get("nodes"), "nodes")
    key = _edges_key(document)
    edges = _records(document[key], key)
    check_size(len(nodes), len(edges), n_cells=0, n_bytes=len(content))
    ids = [node.get("id", index) for index, node in enumerate(nodes)]
    position = _positions(ids)
    pairs = [(_end(edge, "source", position), _end(edge, "target", position)) for edge in edges]
    node_columns = _columns(nodes, without=("id",), n_bytes=len(content))
    edge_columns = _columns(edges, without=_ENDS, n_bytes=len(content))
    if document.get("multigraph") is True:
        edge_columns.pop("key", None)
    return Parts(
        n_nodes=len(nodes),
        edges=pairs,
        graph_values=_graph_values(document.get("graph", {})),
        vertex_columns=with_names(node_columns, [_label(identity) for identity in ids]),
        edge_columns=edge_columns,
        directed=_is_directed(document),
    )


def _document(content: bytes) -> _Record:
    try:
        document = from_json(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text") from None
    except ValueError as error:
        raise FormatError(f"is no JSON ({error})") from None
    if not isinstance(document, dict):
        raise FormatError("is no JSON object; a graph is one with the keys nodes and links")
    return document


def _edges_key(document: _Record) -> str:
    present = [key for key in _EDGES if key in document]
    if len(present) != 1:
        count = "both links and edges" if present else "neither links nor edges"
        raise FormatError(f"has {count}; a graph in node-link form has one of them")
    return present[0]


def _records(value: Any, key: str) -> list[_Record]:
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise FormatError(f"{key!r} is no list of objects, as in a graph in node-link form")
    return value


def _is_directed(document: _Record) -> bool:
    directed = document.get("directed", True)
    if not isinstance(directed, bool):
        raise FormatError(f"'directed' is {one_line(directed)}; use true or false")
    return directed


def _positions(ids: Sequence[Any]) -> dict[Any, int]:
    position: dict[Any, int] = {}
    for index, identity in enumerate(ids):
        if position.setdefault(_key(identity), index) != index:
            raise FormatError(f"two nodes have the id {one_line(identity)}")
    return position


def _end(edge: _Record, side: str, position: dict[Any, int]) -> int:
    if side not in edge:
        raise FormatError(f"an edge has no {side!r}")
    index = position.get(_key(edge[side]))
    if index is None:
        raise FormatError(f"an edge names the node {one_line(edge[side])}, which does not exist")
    return index


def _key(identity: Any) -> Any:
    """An id as a key of a dict: ``true`` is not 1, and a list stands for itself."""
    if isinstance(identity, list | dict | tuple):
        return repr(identity)
    return (bool, identity) if isinstance(identity, bool) else identity


def _label(identity: Any) -> Any:
    return str(identity) if isinstance(identity, list | dict | tuple | bool) else identity


def _columns(records: list[_Record], *, without: Sequence[str], n_bytes: int) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for record in records for name in record if name not in without))
    check_size(0, 0, n_cells=len(names) * len(records), n_bytes=n_bytes)
    columns = {name: [record.get(name) for record in records] for name in names}
    return {
        name: values for name, values in columns.items() if name == NAME or any(v is not None for v in values)
    }


def _graph_values(value: Any) -> _Record:
    if isinstance(value, list):  # as networkx wrote it once
        value = dict(
            pair for pair in value if isinstance(pair, list) and len(pair) == 2 and _is_text(pair[0])
        )
    if not isinstance(value, dict):
        raise FormatError("'graph' is no object with the attributes of the graph")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
