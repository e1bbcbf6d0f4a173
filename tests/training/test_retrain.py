import dataclasses

import pytest

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.training.retrain import unpruned_parameters

TAU = 0.45


@pytest.fixture(scope="module")
def thinned(digits):
    """A run whose pruned graph is much smaller than the full one."""
    config = gt.TrainConfig(epochs=2, batch_size=40, edge_l1=0.02, learning_rate=0.05)
    run = gt.train(gt.full_dag(7), data=digits, channels=3, seed=4, config=config, progress=False)
    strong = {("v0", "v2"), ("v2", "v3"), ("v3", "v6"), ("v0", "v6")}
    graph = run.graph.copy()
    graph.es["weight"] = [0.9 if pair in strong else 0.1 for pair in edge_names(graph)]
    return dataclasses.replace(run, graph=graph)


@pytest.fixture(scope="module")
def same(thinned, tmp_path_factory):
    return gt.retrain(thinned, out=tmp_path_factory.mktemp("again"), threshold=TAU, progress=False)


def test_the_pruned_graph_is_trained_as_the_run_was(thinned, same):
    assert same.config == thinned.config.replace(seed=1004, reset_weights=True)
    assert same.record["data_fingerprint"] == thinned.record["data_fingerprint"]
    assert set(edge_names(same.graph)) == set(edge_names(gt.prune(thinned.graph, threshold=TAU)))
    assert same.config.optimization.edge_l1 == 0.02


def test_edges_and_parameters_start_anew(thinned, same):
    assert same.history.magnitudes[0] == pytest.approx(0.5)
    assert same.seed == thinned.seed + 1000
    again = gt.retrain(thinned, threshold=TAU, seed=4, progress=False)
    assert again.seed == 4
    assert again.graph.es["w"] != same.graph.es["w"]


def test_the_new_graph_knows_what_it_came_from(same):
    known = gt.provenance(same.graph)
    assert known["retrained"] == {"seed": 4, "threshold": TAU, "channels": 3}
    assert known["initial"]["edges"] == 21
    assert known["prior"]["name"] == "full"
    assert gt.measure(same.graph)["sparsity"] == 1 - 4 / 21


def test_fitted_channels_come_nearest_to_the_full_network(thinned):
    pruned = gt.prune(thinned.graph, threshold=TAU)
    full = gt.compiler.count_parameters(thinned.graph, channels=3)
    assert unpruned_parameters(thinned) == full
    quick = {"epochs": 1, "batch_size": 60}
    fitted = gt.retrain(thinned, channels="fit", threshold=TAU, **quick, progress=False)
    found = fitted.config.model.channels
    distances = {c: abs(gt.compiler.count_parameters(pruned, channels=c) - full) for c in range(1, 20)}
    assert found == min(distances, key=distances.get) > 3
    small = gt.retrain(thinned, channels="fit", budget=1, threshold=TAU, **quick, progress=False)
    assert small.config.model.channels == 1
    five = gt.retrain(thinned, channels=5, threshold=TAU, **quick, progress=False)
    assert five.config.model.channels == 5


def test_a_finished_run_is_opened_and_not_trained_again(thinned, same):
    again = gt.retrain(thinned, out=same.folder, threshold=TAU, progress=False)
    assert again.metrics.equals(same.metrics)
    assert again.graph.es["w"] == same.graph.es["w"]
    with pytest.raises(gt.errors.RunError, match="seed"):
        gt.retrain(thinned, out=same.folder, threshold=TAU, seed=7, progress=False)


def test_a_run_from_a_file_finds_its_data_again(tmp_path):
    quick = gt.TrainConfig(epochs=1, batch_size=512)
    run = gt.train(
        gt.full_dag(4), data="cdigits", channels=1, config=quick, out=tmp_path / "run", progress=False
    )
    again = gt.retrain(gt.Run.open(run.folder), out=tmp_path / "again", threshold=0, progress=False)
    assert gt.Run.open(again.folder).data().fingerprint == run.data().fingerprint
    stored = dataclasses.replace(run, record={**run.record, "data_fingerprint": "other"}, _data=None)
    with pytest.raises(gt.errors.RunError, match="not the data"):
        gt.retrain(stored, threshold=0, progress=False)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"channels": "more"}, gt.errors.ArgumentError),
        ({"channels": "same", "budget": 1000}, gt.errors.ArgumentError),
        ({"channels": 0}, gt.errors.ArgumentError),
        ({"threshold": 0.99}, gt.errors.DisconnectedError),
    ],
)
def test_what_cannot_be_retrained_is_an_error(thinned, options, error):
    with pytest.raises(error):
        gt.retrain(thinned, **{"threshold": TAU, "progress": False} | options)
