"""Forms of graphs in JSON as objects in node-link form: nodes, and edges with ``source`` and ``target``.

==================================  ==================================================================================
form                                content
==================================  ==================================================================================
networkx, ``adjacency_data``        ``nodes`` and ``adjacency``
Cytoscape                           ``elements`` (or only their list), whose attributes are in ``data``
JSON Graph Format                   ``graph`` (or ``graphs`` with one) with ``nodes`` and ``edges``
graphology (sigma.js)               nodes with ``key``; attributes in ``attributes``
Graphviz (``dot -Tjson``)           ``objects`` and ``edges`` with ``tail`` and ``head``
vis.js                              edges with ``from`` and ``to``
lists                               ``nodes`` as a list of ids; ``edges``, or the whole document, as a list of pairs
neighbors by node                   ``{"a": ["b"], "b": []}``, ``{"a": {"b": {"weight": 0.5}}, "b": {}}``
==================================  ==================================================================================
"""

from collections.abc import Iterable
from typing import Any, Final

from graphtask.errors import FormatError
from graphtask.graph import NAME, WEIGHT

Record = dict[str, Any]

ENDS = ("source", "target")
COMPOUND: Final = "is_compound"
"""Key of a document whose nodes have a ``parent`` that is a node, too."""

_OTHER_ENDS = (("from", "to"), ("tail", "head"), ("src", "dst"))
_EDGES = ("links", "edges")
_MAX_PAIR = 3


def as_node_link(document: Any) -> Record:
    """Return a graph in any form as a node-link object; its content is checked by the caller.

    Raises:
        FormatError: The document is neither an object nor a list of edges, or a part of its form is missing.

    Example:
        >>> as_node_link({"a": ["b"], "b": []})["edges"]
        [{'source': 'a', 'target': 'b'}]
        >>> as_node_link([["a", "b", 0.5]])["nodes"]
        [{'id': 'a'}, {'id': 'b'}]
    """
    if isinstance(document, list) and document and isinstance(document[0], list | dict):
        document = {"elements": document} if _is_element(document[0]) else {"edges": document}
    if not isinstance(document, dict):
        raise FormatError("must be a JSON object with the keys nodes and links")
    return _with_usual_keys(_unfolded(document))


def records(value: Any, key: str) -> list[Record]:
    """Return a list of objects.

    Raises:
        FormatError: It is something else.
    """
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise FormatError(f"{key!r} must be a list of objects, as in a graph in node-link form")
    return value


def _unfolded(document: Record) -> Record:
    if isinstance(document.get("elements"), dict | list):
        return _from_cytoscape(document)
    if isinstance(document.get("adjacency"), list):
        return _from_adjacency(document)
    graphs = document.get("graphs")
    inner = graphs[0] if isinstance(graphs, list) and len(graphs) == 1 else document.get("graph")
    if "nodes" not in document and isinstance(inner, dict) and "nodes" in inner:
        return _from_graph_format(inner)
    objects = document.get("objects")
    if isinstance(objects, list) and objects and isinstance(objects[0], dict) and "_gvid" in objects[0]:
        return _from_graphviz(document)
    are_lists = all(isinstance(value, list | dict) for value in document.values())
    if document and are_lists and not document.keys() & {"nodes", *_EDGES}:
        return _from_neighbors(document)
    return document


# Keys ---------------------------------------------------------------------------------------------------------------


def _with_usual_keys(document: Record) -> Record:
    """Return a node-link object whose ends are ``source`` and ``target``, and whose lists hold objects."""
    key = next((key for key in _EDGES if isinstance(document.get(key), list)), None)
    if key is None:
        return document
    edges = [_usual_edge(edge) for edge in document[key]]
    nodes = document.get("nodes")
    if nodes is None:
        nodes = [{"id": name} for name in _ends(edges)]
    elif isinstance(nodes, dict) and nodes and all(isinstance(values, dict) for values in nodes.values()):
        nodes = [{**values, "id": name} for name, values in nodes.items()]
    elif isinstance(nodes, list):
        nodes = [_usual_node(node) for node in nodes]
    return {**document, "nodes": nodes, key: edges}


