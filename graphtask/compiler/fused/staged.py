"""Fused execution of a module: the same function as the plain one, in less time and memory.

The values of a stage are the rows of one table: first those that reduce blocks brought from earlier stages, then those
of its own nodes. Weighted sums are therefore matrix products over the table, in blocks of a few nodes
(`weighted_sum`). The backward pulls: each node leaves the gradient of its sum in place of the sum, and the gradient of a
node's value is a product over the rows of the nodes after it. Nothing of the size (predecessors × activation) exists,
and the whole network is one node of the autograd graph.
"""

import threading
import weakref
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from graphtask.compiler.fused.conv_block import BlockStep, Buffers, Statistics, block_step
from graphtask.compiler.fused.stages import StagePlan, plan_stages
from graphtask.compiler.fused.weighted_sum import WeightedSum, Weights, weighted_sum
from graphtask.compiler.fused.workspace import (
    AT_ONCE,
    Activation,
    Layout,
    Regions,
    Workspace,
    step_layouts,
)
from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.plan import Plan
from graphtask.errors import GraphtaskError

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule


class Program:
    """What steps of one module share: stages, indices of the sums, and the workspace.

    Args:
        plan: Plan of the module.
        recompute: Numbers of the stages whose sums and convolutions the backward computes again, to keep less.
        channels_last: Order of the activations in memory; None is True on the CPU and False elsewhere.
    """

    def __init__(
        self, plan: Plan, *, recompute: Collection[int] = (), channels_last: bool | None = None
    ) -> None:
        self._arguments = (plan, frozenset(recompute), channels_last)
        self.recompute = frozenset(recompute)
        self.channels_last = channels_last
        self.stages = plan_stages(plan)
        self.workspace = Workspace()
        self._sums: dict[torch.device, list[WeightedSum]] = {}

    def sums(self, device: torch.device) -> list[WeightedSum]:
        """Return the sums of the stages, with their indices on a device."""
        if device not in self._sums:
            self._sums[device] = [weighted_sum(stage, device) for stage in self.stages]
        return self._sums[device]

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy start with an empty workspace."""
        return _program, self._arguments


def _program(plan: Plan, recompute: Collection[int], channels_last: bool | None) -> Program:
    return Program(plan, recompute=recompute, channels_last=channels_last)


def run_fused(module: "GraphModule", images: Tensor, *, program: Program | None = None) -> Tensor:
    """Return the logits, (batch, n_classes), of images (batch, in_channels, height, width).

    Args:
        module: The network.
        images: The images.
        program: Program to use instead of the module's own.

    Raises:
        ArgumentError: A custom block returns another shape than the network needs.
        GraphtaskError: A transform of ``torch.func`` or a forward-mode derivative is active; or a custom block reads a
            tensor with gradients that it does not own.
    """
    if is_transformed():
        raise GraphtaskError(
            "the fused execution supports neither transforms of torch.func (grad, vmap, jvp …) nor forward-mode "
            "derivatives; compile the graph with execution='auto' or 'plain'"
        )
    program = module.program if program is None else program
    gates = module.edge_weights()
    parameters = chain((images, gates), module.nodes.parameters(), module.reduces.parameters())
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        step = _Training(module, images, gates, program)
        value = _Staged.apply(step, images, gates, *step.parameters)
    else:
        with torch.no_grad():  # whatever hooks ask for: the memory serves other steps too
            value = _infer(_Step(module, images, gates, program, training=False))
    logits: Tensor = module.head(value)
    return logits


def is_transformed() -> bool:
    """Return True under a transform of ``torch.func`` or a forward-mode derivative."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()  # noqa: SLF001  # no public way


def step_dtype(images: Tensor) -> torch.dtype:
    """Return the dtype of a step's activations: that of the images, or the lower one of autocast."""
    kind = images.device.type
    lower = torch.is_autocast_enabled(kind) and images.dtype != torch.float64  # which autocast leaves alone
    return torch.get_autocast_dtype(kind) if lower else images.dtype


