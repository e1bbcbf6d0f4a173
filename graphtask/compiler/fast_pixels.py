"""The standard block of a fast step on the CPU: channels last, and in as few passes over memory as PyTorch allows.

Convolutions are fastest so, also with few channels; PyTorch's normalisations of few channels are not. So several pixels
stand side by side in a row of a matrix, and what belongs to a channel is repeated beside it: loops are long enough to
vectorise, and a column of the matrix is a channel for PyTorch's own statistics.

Legend: as in `fast_block`; both is (u, v), of shape (2, values) or (2, rows, columns).
"""

import math

import torch
from torch import Tensor

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fast_block import Gradients, NormState, StandardBlock, Updates, pair_of
from graphtask.compiler.fast_memory import Shape
from graphtask.compiler.shared_norm import Moments, combined

_COLUMNS = 1024  # of a matrix, at most
_LOW_PRECISION = {torch.bfloat16, torch.float16}  # sums over many values need more


class Pixels(StandardBlock):
    """The standard block in one step."""

    def __init__(self, block: ConvBlock, source: Shape, target: Shape, dtype: torch.dtype) -> None:
        super().__init__(block, source, target, dtype)
        most = 1 << (max(_COLUMNS // target.channels, 1).bit_length() - 1)
        self.repeats = math.gcd(target.pixels, most)
        self.columns = self.repeats * target.channels
        self.beside = self.parameters[
            1
        ]  # means, rstds, scales and the shift, beside a row; set by the forward

    def infer(self, a: Tensor, *, out: Tensor, scratch: Tensor, updates: Updates) -> None:
        """Write x; ``out`` may be ``a`` itself."""
        if self.training:
            self.forward(a, out=out, kept=None, scratch=scratch, updates=updates)
            return
        mean, variance = self.running()
        scale = self.factor * torch.rsqrt(variance + self.eps)
        shift = (self.bias - mean * scale).sum(dim=0).to(a.dtype)
        scale3, scale1 = scale.to(a.dtype).view(2, -1, 1, 1, 1)
        v = scratch[0][: out.numel()].copy_(self._short(a, self.weight1 * scale1))  # one result at a time
        torch.add(self._long(a, self.weight3 * scale3, shift, scratch=scratch), v, out=out)

    def forward(
        self, a: Tensor, *, out: Tensor, kept: Tensor | None, scratch: Tensor, updates: Updates
    ) -> None:
        """Write x to ``out``, which may be ``a`` itself, and u and v to ``kept``."""
        both = self._convolved(a, kept, scratch)
        n_values: int | Tensor = self.target.pixels
        if self.training:
            mean, variance = self._moments(both)
            if self.gather is None:
                updates.add(self.norms, mean, variance, biased=self.target.pixels)
            else:
                moments = combined(Moments(mean, variance, self.target.pixels), self.gather)
                mean, variance, n_values = moments
                updates.add(self.norms, mean, moments.unbiased())
        else:
            mean, variance = self.running()
        rstd = torch.rsqrt(variance + self.eps)
        scale = self.factor * rstd
        shift = torch.addcmul(self.bias, mean, scale, value=-1).sum(dim=0, keepdim=True)
        beside = self._repeat(torch.cat((mean, rstd, scale, shift)))
        *self.centres, scale3, scale1, shift = beside.unbind()
        self.scales = beside[4:6].unsqueeze(1)
        u, v = self._rows(both).unbind()
        torch.addcmul(shift, u, scale3, out=self._rows(out)).addcmul_(v, scale1)
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
        both = self._convolved(a, None, scratch) if kept is None else kept
        total, factors = self._sums(g, both)
        d_long, d_short = self._norm_backward(g, both, total, factors, out=pair_of(scratch, g)).unbind()
        inner = out is not None
        d_sampled, d_weight1, _ = torch.ops.aten.convolution_backward(
            self.target.image(d_short), self._sampled(a), self.weight1, None, [1, 1], [0, 0], [1, 1], False, [0, 0],
            1, [inner, needs[3], False],
        )  # fmt: skip
        d_positive, d_weight3, _ = torch.ops.aten.convolution_backward(
            self.target.image(d_long), self._positive(a, scratch), self.weight3, None, [self.stride] * 2, [1, 1],
            [1, 1], False, [0, 0], 1, [inner, needs[0], False],
        )  # fmt: skip
        if out is not None:
            self._join(a, d_positive, d_sampled, out=out, add=add)
        # A gradient of its own for each bias: PyTorch may put either into .grad, to be changed there.
        found = [d_weight3, factors[0], total[0], d_weight1, factors[1], total[0].clone()]
        return [
            gradient.to(parameter.dtype) if need else None
            for gradient, parameter, need in zip(found, self.parameters, needs, strict=True)
        ]

    def _moments(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """For each channel the means of u and v and their (biased) variances, of shape (2, channels) each."""
        precise = both.float() if both.dtype in _LOW_PRECISION else both
        of_u, of_v = (torch.batch_norm_update_stats(self._image(y), None, None, 0.0) for y in precise)
        found = torch.cat((of_u[0], of_v[0], of_u[1], of_v[1])).view(2, 2, self.repeats, -1)
        mean, within = found.mean(dim=2).unbind()
        between = (found[0] - mean.unsqueeze(1)).square_().mean(dim=1)
        return mean, between.add_(within)

    def _sums(self, g: Tensor, both: Tensor) -> tuple[Tensor, Tensor]:
        """Σg and, with ŷ = (y − mean)·rstd, Σ g·ŷ for u and v: the gradients of bias and factors."""
        image, (u, v) = self._image(g), both.unbind()
        mean3, mean1, rstd3, rstd1 = self.centres
        total, of_u = self._sums_of_columns(image, u, mean3, rstd3)
        _, of_v = self._sums_of_columns(image, v, mean1, rstd1)
        found = torch.cat((total, of_u, of_v)).view(3, self.repeats, -1).sum(dim=1)
        return found[:1], found[1:]

    def _sums_of_columns(self, g: Tensor, y: Tensor, mean: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
        """For each column Σg and Σ g·ŷ, which PyTorch has in one pass."""
        _, product, total = torch.ops.aten.native_batch_norm_backward(
            g, self._image(y), None, None, None, mean, rstd, True, 0.0, [False, True, True]
        )
        return total, product

    def _norm_backward(
        self, g: Tensor, both: Tensor, total: Tensor, factors: Tensor, *, out: Tensor
    ) -> Tensor:
        """Write du and dv to ``out``, which may be ``both``.

        With s = factor·rstd: when the statistics are the batch's, dy = s·(g − Σg/m − ŷ·Σ(g·ŷ)/m), which is
        s·g + slope·y + shift; else dy = s·g. Where processes share a batch, these sums are over all values of it.
        """
        assert self.state is not None
        mean, rstd, scale, n_values = self.state
        scales, rows, result = self.scales, self._rows(g), self._rows(out)
        if not self.training:
            torch.mul(rows, scales, out=result)
            return out
        if self.gather is not None:
            everywhere = self.gather(torch.cat((total, factors))).sum(dim=0)
            total, factors = everywhere[:1], everywhere[1:]
        per_value = scale / (-max(n_values, 1) if isinstance(n_values, int) else -n_values)
        slope = per_value * rstd * factors
        shift = torch.addcmul(per_value * total, slope, mean, value=-1)
        slopes, shifts = self._repeat(torch.cat((slope, shift))).view(2, 2, 1, -1).unbind()
        torch.addcmul(shifts, self._rows(both), slopes, out=result).addcmul_(rows, scales)
        return out

    def _join(self, a: Tensor, d_positive: Tensor, d_sampled: Tensor, *, out: Tensor, add: bool) -> None:
        """Bring the gradients from both convolutions together."""
        through = self.source.flat(d_positive)
        torch.ops.aten.threshold_backward.grad_input(through, a, 0, grad_input=through if add else out)
        if add:
            out.add_(through)
        self.source.image(out)[:, :, :: self.stride, :: self.stride].add_(d_sampled)

    def _convolved(self, a: Tensor, kept: Tensor | None, scratch: Tensor) -> Tensor:
        """U and v, in ``kept`` or in scratch."""
        u = self._long(a, self.weight3, None, scratch=scratch)
        both = pair_of(scratch, u) if kept is None else kept
        both[0].copy_(u)
        both[1].copy_(self._short(a, self.weight1))
        return both

    def _long(self, a: Tensor, weight: Tensor, bias: Tensor | None, *, scratch: Tensor) -> Tensor:
        positive = self._positive(a, scratch)
        return self.target.flat(torch.conv2d(positive, weight, bias, stride=self.stride, padding=1))

    def _short(self, a: Tensor, weight: Tensor) -> Tensor:
        return self.target.flat(torch.conv2d(self.source.image(a), weight, stride=self.stride))

    def _positive(self, a: Tensor, scratch: Tensor) -> Tensor:
        """ReLU(a), in the last row of scratch."""
        return self.source.image(torch.clamp_min(a, 0, out=scratch[-1][: a.numel()]))

    def _sampled(self, a: Tensor) -> Tensor:
        """The pixels that the 1×1 convolution reads."""
        image = self.source.image(a)
        if self.stride == 1:
            return image
        image = image[:, :, :: self.stride, :: self.stride]
        return image.contiguous(memory_format=torch.channels_last)

    def _rows(self, flat: Tensor) -> Tensor:
        """A flat activation, or several, as matrices (rows, columns)."""
        return flat.view(*flat.shape[:-1], -1, self.columns)

    def _image(self, flat: Tensor) -> Tensor:
        """A flat activation as an image whose channels are the columns."""
        return flat.view(1, -1, 1, self.columns).permute(0, 3, 1, 2)

    def _repeat(self, values: Tensor) -> Tensor:
        """Rows of one value per channel, as they have to stand beside the matrix."""
        repeated = values.unsqueeze(1).expand(-1, self.repeats, -1).reshape(len(values), -1)
        return repeated.contiguous()  # one channel's value need not have been copied
