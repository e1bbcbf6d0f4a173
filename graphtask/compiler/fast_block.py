"""The blocks of a fast step: forward into given memory, and backward from what little was kept.

Legend: a is the block's argument, u = Conv3×3(ReLU(a)), v = Conv1×1(a), x = BN(u) + BN(v); g, du, dv, da are
gradients. Everything lies flat in memory, in the order of its `Shape`. Of the four, only a and u are kept; ReLU(a) and
v cost less to compute again than to keep.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fast_memory import Shape
from graphtask.errors import ArgumentError

Gradients: TypeAlias = "list[Tensor | None]"

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LOW_PRECISION = {torch.bfloat16, torch.float16}  # sums over many values need more
_ROW = 64  # pixels side by side in a row: per-channel factors are repeated, so that loops are long enough to vectorise


class NormState(NamedTuple):
    """What normalises one branch: y = scale·u + shift, with one value per channel each."""

    mean: Tensor
    rstd: Tensor
    scale: Tensor
    training: bool


@dataclass
class Updates:
    """Running statistics of a forward pass, written together at its end: each exactly once."""

    buffers: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    momenta: list[float] = field(default_factory=list)
    counters: list[Tensor] = field(default_factory=list)

    def add(self, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, n_values: int) -> None:
        """Remember the statistics of one normalisation in training mode."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        assert norm.momentum is not None
        self.buffers += [norm.running_mean, norm.running_var]
        self.values += [mean, variance * (n_values / (n_values - 1))]
        self.momenta += [norm.momentum] * 2
        self.counters.append(norm.num_batches_tracked)

    def write(self) -> None:
        """Write them."""
        for momentum in set(self.momenta):
            chosen = [place for place, value in enumerate(self.momenta) if value == momentum]
            buffers = [self.buffers[place] for place in chosen]
            values = [self.values[place].to(self.buffers[place].dtype) for place in chosen]
            torch._foreach_lerp_(buffers, values, momentum)
        if self.counters:
            torch._foreach_add_(self.counters, 1)


def is_standard(block: ConvBlock) -> bool:
    """Whether a block computes what its class says and nothing else, so that its backward is known."""
    convs, norms = (block.conv3x3, block.conv1x1), (block.norm3x3, block.norm1x1)
    return (
        type(block) is ConvBlock
        and not any(_has_hooks(module) for module in (block, *convs, *norms))
        and all(
            type(conv) is nn.Conv2d and conv.bias is None and conv.padding_mode == "zeros" for conv in convs
        )
        and all(
            type(norm) is nn.BatchNorm2d
            and norm.affine
            and norm.track_running_stats
            and norm.momentum is not None
            for norm in norms
        )
    )


def _has_hooks(module: nn.Module) -> bool:
    return any(getattr(module, kind) for kind in _HOOKS)


