"""Null models of a graph: uniform random graphs with the same order, degrees and, on request, stages.

A switch replaces two edges a→b and c→d by a→d and c→b, which keeps every in- and out-degree. It is made only if both new
edges lead forward in the order of the nodes and do not exist yet, so that every state is a valid architecture graph: its
input is still the only vertex without predecessors, its output the only one without successors.

Pairs of edges are drawn with the same probability from either side of a switch, so the chain is reversible and its
stationary distribution is uniform. It reaches every graph with these degrees: the targets that are allowed for a source
are nested (all later nodes), so in any alternating cycle of the difference of two graphs the earliest source may have an
edge to every target, and a switch along this chord shortens the cycle (Rao, Jana & Bandyopadhyay 1996 for rectangles).
With ``preserve="stage"`` switches stay within the edges from one stage to another; each such block is a rectangle or a
triangle, and the same argument holds.
"""

import itertools
from typing import Literal, NamedTuple, get_args

import igraph
import numpy as np

from graphtask.graph import check_graph, edge_array, node_order, provenance, stages, with_provenance
from graphtask.priors.words import Words
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.types import IntArray
from graphtask.validation import choice, integer

Preserve = Literal["degree", "stage"]

_STEPS_PER_EDGE = 10  # proposals between two samples, at first
_MAX_DOUBLINGS = 6
_PILOT = 24  # samples of the check of mixing
_TOLERANCE = 0.02


class Mixing(NamedTuple):
    """Result of the check of mixing."""

    steps: int
    """Proposed switches between two samples."""
    acceptance: float
    """Share of the proposals that were accepted."""
    overlap_next: float
    """Mean share of edges that consecutive samples have in common."""
    overlap_far: float
    """The same for samples that are far apart; equal to ``overlap_next`` if the chain mixes."""
    is_mixed: bool
    """Whether the two overlaps agree within their standard error and 0.02."""


def randomize(
    graph: GraphLike, n: int = 1, *, seed: int, preserve: Preserve = "degree"
) -> list[igraph.Graph]:
    """Return random graphs that share degrees, order and, on request, stages with a graph.

    All graphs with these properties have the same probability. The number of switches between two samples is doubled
    until consecutive samples have no more edges in common than distant ones, up to 640 proposals per edge. A graph that
    allows no switch, such as a full DAG, comes back unchanged.

    Args:
        graph: A valid architecture graph.
        n: Number of random graphs.
        seed: Random seed, at least 0; the same seed gives the same graphs, in whatever order the edges are.
        preserve: ``"degree"`` keeps the in- and out-degree of every vertex; ``"stage"`` keeps, for every vertex, the
            number of edges to and from each stage as well, and so the number of edges between any two stages.

    Returns:
        Valid graphs with the vertices and the vertex attributes of ``graph``, without edge attributes. The provenance
        has an entry ``randomized`` with the arguments and the check of mixing (see `Mixing`).

    Raises:
        GraphError: The graph breaks a rule.
        ArgumentError: An argument is invalid.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.random_dag(20, seed=1)
        >>> null = gt.priors.randomize(graph, 3, seed=0)
        >>> [one.indegree() == graph.indegree() for one in null]
        [True, True, True]
        >>> gt.provenance(null[0])["randomized"]["is_mixed"]
        True

    Source:
        R. Milo et al. (2003), "On the uniform generation of random graphs with prescribed degree sequences",
        arXiv:cond-mat/0312028; for DAGs with a fixed order, B. Karrer & M. E. J. Newman (2009), Phys. Rev. Lett. 102.
    """
    graph = as_igraph(graph)
    check_graph(graph)
    n = integer(n, name="n")
    choice(preserve, name="preserve", choices=get_args(Preserve))
    chain = _Chain(graph, preserve=preserve, words=Words(seed))
    mixing = _mixed(chain)
    facts = {"preserve": preserve, "seed": int(seed), **mixing._asdict()}
    result = []
    for number in range(n):
        chain.advance(mixing.steps)
        known = {"randomized": {**facts, "number": number}, "of": provenance(graph).get("prior")}
        result.append(with_provenance(_with_edges(graph, chain.edges()), **known))
    return result


