"""The blocks of a fast step: forward into given memory, and backward from what little was kept.

Legend: a is the block's argument, u = Conv3×3(ReLU(a)), v = Conv1×1(a), x = BN(u) + BN(v); dx, du, dv, da are
gradients. All of them are where the block's `Room` says.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.fast_memory import Shape
from graphtask.compiler.fast_rooms import Room
from graphtask.compiler.standard import Parts
from graphtask.errors import ArgumentError, GraphtaskError

Gradients: TypeAlias = "list[Tensor | None]"

LOW_PRECISION = {torch.bfloat16, torch.float16}  # sums over many values need more


class NormState(NamedTuple):
    """What normalizes u and v, in this order: y = scale·y + shift, one value per channel; shape (2, channels)."""

    mean: Tensor
    rstd: Tensor
    scale: Tensor
    n_values: int | Tensor
    """Values of a channel that the statistics are of."""


class Running(NamedTuple):
    """New statistics of one normalization in training mode."""

    norm: nn.BatchNorm2d
    mean: Tensor
    variance: Tensor


class Updates:
    """Running statistics of a forward pass, written together at its end: each exactly once."""

    def __init__(self) -> None:
        self._running: list[Running] = []
        self._biased: dict[int, list[Tensor]] = {}

    def add(
        self, norms: tuple[nn.BatchNorm2d, ...], mean: Tensor, variance: Tensor, *, biased: int | None = None
    ) -> None:
        """Remember the statistics of some normalizations: for each a row of means and of variances.

        The variances are unbiased, or else, of ``biased`` values a channel, will be so when they are written, in place.
        """
        self._running += map(Running, norms, mean.unbind(), variance.unbind())
        if biased is not None:
            self._biased.setdefault(biased, []).append(variance)

    def write(self) -> None:
        """Write them, with the few calls that PyTorch's optimizers use too."""
        for n_values, variances in self._biased.items():
            torch._foreach_mul_(variances, n_values / max(n_values - 1, 1))
        momenta: dict[float, tuple[list[Tensor], list[Tensor]]] = {}
        counters = []
        for norm, mean, variance in self._running:
            old_mean, old_variance, counter = norm.running_mean, norm.running_var, norm.num_batches_tracked
            assert norm.momentum is not None
            assert old_mean is not None
            assert old_variance is not None
            assert counter is not None
            buffers, values = momenta.setdefault(norm.momentum, ([], []))
            buffers += [old_mean, old_variance]
            values += [mean.to(old_mean.dtype), variance.to(old_variance.dtype)]
            counters.append(counter)
        for momentum, (buffers, values) in momenta.items():
            torch._foreach_lerp_(buffers, values, momentum)
        if counters:
            torch._foreach_add_(counters, 1)


class StandardBlock:
    """What the standard block is in one step, whatever the order of its activations in memory.

    Args:
        parts: What it is made of.
        source: Shape of its argument.
        target: Shape of its result.
        dtype: The dtype of both.
    """

    def __init__(self, parts: Parts, source: Shape, target: Shape, dtype: torch.dtype) -> None:
        self.norms: tuple[nn.BatchNorm2d, ...] = (parts.norm3, parts.norm1)
        self.training = parts.training
        self.eps = parts.norm3.eps
        self.gather = parts.gather
        self.source = source
        self.target = target
        self.dtype = dtype
        self.stride = parts.conv3.stride[0]
        self.parameters = parts.parameters
        self.state: NormState | None = None
        # Set by `fetch_parameters`.
        self.weight3: Tensor
        self.weight1: Tensor
        self.factor: Tensor
        self.bias: Tensor

    @property
    def learns_weights(self) -> bool:
        """Whether a convolution does."""
        return self.parameters[0].requires_grad or self.parameters[3].requires_grad

    def running(self) -> tuple[Tensor, Tensor]:
        """The running means and variances of the normalizations, in the shape of their factors."""
        means, variances = (
            torch.stack([getattr(norm, name) for norm in self.norms]).view(self.factor.shape)
            for name in ("running_mean", "running_var")
        )
        return means, variances

    def folded(self) -> tuple[Tensor, Tensor, Tensor]:
        """In evaluation mode: the weights of u and v with their normalizations in them, and what is added to u + v."""
        mean, variance = self.running()
        scale = self.factor * torch.rsqrt(variance + self.eps)
        shift = (self.bias - mean * scale).sum(dim=0)
        scale3, scale1 = scale.to(self.dtype).view(2, -1, 1, 1, 1)
        return self.weight3 * scale3, self.weight1 * scale1, shift.to(self.dtype)

    def positive(self, room: Room) -> Tensor:
        """ReLU(a), until the room is used again."""
        torch.clamp_min(room.a, 0, out=room.positive)
        return room.positive_argument


