"""One step of the fast execution: forward and backward through all stages, in memory laid out in advance."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fast_block import Opaque, StandardBlock, Updates, fetch_parameters, is_standard
from graphtask.compiler.fast_group import Reduction, Together, grouped
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
from graphtask.compiler.fast_sums import SumPlan, Sums
from graphtask.compiler.planner import StagePlan

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

    @property
    def blocks(self) -> list[Block]:
        """All blocks: a node's before those of its reductions."""
        return [
            block
            for node, reduces in zip(self.nodes, self.reduces, strict=True)
            for block in (node, *(reduce.block for reduce in reduces))
        ]

    def together(self, place: int) -> list[Together]:
        """The reductions out of a stage that are computed together, when all its nodes are."""
        stage = self.stages[place]
        found: dict[int, list[Reduction]] = {}
        for node in range(stage.n_nodes):
            for into, row, block in self.reduces[stage.first + node]:
                if isinstance(block, Planes):
                    found.setdefault(into, []).append(Reduction(node, row, block))
        return [item for into, reductions in found.items() for item in grouped(into, reductions)]

    def flat_images(self, images: Tensor) -> Tensor:
        """The images as the blocks take them."""
        shape = self.shapes.images
        return shape.flat(images.detach().to(self.dtype).contiguous(memory_format=shape.memory_format))


def read_network(
    module: "GraphModule",
    images: Tensor,
    *,
    stages: tuple[StagePlan, ...],
    sums: Sequence[SumPlan],
    channels_last: bool,
) -> Network:
    """What a step on ``images`` needs to know of the module, as it is now."""
    kind = images.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype
    batch, channels, height, width = images.shape
    shapes = step_shapes(
        stages, (batch, channels, height, width), channels=module.channels, channels_last=channels_last
    )
    places = [place for place, stage in enumerate(stages) for _ in stage.keys]
    keys = [key for stage in stages for key in stage.keys]
    sources = [shapes.images, *(shapes.stages[place] for place in places[1:])]
    nodes = [
        make_block(module.nodes[key], source, shapes.stages[place], dtype)
        for key, source, place in zip(keys, sources, places, strict=True)
    ]
    reduces: list[list[Reduce]] = [[] for _ in nodes]
    for place, stage in enumerate(stages):
        for row, source in enumerate(stage.sources):
            start = shapes.stages[places[source.node]]
            block = make_block(module.reduces[source.key], start, shapes.stages[place], dtype)
            reduces[source.node].append(Reduce(place, row, block))
    network = Network(stages, sums, shapes, dtype, nodes, reduces)
    fetch_parameters([block for block in network.blocks if isinstance(block, StandardBlock)])
    return network


