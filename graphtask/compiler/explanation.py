"""What the fast execution of a module does, and what it is expected to cost, in words and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphtask.compiler.fast_memory import Shapes, inference_memory, step_shapes, training_memory
from graphtask.compiler.planner import StagePlan, Way, passes
from graphtask.validation import counted

_PUBLISHED_PASSES = (
    5  # of one edge: read and written by cat, read and written by the product, read by the sum
)


@dataclass(frozen=True)
class StageExplanation:
    """What is done in one stage."""

    stage: int
    nodes: int
    sources: int
    """Values that reduce blocks bring from earlier stages."""
    edges_across: int
    """Edges from the sources to the nodes."""
    across: Way
    """How the sums over them are computed."""
    edges_inside: int
    """Edges between the nodes."""
    inside: Way
    """How the sums over them are computed."""
    width: int
    """Nodes that share one product over all nodes before them."""
    flops: int
    """Floating-point operations of a forward, in the convolutions of nodes and sources."""
    sum_bytes: int
    """Bytes that the weighted sums of a forward read and write."""
    kept_bytes: int
    """Bytes that are kept for the backward beside the values of nodes and sources: none, if computed again."""


@dataclass(frozen=True)
class Explanation:
    """The plan of the fast execution for one size of batch; ``print`` shows it as a table.

    Bytes are those of activations; parameters and what single operations need for themselves come on top.
    """

    batch: int
    size: tuple[int, int]
    execution: str
    why_plain: str | None
    """Why the plain execution is taken instead; None if it is not."""
    checkpoint: tuple[int, ...]
    """The stages that keep next to nothing, and compute it again."""
    stages: tuple[StageExplanation, ...]
    published_sum_bytes: int
    """Bytes that the weighted sums of a forward would move if every node stacked its inputs."""
    training_bytes: int
    """Memory of a training step."""
    least_bytes: int
    """The same with ``checkpoint=True``."""
    most_bytes: int
    """The same with ``checkpoint=False``."""
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

    def __str__(self) -> str:
        """The plan as a table for people."""
        lines = [
            f"execution={self.execution!r}, a batch of {counted(self.batch, 'image')} of {self.size[0]}×{self.size[1]} pixels",
            *(
                [f"the plain execution is taken, because {self.why_plain}; the fast one would do this:"]
                if self.why_plain
                else []
            ),
            "stage  nodes  sources  edges across      edges inside      block  GFLOP   MB summed   MB kept",
        ]
        lines += [
            f"{s.stage:5d}  {s.nodes:5d}  {s.sources:7d}  {s.edges_across:7d} {s.across:8}  "
            f"{s.edges_inside:7d} {s.inside:8}  {s.width:5d}  {s.flops / 1e9:5.1f}  {s.sum_bytes / 1e6:10,.0f}  {s.kept_bytes / 1e6:8,.0f}"
            for s in self.stages
        ]
        lines += [
            (
                f"a forward: {self.flops / 1e9:,.1f} GFLOP in convolutions, {self.sum_bytes / 1e6:,.0f} MB moved by weighted "
                f"sums ({self.published_sum_bytes / 1e6:,.0f} MB if every node stacked its inputs)"
            ),
            (
                f"memory: {self.training_bytes / 1e6:,.0f} MB in training ({self._otherwise()}), "
                f"{self.inference_bytes / 1e6:,.0f} MB in inference"
            ),
        ]
        return "\n".join(lines)

    def _otherwise(self) -> str:
        """What a training step would need with another choice of stages."""
        least = f"{self.least_bytes / 1e6:,.0f} MB with checkpoint=True"
        most = f"{self.most_bytes / 1e6:,.0f} MB with checkpoint=False"
        if not self.checkpoint:
            return least
        return most if len(self.checkpoint) == len(self.stages) else f"{least}, {most}"


def explain_stages(
    stages: Sequence[StagePlan],
    images: tuple[int, int, int, int],
    *,
    channels: int,
    itemsize: int,
    execution: str,
    why_plain: str | None,
    checkpoint: tuple[int, ...],
) -> Explanation:
    """The explanation of a plan.

    Args:
        stages: The plan.
        images: Shape of the images: batch, channels, height, width.
        channels: Channels of stage 0.
        itemsize: Bytes of a number.
        execution: Name of the module's execution.
        why_plain: Why the plain execution is taken instead; None if it is not.
        checkpoint: The stages that are computed again.
    """
    shapes = step_shapes(stages, images, channels=channels, channels_last=True)
    pairs = list(zip(stages, shapes.stages, strict=True))
    return Explanation(
        batch=images[0],
        size=images[2:],
        execution=execution,
        why_plain=why_plain,
        checkpoint=checkpoint,
        stages=tuple(
            _explain_stage(stage, shapes, place, stages, itemsize, kept=stage.stage not in checkpoint)
            for place, stage in enumerate(stages)
        ),
        published_sum_bytes=sum(
            _PUBLISHED_PASSES * len(stage.rows) * shape.numel * itemsize for stage, shape in pairs
        ),
        training_bytes=training_memory(stages, shapes, checkpoint=checkpoint).numel * itemsize,
        least_bytes=training_memory(stages, shapes, checkpoint={s.stage for s in stages}).numel * itemsize,
        most_bytes=training_memory(stages, shapes, checkpoint=()).numel * itemsize,
        inference_bytes=inference_memory(stages, shapes).numel * itemsize,
    )


def _explain_stage(
    stage: StagePlan, shapes: Shapes, place: int, stages: Sequence[StagePlan], itemsize: int, *, kept: bool
) -> StageExplanation:
    shape = shapes.stages[place]
    widths = [shapes.stages[index].channels for index, other in enumerate(stages) for _ in other.keys]
    inputs = [widths[source.node] for source in stage.sources] + [shape.channels] * stage.n_nodes
    if stage.first == 0:
        inputs[0] = shapes.images.channels
    across = int((stage.rows < stage.n_sources).sum())
    return StageExplanation(
        stage=stage.stage,
        nodes=stage.n_nodes,
        sources=stage.n_sources,
        edges_across=across,
        across=stage.across,
        edges_inside=len(stage.rows) - across,
        inside=stage.inside,
        width=stage.width,
        flops=2 * 10 * sum(inputs) * shape.numel,
        sum_bytes=round(passes(stage) * shape.numel * itemsize),
        kept_bytes=(stage.n_nodes + 2 * stage.n_rows) * shape.numel * itemsize if kept else 0,
    )
