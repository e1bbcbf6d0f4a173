import igraph
import pytest
from helpers import architectures, shuffled
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.errors import GraphError
from graphtask.graph import edge_names, node_order
from graphtask.priors.repair import repair_orphans


@given(architectures(), st.data(), st.integers(0, 2**32 - 1))
def test_repaired_graphs_are_valid_and_the_count_is_right(graph, data, seed):
    graph.delete_edges([edge for edge in range(graph.ecount()) if data.draw(st.booleans())])
    graph.vs["stage"] = [0] * graph.vcount()
    graph = shuffled(graph, seed)
    before = edge_names(graph)
    repaired, n_added = repair_orphans(graph)
    gt.check_graph(repaired)
    assert edge_names(repaired)[: len(before)] == before
    assert repaired.ecount() == len(before) + n_added
    assert edge_names(graph) == before
    position = {node: index for index, node in enumerate(node_order(graph))}
    added = repaired.get_edgelist()[len(before) :]
    assert all(position[target] == position[source] + 1 for source, target in added)
    for source, target in added:
        assert graph.degree(target, mode="in") == 0 or graph.degree(source, mode="out") == 0


@given(architectures())
def test_a_valid_graph_needs_no_repair(graph):
    assert repair_orphans(graph).n_added == 0


def test_without_edges_the_repair_is_a_chain():
    assert repair_orphans(igraph.Graph(n=4, directed=True)).graph.get_edgelist() == [(0, 1), (1, 2), (2, 3)]


def test_a_node_that_got_a_successor_by_the_first_pass_gets_no_second():
    graph, n_added = repair_orphans(igraph.Graph(n=3, edges=[(0, 1)], directed=True))
    assert (graph.get_edgelist(), n_added) == ([(0, 1), (1, 2)], 1)


def test_a_cycle_cannot_be_repaired():
    with pytest.raises(GraphError, match="cycle"):
        repair_orphans(igraph.Graph([(0, 1), (1, 0)], directed=True))
