"""The explorer's JavaScript gives exactly the numbers of prune, critical_threshold and measure."""

import json
from pathlib import Path

import igraph
import numpy as np
import pytest
import quickjs

import graphtask as gt
from graphtask import reporting
from graphtask.graph import with_initial_size
from graphtask.reporting.explorer_data import explorer_data

RULES = (Path(reporting.__file__).parent / "assets" / "rules.js").read_text(encoding="utf-8")
POSITIONS = {f"v{node}": (0.0, 0.0) for node in range(100)}


def weighted(seed):
    rng = np.random.default_rng(seed)
    prior = [
        gt.full_dag(9, stages=3),
        gt.random_dag(25, seed=seed, stages=3),
        gt.banded_dag(14, bandwidth=3, stages=2),
    ]
    graph = with_initial_size(prior[seed % 3])
    weights = rng.random(graph.ecount()) ** 4
    weights[rng.random(graph.ecount()) < 0.1] = 0.25  # ties
    graph.es["weight"] = weights.tolist()
    return graph


@pytest.fixture(scope="module")
def context():
    context = quickjs.Context()
    context.eval(RULES + "\nvar G;")
    return context


def in_javascript(context, graph, threshold):
    data = explorer_data(graph, name="g", positions=POSITIONS)
    context.eval(f"G = {json.dumps(data)}; graphtaskRules.prepare(G);")
    found = context.eval(
        "JSON.stringify((() => { const f = graphtaskRules.prune(G, THRESHOLD);"
        " return {connected: f.connected, nodes: f.nodes, edges: f.edges, inside: f.inside, critical: G.critical,"
        " alive: Array.from(f.alive), live: Array.from(f.live), names: G.nodes,"
        " sparsity: graphtaskRules.sparsity(f.edges, G.initial.edges),"
        " paths: graphtaskRules.pathsThrough(G, f).map(String)}; })())".replace("THRESHOLD", repr(threshold))
    )
    return json.loads(found)


@pytest.mark.parametrize("seed", range(24))
def test_the_numbers_at_every_threshold_are_those_of_the_library(context, seed):
    graph = weighted(seed)
    for threshold in [
        0.0,
        0.006,
        *sorted(set(graph.es["weight"]))[:: max(1, graph.ecount() // 6)],
        0.25,
        0.99,
    ]:
        found = in_javascript(context, graph, threshold)
        assert found["critical"] == gt.critical_threshold(graph)
        try:
            pruned = gt.prune(graph, threshold=threshold)
        except gt.errors.DisconnectedError:
            assert not found["connected"]
            assert (found["nodes"], found["edges"]) == (0, 0)
            continue
        measured = gt.measure(pruned)
        assert found["connected"]
        assert (found["nodes"], found["edges"]) == (pruned.vcount(), pruned.ecount())
        assert found["sparsity"] == measured["sparsity"]
        alive = {name for name, lives in zip(found["names"], found["live"], strict=True) if lives}
        assert alive == set(pruned.vs["name"])


@pytest.mark.parametrize("seed", range(6))
def test_paths_through_nodes_are_those_of_an_enumeration(context, seed):
    graph = weighted(3 * seed)  # the full DAG of 9 nodes
    found = in_javascript(context, graph, 0.02)
    try:
        pruned = gt.prune(graph, threshold=0.02)
    except gt.errors.DisconnectedError:
        return
    ends = [pruned.degree(mode=mode).index(0) for mode in ("in", "out")]
    paths = pruned.get_all_simple_paths(*ends)
    counts = dict.fromkeys(pruned.vs["name"], 0)
    for path in paths:
        for node in path:
            counts[pruned.vs[node]["name"]] += 1
    told = dict(zip(found["names"], map(int, found["paths"]), strict=True))
    assert {name: told[name] for name in counts} == counts


def test_the_rules_need_nodes_in_topological_order_whatever_the_order_of_the_file(context):
    graph = weighted(0)
    shuffled = igraph.Graph(directed=True)
    order = np.random.default_rng(1).permutation(graph.vcount())
    shuffled.add_vertices(
        graph.vcount(), {name: [graph.vs[int(v)][name] for v in order] for name in graph.vs.attributes()}
    )
    shuffled.add_edges([(graph.vs[edge.source]["name"], graph.vs[edge.target]["name"]) for edge in graph.es])
    shuffled.es["weight"] = graph.es["weight"]
    shuffled["provenance"] = graph["provenance"]
    assert in_javascript(context, shuffled, 0.1)["alive"] == in_javascript(context, graph, 0.1)["alive"]
