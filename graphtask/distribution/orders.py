"""Graphs without identities: canonical numbering, and sums over the topological orders of a graph.

A model of ordered graphs gives every topological order of a graph its own probability. The probability of the graph as
such, up to the numbering and the names of its nodes, is the sum over the different ordered graphs that it has,

    P(class) = (1/|Aut|) · Σ over topological orders L of P(G in the order L),

because two orders give the same ordered graph if and only if an automorphism maps one to the other. Few orders are
summed one by one. Many are sampled: particles place one node after the other, choosing among the nodes that are free
in proportion to the probability of their edges, and are resampled when their weights differ too much (sequential Monte
Carlo). The mean weight has the sum as its expectation.

Source:
    Doucet & Johansen, A tutorial on particle filtering and smoothing (2009); canonical form: Junttila & Kaski, ALENEX
    (2007).
"""

from typing import NamedTuple

import igraph
import numpy as np

from graphtask.errors import GraphError
from graphtask.graph import STAGE, edge_array, node_order, stages
from graphtask.types import BoolArray, FloatArray, IntArray

MOST_ORDERS = 500  # that are summed one by one
N_PARTICLES = 64
N_BATCHES = 8  # of particles; their scatter gives the error
_SEED = 0


class LogSum(NamedTuple):
    """Natural logarithm of a sum over orders."""

    value: float
    error: float
    """Standard error; 0 if all orders were summed."""


class Ordered(NamedTuple):
    """Graph in canonical form."""

    stage: IntArray
    """Stages of the nodes in a topological order, shape (nodes,)."""
    edges: IntArray
    """Positions of source and target, shape (edges, 2)."""
    log_automorphisms: float
    """Logarithm of the number of automorphisms that keep stages and directions."""

    @property
    def matrix(self) -> BoolArray:
        """Adjacency matrix, shape (nodes, nodes)."""
        matrix = np.zeros((len(self.stage), len(self.stage)), dtype=np.bool_)
        matrix[self.edges[:, 0], self.edges[:, 1]] = True
        return matrix

    def reordered(self, order: IntArray) -> "Ordered":
        """Return the same graph with the node ``order[i]`` at position i."""
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order))
        return Ordered(self.stage[order], position[self.edges], self.log_automorphisms)


def canonical(graph: igraph.Graph) -> Ordered:
    """Return the canonical form: equal for two graphs if and only if they are isomorphic with equal stages.

    Nodes are sorted by stage, then by the length of the longest path to them, then by BLISS.

    Raises:
        GraphError: The vertices have no stages, the stage falls along an edge, or the graph has a cycle.

    Example:
        >>> import graphtask as gt
        >>> first, second = (
        ...     gt.dag_from_predicate(5, lambda i, j, pairs=pairs: (i, j) in pairs, stages=1)
        ...     for pairs in (
        ...         {(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)},
        ...         {(0, 2), (2, 4), (0, 1), (1, 3), (3, 4)},
        ...     )
        ... )
        >>> canonical(first).edges.tolist() == canonical(second).edges.tolist()
        True
    """
    if STAGE not in graph.vs.attributes():
        raise GraphError(
            "the vertices need a `stage`; make the graph valid with graphtask.as_architecture(graph, stages=3)"
        )
    order = np.asarray(node_order(graph), dtype=np.int64)
    stage = stages(graph)
    if bool((np.diff(stage[order]) < 0).any()):
        raise GraphError("the stage decreases along an edge; graphtask.check_graph names the edge")
    depth = _depths(order, graph.get_adjlist(mode="in"))
    height = _depths(order[::-1], graph.get_adjlist(mode="out"))
    keys = np.stack([stage, depth, height], axis=1)
    _, color = np.unique(keys, axis=0, return_inverse=True)
    color = color.reshape(-1)
    edges = edge_array(graph)
    undirected = igraph.Graph(n=len(order), edges=edges.tolist())
    undirected.vs["number"] = list(range(len(order)))
    labels = undirected.canonical_permutation(sh="fl", color=color.tolist())
    # Not the labels themselves: releases 0.11 and 1.0 of igraph define them in opposite directions.
    number = np.asarray(undirected.permute_vertices(labels).vs["number"], dtype=np.int64)
    number = number[np.argsort(color[number], kind="stable")]
    position = np.empty(len(order), dtype=np.int64)
    position[number] = np.arange(len(order))
    placed = position[edges]
    count = undirected.count_automorphisms(sh="fl", color=color.tolist())
    return Ordered(
        stage[number], placed[np.lexsort((placed[:, 1], placed[:, 0]))], float(np.log(float(count)))
    )


def log_sum_over_orders(graph: Ordered, probability: FloatArray, *, seed: int = _SEED) -> LogSum:
    """Return ln Σ_L Π θ or 1 − θ over the pairs of positions, for the different ordered graphs of a graph.

    Args:
        graph: Graph in canonical form, so that the result does not depend on the numbering.
        probability: θ by positions, 0 on and below the diagonal, shape (nodes, nodes).
        seed: Of the sampled orders.
    """
    with np.errstate(divide="ignore"):
        log_odds, log_absent = np.log(probability) - np.log1p(-probability), np.log1p(-probability)
    if (probability >= 1).any():  # infinite odds; the sum over given orders still has its terms
        return _log_sum(graph, _some_orders(graph, MOST_ORDERS, seed), probability)
    orders = _all_orders(graph, MOST_ORDERS)
    if orders is not None:
        return _log_sum(graph, orders, probability)
    rng = np.random.Generator(np.random.PCG64(seed))
    matrix = graph.matrix.astype(np.float64)
    found = np.asarray(
        [place(graph.stage, matrix, log_odds, rng=rng, n=N_PARTICLES).log_weight for _ in range(N_BATCHES)]
    )
    largest = found.max()
    shares = np.exp(found - largest)
    value = largest + np.log(shares.mean()) + log_absent[np.triu_indices(len(log_absent), 1)].sum()
    error = shares.std(ddof=1) / shares.mean() / np.sqrt(len(shares))
    return LogSum(float(value) - graph.log_automorphisms, float(error))


