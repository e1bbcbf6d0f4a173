"""The ways to compute a module's forward pass, and which of them is taken; the one place where they are told apart."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fast import FastExecution, is_transformed
from graphtask.compiler.plan import Plan
from graphtask.compiler.planner import StagePlan
from graphtask.compiler.sync_batch_norm import SharedBatchNorm2d

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule

Execution: TypeAlias = Literal["auto", "plain", "fast"]
Executor: TypeAlias = "Callable[[GraphModule, Tensor], Tensor]"

EXECUTIONS = ("auto", "plain", "fast")
_DEVICES = {"cpu", "cuda"}  # that the fast execution was made for


def choose_executor(execution: Execution, plan: Plan, *, checkpoint: Collection[int]) -> Executor:
    """The function that computes a module's forward pass."""
    if execution == "plain":
        return run_plain
    fast = FastExecution(plan, checkpoint=checkpoint)
    return fast if execution == "fast" else Automatic(fast)


def run_plain(
    module: "GraphModule", images: Float[Tensor, "batch in_channels height width"]
) -> Float[Tensor, "batch classes"]:
    """The logits, node by node: the meaning that every other execution has to reproduce."""
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


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


class Automatic:
    """Takes the fast execution where it is faster and nothing is known to tell the difference, else the plain one."""

    def __init__(self, fast: FastExecution) -> None:
        self.fast = fast

    def __call__(
        self, module: "GraphModule", images: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        if self._excuse(module, images) is None:
            network = self.fast.read(module, images)
            if network.foreign is None:
                return self.fast.run(module, images, network)
        return run_plain(module, images)

    def why_plain(self, module: "GraphModule", images: Tensor) -> str | None:
        """Why the plain execution is taken for such images; None if it is not."""
        excuse = self._excuse(module, images)
        if excuse is None:
            foreign = self.fast.read(module, images).foreign
            excuse = None if foreign is None else f"{foreign} is not the standard one as it was made"
        return excuse

    def _excuse(self, module: "GraphModule", images: Tensor) -> str | None:
        """Why it is taken, as far as that is known without looking at every part of every block."""
        if is_watched():
            return "PyTorch traces, transforms or watches what is computed"
        if type(images) not in {Tensor, nn.Parameter}:
            return f"the images are a {type(images).__name__}"
        if images.device.type not in _DEVICES:
            return f"the network is on {images.device}"
        first = module.nodes[module.plan.input.key]
        if type(first) is not ConvBlock:
            name = module.plan.input.name
            return f"the block of node {name!r} is a {type(first).__name__}, not the standard one"
        shared = type(first.norm3x3) is SharedBatchNorm2d  # all processes have to take the same
        if images.device.type == "cpu" and not self.fast.checkpoint and not shared:
            gain = gained(self.fast.stages, tuple(images.shape), channels=module.channels)
            if gain < 0:
                return "there is so little to do that it is faster"
        return None


class Gain(NamedTuple):
    """What the fast execution gains over the plain one, in µs."""

    step: float
    """Of a step, whatever is in it; it loses some."""
    block: float
    """Of a block, whatever its size."""
    edge: float
    """Of an edge, whatever the size of its values."""
    block_value: float
    """Of a value that a block gives, in a batch."""
    edge_value: float
    """Of a value that an edge leads on."""


# Fitted to 313 steps (tests/benchmarks/small.py) on one core of an EPYC (Zen 4), each with and without gradients.
# A single image gains nothing by its size.
_WITH_GRADIENTS = Gain(-430, -344, 26, 8.8e-3, 1.6e-3)
_WITHOUT_GRADIENTS = Gain(-162, -95, 5.4, 0.91e-3, 0.56e-3)


def gained(stages: Sequence[StagePlan], images: tuple[int, ...], *, channels: int) -> float:
    """The time that the fast execution is expected to save on the CPU, in µs; below zero for very small work.

    Args:
        stages: The plan.
        images: Shape of the images: batch, channels, height, width.
        channels: Channels of stage 0.
    """
    gain = _WITH_GRADIENTS if torch.is_grad_enabled() else _WITHOUT_GRADIENTS
    batch, _, height, width = images
    total = gain.step
    for plan in stages:
        n_blocks, n_edges, stride = plan.n_rows, len(plan.edges), 1 << plan.stage
        values = batch * channels * stride * -(-height // stride) * -(-width // stride) if batch > 1 else 0
        total += n_blocks * (gain.block + gain.block_value * values)
        total += n_edges * (gain.edge + gain.edge_value * values)
    return total


def is_watched() -> bool:
    """Whether somebody looks at single operations, modules or saved tensors: traces, transforms, modes, hooks for all."""
    return (
        torch.compiler.is_compiling()
        or torch.is_anomaly_enabled()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or is_transformed()
        or torch._C._len_torch_dispatch_stack() > 0  # noqa: SLF001  # no public way
        or any(type(mode) is not DeviceContext for mode in _get_current_function_mode_stack())  # type: ignore[no-untyped-call]
        or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None  # noqa: SLF001  # likewise
        or bool(_has_any_global_hook())  # type: ignore[no-untyped-call]
    )
