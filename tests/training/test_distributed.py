import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_folders import unfinish
from training import shared_run

import graphtask as gt
from graphtask.training import distributed as parallel
from graphtask.training.distributed import Processes, check_batch_size, join

pytestmark = pytest.mark.timeout(
    1500
)  # two processes that wait for each other are slow where cores are scarce

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes saw, and their folder."""
    folder = tmp_path_factory.mktemp("two")
    started = [
        subprocess.Popen(
            [sys.executable, shared_run.__file__, str(folder), str(rank), "2"],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=1200)
        assert process.returncode == 0, said
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)], folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    shared_run.train(folder)
    return folder


def distance(one, other):
    """Largest difference of a value of two states, relative to the largest one of its tensor."""
    assert one.keys() == other.keys()
    return max(
        ((one[key] - other[key]).abs().max() / one[key].abs().max().clamp_min(1e-3)).item() for key in one
    )


@pytest.mark.parametrize("name", ["fused64", "plain64"])
def test_two_processes_take_every_step_of_one_in_double_precision(two, name):
    (leader, _), _ = two
    steps, rows = leader[name]
    expected, expected_rows = shared_run.states(Processes(), name.removesuffix("64"), torch.float64)
    assert len(steps) == len(expected) == 6
    assert max(map(distance, expected, steps)) < 1e-10
    for row, known in zip(rows, expected_rows, strict=True):
        # Losses are taken in single precision, as ever.
        assert row["train_loss"] == pytest.approx(known["train_loss"], rel=1e-6)
        assert row["test_loss"] == pytest.approx(known["test_loss"], rel=1e-6)
        for key in ("epoch", "learning_rate", "train_accuracy", "test_accuracy", "live_edges"):
            assert row[key] == known[key]
        assert row["resource_loss"] == pytest.approx(known["resource_loss"], rel=1e-10)


def test_in_single_precision_within_its_noise(two):
    """The yardstick is how far the two executions of one process are from each other."""
    (leader, _), _ = two
    fused, _ = shared_run.states(Processes(), "fused", torch.float32)
    assert distance(fused[0], leader["fused32"][0][0]) < 5e-4
    assert distance(fused[-1], leader["fused32"][0][-1]) < 1e-2


def test_both_processes_end_with_the_same_bits(two):
    (leader, follower), _ = two
    for name in ("weights", "again", "memory", "resumed"):
        for key, value in leader["weights"].items():
            assert torch.equal(value, leader[name][key])
            assert torch.equal(value, follower[name][key])


def test_the_finished_folder_is_that_of_one_process(two, alone):
    _, folder = two
    shared, single = gt.Run.open(folder / "run"), gt.Run.open(alone)
    assert {path.name for path in shared.folder.iterdir()} == {path.name for path in single.folder.iterdir()}
    assert shared.config == single.config
    assert list(shared.metrics.columns) == list(single.metrics.columns)
    assert shared.history.w.shape == single.history.w.shape
    assert distance(single.weights, shared.weights) < 1e-2


def test_asked_in_one_process_all_stop_after_the_same_step_and_go_on_to_the_same_bits(two):
    (leader, follower), folder = two
    assert leader["stopped"] == follower["stopped"]
    assert leader["stopped"].startswith("stopped in epoch 2 of 2; everything is saved in")
    known = json.loads((folder / "stopped" / "provenance.json").read_text())["environments"]
    assert [environment["processes"] for environment in known] == [2, 2]


def test_batches_too_small_to_be_shared_are_refused_by_all(two):
    outcomes, _ = two
    for outcome in outcomes:
        assert outcome["refused"] == (
            "batch_size must be an integer >= 4 for 2 processes, got 3; or use fewer processes"
        )


def test_a_run_of_two_processes_goes_on_in_one_which_is_recorded_and_warned_about(two):
    (leader, _), folder = two
    with pytest.warns(RuntimeWarning, match="resumed with processes 1 instead of 2"):
        run = shared_run.train(folder / "half")
    known = json.loads((folder / "half" / "provenance.json").read_text())["environments"]
    assert [environment["processes"] for environment in known] == [2, 1]
    assert distance(leader["weights"], run.weights) < 1e-2


def test_a_record_of_an_older_version_means_one_process(tmp_path):
    folder = tmp_path / "old"
    shared_run.train(folder)
    unfinish(folder)
    record = json.loads((folder / "provenance.json").read_text())
    del record["environments"][0]["processes"]
    (folder / "provenance.json").write_text(json.dumps(record))
    shared_run.train(folder)  # a warning would be an error
    assert len(json.loads((folder / "provenance.json").read_text())["environments"]) == 2


@given(n=st.integers(0, 300), size=st.integers(1, 9))
def test_slices_cover_a_batch_and_shares_add_up_to_one(n, size):
    covered, share, counted = [], 0.0, 0
    for rank in range(size):
        with Processes(rank, size).part(n) as part:
            images = list(range(n))[part.images]
        covered += images
        share += part.share
        counted += len(images) * part.counts
        assert size == 1 or n < 2 * size or len(images) >= 2
    assert covered == list(range(n)) * (1 if size == 1 or n >= 2 * size else size)
    assert share == pytest.approx(1.0)
    assert counted == n


def test_turns_give_every_value_once():
    taken = [list(Processes(rank, 3).turns(range(8))) for rank in range(3)]
    assert taken == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # as some queues set it for programs of their own
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    processes, device = join("cpu")
    assert (processes.rank, processes.size, device.type) == (0, 1, "cpu")
    check_batch_size(2, processes)


@pytest.mark.parametrize(
    ("device", "n_gpus", "message"),
    [
        ("cuda:1", 2, "each process takes its own; use cuda"),
        ("cuda", 1, "2 processes cannot share 1 GPU; use --nproc-per-node 1"),
        ("mps", 0, "use device cpu"),
    ],
)
def test_devices_that_cannot_be_shared_are_refused(monkeypatch, device, n_gpus, message):
    monkeypatch.setattr(parallel, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(gt.errors.ArgumentError, match=message):
        join(device)


def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(parallel, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert parallel._own_device("cuda") == torch.device("cuda:3")


def torchrun(folder, *arguments, form=("-m", "graphtask_cli"), out="run"):
    """``torchrun … graphtask train …`` on two processes."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *(*form, "train", str(folder / "full.graphml"), "--data", "cdigits", "--channels", "2"),
            *("--epochs", "2", "--out", str(folder / out), *arguments),
        ],
        env={**ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", [("-m", "graphtask_cli"), ("--no-python", "graphtask")])
def test_under_torchrun_the_command_trains_once_and_reports_once(tmp_path, form):
    gt.write(gt.full_dag(6, stages=2), tmp_path / "full.graphml")
    process = torchrun(tmp_path, form=form)
    result, said = process.communicate(timeout=1200)
    assert process.returncode == 0, said
    assert result.count("test accuracy") == 1
    assert said.count("epoch 1/2") == 1
    environment = json.loads((tmp_path / "run" / "provenance.json").read_text())["environments"][0]
    assert environment["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stopped_or_killed_under_torchrun_the_run_goes_on_to_the_same_bits(tmp_path, number):
    gt.write(gt.full_dag(6, stages=2), tmp_path / "full.graphml")
    torchrun(tmp_path, out="undisturbed").communicate(timeout=1200)
    process = torchrun(tmp_path, "--checkpoint-seconds", "0")
    while not (tmp_path / "run" / "checkpoint-previous.pt").exists():
        time.sleep(0.05)
        assert process.poll() is None
    if number == signal.SIGKILL:
        # Of one of the two; the other one must not go on alone, nor wait for ever.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[-1]), number)
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=1200)
    assert process.returncode != 0
    if number != signal.SIGKILL:
        assert said.count("graphtask: stopped in epoch") == 1
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    process = torchrun(tmp_path)
    process.communicate(timeout=1200)
    assert process.returncode == 0
    one, other = gt.Run.open(tmp_path / "undisturbed"), gt.Run.open(tmp_path / "run")
    assert all(torch.equal(value, other.weights[key]) for key, value in one.weights.items())


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train_one_run(tmp_path):
    gt.write(gt.full_dag(6, stages=2), tmp_path / "full.graphml")
    process = torchrun(tmp_path, "--device", "cuda")
    _, said = process.communicate(timeout=1200)
    assert process.returncode == 0, said
    gt.train(
        gt.full_dag(6, stages=2),
        data="cdigits",
        channels=2,
        out=tmp_path / "one",
        device="cuda",
        config=gt.TrainConfig(epochs=2),
        progress=False,
    )
    one, two = gt.Run.open(tmp_path / "one"), gt.Run.open(tmp_path / "run")
    assert distance(one.weights, two.weights) < 5e-2
