"""Random priors: Erdős-Rényi, Watts-Strogatz, Barabási-Albert, and random DAGs with short-range edges.

Graphs are drawn from the raw words of a PCG64 generator, not by the generators of igraph or networkx, whose graphs for
a seed change between releases. The same seed gives the same graph everywhere; with an ``order`` other than ``ids`` the
directions depend on the layout of igraph, too.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.priors.build import build_prior, check_size, prior_stages
from graphtask.priors.orient import Order, forward_edges, node_sequence
from graphtask.priors.words import SPREAD, Words
from graphtask.types import IntArray
from graphtask.validation import choice, integer, invalid, number

OutDegreeLaw = Literal["constant", "uniform", "poisson", "geometric"]
Decay = Literal["none", "exponential", "power"]


def erdos_renyi_dag(
    n_nodes: int,
    *,
    p: float,
    seed: int,
    stages: int | Sequence[int] | None = None,
    order: Order = "ids",
) -> igraph.Graph:
    """Return a random graph with each possible edge with probability ``p``, made acyclic.

    Args:
        n_nodes: Number of nodes, at least 2.
        p: Probability of an edge, in [0, 1].
        seed: Random seed, at least 0; the same seed gives the same graph.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.
        order: Order of the nodes in which edges lead forward, see `graphtask.priors.orient_edges`.

    Returns:
        A valid graph; ``provenance(graph)["prior"]["repaired_edges"]`` counts the edges that repaired orphans.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.priors.erdos_renyi_dag(60, p=0.1, seed=0)
        >>> graph.ecount(), gt.provenance(graph)["prior"]["repaired_edges"]
        (194, 18)

    Source:
        Gilbert's form, G(n, p), of the graph of Erdős and Rényi; as a DAG in Xie et al. 2019, arXiv:1904.01569.
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    p = number(p, name="p", least=0, most=1)
    check_size(n_nodes, n_edges=int(0.9 * p * n_nodes * (n_nodes - 1) / 2))
    words = Words(seed)
    later = [node + 1 + np.flatnonzero(words.uniform(n_nodes - 1 - node) < p) for node in range(n_nodes)]
    arguments = {"p": p, "seed": int(seed)}
    return _oriented(
        n_nodes, _edges_to(later), stages=stages, order=order, name="erdos-renyi", arguments=arguments
    )


def watts_strogatz_dag(
    n_nodes: int,
    *,
    neighbors: int,
    p: float,
    seed: int,
    stages: int | Sequence[int] | None = None,
    order: Order = "ids",
) -> igraph.Graph:
    """Return a ring with edges to near neighbors, some edges rewired at random, made acyclic.

    Each node starts with an edge to the ``neighbors``/2 nodes on either side. Each edge is then rewired with
    probability ``p``: it keeps its first end and leads to a node drawn from those without an edge to this end.
    There are ``n_nodes``·``neighbors``/2 edges before the repair of orphans.

    Args:
        n_nodes: Number of nodes, more than ``neighbors``.
        neighbors: Neighbors of each node on the ring, an even number, at least 2.
        p: Probability that an edge is rewired, in [0, 1].
        seed: Random seed, at least 0; the same seed gives the same graph.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.
        order: Order of the nodes in which edges lead forward, see `graphtask.priors.orient_edges`.

    Returns:
        A valid graph; ``provenance(graph)["prior"]["repaired_edges"]`` counts the edges that repaired orphans.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.priors.watts_strogatz_dag(60, neighbors=4, p=0.25, seed=0)
        >>> graph.ecount() - gt.provenance(graph)["prior"]["repaired_edges"]
        120

    Source:
        Watts & Strogatz, Nature 393 (1998).
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    neighbors = integer(neighbors, name="neighbors", least=2)
    p = number(p, name="p", least=0, most=1)
    if neighbors % 2 or neighbors >= n_nodes:
        raise invalid("neighbors", f"an even integer in [2, {n_nodes - 1}]", neighbors)
    check_size(n_nodes, n_edges=n_nodes * neighbors // 2, n_bytes=n_nodes**2)
    edges = _rewired_ring(n_nodes, neighbors=neighbors, p=p, words=Words(seed))
    arguments = {"neighbors": neighbors, "p": p, "seed": int(seed)}
    return _oriented(n_nodes, edges, stages=stages, order=order, name="watts-strogatz", arguments=arguments)


def barabasi_albert_dag(
    n_nodes: int,
    *,
    attachments: int,
    seed: int,
    stages: int | Sequence[int] | None = None,
    order: Order = "ids",
) -> igraph.Graph:
    """Return a graph that grows by preferential attachment to nodes of high degree, made acyclic.

    It starts as a star: node 0 with edges to nodes 1 … ``attachments``. Each further node gets edges to
    ``attachments`` different earlier nodes, drawn sequentially with probability proportional to their degree.
    There are (``n_nodes`` − ``attachments``)·``attachments`` edges before the repair of orphans.

    Args:
        n_nodes: Number of nodes, more than ``attachments``.
        attachments: Edges that each new node brings, at least 1.
        seed: Random seed, at least 0; the same seed gives the same graph.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.
        order: Order of the nodes in which edges lead forward, see `graphtask.priors.orient_edges`.

    Returns:
        A valid graph; ``provenance(graph)["prior"]["repaired_edges"]`` counts the edges that repaired orphans.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.priors.barabasi_albert_dag(60, attachments=3, seed=0)
        >>> graph.ecount() - gt.provenance(graph)["prior"]["repaired_edges"]
        171

    Source:
        Barabási & Albert, Science 286 (1999).
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    attachments = integer(attachments, name="attachments", least=1)
    if attachments >= n_nodes:
        raise invalid("attachments", f"an integer in [1, {n_nodes - 1}]", attachments)
    check_size(n_nodes, n_edges=(n_nodes - attachments) * attachments)
    edges = _preferential_attachment(n_nodes, attachments=attachments, words=Words(seed))
    arguments = {"attachments": attachments, "seed": int(seed)}
    return _oriented(n_nodes, edges, stages=stages, order=order, name="barabasi-albert", arguments=arguments)


