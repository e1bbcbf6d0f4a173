import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphtask as gt
from graphtask.compiler.gates import raw_weight
from graphtask.runs.history import load_history

OPTIONS = {"channels": 2, "epochs": 2, "batch_size": 60, "progress": False}
CUBE = "my_gates:cube"


def naive_cube(w):
    return w**3 / (1 + w**2)


@pytest.fixture
def gates(tmp_path, monkeypatch):
    """A module of the user's, outside the package, with a gate that never saturates and is flat at zero."""
    (tmp_path / "my_gates.py").write_text("def cube(w):\n    return w**3 / (1 + w**2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield CUBE
    sys.modules.pop("my_gates", None)


def test_a_gate_by_name_or_as_a_function_trains_the_same_network(gates, digits):
    named = gt.train(gt.full_dag(4), data=digits, gate=gates, **OPTIONS)
    from my_gates import cube

    given_itself = gt.train(gt.full_dag(4), data=digits, gate=cube, **OPTIONS)
    assert named.config.model.gate == given_itself.config.model.gate == gates
    assert named.config.code == {"gate": gates}
    assert all(torch.equal(value, given_itself.weights[key]) for key, value in named.weights.items())
    assert gt.provenance(named.graph)["gate"] == gates


def test_every_table_of_a_run_has_the_values_of_its_gate(gates, digits, tmp_path):
    run = gt.train(gt.full_dag(4), data=digits, gate=gates, edge_l1=0.02, out=tmp_path / "run", **OPTIONS)
    expected = np.abs(naive_cube(run.history.w.astype(np.float64)))
    np.testing.assert_allclose(run.history.magnitudes, expected, rtol=1e-5, atol=1e-9)
    assert run.history.magnitudes[0] == pytest.approx(0.5)
    np.testing.assert_allclose(run.graph.es["weight"], expected[-1], rtol=1e-5)
    np.testing.assert_allclose(run.metrics["resource_loss"], expected[1:].sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        run.metrics["edge_change"].iloc[0],
        abs(1 - expected[1].sum() / expected[0].sum()),
        rtol=1e-4,
    )
    table = gt.sweep(run, thresholds=[0, 0.45], metrics="edges", progress=False).table
    assert table["edges"].iloc[0] == (expected[-1] > 0).sum()
    parity = gt.training.parity(run, threshold=gt.critical_threshold(run.graph))
    assert parity.edges_after < parity.edges_before
    assert parity.difference_thresholded_folded < 1e-5
    assert math.isclose(parity.score_thresholded, parity.score_folded)


def test_the_history_of_a_custom_gate_is_read_without_its_code(gates, digits, tmp_path):
    run = gt.train(gt.full_dag(4), data=digits, gate=gates, out=tmp_path / "run", **OPTIONS)
    sys.modules.pop("my_gates", None)
    again = gt.Run.open(tmp_path / "run")
    assert again.history.magnitudes.tolist() == run.history.magnitudes.tolist()
    assert gt.prune(again.graph, threshold=0.4).ecount() <= 6
    with pytest.raises(gt.errors.RunError, match=r"custom gate '?my_gates:cube'?, which is not imported"):
        again.module()
    assert "my_gates" not in sys.modules
    assert gt.Run.open(tmp_path / "run", imports=[gates]).module().gate == gates


def test_a_killed_run_with_a_custom_gate_resumes_bit_for_bit(gates, digits, tmp_path):
    class Stop(gt.training.Callback):
        def epoch(self, _trainer, row):
            if row["epoch"] == 1:
                raise KeyboardInterrupt

    options = {"data": digits, "gate": gates, **OPTIONS}
    whole = gt.train(gt.full_dag(4), **options)
    with pytest.raises(KeyboardInterrupt):
        gt.train(gt.full_dag(4), out=tmp_path / "run", callbacks=[Stop()], **options)
    resumed = gt.train(gt.full_dag(4), out=tmp_path / "run", **options)
    assert all(torch.equal(value, resumed.weights[key]) for key, value in whole.weights.items())
    assert resumed.history.factors.tolist() == whole.history.factors.tolist()


def test_a_trained_graph_is_compiled_with_the_gate_of_its_training_only(gates):
    graph = gt.full_dag(4)
    net = gt.compile(graph, channels=2, gate=gates)
    trained = gt.compiler.write_back(net, graph)
    assert torch.equal(gt.compile(trained, channels=2, gate=gates).edge_weight, net.edge_weight)
    with pytest.raises(gt.errors.ArgumentError, match=f"gate must be '{CUBE}', with which"):
        gt.compile(trained, channels=2)


def test_the_gradient_goes_through_the_gate(gates):
    net = gt.compile(gt.full_dag(5), channels=2, gate=gates).double()
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(
            net, {"edge_weight": w}, (torch.ones(3, 3, 8, 8).double(),)
        ).sum(),
        net.edge_weight.detach().clone().requires_grad_(),
    )


def test_an_own_loop_records_a_custom_gate(gates, digits):
    net = gt.compile(gt.full_dag(4), channels=2, gate=gates, n_classes=digits.n_classes)
    recorder = gt.EdgeHistory.record(net)
    with torch.no_grad():
        net.edge_weight.mul_(0.5)
    recorder.step()
    run = gt.Run.from_module(net, data=digits, history=recorder.history)
    np.testing.assert_allclose(run.graph.es["weight"], recorder.history.magnitudes[-1], rtol=1e-6)


def test_proximal_steps_need_a_gate_with_a_known_inverse(gates, digits):
    with pytest.raises(gt.errors.ArgumentError, match=f"edge_update='proximal' needs gate .* got '{CUBE}'"):
        gt.train(gt.full_dag(4), data=digits, gate=gates, edge_update="proximal", **OPTIONS)


@given(st.floats(-19, 19))
def test_the_initial_weight_is_found_for_every_value_of_a_rising_gate(value):
    found = raw_weight(naive_cube, value, name="cube")
    assert naive_cube(found) == pytest.approx(value, abs=1e-12)


@given(st.floats(-0.999, 0.999))
def test_of_several_initial_weights_the_one_nearest_to_zero_is_taken(value):
    assert raw_weight(torch.sin, value, name="sin") == pytest.approx(math.asin(value), abs=1e-6)


def test_factors_are_stored_for_custom_gates_only(tmp_path):
    w = np.zeros((2, 1), dtype=np.float32)
    with pytest.raises(gt.errors.ArgumentError, match="factors must be given if the gate is a custom one"):
        gt.EdgeHistory((("a", "b"),), w, gate=CUBE)
    with pytest.raises(gt.errors.ArgumentError, match="factors must be given if the gate is a custom one"):
        gt.EdgeHistory((("a", "b"),), w, factors=w)
    for wrong, message in [
        ({"gate": CUBE}, "array 'factors' must be there"),
        ({"gate": "tanh", "factors": w}, "array 'factors' must be there"),
        ({"gate": CUBE, "factors": w[:1]}, "must be floats of the shape of 'w'"),
        ({"gate": "relu"}, "array 'gate' must be one of tanh, sigmoid, none, or package.module:name"),
    ]:
        np.savez(tmp_path / "history.npz", w=w, source=np.array(["a"]), target=np.array(["b"]), **wrong)
        with pytest.raises(gt.errors.RunError, match=message):
            load_history(tmp_path / "history.npz")


def test_a_gate_that_mixes_the_edges_is_refused():
    with pytest.raises(
        gt.errors.ArgumentError, match=r"gate must be a function of a tensor .* each of its elements"
    ):
        gt.compile(gt.full_dag(4), channels=1, gate=normalized)


def normalized(w):
    return w / w.norm()
