"""Valid graphs from independent edges by repair, on request: fast, but not P(G | valid).

Independent edges leave nodes without a predecessor or a successor. Repair keeps the nodes that were drawn and connects
them:

1. every node but the input without a predecessor gets one, drawn in proportion to the odds θ/(1 − θ) of the possible
   edges (the distribution of one of several independent edges, given that it is the only one);
2. every node but the output without a successor gets one in the same way;
3. a node that no possible edge reaches is removed, with all nodes that are then on no path;
4. if input and output are still not connected, everything is redrawn.

One number δ is added to the log-odds of all edges beforehand, such that the mean number of edges after the repair is
the observed mean.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import igraph
import numpy as np

from graphtask.distribution.edge_probabilities import EdgeProbabilities, shifted
from graphtask.errors import DisconnectedError
from graphtask.graph import NAME, STAGE, live_nodes
from graphtask.types import BoolArray, FloatArray, IntArray

_TRIES = 1_000  # before a distribution counts as one without valid graphs
_LARGEST_SHIFT = 8.0  # of the log-odds: a factor of 3,000
_USUAL_SHIFT = 1.0  # first bracket of the search
_PRECISION = 1e-3
TRIALS = 256  # graphs that estimate the mean number of edges, fewer if they are large
_WORK = 700_000  # pairs of nodes in all of them


class Repaired(NamedTuple):
    """Nodes and edges of a valid graph, and the changes that made it valid."""

    nodes: IntArray
    """Remaining nodes, shape (nodes,)."""
    edges: IntArray
    """Positions among all nodes, shape (edges, 2)."""
    n_added: int
    """Edges that the repair added."""
    n_dropped: int
    """Nodes that the repair removed."""


class RepairedGraph(NamedTuple):
    """Valid graph, and the changes that made it valid."""

    graph: igraph.Graph
    n_added: int
    """Edges that the repair added."""
    n_dropped: int
    """Nodes that the repair removed."""
    n_redrawn: int
    """Draws that could not be repaired before it."""


Draw = Callable[[np.random.Generator], EdgeProbabilities]


def repaired_graph(draw: Draw, *, shift: float, rng: np.random.Generator) -> RepairedGraph:
    """Return one valid graph.

    Args:
        draw: Returns the nodes of a graph and the probabilities of its edges.
        shift: Added to the log-odds of all edges.
        rng: Random generator.

    Raises:
        DisconnectedError: Input and output were never connected.
    """
    for attempt in range(_TRIES):
        probabilities = draw(rng)
        drawn = repaired_edges(probabilities, shift=shift, rng=rng)
        if drawn is not None:
            return RepairedGraph(_as_graph(probabilities, drawn), drawn.n_added, drawn.n_dropped, attempt)
    raise DisconnectedError(
        f"input and output were not connected in {_TRIES:,} graphs drawn from the distribution; fit with more "
        f"shrinkage, or to more graphs"
    )


def repaired_edges(
    probabilities: EdgeProbabilities, *, shift: float, rng: np.random.Generator
) -> Repaired | None:
    """Draw edges and repair them; None if input and output are not connected.

    Example:
        >>> certain = EdgeProbabilities(["a", "b", "c"], np.zeros(3, int), np.eye(3, k=1))
        >>> repaired_edges(certain, shift=0.0, rng=np.random.default_rng(0)).edges.tolist()
        [[0, 1], [1, 2]]
    """
    probability = probabilities.probability
    n_nodes = len(probability)
    if n_nodes < 2:
        return None
    exists = rng.random(probability.shape) < shifted(probability, shift)
    n_added, whole = _connect(exists, _odds(probability), rng)
    edges = np.argwhere(exists)
    if whole:
        return Repaired(np.arange(n_nodes), edges, n_added, 0)
    live = live_nodes(igraph.Graph(n=n_nodes, edges=edges.tolist(), directed=True), [0], [n_nodes - 1])
    if not live.any():
        return None
    edges = edges[live[edges].all(axis=1)]
    return Repaired(np.flatnonzero(live), edges, n_added, int(n_nodes - live.sum()))


def calibrated_shift(draw: Draw, *, mean_edges: float, n_trials: int = TRIALS) -> float:
    """Return the shift of the log-odds at which repaired graphs have ``mean_edges`` edges on average.

    Found by Brent's method on the same random numbers for every shift, from a fixed seed. If no shift is enough (the
    repair alone takes more edges), the nearest one is returned.

    Args:
        draw: Returns the nodes of a graph and the probabilities of its edges.
        mean_edges: Mean number of edges to reach.
        n_trials: Graphs that estimate it; fewer if they are large.
    """
    from scipy.optimize import brentq

    rng = np.random.Generator(np.random.PCG64(0))
    first = draw(rng)
    n_trials = int(np.clip(_WORK / len(first.names) ** 2, 8, n_trials))
    trials = [first, *(draw(rng) for _ in range(n_trials - 1))]
    seeds = rng.integers(2**63, size=n_trials).tolist()

    def mean_at(shift: float) -> float:
        counts = []
        for probabilities, seed in zip(trials, seeds, strict=True):
            own = np.random.Generator(np.random.PCG64(seed))
            drawn = repaired_edges(probabilities, shift=shift, rng=own)
            if drawn is not None:
                counts.append(len(drawn.edges))
        return float(np.mean(counts)) if counts else 0.0

    @cache
    def excess(shift: float) -> float:
        return mean_at(shift) - mean_edges

    for reach in (_USUAL_SHIFT, _LARGEST_SHIFT):
        if excess(-reach) <= 0 <= excess(reach):
            return float(brentq(excess, -reach, reach, xtol=_PRECISION))
    return -_LARGEST_SHIFT if excess(-_LARGEST_SHIFT) > 0 else _LARGEST_SHIFT


def _odds(probability: FloatArray) -> FloatArray:
    return np.asarray(probability / np.maximum(1 - probability, 1e-12))


def _connect(exists: BoolArray, odds: FloatArray, rng: np.random.Generator) -> tuple[int, bool]:
    """Connect every node, in place; return the number of added edges, and True if all nodes are connected."""
    n_added, whole = 0, True
    orphans: BoolArray = np.asarray(~exists.any(axis=0))
    orphans[0] = False
    for node in np.flatnonzero(orphans):
        source = _chosen(odds[:, node], rng)
        if source is None:
            whole = False
        else:
            exists[source, node] = True
            n_added += 1
    childless: BoolArray = np.asarray(~exists.any(axis=1))
    childless[-1] = False
    for node in np.flatnonzero(childless):
        target = _chosen(odds[node], rng)
        if target is None:
            whole = False
        else:
            exists[node, target] = True
            n_added += 1
    return n_added, whole


def _chosen(weights: FloatArray, rng: np.random.Generator) -> int | None:
    cumulated = np.cumsum(weights)
    if cumulated[-1] <= 0:
        return None
    return int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))


def _as_graph(probabilities: EdgeProbabilities, drawn: Repaired) -> igraph.Graph:
    position = np.full(len(probabilities.names), -1)
    position[drawn.nodes] = np.arange(len(drawn.nodes))
    edges: Sequence[tuple[int, int]] = list(map(tuple, position[drawn.edges].tolist()))
    graph = igraph.Graph(n=len(drawn.nodes), edges=edges, directed=True)
    graph.vs[NAME] = [probabilities.names[node] for node in drawn.nodes]
    graph.vs[STAGE] = probabilities.stage[drawn.nodes].tolist()
    return graph