def _usual_edge(edge: Any) -> Any:
    if isinstance(edge, list) and 2 <= len(edge) <= _MAX_PAIR and all(map(_is_end, edge[:2])):
        values = edge[2] if len(edge) == _MAX_PAIR else {}
        return {
            **(values if isinstance(values, dict) else {WEIGHT: values}),
            **dict(zip(ENDS, edge, strict=False)),
        }
    if not isinstance(edge, dict):
        return edge
    if not edge.keys() & set(ENDS):
        for names in _OTHER_ENDS:
            if edge.keys() >= set(names):
                renamed = dict(zip(names, ENDS, strict=True))
                return {renamed.get(key, key): value for key, value in edge.items()}
    return _without_attributes(edge, "key")


def _usual_node(node: Any) -> Any:
    if isinstance(node, str | int | float):
        return {"id": node}
    return _without_attributes(node, "id") if isinstance(node, dict) else node


def _without_attributes(record: Record, identity: str) -> Record:
    """Return an element of graphology, whose attributes are in an object of their own, as a flat one."""
    values = record.get("attributes", {})
    is_bare = "key" in record and "id" not in record
    if not isinstance(values, dict) or not ("attributes" in record or is_bare):
        return record
    flat = {
        (identity if key == "key" else key): value for key, value in record.items() if key != "attributes"
    }
    return {**values, **flat}


def _ends(edges: Iterable[Any]) -> list[Any]:
    """Return the different ends of the edges, in the order of first use."""
    ends = (edge[side] for edge in edges if isinstance(edge, dict) for side in ENDS if side in edge)
    return list({repr(end): end for end in ends}.values())


# Forms --------------------------------------------------------------------------------------------------------------


def _from_cytoscape(document: Record) -> Record:
    elements = document["elements"]
    if isinstance(elements, list):
        elements = {
            "nodes": [item for item in elements if not _is_edge(item)],
            "edges": [item for item in elements if _is_edge(item)],
        }
    nodes, edges = (
        [_cytoscape_data(record, key) for record in records(elements.get(key, []), key)]
        for key in ("nodes", "edges")
    )
    for node in nodes:
        if node.get("value") == node.get("id"):
            node.pop("value", None)  # networkx repeats the id
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
        COMPOUND: True,
    }


def _is_element(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("data"), dict)


def _is_edge(item: Any) -> bool:
    return _is_element(item) and item["data"].keys() >= set(ENDS)


def _cytoscape_data(record: Record, key: str) -> Record:
    data = record.get("data")
    if not isinstance(data, dict):
        raise FormatError(f"an element of {key!r} must have an object data, as Cytoscape writes it")
    return dict(data)


def _from_adjacency(document: Record) -> Record:
    nodes = records(document.get("nodes"), "nodes")
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
        for target in records(row, "adjacency")
    ]
    directed = document.get("directed", True)
    if directed is False:  # both directions are listed
        kept: dict[Any, Record] = {}
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


def _from_graph_format(graph: Record) -> Record:
    nodes = graph["nodes"]
    if isinstance(nodes, dict):
        nodes = [{"id": key, **(value if isinstance(value, dict) else {})} for key, value in nodes.items()]
    return {
        "nodes": [_with_metadata(node) for node in records(nodes, "nodes")],
        "edges": [_with_metadata(edge) for edge in records(graph.get("edges", []), "edges")],
        "graph": graph.get("metadata", {}),
        "directed": graph.get("directed", True),
    }


def _with_metadata(record: Record) -> Record:
    metadata = record.get("metadata")
    if not isinstance(metadata, dict):
        return record
    return {**{key: value for key, value in record.items() if key != "metadata"}, **metadata}


def _from_graphviz(document: Record) -> Record:
    """Return the nodes and edges of Graphviz; subgraphs, which list their nodes, are left out."""
    return {
        "nodes": [
            {("id" if key == "_gvid" else key): value for key, value in node.items()}
            for node in records(document["objects"], "objects")
            if "nodes" not in node and "subgraphs" not in node
        ],
        "edges": [
            {key: value for key, value in edge.items() if key != "_gvid"}
            for edge in records(document.get("edges", []), "edges")
        ],
        "directed": document.get("directed", True),
    }


def _from_neighbors(document: Record) -> Record:
    """Return a node-link object made of the neighbors of each node, or the document if a neighbor is no key of it."""
    edges = []
    for source, neighbors in document.items():
        found = neighbors.items() if isinstance(neighbors, dict) else ((target, {}) for target in neighbors)
        for target, values in found:
            if not _is_end(target) or str(target) not in document:
                return document
            record = values if isinstance(values, dict) else {WEIGHT: values}
            edges.append({**record, "source": source, "target": str(target)})
    return {"nodes": [{"id": name} for name in document], "edges": edges}


def _is_end(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
