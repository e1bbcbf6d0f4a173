"""One step of the fast execution: forward and backward through all stages, in memory laid out in advance."""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.fast_block import Opaque, StandardBlock, Updates, fetch_parameters
from graphtask.compiler.fast_group import Candidate, Together, grouped
from graphtask.compiler.fast_memory import (
    Lease,
    Pool,
    Shape,
    Shapes,
    inference_memory,
    step_shapes,
    training_memory,
)
from graphtask.compiler.fast_pixels import Pixels
from graphtask.compiler.fast_planes import Planes
from graphtask.compiler.fast_rooms import Room, inference_rooms, training_rooms
from graphtask.compiler.fast_sums import SumPlan, Sums
from graphtask.compiler.plan import node_name
from graphtask.compiler.planner import StagePlan
from graphtask.compiler.standard import standard_parts

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule


Block: TypeAlias = Pixels | Planes | Opaque


class Reduce(NamedTuple):
    """A block from a node into a later stage."""

    stage: int
    """Place of the stage among the stages."""
    row: int
    """Its row among the sources of that stage."""
    block: Block


class Network(NamedTuple):
    """A module as one step sees it."""

    stages: tuple[StagePlan, ...]
    sums: Sequence[SumPlan]
    shapes: Shapes
    dtype: torch.dtype
    nodes: list[Block]
    reduces: list[list[Reduce]]
    """Of each node, in the order of the stages that they lead into."""

    @property
    def blocks(self) -> list[Block]:
        """All blocks: a node's before those of its reductions."""
        return [
            block
            for node, reduces in zip(self.nodes, self.reduces, strict=True)
            for block in (node, *(reduce.block for reduce in reduces))
        ]

    @property
    def foreign(self) -> str | None:
        """A block that is not the standard one, in words; None if all are."""
        keys = [key for stage in self.stages for key in stage.keys]
        for key, node, reduces in zip(keys, self.nodes, self.reduces, strict=True):
            if isinstance(node, Opaque):
                return f"the block of node {node_name(key)!r}"
            for reduce in reduces:
                if isinstance(reduce.block, Opaque):
                    return (
                        f"the block from node {node_name(key)!r} into stage {self.stages[reduce.stage].stage}"
                    )
        return None

    def together(self, place: int) -> list[Together]:
        """The reductions out of a stage that are computed together, when all its nodes are."""
        stage = self.stages[place]
        found: dict[int, list[Candidate]] = {}
        for node in range(stage.n_nodes):
            for into, row, block in self.reduces[stage.first + node]:
                if isinstance(block, Planes):
                    found.setdefault(into, []).append(Candidate(node, row, block))
        return [item for into, reductions in found.items() for item in grouped(into, reductions)]

    def flat_images(self, images: Tensor) -> Tensor:
        """The images as the blocks take them."""
        shape = self.shapes.images
        return shape.flat(images.detach().to(self.dtype).contiguous(memory_format=shape.memory_format))

    def first_room(self, room: Room, images: Tensor, *, da: Tensor | None = None) -> Room:
        """The room of the first node, whose argument is the images."""
        return replace(room, source=self.shapes.images, stride=1 << self.stages[0].stage, a=images, da=da)


def read_network(
    module: "GraphModule",
    images: Tensor,
    *,
    stages: tuple[StagePlan, ...],
    sums: Sequence[SumPlan],
    channels_last: bool,
) -> Network:
    """What a step on ``images`` needs to know of the module, as it is now."""
    dtype, weights = step_dtype(images), module.edge_weight.dtype
    batch, channels, height, width = images.shape
    shapes = step_shapes(
        stages, (batch, channels, height, width), channels=module.channels, channels_last=channels_last
    )
    places = [place for place, stage in enumerate(stages) for _ in stage.keys]
    keys = [key for stage in stages for key in stage.keys]
    sources = [shapes.images, *(shapes.stages[place] for place in places[1:])]
    strides = [1 << stages[0].stage, *(1 for _ in keys[1:])]
    nodes = [
        make_block(module.nodes[key], source, shapes.stages[place], stride, dtype, weights=weights)
        for key, source, place, stride in zip(keys, sources, places, strides, strict=True)
    ]
    reduces: list[list[Reduce]] = [[] for _ in nodes]
    for place, stage in enumerate(stages):
        for row, source in enumerate(stage.sources):
            start = shapes.stages[places[source.node]]
            target = shapes.stages[place]
            block = make_block(
                module.reduces[source.key], start, target, source.stride, dtype, weights=weights
            )
            reduces[source.node].append(Reduce(place, row, block))
    network = Network(stages, sums, shapes, dtype, nodes, reduces)
    fetch_parameters([block for block in network.blocks if isinstance(block, StandardBlock)])
    return network


