"""Fused execution of a module: the same function as the plain one, in less time and memory.

The values of a stage are the rows of one table: first those that reduce blocks brought from earlier stages, then those
of its own nodes. Weighted sums are therefore matrix products over the table, in blocks of a few nodes
(`weighted_sum`). The backward pulls: each node leaves the gradient of its sum in place of the sum, and the gradient of a
node's value is a product over the rows of the nodes after it. Nothing of the size (predecessors × activation) exists,
and the whole network, without gates and head, is one node of the autograd graph.
"""

import threading
import weakref
from collections import deque
from collections.abc import Collection
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fused.conv_block import ConvStep, Updates
from graphtask.compiler.fused.stages import StagePlan, plan_stages
from graphtask.compiler.fused.weighted_sum import DenseSum, SparseSum, WeightedSum
from graphtask.compiler.fused.workspace import Activation, Regions, StageBuffers, Workspace, step_layouts
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
        self.recompute, self.channels_last = frozenset(recompute), channels_last
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
        step = _Step(module, images, gates, with_gradients=True)
        value = _Staged.apply(step, images, gates, *step.parameters)
    else:
        with torch.no_grad():
            value = _Step(module, images, gates, with_gradients=False).infer()
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
        # Autograd reports changes of saved tensors before the backward; no gradient depends on the shifts.
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
            raise GraphtaskError("an interrupted backward overwrote the buffers; compute the logits again")
        if not keep:
            ctx.step = None  # the memory is free for the next step, also while the loss is referenced
        with step.lock, torch.autocast(gradients[0].device.type, enabled=False):
            return (None, *step.backward(gradients[0], keep=keep))


class _Stage(NamedTuple):
    """A stage in one step."""

    plan: StagePlan
    sum: WeightedSum
    weights: Tensor
    """As `prepare` of the sum returns them."""
    buffers: StageBuffers


