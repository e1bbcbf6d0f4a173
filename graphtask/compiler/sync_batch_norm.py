"""Batch normalization over a batch that several processes compute together, each on a slice of it.

The statistics are those of the whole batch, and so is their gradient. A network therefore computes and learns the same
however many processes share its batches. PyTorch's own ``SyncBatchNorm`` runs on CUDA only.

Legend: y is the argument of a normalization, m the number of its values in a channel, g the gradient of the result.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

Gather: TypeAlias = Callable[[Tensor], Tensor]
"""Returns a tensor of every process, stacked along a new first dimension; the same result on all of them."""


class Moments(NamedTuple):
    """Mean and (biased) variance of each channel, and the number of values in a channel."""

    mean: Tensor
    variance: Tensor
    n_values: int | Tensor

    def unbiased(self) -> Tensor:
        """Return the unbiased variance, which enters the running statistics."""
        if isinstance(self.n_values, int):
            return self.variance * (self.n_values / max(self.n_values - 1, 1))
        return self.variance * (self.n_values / (self.n_values - 1).clamp_min(1))


def combined(moments: Moments, gather: Gather) -> Moments:
    """Return the moments of all values, from those of the parts that the processes hold.

    With n_r values of mean μ_r and variance s_r in part r, and n = Σ n_r:

        μ = Σ n_r·μ_r / n,    s = Σ n_r·(s_r + (μ_r − μ)²) / n,

    which loses no digits when the means are large next to the deviations (Chan, Golub & LeVeque, "Algorithms for
    Computing the Sample Variance", 1983).

    Args:
        moments: Moments of the part of this process; mean and variance of any shape, at least float32.
        gather: Function that collects those of all processes; called once.

    Returns:
        The moments; the count is a tensor, so that nothing waits for the device.

    Example:
        >>> others = torch.tensor([4.0, 0.0, 1.0])  # one value, 4, of no variance
        >>> whole = combined(
        ...     Moments(torch.tensor([1.0]), torch.tensor([0.0]), 1), lambda own: torch.stack((own, others))
        ... )
        >>> whole.mean.item(), whole.variance.item(), whole.n_values.item()
        (2.5, 2.25, 2.0)
    """
    mean, variance, n_values = moments
    own = torch.cat((mean.reshape(-1), variance.reshape(-1), mean.new_full((1,), float(n_values))))
    parts = gather(own)
    counts = parts[:, -1]
    shares = (counts / counts.sum())[:, None]
    means, variances = parts[:, :-1].chunk(2, dim=1)
    center = (shares * means).sum(dim=0)
    spread = (shares * (variances + (means - center).square())).sum(dim=0)
    return Moments(center.view(mean.shape), spread.view(mean.shape), counts.sum())


def shared_batch_norm(
    y: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    scale: Tensor,
    shift: Tensor,
    *,
    gather: Gather,
    momentum: float,
    eps: float,
) -> Tensor:
    """Return `torch.nn.functional.batch_norm` in training mode, with the statistics of all processes.

    Args:
        y: Values of this process, (batch, channels, height, width).
        running_mean: Running mean, (channels); updated in place.
        running_var: Running variance, (channels); updated in place.
        scale: Factor of each channel.
        shift: Summand of each channel.
        gather: Function that collects the statistics of all processes.
        momentum: Weight of this batch in the running statistics.
        eps: Added to the variances.
    """
    precise = y.to(torch.promote_types(y.dtype, torch.float32))
    variance, mean = torch.var_mean(precise.detach(), dim=(0, 2, 3), correction=0)
    moments = combined(Moments(mean, variance, y.numel() // y.shape[1]), gather)
    running_mean.lerp_(moments.mean.to(running_mean.dtype), momentum)
    running_var.lerp_(moments.unbiased().to(running_var.dtype), momentum)
    value: Tensor = _Normalize.apply(precise, scale, shift, moments, eps, gather)
    return value.to(y.dtype)


class _Normalize(torch.autograd.Function):
    """scale·ŷ + shift with ŷ = (y − mean)·rstd, where mean and rstd depend on the values of all processes.

    d_scale = Σ g·ŷ and d_shift = Σ g over the local values; dy = scale·rstd·(g − Σg/m − ŷ·Σ(g·ŷ)/m) with the sums
    over the values of all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, scale: Tensor, shift: Tensor, moments: Moments, eps: float, gather: Gather
    ) -> Tensor:
        rstd = torch.rsqrt(moments.variance + eps)
        assert isinstance(moments.n_values, Tensor)
        ctx.save_for_backward(y, scale, moments.mean, rstd, moments.n_values)
        ctx.gather = gather
        factor = scale * rstd
        return y * _wide(factor) + _wide(shift - moments.mean * factor)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        y, scale, mean, rstd, n_values = ctx.saved_tensors
        (g,) = gradients
        normed = (y - _wide(mean)) * _wide(rstd)
        own = torch.stack((g.sum(dim=(0, 2, 3)), (g * normed).sum(dim=(0, 2, 3))))
        total, slope = (ctx.gather(own).sum(dim=0) / n_values).unbind()
        d_y = _wide(scale * rstd) * (g - _wide(total) - normed * _wide(slope))
        return d_y, own[1], own[0], None, None, None


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None]