def step_dtype(images: Tensor) -> torch.dtype:
    """The dtype of a step's activations: that of the images, or autocast's lower one."""
    kind = images.device.type
    lower = torch.is_autocast_enabled(kind) and images.dtype != torch.float64  # which autocast leaves alone
    return torch.get_autocast_dtype(kind) if lower else images.dtype


def make_block(
    block: nn.Module, source: Shape, target: Shape, stride: int, dtype: torch.dtype, *, weights: torch.dtype
) -> Block:
    """A block of a module for one step: ``dtype`` is that of the activations, ``weights`` that of the parameters."""
    parts = standard_parts(block)
    if parts is None or not parts.fit(source, target, stride, weights=weights):
        return Opaque(block, source, target)
    kind = Pixels if target.channels_last else Planes
    return kind(parts, source, target, dtype)


BlockGradients: TypeAlias = "dict[int, list[Tensor | None]]"


class Training:
    """A step with gradients: `forward` once, then `backward`.

    Args:
        network: The network.
        images: The images.
        gates: What the edges multiply by.
        pool: Where the memory comes from.
        checkpoint: The stages whose sums and convolutions the backward computes again, to keep less.
    """

    def __init__(
        self, network: Network, images: Tensor, gates: Tensor, *, pool: Pool, checkpoint: Collection[int]
    ) -> None:
        self.network = network
        self.checkpoint = checkpoint
        stages, shapes = network.stages, network.shapes
        plan = training_memory(stages, shapes, checkpoint=checkpoint)
        self.lease = Lease(pool, plan.numel, dtype=network.dtype, device=images.device)
        allocation = self.lease.allocation
        self.rooms = allocation.views.get(
            (plan, shapes), lambda: training_rooms(stages, shapes, plan, allocation.memory)
        )
        self.lock = threading.Lock()  # the backwards of one step are one after the other
        self.images = network.flat_images(images)
        self.images_format = torch.contiguous_format if images.is_contiguous() else torch.channels_last
        d_images = torch.empty_like(self.images) if images.requires_grad else None
        self.first = network.first_room(self.rooms.nodes[0], self.images, da=d_images)
        gates = gates.detach().to(network.dtype)
        self.n_gates = len(gates)
        self.weights = [
            Sums(sum_plan, gates, table)
            for sum_plan, table in zip(network.sums, self.rooms.tables, strict=True)
        ]
        self.together = [network.together(place) for place in range(len(stages))]
        self.grouped = {id(block) for found in self.together for item in found for block in item.group.blocks}

    def forward(self) -> Tensor:
        """The value of the output node."""
        network, rooms = self.network, self.rooms
        updates = Updates()
        for place, stage in enumerate(network.stages):
            for position in self.fill_sums(place):
                room = rooms.nodes[position] if position else self.first
                network.nodes[position].forward(room, updates=updates)
                for block, reduced in self.alone(position):
                    block.forward(reduced, updates=updates)
            for item in self.together[place]:
                item.group.forward(
                    rooms.tables[place][stage.n_sources :][item.nodes],
                    out=rooms.tables[item.stage][item.rows],
                    kept=_rows(rooms.kept[item.stage], item.rows),
                    updates=updates,
                )
        updates.write()
        return _images_of_its_own(network.shapes.stages[-1].image(rooms.nodes[-1].x))

    @property
    def read_again(self) -> list[Tensor]:
        """The parameters that the backward reads again: all but biases."""
        blocks = (block for block in self.network.blocks if isinstance(block, StandardBlock))
        return [block.parameters[index] for block in blocks for index in (0, 1, 3, 4)]

    @property
    def reads_images_again(self) -> bool:
        """Whether the backward reads the images."""
        first = self.network.nodes[0]
        return (
            self.first.da is not None
            or self.network.stages[0].stage in self.checkpoint
            or (isinstance(first, StandardBlock) and first.learns_weights)
        )

    def alone(self, position: int) -> Iterator[tuple[Block, Room]]:
        """The reductions of a node that are not computed together with others."""
        for reduce, room in zip(self.network.reduces[position], self.rooms.reduces[position], strict=True):
            if id(reduce.block) not in self.grouped:
                yield reduce.block, room

    def fill_sums(self, place: int) -> Iterator[int]:
        """Fill the sums of a stage: gives the position of each node whose sum is there, and then needs its value."""
        stage, weights = self.network.stages[place], self.weights[place]
        table, sums = self.rooms.tables[place], self.rooms.sums[place]
        sources, values = table[: stage.n_sources], table[stage.n_sources :]
        weights.start(sources, sums)
        for low in range(0, stage.n_nodes, stage.width):
            high = min(low + stage.width, stage.n_nodes)
            block_started = weights.fill_block(low, high, values, sums, started=weights.by_product_across)
            for node in range(low, high):
                started = weights.fill_node(low, node, values, sums, started=block_started)
                weights.fill_across(node, sources, sums, started=started)
                yield stage.first + node

    def backward(self, gradient: Tensor, needs: Sequence[bool], *, keep: bool) -> list[Tensor | None]:
        """The gradients of the images (in their own order in memory), the gates, and the blocks' parameters.

        Args:
            gradient: The gradient of the value of the output node.
            needs: Which of them are wanted.
            keep: Whether there will be another backward; if not, what this one has written over stays so.
        """
        network = self.network
        written = (*self.rooms.tables, *self.rooms.sums) if keep else ()
        before = [rows.clone() for rows in written]
        run = _Backward(self, needs, keep=keep)
        shape = network.shapes.stages[-1]
        last = shape.flat(gradient.to(network.dtype).contiguous(memory_format=shape.memory_format))
        try:
            for place in reversed(range(len(network.stages))):
                run.stage(place, last)
        finally:
            for rows, values in zip(written, before, strict=True):
                rows.copy_(values)
        images = None
        if needs[0] and self.first.da is not None:
            images = network.shapes.images.image(self.first.da.clone() if keep else self.first.da)
            images = images.contiguous(memory_format=self.images_format)
        blocks = [gradient for block in network.blocks for gradient in run.found[id(block)]]
        return [images, run.d_gates if needs[1] else None, *blocks]


