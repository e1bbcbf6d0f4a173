import subprocess
import sys
import textwrap

import pytest
import torch
from compiler.oracle import randomized
from helpers import staged

import graphtask as gt
from graphtask.compiler.export import export_program

# PyTorch 2.11 warns about the buffers that its own torch.export.load makes.
pytestmark = pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")


@pytest.fixture(scope="module")
def net():
    names = ["in.put", "type", "quote\"'\\\n", "é→[x]"]
    graph = staged([(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)], [0, 0, 1, 2], names)
    return randomized(gt.compile(graph, channels=2, n_classes=3), 4).float()


@pytest.fixture(scope="module")
def program(net, tmp_path_factory):
    net.train()
    return export_program(net, tmp_path_factory.mktemp("export") / "net.pt2", size=(9, 13))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_program_gives_the_logits_of_evaluation_for_any_batch(net, program, batch):
    images = torch.randn(batch, 3, 9, 13)
    expected = gt.compile(net.graph, channels=2, n_classes=3, execution="plain")
    expected.load_state_dict(net.state_dict())
    torch.testing.assert_close(
        torch.export.load(program).module()(images), expected.eval()(images), rtol=1e-6, atol=1e-6
    )


@pytest.fixture(scope="module")
def session(net, tmp_path_factory):
    onnxruntime = pytest.importorskip("onnxruntime")
    net.train()
    path = export_program(net, tmp_path_factory.mktemp("onnx") / "net.onnx", size=(9, 13))
    return onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_onnxruntime_gives_the_logits_of_evaluation_for_any_batch(net, session, batch):
    images = torch.randn(batch, 3, 9, 13)
    expected = gt.compile(net.graph, channels=2, n_classes=3, execution="plain")
    expected.load_state_dict(net.state_dict())
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), expected.eval()(images), rtol=1e-5, atol=1e-5)


def test_the_onnx_model_names_its_tensors_and_not_where_it_was_made(session):
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("images", ["batch", 3, 9, 13])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("logits", ["batch", 3])]


def test_a_model_without_onnxscript_is_one_line(net, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(gt.GraphtaskError, match=r"need onnx and onnxscript .*graphtask-nn\[onnx\]"):
        export_program(net, tmp_path / "net.onnx", size=8)


def test_exporting_leaves_the_module_alone(net, tmp_path):
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    executor = net.executor
    export_program(net, str(tmp_path / "again.pt2"), size=8)
    assert net.training
    assert net.executor is executor
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_the_program_runs_where_graphtask_and_igraph_are_not_installed(net, program, tmp_path):
    images = torch.randn(3, 3, 9, 13)
    torch.save(images, tmp_path / "images.pt")
    code = f"""
        import sys

        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("graphtask", "igraph"):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Blocked())
        import torch
        logits = torch.export.load({str(program)!r}).module()(torch.load({str(tmp_path / "images.pt")!r}))
        torch.save(logits.detach(), {str(tmp_path / "logits.pt")!r})
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path)
    logits = torch.load(tmp_path / "logits.pt")
    torch.testing.assert_close(logits, net.eval()(images), rtol=1e-5, atol=1e-5)


def test_the_file_does_not_say_where_it_was_made(program):
    assert b"graphtask/compiler" not in program.read_bytes()


def test_only_the_program_is_left_in_the_folder(program):
    assert [path.name for path in program.parent.iterdir()] == ["net.pt2"]


def test_a_failing_write_leaves_the_old_file_as_it_was(net, tmp_path, monkeypatch):
    target = tmp_path / "net.pt2"
    target.write_bytes(b"old")
    monkeypatch.setattr(torch.export, "save", lambda _program, file: (file.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        export_program(net, target, size=8)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt2"]


@pytest.mark.parametrize(
    ("name", "size", "error", "message"),
    [
        ("net.h5", 8, gt.errors.ArgumentError, r"must be \.pt2 \(torch.export\) or \.onnx, got .\.h5"),
        ("net.pt2", 3, gt.errors.ArgumentError, "size must be at least 4×4 pixels for stage 2"),
        ("net.pt2", (8, 0), gt.errors.ArgumentError, r"size \(width\) must be an integer >= 1, got 0"),
        ("missing/net.pt2", 8, gt.GraphtaskError, "there is no folder"),
    ],
)
def test_what_cannot_be_exported_is_named(net, tmp_path, name, size, error, message):
    with pytest.raises(error, match=message):
        export_program(net, tmp_path / name, size=size)
