"""Reductions as one: what an accelerator does for several blocks of one shape in the launches of one.

The values that one stage brings into a later one do not depend on each other. So everything is done for several of them
together, but for the 3×3 convolutions, whose weights differ.

Legend: as in `fast_planes`, with the number of blocks in front: activations are (blocks, values).
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphtask.compiler.fast_block import Gradients, Updates
from graphtask.compiler.fast_planes import Planes

_TOGETHER = 10  # blocks of a group: more would need more room, and save little


class Group:
    """Several standard blocks of the same shapes in one step.

    Args:
        blocks: The blocks; their normalizations are in the same mode.
    """

    def __init__(self, blocks: Sequence[Planes]) -> None:
        self.blocks = blocks
        first = blocks[0]
        self.source, self.target, self.stride, self.side = (
            first.source,
            first.target,
            first.stride,
            first.side,
        )
        # What normalizes one block normalizes several, with the values of each in front.
        self.norm = copy.copy(first)
        self.norm.norms = tuple(norm for block in blocks for norm in block.norms)
        self.norm.factor = torch.stack([block.factor for block in blocks])
        self.norm.bias = torch.stack([block.bias for block in blocks])

    def forward(self, a: Tensor, *, out: Tensor, kept: Tensor | None, updates: Updates) -> None:
        """Write every x, and every u and v to ``kept``."""
        both = self._work(a) if kept is None else self._both(kept)
        self._convolve(a, both)
        self.norm.normalize(both, out=out, updates=updates)

    def backward(
        self, a: Tensor, dx: Tensor, *, kept: Tensor | None, out: Tensor, needs: Sequence[list[bool]]
    ) -> list[Gradients]:
        """The gradients of the parameters of each block; those of the arguments are written to ``out``."""
        work = self._work(a)
        if kept is None:
            both, products = work, None
            self._convolve(a, both)
        else:
            both, products = self._both(kept), work
        total, factors = self.norm.normalize_backward(dx, both, out=work, work=products)
        batch = self.target.batch
        short = self.norm.planes(work[:, 1]).reshape(len(work) * batch, self.target.channels, self.side)
        by_image = torch.bmm(short, self._sampled(a).transpose(1, 2))
        d_weight1 = by_image.view(len(work), batch, *by_image.shape[1:]).sum(dim=1, dtype=total.dtype)
        positive = torch.clamp_min(a, 0)
        through, found = [], []
        for number, block in enumerate(self.blocks):
            d_positive, d_weight3, _ = torch.ops.aten.convolution_backward(
                self.target.image(work[number, 0]), self.source.image(positive[number]), block.weight3, None,
                [self.stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, [True, needs[number][0], False],
            )  # fmt: skip
            through.append(self.source.flat(d_positive))
            d_short = d_weight1[number].view(block.weight1.shape)
            (d_factor3, d_factor1), (d_bias3, d_bias1) = factors[number], total[number]
            gradients = [d_weight3, d_factor3, d_bias3, d_short, d_factor1, d_bias1]
            found.append(
                [
                    gradient.to(parameter.dtype) if need else None
                    for gradient, parameter, need in zip(
                        gradients, block.parameters, needs[number], strict=True
                    )
                ]
            )
        torch.ops.aten.threshold_backward.grad_input(torch.stack(through), a, 0, grad_input=out)
        pixels = self._read(out)
        pixels.add_(torch.bmm(self._matrices().transpose(1, 2), short).view(pixels.shape))
        return found

    def _work(self, a: Tensor) -> Tensor:
        """Memory for every u and v: (blocks, 2, values)."""
        return a.new_empty(len(self.blocks), 2, self.target.numel)

    def _both(self, kept: Tensor) -> Tensor:
        """Every u and v that were kept."""
        return kept.view(len(self.blocks), 2, self.target.numel)

    def _convolve(self, a: Tensor, both: Tensor) -> None:
        """Write every u and v."""
        positive = torch.clamp_min(a, 0)
        long = [
            self.target.flat(
                torch.conv2d(self.source.image(image), block.weight3, stride=self.stride, padding=1)
            )
            for image, block in zip(positive, self.blocks, strict=True)
        ]
        torch._foreach_copy_(list(both[:, 0].unbind()), long)
        both[:, 1].copy_(torch.bmm(self._matrices(), self._sampled(a)).view(len(both), self.target.numel))

    def _matrices(self) -> Tensor:
        """The weights of the 1×1 convolutions, for every image."""
        weights = torch.stack([block.weight1.flatten(1) for block in self.blocks])
        return weights.unsqueeze(1).expand(-1, self.target.batch, -1, -1).flatten(0, 1)

    def _read(self, a: Tensor) -> Tensor:
        """The pixels that the 1×1 convolutions read: (blocks, batch, channels, height, width)."""
        batch, channels, height, width, _ = self.source
        return a.view(len(a), batch, channels, height, width)[..., :: self.stride, :: self.stride]

    def _sampled(self, a: Tensor) -> Tensor:
        """The same as matrices: (blocks · batch, channels, pixels)."""
        return self._read(a).reshape(len(a) * self.source.batch, self.source.channels, self.side)


class Candidate(NamedTuple):
    """A block that brings a value into a later stage, and may do so together with others."""

    node: int
    """The node, counted from the first of its stage."""
    row: int
    """Its row among the sources of the later stage."""
    block: Planes

    def follows(self, other: "Candidate") -> bool:
        """Whether it can be computed together with another one: beside it, and in the same mode."""
        one, two = self.block, other.block
        return (self.node, self.row) == (other.node + 1, other.row + 1) and (
            one.training,
            one.eps,
            one.gather,
        ) == (two.training, two.eps, two.gather)


class Together(NamedTuple):
    """Reductions that are computed as one."""

    stage: int
    """Place of the stage that they lead into."""
    nodes: slice
    """Their nodes, counted from the first of their stage."""
    rows: slice
    """Their rows among the sources of that stage."""
    group: Group


def grouped(stage: int, candidates: Sequence[Candidate]) -> list[Together]:
    """The reductions into a stage that can be computed together, ordered by their nodes."""
    runs: list[list[Candidate]] = []
    for candidate in candidates:
        if runs and len(runs[-1]) < _TOGETHER and candidate.follows(runs[-1][-1]):
            runs[-1].append(candidate)
        else:
            runs.append([candidate])
    return [
        Together(
            stage,
            slice(run[0].node, run[-1].node + 1),
            slice(run[0].row, run[-1].row + 1),
            Group([candidate.block for candidate in run]),
        )
        for run in runs
        if len(run) > 1
    ]