class _Backward:
    """The backward of one step, stage by stage from the last."""

    def __init__(self, step: Training, needs: Sequence[bool], *, keep: bool) -> None:
        self.step = step
        self.keep = keep
        self.needs: dict[int, list[bool]] = {}
        offset = 2
        for block in step.network.blocks:
            self.needs[id(block)] = list(needs[offset : offset + len(block.parameters)])
            offset += len(block.parameters)
        self.needs_gates = needs[1]
        self.d_gates = step.images.new_zeros(step.n_gates)
        self.found: BlockGradients = {}

    def stage(self, place: int, last: Tensor) -> None:
        """Complete a stage, whose later stages are complete; ``last`` is the gradient of the output node."""
        step = self.step
        stage, weights = step.network.stages[place], step.weights[place]
        table, sums = step.rooms.tables[place], step.rooms.sums[place]
        sources, values = table[: stage.n_sources], table[stage.n_sources :]
        if stage.stage in step.checkpoint:
            for _ in step.fill_sums(place):
                pass
        brought = self._together(place, values)
        for low in reversed(range(0, stage.n_nodes, stage.width)):
            high = min(low + stage.width, stage.n_nodes)
            pulled = step.rooms.pulled[place][: high - low]
            started = weights.pull_block(low, high, sums, pulled)
            for node in reversed(range(low, high)):
                dx = pulled[node - low]
                written = weights.pull_node(node, high, sums, dx, started=started)
                if stage.first + node == len(step.network.nodes) - 1:
                    dx.copy_(last)
                elif not written:
                    dx.zero_()
                if brought is not None:
                    dx.add_(brought[node])
                self._node(stage.first + node)
        if self.needs_gates:
            self.d_gates[weights.plan.edges] = weights.weight_gradients(sources, values, sums)
        weights.pull_sources(sums, sources)

    def _together(self, place: int, values: Tensor) -> Tensor | None:
        """The gradients of a stage's values from all that is reduced together; None if nothing is."""
        rooms, brought = self.step.rooms, None
        for item in self.step.together[place]:
            out = values.new_empty(values[item.nodes].shape)
            gradients = item.group.backward(
                values[item.nodes],
                rooms.tables[item.stage][item.rows],
                kept=_rows(rooms.kept[item.stage], item.rows),
                out=out,
                needs=[self.needs[id(block)] for block in item.group.blocks],
            )
            self.found |= {
                id(block): found for block, found in zip(item.group.blocks, gradients, strict=True)
            }
            brought = values.new_zeros(values.shape) if brought is None else brought
            brought[item.nodes].add_(out)
        return brought

    def _node(self, position: int) -> None:
        """Complete the gradient of a node's value, and turn it into the gradient of its sum."""
        step = self.step
        for block, room in step.alone(position):
            self._block(block, room)
        self._block(step.network.nodes[position], step.rooms.nodes[position] if position else step.first)

    def _block(self, block: Block, room: Room) -> None:
        self.found[id(block)] = block.backward(room, needs=self.needs[id(block)], keep=self.keep)


