import igraph
import numpy as np
import pytest

import graphtask as gt
from graphtask.metrics.view import GraphView, Options, UndefinedMetricError


def view_of(graph):
    return GraphView(graph, Options())


@pytest.mark.parametrize("n", [2, 20, 255, 256, 257, 300])
@pytest.mark.parametrize("density", [0.01, 0.5])
def test_edges_are_those_of_the_graph(n, density):
    pairs = np.argwhere(np.triu(np.random.default_rng(n).random((n, n)) < density, k=1))
    pairs = np.concatenate([pairs, pairs[:3], [[n - 1, 0]]])  # some are parallel, one leads back
    graph = igraph.Graph(n=n, edges=pairs, directed=True)
    assert sorted(map(tuple, view_of(graph).edges.tolist())) == sorted(map(tuple, pairs.tolist()))


@pytest.mark.parametrize("stages", [[0, 1], [0.0, 1.0], [np.int64(0), 1]])
def test_stages_may_be_any_whole_numbers(stages):
    graph = gt.chain_dag(2)
    graph.vs["stage"] = stages
    assert view_of(graph).stage.tolist() == [0, 1]


@pytest.mark.parametrize("wrong", [-1, 2**53, 10**30, True, 0.5, "1", None, float("nan")])
def test_other_stages_are_none(wrong):
    graph = gt.chain_dag(2)
    graph.vs["stage"] = [0, wrong]
    with pytest.raises(UndefinedMetricError, match="the stage of vertex 1"):
        _ = view_of(graph).stage
