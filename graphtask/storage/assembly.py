"""The one way in which what was read, from a file or from another library, becomes an architecture graph."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import igraph

from graphtask.errors import GraphError
from graphtask.graph import NAME, STAGE, as_architecture


class Parts(NamedTuple):
    """A graph taken apart: what every source of graphs can give."""

    n_nodes: int
    edges: list[tuple[int, int]]
    graph_values: dict[str, Any]
    vertex_columns: dict[str, list[Any]]
    edge_columns: dict[str, list[Any]]
    directed: bool = True
    """Whether the edges have a direction."""
    is_ours: bool = False
    """Whether graphtask wrote it, so that its attributes mean what ours mean."""


def assemble(parts: Parts, *, stages: int | Sequence[int] | None, join: bool) -> igraph.Graph:
    """The architecture graph made of ``parts``; ``stages`` and ``join`` as `as_architecture` takes them.

    Stages that a source stores as floats are whole numbers again.

    Raises:
        GraphError: The graph breaks a rule, or the name of an attribute is not a string.
        ArgumentError: ``stages`` does not fit.
    """
    return as_architecture(as_igraph(parts), stages=stages, join=join)


def as_igraph(parts: Parts) -> igraph.Graph:
    """The parts as an igraph graph, which may break any rule of the architecture graph.

    Raises:
        GraphError: The name of an attribute is not a string.
    """
    graph = igraph.Graph(n=parts.n_nodes, edges=parts.edges, directed=parts.directed)
    for target, values in (
        (graph, parts.graph_values),
        (graph.vs, parts.vertex_columns),
        (graph.es, parts.edge_columns),
    ):
        for name, value in values.items():
            if not isinstance(name, str):
                raise GraphError(f"the attribute name {name!r} is not a string; rename it")
            target[name] = value
    if STAGE in parts.vertex_columns:
        graph.vs[STAGE] = [_whole(value) for value in parts.vertex_columns[STAGE]]
    return graph


def with_names(columns: dict[str, list[Any]], ids: Sequence[Any]) -> dict[str, list[Any]]:
    """The vertex columns with names that are strings: the column ``name`` if there is one, else ``ids``."""
    names = columns.get(NAME, ids)
    return {**columns, NAME: [None if name is None else _text(name) for name in names]}


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(name: Any) -> str:
    return name if isinstance(name, str) else str(_whole(name))
