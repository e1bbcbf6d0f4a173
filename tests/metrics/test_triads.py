import networkx as nx
import numpy as np
import pytest
from helpers import every, loose_dags, random_graphs

import graphtask as gt
from graphtask.metrics import triads
from graphtask.metrics.triads import METRICS
from graphtask.metrics.view import GraphView, Options

NAMES = [metric.name for metric in METRICS]
GRAPHS = random_graphs(250, seed=12) + [graph for graph in loose_dags(400, seed=13) if graph.ecount()]


def directed(graph):
    result = nx.DiGraph()
    result.add_nodes_from(range(graph.vcount()))
    result.add_edges_from(graph.get_edgelist())
    return result


def by_networkx(graph):
    theirs = directed(graph)
    census, m = nx.triadic_census(theirs), graph.ecount()
    leading = [node for node in theirs if theirs.out_degree(node)]
    sizes, constraints = nx.effective_size(theirs), nx.constraint(theirs)
    return {
        **{f"triads_{kind}": census[kind] / m for kind in ("021D", "021U", "021C", "030T")},
        "transitivity": nx.transitivity(theirs),
        "mean_clustering": nx.average_clustering(theirs),
        "mean_effective_size": np.mean([sizes[node] for node in leading]),
        "mean_constraint": np.mean([constraints[node] for node in leading]),
    }


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # networkx, isolated nodes
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("small", [256, 0])
@every(5)
def test_everything_equals_networkx(monkeypatch, small, step):
    monkeypatch.setattr(triads, "SMALL", small or 1)
    for graph in GRAPHS[::step]:
        row = gt.measure(graph, metrics=NAMES)
        assert row.pop("undefined") == ""
        assert row == pytest.approx(by_networkx(graph), rel=1e-12, abs=1e-12)


def test_the_formula_of_large_graphs_counts_every_triangle():
    chosen = np.random.default_rng(0).random((700, 700)) < 0.3
    graph = gt.dag_from_predicate(700, lambda i, j: bool(chosen[i, j]))
    adjacency = np.array(graph.get_adjacency().data)
    expected = int(((adjacency @ adjacency) * adjacency).sum())
    assert triads.triads(GraphView(graph, Options())).transitive == expected


@pytest.mark.parametrize("n", [2, 3, 60, 2000])
def test_the_chain_has_its_closed_forms(n):
    row = gt.measure(gt.chain_dag(n), metrics=NAMES)
    assert row["triads_021C"] == (n - 2) / (n - 1)
    for name in ("triads_021D", "triads_021U", "triads_030T", "transitivity", "mean_clustering"):
        assert row[name] == 0
    assert row["mean_effective_size"] == pytest.approx((2 * (n - 2) + 1) / (n - 1))


@pytest.mark.parametrize("n", [3, 60, 300])
def test_the_full_dag_has_its_closed_forms(n):
    row = gt.measure(gt.full_dag(n), metrics=NAMES)
    assert row["triads_030T"] == pytest.approx((n - 2) / 3)
    assert row["transitivity"] == row["mean_clustering"] == 0.5
    assert row["mean_effective_size"] == pytest.approx(1)
    assert row["mean_constraint"] == pytest.approx((2 * n - 3) ** 2 / (n - 1) ** 3)


def test_metrics_of_triads_need_an_edge():
    assert (
        "the graph has no edges"
        in gt.measure(loose_dags(1, seed=1, most_nodes=1)[0], metrics="triads_030T")["undefined"]
    )
