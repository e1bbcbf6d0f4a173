"""The block of a fused step: forward into given buffers, and backward from the little that was kept.

Legend: a is the argument of a block, u = Conv3×3(ReLU(a)), v = Conv1×1(a), x = BN(u) + BN(v); dx, du, dv and da are
gradients. Statistics have the shape (2, channels): row 0 is for u, row 1 for v. `workspace` has the lifetimes.
"""

from collections.abc import Sequence  # noqa: TC003  # one rule for all modules
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fused.workspace import Activation, Layout
from graphtask.compiler.sync_batch_norm import Moments, combined

_LOW_PRECISION = {torch.bfloat16, torch.float16}  # statistics of many values need more

Updates: TypeAlias = list[tuple[ConvBlock, Moments]]
"""Batch statistics that enter the running statistics after the forward."""


class Buffers(NamedTuple):
    """Activations that a block reads and writes."""

    source: Layout
    target: Layout
    a: Activation
    x: Activation
    u: Activation
    v: Activation
    du: Activation
    dv: Activation
    positive: Activation
    """ReLU(a)."""
    recompute: bool = False
    """u and v are lost after the forward."""
    dx: Activation | None = None
    da: Activation | None = None
    """Place of the gradient of a, if it is wanted; may be ``a`` itself."""
    add: bool = False
    """The gradient is added to the contents of ``da``."""


class _Norm(NamedTuple):
    """Normalization of u and v in a step: y ↦ scale·y + shift."""

    mean: Tensor
    rstd: Tensor
    scale: Tensor
    n_values: int | Tensor