def random_dag(
    n_nodes: int,
    *,
    out_degree: float = 3,
    law: OutDegreeLaw = "constant",
    decay: Decay = "exponential",
    rate: float = 2.0,
    block: int = 5,
    attraction: float = 0.5,
    seed: int,
    stages: int | Sequence[int] | None = None,
) -> igraph.Graph:
    """Return a random DAG with out-degrees from a law, in which near nodes are preferred.

    Node i draws its out-degree d_i from ``law`` (no more than there are later nodes), then that many different later
    nodes j, sequentially, with probability proportional to d_j^a · f(⌊(j − i)/b⌋), with a = ``attraction`` and b = ``block``. If node
    i + 1 has no predecessor yet, the first of the edges leads there, which leaves no orphans. It takes time
    proportional to the nodes where the decay is exponential, and to their square otherwise.

    Args:
        n_nodes: Number of nodes, at least 2.
        out_degree: Mean of the law, at least 1.
        law: ``constant`` (a whole ``out_degree``), ``uniform`` (on 1 … 2·``out_degree`` − 1, a whole ``out_degree``),
            ``poisson`` (1 + Poisson), or ``geometric`` (1 + geometric: the paper's ``laplace`` with scale s is this
            with the mean 1/(1 − e^(−1/s))).
        decay: f, from ``none``: f(x) = 1; ``exponential``: f(x) = e^(−``rate``·x); ``power``: f(x) = (1 + x)^(−``rate``).
        rate: Rate of the decay of the probability with the distance, in [0, 1000].
        block: Distance in nodes within which the probability is constant, at least 1.
        attraction: Exponent of the out-degree of the target, in [0, 1000]. The output draws one, too, for this only.
        seed: Random seed, at least 0; the same seed gives the same graph.
        stages: Number of stages (equal contiguous parts), or their sizes; by default 3, or as many as there are nodes.

    Raises:
        ArgumentError: An argument is out of range.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.random_dag(60, out_degree=3, seed=0)
        >>> graph.ecount() == 57 * 3 + 2 + 1
        True

    Source:
        Janik & Nowak 2020, arXiv:2002.08104, whose settings are the defaults.
    """
    n_nodes = integer(n_nodes, name="n_nodes", least=2)
    choice(law, name="law", choices=get_args(OutDegreeLaw))
    choice(decay, name="decay", choices=get_args(Decay))
    out_degree = number(out_degree, name="out_degree", least=1)
    if law in {"constant", "uniform"} and out_degree != int(out_degree):
        raise invalid("out_degree", f"an integer for law={law!r}", out_degree)
    check_size(n_nodes, n_edges=int(min(out_degree, n_nodes / 2) * n_nodes / 2))
    rate = number(rate, name="rate", least=0, most=1000)
    block = integer(block, name="block", least=1)
    attraction = number(attraction, name="attraction", least=0, most=1000)
    words = Words(seed)
    n_later = np.append(np.arange(n_nodes - 1, 0, -1), n_nodes)
    degrees = np.minimum(_out_degrees(n_nodes, out_degree, law=law, words=words), n_later)
    distance = np.arange(1, n_nodes) // block
    log_decay = {
        "none": 0.0 * distance,
        "exponential": -rate * distance,
        "power": -rate * np.log1p(distance),
    }[decay]
    edges = _short_range_edges(degrees, log_decay, attraction=attraction, words=words)
    arguments = {
        "out_degree": out_degree,
        "law": law,
        "decay": decay,
        "rate": rate,
        "block": block,
        "attraction": attraction,
        "seed": int(seed),
    }
    return build_prior(n_nodes, edges, stages=stages, name="random-dag", arguments=arguments)


