from collections import Counter

import numpy as np
import pytest
from helpers import random_graphs, repeated

import graphtask as gt


def pruned_graphs(count, *, seed):
    """Graphs as pruning leaves them, each with the graph that it was."""
    rng = np.random.default_rng(seed)
    pairs = []
    while len(pairs) < count:
        for graph in random_graphs(count, seed=int(rng.integers(2**31)), most_nodes=14):
            graph.es["weight"] = rng.random(graph.ecount()).tolist()
            threshold = min(rng.random(), gt.critical_threshold(graph))
            pairs.append((graph, gt.prune(graph, threshold=threshold)))
    return pairs[:count]


def inside(graph):
    """Edges with both ends in one stage."""
    return Counter(
        edge.source_vertex["stage"]
        for edge in graph.es
        if edge.source_vertex["stage"] == edge.target_vertex["stage"]
    )


def sizes_of_blocks(graph, channels, in_channels, n_classes):
    """The parameters, block by block: two convolutions (3×3 and 1×1) and two normalizations each."""

    def block(before, after):
        return 9 * before * after + before * after + 4 * after

    width = [channels * 2**stage for stage in graph.vs["stage"]]
    entry = graph.vs.select(_indegree=0).indices[0]
    total = graph.ecount() + (width[graph.vs.select(_outdegree=0).indices[0]] + 1) * n_classes
    for node in graph.vs:
        total += block(in_channels if node.index == entry else width[node.index], width[node.index])
        above = {width[other] for other in graph.successors(node) if width[other] != width[node.index]}
        total += sum(block(width[node.index], wider) for wider in above)
    return total


@repeated(500)
def test_sizes_and_sparsities_of_pruned_graphs_equal_counts_one_by_one(count):
    lost = 0
    for before, after in pruned_graphs(count, seed=40):
        row = gt.measure(after, metrics="paper", channels=3, in_channels=2, n_classes=7)
        kept_inside, all_inside = inside(after), inside(before)
        assert (row["nodes"], row["edges"]) == (len(after.vs), len(after.es))
        assert row["mean_degree"] == sum(after.degree()) / len(after.vs)
        assert row["sparsity"] == pytest.approx(1 - len(after.es) / len(before.es))
        assert row["parameters"] == sizes_of_blocks(after, 3, 2, 7)
        for stage in set(before.vs["stage"]):
            assert row[f"nodes_stage_{stage}"] == after.vs["stage"].count(stage)
            if all_inside[stage]:
                share = kept_inside[stage] / all_inside[stage]
                assert row[f"sparsity_stage_{stage}"] == pytest.approx(1 - share)
            else:
                assert f"sparsity_stage_{stage}: " in row["undefined"]
        lost += len(after.es) < len(before.es)
    assert count / 2 < lost < count
