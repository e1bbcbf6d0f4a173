import igraph
import numpy as np
import pytest
from helpers import shuffled

import graphtask as gt
from graphtask.metrics.extended import EXTENDED
from graphtask.metrics.registry import all_metrics

AUTHORS_FEATURES = """
    num_nodes num_edges reduce_frac edges_per_node density transitivity average_clustering average_node_connectivity
    average_shortest_path_length s_metric_norm global_reaching_centrality edge_connectivity modularity_trace
    intrastage interstage hops_per_node mean_degree std_degree span_degree 021D 021U 021C 030T log_paths mean_path
    std_paths min_path max_path span_path outter_edges mean_in_degree mean_out_degree max_degree min_degree
    degree_assortativity closeness_centrality closeness_centrality_mean betweenness_centrality_mean
    current_flow_closeness_centrality_mean current_flow_betweenness_centrality_mean second_order_centrality_mean
    communicability_betweenness_centrality_mean communicability communicability_start_mean communicability_end_mean
    radius diameter local_efficiency global_efficiency efficiency page_rank page_rank_mean constraint_mean
    effective_size_mean closeness_vitality_mean wiener_index expA expA_mean n_bottlenecks pca_elongation
"""
IN_THE_PAPER_SET = {
    "num_nodes": "nodes",
    "num_edges": "edges",
    "std_paths": "std_path",
    "communicability": "ln_communicability",
    "expA": "ln_communicability_directed",
} | {
    name: name
    for name in (
        "edge_connectivity",
        "mean_degree",
        "log_paths",
        "mean_path",
        "min_path",
        "max_path",
        "pca_elongation",
    )
}


def star(n):
    return igraph.Graph(
        n=n + 2,
        edges=[(0, k) for k in range(1, n + 1)] + [(k, n + 1) for k in range(1, n + 1)],
        directed=True,
    )


def tadpole(clique, tail):
    edges = [(i, j) for i in range(clique) for j in range(i + 1, clique)]
    return igraph.Graph(edges=edges + [(clique - 1 + k, clique + k) for k in range(tail)], directed=True)


def random(n, density):
    chosen = np.random.default_rng(n).random((n, n)) < density
    return gt.dag_from_predicate(n, lambda i, j: bool(chosen[i, j]), stages=3)


SHAPES = {
    "edge": gt.chain_dag(2),
    "chain": gt.chain_dag(150, stages=3),
    "full": gt.full_dag(60, stages=3),
    "star": star(60),
    "tadpole": tadpole(20, 40),
    "sparse": random(120, 0.02),
    "dense": random(60, 0.5),
}


def test_every_feature_of_the_authors_has_its_metric():
    named = {
        metric.source.partition(";")[0].split()[4] for metric in EXTENDED if "2002.08104: " in metric.source
    }
    assert named | set(IN_THE_PAPER_SET) == set(AUTHORS_FEATURES.split())
    extended = {metric.name for metric in all_metrics() if "extended" in metric.sets}
    assert set(IN_THE_PAPER_SET.values()) <= extended


@pytest.mark.parametrize("shape", SHAPES)
def test_extreme_shapes_stay_in_range_and_keep_their_values_when_renumbered(shape):
    graph = SHAPES[shape].copy()
    graph.vs["stage"] = 0
    graph.es["weight"] = [1 / (2 + k % 7) for k in range(graph.ecount())]
    metrics = [metric for metric in all_metrics() if metric in EXTENDED and not metric.per_stage]
    names = [metric.name for metric in metrics]
    row, again = (gt.measure(each, metrics=names) for each in (graph, shuffled(graph, 1)))
    assert row["undefined"] == again["undefined"]
    for metric in metrics:
        value = row[metric.name]
        if metric.kind == "text":
            assert value == again[metric.name]
        elif f"{metric.name}: " not in row["undefined"]:
            assert metric.low <= value <= metric.high, metric.name
            if not metric.order_dependent:
                assert again[metric.name] == pytest.approx(value, rel=1e-9, abs=1e-12), metric.name


def test_only_what_no_graph_of_this_kind_has_is_undefined():
    graph = random(40, 0.1)
    graph.es["weight"] = 0.5
    assert gt.measure(graph, metrics="extended", channels=2)["undefined"] == ""


def test_what_needs_too_many_steps_is_skipped_unless_asked_for_by_name(monkeypatch):
    names = [
        *("mean_closeness_vitality", "mean_node_connectivity", "mean_current_flow_betweenness"),
        *("mean_communicability_betweenness", "local_efficiency"),
    ]
    monkeypatch.setattr("graphtask.metrics.simple._MOST_STEPS", 10)
    graph = random(30, 0.2)
    table = gt.measure_all([graph], metrics="extended")
    for name in names:
        assert "skipped, it needs " in table.attrs["undefined"][0][name]
    assert gt.measure(graph, metrics=names)["undefined"] == ""