def infer(network: Network, images: Tensor, gates: Tensor, *, pool: Pool) -> Tensor:
    """The value of the output node, keeping nothing for a backward."""
    stages, shapes = network.stages, network.shapes
    plan = inference_memory(stages, shapes)
    lease = Lease(pool, plan.numel, dtype=network.dtype, device=images.device)
    memory = lease.allocation.memory
    rooms = lease.allocation.views.get((plan, shapes), lambda: inference_rooms(stages, shapes, plan, memory))
    first = network.first_room(rooms.nodes[0], network.flat_images(images))
    gates = gates.to(network.dtype)
    weights = [
        Sums(sum_plan, gates, values) for sum_plan, values in zip(network.sums, rooms.values, strict=True)
    ]
    updates = Updates()
    for stage, values in zip(stages, rooms.values, strict=True):
        if stage.sources:
            values.zero_()
    for place, stage in enumerate(stages):
        values = rooms.values[place]
        for low in range(0, stage.n_nodes, stage.width):
            high = min(low + stage.width, stage.n_nodes)
            block_started = weights[place].fill_block(low, high, values, values, started=stage.n_sources > 0)
            for node in range(low, high):
                weights[place].fill_node(low, node, values, values, started=block_started)
                position = stage.first + node
                network.nodes[position].infer(rooms.nodes[position] if position else first, updates=updates)
        for part in rooms.parts[place]:
            for position, number, room in part.rooms:
                network.reduces[position][number].block.infer(room, updates=updates)
            last = part.first + len(part.rooms)
            weights[part.stage].start_part(
                part.first, last, part.values[: len(part.rooms)], rooms.values[part.stage]
            )
    updates.write()
    return _images_of_its_own(shapes.stages[-1].image(rooms.nodes[-1].x))


def _images_of_its_own(value: Tensor) -> Tensor:
    """A copy in PyTorch's usual order, which the head may do anything to, in place too."""
    return value.clone(memory_format=torch.contiguous_format)


def _rows(table: Tensor | None, rows: slice) -> Tensor | None:
    """What several blocks keep."""
    return None if table is None else table[rows]