def make_block(block: nn.Module, source: Shape, target: Shape, dtype: torch.dtype) -> Block:
    """A block of a module for one step."""
    if isinstance(block, ConvBlock) and is_standard(block):
        kind = Pixels if target.channels_last else Planes
        return kind(block, source, target, dtype)
    return Opaque(block, source, target)


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
        plan = training_memory(network.stages, network.shapes, checkpoint=checkpoint)
        self.lease = Lease(pool, plan.numel, dtype=network.dtype, device=images.device)
        memory = self.lease.memory
        self.tables = [region.of(memory) for region in plan.tables]
        self.sums = [region.of(memory) for region in plan.sums]
        self.kept = [None if region is None else region.of(memory) for region in plan.kept]
        self.scratch = plan.scratch.of(memory)
        self.pulled = [region.of(memory) for region in plan.pulled]
        self.images = network.flat_images(images)
        gates = gates.detach().to(network.dtype)
        self.n_gates = len(gates)
        self.weights = [Sums(sum_plan, gates) for sum_plan in network.sums]
        self.together = [network.together(place) for place in range(len(network.stages))]
        self.grouped = {id(block) for found in self.together for item in found for block in item.group.blocks}

    def forward(self) -> Tensor:
        """The value of the output node."""
        network = self.network
        updates = Updates()
        for place, stage in enumerate(network.stages):
            table, kept = self.tables[place], self.kept[place]
            for node, a in self.arguments(place, self.tables[place], self.sums[place]):
                row = stage.n_sources + node
                network.nodes[stage.first + node].forward(
                    a, out=table[row], kept=_row(kept, row), scratch=self.scratch, updates=updates
                )
                for into, far, block in self.alone(stage.first + node):
                    block.forward(
                        table[row],
                        out=self.tables[into][far],
                        kept=_row(self.kept[into], far),
                        scratch=self.scratch,
                        updates=updates,
                    )
            for item in self.together[place]:
                item.group.forward(
                    table[stage.n_sources :][item.nodes],
                    out=self.tables[item.stage][item.rows],
                    kept=_rows(self.kept[item.stage], item.rows),
                    updates=updates,
                )
        updates.write()
        return network.shapes.stages[-1].image(self.tables[-1][-1].clone())

    def alone(self, position: int) -> list[Reduce]:
        """The reductions of a node that are not computed together with others."""
        return [reduce for reduce in self.network.reduces[position] if id(reduce.block) not in self.grouped]

    def arguments(self, place: int, table: Tensor, sums: Tensor) -> Iterator[tuple[int, Tensor]]:
        """The nodes of a stage with the arguments of their blocks, each when the values before it are there."""
        stage, weights = self.network.stages[place], self.weights[place]
        sources, values = table[: stage.n_sources], table[stage.n_sources :]
        weights.start(sources, sums)
        for low in range(0, stage.n_nodes, stage.width):
            high = min(low + stage.width, stage.n_nodes)
            block_started = weights.fill_block(low, high, values, sums, started=weights.by_product_across)
            for node in range(low, high):
                started = weights.fill_node(low, node, values, sums, started=block_started)
                weights.fill_across(node, sources, sums, started=started)
                yield node, self.images if stage.first + node == 0 else sums[node]

    def backward(self, gradient: Tensor, needs: Sequence[bool], *, keep: bool) -> list[Tensor | None]:
        """The gradients of the images, the gates, and the blocks' parameters.

        Args:
            gradient: The gradient of the value of the output node.
            needs: Which of them are wanted.
            keep: Whether there will be another backward; if not, gradients are written over what was kept.
        """
        network = self.network
        tables, sums = self.tables, self.sums
        if keep:
            tables, sums = [table.clone() for table in tables], [rows.clone() for rows in sums]
        run = _Backward(self, tables, sums, needs, keep=keep)
        shape = network.shapes.stages[-1]
        last = shape.flat(gradient.to(network.dtype).contiguous(memory_format=shape.memory_format))
        for place in reversed(range(len(network.stages))):
            run.stage(place, last)
        images = None
        if run.d_images is not None:
            images = network.shapes.images.image(run.d_images)
        blocks = [gradient for block in network.blocks for gradient in run.found[id(block)]]
        return [images, run.d_gates if needs[1] else None, *blocks]


class _Backward:
    """The backward of one step, stage by stage from the last."""

    def __init__(
        self, step: Training, tables: list[Tensor], sums: list[Tensor], needs: Sequence[bool], *, keep: bool
    ) -> None:
        self.step = step
        self.tables = tables
        self.sums = sums
        self.keep = keep
        self.needs: dict[int, list[bool]] = {}
        offset = 2
        for block in step.network.blocks:
            self.needs[id(block)] = list(needs[offset : offset + len(block.parameters)])
            offset += len(block.parameters)
        self.needs_gates = needs[1]
        self.d_images = torch.empty_like(step.images) if needs[0] else None
        self.d_gates = step.images.new_zeros(step.n_gates)
        self.found: BlockGradients = {}
        self.brought: Tensor | None = None
        """Of each node of the stage: the gradient that reductions give together."""

    def stage(self, place: int, last: Tensor) -> None:
        """Complete a stage, whose later stages are complete; ``last`` is the gradient of the output node."""
        step = self.step
        stage, weights = step.network.stages[place], step.weights[place]
        table, sums = self.tables[place], self.sums[place]
        sources, values = table[: stage.n_sources], table[stage.n_sources :]
        if stage.stage in step.checkpoint:
            for _ in step.arguments(place, table, sums):
                pass
        self.brought = self._together(place, values)
        for low in reversed(range(0, stage.n_nodes, stage.width)):
            high = min(low + stage.width, stage.n_nodes)
            pulled = step.pulled[place][: high - low]
            started = weights.pull_block(low, high, sums, pulled)
            for node in reversed(range(low, high)):
                g = pulled[node - low]
                written = weights.pull_node(node, high, sums, g, started=started)
                self._node(place, node, values[node], g, last, written=written)
        if self.needs_gates:
            self.d_gates[weights.plan.edges] = weights.weight_gradients(sources, values, sums)
        weights.pull_sources(sums, sources)

    def _together(self, place: int, values: Tensor) -> Tensor | None:
        """The gradients of a stage's values from all that is reduced together; None if nothing is."""
        brought = None
        for item in self.step.together[place]:
            out = values.new_empty(values[item.nodes].shape)
            gradients = item.group.backward(
                values[item.nodes],
                self.tables[item.stage][item.rows],
                kept=_rows(self.step.kept[item.stage], item.rows),
                out=out,
                needs=[self.needs[id(block)] for block in item.group.blocks],
            )
            self.found |= {
                id(block): found for block, found in zip(item.group.blocks, gradients, strict=True)
            }
            brought = values.new_zeros(values.shape) if brought is None else brought
            brought[item.nodes].add_(out)
        return brought

    def _node(self, place: int, node: int, value: Tensor, g: Tensor, last: Tensor, *, written: bool) -> None:
        """Complete the gradient g of a node's value, and turn it into the gradient of its sum."""
        network = self.step.network
        stage = network.stages[place]
        position = stage.first + node
        if not written:
            g.zero_()
        if self.brought is not None:
            g.add_(self.brought[node])
        for into, row, block in self.step.alone(position):
            self._block(block, value, self.tables[into][row], self.step.kept[into], row, g, add=True)
        block = network.nodes[position]
        if position == len(network.nodes) - 1:
            g = last
        a, out = (self.step.images, self.d_images) if position == 0 else (self.sums[place][node],) * 2
        self._block(block, a, g, self.step.kept[place], stage.n_sources + node, out, add=False)

    def _block(
        self,
        block: Block,
        a: Tensor,
        g: Tensor,
        kept: Tensor | None,
        row: int,
        out: Tensor | None,
        *,
        add: bool,
    ) -> None:
        self.found[id(block)] = block.backward(
            a,
            g,
            kept=_row(kept, row),
            scratch=self.step.scratch,
            out=out,
            add=add,
            needs=self.needs[id(block)],
            keep=self.keep,
        )