class _Staged(torch.autograd.Function):
    """Value of the output node, from images, gates and the parameters of the blocks."""

    @staticmethod
    def forward(
        ctx: Any,
        step: "_Training",
        images: Tensor,
        gates: Tensor,
        *parameters: Tensor,  # noqa: ARG004  # for autograd
    ) -> Tensor:
        # Autograd reports changes of saved tensors before the backward.
        read_again = [tensor for block in step.blocks for tensor in block.read_again]
        ctx.save_for_backward(*([images] if step.reads_images else []), gates, *read_again)
        ctx.step = step
        return step.forward()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise GraphtaskError(
                "the fused execution has no second derivative (create_graph=True); compile the graph with "
                "execution='plain'"
            )
        ctx.saved_tensors  # noqa: B018  # raises if one was changed since the forward, or if the graph is freed
        step: _Training | None = ctx.step
        if step is None:
            raise GraphtaskError(
                "an earlier backward through this graph was interrupted and has overwritten its buffers; compute the "
                "logits again"
            )
        keep = torch._C._autograd._get_current_graph_task_keep_graph()  # noqa: SLF001  # no public way
        if not keep:
            ctx.step = None  # the memory is free for the next step, also while the loss is referenced
        with step.lock, torch.autocast(gradients[0].device.type, enabled=False):
            return (None, *step.backward(gradients[0], ctx.needs_input_grad[1:], keep=keep))


class _Stage(NamedTuple):
    """Views of the buffers of a stage in one step."""

    plan: StagePlan
    layout: Layout
    sum: WeightedSum
    weights: Weights
    table: Tensor
    sources: Tensor
    """Rows of the sources in the table."""
    nodes: Tensor
    """Rows of the nodes in the table."""
    sums: Tensor
    pulled: Tensor
    rows: list[Activation]
    """Rows of the table."""
    arguments: list[Activation]
    """Rows of the sums."""
    kept: list[Activation]
    """u and v of each row of the table, alternating; empty if they are not kept."""
    gradients: list[Activation]
    """Rows of ``pulled``."""
    scratch: list[Activation]
    """du, dv and ReLU(a); without gradients, ReLU(a) shares the row of dv."""

    def fill(self, *, start: bool = True) -> Iterator[int]:
        """Compute the sums: yield each node whose sum is complete, and whose value is needed next."""
        if start:
            self.sum.start(self.weights, self.sources, self.sums)
        for low, high in self.blocks():
            self.sum.add_block(self.weights, low, high, self.nodes, self.sums)
            for node in range(low, high):
                self.sum.add_node(self.weights, low, node, self.nodes, self.sums)
                yield node

    def blocks(self) -> list[tuple[int, int]]:
        """Return first and last node of each block of nodes; the last one is excluded."""
        n, width = self.plan.n_nodes, self.plan.width
        return [(low, min(low + width, n)) for low in range(0, n, width)]


