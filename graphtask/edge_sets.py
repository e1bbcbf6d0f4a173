"""Edges as sets of pairs of names, and their overlap."""

import math
from collections.abc import Iterable
from typing import TypeAlias

import igraph

from graphtask.graph import edge_names

EdgeSet = frozenset[tuple[str, str]]
Edges: TypeAlias = igraph.Graph | Iterable[tuple[str, str]]


def edge_set(edges: Edges) -> EdgeSet:
    """Return the edges of a graph, or any pairs of (source name, target name), as a set.

    Example:
        >>> import graphtask as gt
        >>> sorted(edge_set(gt.chain_dag(3)))
        [('v0', 'v1'), ('v1', 'v2')]
    """
    if isinstance(edges, igraph.Graph):
        return frozenset(edge_names(edges))
    return frozenset((source, target) for source, target in edges)


def dsc(edges_a: Edges, edges_b: Edges) -> float:
    """Return the Sørensen-Dice coefficient of two edge sets: 2·|A ∩ B| / (|A| + |B|).

    It is 0 if they share nothing and 1 if they are the same; of two empty sets it is NaN. Edges are the same if the
    names of both their ends are, so the graphs have to come from the same initial graph to be comparable.

    Args:
        edges_a: A graph whose vertices have names, or pairs of (source name, target name); pairs that come twice
            count once.
        edges_b: The other one.

    Example:
        >>> import graphtask as gt
        >>> gt.dsc(gt.chain_dag(3), gt.full_dag(3))
        0.8

    Source:
        L. R. Dice (1945), T. Sørensen (1948). Janik & Nowak, "Connectivity Properties of Neural Networks Under
        Performance-Resources Trade-off", footnote 6, leaves out the factor 2.
    """
    a, b = edge_set(edges_a), edge_set(edges_b)
    size = len(a) + len(b)
    return 2 * len(a & b) / size if size else math.nan
