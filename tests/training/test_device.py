import threading

import pytest
import torch

import graphtask as gt
from graphtask.training.device import choose_device, limited_threads

OPTIONS = {"channels": 2, "epochs": 2, "batch_size": 40, "progress": False}


def test_a_device_is_chosen_by_name():
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(
        gt.errors.ArgumentError, match=r"device must be one of auto, cpu, cuda, mps, .* got 'tpu'"
    ):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(gt.errors.ArgumentError, match="not available here"):
            choose_device("cuda")


def test_two_threads_train_to_the_bits_of_each_alone(digits):
    def train(seed):
        return gt.train(gt.full_dag(5), data=digits, seed=seed, threads=1, **OPTIONS).graph.es["w"]

    alone = [train(seed) for seed in range(2)]
    before = torch.get_num_threads(), torch.get_rng_state()
    found = {}
    threads = [threading.Thread(target=lambda s=seed: found.update({s: train(s)})) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(2)] == alone
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_blocks_that_overlap_in_two_threads_leave_the_number_as_it_was():
    before = torch.get_num_threads()
    entered, left, seen = threading.Event(), threading.Event(), []

    def second():
        with limited_threads(before + 2):
            seen.append(torch.get_num_threads())
            entered.set()
            left.wait(10)
            seen.append(torch.get_num_threads())

    other = threading.Thread(target=second)
    with limited_threads(before + 1):
        other.start()
        entered.wait(10)
        assert torch.get_num_threads() == before + 1
        with limited_threads(before + 3):
            pass
        assert torch.get_num_threads() == before + 1
    left.set()
    other.join()
    assert seen == [before + 2, before + 2]
    assert torch.get_num_threads() == before
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [before], "a new thread takes the number that was set last"


def test_a_default_device_of_pytorch_is_ignored(digits):
    expected = gt.train(gt.full_dag(4), data=digits, device="cpu", validation=0.2, **OPTIONS)
    with torch.device("meta"):
        run = gt.train(gt.full_dag(4), data=digits, device="cpu", validation=0.2, **OPTIONS)
        swept = gt.sweep(run, thresholds=[0.0], metrics="edges", device="cpu", progress=False)
        report = gt.training.parity(run, device="cpu")
    assert run.graph.es["w"] == expected.graph.es["w"]
    assert swept.table["test_accuracy"][0] == expected.test_score == report.score_trained