class Pair:
    """The standard block in one step.

    Args:
        block: The block.
        source: Shape of its argument.
        target: Shape of its result.
        dtype: The dtype of both.
    """

    def __init__(self, block: ConvBlock, source: Shape, target: Shape, dtype: torch.dtype) -> None:
        self.norms = (block.norm3x3, block.norm1x1)
        self.source = source
        self.target = target
        self.rows = Rows.of(target)
        self.stride = block.conv3x3.stride[0]
        self.parameters = [
            parameter
            for conv, norm in ((block.conv3x3, block.norm3x3), (block.conv1x1, block.norm1x1))
            for parameter in (conv.weight, norm.weight, norm.bias)
        ]
        self.weight3 = block.conv3x3.weight.detach().to(dtype)
        self.weight1 = block.conv1x1.weight.detach().to(dtype)
        self.states: tuple[NormState, NormState] | None = None

    def infer(self, a: Tensor, *, out: Tensor, scratch: Tensor, updates: Updates) -> None:
        """Write x; ``out`` may be ``a`` itself."""
        if any(norm.training for norm in self.norms):
            self.forward(a, out=out, kept=None, scratch=scratch, updates=updates)
            return
        (scale3, shift3), (scale1, shift1) = (_fold(norm) for norm in self.norms)
        weight3 = self.weight3 * scale3.to(a.dtype).view(-1, 1, 1, 1)
        weight1 = self.weight1 * scale1.to(a.dtype).view(-1, 1, 1, 1)
        u = self._long(a, scratch, weight3, (shift3 + shift1).to(a.dtype))
        torch.add(u, self._short(a, weight1), out=out)

    def forward(
        self, a: Tensor, *, out: Tensor, kept: Tensor | None, scratch: Tensor, updates: Updates
    ) -> None:
        """Write x to ``out``, which may be ``a`` itself, and u to ``kept``."""
        u = self._long(a, scratch, self.weight3)
        v = self._short(a, self.weight1)
        states = [_state(norm, y, self.rows, updates) for norm, y in zip(self.norms, (u, v), strict=True)]
        shift3, shift1 = (n.bias - s.mean * s.scale for n, s in zip(self.norms, states, strict=True))
        rows, x = self.rows, self.rows.view(out)
        torch.addcmul(rows.repeat(shift3 + shift1), rows.view(u), rows.repeat(states[0].scale), out=x)
        x.addcmul_(rows.view(v), rows.repeat(states[1].scale))
        if kept is not None:
            kept.copy_(u)
        self.states = (states[0], states[1])

    def backward(
        self,
        a: Tensor,
        g: Tensor,
        *,
        kept: Tensor | None,
        scratch: Tensor,
        out: Tensor | None,
        add: bool,
        needs: list[bool],
        keep: bool,  # noqa: ARG002  # for blocks with a graph of their own
    ) -> Gradients:
        """The gradients of the parameters; da is written (or added) to ``out``, which may be ``a`` itself."""
        assert self.states is not None
        total = self.rows.sum(g)
        v = self._short(a, self.weight1)
        work = scratch[0][: g.numel()]
        gamma1 = _norm_backward(self.rows, g, v, self.states[1], total, out=work)
        sampled, dv = self._sampled(self.source.image(a)), self.target.image(work)
        d_sampled, d_weight1 = _conv_backward(dv, sampled, self.weight1, 1, 0, (out is not None, needs[3]))
        u = self._long(a, scratch[1], self.weight3) if kept is None else kept
        gamma3 = _norm_backward(self.rows, g, u, self.states[0], total, out=work)
        positive, du = self._positive(a, scratch[1]), self.target.image(work)
        d_positive, d_weight3 = _conv_backward(
            du, positive, self.weight3, self.stride, 1, (out is not None, needs[0])
        )
        if out is not None:
            self._join(a, d_positive, d_sampled, out=out, add=add)
        found = [d_weight3, gamma3, total, d_weight1, gamma1, total]
        return [
            gradient.to(parameter.dtype) if need else None
            for gradient, parameter, need in zip(found, self.parameters, needs, strict=True)
        ]

    def _join(self, a: Tensor, d_positive: Tensor, d_sampled: Tensor, *, out: Tensor, add: bool) -> None:
        through = self.source.flat(d_positive)
        if add:
            out.add_(torch.ops.aten.threshold_backward.grad_input(through, a, 0, grad_input=through))
        else:
            torch.ops.aten.threshold_backward.grad_input(through, a, 0, grad_input=out)
        self.source.image(out)[:, :, :: self.stride, :: self.stride].add_(d_sampled)

    def _long(self, a: Tensor, scratch: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        positive = self._positive(a, scratch)
        return self.target.flat(torch.conv2d(positive, weight, bias, stride=self.stride, padding=1))

    def _short(self, a: Tensor, weight: Tensor) -> Tensor:
        return self.target.flat(torch.conv2d(self._sampled(self.source.image(a)), weight))

    def _positive(self, a: Tensor, scratch: Tensor) -> Tensor:
        return self.source.image(torch.clamp_min(a, 0, out=scratch[: a.numel()]))

    def _sampled(self, image: Tensor) -> Tensor:
        """The pixels that a 1×1 convolution with a stride reads."""
        if self.stride == 1:
            return image
        sampled = image[:, :, :: self.stride, :: self.stride]
        return sampled.contiguous(memory_format=self.source.memory_format)


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

    def infer(self, a: Tensor, *, out: Tensor, scratch: Tensor, updates: Updates) -> None:  # noqa: ARG002
        """Write x; ``out`` may be ``a`` itself."""
        out.copy_(self._checked(self.block(self.source.image(a))))

    def forward(
        self,
        a: Tensor,
        *,
        out: Tensor,
        kept: Tensor | None,  # noqa: ARG002
        scratch: Tensor,  # noqa: ARG002
        updates: Updates,  # noqa: ARG002
    ) -> None:
        """Write x to ``out``."""
        with torch.enable_grad():
            argument = self.source.image(a.clone()).requires_grad_()
            value = self.block(argument)
        out.copy_(self._checked(value.detach()))
        self.graph = (argument, value)

    def backward(
        self,
        a: Tensor,  # noqa: ARG002
        g: Tensor,
        *,
        kept: Tensor | None,  # noqa: ARG002
        scratch: Tensor,  # noqa: ARG002
        out: Tensor | None,
        add: bool,
        needs: list[bool],
        keep: bool,
    ) -> Gradients:
        """The gradients of the parameters; the one of the argument is written (or added) to ``out``."""
        assert self.graph is not None
        argument, value = self.graph
        if not keep:
            self.graph = None
        wanted = [parameter for parameter, need in zip(self.parameters, needs, strict=True) if need]
        inner, *rest = torch.autograd.grad(
            value,
            [argument, *wanted],
            self.target.image(g).to(value.dtype),
            retain_graph=keep,
            allow_unused=True,
        )
        if out is not None:
            flat = self.source.flat(torch.zeros_like(argument) if inner is None else inner)
            if add:
                out.add_(flat)
            else:
                out.copy_(flat)
        found = iter(rest)
        return [next(found) if need else None for need in needs]

    def _checked(self, value: Tensor) -> Tensor:
        target = self.target
        expected = (target.batch, target.channels, target.height, target.width)
        if tuple(value.shape) != expected:
            raise ArgumentError(
                f"a {type(self.block).__name__} gave {tuple(value.shape)} where the network needs {expected}: a block "
                f"has to give its output channels and ceil(size / stride) pixels a side"
            )
        return target.flat(value)


Block: TypeAlias = Pair | Opaque


def make_block(block: nn.Module, source: Shape, target: Shape, dtype: torch.dtype) -> Block:
    """A block of a module for one step."""
    if isinstance(block, ConvBlock) and is_standard(block):
        return Pair(block, source, target, dtype)
    return Opaque(block, source, target)


class Rows(NamedTuple):
    """A flat activation as a matrix whose columns belong to channels, several pixels side by side."""

    channels: int
    repeats: int
    pixels: int
    channels_last: bool

    @classmethod
    def of(cls, shape: Shape) -> "Rows":
        """The rows of activations of a shape."""
        repeats = math.gcd(shape.pixels, _ROW) if shape.channels_last else shape.height * shape.width
        return cls(shape.channels, repeats, shape.pixels, shape.channels_last)

    def view(self, flat: Tensor) -> Tensor:
        """The matrix."""
        if self.channels_last:
            return flat.view(-1, self.repeats * self.channels)
        return flat.view(-1, self.channels, self.repeats)

    def repeat(self, values: Tensor) -> Tensor:
        """One value per channel, as it has to stand beside the matrix."""
        return values.repeat(self.repeats) if self.channels_last else values.view(1, -1, 1)

    def sum(self, flat: Tensor) -> Tensor:
        """The sum of each channel."""
        dtype = torch.float32 if flat.dtype in _LOW_PRECISION else None
        if self.channels_last:
            return (
                self.view(flat)
                .sum(dim=0, dtype=dtype)
                .view(self.repeats, self.channels)
                .sum(dim=0, dtype=dtype)
            )
        return self.view(flat).sum(dim=(0, 2), dtype=dtype)

    def moments(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and (biased) variance of each channel."""
        wide = flat.float() if flat.dtype in _LOW_PRECISION else flat
        if not self.channels_last:
            variance, mean = torch.var_mean(self.view(wide), dim=(0, 2), correction=0)
            return mean, variance
        matrix = self.view(wide)
        image = matrix.view(1, matrix.shape[0], 1, -1).permute(0, 3, 1, 2)
        means, variances = torch.batch_norm_update_stats(image, None, None, 0.0)
        means = means.view(self.repeats, self.channels)
        mean = means.mean(dim=0)
        between = (means - mean).square_().mean(dim=0)
        return mean, variances.view(self.repeats, self.channels).mean(dim=0).add_(between)


def _fold(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _state(norm: nn.BatchNorm2d, values: Tensor, rows: Rows, updates: Updates) -> NormState:
    if norm.training:
        mean, variance = rows.moments(values)
        updates.add(norm, mean, variance, rows.pixels)
    else:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance = norm.running_mean.clone(), norm.running_var
    rstd = torch.rsqrt(variance + norm.eps)
    return NormState(mean, rstd, norm.weight.detach() * rstd, norm.training)


def _norm_backward(
    rows: Rows, g: Tensor, y: Tensor, state: NormState, total: Tensor, *, out: Tensor
) -> Tensor:
    """The gradient of the normalisation's factor; the one of y is written to ``out``.

    With ŷ = (y − mean)·rstd and s = factor·rstd: d_factor = Σ g·ŷ, and when the statistics are the batch's,
    dy = s·(g − Σg/m − ŷ·d_factor/m).
    """
    torch.mul(g, y, out=out)
    gamma = state.rstd * (rows.sum(out) - state.mean * total)
    scale = rows.repeat(state.scale)
    if not state.training:
        torch.mul(rows.view(g), scale, out=rows.view(out))
        return gamma
    slope = -state.scale * state.rstd * gamma / rows.pixels
    shift = -state.scale * total / rows.pixels - slope * state.mean
    torch.addcmul(rows.repeat(shift), rows.view(g), scale, out=rows.view(out))
    rows.view(out).addcmul_(rows.view(y), rows.repeat(slope))
    return gamma


def _conv_backward(
    dy: Tensor, image: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """The gradients of a convolution's argument and of its weight."""
    gradients = torch.ops.aten.convolution_backward(
        dy, image, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [*wanted, False]
    )
    return gradients[0], gradients[1]
