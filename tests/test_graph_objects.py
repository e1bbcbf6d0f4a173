"""Every public function that takes a graph takes those of networkx, torch-geometric, scipy, numpy and pandas."""

import inspect
import types

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from matplotlib.figure import Figure

import graphtask as gt
from graphtask.graph import edge_names

FULL = gt.full_dag(6, stages=2)
CHAIN = gt.chain_dag(6, stages=2)
TRAINED = FULL.copy()
TRAINED.es["weight"] = [0.9 - 0.05 * index for index in range(FULL.ecount())]
TRAINED.es["w"] = TRAINED.es["weight"]
NET = gt.compile(FULL, channels=2)
HISTORY = gt.EdgeHistory(edges=tuple(edge_names(FULL)), w=np.linspace(0.1, 0.9, 30).reshape(2, 15))
GRAPHS = [gt.priors.erdos_renyi_dag(8, p=p, seed=seed) for p in (0.3, 0.8) for seed in range(3)]
DIGITS = {"channels": 1, "epochs": 1, "batch_size": 32, "progress": False}
FITTED = gt.GraphDistribution.fit([FULL, CHAIN, FULL], correspond=True)


def many(of):
    return [of(graph) for graph in GRAPHS]


# Each public function with a parameter that is a graph or several; `of` makes an object of another library.
CALLS = {
    "gt.as_architecture": lambda of: gt.as_architecture(of(FULL)),
    "gt.as_igraph": lambda of: gt.as_igraph(of(FULL)),
    "gt.check_graph": lambda of: gt.check_graph(of(FULL)),
    "gt.compare": lambda of: gt.compare(many(of), ["a"] * 3 + ["b"] * 3).dsc,
    "gt.compile": lambda of: gt.compile(of(TRAINED), channels=2),
    "gt.compiler.count_macs": lambda of: gt.compiler.count_macs(of(FULL), channels=2, size=8),
    "gt.compiler.count_parameters": lambda of: gt.compiler.count_parameters(of(FULL), channels=2),
    "gt.critical_threshold": lambda of: gt.critical_threshold(of(TRAINED)),
    "gt.dice_similarity": lambda of: gt.dice_similarity(of(FULL), of(CHAIN)),
    "gt.diff": lambda of: gt.diff(of(FULL), of(CHAIN)).summary(),
    "gt.draw": lambda of: gt.draw(of(FULL), of(CHAIN)),
    "gt.compiler.extract_subnetwork": lambda of: gt.compiler.extract_subnetwork(NET, of(FULL)),
    "gt.features_of": lambda of: gt.features_of(many(of)).values,  # noqa: PD011
    "gt.compiler.fit_channels": lambda of: gt.compiler.fit_channels(of(FULL), budget=5_000),
    "gt.l1_path": lambda of: gt.l1_path(of(CHAIN), data=images(), edge_l1s=[0.01], **DIGITS).runs[0].graph,
    "gt.measure": lambda of: gt.measure(of(FULL), metrics="extended", channels=2),
    "gt.measure_all": lambda of: gt.measure_all([of(FULL), of(CHAIN)], channels=2),
    "gt.priors.orient_edges": lambda of: gt.priors.orient_edges(
        of(FULL).to_undirected() if isinstance(of(FULL), nx.Graph) else FULL.as_undirected(),
        order="ids",
        stages=2,
    ).get_edgelist(),
    "gt.provenance": lambda of: gt.provenance(of(FULL)),
    "gt.prune": lambda of: gt.prune(of(TRAINED), threshold=0.5),
    "gt.priors.randomize": lambda of: gt.priors.randomize(of(GRAPHS[0]), 2, seed=0)[1],
    "gt.to_geometric": lambda of: gt.as_igraph(gt.to_geometric(of(FULL))),
    "gt.to_networkx": lambda of: gt.as_igraph(gt.to_networkx(of(FULL))),
    "gt.train": lambda of: gt.train(of(CHAIN), data=images(), **DIGITS).graph,
    "gt.two_sample_test": lambda of: gt.two_sample_test(many(of)[:3], many(of)[3:]).p_value,
    "gt.view": lambda of: gt.view(of(FULL)).html,
    "gt.write": None,  # has a path; tests/storage/test_objects.py
    "gt.compiler.write_back": lambda of: gt.compiler.write_back(NET, of(FULL)),
    "gt.comparison.classify_leave_one_out": lambda of: (
        gt.comparison.classify_leave_one_out(many(of), ["a"] * 3 + ["b"] * 3, n_permutations=9).accuracy
    ),
    "gt.comparison.embed": lambda of: gt.comparison.embed(many(of)).points,
    "gt.comparison.pairwise_dice_similarity": lambda of: gt.comparison.pairwise_dice_similarity(many(of)),
    "gt.comparison.rbf_similarity": lambda of: gt.comparison.rbf_similarity(many(of)),
    "gt.dynamics.edge_dynamics": lambda of: gt.dynamics.edge_dynamics(
        HISTORY, threshold=0.3, retained=of(CHAIN)
    ),
    "gt.dynamics.edge_overlap": lambda of: gt.dynamics.edge_overlap(HISTORY, retained=of(CHAIN)),
    "gt.dynamics.edge_stability": lambda of: gt.dynamics.edge_stability([of(TRAINED)] * 2).graph,
    "gt.dynamics.top_k_graph": lambda of: gt.dynamics.top_k_graph(of(FULL), HISTORY).graph,
    "gt.inference.classifier_test": lambda of: (
        gt.inference.classifier_test(many(of)[:3], many(of)[3:], n_permutations=2, steps=1).statistic
    ),
    "gt.inference.metric_tests": lambda of: gt.inference.metric_tests(many(of)[:3], many(of)[3:]),
    "gt.inference.null_model_tests": lambda of: gt.inference.null_model_tests(of(GRAPHS[0]), n_nulls=3),
    "gt.inference.pairwise_tests": lambda of: gt.inference.pairwise_tests(
        {"a": many(of)[:3], "b": many(of)[3:]}
    ),
    "gt.plot.draw_diff": lambda of: gt.plot.draw_diff(of(FULL), of(CHAIN)),
    "gt.plot.draw_distribution": lambda of: gt.plot.draw_distribution(
        FITTED.edge_probabilities(), of(FITTED.mean_graph())
    ),
    "gt.plot.draw_grid": lambda of: gt.plot.draw_grid({"a": of(FULL), "b": of(CHAIN)}),
    "gt.GraphDistribution.log_prob": lambda of: FITTED.log_prob(of(CHAIN)),
    "gt.GraphDistribution.log_prob_error": lambda of: FITTED.log_prob_error(of(CHAIN)),
    "gt.GraphDistribution.obstacle": lambda of: FITTED.obstacle(of(gt.chain_dag(4, stages=1))),
    "gt.GraphDistribution.log_prob_before_conditioning": lambda of: FITTED.log_prob_before_conditioning(
        of(CHAIN)
    ),
    "gt.GraphDistribution.fit": lambda of: (
        gt.GraphDistribution.fit([of(gt.full_dag(4)), of(gt.full_dag(4))], correspond=True).n_graphs
    ),
    "gt.GraphDistribution.log_prob_leave_one_out": None,  # fits, as the one above
    "gt.GraphDistribution.most_likely": None,
    "gt.GraphDistribution.goodness_of_fit": None,
    "gt.GraphDistribution.compare_metrics": lambda of: gt.GraphDistribution.compare_metrics(
        many(of)[:3], many(of)[3:], metrics=["edges"]
    ),
}
OTHER_MEANINGS = {  # of a parameter of such a name
    "gt.from_networkx",
    "gt.from_geometric",
    "gt.from_adjacency",
    "gt.inference.cliffs_delta",
    "gt.inference.hedges_g",
    "gt.plot.draw_observed_sampled",
}
NAMES = {"graph", "graphs", "first", "second", "edges_a", "retained", "mean_graph", "a", "sample", "groups"}
NAMES |= {"others", "observed"}


