"""The standard block of a fast step on the CPU: channels last, and in as few passes over memory as PyTorch allows.

Convolutions are fastest so, also with few channels; PyTorch's normalizations of few channels are not. So several pixels
stand side by side in a row of a matrix, and what belongs to a channel is repeated beside it: loops are long enough to
vectorize, and a column of the matrix is a channel for PyTorch's own statistics.

Legend: as in `fast_block`. A block is small, so that calls count: views are made once (`fast_rooms`), and values of one
per channel are dealt with in as few operations as possible, those of u and v together.
"""

import torch
from torch import Tensor

from graphtask.compiler.fast_block import LOW_PRECISION, Gradients, NormState, StandardBlock, Updates
from graphtask.compiler.fast_rooms import Room, columns_of
from graphtask.compiler.sync_batch_norm import Moments, combined


class Pixels(StandardBlock):
    """The standard block in one step."""

    def infer(self, room: Room, *, updates: Updates) -> None:
        """Write x."""
        if self.training:
            self.forward(room, updates=updates)
            return
        weight3, weight1, bias = self.folded()
        # Copied, so that the results of the two convolutions never stand side by side.
        room.images[0].copy_(self._short(room, weight1))
        u = self.target.flat(self._long(room, weight3, bias))
        torch.add(u, room.both[0], out=room.x)

    def forward(self, room: Room, *, updates: Updates) -> None:
        """Write x, and u and v."""
        self._convolve(room)
        n_values: int | Tensor = self.target.pixels
        if self.training:
            mean, variance = self._moments(room)
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
        scale3, scale1, shift = room.beside(scale, shift)
        u, v = room.matrices
        torch.addcmul(shift, u, scale3, out=room.x_rows).addcmul_(v, scale1)
        self.state = NormState(mean, rstd, scale, n_values)

    def backward(
        self,
        room: Room,
        *,
        needs: list[bool],
        keep: bool,  # noqa: ARG002  # for blocks with a graph of their own
    ) -> Gradients:
        """The gradients of the parameters; da is written (or added) to its place."""
        if room.kept is None:
            self._convolve(room)
        total, factors = self._sums(room)
        self._norm_backward(room, total, factors)
        du, dv = room.gradient_images
        inner = room.da is not None
        d_read, d_weight1, _ = torch.ops.aten.convolution_backward(
            dv, room.read.contiguous(memory_format=torch.channels_last), self.weight1, None, [1, 1], [0, 0], [1, 1],
            False, [0, 0], 1, [inner, needs[3], False],
        )  # fmt: skip
        d_positive, d_weight3, _ = torch.ops.aten.convolution_backward(
            du, self.positive(room), self.weight3, None, [self.stride] * 2, [1, 1], [1, 1],
            False, [0, 0], 1, [inner, needs[0], False],
        )  # fmt: skip
        if room.da is not None:
            self._join(room, self.source.flat(d_positive), d_read, out=room.da)
        if needs[0] and self.parameters[0].is_contiguous():  # an order that fused optimizers take for granted
            d_weight3 = d_weight3.contiguous()
        # A gradient of its own for each bias: PyTorch may put either into .grad, to be changed there.
        found = [d_weight3, factors[0], total[0], d_weight1, factors[1], total[0].clone()]
        return [
            gradient.to(parameter.dtype) if need else None
            for gradient, parameter, need in zip(found, self.parameters, needs, strict=True)
        ]

    def _moments(self, room: Room) -> tuple[Tensor, Tensor]:
        """For each channel the means of u and v and their (biased) variances, of shape (2, channels) each."""
        low = room.x.dtype in LOW_PRECISION
        u, v = columns_of(room.rows.float()) if low else room.columns
        of_u, of_v = (torch.batch_norm_update_stats(y, None, None, 0.0) for y in (u, v))
        means, within = torch.cat((*of_u, *of_v)).view(2, 2, room.repeats, -1).unbind(dim=1)
        mean = means.mean(dim=1, keepdim=True)
        between = (means - mean).square_()
        return mean.squeeze(1), between.add_(within).mean(dim=1)

    def _sums(self, room: Room) -> tuple[Tensor, Tensor]:
        """Σdx and, with ŷ = (y − mean)·rstd, Σ dx·ŷ for u and v: the gradients of bias and factors."""
        assert self.state is not None
        u, v = room.columns
        mean3, mean1, rstd3, rstd1 = room.beside(self.state.mean, self.state.rstd)
        total, of_u = _sums_of_columns(room.dx_columns, u, mean3, rstd3)
        _, of_v = _sums_of_columns(room.dx_columns, v, mean1, rstd1)
        found = torch.cat((total, of_u, of_v)).view(3, room.repeats, -1).sum(dim=1)
        return found[:1], found[1:]

    def _norm_backward(self, room: Room, total: Tensor, factors: Tensor) -> None:
        """Write du and dv.

        With s = factor·rstd: when the statistics are the batch's, dy = s·(dx − Σdx/m − ŷ·Σ(dx·ŷ)/m), which is
        s·dx + slope·y + shift; else dy = s·dx. Where processes share a batch, these sums are over all values of it.
        """
        assert self.state is not None
        mean, rstd, scale, n_values = self.state
        if not self.training:
            for scale_beside, d_rows in zip(room.beside(scale), room.gradient_matrices, strict=True):
                torch.mul(room.dx_rows, scale_beside, out=d_rows)
            return
        if self.gather is not None:
            everywhere = self.gather(torch.cat((total, factors))).sum(dim=0)
            total, factors = everywhere[:1], everywhere[1:]
        per_value = scale / (-max(n_values, 1) if isinstance(n_values, int) else -n_values)
        slope = per_value * rstd * factors
        shift = torch.addcmul(per_value * total, slope, mean, value=-1)
        beside = room.beside(slope, shift, scale)
        for which, (y, dy) in enumerate(zip(room.matrices, room.gradient_matrices, strict=True)):
            slope, shift, scale = beside[which::2]
            torch.addcmul(shift, y, slope, out=dy).addcmul_(room.dx_rows, scale)

    def _join(self, room: Room, d_positive: Tensor, d_read: Tensor, *, out: Tensor) -> None:
        """Bring the gradients from both convolutions together."""
        through = d_positive if room.add else out
        torch.ops.aten.threshold_backward.grad_input(d_positive, room.a, 0, grad_input=through)
        if room.add:
            out.add_(through)
        room.da_read.add_(d_read)

    def _convolve(self, room: Room) -> None:
        """Write u and v, one result at a time."""
        u, v = room.images
        u.copy_(self._long(room, self.weight3))
        v.copy_(self._short(room, self.weight1))

    def _long(self, room: Room, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.conv2d(self.positive(room), weight, bias, stride=self.stride, padding=1)

    def _short(self, room: Room, weight: Tensor) -> Tensor:
        return torch.conv2d(room.argument, weight, stride=self.stride)


def _sums_of_columns(dx: Tensor, y: Tensor, mean: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
    """For each column Σdx and Σ dx·ŷ, which PyTorch has in one pass."""
    _, product, total = torch.ops.aten.native_batch_norm_backward(
        dx, y, None, None, None, mean, rstd, True, 0.0, [False, True, True]
    )
    return total, product
