"""Sets of graphs for the tests of distributions."""

import igraph
import numpy as np

import graphtask as gt
from graphtask.distribution.pair_model import PairCounts, PairModel
from graphtask.distribution.support import Support


def prunings(count, *, seed, nodes=8, stages=2, keep=0.6):
    """Graphs pruned from one full DAG by chance; weights are left on the edges."""
    rng = np.random.default_rng(seed)
    initial = gt.full_dag(nodes, stages=stages)
    found = []
    while len(found) < count:
        graph = initial.copy()
        graph.es["weight"] = (rng.random(graph.ecount()) < keep).astype(float).tolist()
        try:
            found.append(gt.prune(graph))
        except gt.errors.DisconnectedError:
            continue
    return found


def known_model(seed, *, nodes=9, certain_nodes=True):
    """A pair model whose graphs are valid without repair, and its parameters.

    Every node that is present has an edge from the input and one to the output for certain; all else is chance.
    """
    rng = np.random.default_rng(seed)
    support = Support.of(gt.full_dag(nodes, stages=3))
    edge = rng.uniform(0.05, 0.95, size=len(support.pairs))
    edge[(support.pairs[:, 0] == 0) | (support.pairs[:, 1] == nodes - 1)] = 1.0
    presence = np.ones(nodes) if certain_nodes else rng.uniform(0.2, 0.9, size=nodes)
    presence[[0, -1]] = 1.0
    nothing = PairCounts(1, np.ones(nodes, int), np.ones(len(edge), int), np.ones(len(edge), int))
    return PairModel(support, presence, edge, nothing, edge)


def every_graph(names, stage, pairs):
    """All graphs with these nodes, valid or not: one for each set of the pairs (i, j)."""
    for number in range(2 ** len(pairs)):
        edges = [pair for bit, pair in enumerate(pairs) if number >> bit & 1]
        graph = igraph.Graph(n=len(names), edges=edges, directed=True)
        graph.vs["name"], graph.vs["stage"] = names, stage
        yield graph
