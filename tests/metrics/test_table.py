import math

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from helpers import random_graphs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import graphtask as gt
from graphtask.errors import ArgumentError, GraphError
from graphtask.graph import with_provenance
from graphtask.metrics.registry import all_metrics
from graphtask.metrics.table import with_reasons
from graphtask.parameters import parameter_polynomial

COLUMNS = [
    *("sparsity", "sparsity_stage_0", "sparsity_stage_1", "nodes", "nodes_stage_0", "nodes_stage_1"),
    *("edges", "parameters", "log_paths", "mean_path", "std_path", "min_path", "max_path"),
    *("ln_communicability", "ln_communicability_directed", "edge_connectivity", "mean_degree"),
    *("pca_elongation", "q1d", "undefined"),
]


def thinned(graph, *edges):
    result = graph.copy()
    result.delete_edges(list(edges))
    return result


def test_the_columns_come_in_the_documented_order():
    assert list(gt.measure(gt.full_dag(6, stages=2))) == COLUMNS
    assert list(gt.measure_all([gt.full_dag(6, stages=2)]).columns) == COLUMNS[:-1]


def test_rows_come_in_the_order_of_the_graphs_from_any_iterable():
    sizes = [7, 3, 12, 5]
    assert gt.measure_all(gt.chain_dag(n) for n in sizes)["nodes"].tolist() == sizes


def test_no_graphs_are_no_rows():
    table = gt.measure_all([])
    assert len(table) == 0
    assert list(table.columns) == [name for name in COLUMNS[:-1] if "_stage_" not in name]


def test_stages_of_all_graphs_get_columns_and_those_without_say_so():
    table = gt.measure_all([gt.full_dag(6, stages=1), gt.full_dag(6, stages=3)], metrics=["nodes_stage_k"])
    assert list(table.columns) == ["nodes_stage_0", "nodes_stage_1", "nodes_stage_2"]
    assert table.iloc[1].tolist() == [2, 2, 2]
    assert table["nodes_stage_0"].tolist() == [6, 2]
    assert table["nodes_stage_1"][0] is pd.NA
    missing = "the graph has no such stage"
    assert table.attrs["undefined"] == {0: {"nodes_stage_1": missing, "nodes_stage_2": missing}}
    assert with_reasons(table)["undefined"].tolist() == [
        f"nodes_stage_1: {missing}; nodes_stage_2: {missing}",
        "",
    ]


def test_sparsity_is_relative_to_the_initial_graph_in_all_and_per_stage():
    graph = thinned(gt.full_dag(6, stages=2), (0, 1), (0, 4), (1, 5))
    row = gt.measure(graph)
    assert row["sparsity"] == 3 / 15
    assert (row["sparsity_stage_0"], row["sparsity_stage_1"]) == (1 / 3, 0)


def test_a_stage_that_was_lost_keeps_its_columns():
    graph = gt.full_dag(6, stages=3)
    graph.es["weight"] = [float(edge in {(0, 1), (1, 5)}) for edge in graph.get_edgelist()]
    row = gt.measure(gt.prune(graph, threshold=0.5))
    assert [row[f"nodes_stage_{stage}"] for stage in range(3)] == [2, 0, 1]
    assert [row[f"sparsity_stage_{stage}"] for stage in range(3)] == [0, 1, 1]


def test_unknown_initial_sizes_are_said():
    graph = gt.full_dag(4, stages=1)
    del graph["provenance"]
    row = gt.measure(graph)
    assert math.isnan(row["sparsity"])
    assert "sparsity: the provenance has no initial size" in row["undefined"]


@pytest.mark.parametrize(
    "initial", ["text", {}, {"edges": "x"}, {"edges": None}, {"edges": 0}, {"edges": math.inf}]
)
def test_nonsense_in_the_provenance_is_a_reason_not_an_error(initial):
    row = gt.measure(with_provenance(gt.full_dag(4), initial=initial, channels="many"))
    assert math.isnan(row["sparsity"])
    assert math.isnan(row["sparsity_stage_0"])
    assert "parameters: channels in the provenance is 'many'" in row["undefined"]


def test_parameters_are_those_of_the_compiled_network():
    assert gt.measure(gt.full_dag(60, stages=3), channels=11)["parameters"] == 863_300
    for graph in random_graphs(200, seed=5):
        row = gt.measure(graph, metrics="parameters", channels=5, in_channels=1, n_classes=7)
        assert row["parameters"] == parameter_polynomial(graph, in_channels=1, n_classes=7).at(5)


def test_parameters_of_a_trained_graph_need_no_arguments():
    graph = with_provenance(gt.full_dag(10, stages=2), channels=4, in_channels=1, n_classes=3)
    polynomial = parameter_polynomial(graph, in_channels=1, n_classes=3)
    assert gt.measure(graph)["parameters"] == polynomial.at(4)
    assert gt.measure(graph, channels=6)["parameters"] == polynomial.at(6)


def test_parameters_without_channels_are_undefined():
    row = gt.measure(gt.full_dag(4, stages=1))
    assert math.isnan(row["parameters"])
    assert row["undefined"].startswith("parameters: unknown channel count (pass channels=11")


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ([0, None, 1], "the stage of vertex 1 is None"),
        ([0, "one", 1], "the stage of vertex 1 is 'one'"),
        ([0, 0.5, 1], "the stage of vertex 1 is 0.5"),
        ([0, -1, 1], "the stage of vertex 1 is -1"),
        ([1, 0, 1], "the stage falls along an edge"),
        ([0, 0, 10**9], "stage 1000000000 would have 2^1000000000 channels"),
        ([0, 0, 10**30], f"the stage of vertex 2 is {10**30}"),
    ],
)
def test_stages_that_make_no_network_leave_the_other_metrics_alone(stages, reason):
    graph = igraph.Graph(n=3, edges=[(0, 1), (1, 2)], directed=True)
    graph.vs["stage"] = stages
    row = gt.measure(graph, channels=2)
    assert f"parameters: {reason}" in row["undefined"]
    assert row["mean_path"] == 2
    assert row["pca_elongation"] == pytest.approx(1, abs=1e-3)


