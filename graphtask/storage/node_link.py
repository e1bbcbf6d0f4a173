"""Graphs in JSON: node-link form (networkx, d3), the forms of `json_forms`, and cells.

All of them become a node-link object first, so that one function checks ids, ends and attributes.
"""

from collections.abc import Sequence
from typing import Any

from graphtask.errors import FormatError
from graphtask.graph import NAME
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.builder import text_of
from graphtask.storage.cells import parse_document as parse_cell
from graphtask.storage.foreign import MARKER, with_groups
from graphtask.storage.json_forms import COMPOUND, ENDS, Record, as_node_link, records
from graphtask.storage.limits import check_bytes, check_size
from graphtask.storage.values import from_json, one_line

MAX_BYTES = 64 << 20  # each byte can become a value

_EDGES = ("links", "edges")


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a JSON object.

    - Node-link form: ``nodes`` and ``links`` (or ``edges``). Every other key of a node or an edge is an attribute, and
      so is every entry of ``graph``. Nodes are named by ``name``, else by ``id``; nodes without ``id`` are named by
      their position, as in d3. Edges are directed unless the object has ``"directed": false``.
    - Other forms, which `graphtask.storage.json_forms` lists.
    - Cells of NAS-Bench-101, exports of NNI and NASLib, and genomes of NEAT; see `graphtask.storage.cells`.

    Raises:
        FormatError: The text is not JSON of one of these forms.

    Example:
        >>> parse(b'{"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"source": "a", "target": "b"}]}').edges
        [(0, 1)]
    """
    check_bytes(len(content), limit=MAX_BYTES)
    return document_parts(_document(content), n_bytes=len(content))


def document_parts(found: Any, *, n_bytes: int) -> Parts:
    """Return the parts of the graph in a JSON document of ``n_bytes`` bytes; see `parse`.

    Raises:
        FormatError: The document has none of the forms.
    """
    cell = parse_cell(found)
    if cell is not None:
        return cell
    document = as_node_link(found)
    nodes = records(document.get("nodes"), "nodes")
    key = _edges_key(document)
    edges = records(document[key], key)
    check_size(len(nodes), len(edges), n_cells=0, n_bytes=n_bytes)
    ids = [node.get("id", index) for index, node in enumerate(nodes)]
    position = _positions(ids)
    graph_values = _graph_values(document.get("graph", {}))
    is_ours = graph_values.pop(MARKER, None) is not None
    groups = _groups(nodes, position) if document.get(COMPOUND) is True and not is_ours else {}
    if _are_positions(edges, position):
        position = {index: index for index in range(len(nodes))}
    pairs = [(_end(edge, "source", position), _end(edge, "target", position)) for edge in edges]
    node_columns = _columns(nodes, without=("id",), n_bytes=n_bytes)
    edge_columns = _columns(edges, without=ENDS, n_bytes=n_bytes)
    if document.get("multigraph") is True:
        edge_columns.pop("key", None)
    parts = Parts(
        n_nodes=len(nodes),
        edges=pairs,
        graph_values=graph_values,
        vertex_columns=with_names(node_columns, [_label(identity) for identity in ids], is_ours=is_ours),
        edge_columns=edge_columns,
        directed=_is_directed(document),
        is_ours=is_ours,
    )
    return with_groups(
        parts, groups, [str(node.get("label", node.get(NAME, _label(node.get("id"))))) for node in nodes]
    )


# Node-link form -----------------------------------------------------------------------------------------------------


def _groups(nodes: list[Record], position: dict[Any, int]) -> dict[int, int]:
    """Return the node of the group around each node; removes the key ``parent``."""
    around = {index: _key(node.pop("parent")) for index, node in enumerate(nodes) if "parent" in node}
    return {index: position[identity] for index, identity in around.items() if identity in position}


def _are_positions(edges: list[Record], position: dict[Any, int]) -> bool:
    """Return True if ends are positions of nodes and not ids, as networkx 1 and d3 write them."""
    ends = [edge.get(side) for edge in edges for side in ENDS]
    if all(_key(end) in position for end in ends):
        return False
    return all(type(end) is int and 0 <= end < len(position) for end in ends)


def _document(content: bytes) -> Any:
    try:
        return from_json(text_of(content))
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"is not valid JSON ({error})") from None


def _edges_key(document: Record) -> str:
    present = [key for key in _EDGES if key in document]
    if len(present) != 1:
        count = "both links and edges" if present else "neither links nor edges"
        raise FormatError(f"has {count}; a graph in node-link form has one of them")
    return present[0]


def _is_directed(document: Record) -> bool:
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


def _end(edge: Record, side: str, position: dict[Any, int]) -> int:
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


def _columns(records: list[Record], *, without: Sequence[str], n_bytes: int) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for record in records for name in record if name not in without))
    check_size(0, 0, n_cells=len(names) * len(records), n_bytes=n_bytes)
    columns = {name: [record.get(name) for record in records] for name in names}
    return {
        name: values for name, values in columns.items() if name == NAME or any(v is not None for v in values)
    }


def _graph_values(value: Any) -> Record:
    if isinstance(value, list):  # as early releases of networkx wrote it
        value = dict(
            pair for pair in value if isinstance(pair, list) and len(pair) == 2 and _is_text(pair[0])
        )
    if not isinstance(value, dict):
        raise FormatError("'graph' must be an object with the attributes of the graph")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
