import numpy as np
import pytest

import graphtask as gt


def trained(weights):
    graph = gt.full_dag(4, stages=1)
    graph.es["weight"] = weights
    return graph


def test_the_stability_of_an_edge_is_the_share_of_the_pruned_graphs_that_have_it():
    rng = np.random.default_rng(0)
    graphs = [trained(rng.random(6)) for _ in range(9)]
    found = gt.dynamics.edge_stability(graphs, threshold=0.4)
    sets = []
    for graph in graphs:
        try:
            left = gt.prune(graph, threshold=0.4)
            sets.append({(left.vs[edge.source]["name"], left.vs[edge.target]["name"]) for edge in left.es})
        except gt.errors.DisconnectedError:
            sets.append(set())
    for edge in found.graph.es:
        pair = found.graph.vs[edge.source]["name"], found.graph.vs[edge.target]["name"]
        assert edge["stability"] == sum(pair in one for one in sets) / 9
        row = found.table.set_index(["source_node", "target_node"]).loc[pair]
        weights = [graph.es[edge.index]["weight"] for graph in graphs]
        assert (row["stability"], row["weight_mean"]) == (edge["stability"], pytest.approx(np.mean(weights)))
        assert row["weight_std"] == pytest.approx(np.std(weights, ddof=1))
    assert found.n_selected == np.mean([len(one) for one in sets])
    assert found.false_bound(0.75) == pytest.approx(found.n_selected**2 / 3)
    assert (found.selected(0.5)["stability"] >= 0.5).all()


def test_edges_are_matched_by_name_and_other_graphs_are_refused():
    graph = trained([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    other = graph.permute_vertices([3, 1, 2, 0])
    found = gt.dynamics.edge_stability([graph, other], threshold=0.25)
    assert set(found.table["stability"]) <= {0.0, 1.0}
    with pytest.raises(gt.errors.ArgumentError, match="graphs must be trained from the same initial graph"):
        gt.dynamics.edge_stability([graph, trained([1] * 6).subgraph([0, 1, 2])])
    with pytest.raises(gt.errors.ArgumentError, match="graphs must be at least one trained graph"):
        gt.dynamics.edge_stability([])
    with pytest.raises(gt.errors.ArgumentError, match=r"cutoff must be a number in \(0.5, 1\]"):
        found.false_bound(0.5)