class _Chain:
    """Markov chain of switches."""

    def __init__(self, graph: igraph.Graph, *, preserve: Preserve, words: Words) -> None:
        order = np.asarray(node_order(graph), dtype=np.int64)
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order))
        edges = position[edge_array(graph)]
        edges = edges[np.lexsort(edges.T[::-1])]  # the same graphs whatever the order of the edges
        self._order = order
        self._words = words
        self._n_nodes = graph.vcount()
        self._sources, self._targets = edges[:, 0].tolist(), edges[:, 1].tolist()
        self._present = set(self._keys())
        stage = stages(graph)[order]
        key = stage[edges[:, 0]] * (int(stage.max()) + 1) + stage[edges[:, 1]]
        block = key if preserve == "stage" else np.zeros(len(edges), dtype=np.int64)
        members = {number: np.flatnonzero(block == number).tolist() for number in np.unique(block).tolist()}
        self._peers: list[list[int]] = [members[number] for number in block.tolist()]
        self.n_proposed = self.n_accepted = 0

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self._sources)

    def advance(self, n_steps: int) -> None:
        """Propose switches."""
        first = self._words.integers(len(self), n_steps)
        second = self._words.uniform(n_steps).tolist()
        sources, targets, present, n_nodes = self._sources, self._targets, self._present, self._n_nodes
        for i, share in zip(first, second, strict=True):
            peers = self._peers[i]
            j = peers[int(share * len(peers))]
            a, b, c, d = sources[i], targets[i], sources[j], targets[j]
            straight, crossed = a * n_nodes + d, c * n_nodes + b
            if a < d and c < b and straight not in present and crossed not in present:
                present -= {a * n_nodes + b, c * n_nodes + d}
                present |= {straight, crossed}
                targets[i], targets[j] = d, b
                self.n_accepted += 1
        self.n_proposed += n_steps

    def edges(self) -> IntArray:
        """Return the edges as pairs of vertex indices, sorted."""
        keys = np.sort(np.fromiter(self._present, dtype=np.int64, count=len(self._present)))
        places = np.stack(np.divmod(keys, self._n_nodes), axis=1)
        return np.take(self._order, places)

    def snapshot(self) -> frozenset[int]:
        """Return the edges as a set of numbers."""
        return frozenset(self._present)

    def _keys(self) -> list[int]:
        return [a * self._n_nodes + b for a, b in zip(self._sources, self._targets, strict=True)]


def _mixed(chain: _Chain) -> Mixing:
    """Return the first number of steps at which consecutive samples are as different as distant ones."""
    steps = _STEPS_PER_EDGE * len(chain)
    chain.advance(2 * steps)
    for _ in range(_MAX_DOUBLINGS + 1):
        mixing = _checked(chain, steps)
        if mixing.is_mixed:
            break
        steps *= 2
    return mixing


def _checked(chain: _Chain, steps: int) -> Mixing:
    chain.n_proposed = chain.n_accepted = 0
    samples = []
    for _ in range(_PILOT):
        chain.advance(steps)
        samples.append(chain.snapshot())
    near = [len(a & b) / len(chain) for a, b in itertools.pairwise(samples)]
    half = _PILOT // 2
    far = [len(a & b) / len(chain) for a, b in zip(samples[:half], samples[half:], strict=True)]
    error = float(np.hypot(np.std(near) / np.sqrt(len(near)), np.std(far) / np.sqrt(len(far))))
    excess = float(np.mean(near) - np.mean(far))
    return Mixing(
        steps=steps,
        acceptance=chain.n_accepted / chain.n_proposed,
        overlap_next=float(np.mean(near)),
        overlap_far=float(np.mean(far)),
        is_mixed=excess <= max(2 * error, _TOLERANCE),
    )


def _with_edges(graph: igraph.Graph, edges: IntArray) -> igraph.Graph:
    result = igraph.Graph(n=graph.vcount(), edges=edges.tolist(), directed=True)
    for attribute in graph.attributes():
        result[attribute] = graph[attribute]
    for attribute in graph.vs.attributes():
        result.vs[attribute] = graph.vs[attribute]
    return result
