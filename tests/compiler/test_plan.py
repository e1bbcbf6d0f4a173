import networkx as nx
import pytest
from helpers import staged, staged_dags
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import graphtask as gt
from graphtask.compiler.plan import make_plan, node_key, node_name, reduce_key


@given(staged_dags(max_nodes=12, max_stage=5))
def test_the_plan_says_what_the_graph_says(graph):
    plan = make_plan(graph)
    names = [node.name for node in plan.nodes]
    oracle = nx.DiGraph(graph.to_networkx())
    stage = dict(zip(graph.vs["name"], graph.vs["stage"], strict=True))
    assert sorted(names) == sorted(graph.vs["name"])
    assert plan.n_edges == oracle.number_of_edges()
    seen = set()
    for position, node in enumerate(plan.nodes):
        assert node.stage == stage[node.name]
        assert node.stride == (2**node.stage if position == 0 else 1)
        sources = [edge.source for edge in node.incoming]
        assert sources == sorted(sources)
        assert all(source < position for source in sources)
        for edge in node.incoming:
            ends = graph.es[edge.edge].tuple
            assert [graph.vs[end]["name"] for end in ends] == [names[edge.source], node.name]
            seen.add(edge.edge)
        successors = {
            stage[graph.vs[target]["name"]] for target in oracle.successors(graph.vs["name"].index(node.name))
        }
        assert [reduction.stage for reduction in node.reduces] == sorted(successors - {node.stage})
        assert all(r.stride == 2 ** (r.stage - node.stage) for r in node.reduces)
    assert seen == set(range(plan.n_edges))


def test_edges_into_one_later_stage_share_a_reduction():
    graph = staged([(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)], [0, 1, 1, 3])
    assert [[(r.key, r.stride) for r in node.reduces] for node in make_plan(graph).nodes] == [
        [("[n0]1", 2), ("[n0]3", 8)],
        [],
        [("[n2]3", 4)],
        [],
    ]


def test_the_order_of_edges_does_not_change_the_order_of_summation():
    graph = staged([(0, 3), (1, 3), (2, 3), (0, 1), (0, 2)], [0, 0, 0, 0])
    turned = staged([(2, 3), (0, 2), (1, 3), (0, 1), (0, 3)], [0, 0, 0, 0])
    for plan in (make_plan(graph), make_plan(turned)):
        assert [[edge.source for edge in node.incoming] for node in plan.nodes] == [[], [0], [0], [0, 1, 2]]


def test_a_graph_of_two_thousand_nodes_is_planned_at_once():
    plan = make_plan(gt.banded_dag(2000, bandwidth=5, stages=3))
    assert len(plan.nodes) == 2000
    assert sum(len(node.incoming) for node in plan.nodes) == plan.n_edges


@given(st.text(st.characters(exclude_categories=())), st.integers(0, 30))
def test_keys_give_the_name_back_and_never_hold_a_dot(name, stage):
    assert node_name(node_key(name)) == name
    assert node_name(reduce_key(name, stage)) == name
    assert "." not in node_key(name) + reduce_key(name, stage)
    assert node_key(name).isascii()


@pytest.mark.parametrize("name", [*dir(nn.ModuleDict()), ""])
def test_no_key_is_taken_by_an_attribute_of_the_container(name):
    key = node_key(name)
    assert nn.ModuleDict({key: nn.Identity()})[key] is not None
