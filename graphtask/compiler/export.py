"""A compiled network as one file that runs without graphtask."""

import copy
import io
import os
from collections.abc import Callable
from pathlib import Path

import torch

from graphtask.compiler.execution import run_plain
from graphtask.compiler.module import GraphModule
from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.storage.atomic import check_target, write_atomically
from graphtask.validation import image_size, install_hint


def export_program(
    module: GraphModule, path: str | os.PathLike[str], *, size: int | tuple[int, int] = 32
) -> Path:
    """Write the network as a ``torch.export`` program (.pt2), which needs only PyTorch to run, or as an ONNX model.

    Both are the plain execution in evaluation mode, on the CPU, for any number of images of one size. Run a program by
    ``torch.export.load(path).module()(images)``; an ONNX model has the input ``images`` of shape (batch, channels,
    height, width) and the output ``logits`` of shape (batch, classes). The module is not changed.

    Args:
        module: The network.
        path: The file, which must end in ``.pt2`` or ``.onnx``; it is written atomically.
        size: Height and width of the images, in pixels; one number stands for both.

    Returns:
        The path.

    Raises:
        ArgumentError: The path has another suffix, or the size is too small.
        GraphtaskError: The file cannot be written, or onnx or onnxscript is not installed (extra ``onnx``).

    Example:
        >>> import tempfile
        >>> import graphtask as gt
        >>> net = gt.compile(gt.chain_dag(3), channels=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_program(net, f"{folder}/net.pt2", size=8).name
        'net.pt2'
    """
    target = Path(path)
    if target.suffix not in _WRITERS:
        raise ArgumentError(
            f"{target}: the suffix of an exported network must be .pt2 (torch.export) or .onnx, got {target.suffix!r}"
        )
    check_target(target)
    if target.suffix == ".onnx":
        _check_onnx()
    program = _program(module, *image_size(size, last_stage=module.plan.output.stage))
    content = io.BytesIO()  # PyTorch's writer aborts the process if it cannot write to a file
    _WRITERS[target.suffix](program, content)
    with write_atomically(target) as file:
        file.write(content.getbuffer())
    return target


def _program(module: GraphModule, height: int, width: int) -> torch.export.ExportedProgram:
    plain = copy.deepcopy(module).cpu().eval()
    plain.executor = run_plain
    images = torch.zeros(2, module.in_channels, height, width, dtype=module.edge_weight.dtype)
    dynamic_shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(plain, (images,), dynamic_shapes=dynamic_shapes, strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # which would write paths of this machine into the file
    return program


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise GraphtaskError(
            f"ONNX models need onnx and onnxscript ({error}); install them with: {install_hint('onnx')}"
        ) from error


def _save_program(program: torch.export.ExportedProgram, file: io.BytesIO) -> None:
    torch.export.save(program, file)


def _save_onnx(program: torch.export.ExportedProgram, file: io.BytesIO) -> None:
    model = torch.onnx.export(
        program,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
    )
    assert model is not None
    file.write(model.model_proto.SerializeToString())


_WRITERS: dict[str, Callable[[torch.export.ExportedProgram, io.BytesIO], None]] = {
    ".pt2": _save_program,
    ".onnx": _save_onnx,
}