def test_every_table_has_the_same_dtypes():
    chain, two_inputs = gt.chain_dag(4), igraph.Graph(n=3, edges=[(0, 2), (1, 2)], directed=True)
    names = [metric.name for metric in all_metrics()]
    tables = [
        gt.measure_all(graphs, metrics=names) for graphs in ([chain], [chain, two_inputs], [two_inputs])
    ]
    for table in tables:
        kinds = {metric.column: metric.kind for metric in all_metrics() if not metric.per_stage}
        for name, kind in kinds.items():
            expected = {"number": "float64", "count": "Int64", "flag": "boolean", "text": "object"}[kind]
            assert str(table[name].dtype) == expected, name
    assert tables[1]["max_path"].tolist() == [3, pd.NA]
    assert tables[1]["q1d"].tolist() == [False, pd.NA]
    assert sum("the graph has 2 inputs" in reason for reason in tables[1].attrs["undefined"][1].values()) > 9
    joined = pd.concat(tables[:2], ignore_index=True)
    assert (joined.dtypes == tables[0].dtypes).all()


def test_a_table_goes_into_scikit_learn():
    graphs = [gt.priors.erdos_renyi_dag(12, p=0.3, seed=seed) for seed in range(6)]
    graphs += [gt.banded_dag(12, bandwidth=3)] * 6
    table = gt.measure_all(graphs, channels=4)
    labels = [0] * 6 + [1] * 6
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, labels)
    assert model.score(table, labels) == 1


def test_names_become_the_index():
    graphs = {"chain": gt.chain_dag(4, stages=1), "full": gt.full_dag(4, stages=1)}
    table = gt.measure_all(graphs, metrics=["edges", "parameters"])
    assert table.index.tolist() == ["chain", "full"]
    assert table["edges"].to_dict() == {"chain": 3, "full": 6}
    assert list(table.attrs["undefined"]) == ["chain", "full"]


def test_graphs_of_networkx_are_measured():
    theirs = nx.DiGraph([("a", "b"), ("b", "c"), ("a", "c")])
    ours = gt.full_dag(3, stages=1)
    metrics = ["edges", "log_paths", "edge_connectivity", "pca_elongation"]
    assert gt.measure(theirs, metrics=metrics) == gt.measure(ours, metrics=metrics)
    table = gt.measure_all({"theirs": theirs, "ours": ours}, metrics=metrics)
    assert table.loc["theirs"].tolist() == table.loc["ours"].tolist()


def test_q1d_is_long_and_held_together_by_two_edges():
    ladder = igraph.Graph(
        n=42,
        edges=[(0, 1), (0, 2), (39, 41), (40, 41)]
        + [(i, i + 2) for i in range(1, 39)]
        + [(i, i + 1) for i in range(1, 40, 2)],
        directed=True,
    )
    row = gt.measure(ladder)
    assert row["pca_elongation"] > 0.25
    assert row["edge_connectivity"] == 2
    assert row["q1d"] is True
    assert gt.measure(gt.chain_dag(20))["q1d"] is False
    assert gt.measure(gt.full_dag(20))["q1d"] is False


@pytest.mark.slow
@pytest.mark.parametrize("reach", [10, 50_000])
def test_a_graph_of_100_000_nodes_and_a_million_edges_is_measured(reach):
    n = 100_000
    rng = np.random.default_rng(reach)
    sources = np.repeat(np.arange(n - 1), 10)
    targets = np.minimum(sources + rng.integers(1, reach + 1, len(sources)), n - 1)
    spine = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    edges = np.unique(np.concatenate([np.stack([sources, targets], axis=1), spine]), axis=0)
    graph = igraph.Graph(n=n, edges=edges.tolist(), directed=True)
    graph.vs["stage"] = (np.arange(n) * 3 // n).tolist()
    row = gt.measure(graph, channels=8)
    assert row["max_path"] == n - 1
    assert row["undefined"].count("skipped beyond 2000 nodes") == 4


def test_the_graph_is_left_alone():
    graph = gt.full_dag(8)
    before = (graph.get_edgelist(), graph.vs["name"], graph.vs["stage"], dict(graph["provenance"]))
    gt.measure(graph, channels=2, layout_starts=2)
    assert before == (graph.get_edgelist(), graph.vs["name"], graph.vs["stage"], dict(graph["provenance"]))


@pytest.mark.parametrize(
    "bad",
    [
        {"channels": 0},
        {"channels": 1.5},
        {"channels": True},
        {"in_channels": -1},
        {"n_classes": "10"},
        {"layout_starts": 0},
        {"layout_seed": -1},
    ],
)
def test_arguments_out_of_range_are_refused(bad):
    name = next(iter(bad))
    for call in (lambda: gt.measure(gt.full_dag(3), **bad), lambda: gt.measure_all([], **bad)):
        with pytest.raises(ArgumentError, match=f"^{name} must be an integer >= .*, got "):
            call()


def test_what_is_not_a_graph_is_refused():
    with pytest.raises(GraphError, match=r"^graph must be a graph .*got 'full.graphml'"):
        gt.measure("full.graphml")
    with pytest.raises(GraphError, match=r"^graphs\[1\] must be a graph .*got None"):
        gt.measure_all([gt.full_dag(3), None])
    for wrong in (gt.full_dag(3), 5):
        with pytest.raises(ArgumentError, match=r"^graphs must be several graphs, got .*use measure"):
            gt.measure_all(wrong)
