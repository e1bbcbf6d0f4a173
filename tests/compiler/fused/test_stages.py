import pytest
import torch
from helpers import staged, staged_dags
from hypothesis import given

import graphtask as gt
from graphtask.compiler.fused.stages import plan_stages
from graphtask.compiler.fused.weighted_sum import n_pieces
from graphtask.compiler.plan import make_plan
from graphtask.errors import ArgumentError


@given(staged_dags(max_nodes=12))
def test_the_stages_hold_every_node_and_every_edge_once(graph):
    plan = make_plan(graph)
    stages = plan_stages(plan)
    assert [key for stage in stages for key in stage.keys] == [node.key for node in plan.nodes]
    assert sorted(int(edge) for stage in stages for edge in stage.edges) == list(range(graph.ecount()))
    expected = {
        incoming.edge: (incoming.source, position)
        for position, node in enumerate(plan.nodes)
        for incoming in node.incoming
    }
    for stage in stages:
        positions = [source.node for source in stage.sources]
        positions += range(stage.first, stage.first + stage.n_nodes)
        for edge, target, row in zip(stage.edges, stage.targets, stage.rows, strict=True):
            assert (positions[row], stage.first + target) == expected[edge]
        for source in stage.sources:
            node = plan.nodes[source.node]
            assert (source.key, stage.stage) in [reduction[:2] for reduction in node.reduces]


def test_dense_stages_are_products_and_sparse_ones_edge_by_edge():
    dense, sparse = (
        plan_stages(make_plan(graph))
        for graph in (gt.full_dag(60, stages=3), gt.random_dag(500, out_degree=4, seed=0, stages=3))
    )
    assert [(stage.strategy, stage.width) for stage in dense] == [("dense", 4)] * 3
    assert [(stage.strategy, stage.width) for stage in sparse] == [("sparse", 1)] * 3
    small = plan_stages(make_plan(staged([(0, 1)], [0, 2])))
    assert [(stage.strategy, stage.n_sources) for stage in small] == [("sparse", 0), ("sparse", 1)]


@pytest.mark.parametrize(("n_edges", "strategy"), [(122, "sparse"), (123, "dense"), (190, "dense")])
def test_twenty_nodes_are_dense_from_two_thirds_of_their_edges_on(n_edges, strategy):
    chain = [(i, i + 1) for i in range(19)]
    others = [(i, j) for j in range(20) for i in range(j - 1)]
    (stage,) = plan_stages(make_plan(staged(chain + others[: n_edges - 19], [0] * 20)))
    assert (stage.strategy, stage.width) == (strategy, 4 if strategy == "dense" else 1)


@pytest.mark.parametrize(("n_nodes", "width"), [(4, 1), (100, 10), (400, 16)])
def test_blocks_are_as_wide_as_the_root_of_the_nodes_up_to_sixteen(n_nodes, width):
    (stage,) = plan_stages(make_plan(gt.full_dag(n_nodes, stages=1)))
    assert stage.width == width


@pytest.mark.parametrize(("n_edges", "strategy"), [(194, "sparse"), (195, "dense"), (419, "dense")])
def test_twenty_nodes_with_twenty_sources_are_dense_from_a_third_of_their_edges_on(n_edges, strategy):
    chains = [(i, i + 1) for i in range(39) if i != 19]
    across = [(i, i + 20) for i in range(20)]  # so that every node is a source
    others = [(i, j) for i in range(20) for j in range(20, 40) if j != i + 20]
    edges = chains + across + others[: n_edges - 39]
    stage = plan_stages(make_plan(staged(edges, [0] * 20 + [1] * 20)))[1]
    assert (stage.n_sources, len(stage.edges), stage.strategy) == (20, n_edges, strategy)


@pytest.mark.parametrize("numel", [1, 4096, 4097, 2**17, 11 * 128 * 32 * 32])
def test_sparse_rows_are_cut_into_pieces_that_stay_in_the_cache(numel):
    assert numel % n_pieces(numel) == 0
    assert numel / n_pieces(numel) <= 4096  # elements, 16 kB


def test_an_explanation_counts_what_the_budget_counts():
    graph = gt.random_dag(30, out_degree=4, seed=0, stages=[10, 12, 8])
    explanation = gt.compile(graph, channels=5, in_channels=2).explain(batch=7, size=(31, 20))
    macs = (
        gt.compiler.count_macs(graph, channels=5, in_channels=2, size=(31, 20)) - 20 * 10
    )  # without the linear layer
    assert explanation.flops == 2 * 7 * macs
    assert sum(stage.edges for stage in explanation.stages) == graph.ecount()


def test_an_explanation_shows_the_memory_of_training_and_inference():
    explanation = gt.compile(gt.full_dag(60, stages=3), channels=11).explain()
    assert explanation.inference_bytes < explanation.least_bytes < explanation.training_bytes
    assert "fused execution" in repr(explanation)
    assert "\n" not in repr(explanation)
    halved = gt.compile(gt.full_dag(60, stages=3), channels=11).half().explain()
    assert halved.training_bytes == explanation.training_bytes / 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert gt.compile(gt.full_dag(60, stages=3), channels=11).explain() == halved


def test_an_explanation_shows_which_stages_are_computed_again():
    graph = gt.full_dag(12, stages=3)

    def explained(recompute):
        return gt.compile(graph, channels=3, recompute=recompute).explain()

    nothing, first, everything = explained(False), explained([0]), explained(True)
    assert [stage.kept_bytes > 0 for stage in first.stages] == [False, True, True]
    assert (first.recompute, everything.recompute) == ((0,), (0, 1, 2))
    for explanation in (nothing, first, everything):
        assert explanation.least_bytes == everything.training_bytes
    saved = nothing.training_bytes - first.training_bytes
    # What one stage keeps beside its values, but for the room in which its sums are computed again.
    assert 0.5 * nothing.stages[0].kept_bytes < saved < nothing.stages[0].kept_bytes


@pytest.mark.parametrize("arguments", [{"batch": 0}, {"size": 3}, {"size": (8, -1)}, {"batch": "many"}])
def test_an_explanation_of_nothing_is_refused(arguments):
    module = gt.compile(gt.full_dag(4, stages=3), channels=2)
    with pytest.raises(ArgumentError):
        module.explain(**arguments)
