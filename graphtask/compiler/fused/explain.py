"""Summary of the fused execution of a module for one size of batch: work and memory of each stage."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphtask.compiler.fused.stages import StagePlan, Strategy
from graphtask.compiler.fused.workspace import Layout, Regions, step_layouts
from graphtask.validation import counted

# Passes over an edge's value where every node stacks its inputs: cat reads and writes it, the product too, the sum reads.
_PUBLISHED_PASSES = 5


@dataclass(frozen=True)
class StageExplanation:
    """Work and memory of one stage."""

    stage: int
    nodes: int
    sources: int
    """Values that reduce blocks bring from earlier stages."""
    edges: int
    """Edges into the nodes."""
    strategy: Strategy
    """How the weighted sums are computed."""
    flops: int
    """Floating-point operations of a forward, in the convolutions of nodes and sources."""
    sum_bytes: int
    """Bytes that the weighted sums of a forward read and write."""
    kept_bytes: int
    """Bytes that are kept for the backward next to the values of nodes and sources; 0 if recomputed."""


@dataclass(frozen=True)
class Explanation:
    """Plan of the fused execution for one size of batch; ``print`` shows it as a table.

    Bytes are those of activations; parameters and temporary memory of single operations come on top.
    """

    batch: int
    size: tuple[int, int]
    execution: str
    why_plain: str | None
    """Reason why the plain execution is taken instead; None if it is not."""
    recompute: tuple[int, ...]
    """Stages that keep next to nothing for the backward."""
    stages: tuple[StageExplanation, ...]
    published_sum_bytes: int
    """Bytes that the weighted sums of a forward would move if every node stacked its inputs."""
    training_bytes: int
    """Memory of a training step."""
    least_bytes: int
    """Memory of a training step with ``recompute=True``."""
    most_bytes: int
    """Memory of a training step with ``recompute=False``."""
    inference_bytes: int
    """Memory of a forward without gradients."""

    @property
    def flops(self) -> int:
        """Floating-point operations of a forward."""
        return sum(stage.flops for stage in self.stages)

    @property
    def sum_bytes(self) -> int:
        """Bytes that the weighted sums of a forward read and write."""
        return sum(stage.sum_bytes for stage in self.stages)

    def __repr__(self) -> str:
        taken = "plain" if self.why_plain else "fused"
        return (
            f"Explanation(batch={self.batch}, size={self.size}, {taken} execution, {counted(len(self.stages), 'stage')}, "
            f"{self.training_bytes / 1e6:,.0f} MB in training, {self.inference_bytes / 1e6:,.0f} MB in inference)"
        )

    def __str__(self) -> str:
        """Return the plan as a table."""
        taken = (
            f"plain execution: {self.why_plain}; the fused one would be:"
            if self.why_plain
            else "fused execution:"
        )
        rows = [
            f"{s.stage:5d}  {s.nodes:5d}  {s.sources:7d}  {s.edges:5d}  {s.strategy:6}  {s.flops / 1e9:5.1f}  "
            f"{s.sum_bytes / 1e6:9,.0f}  {s.kept_bytes / 1e6:7,.0f}"
            for s in self.stages
        ]
        return "\n".join(
            [
                f"{counted(self.batch, 'image')} of {self.size[0]}×{self.size[1]} pixels, execution={self.execution!r}",
                taken,
                "stage  nodes  sources  edges  sums    GFLOP  MB summed  MB kept",
                *rows,
                f"forward: {self.flops / 1e9:,.1f} GFLOP in convolutions, {self.sum_bytes / 1e6:,.0f} MB moved by weighted "
                f"sums ({self.published_sum_bytes / 1e6:,.0f} MB if every node stacked its inputs)",
                f"memory: {self.training_bytes / 1e6:,.0f} MB in training "
                f"({self.least_bytes / 1e6:,.0f} MB with recompute=True, {self.most_bytes / 1e6:,.0f} MB with "
                f"recompute=False), {self.inference_bytes / 1e6:,.0f} MB in inference",
            ]
        )


def explain_stages(
    stages: Sequence[StagePlan],
    images: tuple[int, int, int, int],
    *,
    channels: int,
    itemsize: int,
    execution: str,
    why_plain: str | None,
    recompute: tuple[int, ...],
) -> Explanation:
    """Return the explanation of a plan.

    Args:
        stages: Stages of the network.
        images: Shape of the images, (batch, in_channels, height, width).
        channels: Channels of stage 0.
        itemsize: Bytes of a number.
        execution: Name of the module's execution.
        why_plain: Reason why the plain execution is taken; None if it is not.
        recompute: Stages that are computed again by the backward.
    """
    layouts = step_layouts(stages, images, channels=channels, channels_last=True)

    def training(again: Sequence[int]) -> int:
        return Regions.training(stages, layouts, again).numel * itemsize

    every = [stage.stage for stage in stages]
    return Explanation(
        batch=images[0],
        size=images[2:],
        execution=execution,
        why_plain=why_plain,
        recompute=recompute,
        stages=tuple(
            _explain_stage(stages, place, layouts, itemsize, kept=number not in recompute)
            for place, number in enumerate(every)
        ),
        published_sum_bytes=sum(
            _PUBLISHED_PASSES * len(stage.edges) * layout.numel * itemsize
            for stage, layout in zip(stages, layouts[1:], strict=True)
        ),
        training_bytes=training(recompute),
        least_bytes=training(every),
        most_bytes=training([]),
        inference_bytes=Regions.inference(stages, layouts).numel * itemsize,
    )


def _explain_stage(
    stages: Sequence[StagePlan], place: int, layouts: Sequence[Layout], itemsize: int, *, kept: bool
) -> StageExplanation:
    stage, layout = stages[place], layouts[place + 1]
    inputs = [layout.channels] * stage.n_nodes
    if place == 0:
        inputs[0] = layouts[0].channels
    for source in stage.sources:
        start = next(s for s in reversed(stages) if s.first <= source.node)
        inputs.append(layout.channels >> (stage.stage - start.stage))
    return StageExplanation(
        stage=stage.stage,
        nodes=stage.n_nodes,
        sources=stage.n_sources,
        edges=len(stage.edges),
        strategy=stage.strategy,
        flops=2 * 10 * sum(inputs) * layout.numel,
        sum_bytes=round(stage.passes() * layout.numel * itemsize),
        kept_bytes=(stage.n_nodes + 2 * stage.n_rows) * layout.numel * itemsize if kept else 0,
    )
