import math
import re

import igraph
import pandas as pd
import pytest
from helpers import random_graphs, shuffled

import graphtask as gt
from graphtask.errors import ArgumentError
from graphtask.metrics.registry import (
    Metric,
    all_metrics,
    metric_sets,
    register_metric,
    select,
    unregister_metric,
)
from graphtask.metrics.view import GraphView, Options, UndefinedMetricError

ODD = [
    igraph.Graph(directed=True),
    igraph.Graph(n=1, directed=True),
    igraph.Graph(n=3, directed=True),
    igraph.Graph(n=2, edges=[(0, 1)], directed=True),
    igraph.Graph(n=3, edges=[(0, 2), (1, 2)], directed=True),
    igraph.Graph(n=3, edges=[(0, 1), (1, 2), (2, 0)], directed=True),
    igraph.Graph(n=3, edges=[(0, 1), (1, 2)]),
    igraph.Graph(n=2, edges=[(0, 1), (1, 1)], directed=True),
    igraph.Graph(n=2, edges=[(0, 1), (0, 1)], directed=True),
]
GRAPHS = random_graphs(60, seed=4)
for graph in GRAPHS[30:]:
    graph.es["weight"] = [(1 + i) / (2 + i + j) for i, j in graph.get_edgelist()]
METRICS = pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)


def rows(graphs, metric):
    return [gt.measure(graph, metrics=[metric.name], channels=3, layout_starts=2) for graph in graphs]


def values(row, metric):
    return {name: value for name, value in row.items() if name.startswith(metric.column)}


@pytest.fixture
def density():
    metric = Metric(name="density", compute=lambda view: view.graph.density(), formula="m/(n(n − 1))")
    register_metric(metric)
    yield metric
    unregister_metric("density")


@METRICS
def test_every_metric_says_what_it_is(metric):
    for text in (metric.formula, metric.meaning, metric.defined_when, metric.cost, metric.source):
        assert text
    assert metric.low < metric.high


@METRICS
def test_every_value_is_in_its_range_or_said_to_be_undefined(metric):
    for row in rows(GRAPHS + ODD, metric):
        for name, value in values(row, metric).items():
            if f"{name}: " in row["undefined"]:
                assert math.isnan(value) or value == -math.inf
            elif metric.kind == "text":
                assert isinstance(value, str)
            else:
                assert metric.low <= value <= metric.high


@pytest.fixture(scope="module")
def table():
    names = [metric.name for metric in all_metrics()]
    return gt.measure_all(GRAPHS + ODD, metrics=names, channels=3, layout_starts=2)


@METRICS
def test_every_metric_is_the_same_alone_and_in_a_table(metric, table):
    for position, row in enumerate(rows(GRAPHS + ODD, metric)):
        for name, value in values(row, metric).items():
            again = table[name][position]
            assert (pd.isna(value) and pd.isna(again)) or value == again


@METRICS
def test_every_metric_ignores_how_vertices_are_numbered(metric):
    if metric.order_dependent:
        assert metric.name in {"pca_elongation", "pca_elongation_spread", "q1d"}
        pytest.skip("a layout depends on the order that it starts from")
    again = [shuffled(graph, seed) for seed, graph in enumerate(GRAPHS)]
    for first, second in zip(rows(GRAPHS, metric), rows(again, metric), strict=True):
        assert first.pop("undefined") == second.pop("undefined")
        assert (
            first == second
            if metric.kind == "text"
            else second == pytest.approx(first, rel=1e-13, abs=metric.error + 1e-14, nan_ok=True)
        )


@METRICS
def test_no_value_moves_by_more_than_a_hundredth_of_its_error_when_nodes_are_renumbered(metric):
    """The declared error has room to spare; exact metrics do not move at all."""
    if metric.order_dependent or metric.kind == "text":
        pytest.skip("a layout starts from an order, and text has no error")
    views = [
        (GraphView(g, Options(channels=3)), GraphView(shuffled(g, 1), Options(channels=3))) for g in GRAPHS
    ]
    for view, again in views:
        for _, _, at in select([metric.name], options=Options()).cells(view.stages):
            try:
                moved = abs(float(metric.compute(view, *at)) - float(metric.compute(again, *at)))
            except UndefinedMetricError:
                continue
            assert moved <= metric.error / 100


@METRICS
def test_every_value_is_a_multiple_of_the_declared_error(metric):
    if metric.error == 0:
        pytest.skip("exact")
    for row in rows(GRAPHS, metric):
        for value in values(row, metric).values():
            assert math.isnan(value) or math.isinf(value) or value == metric.rounded(value)


def test_noise_is_rounded_away():
    diamond = igraph.Graph(n=4, edges=[(0, 1), (0, 2), (1, 3), (2, 3)], directed=True)
    assert gt.measure(diamond)["ln_communicability_directed"] == 0
    assert [gt.measure(gt.full_dag(n))["pca_elongation"] for n in (10, 20, 30, 40, 60)] == [0.0] * 5


@pytest.mark.parametrize("error", [-1e-6, 3e-7, math.nan, "small"])
def test_an_error_that_is_no_power_of_ten_is_refused(error):
    with pytest.raises(ArgumentError, match=r"^error must be "):
        Metric(name="x", compute=lambda _: 0.0, formula="0", error=error)


