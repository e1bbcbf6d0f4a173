"""Common form of every graph that is read, and its conversion to an igraph graph."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import igraph

from graphtask.errors import GraphError
from graphtask.graph import NAME, PROVENANCE, STAGE, with_provenance

LABEL = "label"
_DIGITS = re.compile(r"[0-9]{1,9}")


class Parts(NamedTuple):
    """Nodes, edges and attributes of a graph: the output of every parser."""

    n_nodes: int
    edges: list[tuple[int, int]]
    graph_values: dict[str, Any]
    vertex_columns: dict[str, list[Any]]
    edge_columns: dict[str, list[Any]]
    directed: bool = True
    """Whether the edges have a direction."""
    is_ours: bool = False
    """Whether graphtask wrote it, so that attributes have the meaning of `graphtask.graph`."""
    notes: tuple[str, ...] = ()
    """Changes that were made while reading; recorded in the provenance as ``reading``."""


def igraph_of(parts: Parts) -> igraph.Graph:
    """Return the parts as an igraph graph, which may break any rule of the architecture graph.

    Stages that a source stores as floats or texts become ints. Notes go to the provenance.

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
                raise GraphError(f"the attribute name {name!r} is not a string", remedy="rename it")
            target[name] = value
    if STAGE in parts.vertex_columns:
        graph.vs[STAGE] = [_stage(value) for value in parts.vertex_columns[STAGE]]
    if not parts.notes:
        return graph
    if not isinstance(parts.graph_values.get(PROVENANCE, {}), dict):
        del graph[PROVENANCE]
    return with_provenance(graph, reading=list(parts.notes))


def with_names(
    columns: dict[str, list[Any]], ids: Sequence[Any], *, is_ours: bool = False
) -> dict[str, list[Any]]:
    """Return the vertex columns with a column ``name`` of strings that identify the vertices.

    The names are the column ``name`` if its values are complete and unique (in files of graphtask: always), else
    ``ids``; a column ``name`` that is not used becomes ``label`` (or ``file_name``, if there is a ``label``).

    Example:
        >>> with_names({"name": ["conv", "conv"]}, ["n0", "n1"])
        {'label': ['conv', 'conv'], 'name': ['n0', 'n1']}
    """
    if NAME not in columns:
        return {**columns, NAME: _texts(ids)}
    names = _texts(columns[NAME])
    if is_ours or (None not in names and len(set(names)) == len(names)):
        return {**columns, NAME: names}
    spare = free_name("file_name" if LABEL in columns else LABEL, columns)
    return {(spare if key == NAME else key): values for key, values in columns.items()} | {NAME: _texts(ids)}


def free_name(wish: str, taken: dict[str, Any]) -> str:
    """Return ``wish``, with as many underscores after it as make it a new name."""
    while wish in taken:
        wish += "_"
    return wish


def _stage(value: Any) -> Any:
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else _whole(value)


def _whole(value: Any) -> Any:
    """Return a whole number that is a float as an int."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _texts(names: Sequence[Any]) -> list[str | None]:
    return [
        None if name is None else name if isinstance(name, str) else str(_whole(unboxed(name)))
        for name in names
    ]


def unboxed(value: Any) -> Any:
    """Return a scalar of numpy as a value of Python; any other value unchanged."""
    return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 else value
