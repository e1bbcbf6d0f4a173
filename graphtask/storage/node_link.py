"""Graphs in JSON: node-link form (networkx, d3), adjacency lists of networkx, Cytoscape, JSON Graph Format, and cells.

All of them become a node-link object first, so that one function checks ids, ends and attributes.
"""

from collections.abc import Sequence
from typing import Any

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.builder import text_of
from graphtask.storage.cells import parse_document as parse_cell
from graphtask.storage.foreign import MARKER
from graphtask.storage.limits import check_bytes, check_size
from graphtask.storage.values import from_json, one_line

MAX_BYTES = 64 << 20  # each byte can become a value

_Record = dict[str, Any]

_EDGES = ("links", "edges")
_ENDS = ("source", "target")


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a JSON object.

    - Node-link form: ``nodes`` and ``links`` (or ``edges``). Every other key of a node or an edge is an attribute, and
      so is every entry of ``graph``. Nodes are named by ``name``, else by ``id``; nodes without ``id`` are named by
      their position, as in d3. Edges are directed unless the object has ``"directed": false``.
    - ``adjacency_data`` of networkx: ``nodes`` and ``adjacency``.
    - Cytoscape: ``elements`` with ``nodes`` and ``edges``, whose attributes are in ``data``.
    - JSON Graph Format: ``graph`` with ``nodes`` and ``edges``.
    - Cells of NAS-Bench-101, exports of NNI and NASLib, and genomes of NEAT; see `graphtask.storage.cells`.

    Raises:
        FormatError: The text is not JSON of one of these forms.

    Example:
        >>> parse(b'{"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"source": "a", "target": "b"}]}').edges
        [(0, 1)]
    """
    check_bytes(len(content), limit=MAX_BYTES)
    found = _document(content)
    cell = parse_cell(found)
    if cell is not None:
        return cell
    if not isinstance(found, dict):
        raise FormatError("must be a JSON object with the keys nodes and links")
    document = _as_node_link(found)
    nodes = _records(document.get("nodes"), "nodes")
    key = _edges_key(document)
    edges = _records(document[key], key)
    check_size(len(nodes), len(edges), n_cells=0, n_bytes=len(content))
    ids = [node.get("id", index) for index, node in enumerate(nodes)]
    position = _positions(ids)
    if _are_positions(edges, position):
        position = {index: index for index in range(len(nodes))}
    pairs = [(_end(edge, "source", position), _end(edge, "target", position)) for edge in edges]
    node_columns = _columns(nodes, without=("id",), n_bytes=len(content))
    edge_columns = _columns(edges, without=_ENDS, n_bytes=len(content))
    if document.get("multigraph") is True:
        edge_columns.pop("key", None)
    graph_values = _graph_values(document.get("graph", {}))
    is_ours = graph_values.pop(MARKER, None) is not None
    return Parts(
        n_nodes=len(nodes),
        edges=pairs,
        graph_values=graph_values,
        vertex_columns=with_names(node_columns, [_label(identity) for identity in ids], is_ours=is_ours),
        edge_columns=edge_columns,
        directed=_is_directed(document),
        is_ours=is_ours,
    )


# Other forms --------------------------------------------------------------------------------------------------------


def _as_node_link(document: _Record) -> _Record:
    """Return a graph in any form as a node-link object."""
    if isinstance(document.get("elements"), dict | list):
        return _from_cytoscape(document)
    if isinstance(document.get("adjacency"), list):
        return _from_adjacency(document)
    inner = document.get("graph")
    if "nodes" not in document and isinstance(inner, dict) and "nodes" in inner:
        return _from_graph_format(inner)
    return document


def _from_cytoscape(document: _Record) -> _Record:
    elements = document["elements"]
    if isinstance(elements, list):
        elements = {
            "nodes": [item for item in elements if not _is_edge(item)],
            "edges": [item for item in elements if _is_edge(item)],
        }
    nodes, edges = (
        [_cytoscape_data(record, key) for record in _records(elements.get(key, []), key)]
        for key in ("nodes", "edges")
    )
    for node in nodes:
        if node.get("value") == node.get("id"):
            node.pop("value", None)  # networkx repeats the id
        if "parent" in node:
            node["group"] = node.pop("parent")
    if all(node.get(NAME) == str(node.get("id")) for node in nodes):
        for node in nodes:
            del node[NAME]
    for edge in edges:
        edge.pop("id", None)
    return {
        "nodes": nodes,
        "edges": edges,
        "graph": document.get("data", {}),
        "directed": document.get("directed", True),
        "multigraph": document.get("multigraph", False),
    }


def _is_edge(item: Any) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return isinstance(data, dict) and "source" in data and "target" in data


def _cytoscape_data(record: _Record, key: str) -> _Record:
    data = record.get("data")
    if not isinstance(data, dict):
        raise FormatError(f"an element of {key!r} must have an object data, as Cytoscape writes it")
    return dict(data)


def _from_adjacency(document: _Record) -> _Record:
    nodes = _records(document.get("nodes"), "nodes")
    rows = document["adjacency"]
    if len(rows) != len(nodes):
        raise FormatError(f"'adjacency' must have a list for each of the {len(nodes)} nodes, got {len(rows)}")
    edges = [
        {
            **{key: value for key, value in target.items() if key != "id"},
            "source": node.get("id"),
            "target": target.get("id"),
        }
        for node, row in zip(nodes, rows, strict=True)
        for target in _records(row, "adjacency")
    ]
    directed = document.get("directed", True)
    if directed is False:  # both directions are listed
        kept: dict[Any, _Record] = {}
        for edge in edges:
            ends = sorted((repr(edge["source"]), repr(edge["target"])))
            kept.setdefault((*ends, repr(edge.get("key"))), edge)
        edges = list(kept.values())
    return {
        "nodes": nodes,
        "edges": edges,
        "graph": document.get("graph", {}),
        "directed": directed,
        "multigraph": document.get("multigraph", False),
    }


def _from_graph_format(graph: _Record) -> _Record:
    nodes = graph["nodes"]
    if isinstance(nodes, dict):
        nodes = [{"id": key, **(value if isinstance(value, dict) else {})} for key, value in nodes.items()]
    return {
        "nodes": [_with_metadata(node) for node in _records(nodes, "nodes")],
        "edges": [_with_metadata(edge) for edge in _records(graph.get("edges", []), "edges")],
        "graph": graph.get("metadata", {}),
        "directed": graph.get("directed", True),
    }


def _with_metadata(record: _Record) -> _Record:
    metadata = record.get("metadata")
    if not isinstance(metadata, dict):
        return record
    return {**{key: value for key, value in record.items() if key != "metadata"}, **metadata}


def _are_positions(edges: list[_Record], position: dict[Any, int]) -> bool:
    """Return True if ends are positions of nodes and not ids, as networkx 1 and d3 write them."""
    ends = [edge.get(side) for edge in edges for side in _ENDS]
    if all(_key(end) in position for end in ends):
        return False
    return all(type(end) is int and 0 <= end < len(position) for end in ends)


# Node-link form -----------------------------------------------------------------------------------------------------


def _document(content: bytes) -> Any:
    try:
        return from_json(text_of(content))
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"is not valid JSON ({error})") from None


def _edges_key(document: _Record) -> str:
    present = [key for key in _EDGES if key in document]
    if len(present) != 1:
        count = "both links and edges" if present else "neither links nor edges"
        raise FormatError(f"has {count}; a graph in node-link form has one of them")
    return present[0]


def _records(value: Any, key: str) -> list[_Record]:
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise FormatError(f"{key!r} must be a list of objects, as in a graph in node-link form")
    return value


def _is_directed(document: _Record) -> bool:
    directed = document.get("directed", True)
    if not isinstance(directed, bool):
        raise FormatError(f"'directed' must be true or false, got {one_line(directed)}")
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
    """Return an id as a key of a dict: ``true`` is not 1, and a list is its text."""
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
    if isinstance(value, list):  # as early releases of networkx wrote it
        value = dict(
            pair for pair in value if isinstance(pair, list) and len(pair) == 2 and _is_text(pair[0])
        )
    if not isinstance(value, dict):
        raise FormatError("'graph' must be an object with the attributes of the graph")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
