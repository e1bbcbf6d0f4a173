"""Repair of orphans: nodes without predecessors or without successors."""

from typing import NamedTuple

import igraph
import numpy as np

from graphtask.graph import node_order


class Repaired(NamedTuple):
    """A graph whose only source is its first node and whose only sink is its last."""

    graph: igraph.Graph
    n_added: int
    """Number of added edges."""


def repair_orphans(graph: igraph.Graph) -> Repaired:
    """Return the graph with an edge to every orphan, and the number of added edges.

    In the order of the nodes, a node without predecessors (other than the first) receives an edge from the previous
    node; after that, a node without successors (other than the last) receives an edge to the next one.

    Args:
        graph: A directed acyclic graph; its order is that of `graphtask.graph.node_order`.

    Raises:
        GraphError: The graph has a cycle.

    Example:
        >>> repaired = repair_orphans(igraph.Graph(n=4, directed=True, edges=[(0, 3), (1, 3)]))
        >>> repaired.graph.get_edgelist(), repaired.n_added
        ([(0, 3), (1, 3), (0, 1), (1, 2), (2, 3)], 3)

    Source:
        Janik & Nowak 2020, arXiv:2002.08104.
    """
    order = node_order(graph)
    has_predecessor = np.asarray(graph.indegree())[order] > 0
    has_successor = np.asarray(graph.outdegree())[order] > 0
    from_previous = np.flatnonzero(~has_predecessor[1:])
    has_successor[from_previous] = True
    to_next = np.flatnonzero(~has_successor[:-1])
    starts = np.concatenate([from_previous, to_next]).tolist()
    result = graph.copy()
    result.add_edges([(order[start], order[start + 1]) for start in starts])
    return Repaired(result, len(starts))
