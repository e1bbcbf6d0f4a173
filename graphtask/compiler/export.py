"""A compiled network as one file that runs without graphtask."""

import copy
import io
import os
from pathlib import Path

import torch

from graphtask.compiler.execution import run_plain
from graphtask.compiler.module import GraphModule
from graphtask.errors import ArgumentError
from graphtask.storage.atomic import check_target, write_atomically
from graphtask.validation import image_size


def export_program(
    module: GraphModule, path: str | os.PathLike[str], *, size: int | tuple[int, int] = 32
) -> Path:
    """Write the network as a ``torch.export`` program, which needs only PyTorch to run.

    The program is the plain execution in evaluation mode, on the CPU, for any number of images of one size. Run it by
    ``torch.export.load(path).module()(images)``. The module is not changed.

    Args:
        module: The network.
        path: The file, which must end in ``.pt2``; it is written atomically.
        size: Height and width of the images, in pixels; one number stands for both.

    Returns:
        The path.

    Raises:
        ArgumentError: The path does not end in ``.pt2``, or the size is too small.
        GraphtaskError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> import graphtask as gt
        >>> net = gt.compile(gt.chain_dag(3), channels=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_program(net, f"{folder}/net.pt2", size=8).name
        'net.pt2'
    """
    target = Path(path)
    if target.suffix != ".pt2":
        raise ArgumentError(
            f"{target}: the suffix of a torch.export program must be .pt2, got {target.suffix!r}"
        )
    check_target(target)
    program = _program(module, *image_size(size, last_stage=module.plan.output.stage))
    content = io.BytesIO()  # PyTorch's writer aborts the process if it cannot write to a file
    torch.export.save(program, content)
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
