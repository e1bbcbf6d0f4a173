import subprocess
import sys

import networkx as nx
import pytest
import torch
from helpers import staged, staged_dags
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import graphtask as gt

small = {"channels": st.integers(1, 4), "in_channels": st.integers(1, 4), "n_classes": st.integers(1, 12)}


def test_the_papers_net_has_863300_parameters_and_is_what_resnet_56_pays_for():
    graph = gt.full_dag(60, stages=3)
    assert gt.compiler.count_parameters(graph, channels=11) == 863_300
    assert gt.compiler.fit_channels(graph, budget=853_018) == 11


@given(staged_dags(), st.fixed_dictionaries(small))
def test_the_count_is_that_of_the_compiled_module(graph, sizes):
    module = gt.compile(graph, **sizes)
    trainable = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    assert gt.compiler.count_parameters(graph, **sizes) == trainable


@given(staged_dags(max_nodes=10, max_stage=4), st.integers(1, 300), small["in_channels"], small["n_classes"])
def test_a_count_as_budget_gives_its_channels_back(graph, channels, in_channels, n_classes):
    sizes = {"in_channels": in_channels, "n_classes": n_classes}
    budget = gt.compiler.count_parameters(graph, channels=channels, **sizes)
    assert gt.compiler.fit_channels(graph, budget=budget, **sizes) == channels


@given(staged_dags(), st.integers(1, 200_000), small["in_channels"], small["n_classes"])
def test_no_other_channels_come_nearer_to_the_budget(graph, budget, in_channels, n_classes):
    sizes = {"in_channels": in_channels, "n_classes": n_classes}
    distance = [
        abs(gt.compiler.count_parameters(graph, channels=channels, **sizes) - budget)
        for channels in range(1, 160)
    ]
    assert gt.compiler.fit_channels(graph, budget=budget, **sizes) == 1 + distance.index(min(distance))


def test_a_budget_beyond_floating_point_is_still_met_exactly():
    graph = gt.full_dag(60, stages=3)
    channels = 10**30 + 7
    assert (
        gt.compiler.fit_channels(graph, budget=gt.compiler.count_parameters(graph, channels=channels))
        == channels
    )


@given(staged_dags(), st.fixed_dictionaries(small), st.integers(0, 9), st.integers(0, 9))
def test_macs_are_what_pytorch_counts_while_the_module_runs(graph, sizes, extra_height, extra_width):
    side = 2 ** max(graph.vs["stage"])
    size = (side + extra_height, side + extra_width)
    module = gt.compile(graph, execution="plain", **sizes).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, sizes["in_channels"], *size))
    assert gt.compiler.count_macs(graph, **sizes, size=size) == counter.get_total_flops() // 2


def test_macs_of_the_papers_net_by_hand():
    graph = gt.full_dag(60, stages=3)
    nodes = 10 * (3 * 11 + 19 * 11**2) * 32**2 + 10 * 20 * 22**2 * 16**2 + 10 * 20 * 44**2 * 8**2
    reduces = 10 * 20 * (11 * 22 * 16**2 + 11 * 44 * 8**2 + 22 * 44 * 8**2)
    assert gt.compiler.count_macs(graph, channels=11) == nodes + reduces + 440


def test_one_number_is_height_and_width():
    graph = gt.chain_dag(5, stages=2)
    assert gt.compiler.count_macs(graph, channels=3, size=7) == gt.compiler.count_macs(
        graph, channels=3, size=(7, 7)
    )


def test_reductions_are_counted_once_for_all_edges_into_a_stage():
    graph = staged([(0, i) for i in (1, 2, 3)] + [(1, 2), (2, 3)], [0, 1, 1, 1])
    assert nx.DiGraph(graph.get_edgelist()).number_of_edges() == 5
    blocks = (10 * 3 * 2 + 8) + 3 * (10 * 16 + 16) + (10 * 2 * 4 + 16)
    assert gt.compiler.count_parameters(graph, channels=2, n_classes=1) == blocks + 5 + 5


def test_two_thousand_nodes_are_counted_at_once():
    assert gt.compiler.count_parameters(gt.banded_dag(2000, bandwidth=50, stages=3), channels=1) > 98_000


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (gt.compiler.count_parameters, {"channels": 0}, "channels must be an integer >= 1, got 0"),
        (gt.compiler.count_parameters, {"channels": 1, "in_channels": 0}, "in_channels must be"),
        (gt.compiler.count_parameters, {"channels": 1, "n_classes": 1.5}, r"n_classes must be .*, got 1\.5"),
        (gt.compiler.fit_channels, {"budget": 0}, "budget must be an integer >= 1, got 0"),
        (gt.compiler.fit_channels, {"budget": 8e5}, r"budget must be an integer >= 1, got 800000\.0"),
        (gt.compiler.count_macs, {"channels": None}, "channels must be"),
        (
            gt.compiler.count_macs,
            {"channels": 1, "size": 3},
            "size must be at least 4×4 pixels for stage 2, got '3×3'",
        ),
        (gt.compiler.count_macs, {"channels": 1, "size": (8, 2)}, "got '8×2'"),
        (
            gt.compiler.count_macs,
            {"channels": 1, "size": "big"},
            r"size \(height\) must be an integer >= 1",
        ),
    ],
)
def test_arguments_out_of_range_are_named(function, arguments, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        function(gt.chain_dag(6, stages=3), **arguments)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (gt.compiler.count_parameters, {"channels": 1}),
        (gt.compiler.fit_channels, {"budget": 9}),
        (gt.compiler.count_macs, {"channels": 1}),
    ],
)
def test_an_invalid_graph_is_refused(function, arguments):
    graph = gt.full_dag(4, stages=2)
    graph.add_edges([(3, 0)])
    with pytest.raises(gt.errors.GraphError, match="cycle"):
        function(graph, **arguments)


def test_budgets_do_without_pytorch():
    code = (
        "import sys, graphtask as gt; g = gt.full_dag(6); gt.compiler.count_parameters(g, channels=2);"
        "gt.compiler.fit_channels(g, budget=9); gt.compiler.count_macs(g, channels=2); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
