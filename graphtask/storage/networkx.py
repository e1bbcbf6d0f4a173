"""Architecture graphs as networkx graphs and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import networkx as nx

from graphtask.graph import NAME, PROVENANCE
from graphtask.storage.assembly import Parts, unboxed, with_names
from graphtask.storage.foreign import MARKER, MARKER_VALUE
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.storage.values import provenance_text

_READER_KEYS = frozenset({"node_default", "edge_default"})  # left in .graph by networkx.read_graphml


def to_networkx(graph: GraphLike) -> "nx.DiGraph[str]":
    """Convert a graph to a ``networkx.DiGraph`` whose nodes are the vertex names.

    Every attribute keeps its name; a vertex or an edge without a value (None) has no such key. The attributes of the
    graph are in ``.graph``; provenance is JSON text there, so that the writers of networkx accept it. Nodes and edges
    are added in the order of the graph; networkx then lists edges node by node.

    Args:
        graph: A valid architecture graph.

    Raises:
        GraphError: The graph breaks a rule.

    Example:
        >>> import graphtask as gt
        >>> result = gt.to_networkx(gt.full_dag(3, stages=3))
        >>> list(result.edges), list(result.nodes(data="stage"))
        ([('v0', 'v1'), ('v0', 'v2'), ('v1', 'v2')], [('v0', 0), ('v1', 1), ('v2', 2)])
    """
    graph = valid_graph(graph)
    result: nx.DiGraph[str] = nx.DiGraph()
    values = {name: graph[name] for name in graph.attributes()}
    if PROVENANCE in values:
        values[PROVENANCE] = provenance_text(values[PROVENANCE])
    result.graph.update(values | {MARKER: MARKER_VALUE})
    names = graph.vs[NAME]
    vertex_attributes = [name for name in graph.vs.attributes() if name != NAME]
    result.add_nodes_from(zip(names, _records(graph.vs, vertex_attributes), strict=True))
    ends = ((names[source], names[target]) for source, target in graph.get_edgelist())
    records = _records(graph.es, graph.es.attributes())
    result.add_edges_from((*pair, record) for pair, record in zip(ends, records, strict=True))
    return result


def networkx_parts(graph: "nx.Graph[Any]") -> Parts:
    """Return the parts of a networkx graph, of any of its four classes.

    Vertices are named by the node attribute ``name`` if every node has a different one, else by the nodes
    themselves, as strings.
    """
    nodes = list(graph.nodes)
    position = {node: index for index, node in enumerate(nodes)}
    edges = list(graph.edges(data=True))
    values = {name: value for name, value in graph.graph.items() if name not in _READER_KEYS}
    is_ours = values.pop(MARKER, None) is not None
    return Parts(
        n_nodes=len(nodes),
        edges=[(position[source], position[target]) for source, target, _ in edges],
        graph_values=values,
        vertex_columns=with_names(_columns([graph.nodes[node] for node in nodes]), nodes),
        edge_columns=_columns([attributes for _, _, attributes in edges]),
        directed=graph.is_directed(),
        is_ours=is_ours,
    )


def _records(items: Any, attributes: list[str]) -> Iterable[dict[str, Any]]:
    """Yield one dict of attributes for each vertex or edge, without those that are None."""
    if not attributes:
        return ({} for _ in range(len(items)))
    columns = [items[name] for name in attributes]
    return (
        {name: value for name, value in zip(attributes, values, strict=True) if value is not None}
        for values in zip(*columns, strict=True)
    )


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return one list for each attribute that any record has, in the order of first use."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [unboxed(record.get(name)) for record in records] for name in names}