class _Step:
    """A module and a batch of images in one step, and the memory for it.

    Args:
        module: The network.
        images: The images.
        gates: Factor of each edge.
        program: Program of the network.
        training: Whether the buffers are those of a step with gradients.
    """

    def __init__(
        self, module: "GraphModule", images: Tensor, gates: Tensor, program: Program, *, training: bool
    ) -> None:
        self.module, self.program, self.dtype = module, program, step_dtype(images)
        last = images.device.type == "cpu" if program.channels_last is None else program.channels_last
        batch, in_channels, height, width = images.shape
        size = (batch, in_channels, height, width)
        layouts = step_layouts(program.stages, size, channels=module.channels, channels_last=last)
        regions = (
            Regions.training(program.stages, layouts, program.recompute)
            if training
            else Regions.inference(program.stages, layouts)
        )
        memory = program.workspace.take(regions.numel, dtype=self.dtype, device=images.device)
        weakref.finalize(self, program.workspace.give_back, memory).atexit = False
        scratch = regions.scratch.of(memory)
        self.layout = layouts[0]
        self.images = self.layout.copy_of(images.detach().to(self.dtype))
        self.image = self.layout.activations(self.images)[0]
        self.positive = self.layout.activations(scratch[-1:, : self.layout.numel])[0]
        gates = gates.detach().to(self.dtype)
        self.stages: list[_Stage] = []
        for place, (plan, layout) in enumerate(zip(program.stages, layouts[1:], strict=True)):
            weighted = program.sums(images.device)[place]
            table, sums, kept, pulled = (found[place].of(memory) for found in regions[:4])
            offset = plan.n_sources if training else 0
            self.stages.append(
                _Stage(
                    plan,
                    layout,
                    weighted,
                    weighted.prepare(gates),
                    table,
                    table[:offset],
                    table[offset:],
                    sums,
                    pulled,
                    *map(layout.activations, (table, sums, kept, pulled, scratch[:, : layout.numel])),
                )  # fmt: skip
            )
        self.statistics: list[Statistics] = []

    def node(self, stage: _Stage, node: int, x: Activation, **gradients: Any) -> BlockStep:
        """Return the step of a node's block; that of the first node reads the images."""
        block, row = self.module.nodes[stage.plan.keys[node]], stage.plan.n_sources + node
        if stage.plan.first + node == 0:
            stride = 1 << stage.plan.stage
            return self._block(
                block, stride, stage, row, self.layout, self.positive, a=self.image, x=x, **gradients
            )
        positive, a = stage.scratch[-1], stage.arguments[node]
        return self._block(block, 1, stage, row, stage.layout, positive, a=a, x=x, **gradients)

    def reduction(self, stage: _Stage, row: int, start: _Stage, **activations: Any) -> BlockStep:
        """Return the step of the block that brings a value of the stage ``start`` into ``stage``."""
        _, key, stride = stage.plan.sources[row]
        block, positive = self.module.reduces[key], start.scratch[-1]
        return self._block(block, stride, stage, row, start.layout, positive, **activations)

    def output(self, value: Activation) -> Tensor:
        """Complete a forward: update running statistics, and return a copy of the value in PyTorch's usual order."""
        if self.statistics:
            blocks, means, variances = zip(*self.statistics, strict=True)
            _update([block.running_means for block in blocks], means)
            _update([block.running_vars for block in blocks], variances)
        return value.image.clone(memory_format=torch.contiguous_format)

    def _block(
        self, block: nn.Module, stride: int, stage: _Stage, row: int, source: Layout, positive: Activation, **activations: Any
    ) -> BlockStep:  # fmt: skip
        du, dv = stage.scratch[:2]
        u, v = stage.kept[2 * row : 2 * row + 2] or (du, dv)
        buffers = Buffers(
            source,
            stage.layout,
            u=u,
            v=v,
            du=du,
            dv=dv,
            positive=positive,
            recompute=not stage.kept,
            **activations,
        )
        return block_step(block, buffers, stride, weights=self.module.edge_weight.dtype, dtype=self.dtype)


