"""The block of a fused step: forward into given buffers, and backward from the little that was kept.

Legend: a is the argument of a block, u = Conv3×3(ReLU(a)), v = Conv1×1(a), x = BN(u) + BN(v); dx, du, dv and da are
gradients. Statistics have the shape (2, channels): row 0 is for u, row 1 for v. `workspace` has the lifetimes.
"""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fused.workspace import Activation, StageBuffers
from graphtask.compiler.sync_batch_norm import Moments, combined

Updates: TypeAlias = list[tuple[ConvBlock, Moments]]
"""Batch statistics that enter the running statistics after the forward."""


@dataclass(eq=False)
class ConvStep:
    """A `ConvBlock` in one step, with the activations that it reads and writes."""

    block: ConvBlock
    start: StageBuffers
    """Stage of the argument."""
    into: StageBuffers
    """Stage of the value."""
    row: int
    """Row of the value in the table of its stage."""
    a: Activation
    x: Activation
    dx: Activation | None = None
    """Place of the gradient of x, if it is wanted; ``x`` itself in a reduce block."""
    da: Activation | None = None
    """Place of the gradient of a, if it is wanted; may be ``a`` itself."""
    add: bool = False
    """The gradient is added to the contents of ``da``."""

    def __post_init__(self) -> None:
        block, into = self.block, self.into
        self.recompute = not into.kept
        self.u, self.v = into.kept[2 * self.row : 2 * self.row + 2] or (into.du, into.dv)
        self.parameters: list[Tensor] = [
            block.weight3x3, block.weight1x1, block.scale3x3, block.scale1x1, block.shift3x3, block.shift1x1
        ]  # fmt: skip
        self.needs = [parameter.requires_grad for parameter in self.parameters]
        self.reads_argument = self.recompute or self.da is not None or any(self.needs[:2])  # in the backward
        self.gradients: list[Tensor | None] = []
        self._weight3x3, self._weight1x1 = (p.detach().to(self.a.image.dtype) for p in self.parameters[:2])
        vectors = torch.cat([parameter.detach() for parameter in self.parameters[2:]])
        self._scales, self._shifts = vectors.view(2, 2, -1).unbind()

    def infer(self, updates: Updates) -> None:
        """Write x; u and v are lost."""
        block = self.block
        if block.training:
            self.forward(updates)
            return
        scale = self._scales * torch.rsqrt(block.running_vars + block.eps)
        shift = (self._shifts - block.running_means * scale).sum(dim=0)
        scale3x3, scale1x1 = scale.to(self.x.wide.dtype).view(2, -1, 1, 1, 1)
        # Copied, so that the results of the two convolutions never exist together.
        self.u.image.copy_(self._short(self._weight1x1 * scale1x1))
        u = self._long(self._weight3x3 * scale3x3, shift.to(self.x.wide.dtype))
        torch.add(u, self.u.image, out=self.x.image)

    def forward(self, updates: Updates) -> None:
        """Write x, and u and v."""
        block, layout = self.block, self.into.layout
        self._convolve()
        moments = Moments(block.running_means.clone(), block.running_vars, layout.n_values)
        if block.training:
            moments = self._moments()
            if block.gather is not None:
                moments = combined(moments, block.gather)
            updates.append((block, moments))
        mean, variance, n_values = moments
        rstd = torch.rsqrt(variance + block.eps)
        scale = self._scales * rstd
        shift = torch.addcmul(self._shifts, mean, scale, value=-1).sum(dim=0, keepdim=True)
        scale3x3, scale1x1, shift = layout.tile(scale, shift)
        torch.addcmul(shift, self.u.wide, scale3x3, out=self.x.wide).addcmul_(self.v.wide, scale1x1)
        # For the backward, which follows the mode of the forward: no count if the statistics are the running ones.
        self._norm = mean, rstd, scale, n_values if block.training else None

    def backward(self) -> None:
        """Compute the gradients of the parameters, and write or add da."""
        if self.recompute:
            self._convolve()
        assert self.dx is not None
        total, products = self._sums(self.dx)
        self._norm_backward(self.dx, total, products)
        d_weight3x3, d_weight1x1 = self._convolution_backward()
        # A gradient of its own for each shift: PyTorch may put either into .grad, to be changed there.
        found = [d_weight3x3, d_weight1x1, *products, total[0], total[0].clone()]
        self.gradients = [
            gradient.to(parameter.dtype) if need else None
            for gradient, parameter, need in zip(found, self.parameters, self.needs, strict=True)
        ]

    def _convolution_backward(self) -> tuple[Tensor, Tensor]:
        """Return the gradients of the weights, and write or add da, from du and dv."""
        inner = self.da is not None
        a = self._read(self.a).contiguous(memory_format=self.start.layout.memory_format)
        d_read, d_weight1x1, _ = torch.ops.aten.convolution_backward(
            self.into.dv.image, a, self._weight1x1, None,
            [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [inner, self.needs[1], False],
        )  # fmt: skip
        d_positive, d_weight3x3, _ = torch.ops.aten.convolution_backward(
            self.into.du.image, self._positive(), self._weight3x3, None,
            [self.block.stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, [inner, self.needs[0], False],
        )  # fmt: skip
        if self.da is not None:
            through = d_positive if self.add else self.da.image
            torch.ops.aten.threshold_backward.grad_input(d_positive, self.a.image, 0, grad_input=through)
            if self.add:
                self.da.image.add_(through)
            self._read(self.da).add_(d_read)
        if self.needs[0] and self.parameters[0].is_contiguous():  # fused optimizers rely on this order
            d_weight3x3 = d_weight3x3.contiguous()
        return d_weight3x3, d_weight1x1

    def _moments(self) -> Moments:
        """Return mean and (biased) variance of each channel of u and v."""
        layout, precise = self.into.layout, torch.promote_types(self.u.columns.dtype, torch.float32)
        found = [
            torch.batch_norm_update_stats(y.columns.to(precise), None, None, 0.0) for y in (self.u, self.v)
        ]
        means, within = torch.cat([*found[0], *found[1]]).view(2, 2, layout.repeats, -1).unbind(dim=1)
        mean = means.mean(dim=1, keepdim=True)
        variance = (means - mean).square_().add_(within).mean(dim=1)
        return Moments(mean.squeeze(1), variance, layout.n_values)

    def _sums(self, dx: Activation) -> tuple[Tensor, Tensor]:
        """Return Σdx, and Σ dx·ŷ for u and v with ŷ = (y − mean)·rstd: the gradients of shifts and scales."""
        layout, (mean, rstd, *_) = self.into.layout, self._norm
        if not layout.n_values:  # of which PyTorch makes a division by zero
            return torch.zeros_like(mean[:1]), torch.zeros_like(mean)
        tiled = [vector.flatten() for vector in layout.tile(mean, rstd)]
        (_, products3x3, total), (_, products1x1, _) = (
            torch.ops.aten.native_batch_norm_backward(  # both sums in one pass
                dx.columns, y.columns, None, None, None, tiled[row], tiled[row + 2], True, 0.0, [False, True, True]
            )
            for row, y in enumerate((self.u, self.v))
        )  # fmt: skip
        sums = torch.cat([total, products3x3, products1x1]).view(3, layout.repeats, -1).sum(dim=1)
        return sums[:1], sums[1:]

    def _norm_backward(self, dx: Activation, total: Tensor, products: Tensor) -> None:
        """Write du and dv.

        With s = scale: if the statistics are those of the batch, dy = s·(dx − Σdx/m − ŷ·Σ(dx·ŷ)/m), which is
        s·dx + slope·y + shift; else dy = s·dx. Where processes share a batch, these sums are over all its values.
        """
        layout, (mean, rstd, scale, n_values) = self.into.layout, self._norm
        if n_values is None:
            for factor, dy in zip(layout.tile(scale), (self.into.du, self.into.dv), strict=True):
                torch.mul(dx.wide, factor, out=dy.wide)
            return
        if self.block.gather is not None:
            everywhere = self.block.gather(torch.cat((total, products))).sum(dim=0)
            total, products = everywhere[:1], everywhere[1:]
        per_value = scale / (-max(n_values, 1) if isinstance(n_values, int) else -n_values)
        slope = per_value * rstd * products
        shift = torch.addcmul(per_value * total, slope, mean, value=-1)
        tiled = layout.tile(slope, shift, scale)
        for row, (y, dy) in enumerate(((self.u, self.into.du), (self.v, self.into.dv))):
            torch.addcmul(tiled[row + 2], y.wide, tiled[row], out=dy.wide).addcmul_(dx.wide, tiled[row + 4])

    def _convolve(self) -> None:
        """Write u and v, one result at a time."""
        self.u.image.copy_(self._long(self._weight3x3))
        self.v.image.copy_(self._short(self._weight1x1))

    def _long(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.conv2d(self._positive(), weight, bias, stride=self.block.stride, padding=1)

    def _short(self, weight: Tensor) -> Tensor:
        return torch.conv2d(self.a.image, weight, stride=self.block.stride)

    def _positive(self) -> Tensor:
        return torch.clamp_min(self.a.image, 0, out=self.start.positive.image)

    def _read(self, a: Activation) -> Tensor:
        """Return the pixels of a that the 1×1 convolution reads."""
        stride = self.block.stride
        return a.image if stride == 1 else a.image[:, :, ::stride, ::stride]
