"""Edges as a set of pairs of names, and the overlap of two of them."""

import math
from collections.abc import Iterable
from typing import TypeAlias

from graphtask.graph import edge_names
from graphtask.storage.objects import GraphLike, as_igraph, is_graph
from graphtask.validation import invalid

Edges: TypeAlias = GraphLike | Iterable[tuple[str, str]]

EdgeSet = frozenset[tuple[str, str]]


def edge_set(edges: Edges) -> EdgeSet:
    """Return the edges of a graph, or any pairs of (source name, target name), as a set.

    Example:
        >>> import graphtask as gt
        >>> sorted(edge_set(gt.chain_dag(3)))
        [('v0', 'v1'), ('v1', 'v2')]
    """
    if is_graph(edges):
        return frozenset(edge_names(as_igraph(edges)))
    if isinstance(edges, str) or not isinstance(edges, Iterable):
        raise invalid("edges", "a graph or pairs of names", edges)
    return frozenset((source, target) for source, target in edges)


def dice_similarity(edges_a: Edges, edges_b: Edges) -> float:
    """Return the Sørensen-Dice coefficient of two edge sets: 2·|A ∩ B| / (|A| + |B|).

    It is 0 for disjoint and 1 for equal sets, NaN for two empty ones. Edges are equal if the names of both ends are, so
    the graphs must come from the same initial graph to be comparable.

    Args:
        edges_a: A graph whose vertices have names, or pairs of (source name, target name); pairs that come twice
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
