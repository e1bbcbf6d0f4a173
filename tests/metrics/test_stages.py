from collections import Counter

import igraph
import pandas as pd
import pytest
from helpers import random_graphs, repeated

import graphtask as gt
from graphtask.metrics.stages import METRICS

NAMES = [metric.name for metric in METRICS]


@repeated(500)
def test_everything_equals_a_count_edge_by_edge(count):
    for graph in random_graphs(count, seed=14, most_nodes=12):
        stage, n, m = graph.vs["stage"], graph.vcount(), graph.ecount()
        pairs = Counter((stage[i], stage[j]) for i, j in graph.get_edgelist())
        rises = Counter()
        for (first, second), times in pairs.items():
            rises[second - first] += times
        blocks = {(i, stage[j]) for i, j in graph.get_edgelist() if stage[j] > stage[i]}
        row = gt.measure(graph, metrics=NAMES)
        assert row.pop("undefined") == ""
        assert row.pop("reduce_fraction") == len(blocks) / n
        assert row.pop("intrastage") == rises[0] / m
        assert row.pop("interstage") == rises[1] / m
        assert row.pop("outer_edges") == pytest.approx(1 - rises[0] / m)
        assert row.pop("hops_per_node") == sum(rises[k] for k in rises if k > 1) / n
        stages = sorted(set(stage))
        assert list(row) == [f"edges_stage_{a}_{b}" for a in stages for b in stages if a <= b]
        assert all(row[f"edges_stage_{a}_{b}"] == pairs[a, b] for a in stages for b in stages if a <= b)


def test_the_reduce_blocks_are_those_of_the_compiled_network():
    pytest.importorskip("torch")
    graph = gt.full_dag(12, stages=3)
    blocks = round(gt.measure(graph, metrics="reduce_fraction")["reduce_fraction"] * 12)
    module = gt.compile(graph, channels=1)
    assert blocks == len(module.reduces)


def test_a_table_has_a_column_for_every_pair_of_stages_of_any_graph():
    table = gt.measure_all([gt.full_dag(4, stages=1), gt.full_dag(4, stages=2)], metrics=["edges_stage_a_b"])
    assert list(table.columns) == ["edges_stage_0_0", "edges_stage_0_1", "edges_stage_1_1"]
    assert table.iloc[1].tolist() == [1, 4, 1]
    assert pd.isna(table["edges_stage_0_1"][0])


def test_pairs_of_the_most_stages_get_a_column_each():
    assert len(gt.measure(gt.chain_dag(31, stages=31), metrics="edges_stage_a_b")) == 31 * 32 // 2 + 1


def test_stages_that_fall_or_are_missing_are_told():
    graph = igraph.Graph(n=2, edges=[(0, 1)], directed=True)
    assert "no vertex has a stage" in gt.measure(graph, metrics="intrastage")["undefined"]
    graph.vs["stage"] = [1, 0]
    row = gt.measure(graph, metrics=["intrastage", "edges_stage_a_b"])
    assert row["undefined"].count("the stage falls along an edge") == 4
