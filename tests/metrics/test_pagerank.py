import networkx as nx
import pytest
from helpers import random_graphs, repeated

import graphtask as gt


@repeated(500)
def test_the_rank_of_the_output_equals_networkx(count):
    for graph in random_graphs(count, seed=30):
        theirs = nx.pagerank(
            nx.DiGraph(graph.get_edgelist()), alpha=0.85, tol=1e-15, max_iter=1000, weight=None
        )
        output = graph.vs.select(_outdegree=0).indices[0]
        row = gt.measure(graph, metrics=["pagerank_output", "mean_pagerank"])
        assert row["pagerank_output"] == pytest.approx(theirs[output], abs=1e-12)
        assert row["mean_pagerank"] == pytest.approx(sum(theirs.values()) / graph.vcount(), abs=1e-12)


@pytest.mark.parametrize("n", [2, 60, 2000])
def test_the_chain_has_its_closed_form(n):
    ranks = [(1 - 0.85 ** (k + 1)) / 0.15 for k in range(n)]
    row = gt.measure(gt.chain_dag(n), metrics="pagerank_output")
    assert row["pagerank_output"] == pytest.approx(ranks[-1] / sum(ranks), rel=1e-12)
