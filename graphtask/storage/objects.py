"""Graph objects of other libraries as igraph graphs, so that every function that takes a graph takes them."""

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import igraph
import numpy as np

from graphtask import graph as architecture
from graphtask.errors import GraphError
from graphtask.storage.assembly import Parts, igraph_of, with_names
from graphtask.storage.foreign import usable
from graphtask.storage.geometric_parts import geometric_parts, is_data, remedy
from graphtask.storage.matrix import dense_parts, sparse_parts
from graphtask.validation import abbreviated

GraphLike: TypeAlias = Any
"""An igraph or networkx graph, an adjacency matrix (numpy, scipy.sparse, pandas), or a torch-geometric ``Data``."""


def as_igraph(graph: GraphLike, *, name: str = "graph") -> igraph.Graph:
    """Return a graph object of any supported library as an igraph graph.

    An igraph graph is returned as it is (not copied, not checked). Others keep their attributes as `read` does:
    vertices are named, foreign weights are renamed. The result may break any rule of the architecture graph; make it
    valid with `as_architecture`.

    Args:
        graph: An igraph or networkx graph, a square adjacency matrix (entry [i, j] is the edge i→j) of numpy,
            scipy.sparse or pandas, or a torch-geometric ``Data``.
        name: Name of the argument, for the message of the error.

    Raises:
        GraphError: The object is none of these, or an adjacency matrix that is not square or not numeric.

    Example:
        >>> import networkx as nx
        >>> as_igraph(nx.DiGraph([("a", "b")])).vs["name"]
        ['a', 'b']
        >>> as_igraph(np.array([[0, 1], [0, 0]])).get_edgelist()
        [(0, 1)]
    """
    return graph if isinstance(graph, igraph.Graph) else igraph_of(usable(object_parts(graph, name=name)))


def is_graph(item: object) -> bool:
    """Return True for a graph object of any supported library; for a matrix, whatever its values are.

    Example:
        >>> is_graph(igraph.Graph()), is_graph(np.eye(3)), is_graph([(0, 1)])
        (True, True, False)
    """
    known = (igraph.Graph, _class("networkx", "Graph"))
    return isinstance(item, known) or is_data(item) or is_matrix(item)


def check_graph(graph: GraphLike) -> None:
    """Raise unless ``graph`` is a valid architecture graph.

    Args:
        graph: A graph object of any supported library; see `as_igraph`.

    Raises:
        GraphError: The first broken rule, with the offending vertices or edges and the remedy.

    Example:
        >>> import graphtask as gt
        >>> gt.check_graph(gt.full_dag(4))
        >>> gt.check_graph(igraph.Graph(directed=True, edges=[(0, 1)]))
        Traceback (most recent call last):
        ...
        graphtask.errors.GraphError: no vertex has a `name`; build the graph with graphtask.as_architecture(graph)
    """
    architecture.check_graph(as_igraph(graph))


def valid_graph(graph: GraphLike, *, name: str = "graph") -> igraph.Graph:
    """Return a graph object of any supported library as an igraph graph that obeys the rules of `check_graph`.

    Raises:
        GraphError: The object is not a graph, or breaks a rule.
    """
    found = as_igraph(graph, name=name)
    architecture.check_graph(found)
    return found


def as_architecture(
    graph: GraphLike, *, stages: int | Sequence[int] | None = None, join: bool = False
) -> igraph.Graph:
    """Convert any directed acyclic graph to a valid architecture graph, with its vertices in topological order.

    Args:
        graph: A directed graph of any supported library; see `as_igraph`. Missing names become ``v0``, ``v1`` … in its
            vertex order.
        stages: For a graph without stages: their number (equal, contiguous parts of the topological order) or
            their sizes. A graph that has stages keeps them.
        join: Whether several inputs (or outputs) get one new vertex before (after) them; otherwise they are an error.

    Returns:
        A new graph; the argument is not changed.

    Raises:
        GraphError: The graph cannot be made valid; the message names the broken rule.
        ArgumentError: ``stages`` does not fit the number of vertices.

    Example:
        >>> import graphtask as gt
        >>> graph = as_architecture(igraph.Graph(directed=True, edges=[(1, 0), (0, 2)]), stages=3)
        >>> graph.vs["name"], graph.vs["stage"]
        (['v1', 'v0', 'v2'], [0, 1, 2])
    """
    return architecture.as_architecture(as_igraph(graph), stages=stages, join=join)


