import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from run_folders import accept, unfinish
from torch.nn import functional

import graphtask as gt
from graphtask.runs.lock import is_locked
from graphtask.storage.atomic import remove_leftovers
from graphtask.training.batches import split_batches
from graphtask.training.checkpointing import Checkpointer
from graphtask.training.loop import Trainer, evaluate


def train(digits, config, out=None, *, graph=None, **options):
    options = {"channels": 2, "seed": 3, "progress": False} | options
    return gt.train(graph or gt.full_dag(6), config, data=digits, out=out, **options)


def assert_same_run(one, other):
    assert one.weights.keys() == other.weights.keys()
    for key, value in one.weights.items():
        assert torch.equal(value, other.weights[key]), key
    assert np.array_equal(one.history.w, other.history.w)
    columns = one.metrics.columns.drop("seconds")
    assert one.metrics[columns].equals(other.metrics[columns])
    assert one.graph.es["w"] == other.graph.es["w"]


def test_a_run_records_every_epoch_and_every_edge(run, quick):
    assert run.metrics["epoch"].tolist() == [1, 2]
    assert run.metrics["learning_rate"].tolist() == [
        quick.optimization.learning_rate_at(0),
        quick.optimization.learning_rate_at(1),
    ]
    assert run.history.w.shape == (3, 15)
    assert run.history.magnitudes[0] == pytest.approx(0.5)
    assert run.history.edges[0] == ("v0", "v1")
    assert run.graph.es["w"] == run.history.w[-1].tolist()
    assert run.graph.es["weight"] == pytest.approx(run.history.magnitudes[-1], rel=1e-6)
    assert run.metrics["resource_loss"].iloc[-1] == pytest.approx(run.history.magnitudes[-1].sum(), rel=1e-6)
    assert (
        run.metrics["live_edges"].iloc[-1]
        == (run.history.magnitudes[-1] >= quick.optimization.threshold).sum()
    )


def test_the_trained_graph_knows_where_it_comes_from(run, digits):
    known = gt.provenance(run.graph)
    assert known["data"] == digits.name
    assert (known["seed"], known["channels"], known["epochs"]) == (3, 2, 2)
    assert known["initial"]["edges"] == 15
    assert known["data_fingerprint"] == digits.fingerprint


def test_a_data_set_can_be_called_as_one_likes(digits, quick, tmp_path):
    np.savez(
        tmp_path / "scans.npz",
        x_train=digits.x_train,
        y_train=digits.y_train,
        x_test=digits.x_test,
        y_test=digits.y_test,
    )
    named = train(tmp_path / "scans.npz", quick, tmp_path / "run", data_name="cscans")
    assert gt.provenance(named.graph)["data"] == named.data_name == "cscans"
    assert gt.Run.open(tmp_path / "run").data().name == "cscans"


def test_the_folder_holds_everything_and_opens_again(run):
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "checkpoint.pt", "config.json", "history.npz", "initial.graphml", "manifest.json", "metrics.csv",
        "provenance.json", "run.lock", "trained.graphml", "weights.safetensors",
    }  # fmt: skip
    assert_same_run(run, gt.Run.open(run.folder))
    environments = json.loads((run.folder / "provenance.json").read_text())["environments"]
    assert "torch" in environments[0]["packages"]


def test_the_trained_run_gives_the_same_logits_through_graphml_compile_and_load(run, digits, tmp_path):
    test = split_batches(digits, gt.TrainConfig(), device=torch.device("cpu")).test
    images, _ = next(iter(test.in_order()))
    gt.write(run.graph, tmp_path / "trained.graphml")
    graph = gt.read(tmp_path / "trained.graphml")
    again = gt.compile(graph, channels=2, n_classes=digits.n_classes, seed=99)
    again.load_state_dict(run.weights)
    with torch.no_grad():
        assert torch.equal(run.module()(images), again.eval()(images))
    assert run.metrics["test_accuracy"].iloc[-1] == evaluate(run.module(), test).score


def test_two_runs_from_one_seed_are_the_same_and_another_seed_is_not(run, digits, quick):
    assert_same_run(run, train(digits, quick))
    other = train(digits, quick, seed=4)
    assert not np.array_equal(other.history.w, run.history.w)