class _Training(_Step):
    """A step with gradients: `forward` once, then `backward`."""

    def __init__(self, module: "GraphModule", images: Tensor, gates: Tensor, program: Program) -> None:
        super().__init__(module, images, gates, program, training=True)
        self.lock = threading.Lock()  # the backwards of one step follow each other
        self.n_gates = len(gates)
        self.images_format = torch.contiguous_format if images.is_contiguous() else torch.channels_last
        self.d_images = torch.empty_like(self.images) if images.requires_grad else None
        self.nodes: list[list[BlockStep]] = []
        """The block of each node, followed by its reductions."""
        for stage in self.stages:
            for node, a in enumerate(stage.arguments):
                x, dx = stage.rows[stage.plan.n_sources + node], stage.gradients[node % stage.plan.width]
                self.nodes.append([self.node(stage, node, x, dx=dx, da=a if self.nodes else self._d_image())])
            for row, (node, *_) in enumerate(stage.plan.sources):
                start = next(s for s in reversed(self.stages) if s.plan.first <= node)
                value, x = self.nodes[node][0].buffers, stage.rows[row]
                found = self.reduction(stage, row, start, a=value.x, x=x, dx=x, da=value.dx, add=True)
                self.nodes[node].append(found)
        self.blocks = [block for blocks in self.nodes for block in blocks]
        self.parameters = [parameter for block in self.blocks for parameter in block.parameters]
        self.reads_images = self.blocks[0].reads_argument or self.blocks[0].buffers.recompute

    def forward(self) -> Tensor:
        """Return the value of the output node."""
        for stage in self.stages:
            for node in stage.fill():
                for block in self.nodes[stage.plan.first + node]:
                    block.forward(self.statistics)
        return self.output(self.stages[-1].rows[-1])

    def backward(self, gradient: Tensor, needs: Sequence[bool], *, keep: bool) -> list[Tensor | None]:
        """Return the gradients of the images, the gates, and the parameters of the blocks.

        Args:
            gradient: Gradient of the value of the output node.
            needs: Which of them are needed.
            keep: Whether another backward may follow, for which the buffers are restored.
        """
        written = [matrix for stage in self.stages for matrix in (stage.table, stage.sums)] if keep else []
        saved = [matrix.clone() for matrix in written]
        needed = iter(needs[2:])
        for block in self.blocks:
            block.needs = list(islice(needed, len(block.parameters)))
        d_gates = self.images.new_zeros(self.n_gates)
        try:
            for stage in reversed(self.stages):
                self._backward_stage(stage, gradient, keep=keep)
                if needs[1]:
                    found = stage.sum.weight_gradient(stage.weights, stage.table, stage.sums)
                    d_gates[stage.sum.edges] = found
                stage.sum.pull_sources(stage.weights, stage.sums, stage.sources)
        finally:
            for matrix, values in zip(written, saved, strict=True):
                matrix.copy_(values)
        blocks = [found for block in self.blocks for found in block.gradients]
        return [self._image_gradient(keep=keep) if needs[0] else None, d_gates if needs[1] else None, *blocks]

    def _backward_stage(self, stage: _Stage, gradient: Tensor, *, keep: bool) -> None:
        """Turn the sums of a stage into their gradients; later stages are complete."""
        if not stage.kept:
            deque(stage.fill(), maxlen=0)
        for low, high in reversed(stage.blocks()):
            pulled = stage.pulled[: high - low]
            stage.sum.pull_block(stage.weights, low, high, stage.sums, pulled)
            for node in reversed(range(low, high)):
                stage.sum.pull_node(stage.weights, low, node, high, stage.sums, pulled)
                position = stage.plan.first + node
                if position + 1 == len(self.nodes):  # the output, which no edge leaves
                    stage.gradients[node - low].image.copy_(gradient)
                for block in reversed(self.nodes[position]):
                    block.backward(keep=keep)

    def _d_image(self) -> Activation | None:
        return None if self.d_images is None else self.layout.activations(self.d_images)[0]

    def _image_gradient(self, *, keep: bool) -> Tensor | None:
        if self.d_images is None:
            return None
        (found, *_) = self.layout.activations(self.d_images.clone() if keep else self.d_images)[0]
        return found.contiguous(memory_format=self.images_format)


def _infer(step: _Step) -> Tensor:
    """Return the value of the output node, keeping nothing for a backward."""
    for stage in step.stages:
        stage.sum.clear(stage.sums)
    for place, stage in enumerate(step.stages):
        for node in stage.fill(start=False):
            step.node(stage, node, stage.rows[node]).infer(step.statistics)
        for into in step.stages[place + 1 :]:
            nodes = range(stage.plan.first, stage.plan.first + stage.plan.n_nodes)
            rows = [row for row, source in enumerate(into.plan.sources) if source.node in nodes]
            for low in rows[::AT_ONCE]:  # consecutive, since sources are ordered by node
                part = range(low, min(low + AT_ONCE, rows[-1] + 1))
                for x, row in zip(into.gradients, part, strict=False):
                    a = stage.rows[into.plan.sources[row].node - stage.plan.first]
                    step.reduction(into, row, stage, a=a, x=x).infer(step.statistics)
                into.sum.add_sources(into.weights, low, part.stop, into.pulled[: len(part)], into.sums)
    return step.output(step.stages[-1].rows[-1])


def _update(buffers: list[Tensor], values: Sequence[Tensor]) -> None:
    """Update running statistics in place."""
    cast = [value.to(buffer.dtype) for value, buffer in zip(values, buffers, strict=True)]
    torch._foreach_lerp_(buffers, cast, ConvBlock.momentum)  # noqa: SLF001  # as in torch.optim
