"""The standard block of a fast step on an accelerator: channels first, and in as few launches as PyTorch allows.

There, a kernel that does next to nothing takes as long as one that reads an activation. So u and v are always treated
together, as the two planes of one tensor, and what all blocks need of their parameters is fetched for all at once.

Legend: as in `fast_block`; both is (u, v), of shape (2, values) or (2, batch, channels, pixels).
"""

import torch
from torch import Tensor

from graphtask.compiler.fast_block import LOW_PRECISION, Gradients, NormState, StandardBlock, Updates
from graphtask.compiler.fast_memory import Shape
from graphtask.compiler.fast_rooms import Room
from graphtask.compiler.standard import Parts
from graphtask.compiler.sync_batch_norm import Moments, combined


class Planes(StandardBlock):
    """The standard block in one step."""

    def __init__(self, parts: Parts, source: Shape, target: Shape, dtype: torch.dtype) -> None:
        super().__init__(parts, source, target, dtype)
        self.side = target.height * target.width

    def infer(self, room: Room, *, updates: Updates) -> None:
        """Write x."""
        if self.training:
            self.forward(room, updates=updates)
            return
        weight3, weight1, bias = self.folded()
        v = self._short(room, weight1)
        torch.add(self._long(room, weight3, bias), v.view(-1), out=room.x)

    def forward(self, room: Room, *, updates: Updates) -> None:
        """Write x, and u and v."""
        self._convolve(room)
        self.normalize(room.both, out=room.x, updates=updates)

    def normalize(self, both: Tensor, *, out: Tensor, updates: Updates) -> None:
        """Write x, from u and v."""
        n_values: int | Tensor = self.target.pixels
        if self.training:
            mean, variance = self._moments(both)
            if self.gather is None:
                updates.add(
                    self.norms, mean.flatten(0, -2), variance.flatten(0, -2), biased=self.target.pixels
                )
            else:
                moments = combined(Moments(mean, variance, self.target.pixels), self.gather)
                mean, variance, n_values = moments
                updates.add(self.norms, mean.flatten(0, -2), moments.unbiased().flatten(0, -2))
        else:
            mean, variance = self.running()
        rstd = torch.rsqrt(variance + self.eps)
        scale = self.factor * rstd
        shift = torch.addcmul(self.bias, mean, scale, value=-1).sum(dim=-2)
        x, (u, v), (scale3, scale1) = self.planes(out), self.planes(both).unbind(-4), _wide(scale).unbind(-4)
        torch.addcmul(_wide(shift), u, scale3, out=x)
        x.addcmul_(v, scale1)
        self.state = NormState(mean, rstd, scale, n_values)

    def backward(
        self,
        room: Room,
        *,
        needs: list[bool],
        keep: bool,  # noqa: ARG002  # for blocks with a graph of their own
    ) -> Gradients:
        """The gradients of the parameters; da is written (or added) to its place."""
        assert room.dx is not None
        if room.kept is None:
            self._convolve(room)
        work = None if room.kept is None else room.gradients
        total, factors = self.normalize_backward(room.dx, room.both, out=room.gradients, work=work)
        found: Gradients = [None, factors[0], total[0], None, factors[1], total[1]]
        d_long, d_short = room.gradient_images
        short = d_short.view(self.target.batch, self.target.channels, self.side)
        if needs[3]:
            pixels = self._sampled(room).transpose(1, 2)
            # The products of single images are added up in full precision.
            dtype = self.parameters[3].dtype
            found[3] = torch.bmm(short, pixels).sum(dim=0, dtype=dtype).view(self.weight1.shape)
        d_positive, found[0], _ = torch.ops.aten.convolution_backward(
            d_long, self.positive(room), self.weight3, None, [self.stride] * 2,
            [1, 1], [1, 1], False, [0, 0], 1, [room.da is not None, needs[0], False],
        )  # fmt: skip
        if room.da is not None:
            self._join(room, self.source.flat(d_positive), short, out=room.da)
        return [
            None if gradient is None or not need else gradient.to(parameter.dtype)
            for gradient, parameter, need in zip(found, self.parameters, needs, strict=True)
        ]

    def normalize_backward(
        self, dx: Tensor, both: Tensor, *, out: Tensor, work: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Write du and dv to ``out``, which may be ``both``; the gradients of biases and factors.

        With ŷ = (y − mean)·rstd and s = factor·rstd: d_factor = Σ dx·ŷ = rstd·(Σ dx·y − mean·Σdx), and when the statistics
        are the batch's, dy = s·(dx − Σdx/m − ŷ·d_factor/m), which is s·dx + slope·y + shift; else dy = s·dx. Where processes
        share a batch, the sums in dy are over all values of it, and the gradients are of those here.
        """
        assert self.state is not None
        mean, rstd, scale, n_values = self.state
        planes, values, result = self.planes(dx).unsqueeze(-4), self.planes(both), self.planes(out)
        # The sum twice: PyTorch may put the gradient of either bias into .grad, to be changed there.
        total = planes.expand(values.shape).sum(dim=(-3, -1), dtype=mean.dtype)
        products = torch.mul(values, planes, out=None if work is None else self.planes(work))
        sums = products.sum(dim=(-3, -1), dtype=mean.dtype)
        factors = rstd * torch.addcmul(sums, mean, total, value=-1)
        if not self.training:
            torch.mul(planes, _wide(scale), out=result)
            return total, factors
        everywhere, slopes = total, factors
        if self.gather is not None:
            everywhere, slopes = self.gather(torch.stack((total, factors))).sum(dim=0)
        per_value = scale / (-max(n_values, 1) if isinstance(n_values, int) else -n_values)
        slopes = per_value * rstd * slopes
        shifts = torch.addcmul(per_value * everywhere, slopes, mean, value=-1)
        torch.addcmul(_wide(shifts), values, _wide(slopes), out=result).addcmul_(planes, _wide(scale))
        return total, factors

    def _join(self, room: Room, d_positive: Tensor, short: Tensor, *, out: Tensor) -> None:
        """Bring the gradients from both convolutions together."""
        through = torch.ops.aten.threshold_backward.grad_input(
            d_positive, room.a, 0, grad_input=d_positive if room.add else out
        )
        if room.add:
            out.add_(through)
        n_out, n_in = self.weight1.shape[:2]
        matrix = self.weight1.view(n_out, n_in).t().expand(self.target.batch, n_in, n_out)
        if self.stride == 1:
            out.view(self.target.batch, n_in, self.side).baddbmm_(matrix, short)
        else:
            room.da_read.add_(torch.bmm(matrix, short).view(room.da_read.shape))

    def _convolve(self, room: Room) -> None:
        """Write u and v."""
        u, v = room.both
        u.copy_(self._long(room, self.weight3, None))
        self._short(room, self.weight1, out=v)

    def _long(self, room: Room, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.target.flat(
            torch.conv2d(self.positive(room), weight, bias, stride=self.stride, padding=1)
        )

    def _short(self, room: Room, weight: Tensor, *, out: Tensor | None = None) -> Tensor:
        """V: the product of the weight with the pixels of each image."""
        n_out, n_in = weight.shape[:2]
        matrix = weight.view(n_out, n_in).expand(self.target.batch, n_out, n_in)
        if out is not None:
            out = out.view(self.target.batch, n_out, self.side)
        return torch.bmm(matrix, self._sampled(room), out=out)

    def _sampled(self, room: Room) -> Tensor:
        """The pixels that the 1×1 convolution reads: (batch, channels, pixels)."""
        return room.read.reshape(self.target.batch, self.source.channels, self.side)

    def planes(self, flat: Tensor) -> Tensor:
        """A flat activation, or several, as (…, batch, channels, pixels)."""
        return flat.view(*flat.shape[:-1], self.target.batch, self.target.channels, self.side)

    def _moments(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """For each channel the means of u and v and their (biased) variances, of shape (…, 2, channels) each."""
        planes = self.planes(both)
        if both.dtype in LOW_PRECISION and both.is_cuda:
            return moments_of_planes(planes)
        precise = planes.float() if both.dtype in LOW_PRECISION else planes
        variance, mean = torch.var_mean(precise, dim=(-3, -1), correction=0)
        return mean, variance


def moments_of_planes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """For each channel of (…, batch, channels, pixels) the means and (biased) variances, of shape (…, channels) each.

    On CUDA, PyTorch's own statistics read low precision and are float32, without a copy in between. They are taken of
    every image by itself, in parallel, and put together.
    """
    mean, within = torch.batch_norm_update_stats(planes.reshape(1, -1, 1, planes.shape[-1]), None, None, 0.0)
    between, mean = torch.var_mean(mean.view(planes.shape[:-1]), dim=-2, correction=0)
    return mean, within.view(planes.shape[:-1]).mean(dim=-2).add_(between)


def _wide(values: Tensor) -> Tensor:
    """One value per channel, as it has to stand beside planes."""
    return values[..., None, :, None]