def test_one_step_is_sgd_on_cross_entropy_plus_the_price(digits):
    config = gt.TrainConfig(epochs=1, batch_size=120, learning_rate=0.05, edge_l1=0.1, milestones=())
    trained = train(digits, config)
    net = gt.compile(gt.full_dag(6), channels=2, seed=3)
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    batches = split_batches(digits, config, device=torch.device("cpu")).train
    images, labels = next(iter(batches.epoch(seed=3, epoch=0)))
    loss = functional.cross_entropy(net(images), labels) + 0.1 * net.edge_weight.tanh().abs().sum()
    loss.backward()
    for name, value in net.named_parameters():
        expected = before[name] - 0.05 * (value.grad + 1e-4 * before[name])
        assert torch.allclose(trained.weights[name], expected, rtol=1e-4, atol=1e-6), name
    row = trained.metrics.iloc[0]
    assert row["train_loss"] == pytest.approx(loss.item() - 0.1 * 15 * 0.5, rel=1e-4)


def test_a_high_price_removes_edges_and_no_price_does_not(digits):
    def live_edges(price):
        config = gt.TrainConfig(epochs=6, batch_size=40, edge_l1=price, threshold=0.1)
        return train(digits, config).metrics["live_edges"].iloc[-1]

    assert live_edges(0.3) < live_edges(0.0) == 15


class Killed(BaseException):
    """Stands for a kill: nothing between here and the caller may handle it."""


@pytest.mark.parametrize("moment", range(1, 7))
@pytest.mark.parametrize("every_step", [False, True])
def test_killed_after_any_step_the_run_resumes_to_the_same_bits(
    run, digits, quick, tmp_path, monkeypatch, moment, every_step
):
    steps = 0
    after_step = Checkpointer.after_step

    def killer(self):
        nonlocal steps
        after_step(self)
        steps += 1
        if steps == moment:
            raise Killed

    seconds = 0.0 if every_step else 1e9
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "after_step", killer)
        with pytest.raises(Killed):
            train(digits, quick, tmp_path, checkpoint_seconds=seconds)
    assert_same_run(run, train(digits, quick, tmp_path, checkpoint_seconds=seconds))


def test_ctrl_c_saves_says_how_to_go_on_and_goes_on(run, digits, quick, tmp_path, monkeypatch):
    train_step = Trainer._train_step
    steps = 0

    def interrupted(self, images, labels):
        nonlocal steps
        train_step(self, images, labels)
        steps += 1
        if steps == 4:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", interrupted)
        with pytest.raises(gt.errors.RunInterruptedError, match=r"epoch 2 of 2.*run the same command again"):
            train(digits, quick, tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    assert_same_run(run, train(digits, quick, tmp_path))


def test_a_finished_run_is_opened_and_not_trained_again(run, digits, quick):
    stamp = (run.folder / "weights.safetensors").stat().st_mtime_ns
    assert_same_run(run, train(digits, quick, run.folder))
    assert (run.folder / "weights.safetensors").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 4}, "seed"), ({"channels": 3}, "channels"), ({"graph": gt.full_dag(7)}, "another graph")],
)
def test_a_folder_with_another_run_is_refused_with_the_option_that_differs(run, digits, quick, change, named):
    with pytest.raises(gt.errors.RunError, match=named):
        train(digits, quick, run.folder, **change)


def test_a_different_setting_is_refused_by_its_name(run, digits):
    with pytest.raises(gt.errors.RunError, match=r"learning_rate 0\.05, got 0\.06"):
        train(digits, gt.TrainConfig(epochs=2, batch_size=50, learning_rate=0.06, threshold=0.3), run.folder)
    with pytest.raises(gt.errors.RunError, match="epochs 2, got 1"):
        train(digits, gt.TrainConfig(epochs=1, batch_size=50, learning_rate=0.05, threshold=0.3), run.folder)