class ConvStep:
    """A `ConvBlock` in one step.

    Args:
        block: The block.
        buffers: Its activations.
        dtype: Their dtype.
    """

    def __init__(self, block: ConvBlock, buffers: Buffers, dtype: torch.dtype) -> None:
        self.block, self.buffers = block, buffers
        self.parameters: list[Tensor] = [
            block.weight3x3, block.weight1x1, block.scale3x3, block.scale1x1, block.shift3x3, block.shift1x1
        ]  # fmt: skip
        self.needs: Sequence[bool] = ()
        self.gradients: list[Tensor | None] = []
        self._weight3x3, self._weight1x1 = (p.detach().to(dtype) for p in self.parameters[:2])
        vectors = torch.cat([parameter.detach() for parameter in self.parameters[2:]])
        self._scales, self._shifts = vectors.view(2, 2, -1).unbind()

    @property
    def reads_argument(self) -> bool:
        """Whether the backward reads the argument."""
        b = self.buffers
        return b.recompute or b.da is not None or any(weight.requires_grad for weight in self.parameters[:2])

    def infer(self, updates: Updates) -> None:
        """Write x; u and v are lost."""
        block, b = self.block, self.buffers
        if block.training:
            self.forward(updates)
            return
        scale = self._scales * torch.rsqrt(block.running_vars + block.eps)
        shift = (self._shifts - block.running_means * scale).sum(dim=0)
        scale3x3, scale1x1 = scale.to(b.x.wide.dtype).view(2, -1, 1, 1, 1)
        # Copied, so that the results of the two convolutions never exist together.
        b.u.image.copy_(self._short(self._weight1x1 * scale1x1))
        u = self._long(self._weight3x3 * scale3x3, shift.to(b.x.wide.dtype))
        torch.add(u, b.u.image, out=b.x.image)

    def forward(self, updates: Updates) -> None:
        """Write x, and u and v."""
        block, b = self.block, self.buffers
        self._convolve()
        moments = Moments(block.running_means, block.running_vars, b.target.pixels)
        if block.training:
            moments = self._moments()
            if block.gather is not None:
                moments = combined(moments, block.gather)
            updates.append((block, moments))
        mean, variance, n_values = moments
        rstd = torch.rsqrt(variance + block.eps)
        scale = self._scales * rstd
        shift = torch.addcmul(self._shifts, mean, scale, value=-1).sum(dim=0, keepdim=True)
        scale3x3, scale1x1, shift = b.target.tile(scale, shift)
        torch.addcmul(shift, b.u.wide, scale3x3, out=b.x.wide).addcmul_(b.v.wide, scale1x1)
        self._norm = _Norm(mean, rstd, scale, n_values)

    def backward(self) -> None:
        """Compute the gradients of the parameters, and write or add da."""
        block, b, needs = self.block, self.buffers, self.needs
        if b.recompute:
            self._convolve()
        total, products = self._sums()
        self._norm_backward(total, products)
        inner = b.da is not None
        d_read, d_weight1x1, _ = torch.ops.aten.convolution_backward(
            b.dv.image, self._read(b.a).contiguous(memory_format=b.source.memory_format), self._weight1x1, None,
            [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [inner, needs[1], False],
        )  # fmt: skip
        d_positive, d_weight3x3, _ = torch.ops.aten.convolution_backward(
            b.du.image, self._positive(), self._weight3x3, None,
            [block.stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, [inner, needs[0], False],
        )  # fmt: skip
        if b.da is not None:
            through = d_positive if b.add else b.da.image
            torch.ops.aten.threshold_backward.grad_input(d_positive, b.a.image, 0, grad_input=through)
            if b.add:
                b.da.image.add_(through)
            self._read(b.da).add_(d_read)
        if needs[0] and self.parameters[0].is_contiguous():  # an order that fused optimizers take for granted
            d_weight3x3 = d_weight3x3.contiguous()
        # A gradient of its own for each shift: PyTorch may put either into .grad, to be changed there.
        found = [d_weight3x3, d_weight1x1, *products, total[0], total[0].clone()]
        self.gradients = [
            gradient.to(parameter.dtype) if need else None
            for gradient, parameter, need in zip(found, self.parameters, needs, strict=True)
        ]

    def _moments(self) -> Moments:
        """Return mean and (biased) variance of each channel of u and v."""
        b, repeats = self.buffers, self.buffers.target.repeats
        low = b.u.columns.dtype in _LOW_PRECISION
        found = [
            torch.batch_norm_update_stats(y.columns.float() if low else y.columns, None, None, 0.0)
            for y in (b.u, b.v)
        ]
        means, within = torch.cat([*found[0], *found[1]]).view(2, 2, repeats, -1).unbind(dim=1)
        mean = means.mean(dim=1, keepdim=True)
        variance = (means - mean).square_().add_(within).mean(dim=1)
        return Moments(mean.squeeze(1), variance, b.target.pixels)

    def _sums(self) -> tuple[Tensor, Tensor]:
        """Return Σdx, and Σ dx·ŷ for u and v with ŷ = (y − mean)·rstd: the gradients of shifts and scales."""
        b, (mean, rstd, *_) = self.buffers, self._norm
        assert b.dx is not None
        if not b.target.pixels:  # of which PyTorch makes a division by zero
            return torch.zeros_like(mean[:1]), torch.zeros_like(mean)
        tiled = [vector.flatten() for vector in b.target.tile(mean, rstd)]
        found = [
            torch.ops.aten.native_batch_norm_backward(  # both sums in one pass
                b.dx.columns,
                y.columns,
                None,
                None,
                None,
                tiled[row],
                tiled[row + 2],
                True,
                0.0,
                [False, True, True],
            )
            for row, y in enumerate((b.u, b.v))
        ]
        sums = torch.cat([found[0][2], found[0][1], found[1][1]]).view(3, b.target.repeats, -1).sum(dim=1)
        return sums[:1], sums[1:]

    def _norm_backward(self, total: Tensor, products: Tensor) -> None:
        """Write du and dv.

        With s = scale of `_Norm`: if the statistics are those of the batch, dy = s·(dx − Σdx/m − ŷ·Σ(dx·ŷ)/m), which is
        s·dx + slope·y + shift; else dy = s·dx. Where processes share a batch, these sums are over all its values.
        """
        b, (mean, rstd, scale, n_values) = self.buffers, self._norm
        assert b.dx is not None
        if not self.block.training:
            for factor, dy in zip(b.target.tile(scale), (b.du, b.dv), strict=True):
                torch.mul(b.dx.wide, factor, out=dy.wide)
            return
        if self.block.gather is not None:
            everywhere = self.block.gather(torch.cat((total, products))).sum(dim=0)
            total, products = everywhere[:1], everywhere[1:]
        per_value = scale / (-max(n_values, 1) if isinstance(n_values, int) else -n_values)
        slope = per_value * rstd * products
        shift = torch.addcmul(per_value * total, slope, mean, value=-1)
        tiled = b.target.tile(slope, shift, scale)
        for row, (y, dy) in enumerate(((b.u, b.du), (b.v, b.dv))):
            torch.addcmul(tiled[row + 2], y.wide, tiled[row], out=dy.wide).addcmul_(b.dx.wide, tiled[row + 4])

    def _convolve(self) -> None:
        """Write u and v, one result at a time."""
        self.buffers.u.image.copy_(self._long(self._weight3x3))
        self.buffers.v.image.copy_(self._short(self._weight1x1))

    def _long(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.conv2d(self._positive(), weight, bias, stride=self.block.stride, padding=1)

    def _short(self, weight: Tensor) -> Tensor:
        return torch.conv2d(self.buffers.a.image, weight, stride=self.block.stride)

    def _positive(self) -> Tensor:
        return torch.clamp_min(self.buffers.a.image, 0, out=self.buffers.positive.image)

    def _read(self, a: Activation) -> Tensor:
        """Return the pixels of a that the 1×1 convolution reads."""
        stride = self.block.stride
        return a.image if stride == 1 else a.image[:, :, ::stride, ::stride]
