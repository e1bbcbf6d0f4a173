"""Similarity of graphs: the Weisfeiler-Lehman subtree kernel of directed graphs with stages."""

from collections.abc import Sequence
from itertools import accumulate

import igraph
import numpy as np
from scipy import sparse

from graphtask.errors import GraphError
from graphtask.features.samples import Graph, as_graphs
from graphtask.graph import STAGE
from graphtask.types import FloatArray
from graphtask.validation import integer

DEFAULT_ITERATIONS = 2

_Label = tuple[object, ...]


def wl_kernel(graphs: Sequence[Graph], *, iterations: int = DEFAULT_ITERATIONS) -> FloatArray:
    """Return similarities in [0, 1] of all pairs of graphs by their labeled neighborhoods, shape (graphs, graphs).

    Every vertex starts with the label (stage, no predecessors?, no successors?). In each iteration it gets a new
    label for each different triple (own label, sorted labels of the predecessors, sorted labels of the successors).
    With φ(G) the counts of the labels of all rounds 0 … h, the kernel is

        k(G, H) = ⟨φ(G), φ(H)⟩ / √(⟨φ(G), φ(G)⟩ · ⟨φ(H), φ(H)⟩).

    It is positive semi-definite, does not depend on names or numbering, and compares graphs of different sizes.
    Weights are not read.

    Args:
        graphs: Directed graphs whose vertices have a ``stage``.
        iterations: h, the depth of the neighborhoods in edges, at least 0. Deeper labels are more often unique, so
            different graphs become less similar.

    Raises:
        GraphError: A graph is undirected, has no vertices, or has no stages.
        ArgumentError: ``iterations`` is out of range, or an item is not a graph.

    Example:
        >>> import graphtask as gt
        >>> kernel = wl_kernel([gt.chain_dag(6), gt.chain_dag(6), gt.full_dag(6)], iterations=1)
        >>> kernel.round(2).tolist()
        [[1.0, 1.0, 0.57], [1.0, 1.0, 0.57], [0.57, 0.57, 1.0]]

    Source:
        Shervashidze et al., Weisfeiler-Lehman graph kernels, JMLR 12 (2011); predecessors and successors are kept
        apart for directed graphs.
    """
    iterations = integer(iterations, name="iterations", least=0)
    counts = wl_label_counts(as_graphs(graphs, name="graphs"), iterations=iterations)
    products = np.asarray((counts @ counts.T).todense(), dtype=np.float64)
    norms = np.sqrt(np.diag(products))
    return np.asarray(products / np.outer(norms, norms), dtype=np.float64)


def wl_label_counts(graphs: Sequence[igraph.Graph], *, iterations: int) -> sparse.csr_array:
    """Return φ, the number of times that each label of `wl_kernel` occurs in each graph, shape (graphs, labels)."""
    for position, graph in enumerate(graphs):
        _check(graph, position)
    owner = np.repeat(np.arange(len(graphs)), [graph.vcount() for graph in graphs])
    predecessors, successors = _neighbors(graphs, "in"), _neighbors(graphs, "out")
    known: dict[_Label, int] = {}
    labels = _numbered(
        [
            (0, stage, not before, not after)
            for stage, before, after in zip(
                (stage for graph in graphs for stage in graph.vs[STAGE]),
                predecessors,
                successors,
                strict=True,
            )
        ],
        known,
    )
    seen = [labels]
    for depth in range(1, iterations + 1):
        labels = _numbered(
            [
                (
                    depth,
                    own,
                    *sorted(labels[node] for node in before),
                    None,
                    *sorted(labels[node] for node in after),
                )
                for own, before, after in zip(labels, predecessors, successors, strict=True)
            ],
            known,
        )
        seen.append(labels)
    columns = np.asarray(seen).ravel()
    rows = np.tile(owner, len(seen))
    ones = np.ones(len(columns), dtype=np.float64)
    return sparse.csr_array((ones, (rows, columns)), shape=(len(graphs), len(known)))


def _numbered(labels: list[_Label], known: dict[_Label, int]) -> list[int]:
    """Return a number for each label: a new one for each new label."""
    return [known.setdefault(label, len(known)) for label in labels]


def _neighbors(graphs: Sequence[igraph.Graph], mode: str) -> list[list[int]]:
    """Return the neighbors of every vertex of the disjoint union of the graphs."""
    sizes = [graph.vcount() for graph in graphs]
    offsets = accumulate(sizes, initial=0)
    return [
        [offset + node for node in nodes]
        for graph, offset in zip(graphs, offsets, strict=False)
        for nodes in graph.get_adjlist(mode=mode)
    ]


def _check(graph: igraph.Graph, position: int) -> None:
    if not graph.is_directed() or graph.vcount() == 0:
        what = "has no vertices" if graph.is_directed() else "is undirected"
        raise GraphError(f"graphs[{position}] {what}; the kernel compares directed graphs")
    if STAGE not in graph.vs.attributes():
        raise GraphError(
            f"graphs[{position}] has no `stage`; add stages with graphtask.as_architecture(graph, stages=3) or "
            f"graphtask.from_networkx(graph, stages=3)"
        )
