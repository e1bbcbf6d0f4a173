"""Valid graphs from independent edges: what is repaired, and how the repair is kept from changing the number of edges.

Observed graphs have no dead paths, and independent edges make them: some node will lack a predecessor or a successor.
Removing those, and what hangs on them, would lose nodes and edges; graphs drawn so would be smaller than the ones
that the distribution was fitted to. So the nodes that were drawn stay, and those that lack a neighbor get one:

1. every node but the input that has no predecessor gets one, drawn with probability proportional to the odds
   θ/(1 − θ) of the edges that are possible (the law of one of several independent edges, given that it is the only one);
2. then every node but the output that has no successor gets one in the same way;
3. a node that no edge can reach (a band of which no other node is left, say) goes, with whatever is on no path then;
4. if input and output are not connected after that, all of it is drawn again.

Edges that are added would make the graphs denser than the observed ones. Therefore one number δ is added to the
log-odds of all edges beforehand, such that the mean number of edges *after* the repair is the observed mean.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import igraph
import numpy as np

from graphtask.distribution.edge_probabilities import Skeleton
from graphtask.errors import DisconnectedError
from graphtask.graph import NAME, STAGE, live_nodes
from graphtask.types import BoolArray, FloatArray, IntArray

_TRIES = 1_000  # before a distribution counts as one that has no valid graphs
_LARGEST_SHIFT = 8.0  # of the log-odds: a factor of 3,000
_USUAL_SHIFT = 1.0  # where it is looked for first
_PRECISION = 1e-3
TRIALS = 256  # graphs from which the mean number of edges is estimated, fewer if they are large
_WORK = 700_000  # pairs of nodes in all of them


class Drawn(NamedTuple):
    """Nodes and edges of a valid graph, and what it took."""

    nodes: IntArray
    """Which nodes of the skeleton are left, shape (nodes,)."""
    edges: IntArray
    """Positions among all nodes of the skeleton, shape (edges, 2)."""
    n_added: int
    """Edges that the repair added."""
    n_dropped: int
    """Nodes that the repair removed."""


class Sampled(NamedTuple):
    """A valid graph, and what it took."""

    graph: igraph.Graph
    n_added: int
    """Edges that the repair added."""
    n_dropped: int
    """Nodes that the repair removed."""
    n_redrawn: int
    """How often it was drawn in vain before."""


Draw = Callable[[np.random.Generator], Skeleton]


def sample_graph(draw: Draw, *, shift: float, rng: np.random.Generator) -> Sampled:
    """One valid graph.

    Args:
        draw: Gives the nodes of a graph and the probabilities of its edges.
        shift: Added to the log-odds of all edges.
        rng: Where chance comes from.

    Raises:
        DisconnectedError: Input and output were never connected.
    """
    for attempt in range(_TRIES):
        skeleton = draw(rng)
        drawn = draw_edges(skeleton, shift=shift, rng=rng)
        if drawn is not None:
            return Sampled(_as_graph(skeleton, drawn), drawn.n_added, drawn.n_dropped, attempt)
    raise DisconnectedError(
        f"in {_TRIES:,} graphs drawn from the distribution, input and output were never connected; fit it with more "
        f"shrinkage, or to more graphs"
    )


def draw_edges(skeleton: Skeleton, *, shift: float, rng: np.random.Generator) -> Drawn | None:
    """Random edges between the nodes of the skeleton, repaired; None if input and output are not connected.

    Example:
        >>> certain = Skeleton(["a", "b", "c"], np.zeros(3, int), np.eye(3, k=1), False)
        >>> draw_edges(certain, shift=0.0, rng=np.random.default_rng(0)).edges.tolist()
        [[0, 1], [1, 2]]
    """
    probability = skeleton.probability
    n_nodes = len(probability)
    if n_nodes < 2:
        return None
    exists = rng.random(probability.shape) < shifted(probability, shift)
    kept: BoolArray = np.ones(n_nodes, dtype=np.bool_)
    if skeleton.may_shrink:
        kept = np.asarray(exists.any(axis=0) | exists.any(axis=1))
        kept[[0, -1]] = True
    n_added, whole = _connect(exists, _odds(probability) * kept * kept[:, None], kept, rng)
    edges = np.argwhere(exists)
    if whole:
        return Drawn(np.flatnonzero(kept), edges, n_added, 0)
    live = live_nodes(igraph.Graph(n=n_nodes, edges=edges.tolist(), directed=True), [0], [n_nodes - 1])
    if not live.any():
        return None
    edges = edges[live[edges].all(axis=1)]
    return Drawn(np.flatnonzero(live), edges, n_added, int(kept.sum() - live.sum()))


def calibrated_shift(draw: Draw, *, mean_edges: float, n_trials: int = TRIALS) -> float:
    """The shift of the log-odds at which sampled graphs have ``mean_edges`` edges on average.

    Found by Brent's method on the same random numbers for every shift, from a seed of its own: for a distribution it is
    always the same. If no shift will do (repair alone takes more edges), it is the one that comes nearest.

    Args:
        draw: Gives the nodes of a graph and the probabilities of its edges.
        mean_edges: What the mean number of edges shall be.
        n_trials: Graphs from which it is estimated; large ones are fewer.
    """
    from scipy.optimize import brentq

    rng = np.random.Generator(np.random.PCG64(0))
    first = draw(rng)
    n_trials = int(np.clip(_WORK / len(first.names) ** 2, 8, n_trials))
    skeletons = [first, *(draw(rng) for _ in range(n_trials - 1))]
    seeds = rng.integers(2**63, size=n_trials).tolist()

    def mean_at(shift: float) -> float:
        counts = []
        for skeleton, seed in zip(skeletons, seeds, strict=True):
            own = np.random.Generator(np.random.PCG64(seed))
            drawn = draw_edges(skeleton, shift=shift, rng=own)
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


def shifted(probability: FloatArray, shift: float) -> FloatArray:
    """The probabilities with ``shift`` added to their log-odds; 0 and 1 stay.

    Example:
        >>> shifted(np.array([0.0, 0.5, 1.0]), np.log(3)).round(12).tolist()
        [0.0, 0.75, 1.0]
    """
    odds = probability * np.exp(shift)
    return np.asarray(odds / (odds + 1 - probability))


def _odds(probability: FloatArray) -> FloatArray:
    return np.asarray(probability / np.maximum(1 - probability, 1e-12))


def _connect(
    exists: BoolArray, odds: FloatArray, kept: BoolArray, rng: np.random.Generator
) -> tuple[int, bool]:
    """Give every kept node the neighbors it lacks, in place; how many edges that took, and whether all have them."""
    n_added, whole = 0, True
    orphans = kept & ~exists.any(axis=0)
    orphans[0] = False
    for node in np.flatnonzero(orphans):
        source = _chosen(odds[:, node], rng)
        if source is None:
            whole = False
        else:
            exists[source, node] = True
            n_added += 1
    childless = kept & ~exists.any(axis=1)
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


def _as_graph(skeleton: Skeleton, drawn: Drawn) -> igraph.Graph:
    position = np.full(len(skeleton.names), -1)
    position[drawn.nodes] = np.arange(len(drawn.nodes))
    edges: Sequence[tuple[int, int]] = list(map(tuple, position[drawn.edges].tolist()))
    graph = igraph.Graph(n=len(drawn.nodes), edges=edges, directed=True)
    graph.vs[NAME] = [skeleton.names[node] for node in drawn.nodes]
    graph.vs[STAGE] = skeleton.stage[drawn.nodes].tolist()
    return graph
