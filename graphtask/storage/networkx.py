"""Architecture graphs as networkx graphs and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import igraph
import networkx as nx

from graphtask.errors import GraphError
from graphtask.graph import NAME, check_graph
from graphtask.storage.assembly import Parts, assemble, with_names
from graphtask.validation import invalid


def to_networkx(graph: igraph.Graph) -> "nx.DiGraph[str]":
    """The graph as a ``networkx.DiGraph`` whose nodes are the vertex names.

    Every attribute is kept under its own name (``None`` where a vertex or an edge has no value), the graph's own in
    ``.graph``. Nodes and edges are added in the order of the graph; networkx then lists edges node by node.

    Args:
        graph: A valid architecture graph.

    Raises:
        GraphError: The graph breaks a rule.

    Example:
        >>> import graphtask as gt
        >>> result = gt.to_networkx(gt.full_dag(3, stages=3))
        >>> (
        ...     list(result.edges) == gt.graph.edge_names(gt.full_dag(3, stages=3)),
        ...     list(result.nodes(data="stage")),
        ... )
        (True, [('v0', 0), ('v1', 1), ('v2', 2)])
    """
    check_graph(graph)
    result: nx.DiGraph[str] = nx.DiGraph()
    result.graph.update({name: graph[name] for name in graph.attributes()})
    names = graph.vs[NAME]
    vertex_attributes = [name for name in graph.vs.attributes() if name != NAME]
    result.add_nodes_from(zip(names, _records(graph.vs, vertex_attributes), strict=True))
    ends = ((names[source], names[target]) for source, target in graph.get_edgelist())
    records = _records(graph.es, graph.es.attributes())
    result.add_edges_from((*pair, record) for pair, record in zip(ends, records, strict=True))
    return result


def from_networkx(
    graph: "nx.Graph[Any]", *, stages: int | Sequence[int] | None = None, join: bool = False
) -> igraph.Graph:
    """The architecture graph of a networkx graph, with all its attributes.

    Vertices are named by the node attribute ``name`` if there is one, else by the nodes themselves, as strings. The
    order of nodes and edges is kept (vertices that do not stand in topological order are sorted).

    Args:
        graph: A directed acyclic networkx graph.
        stages: For a graph without the node attribute ``stage``: their number, or their sizes.
        join: Whether several inputs (outputs) get one new vertex before (after) them; otherwise they are an error.

    Raises:
        GraphError: The graph is undirected, has parallel edges, or breaks another rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of nodes.

    Example:
        >>> import networkx as nx
        >>> from_networkx(nx.DiGraph([(1, 2), (2, 3), (1, 3)]), stages=3).vs["name"]
        ['1', '2', '3']
    """
    _check_directed(graph)
    nodes = list(graph.nodes)
    position = {node: index for index, node in enumerate(nodes)}
    edges = list(graph.edges(data=True))
    parts = Parts(
        n_nodes=len(nodes),
        edges=[(position[source], position[target]) for source, target, _ in edges],
        graph_values=dict(graph.graph),
        vertex_columns=with_names(_columns([graph.nodes[node] for node in nodes]), nodes),
        edge_columns=_columns([attributes for _, _, attributes in edges]),
    )
    return assemble(parts, stages=stages, join=join)


def as_igraph(graph: "igraph.Graph | nx.Graph[Any]", *, name: str = "graph") -> igraph.Graph:
    """Return an igraph graph as it is, and a networkx graph as an igraph graph with all its attributes.

    Unlike `from_networkx` it asks for no stages and checks no rule.

    Args:
        graph: Graph of either library.
        name: Name of the argument, for the error.

    Raises:
        ArgumentError: It is neither.

    Example:
        >>> import networkx as nx
        >>> as_igraph(nx.DiGraph([("a", "b")])).vs["name"]
        ['a', 'b']
    """
    if isinstance(graph, igraph.Graph):
        return graph
    if not isinstance(graph, nx.Graph):
        raise invalid(
            name,
            "an igraph or networkx graph",
            graph,
            remedy="convert it with graphtask.from_networkx or graphtask.from_geometric, or read a file",
        )
    nodes = list(graph.nodes)
    position = {node: index for index, node in enumerate(nodes)}
    edges = list(graph.edges(data=True))
    result = igraph.Graph(
        n=len(nodes),
        edges=[(position[source], position[target]) for source, target, _ in edges],
        directed=graph.is_directed(),
    )
    for key, value in graph.graph.items():
        result[str(key)] = value
    columns = with_names(_columns([graph.nodes[node] for node in nodes]), nodes)
    for key, values in columns.items():
        result.vs[str(key)] = values
    for key, values in _columns([attributes for _, _, attributes in edges]).items():
        result.es[str(key)] = values
    return result


def _check_directed(graph: object) -> None:
    if not isinstance(graph, nx.Graph):
        raise GraphError(f"a networkx.DiGraph is needed, not {type(graph).__name__}")
    if not graph.is_directed():
        raise GraphError(
            "the graph is undirected; give its edges a direction with "
            "graphtask.orient_edges(igraph.Graph.from_networkx(graph))"
        )


def _records(items: Any, attributes: list[str]) -> Iterable[dict[str, Any]]:
    """One dict of attributes for each vertex or edge."""
    if not attributes:
        return ({} for _ in range(len(items)))
    columns = [items[name] for name in attributes]
    return (dict(zip(attributes, values, strict=True)) for values in zip(*columns, strict=True))


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """One list for each attribute that any record has, in the order in which they come up."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}