def images():
    rng = np.random.default_rng(0)
    return tuple(rng.random((32, 3, 8, 8), dtype=np.float32)), tuple(np.arange(32) % 10)


def public_functions():
    places = {"gt": gt} | {
        f"gt.{name}": getattr(gt, name)
        for name in gt.__all__
        if isinstance(getattr(gt, name), types.ModuleType)
    }
    places["gt.GraphDistribution"] = gt.GraphDistribution
    seen = set()
    for place, owner in places.items():
        for name in getattr(owner, "__all__", None) or vars(owner):
            found = getattr(owner, name)
            is_function = inspect.isfunction(found) or inspect.ismethod(found)
            if not name.startswith("_") and is_function and found not in seen:
                seen.add(found)
                yield f"{place}.{name}", found


def test_every_public_function_with_a_graph_is_in_this_table():
    found = {
        name for name, function in public_functions() if NAMES & set(inspect.signature(function).parameters)
    }
    assert found - CALLS.keys() - OTHER_MEANINGS == set()


def described(value):
    """A value of any function here as something that compares by ==."""
    if isinstance(value, igraph.Graph):
        columns = {name: value.vs[name] for name in value.vs.attributes()}
        edges = sorted(
            zip(edge_names(value), *(value.es[n] for n in sorted(value.es.attributes())), strict=True)
        )
        return columns, edges, gt.provenance(value)
    if isinstance(value, Figure):
        return [[len(axes.lines), len(axes.collections), len(axes.patches)] for axes in value.axes]
    if isinstance(value, torch.nn.Module):
        return {key: tensor.tolist() for key, tensor in value.state_dict().items()}
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}
    return repr(np.asarray(value).tolist()) if isinstance(value, np.ndarray) else repr(value)


