"""Deterministic priors: the full DAG, banded DAGs, the chain, and any predicate on two positions."""

from collections.abc import Callable, Sequence

import igraph
import numpy as np

from graphtask.priors.build import build_prior, check_size
from graphtask.types import IntArray
from graphtask.validation import integer


def full_dag(n_nodes: int, *, stages: int | Sequence[int] | None = None) -> igraph.Graph:
    """Return the graph with an edge i→j for all i < j.

    Args:
        n_nodes: Number of nodes, at least 2.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> gt.full_dag(60).ecount()
        1770
        >>> gt.full_dag(5, stages=[1, 4]).vs["stage"]
        [0, 1, 1, 1, 1]
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    edges = _banded_edges(n_nodes, n_nodes - 1)
    return build_prior(n_nodes, edges, stages=stages, name="full", arguments={})


def banded_dag(n_nodes: int, *, bandwidth: int, stages: int | Sequence[int] | None = None) -> igraph.Graph:
    """Return the graph with an edge i→j wherever 0 < j − i ≤ ``bandwidth``.

    Args:
        n_nodes: Number of nodes, at least 2.
        bandwidth: Longest edge, in positions of the node order, at least 1.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> gt.banded_dag(4, bandwidth=2).get_edgelist()
        [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    bandwidth = integer(bandwidth, name="bandwidth", least=1)
    edges = _banded_edges(n_nodes, bandwidth)
    return build_prior(n_nodes, edges, stages=stages, name="banded", arguments={"bandwidth": bandwidth})


def chain_dag(n_nodes: int, *, stages: int | Sequence[int] | None = None) -> igraph.Graph:
    """Return the path through all nodes.

    Args:
        n_nodes: Number of nodes, at least 2.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> gt.chain_dag(3).get_edgelist()
        [(0, 1), (1, 2)]
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    return build_prior(n_nodes, _banded_edges(n_nodes, 1), stages=stages, name="chain", arguments={})


def dag_from_predicate(
    n_nodes: int, predicate: Callable[[int, int], bool], *, stages: int | Sequence[int] | None = None
) -> igraph.Graph:
    """Return the graph with an edge i→j wherever i < j and ``predicate(i, j)`` is true, with orphans repaired.

    Args:
        n_nodes: Number of nodes, at least 2.
        predicate: Called with every pair of positions i < j, counted from 0.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.

    Returns:
        A valid graph. A node without predecessors receives an edge from the previous node, one without successors an
        edge to the next; ``provenance(graph)["prior"]["repaired_edges"]`` counts them.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.dag_from_predicate(5, lambda i, j: (i + j) % 2 == 0)
        >>> graph.get_edgelist()
        [(0, 2), (0, 4), (1, 3), (2, 4), (0, 1), (3, 4)]
        >>> gt.provenance(graph)["prior"]["repaired_edges"]
        2
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    pairs = [(i, j) for i in range(n_nodes) for j in range(i + 1, n_nodes) if predicate(i, j)]
    edges = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    arguments = {"predicate": getattr(predicate, "__name__", type(predicate).__name__)}
    return build_prior(n_nodes, edges, stages=stages, name="predicate", arguments=arguments)


def _banded_edges(n_nodes: int, bandwidth: int) -> IntArray:
    reach = min(bandwidth, n_nodes - 1)
    check_size(n_nodes, n_edges=n_nodes * reach - reach * (reach + 1) // 2)
    nodes = np.arange(n_nodes)
    degrees = np.minimum(bandwidth, n_nodes - 1 - nodes)
    sources = np.repeat(nodes, degrees)
    position = np.arange(len(sources)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    return np.stack([sources, sources + 1 + position], axis=1)
