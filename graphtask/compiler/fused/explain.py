"""Summary of the fused execution of a module for one size of batch: work and memory of each stage."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from graphtask.compiler.fused.staged import step_dtype
from graphtask.compiler.fused.stages import Strategy
from graphtask.compiler.fused.workspace import Regions, step_layouts
from graphtask.validation import counted

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule


class StageExplanation(NamedTuple):
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
    kept_bytes: int
    """Bytes that are kept for the backward next to the values of nodes and sources; 0 if recomputed."""


@dataclass(frozen=True)
class Explanation:
    """Plan of the fused execution for one size of batch; ``print`` shows it as a table.

    Bytes are those of activations; parameters and temporary memory of single operations come on top.
    """

    batch: int
    size: tuple[int, int]
    why_plain: str | None
    """Reason why the plain execution is taken instead; None if it is not."""
    recompute: tuple[int, ...]
    """Stages that keep only values for the backward."""
    stages: tuple[StageExplanation, ...]
    training_bytes: int
    """Memory of a training step."""
    least_bytes: int
    """Memory of a training step with ``recompute=True``."""
    inference_bytes: int
    """Memory of a forward without gradients."""

    @property
    def flops(self) -> int:
        """Floating-point operations of a forward."""
        return sum(stage.flops for stage in self.stages)

    def __repr__(self) -> str:
        taken = "plain" if self.why_plain else "fused"
        return (
            f"Explanation(batch={self.batch}, size={self.size}, {taken} execution, {counted(len(self.stages), 'stage')}, "
            f"{self.training_bytes / 1e6:,.0f} MB in training, {self.inference_bytes / 1e6:,.0f} MB in inference)"
        )

    def __str__(self) -> str:
        """Return the plan as a table."""
        plain = f"plain execution: {self.why_plain}; the fused one would be"
        taken = plain if self.why_plain else "fused execution"
        rows = [
            f"{s.stage:5d}  {s.nodes:5d}  {s.sources:7d}  {s.edges:5d}  {s.strategy:6}  {s.flops / 1e9:5.1f}  "
            f"{s.kept_bytes / 1e6:7,.0f}"
            for s in self.stages
        ]
        head = f"{counted(self.batch, 'image')} of {self.size[0]}×{self.size[1]} pixels, {taken}:"
        total = (
            f"{self.flops / 1e9:,.1f} GFLOP; {self.training_bytes / 1e6:,.0f} MB in training "
            f"({self.least_bytes / 1e6:,.0f} MB with recompute=True), {self.inference_bytes / 1e6:,.0f} MB in inference"
        )
        return "\n".join([head, "stage  nodes  sources  edges  sums    GFLOP  MB kept", *rows, total])


def explain(module: "GraphModule", images: Tensor, why_plain: str | None) -> Explanation:
    """Return the plan of a module for images (batch, in_channels, height, width), whose values are not read."""
    stages, recompute, itemsize = module.program.stages, module.recompute, step_dtype(images).itemsize
    layouts = step_layouts(stages, images.shape, channels=module.channels, channels_last=True)
    found = []
    for stage, layout in zip(stages, layouts[1:], strict=True):
        inputs = layout.channels * stage.n_nodes
        inputs += sum(module.channels * len(stage.rows_from(start)) << start.stage for start in stages)
        if stage is stages[0]:
            inputs += module.in_channels - layout.channels
        kept = 0 if stage.stage in recompute else stage.n_nodes + 2 * stage.n_rows
        flops, kept_bytes = 2 * 10 * inputs * layout.numel, kept * layout.numel * itemsize
        sizes = stage.n_nodes, stage.n_sources, len(stage.edges)
        found.append(StageExplanation(stage.stage, *sizes, stage.strategy, flops, kept_bytes))
    return Explanation(
        batch=len(images),
        size=(images.shape[2], images.shape[3]),
        why_plain=why_plain,
        recompute=recompute,
        stages=tuple(found),
        training_bytes=Regions.training(stages, layouts, recompute).numel * itemsize,
        least_bytes=Regions.training(stages, layouts, [stage.stage for stage in stages]).numel * itemsize,
        inference_bytes=Regions.inference(stages, layouts).numel * itemsize,
    )
