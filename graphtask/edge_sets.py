"""Edges as a set of pairs of names, and the overlap of two of them."""

import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import igraph

from graphtask.graph import edge_names
from graphtask.validation import invalid

if TYPE_CHECKING:
    import networkx as nx

    Edges: TypeAlias = igraph.Graph | nx.Graph[Any] | Iterable[tuple[str, str]]
else:  # networkx is not loaded for a type
    Edges = igraph.Graph | Iterable[tuple[str, str]]

EdgeSet = frozenset[tuple[str, str]]


def edge_set(edges: Edges) -> EdgeSet:
    """Return the edges of a graph, or any pairs of (source name, target name), as a set.

    Example:
        >>> import graphtask as gt
        >>> sorted(edge_set(gt.chain_dag(3)))
        [('v0', 'v1'), ('v1', 'v2')]
    """
    if isinstance(edges, igraph.Graph):
        return frozenset(edge_names(edges))
    networkx = sys.modules.get("networkx")  # a networkx graph exists only if networkx is loaded
    if networkx is not None and isinstance(edges, networkx.Graph):
        return frozenset((str(source), str(target)) for source, target in edges.edges())
    if isinstance(edges, str) or not isinstance(edges, Iterable):
        raise invalid("edges", "a graph (igraph or networkx) or pairs of names", edges)
    return frozenset((source, target) for source, target in edges)


def dice_similarity(edges_a: Edges, edges_b: Edges) -> float:
    """Return the Sørensen-Dice coefficient of two edge sets: 2·|A ∩ B| / (|A| + |B|).

    It is 0 for disjoint and 1 for equal sets, NaN for two empty ones. Edges are equal if the names of both ends are, so
    the graphs must come from the same initial graph to be comparable.

    Args:
        edges_a: A graph (igraph or networkx) whose vertices have names, or pairs of (source name, target name); pairs that come twice
            count once.
        edges_b: The other one.

    Example:
        >>> import graphtask as gt
        >>> gt.dice_similarity(gt.chain_dag(3), gt.full_dag(3))
        0.8

    Source:
        L. R. Dice (1945), T. Sørensen (1948). Janik & Nowak, "Connectivity Properties of Neural Networks Under
        Performance-Resources Trade-off", footnote 6, leaves out the factor 2.
    """
    a, b = edge_set(edges_a), edge_set(edges_b)
    size = len(a) + len(b)
    return 2 * len(a & b) / size if size else math.nan
