"""The blocks of a fast step: forward into given memory, and backward from what little was kept.

Legend: a is the block's argument, u = Conv3×3(ReLU(a)), v = Conv1×1(a), x = BN(u) + BN(v); g, du, dv, da are
gradients. Everything lies flat in memory, in the order of its `Shape`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fast_memory import Shape
from graphtask.compiler.shared_norm import Gather, Moments, SharedBatchNorm2d, combined
from graphtask.errors import ArgumentError

Gradients: TypeAlias = "list[Tensor | None]"

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LOW_PRECISION = {torch.bfloat16, torch.float16}  # sums over many values need more
_PARTS = 16  # of a product over all pixels, to be added up: PyTorch computes them in parallel
_ROW = 64  # pixels side by side in a row: per-channel factors are repeated, so that loops are long enough to vectorise


class NormState(NamedTuple):
    """What normalises u and v, in this order: y = scale·y + shift, one value per channel; shape (2, channels)."""

    mean: Tensor
    rstd: Tensor
    scale: Tensor
    n_values: int | Tensor
    """Values of a channel that the statistics are of."""


class Running(NamedTuple):
    """New statistics of one normalisation in training mode."""

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
        """Remember the statistics of some normalisations: for each a row of means and of variances.

        The variances are unbiased, or else, of ``biased`` values a channel, will be so when they are written, in place.
        """
        self._running += map(Running, norms, mean.unbind(), variance.unbind())
        if biased is not None:
            self._biased.setdefault(biased, []).append(variance)

    def write(self) -> None:
        """Write them, with the few calls that PyTorch's optimisers use too."""
        for n_values, variances in self._biased.items():
            torch._foreach_mul_(variances, n_values / max(n_values - 1, 1))
        momenta: dict[float, tuple[list[Tensor], list[Tensor]]] = {}
        counters = []
        for norm, mean, variance in self._running:
            assert norm.momentum is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert norm.num_batches_tracked is not None
            buffers, values = momenta.setdefault(norm.momentum, ([], []))
            buffers += [norm.running_mean, norm.running_var]
            values += [mean.to(norm.running_mean.dtype), variance.to(norm.running_var.dtype)]
            counters.append(norm.num_batches_tracked)
        for momentum, (buffers, values) in momenta.items():
            torch._foreach_lerp_(buffers, values, momentum)
        if counters:
            torch._foreach_add_(counters, 1)


def is_standard(block: ConvBlock) -> bool:
    """Whether a block computes what its class says and nothing else, so that its backward is known."""
    convs, norms = (block.conv3x3, block.conv1x1), (block.norm3x3, block.norm1x1)
    return (
        type(block) is ConvBlock
        and not any(has_hooks(module) for module in (block, *convs, *norms))
        and all(
            type(conv) is nn.Conv2d and conv.bias is None and conv.padding_mode == "zeros" for conv in convs
        )
        and all(
            type(norm) in {nn.BatchNorm2d, SharedBatchNorm2d}
            and norm.affine
            and norm.track_running_stats
            and norm.momentum is not None
            and (norm.training, norm.eps) == (norms[0].training, norms[0].eps)
            and shared_by(norm) == shared_by(norms[0])
            for norm in norms
        )
    )


def has_hooks(module: nn.Module) -> bool:
    """Whether something of a user's own runs with every call of a module."""
    return any(getattr(module, kind) for kind in _HOOKS)


def shared_by(norm: nn.BatchNorm2d) -> Gather | None:
    """How the statistics of a normalisation are shared with other processes; None if they are not."""
    return norm.gather if isinstance(norm, SharedBatchNorm2d) else None


