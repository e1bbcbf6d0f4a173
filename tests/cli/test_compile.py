import json
import resource
import tempfile

import pytest

import graphtask as gt
from graphtask_cli.spool import Spool


@pytest.fixture
def full(tmp_path):
    path = tmp_path / "full.graphml"
    gt.write(gt.full_dag(60, stages=3), path)
    return path


def numbers(result):
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    return record


def test_the_full_dag_of_the_paper_has_863300_parameters(call, full):
    record = numbers(call("compile", full, "--channels", 11, "--format", "json"))
    assert record["parameters"] == 863_300
    assert (record["nodes"], record["edges"], record["stages"]) == (60, 1770, 3)
    assert record["nodes_per_stage"] == [20, 20, 20]
    assert record["channels_per_stage"] == [11, 22, 44]
    assert record["macs_32x32"] == gt.compiler.count_macs(gt.read(full), channels=11, size=32)
    assert "863,300" in call("compile", full).stdout


def test_the_budget_of_a_resnet_56_gives_11_channels(call, full):
    assert numbers(call("compile", full, "--budget", 853_018, "--format", "json"))["channels"] == 11


def test_images_and_classes_count(call, full):
    record = numbers(
        call("compile", full, "--in-channels", 1, "--classes", 100, "--size", 8, "--format", "json")
    )
    shape = {"channels": 11, "in_channels": 1, "n_classes": 100}
    assert record["parameters"] == gt.compiler.count_parameters(gt.read(full), **shape)
    assert record["macs_8x8"] == gt.compiler.count_macs(gt.read(full), size=8, **shape)


def test_the_program_gives_what_the_network_of_the_run_gives(call, run_folder, tmp_path):
    import torch

    result = call("compile", run_folder, "-o", "net.pt2", "--size", 24)
    assert result.exit_code == 0, result.output
    assert "the trained network" in result.stderr
    net = gt.Run.open(run_folder).module(execution="plain")
    images = torch.rand(3, 3, 24, 24)
    program = torch.export.load(tmp_path / "net.pt2").module()
    assert torch.equal(program(images), net(images))


def test_a_run_is_counted_as_it_was_trained(call, run_folder):
    record = numbers(call("compile", run_folder, "--format", "json"))
    net = gt.Run.open(run_folder).module()
    assert record["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    assert record["channels"] == 2


def test_images_that_are_too_small_are_an_error_of_the_graph(call, tmp_path):
    gt.write(gt.full_dag(5, stages=2), tmp_path / "two.graphml")
    result = call("compile", "two.graphml", "--size", 1)
    assert result.exit_code == 2
    assert result.stderr.startswith("graphtask: error: two.graphml: --size must be at least 2×2 pixels")


def test_an_export_to_a_full_disk_is_one_line_and_no_file(call, tmp_path):
    gt.write(gt.chain_dag(3), tmp_path / "three.graphml")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        result = call("compile", "three.graphml", "--channels", 2, "-o", "net.pt2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 1
    assert result.stderr.startswith("graphtask: error: cannot write net.pt2: ")
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["three.graphml"]


def test_a_full_folder_of_temporary_files_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(gt.GraphtaskError, match=r"missing: .*; set TMPDIR to another folder$"):
        Spool()


CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"


def test_cells_are_counted_and_exported_with_their_operations(call, tmp_path):
    import torch

    (tmp_path / "cell.txt").write_text(CELL)
    options = ["--stages", 1, "--block", "operations", "--channels", 4, "--size", 8]
    record = numbers(call("compile", "cell.txt", *options, "-o", "cell.pt2", "--format", "json"))
    graph = gt.read(tmp_path / "cell.txt", stages=1)
    net = gt.compile(graph, channels=4, block="operations").eval()
    assert record["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    assert record["macs_8x8"] == gt.compiler.count_macs(graph, channels=4, size=8, block="operations")
    images = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(torch.export.load(tmp_path / "cell.pt2").module()(images), net(images))


def test_a_graph_without_operations_and_an_unknown_block_are_one_line(call, tmp_path):
    gt.write(gt.full_dag(4), tmp_path / "full.graphml")
    result = call("compile", "full.graphml", "--block", "operations")
    assert result.exit_code == 1
    assert result.stderr == (
        "graphtask: error: full.graphml: no vertex has an `op`, which the block of operations needs; use another block, "
        "or a graph of a cell\n"
    )
    result = call("compile", "full.graphml", "--block", "operation")
    assert result.exit_code in {1, 2}
    assert "did you mean 'operations'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_run_with_another_block_is_counted_with_it(call, tmp_path):
    digits = gt.load_data("cdigits").subset(n_train=20, n_test=10, seed=0)
    run = gt.train(
        gt.chain_dag(3),
        data=digits,
        channels=2,
        epochs=1,
        block="simple",
        out=tmp_path / "run",
        progress=False,
    )
    record = numbers(call("compile", tmp_path / "run", "--format", "json"))
    assert record["parameters"] == sum(parameter.numel() for parameter in run.module().parameters())