def _oriented(
    n_nodes: int,
    edges: IntArray,
    *,
    stages: int | Sequence[int] | None,
    order: Order,
    name: str,
    arguments: dict[str, Any],
) -> igraph.Graph:
    choice(order, name="order", choices=get_args(Order))
    prior_stages(n_nodes, stages)
    ids = np.arange(n_nodes)
    if order != "ids":
        ids = node_sequence(igraph.Graph(n=n_nodes, edges=edges.tolist()), order=order)
    arguments = {**arguments, "order": order}
    return build_prior(n_nodes, forward_edges(edges, ids), stages=stages, name=name, arguments=arguments)


def _edges_to(ends: Sequence[IntArray]) -> IntArray:
    starts = np.repeat(np.arange(len(ends)), [len(nodes) for nodes in ends])
    return np.stack([starts, np.concatenate(ends)], axis=1)


def _rewired_ring(n_nodes: int, *, neighbors: int, p: float, words: Words) -> IntArray:
    adjacent = np.eye(n_nodes, dtype=np.bool_)
    nodes = np.arange(n_nodes)
    for step in range(1, neighbors // 2 + 1):
        adjacent[nodes, (nodes + step) % n_nodes] = adjacent[(nodes + step) % n_nodes, nodes] = True
    for step in range(1, neighbors // 2 + 1):
        for node in np.flatnonzero(words.uniform(n_nodes) < p).tolist():
            strangers = np.flatnonzero(~adjacent[node])
            if len(strangers):
                old, new = (node + step) % n_nodes, strangers[words.below(len(strangers))]
                adjacent[node, old] = adjacent[old, node] = False
                adjacent[node, new] = adjacent[new, node] = True
    return np.argwhere(np.triu(adjacent, 1))


def _preferential_attachment(n_nodes: int, *, attachments: int, words: Words) -> IntArray:
    degree = np.zeros(n_nodes)
    degree[0], degree[1 : attachments + 1] = attachments, 1
    earlier: list[IntArray] = [np.arange(0), *[np.zeros(1, dtype=np.int64)] * attachments]
    for node in range(attachments + 1, n_nodes):
        targets = words.sample(np.log(degree[:node]), attachments)
        degree[targets] += 1
        degree[node] = attachments
        earlier.append(targets)
    return _edges_to(earlier)


def _out_degrees(n_nodes: int, mean: float, *, law: OutDegreeLaw, words: Words) -> IntArray:
    if law == "constant":
        return np.full(n_nodes, min(int(mean), n_nodes))
    uniform = words.uniform(n_nodes)
    if mean == 1:
        return np.ones(n_nodes, dtype=np.int64)
    if law == "uniform":
        return 1 + np.minimum(uniform * (2 * mean - 1), n_nodes).astype(np.int64)
    if law == "geometric":
        return 1 + np.minimum(np.log(uniform) / math.log1p(-1 / mean), n_nodes).astype(np.int64)
    counts = np.arange(n_nodes)
    log_factorial = np.cumsum(np.log(np.maximum(counts, 1)))
    probability = np.exp(counts * math.log(mean - 1) - (mean - 1) - log_factorial)
    return 1 + np.searchsorted(np.cumsum(probability), uniform)


def _short_range_edges(
    degrees: IntArray, log_decay: npt.NDArray[np.floating], *, attraction: float, words: Words
) -> IntArray:
    n_nodes = len(degrees)
    log_attraction = attraction * np.log(degrees)
    # Decay below which a node cannot be drawn: enough nearer nodes come first, whatever the words are.
    too_small = log_decay[np.minimum(degrees[:-1], len(log_decay)) - 1] - np.ptp(log_attraction) - SPREAD
    reach = np.searchsorted(-log_decay, -too_small, side="right").tolist()
    fed = np.zeros(n_nodes, dtype=np.bool_)
    later: list[IntArray] = []
    for node in range(n_nodes - 1):
        n_later = n_nodes - 1 - node
        n_near = min(reach[node], n_later)
        log_weights = log_attraction[node + 1 : node + 1 + n_near] + log_decay[:n_near]
        if not fed[node + 1]:
            log_weights[0] = np.inf
        targets = node + 1 + words.sample(log_weights, int(degrees[node]), n_hopeless=n_later - n_near)
        fed[targets] = True
        later.append(targets)
    return _edges_to(later)
