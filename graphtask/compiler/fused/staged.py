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
from torch import Tensor

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fused.conv_block import Buffers, ConvStep, Updates
from graphtask.compiler.fused.stages import StagePlan, plan_stages
from graphtask.compiler.fused.weighted_sum import DenseSum, SparseSum, WeightedSum
from graphtask.compiler.fused.workspace import AT_ONCE, Activation, Layout, Regions, Workspace, step_layouts
from graphtask.compiler.plan import Plan
from graphtask.errors import GraphtaskError

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule


class Program:
    """Parts of the fused execution that all steps of a module share: stages, indices of the sums, and the workspace.

    Args:
        plan: Plan of the module.
        recompute: Numbers of the stages whose sums and convolutions the backward computes again, to keep less.
        channels_last: Order of the activations in memory; None is True on the CPU and False elsewhere.
    """

    def __init__(
        self, plan: Plan, recompute: Collection[int] = (), *, channels_last: bool | None = None
    ) -> None:
        self.plan, self.recompute, self.channels_last = plan, frozenset(recompute), channels_last
        self.stages = plan_stages(plan)
        self.workspace = Workspace()
        self._sums: dict[torch.device, list[WeightedSum]] = {}

    def sums(self, device: torch.device) -> list[WeightedSum]:
        """Return the sums of the stages, with their indices on a device."""
        if device not in self._sums:
            self._sums[device] = [
                (DenseSum if stage.strategy == "dense" else SparseSum)(stage, device) for stage in self.stages
            ]
        return self._sums[device]

    def __getstate__(self) -> dict[str, Any]:
        """Let copies start with an empty workspace."""
        return {**self.__dict__, "workspace": Workspace(), "_sums": {}}


def run_fused(module: "GraphModule", images: Tensor) -> Tensor:
    """Return the logits, (batch, n_classes), of images (batch, in_channels, height, width).

    All blocks must be standard ones, and the operations must not be traced (see `graphtask.compiler.execution`).
    """
    gates = module.edge_weights()
    parameters = chain((images, gates), module.nodes.parameters(), module.reduces.parameters())
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        step = _Step(module, images, gates, training=True)
        value = _Staged.apply(step, images, gates, *step.parameters)
    else:
        with torch.no_grad():
            value = _Step(module, images, gates, training=False).infer()
    logits: Tensor = module.head(value)
    return logits


def step_dtype(images: Tensor) -> torch.dtype:
    """Return the dtype of a step's activations: that of the images, or the lower one of autocast."""
    kind = images.device.type
    lower = torch.is_autocast_enabled(kind) and images.dtype != torch.float64  # which autocast leaves alone
    return torch.get_autocast_dtype(kind) if lower else images.dtype


class _Staged(torch.autograd.Function):
    """Value of the output node, from images, gates and the parameters of the blocks."""

    @staticmethod
    def forward(ctx: Any, step: "_Step", images: Tensor, gates: Tensor, *parameters: Tensor) -> Tensor:
        # Autograd reports changes of saved tensors before the backward, which reads all parameters but the shifts.
        read = [parameter for index, parameter in enumerate(parameters) if index % 6 < 4]
        ctx.save_for_backward(*([images] if step.blocks[0].reads_argument else []), gates, *read)
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
        keep = torch._C._autograd._get_current_graph_task_keep_graph()  # noqa: SLF001  # no public way
        step: _Step | None = ctx.step
        if step is None:
            raise GraphtaskError(
                "an interrupted backward has overwritten the buffers; compute the logits again"
            )
        if not keep:
            ctx.step = None  # the memory is free for the next step, also while the loss is referenced
        with step.lock, torch.autocast(gradients[0].device.type, enabled=False):
            return (None, *step.backward(gradients[0], ctx.needs_input_grad[1:], keep=keep))