def provenance(graph: GraphLike) -> dict[str, Any]:
    """Return a copy of the provenance of the graph; empty if it has none.

    Keys in use: ``prior`` (name and arguments), ``initial`` (the sizes that sparsity is relative to), ``data``,
    ``seed``, ``threshold``, ``reading`` (changes made while reading a file), and those of a training run.

    Args:
        graph: A graph object of any supported library; see `as_igraph`.

    Example:
        >>> import graphtask as gt
        >>> gt.provenance(gt.full_dag(4))["prior"]["name"]
        'full'
    """
    return architecture.provenance(as_igraph(graph))


def object_parts(graph: GraphLike, *, name: str = "graph") -> Parts:
    """Return the parts of a graph object of another library.

    Raises:
        GraphError: The object is not a graph, or its adjacency matrix is not square or not numeric.
    """
    if isinstance(graph, _class("networkx", "Graph")):
        from graphtask.storage.networkx import networkx_parts

        return networkx_parts(graph)
    if is_data(graph):
        return geometric_parts(graph)
    if is_matrix(graph):
        return matrix_parts(graph)
    raise GraphError(
        f"{name} must be a graph (igraph, networkx, torch-geometric, or a square adjacency matrix), "
        f"got {abbreviated(graph)}",
        remedy=remedy(graph),
    )


def is_matrix(value: object) -> bool:
    """Return True for a two-dimensional array, sparse matrix or table."""
    is_known = (
        isinstance(value, np.ndarray) or _is_sparse(value) or isinstance(value, _class("pandas", "DataFrame"))
    )
    return is_known and getattr(value, "ndim", 0) == 2


def matrix_parts(matrix: Any) -> Parts:
    """Return the parts of an adjacency matrix of numpy, scipy.sparse or pandas.

    Raises:
        GraphError: The matrix is not square or not numeric.
    """
    try:
        if _is_sparse(matrix):
            if matrix.shape[0] != matrix.shape[1]:
                raise GraphError(f"an adjacency matrix must be square, got shape {tuple(matrix.shape)}")
            entries = matrix.tocoo()
            parts = sparse_parts(matrix.shape[0], entries.row, entries.col, entries.data)
        elif isinstance(matrix, np.ndarray):
            parts = dense_parts(_array(matrix))
        else:
            parts = _table_parts(matrix)
    except ValueError as error:
        raise GraphError(str(error)) from None
    ids = [f"v{index}" for index in range(parts.n_nodes)]
    return parts._replace(vertex_columns=with_names(parts.vertex_columns, ids))


def _array(matrix: Any) -> Any:
    """Return an array of numpy without its class, its mask, or the type object around its values."""
    array = np.asarray(matrix.filled(0) if isinstance(matrix, np.ma.MaskedArray) else matrix)
    return np.array(array.tolist()) if array.dtype == object else array


def _table_parts(table: Any) -> Parts:
    labels = list(table.columns)
    if {"source", "target"} <= set(map(str, labels)):
        raise GraphError(
            "the table is an edge list, not an adjacency matrix",
            remedy="networkx.from_pandas_edgelist(table, edge_attr=True, create_using=networkx.DiGraph) makes a graph of it",
        )
    is_labeled = set(table.index) == set(labels)
    if not is_labeled and list(table.index) != list(range(len(table))):
        raise GraphError("the rows and columns of an adjacency matrix must have the same labels")
    rows = table.reindex(labels) if is_labeled and table.columns.is_unique else table
    return dense_parts(_array(rows.fillna(0).to_numpy()), names=labels)


def _class(module: str, name: str) -> type[Any]:
    """Return a class if its module has been imported; otherwise one that no object is an instance of."""
    return getattr(sys.modules.get(module), name, _Nothing)


class _Nothing:
    """Class without instances."""


def _is_sparse(value: object) -> bool:
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(value))