class Placed(NamedTuple):
    """Particles that placed all nodes."""

    log_weight: float
    """ln of the estimated sum of Π odds over the orders."""
    orders: IntArray
    """Node at every position, shape (particles, nodes)."""


def place(
    stage: IntArray, matrix: FloatArray, log_odds: FloatArray, *, rng: np.random.Generator, n: int
) -> Placed:
    """Place the nodes sequentially, in proportion to the odds of their edges.

    Args:
        stage: Of the nodes, in a topological order, shape (nodes,).
        matrix: Adjacency matrix, shape (nodes, nodes).
        log_odds: ln θ/(1 − θ) by positions, shape (nodes, nodes).
        rng: Random generator.
        n: Particles.
    """
    n_nodes = len(stage)
    has_edge = matrix > 0
    position = np.full((n, n_nodes), -1)
    missing = np.repeat(has_edge.sum(axis=0)[None], n, axis=0)  # predecessors that are not placed yet
    orders = np.empty((n, n_nodes), dtype=np.int64)
    log_weight = np.zeros(n)
    total = 0.0
    rows = np.arange(n)
    for at in range(n_nodes):
        values = np.where(position >= 0, log_odds[:, at][position], 0.0)
        values = np.where(np.isneginf(values), -1e6, values)
        score = values @ matrix
        free = (position < 0) & (missing == 0) & (stage == stage[at])
        if at < n_nodes - 1:
            free[:, -1] = False  # the output is the last node
        score = np.where(free, score, -np.inf)
        top = score.max(axis=1)
        shares = np.exp(score - top[:, None])
        cumulated = np.cumsum(shares, axis=1)
        log_weight += top + np.log(cumulated[:, -1])
        chosen = (cumulated <= (rng.random(n) * cumulated[:, -1])[:, None]).sum(axis=1)
        position[rows, chosen] = at
        missing -= has_edge[chosen]
        orders[:, at] = chosen
        weight = np.exp(log_weight - log_weight.max())
        if weight.sum() ** 2 < 0.5 * n * np.square(weight).sum() or at == n_nodes - 1:
            total += float(log_weight.max() + np.log(weight.mean()))
            ticks = (rng.random() + np.arange(n)) / n * weight.sum()
            survivors = np.searchsorted(np.cumsum(weight), ticks, side="right").clip(max=n - 1)
            position, missing, orders = position[survivors], missing[survivors], orders[survivors]
            log_weight = np.zeros(n)
    return Placed(total, orders)


def sampled_orders(
    graph: Ordered, n: int, *, log_odds: FloatArray | None = None, seed: int = _SEED
) -> IntArray:
    """Return topological orders in proportion to the odds of their edges, shape (n, nodes).

    Args:
        graph: Graph in canonical form.
        n: Orders.
        log_odds: ln θ/(1 − θ) by positions; None draws each next node uniformly from the free ones.
        seed: Random seed.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    n_nodes = len(graph.stage)
    odds = np.zeros((n_nodes, n_nodes)) if log_odds is None else log_odds
    return place(graph.stage, graph.matrix.astype(np.float64), odds, rng=rng, n=n).orders


def _log_sum(graph: Ordered, orders: list[IntArray], probability: FloatArray) -> LogSum:
    matrix = graph.matrix
    pairs = np.triu_indices(len(matrix), 1)
    with np.errstate(divide="ignore"):
        present, absent = np.log(probability[pairs]), np.log1p(-probability[pairs])
    terms = [np.where(matrix[np.ix_(order, order)][pairs], present, absent).sum() for order in orders]
    return LogSum(float(np.logaddexp.reduce(terms)) - graph.log_automorphisms, 0.0)


def _all_orders(graph: Ordered, most: int) -> list[IntArray] | None:
    """Return all topological orders, stage by stage with the output last; None if they are more than ``most``."""
    n = len(graph.stage)
    successors: list[list[int]] = [[] for _ in range(n)]
    missing = [0] * n
    for source, target in graph.edges.tolist():
        successors[source].append(target)
        missing[target] += 1
    found: list[IntArray] = []
    order: list[int] = []
    stage = graph.stage.tolist()

    def extend() -> bool:
        at = len(order)
        if at == n:
            found.append(np.asarray(order))
            return len(found) <= most
        for node in range(n):
            if missing[node] or stage[node] != stage[at] or (node == n - 1) != (at == n - 1):
                continue
            missing[node] = 1  # taken
            order.append(node)
            for successor in successors[node]:
                missing[successor] -= 1
            within = extend()
            for successor in successors[node]:
                missing[successor] += 1
            order.pop()
            missing[node] = 0
            if not within:
                return False
        return True

    return found if extend() else None


def _some_orders(graph: Ordered, most: int, seed: int) -> list[IntArray]:
    orders = _all_orders(graph, most)
    if orders is not None:
        return orders
    return list(sampled_orders(graph, most, seed=seed))


def _depths(order: IntArray, before: list[list[int]]) -> IntArray:
    """Return the length of the longest path to every node."""
    depth = np.zeros(len(order), dtype=np.int64)
    for node in order.tolist():
        depth[node] = 1 + max((int(depth[other]) for other in before[node]), default=-1)
    return depth
