"""The two executions of a module, plain and fused, and the choice between them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from graphtask.compiler.blocks import ConvBlock, has_hooks
from graphtask.compiler.fused.staged import run_fused
from graphtask.compiler.fused.stages import StagePlan
from graphtask.compiler.plan import node_name

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule

Execution: TypeAlias = Literal["auto", "plain", "fused"]
Executor: TypeAlias = "Callable[[GraphModule, Tensor], Tensor]"


def run_plain(module: "GraphModule", images: Tensor) -> Tensor:
    """Return the logits, (batch, n_classes), node by node: the definition that the fused execution reproduces."""
    gates = module.edge_weights().unbind()
    values: dict[
        tuple[int, int], Tensor
    ] = {}  # (position of the node, stage): its value as that stage reads it
    for position, node in enumerate(module.plan.nodes):
        terms = [gates[edge.edge] * values[edge.source, node.stage] for edge in node.incoming]
        value = module.nodes[node.key](_sum(terms) if terms else images)
        values[position, node.stage] = value
        for reduction in node.reduces:
            values[position, reduction.stage] = module.reduces[reduction.key](value)
    logits: Tensor = module.head(value)
    return logits


def run_supported(module: "GraphModule", images: Tensor) -> Tensor:
    """Return the logits, (batch, n_classes), by the fused execution where it is supported."""
    return (run_fused if why_unsupported(module, images) is None else run_plain)(module, images)


def run_auto(module: "GraphModule", images: Tensor) -> Tensor:
    """Return the logits, (batch, n_classes), by the fused execution where it is supported and faster."""
    fused = why_unsupported(module, images) is None and not is_small(module, images)
    return (run_fused if fused else run_plain)(module, images)


EXECUTORS: dict[str, Executor] = {"auto": run_auto, "plain": run_plain, "fused": run_supported}


def why_plain(module: "GraphModule", images: Tensor) -> str | None:
    """Return the reason why the plain execution is taken for these images; None if it is not."""
    if module.execution == "plain":
        return "execution='plain'"
    small = module.execution == "auto" and is_small(module, images)
    return why_unsupported(module, images) or ("the work is so small that it is faster" if small else None)


def why_unsupported(module: "GraphModule", images: Tensor) -> str | None:
    """Return the reason why the fused execution cannot compute what the plain one would; None if it can."""
    if is_traced():
        return "PyTorch traces, transforms or hooks the operations"
    if type(images) not in {Tensor, nn.Parameter}:
        return f"the images are a {type(images).__name__}"
    if images.device.type not in {"cpu", "cuda"}:
        return f"the network is on {images.device}"
    for kind, blocks in (("block", module.nodes), ("reduction", module.reduces)):
        for key, block in blocks.items():
            if type(block) is not ConvBlock or has_hooks(block):
                return f"the {kind} of node {node_name(key)!r} is not a ConvBlock, or has hooks"
    return None


def is_small(module: "GraphModule", images: Tensor) -> bool:
    """Return True on the CPU if the work is so small that the plain execution is faster."""
    shares = getattr(
        module.nodes[module.plan.input.key], "gather", None
    )  # then all processes must take the same
    if images.device.type != "cpu" or module.recompute or shares is not None:
        return False
    return expected_gain(module.program.stages, tuple(images.shape), channels=module.channels) < 0


def is_traced() -> bool:
    """Return True if PyTorch traces, transforms or hooks single operations, modules or saved tensors."""
    return (
        torch.compiler.is_compiling()
        or torch.is_anomaly_enabled()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or forward_ad._current_level >= 0  # noqa: SLF001  # no public way; so are the others
        or torch._C._are_functorch_transforms_active()  # noqa: SLF001
        or torch._C._len_torch_dispatch_stack() > 0  # noqa: SLF001
        or any(type(mode) is not DeviceContext for mode in _get_current_function_mode_stack())  # type: ignore[no-untyped-call]
        or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None  # noqa: SLF001
        or bool(_has_any_global_hook())  # type: ignore[no-untyped-call]
    )


class Gain(NamedTuple):
    """Microseconds that the fused execution gains over the plain one."""

    step: float
    """Gain of a step, whatever is in it; negative."""
    block: float
    """Gain of a block, whatever its size."""
    edge: float
    """Gain of an edge, whatever the size of its values."""
    block_value: float
    """Gain of a value that a block returns, in a batch."""
    edge_value: float
    """Gain of a value that an edge passes on."""


# Fitted to 313 steps (tests/benchmarks/small.py) on one core of an EPYC (Zen 4), each with and without gradients.
# A single image gains nothing by its size.
WITH_GRADIENTS = Gain(-430, -344, 26, 8.8e-3, 1.6e-3)
WITHOUT_GRADIENTS = Gain(-162, -95, 5.4, 0.91e-3, 0.56e-3)


def expected_gain(stages: Sequence[StagePlan], images: tuple[int, ...], *, channels: int) -> float:
    """Return the microseconds that the fused execution is expected to save on the CPU; negative for very small work.

    Args:
        stages: Stages of the network.
        images: Shape of the images, (batch, in_channels, height, width).
        channels: Channels of stage 0.
    """
    gain = WITH_GRADIENTS if torch.is_grad_enabled() else WITHOUT_GRADIENTS
    batch, _, height, width = images
    total = gain.step
    for plan in stages:
        n_blocks, n_edges, stride = plan.n_rows, len(plan.edges), 1 << plan.stage
        values = batch * channels * stride * -(-height // stride) * -(-width // stride) if batch > 1 else 0
        total += n_blocks * (gain.block + gain.block_value * values)
        total += n_edges * (gain.edge + gain.edge_value * values)
    return total


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