def infer(network: Network, images: Tensor, gates: Tensor, *, pool: Pool) -> Tensor:
    """The value of the output node, keeping nothing for a backward."""
    plan = inference_memory(network.stages, network.shapes)
    lease = Lease(pool, plan.numel, dtype=network.dtype, device=images.device)
    values = [region.of(lease.memory) for region in plan.values]
    reduced = [region.of(lease.memory) for region in plan.reduced]
    scratch = plan.scratch.of(lease.memory)
    first = network.flat_images(images)
    gates = gates.to(network.dtype)
    weights = [Sums(sum_plan, gates) for sum_plan in network.sums]
    updates = Updates()
    for stage, rows in zip(network.stages, values, strict=True):
        if stage.sources:
            rows.zero_()
    for place, stage in enumerate(network.stages):
        rows = values[place]
        for low in range(0, stage.n_nodes, stage.width):
            high = min(low + stage.width, stage.n_nodes)
            block_started = weights[place].fill_block(low, high, rows, rows, started=stage.n_sources > 0)
            for node in range(low, high):
                weights[place].fill_node(low, node, rows, rows, started=block_started)
                a = rows[node] if stage.first + node else first
                network.nodes[stage.first + node].infer(a, out=rows[node], scratch=scratch, updates=updates)
        for into, reduces in _reduces_by_stage(network, stage).items():
            for part in range(0, len(reduces), len(reduced[into])):
                together = reduces[part : part + len(reduced[into])]
                sources = reduced[into][: len(together)]
                for out, (position, reduce) in zip(sources, together, strict=True):
                    value = rows[position - stage.first]
                    reduce.block.infer(value, out=out, scratch=scratch, updates=updates)
                row = together[0][1].row
                weights[into].start_part(row, row + len(together), sources, values[into])
    updates.write()
    return network.shapes.stages[-1].image(values[-1][-1].clone())


def _reduces_by_stage(network: Network, stage: StagePlan) -> dict[int, list[tuple[int, Reduce]]]:
    """The reductions out of a stage: by the stage they lead into, with the position of their node."""
    result: dict[int, list[tuple[int, Reduce]]] = {}
    for position in range(stage.first, stage.first + stage.n_nodes):
        for reduce in network.reduces[position]:
            result.setdefault(reduce.stage, []).append((position, reduce))
    return result


def _row(table: Tensor | None, row: int) -> Tensor | None:
    """What a block keeps."""
    return None if table is None else table[row].view(2, -1)


def _rows(table: Tensor | None, rows: slice) -> Tensor | None:
    """What several blocks keep."""
    return None if table is None else table[rows]