@pytest.mark.parametrize("library", ["networkx", "torch-geometric"])
@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call is not None])
def test_it_gives_for_other_libraries_what_it_gives_for_igraph(name, library):
    if library == "torch-geometric":
        pytest.importorskip("torch_geometric")
    of = {"networkx": gt.to_networkx, "torch-geometric": gt.to_geometric}[library]
    assert described(CALLS[name](of)) == described(CALLS[name](lambda graph: graph))


@pytest.mark.parametrize(
    "of",
    [
        lambda graph: np.array(graph.get_adjacency().data),
        lambda graph: scipy.sparse.csr_array(np.array(graph.get_adjacency().data)),
        lambda graph: pd.DataFrame(
            graph.get_adjacency().data, index=graph.vs["name"], columns=graph.vs["name"]
        ),
    ],
    ids=["numpy", "scipy", "pandas"],
)
def test_matrices_are_graphs_without_stages(of):
    assert gt.as_architecture(of(FULL), stages=2).get_edgelist() == FULL.get_edgelist()
    assert gt.measure(of(FULL), metrics="max_path")["max_path"] == 5
    assert gt.dice_similarity(of(FULL), of(CHAIN)) == gt.dice_similarity(FULL, CHAIN)
    assert gt.comparison.rbf_similarity([of(FULL), of(CHAIN)]).shape == (2, 2)
    for call in (gt.prune, gt.draw, gt.view, gt.to_networkx, gt.critical_threshold, gt.priors.randomize):
        options = {"seed": 0} if call is gt.priors.randomize else {}
        with pytest.raises(gt.errors.GraphError, match="no vertex has a `stage`"):
            call(of(FULL), **options)


def test_one_matrix_is_not_several_graphs():
    matrix = np.array(FULL.get_adjacency().data)
    with pytest.raises(gt.errors.ArgumentError, match="graphs must be several graphs, got ndarray"):
        gt.measure_all(matrix)
    with pytest.raises(gt.errors.ArgumentError, match="graphs must be a list of graphs, got ndarray"):
        gt.GraphDistribution.fit(matrix)
