import re

import pytest
import torch

import graphtask as gt
from benchmarks import gpu
from benchmarks.floors import floor_bytes


@pytest.mark.slow
def test_the_benchmark_of_the_gpu_runs_from_end_to_end_on_a_cpu(capsys):
    gpu.main(["--device", "cpu", "--quick", "--precision", "bf16"])
    printed = capsys.readouterr().out
    for name, execution in gpu.EXECUTIONS.items():
        (line,) = (line for line in printed.splitlines() if re.match(rf"\| {name}( \*)? \|", line))
        assert ("*" in line) != execution.whole
        seconds, faster, *_ = re.findall(r"[\d.]+", line.split("|", 2)[2])
        assert float(seconds) > 0
        assert (float(faster) == 1) == (name == "published")
    for rest in ("| chain | 3 | 2 |", "8×8 to 4×4", "| fp32 | ", "| bf16 | "):
        assert rest in printed


def test_what_fails_is_said_in_its_line_and_the_others_go_on(capsys, monkeypatch):
    def refused(_self, _work):
        raise RuntimeError("not permitted\nwhen capturing")

    monkeypatch.setattr(gpu.CalledAgain, "record", refused)
    gpu.print_epochs(gpu.Bench(torch.device("cpu"), gpu.QUICK), "fp32")
    lines = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "|" in line}
    assert "not permitted" in lines["fused, captured"]
    assert "not permitted" not in lines["fused"]


def test_the_floor_counts_passes():
    net = gt.compile(gt.full_dag(2), channels=4)
    images = torch.zeros(2, 3, 4, 4)
    a, x = 2 * 3 * 16, 2 * 4 * 16
    blocks = (3 * a + 11 * x) + (3 * x + 11 * x)
    sums = 3 * (2 + 2) * x
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert floor_bytes(net, images, itemsize=2) == 2 * (blocks + sums) + 32 * parameters


@pytest.mark.gpu
def test_the_benchmark_of_the_gpu_runs_there(capsys):
    gpu.main(["--quick"])
    assert "fused, captured" in capsys.readouterr().out