def test_a_folder_of_something_else_is_left_alone(digits, quick, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(gt.errors.RunError, match="holds no run"):
        train(digits, quick, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("weights.safetensors", b"\x00" * 40),
        ("history.npz", b"PK"),
    ],
)
def test_a_damaged_file_of_a_run_is_an_error_of_one_line(digits, quick, tmp_path, name, content):
    train(digits, quick, tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gt.errors.RunError) as caught:
        gt.Run.open(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"channels": 0}, {"seed": -1}, {"gate": "relu"}, {"graph": gt.chain_dag(12, stages=6)}]
)
def test_a_wrong_argument_leaves_no_folder_that_would_refuse_the_right_one(digits, quick, tmp_path, wrong):
    with pytest.raises(gt.errors.ArgumentError):
        train(digits, quick, tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_an_unfinished_or_missing_run_says_what_to_do(digits, quick, tmp_path):
    with pytest.raises(gt.errors.RunError, match="not a run folder"):
        gt.Run.open(tmp_path)
    train(digits, quick, tmp_path)
    unfinish(tmp_path)
    with pytest.raises(gt.errors.RunError, match="not finished"):
        gt.Run.open(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_change(digits, tmp_path):
    config = gt.TrainConfig(epochs=2, batch_size=50, learning_rate=1e30, edge_l1=0.0)
    with pytest.raises(gt.errors.DivergedError, match="lower the learning rate"):
        train(digits, config, tmp_path)
    assert not (tmp_path / "weights.safetensors").exists()


def test_one_epoch_is_counted_as_one(digits):
    run = train(digits, gt.TrainConfig(epochs=1, batch_size=50), graph=gt.chain_dag(2))
    assert "2 nodes, 1 edge, 1 epoch, test accuracy" in repr(run)


def test_edge_weights_that_the_last_step_spoils_stop_the_run_too(digits, tmp_path, monkeypatch):
    def spoil(trainer, *batch):
        compute(trainer, *batch)
        with torch.no_grad():
            trainer.module.edge_weight[0] = torch.nan

    compute = Trainer._compute
    monkeypatch.setattr(Trainer, "_compute", spoil)
    config = gt.TrainConfig(epochs=1, batch_size=len(digits.x_train))
    with pytest.raises(gt.errors.DivergedError, match=r"edge weights is not finite.*lower the learning rate"):
        train(digits, config, tmp_path)
    assert not (tmp_path / "trained.graphml").exists()


def test_a_diverged_run_is_not_to_be_gone_on_with(digits, tmp_path, monkeypatch):
    config = gt.TrainConfig(epochs=2, batch_size=50, learning_rate=1e30, edge_l1=0.0)
    with pytest.raises(gt.errors.DivergedError):
        train(digits, config, tmp_path)
    with pytest.raises(
        gt.errors.RunError, match=r"not finished: the loss is not finite.* or take another seed"
    ):
        gt.Run.open(tmp_path)

    def killed(*_args, **_options):
        raise RuntimeError("killed")

    monkeypatch.setattr(Trainer, "fit", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train(digits, config, tmp_path)
    with pytest.raises(gt.errors.RunError, match="run the same train command again"):
        gt.Run.open(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device must be auto, cpu"),
        ({"device": "cuda:77"}, "not available"),
        ({"precision": "fp8"}, "fp32, bf16"),
        ({"threads": 0}, "threads must be an integer >= 1"),
    ],
)
def test_an_option_out_of_range_is_one_line(digits, quick, options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        train(digits, quick, **options)


def test_threads_are_put_back(digits):
    before = torch.get_num_threads()
    train(digits, gt.TrainConfig(epochs=1, batch_size=120), graph=gt.chain_dag(2), threads=before + 1)
    assert torch.get_num_threads() == before


def test_bf16_learns_like_fp32(digits):
    config = gt.TrainConfig(epochs=3, batch_size=40)
    losses = [train(digits, config, precision=kind).metrics["train_loss"] for kind in ("fp32", "bf16")]
    assert np.allclose(losses[0], losses[1], rtol=0.1)
    assert not np.array_equal(losses[0], losses[1])


def test_training_from_a_trained_graph_starts_at_its_weights(run, digits, quick):
    again = train(digits, quick, graph=run.graph)
    assert np.array_equal(again.history.w[0], run.history.w[-1])


def test_a_trained_graph_can_start_anew(run, digits, quick):
    again = train(digits, quick, graph=run.graph, reset_weights=True)
    assert np.array_equal(again.history.w, run.history.w)


def test_resuming_with_other_threads_is_said(digits, quick, tmp_path):
    train(digits, quick, tmp_path, threads=1)
    unfinish(tmp_path)
    with pytest.warns(RuntimeWarning, match="threads 2 instead of 1"):
        train(digits, quick, tmp_path, threads=2)
    assert len(json.loads((tmp_path / "provenance.json").read_text())["environments"]) == 2


def test_weights_of_another_run_are_noticed(run, digits, quick, tmp_path):
    train(digits, quick, tmp_path, seed=4)
    (tmp_path / "weights.safetensors").write_bytes((run.folder / "weights.safetensors").read_bytes())
    accept(tmp_path)
    with pytest.raises(gt.errors.RunError, match="not of one run"):
        gt.Run.open(tmp_path)


def test_weights_that_do_not_fit_the_config_are_an_error_of_one_line(digits, quick, tmp_path):
    train(digits, quick, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model": config["model"] | {"channels": 3}}))
    accept(tmp_path)
    with pytest.raises(gt.errors.RunError, match="do not match the trained graph") as caught:
        gt.Run.open(tmp_path).module()
    assert "\n" not in str(caught.value)


def test_a_run_is_described_on_one_line(run):
    assert "\n" not in repr(run)
    assert "15 edges, 2 epochs" in repr(run)


def test_a_run_of_named_data_loads_it_again_and_notices_a_change(quick, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(60) % 3,
        "x_test": rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(30) % 3,
    }
    np.savez(tmp_path / "tiny.npz", **arrays)
    train(tmp_path / "tiny.npz", quick, tmp_path / "run")
    opened = gt.Run.open(tmp_path / "run")
    assert opened.data().fingerprint == opened.record["data_fingerprint"]
    arrays["y_test"][0] = 2
    np.savez(tmp_path / "tiny.npz", **arrays)
    with pytest.raises(gt.errors.RunError, match="sha256 differs"):
        opened.data()
    with pytest.raises(gt.errors.RunError, match="another data set"):
        train(tmp_path / "tiny.npz", quick, tmp_path / "run")


TRAIN = """
import sys, torch, graphtask as gt
torch.set_num_threads(1)
digits = gt.load_data("cdigits").subset(n_train=120, n_test=60, seed=0)
config = gt.TrainConfig(epochs={epochs}, batch_size=20, learning_rate=0.05)
print("ready", flush=True)
gt.train(gt.full_dag(6), data=digits, out=sys.argv[1], channels=2, config=config, progress=False, checkpoint_seconds=0.02)
"""


def kill_at_random_moments(tmp_path, *, epochs, n_kills, seed, longest):
    """Train in a process that gets SIGKILL ``n_kills`` times; give back how often it was really cut short."""
    code = TRAIN.format(epochs=epochs)
    rng = random.Random(seed)
    kills = 0
    while kills < n_kills:
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0, longest))
        process.kill()
        process.communicate()
        kills += 1
        if process.returncode == 0:
            break
    return kills


def undisturbed(digits, epochs, out=None):
    config = gt.TrainConfig(epochs=epochs, batch_size=20, learning_rate=0.05)
    return train(digits, config, out, seed=0, threads=1)


def test_killed_by_sigkill_the_run_resumes_to_the_same_bits(digits, tmp_path):
    kill_at_random_moments(tmp_path, epochs=3, n_kills=1, seed=1, longest=0.3)
    assert_same_run(undisturbed(digits, 3), undisturbed(digits, 3, tmp_path))


@pytest.mark.slow
def test_killed_by_sigkill_at_twenty_random_moments_the_run_resumes_to_the_same_bits(digits, tmp_path):
    kills = kill_at_random_moments(tmp_path, epochs=60, n_kills=20, seed=2, longest=0.6)
    assert kills == 20
    assert_same_run(undisturbed(digits, 60), undisturbed(digits, 60, tmp_path))
    for path in Path(tmp_path).iterdir():
        assert not path.name.endswith((".tmp", ".part")), "a half-written file was left behind"


LOCK = """
import sys, time
from pathlib import Path
from graphtask.runs.lock import lock_run
with lock_run(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_process_cannot_train_the_same_run(digits, quick, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", LOCK, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(gt.errors.RunError, match="another process"):
            train(digits, quick, tmp_path)
    finally:
        process.kill()
        process.communicate()


def test_metrics_can_be_read_and_the_folder_is_locked_while_the_run_goes_on(
    digits, quick, tmp_path, monkeypatch
):
    seen = []
    after_epoch = Checkpointer.after_epoch

    def look(self):
        after_epoch(self)
        assert is_locked(tmp_path)
        seen.append(len((tmp_path / "metrics.csv").read_text().splitlines()))

    monkeypatch.setattr(Checkpointer, "after_epoch", look)
    train(digits, quick, tmp_path)
    assert seen == [2, 3]
    assert not is_locked(tmp_path)


def test_the_history_of_a_run_never_holds_nan(run):
    assert math.isfinite(run.history.w.sum())


def test_what_a_killed_writer_left_is_cleared_away_by_the_next_owner_of_the_folder(digits, quick, tmp_path):
    code = (
        "import os, signal, sys\n"
        "from graphtask.storage.atomic import write_atomically\n"
        "with write_atomically(sys.argv[1]) as file:\n"
        "    file.write(b'half'), file.flush(), os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "initial.graphml").touch()  # so that the folder counts as one of a run
    for name in ("checkpoint.pt", "outcome.json", "mine.svg"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    assert len([path for path in tmp_path.iterdir() if path.suffix == ".tmp"]) == 3
    train(digits, quick, tmp_path)
    assert len([path for path in tmp_path.iterdir() if path.suffix == ".tmp"]) == 1
    remove_leftovers(tmp_path / "mine.svg")  # a file that is not the run's own was left alone
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
