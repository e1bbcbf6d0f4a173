"""Builders that several tests share."""

import igraph
import numpy as np
from hypothesis import strategies as st

import graphtask as gt


@st.composite
def architectures(draw, *, max_nodes=12):
    """Valid graphs: any set of forward edges on up to `max_nodes` nodes, orphans repaired, any number of stages."""
    n_nodes = draw(st.integers(2, max_nodes))
    n_pairs = n_nodes * (n_nodes - 1) // 2
    chosen = iter(draw(st.lists(st.booleans(), min_size=n_pairs, max_size=n_pairs)))
    return gt.dag_from(n_nodes, lambda _i, _j: next(chosen), stages=draw(st.integers(1, n_nodes)))


@st.composite
def weighted_architectures(draw, *, max_nodes=12):
    """Valid graphs with a weight in [0, 1] on every edge; equal weights, 0 and 1 come up often."""
    graph = draw(architectures(max_nodes=max_nodes))
    weight = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    graph.es["weight"] = draw(st.lists(weight, min_size=graph.ecount(), max_size=graph.ecount()))
    return graph


def shuffled(graph: igraph.Graph, seed: int) -> igraph.Graph:
    """The same graph with its vertices and its edges in another order."""
    rng = np.random.default_rng(seed)
    order, edge_order = rng.permutation(graph.vcount()), rng.permutation(graph.ecount())
    position = np.argsort(order)
    pairs = [graph.get_edgelist()[index] for index in edge_order]
    result = igraph.Graph(
        n=graph.vcount(), edges=[(position[i], position[j]) for i, j in pairs], directed=True
    )
    for attribute in graph.attributes():
        result[attribute] = graph[attribute]
    for attribute in graph.vs.attributes():
        result.vs[attribute] = [graph.vs[int(index)][attribute] for index in order]
    for attribute in graph.es.attributes():
        result.es[attribute] = [graph.es[int(index)][attribute] for index in edge_order]
    return result