class Pair:
    """The standard block in one step.

    Args:
        block: The block.
        source: Shape of its argument.
        target: Shape of its result.
        dtype: The dtype of both.
    """

    def __init__(self, block: ConvBlock, source: Shape, target: Shape, dtype: torch.dtype) -> None:
        conv3, norm3, conv1, norm1 = block.conv3x3, block.norm3x3, block.conv1x1, block.norm1x1
        self.norms = (norm3, norm1)
        self.training = norm3.training
        self.gather = shared_by(norm3)
        self.source = source
        self.target = target
        self.rows = Rows.of(target)
        self.stride = conv3.stride[0]
        self.parameters = [conv3.weight, norm3.weight, norm3.bias, conv1.weight, norm1.weight, norm1.bias]
        self.weight3 = conv3.weight.detach().to(dtype)
        self.weight1 = conv1.weight.detach().to(dtype)
        self.state: NormState | None = None

    def infer(self, a: Tensor, *, out: Tensor, scratch: Tensor, updates: Updates) -> None:
        """Write x; ``out`` may be ``a`` itself."""
        if self.training:
            self.forward(a, out=out, kept=None, scratch=scratch, updates=updates)
            return
        factor, bias, mean, variance = self._stacked()
        scale = factor * torch.rsqrt(variance + self.norms[0].eps)
        shift = (bias - mean * scale).sum(dim=0).to(a.dtype)
        scale3, scale1 = scale.to(a.dtype).view(2, -1, 1, 1, 1)
        v = self._short(a, self.weight1 * scale1, out=scratch[1])
        u = self._long(a, self.weight3 * scale3, shift, scratch=scratch[0])
        torch.add(u, v, out=out)

    def forward(
        self, a: Tensor, *, out: Tensor, kept: Tensor | None, scratch: Tensor, updates: Updates
    ) -> None:
        """Write x to ``out``, which may be ``a`` itself, and u and v to ``kept``."""
        rows = self.rows
        u = self._long(a, self.weight3, None, scratch=scratch[0])
        v = self._short(a, self.weight1, out=scratch[1] if kept is None else kept[1])
        factor, bias, mean, variance = self._stacked()
        n_values: int | Tensor = rows.pixels
        if self.training:
            moments = Moments(*rows.moments(u, v), rows.pixels)
            if self.gather is not None:
                moments = combined(moments, self.gather)
            mean, variance, n_values = moments
            updates.add(self.norms, mean, moments.unbiased())
        rstd = torch.rsqrt(variance + self.norms[0].eps)
        scale = factor * rstd
        shift = torch.addcmul(bias, mean, scale, value=-1).sum(dim=0, keepdim=True)
        scale3, scale1, shift = rows.repeat(torch.cat((scale, shift)))
        x = rows.view(out)
        torch.addcmul(shift, rows.view(u), scale3, out=x)
        x.addcmul_(rows.view(v), scale1)
        if kept is not None:
            kept[0].copy_(u)
        self.state = NormState(mean, rstd, scale, n_values)

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
        rows, wanted = self.rows, out is not None
        work = scratch[0][: g.numel()]
        if kept is None:
            u, v = (
                self._long(a, self.weight3, None, scratch=scratch[2]),
                self._short(a, self.weight1, out=scratch[1]),
            )
        else:
            u, v = kept
        sums = rows.sums(g, u, v, work=work)
        factors, coefficients = self._norm_backward(sums)
        dv = rows.combine(g, v, coefficients[1], out=work)
        d_short, d_weight1 = self._short_backward(dv, a, out=scratch[1], wanted=(wanted, needs[3]))
        du = self.target.image(rows.combine(g, u, coefficients[0], out=work))
        positive = self._positive(a, scratch[2])
        d_positive, d_weight3, _ = torch.ops.aten.convolution_backward(
            du, positive, self.weight3, None, [self.stride] * 2, [1, 1], [1, 1], False, [0, 0], 1,
            [wanted, needs[0], False],
        )  # fmt: skip
        if out is not None:
            self._join(a, d_positive, d_short, out=out, add=add)
        # A gradient of its own for each bias: PyTorch may put either into .grad, to be changed there.
        found = [d_weight3, factors[0], sums[0], d_weight1, factors[1], sums[0].clone()]
        return [
            gradient.to(parameter.dtype) if need else None
            for gradient, parameter, need in zip(found, self.parameters, needs, strict=True)
        ]

    def _norm_backward(self, sums: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
        """The gradients of the factors, and for u and v: du (dv) as coefficients of g, of u (v), and of 1.

        With ŷ = (y − mean)·rstd and s = factor·rstd: d_factor = Σ g·ŷ, and when the statistics are the batch's,
        dy = s·(g − Σg/m − ŷ·d_factor/m); else dy = s·g. Where processes share a batch, the sums in dy are over all
        values of it, and d_factor is over those here.
        """
        assert self.state is not None
        mean, rstd, scale, n_values = self.state
        factors = rstd * torch.addcmul(sums[1:], mean, sums[:1], value=-1)
        if not self.training:
            return factors, [[row] for row in self.rows.repeat(scale)]
        total, slopes = sums[:1], factors
        if self.gather is not None:
            everywhere = self.gather(torch.cat((total, factors))).sum(dim=0)
            total, slopes = everywhere[:1], everywhere[1:]
        per_value = scale / (-max(n_values, 1) if isinstance(n_values, int) else -n_values)
        slope = per_value * rstd * slopes
        shift = torch.addcmul(per_value * total, slope, mean, value=-1)
        rows = self.rows.repeat(torch.cat((scale, slope, shift)))
        return factors, [list(rows[0::2]), list(rows[1::2])]

    def _join(self, a: Tensor, d_positive: Tensor, d_short: Tensor | None, *, out: Tensor, add: bool) -> None:
        assert d_short is not None
        through = self.source.flat(d_positive)
        if add:
            out.add_(torch.ops.aten.threshold_backward.grad_input(through, a, 0, grad_input=through))
        else:
            torch.ops.aten.threshold_backward.grad_input(through, a, 0, grad_input=out)
        if self.stride == 1:
            out.add_(d_short)
        else:
            image = self.source.image(out)[:, :, :: self.stride, :: self.stride]
            image.add_(self._sampled_shape().image(d_short))

    def _long(self, a: Tensor, weight: Tensor, bias: Tensor | None, *, scratch: Tensor) -> Tensor:
        positive = self._positive(a, scratch)
        return self.target.flat(torch.conv2d(positive, weight, bias, stride=self.stride, padding=1))

    def _short(self, a: Tensor, weight: Tensor, *, out: Tensor) -> Tensor:
        """v, as a matrix product: over the pixels, or over each image's channels."""
        sampled, target = self._sampled(a), self.target
        n_out, n_in = weight.shape[:2]
        matrix = weight.view(n_out, n_in)
        out = out[: target.numel]
        if target.channels_last:
            torch.mm(sampled.view(target.pixels, n_in), matrix.t(), out=out.view(target.pixels, n_out))
        else:
            side = target.height * target.width
            torch.matmul(
                matrix, sampled.view(target.batch, n_in, side), out=out.view(target.batch, n_out, side)
            )
        return out

    def _short_backward(
        self, dv: Tensor, a: Tensor, *, out: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of the pixels that the 1×1 convolution reads, in ``out``, and of its weight."""
        sampled, target = self._sampled(a), self.target
        n_out, n_in = self.weight1.shape[:2]
        matrix = self.weight1.view(n_out, n_in)
        out = out[: sampled.numel()]
        if target.channels_last:
            parts = math.gcd(target.pixels, _PARTS)
            left = dv.view(parts, target.pixels // parts, n_out).transpose(1, 2)
            right = sampled.view(parts, target.pixels // parts, n_in)
            if wanted[0]:
                torch.mm(dv.view(target.pixels, n_out), matrix, out=out.view(target.pixels, n_in))
        else:
            side = target.height * target.width
            left = dv.view(target.batch, n_out, side)
            right = sampled.view(target.batch, n_in, side).transpose(1, 2)
            if wanted[0]:
                torch.matmul(matrix.t(), left, out=out.view(target.batch, n_in, side))
        weight = torch.bmm(left, right).sum(dim=0).view(self.weight1.shape) if wanted[1] else None
        return (out if wanted[0] else None), weight

    def _positive(self, a: Tensor, scratch: Tensor) -> Tensor:
        return self.source.image(torch.clamp_min(a, 0, out=scratch[: a.numel()]))

    def _sampled_shape(self) -> Shape:
        return self.target._replace(channels=self.source.channels)

    def _sampled(self, a: Tensor) -> Tensor:
        """The pixels that a 1×1 convolution with a stride reads."""
        if self.stride == 1:
            return a
        image = self.source.image(a)[:, :, :: self.stride, :: self.stride]
        return self._sampled_shape().flat(image.contiguous(memory_format=self.source.memory_format))

    def _stacked(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Factors, biases, running means and running variances of both normalisations."""
        weights, biases, means, variances = (
            torch.stack([getattr(norm, name) for norm in self.norms])
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return weights.detach(), biases.detach(), means, variances


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
        """Rows of one value per channel, as they have to stand beside the matrix."""
        return values.repeat(1, self.repeats) if self.channels_last else values.unsqueeze(2)

    def combine(self, g: Tensor, y: Tensor, coefficients: Sequence[Tensor], *, out: Tensor) -> Tensor:
        """The sum of g, y and 1 with these coefficients (or only of g); written to ``out``."""
        matrix = self.view(out)
        if len(coefficients) == 1:
            torch.mul(self.view(g), coefficients[0], out=matrix)
        else:
            scale, slope, shift = coefficients
            torch.addcmul(shift, self.view(g), scale, out=matrix)
            matrix.addcmul_(self.view(y), slope)
        return out

    def sums(self, g: Tensor, u: Tensor, v: Tensor, *, work: Tensor) -> Tensor:
        """For each channel Σg, Σg·u and Σg·v, of shape (3, channels)."""
        total = self._sum(g)
        products = [self._sum(torch.mul(g, y, out=work)) for y in (u, v)]
        sums = torch.stack((total, *products))
        return sums.view(3, self.repeats, self.channels).sum(dim=1) if self.channels_last else sums

    def _sum(self, flat: Tensor) -> Tensor:
        matrix = self.view(flat)
        if not self.channels_last or flat.dtype in _LOW_PRECISION:
            dtype = torch.float32 if flat.dtype in _LOW_PRECISION else flat.dtype
            return matrix.sum(dim=0 if self.channels_last else (0, 2), dtype=dtype)
        return torch.mv(matrix.t(), matrix.new_ones(len(matrix)))  # faster than a sum over rows

    def moments(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """For each channel the means of u and v and their (biased) variances, of shape (2, channels) each."""
        if u.dtype in _LOW_PRECISION:
            u, v = u.float(), v.float()
        if not self.channels_last:
            found = [torch.var_mean(self.view(y), dim=(0, 2), correction=0) for y in (u, v)]
            return torch.stack([mean for _, mean in found]), torch.stack([variance for variance, _ in found])
        # PyTorch's own statistics are fast for many channels; so the columns of the matrix are its channels.
        columns = [
            self.view(y).view(1, -1, 1, self.repeats * self.channels).permute(0, 3, 1, 2) for y in (u, v)
        ]
        means, variances = zip(
            *(torch.batch_norm_update_stats(y, None, None, 0.0) for y in columns), strict=True
        )
        between, mean = torch.var_mean(
            torch.stack(means).view(2, self.repeats, self.channels), dim=1, correction=0
        )
        within = torch.stack(variances).view(2, self.repeats, self.channels).mean(dim=1)
        return mean, within.add_(between)