@torch.no_grad()
def fetch_parameters(blocks: Sequence[StandardBlock]) -> None:
    """Give blocks their parameters as they need them: those of all blocks with one copy, and one cast."""
    if not blocks:
        return
    weights = [block.parameters[index].detach() for block in blocks for index in (0, 3)]
    if any(weight.dtype != blocks[0].dtype for weight in weights):
        flat = torch.cat([weight.reshape(-1) for weight in weights]).to(blocks[0].dtype)
        parts = flat.split([weight.numel() for weight in weights])  # type: ignore[no-untyped-call]
        weights = [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]
    norms = torch.cat([block.parameters[index] for block in blocks for index in (1, 4, 2, 5)])
    sizes = [4 * block.target.channels for block in blocks]
    for block, weight3, weight1, norm in zip(
        blocks,
        weights[0::2],
        weights[1::2],
        norms.split(sizes),  # type: ignore[no-untyped-call]
        strict=True,
    ):
        block.weight3, block.weight1 = weight3, weight1
        block.factor, block.bias = norm.view(2, 2, -1).unbind()


class Opaque:
    """Any other block in one step: called as it is, hooks included, with an autograd graph of its own.

    Args:
        block: The block.
        source: Shape of its argument.
        target: Shape of its result.
    """

    def __init__(self, block: nn.Module, source: Shape, target: Shape) -> None:
        self.block = block
        self.source = source
        self.target = target
        self.parameters = list(block.parameters())
        self.graph: tuple[Tensor, Tensor] | None = None

    def infer(self, room: Room, *, updates: Updates) -> None:  # noqa: ARG002
        """Write x."""
        room.x.copy_(self._checked(self.block(_own(room.source.image(room.a)))))

    def forward(self, room: Room, *, updates: Updates) -> None:  # noqa: ARG002
        """Write x."""
        with torch.enable_grad():
            argument = room.source.image(room.a).requires_grad_()
            value = self.block(_own(argument))
        self._check_gradients(argument, value)
        room.x.copy_(self._checked(value.detach()))
        self.graph = (argument, value)

    def backward(self, room: Room, *, needs: list[bool], keep: bool) -> Gradients:
        """The gradients of the parameters; the one of the argument is written (or added) to its place."""
        assert self.graph is not None
        assert room.dx is not None
        argument, value = self.graph
        if not keep:
            self.graph = None
        wanted = [index for index, need in enumerate(needs) if need and self.parameters[index].requires_grad]
        inner, *rest = self._gradients(
            value, [argument, *(self.parameters[index] for index in wanted)], dx=room.dx, keep=keep
        )
        if room.da is not None:
            flat = room.source.flat(torch.zeros_like(argument) if inner is None else inner)
            if room.add:
                room.da.add_(flat)
            else:
                room.da.copy_(flat)
        found = dict(zip(wanted, rest, strict=True))
        return [found.get(index) for index in range(len(needs))]

    def _gradients(self, value: Tensor, inputs: list[Tensor], *, dx: Tensor, keep: bool) -> Gradients:
        if not value.requires_grad:
            return [None for _ in inputs]
        gradient = self.target.image(dx.clone()).to(value.dtype)  # autograd may give on the tensor itself
        return list(torch.autograd.grad(value, inputs, gradient, retain_graph=keep, allow_unused=True))

    def _check_gradients(self, argument: Tensor, value: Tensor) -> None:
        """Complain of what the backward would leave out, or do twice."""
        name = type(self.block).__name__
        if reads_another(value, [argument, *self.parameters]):
            raise GraphtaskError(
                f"a {name} reads a tensor with gradients that is neither its argument nor its parameter, of which "
                f"the fast execution knows nothing: compile the graph with execution='plain'"
            )
        if any(parameter._backward_hooks for parameter in self.parameters):  # noqa: SLF001  # no public way
            raise GraphtaskError(
                f"a parameter of a {name} has a hook for its gradient, which would run twice in the fast "
                f"execution: compile the graph with execution='plain'"
            )

    def _checked(self, value: Tensor) -> Tensor:
        target = self.target
        expected = (target.batch, target.channels, target.height, target.width)
        if tuple(value.shape) != expected:
            raise ArgumentError(
                f"a {type(self.block).__name__} gave {tuple(value.shape)} where the network needs {expected}: a block "
                f"has to give its output channels and ceil(size / stride) pixels a side"
            )
        return target.flat(value)


def _own(image: Tensor) -> Tensor:
    """A copy in PyTorch's usual order: dropout draws in it, a hook may keep it, and a block may write over it."""
    return image.clone(memory_format=torch.contiguous_format)


def reads_another(value: Tensor, known: Sequence[Tensor]) -> bool:
    """Whether a value has gradients that do not end at tensors that are known."""
    ends = {tensor.grad_fn for tensor in known}
    leaves = {id(tensor) for tensor in known}
    seen, ahead = set(ends), [value.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None) if node.name() == "torch::autograd::AccumulateGrad" else None
        if leaf is not None and id(leaf) not in leaves:
            return True
        ahead += [before for before, _ in node.next_functions]
    return False