class _Stage(NamedTuple):
    """Views of the buffers of a stage in one step."""

    plan: StagePlan
    layout: Layout
    sum: WeightedSum
    weights: Tensor
    table: Tensor
    sums: Tensor
    pulled: Tensor
    values: list[Activation]
    """Rows of the table."""
    arguments: list[Activation]
    """Rows of the sums."""
    kept: list[Activation]
    """u and v of each row of the table, alternating; empty if they are not kept."""
    gradients: list[Activation]
    """Rows of ``pulled``."""
    scratch: list[Activation]
    """du, dv and ReLU(a); without gradients, ReLU(a) shares the row of dv."""


class _Step:
    """One batch of images through a module: `forward` and `backward`, or `infer`.

    Args:
        module: The network.
        images: The images.
        gates: Factor of each edge.
        training: Whether the step has gradients.
    """

    def __init__(self, module: "GraphModule", images: Tensor, gates: Tensor, *, training: bool) -> None:
        program, dtype = module.program, step_dtype(images)
        self.module, self.dtype, self.updates, self.n_gates = module, dtype, Updates(), len(gates)
        self.lock = threading.Lock()  # the backwards of one step follow each other
        channels_last = (
            images.device.type == "cpu" if program.channels_last is None else program.channels_last
        )
        layouts = step_layouts(
            program.stages, images.shape, channels=module.channels, channels_last=channels_last
        )
        regions = (
            Regions.training(program.stages, layouts, program.recompute)
            if training
            else Regions.inference(program.stages, layouts)
        )
        memory = program.workspace.take(regions.numel, dtype=dtype, device=images.device)
        weakref.finalize(self, program.workspace.give_back, memory).atexit = False
        scratch = regions.scratch.of(memory)
        self.images = layouts[0].view_or_copy(images.detach().to(dtype))
        first = (layouts[0].activations(matrix)[0] for matrix in (self.images, scratch[-1:]))
        self.input: tuple[Layout, Activation, Activation] = (layouts[0], next(first), next(first))
        gates = gates.detach().to(dtype)
        self.stages: list[_Stage] = []
        for place, (plan, layout) in enumerate(zip(program.stages, layouts[1:], strict=True)):
            weighted = program.sums(images.device)[place]
            table, sums, kept, pulled = (found[place].of(memory) for found in regions[:4])
            views = map(layout.activations, (table, sums, kept, pulled, scratch))
            self.stages.append(
                _Stage(plan, layout, weighted, weighted.prepare(gates), table, sums, pulled, *views)
            )
        if training:
            self.images_format = torch.contiguous_format if images.is_contiguous() else torch.channels_last
            self.d_images = torch.empty_like(self.images) if images.requires_grad else None
            self.nodes = self._training_blocks()
            self.blocks = [block for blocks in self.nodes for block in blocks]
            self.parameters = [parameter for block in self.blocks for parameter in block.parameters]

    def forward(self) -> Tensor:
        """Return the value of the output node."""
        for stage in self.stages:
            for node in self._fill(stage):
                for block in self.nodes[stage.plan.first + node]:
                    block.forward(self.updates)
        return self._output()

    def infer(self) -> Tensor:
        """Return the value of the output node, keeping nothing for a backward."""
        for stage in self.stages:
            stage.sum.clear(stage.sums)
        for place, stage in enumerate(self.stages):
            for node in stage.sum.fill(stage.weights, None, stage.table, stage.sums):
                self._node(stage, node, stage.values[node]).infer(self.updates)
            for into in self.stages[place + 1 :]:
                rows = into.plan.rows_from(stage.plan)
                for low in rows[::AT_ONCE]:
                    part = range(low, min(low + AT_ONCE, rows.stop))
                    for x, row in zip(into.gradients, part, strict=False):
                        a = stage.values[into.plan.sources[row].node - stage.plan.first]
                        self._reduction(into, row, stage, a=a, x=x).infer(self.updates)
                    into.sum.add_sources(into.weights, low, part.stop, into.pulled[: len(part)], into.sums)
        return self._output()

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
                self._backward_stage(stage, gradient)
                if needs[1]:
                    d_gates[stage.sum.edges] = stage.sum.weight_gradient(stage.table, stage.sums)
                stage.sum.pull_sources(stage.weights, stage.sums, stage.table[: stage.plan.n_sources])
        finally:
            for matrix, values in zip(written, saved, strict=True):
                matrix.copy_(values)
        d_images = None
        if needs[0] and self.d_images is not None:
            (found, *_) = self.input[0].activations(self.d_images.clone())[0]
            d_images = found.contiguous(memory_format=self.images_format)
        return [d_images, d_gates, *(found for block in self.blocks for found in block.gradients)]

    def _backward_stage(self, stage: _Stage, gradient: Tensor) -> None:
        """Turn the sums of a stage into their gradients; later stages are complete."""
        if not stage.kept:
            deque(self._fill(stage), maxlen=0)
        for node in stage.sum.pull(stage.weights, stage.sums, stage.pulled):
            blocks = self.nodes[stage.plan.first + node]
            if blocks is self.nodes[-1]:  # the output, which no edge leaves
                stage.gradients[node % stage.plan.width].image.copy_(gradient)
            for block in reversed(blocks):
                block.backward()

    def _fill(self, stage: _Stage) -> Iterator[int]:
        n = stage.plan.n_sources
        return stage.sum.fill(stage.weights, stage.table[:n], stage.table[n:], stage.sums)

    def _training_blocks(self) -> list[list[ConvStep]]:
        """Return the block of each node, followed by its reductions."""
        nodes: list[list[ConvStep]] = []
        for stage in self.stages:
            for node, a in enumerate(stage.arguments):
                x, dx = stage.values[stage.plan.n_sources + node], stage.gradients[node % stage.plan.width]
                nodes.append([self._node(stage, node, x, dx=dx, da=a)])
            for start in self.stages:
                for row in stage.plan.rows_from(start.plan):
                    blocks, x = nodes[stage.plan.sources[row].node], stage.values[row]
                    a, da = blocks[0].buffers.x, blocks[0].buffers.dx
                    blocks.append(self._reduction(stage, row, start, a=a, x=x, dx=x, da=da, add=True))
        return nodes

    def _node(self, stage: _Stage, node: int, x: Activation, **gradients: Any) -> ConvStep:
        """Return the step of a node's block; that of the first node reads the images."""
        block, row = self.module.nodes[stage.plan.keys[node]], stage.plan.n_sources + node
        source, a, positive = stage.layout, stage.arguments[node], stage.scratch[-1]
        if stage.plan.first + node == 0:
            source, a, positive = self.input
            if gradients:
                gradients["da"] = None if self.d_images is None else source.activations(self.d_images)[0]
        return self._block(block, stage, row, source=source, positive=positive, a=a, x=x, **gradients)

    def _reduction(self, stage: _Stage, row: int, start: _Stage, **activations: Any) -> ConvStep:
        """Return the step of the block that brings a value of the stage ``start`` into ``stage``."""
        block, positive = self.module.reduces[stage.plan.sources[row].key], start.scratch[-1]
        return self._block(block, stage, row, source=start.layout, positive=positive, **activations)

    def _block(self, block: Any, stage: _Stage, row: int, **activations: Any) -> ConvStep:
        du, dv = stage.scratch[:2]
        u, v = stage.kept[2 * row : 2 * row + 2] or (du, dv)
        own: dict[str, Any] = {
            "target": stage.layout,
            "u": u,
            "v": v,
            "du": du,
            "dv": dv,
            "recompute": not stage.kept,
        }
        return ConvStep(block, Buffers(**own, **activations), self.dtype)

    def _output(self) -> Tensor:
        """Update the running statistics, and return a copy of the output in PyTorch's usual order."""
        for attribute, values in (
            ("running_means", [moments.mean for _, moments in self.updates]),
            ("running_vars", [moments.unbiased() for _, moments in self.updates]),
        ):
            running = [getattr(block, attribute) for block, _ in self.updates]
            cast = [value.to(old.dtype) for value, old in zip(values, running, strict=True)]
            if running:
                torch._foreach_lerp_(running, cast, ConvBlock.momentum)
        return self.stages[-1].values[-1].image.clone(memory_format=torch.contiguous_format)