class _Step:
    """One batch of images through a module, with the factors of its edges: `forward` and `backward`, or `infer`."""

    def __init__(self, module: "GraphModule", images: Tensor, gates: Tensor, *, with_gradients: bool) -> None:
        program, stages, dtype = module.program, module.program.stages, step_dtype(images)
        self.module, self.updates, self.gates = module, Updates(), gates
        self.lock = threading.Lock()  # the backwards of one step follow each other
        last = images.device.type == "cpu" if program.channels_last is None else program.channels_last
        layouts = step_layouts(stages, images.shape, channels=module.channels, channels_last=last)
        if with_gradients:
            regions = Regions.training(stages, layouts, program.recompute)
        else:
            regions = Regions.inference(stages, layouts)
        memory = program.workspace.take(regions.numel, dtype=dtype, device=images.device)
        weakref.finalize(self, program.workspace.give_back, memory).atexit = False
        buffers = regions.buffers(memory, layouts)
        weighted, factors = program.sums(images.device), gates.detach().to(dtype)
        weights = [stage.prepare(factors) for stage in weighted]
        self.stages = list(map(_Stage, stages, weighted, weights, buffers))
        # The images are the argument of the first node, so they take the place of a sum.
        argument, none = layouts[0].view_or_copy(images.detach().to(dtype)), memory[:0, None]
        d_images = torch.empty_like(argument) if with_gradients and images.requires_grad else none
        self.input = StageBuffers(layouts[0], none, argument, none, d_images, regions.scratch.of(memory))
        if with_gradients:
            self.images_format = torch.contiguous_format if images.is_contiguous() else torch.channels_last
            self.nodes = self._training_blocks()
            self.blocks = [block for blocks in self.nodes for block in blocks]
            self.parameters = [parameter for block in self.blocks for parameter in block.parameters]

    def forward(self) -> Tensor:
        """Return a copy of the value of the output node."""
        for stage in self.stages:
            for node in stage.sum.fill(stage.weights, stage.buffers.table, stage.buffers.sums):
                for block in self.nodes[stage.plan.first + node]:
                    block.forward(self.updates)
        return self._output()

    def infer(self) -> Tensor:
        """Return a copy of the value of the output node, keeping nothing for a backward."""
        for stage in self.stages:
            stage.sum.clear(stage.buffers.sums)
        for place, (plan, weighted, weights, own) in enumerate(self.stages):
            for node in weighted.fill(weights, own.table, own.sums, brought=True):
                self._node(self.stages[place], node, own.values[node]).infer(self.updates)
            for into in self.stages[place + 1 :]:
                rows, brought = into.plan.rows_from(plan), into.buffers
                while rows:
                    part, rows = rows[: len(brought.pulled)], rows[len(brought.pulled) :]
                    for x, row in zip(brought.gradients, part, strict=False):
                        a = own.values[into.plan.sources[row].node - plan.first]
                        self._reduction(into, row, own, a=a, x=x).infer(self.updates)
                    sources = brought.pulled[: len(part)]
                    into.sum.add_sources(into.weights, part.start, part.stop, sources, brought.sums)
        return self._output()

    def backward(self, gradient: Tensor, *, keep: bool) -> list[Tensor | None]:
        """Return the gradients of the images, the gates and the parameters; ``keep`` restores the buffers."""
        owned = [stage.buffers for stage in self.stages] if keep else []
        saved = [(matrix, matrix.clone()) for own in owned for matrix in (own.table, own.sums)]
        d_gates = torch.zeros_like(self.gates, dtype=gradient.dtype)
        try:
            for stage in reversed(self.stages):
                self._backward_stage(stage, gradient, d_gates)
        finally:
            for matrix, values in saved:
                matrix.copy_(values)
        d_images = [dx.image.clone(memory_format=self.images_format) for dx in self.input.gradients]
        d_parameters = [found for block in self.blocks for found in block.gradients]
        return [d_images[0] if d_images else None, d_gates, *d_parameters]

    def _backward_stage(self, stage: _Stage, gradient: Tensor, d_gates: Tensor) -> None:
        """Turn the sums of a stage, then its sources, into their gradients; later stages are complete."""
        plan, weighted, weights, own = stage
        if not own.kept:
            deque(weighted.fill(weights, own.table, own.sums), maxlen=0)
        for node in weighted.pull(weights, own.sums, own.pulled):
            blocks = self.nodes[plan.first + node]
            if blocks is self.nodes[-1]:  # the output, which no edge leaves
                own.gradients[node % plan.width].image.copy_(gradient)
            for block in reversed(blocks):
                block.backward()
        if self.gates.requires_grad:
            d_gates[weighted.edges] = weighted.weight_gradient(own.table, own.sums)
        weighted.pull_sources(weights, own.sums, own.table[: plan.n_sources])

    def _training_blocks(self) -> list[list[ConvStep]]:
        """Return the block of each node, followed by its reductions."""
        nodes: list[list[ConvStep]] = []
        for stage in self.stages:
            plan, own = stage.plan, stage.buffers
            for node in range(plan.n_nodes):
                x, dx = own.values[plan.n_sources + node], own.gradients[node % plan.width]
                nodes.append([self._node(stage, node, x, dx=dx)])
            for row, source in enumerate(plan.sources):
                blocks, x = nodes[source.node], own.values[row]
                a, da, start = blocks[0].x, blocks[0].dx, blocks[0].into
                blocks.append(self._reduction(stage, row, start, a=a, x=x, dx=x, da=da, add=True))
        return nodes

    def _node(self, stage: _Stage, node: int, x: Activation, dx: Activation | None = None) -> ConvStep:
        """Return the step of a node's block; that of the first node reads the images."""
        plan, own = stage.plan, stage.buffers
        start, a = (own, own.arguments[node]) if plan.first + node else (self.input, self.input.arguments[0])
        da = a if plan.first + node else next(iter(self.input.gradients), None)
        block: Any = self.module.nodes[plan.keys[node]]
        return ConvStep(block, start, own, plan.n_sources + node, a=a, x=x, dx=dx, da=da)

    def _reduction(self, stage: _Stage, row: int, start: StageBuffers, **activations: Any) -> ConvStep:
        """Return the step of the block that brings a value of the stage ``start`` into ``stage``."""
        block: Any = self.module.reduces[stage.plan.sources[row].key]
        return ConvStep(block, start, stage.buffers, row, **activations)

    def _output(self) -> Tensor:
        """Update the running statistics, and return a copy of the output in PyTorch's usual order."""
        running = [old for block, _ in self.updates for old in (block.running_means, block.running_vars)]
        found = [new for _, moments in self.updates for new in (moments.mean, moments.unbiased())]
        if running:
            cast = [new.to(old.dtype) for new, old in zip(found, running, strict=True)]
            torch._foreach_lerp_(running, cast, ConvBlock.momentum)
        return self.stages[-1].buffers.values[-1].image.clone(memory_format=torch.contiguous_format)