@METRICS
def test_metrics_read_weights_exactly_if_they_say_so(metric):
    for graph in GRAPHS[:10]:
        weighted = graph.copy()
        weighted.es["weight"] = [0.25 / (1 + edge.index) for edge in weighted.es]
        (without,), (with_weights,) = rows([graph], metric), rows([weighted], metric)
        assert (str(with_weights) == str(without)) == (not metric.reads_weights)


def test_a_metric_of_ones_own_is_selected_by_name(density):
    assert gt.measure(gt.full_dag(4), metrics=["edges", density.name]) == {
        "edges": 6,
        "density": 0.5,
        "undefined": "",
    }


def test_a_metric_of_ones_own_joins_the_sets_that_it_names():
    register_metric(Metric(name="half", compute=lambda _: 0.5, formula="1/2", sets=("mine",)))
    try:
        assert metric_sets() == ["extended", "mine", "motifs", "paper"]
        assert gt.measure(gt.full_dag(4), metrics="mine") == {"half": 0.5, "undefined": ""}
    finally:
        unregister_metric("half")
    assert metric_sets() == ["extended", "motifs", "paper"]


def test_sets_and_names_may_stand_side_by_side():
    graph = gt.full_dag(4)
    paper = gt.measure(graph)
    both = gt.measure(graph, metrics=["diameter", "paper", "edges"])
    assert list(both) == ["diameter", *paper]
    assert both["diameter"] == 1
    large = gt.measure(gt.chain_dag(2_001), metrics=["paper", "edges"])
    assert "ln_communicability: skipped beyond 2000 nodes" in large["undefined"]


def test_a_metric_of_ones_own_may_have_a_column_for_every_stage():
    register_metric(Metric(name="twice_stage_k", compute=lambda _, stage: 2 * stage, formula="2k"))
    try:
        row = gt.measure(gt.full_dag(4, stages=2), metrics="twice_stage_k")
    finally:
        unregister_metric("twice_stage_k")
    assert row == {"twice_stage_0": 0, "twice_stage_1": 2, "undefined": ""}


def test_an_error_in_a_metric_is_a_reason_and_takes_nothing_else_down():
    def undefined(_view):
        raise UndefinedMetricError("no such thing", value=-math.inf)

    register_metric(Metric(name="broken", compute=lambda _: 1 / 0, formula=""))
    register_metric(Metric(name="none", compute=undefined, formula=""))
    register_metric(Metric(name="overflown", compute=lambda _: math.inf, formula=""))
    try:
        row = gt.measure(gt.full_dag(4), metrics=["broken", "none", "overflown", "edges"])
    finally:
        for name in ("broken", "none", "overflown"):
            unregister_metric(name)
    assert math.isnan(row["broken"])
    assert row["none"] == -math.inf
    assert row["edges"] == 6
    assert row["undefined"] == (
        "broken: ZeroDivisionError: division by zero; none: no such thing; "
        "overflown: the computation returned no finite number"
    )


@pytest.mark.parametrize("name", ["edges", "paper", "undefined"])
def test_a_name_is_given_once(name):
    with pytest.raises(ArgumentError, match=rf"^name must be a new name, got '{name}'"):
        register_metric(Metric(name=name, compute=lambda _: 0, formula=""))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pca_elongaton", "did you mean pca_elongation or pca_elongation_spread?"),
        ("Edges", "did you mean edges?"),
        ("papr", "did you mean paper?"),
        ("nodes_stage_0", "did you mean nodes_stage_k?"),
        ("edges_stage_0_12", "did you mean edges_stage_a_b?"),
        (
            "zzzz",
            rf"there are {len(all_metrics())}, and the sets extended, motifs, paper: graphtask metrics --list",
        ),
    ],
)
def test_unknown_names_are_refused_with_what_was_meant(name, hint):
    with pytest.raises(
        ArgumentError,
        match=re.escape(f"metrics must be names of metrics or sets, got {name!r}; ")
        + hint.replace("?", r"\?"),
    ):
        gt.measure(gt.full_dag(3), metrics=["edges", name])


def test_what_was_asked_for_already_is_not_what_was_meant():
    with pytest.raises(ArgumentError, match="did you mean nodes"):
        gt.measure(gt.full_dag(3), metrics=["edges", "nonsense"])
    with pytest.raises(ArgumentError, match=r"'nonsense'; (?!did you mean nodes\b)"):
        gt.measure(gt.full_dag(3), metrics=["nodes", "edges", "nonsense"])


def test_what_nobody_registered_cannot_be_forgotten():
    with pytest.raises(ArgumentError, match=r"^name must be a registered metric, got 'depth'"):
        unregister_metric("depth")


def test_costly_metrics_of_large_graphs_are_skipped_unless_asked_for():
    large = gt.chain_dag(2_001)
    row = gt.measure(large)
    assert row["max_path"] == 2_000
    assert math.isnan(row["ln_communicability"])
    assert (
        "ln_communicability: skipped beyond 2000 nodes (select it by name to compute it)" in row["undefined"]
    )
    assert gt.measure(large, metrics=["ln_communicability"])["ln_communicability"] < -13_000
