"""Batch normalization over a batch that several processes compute together, each on a slice of it.

The statistics are those of the whole batch, and their gradient is too, so a network computes the same function,
and learns the same, however many processes share its batches. PyTorch's own ``SyncBatchNorm`` runs on CUDA only.

Legend: y is the argument of a normalization, m the number of its values in a channel, g the gradient of the result.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Self, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graphtask.errors import ArgumentError

Gather: TypeAlias = Callable[[Tensor], Tensor]
"""What every process gives of a tensor, stacked along a new first dimension; the same on all of them."""


class Moments(NamedTuple):
    """Statistics of values: mean and (biased) variance of each channel, and how many values a channel has."""

    mean: Tensor
    variance: Tensor
    n_values: int | Tensor

    def unbiased(self) -> Tensor:
        """The unbiased variance, which running statistics are made of."""
        if isinstance(self.n_values, int):
            return self.variance * (self.n_values / max(self.n_values - 1, 1))
        return self.variance * (self.n_values / (self.n_values - 1).clamp_min(1))


def combined(moments: Moments, gather: Gather) -> Moments:
    """The moments of all values, from those of the parts that the processes hold.

    With n_r values of mean μ_r and variance s_r in part r, and n = Σ n_r:

        μ = Σ n_r·μ_r / n,    s = Σ n_r·(s_r + (μ_r − μ)²) / n,

    which loses no digits when the means are large beside the deviations (Chan, Golub & LeVeque, "Algorithms for
    Computing the Sample Variance", 1983).

    Args:
        moments: Of the part here; mean and variance of any shape, at least float32.
        gather: How to learn those of the others; called once.

    Returns:
        The moments; the count is a tensor, so that nobody waits for the device.

    Example:
        >>> others = torch.tensor([4.0, 0.0, 1.0])  # one value, 4, of no variance
        >>> together = combined(
        ...     Moments(torch.tensor([1.0]), torch.tensor([0.0]), 1), lambda own: torch.stack((own, others))
        ... )
        >>> together.mean.item(), together.variance.item(), together.n_values.item()
        (2.5, 2.25, 2.0)
    """
    mean, variance, n_values = moments
    own = torch.cat((mean.reshape(-1), variance.reshape(-1), mean.new_full((1,), float(n_values))))
    parts = gather(own)
    counts = parts[:, -1]
    shares = (counts / counts.sum())[:, None]
    means, variances = parts[:, :-1].chunk(2, dim=1)
    together = (shares * means).sum(dim=0)
    spread = (shares * (variances + (means - together).square())).sum(dim=0)
    return Moments(together.view(mean.shape), spread.view(mean.shape), counts.sum())


class SharedBatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` with the statistics of the batch of all processes; made by `share_statistics`.

    Parameters, buffers and evaluation mode are those of its base class.
    """

    gather: Gather

    @classmethod
    def of(cls, norm: nn.BatchNorm2d, gather: Gather) -> Self:
        """The shared normalization that takes the place of ``norm``, with its parameters and buffers."""
        if not (norm.affine and norm.track_running_stats and norm.momentum is not None):
            raise ArgumentError(
                "only batch normalization with parameters, running statistics and a momentum can be shared by "
                "several processes; train on one, or use the standard block"
            )
        shared = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum, device="meta")
        for name, parameter in norm.named_parameters():
            setattr(shared, name, parameter)
        for name, buffer in norm.named_buffers():
            setattr(shared, name, buffer)
        shared.gather = gather
        return shared.train(norm.training)

    def forward(
        self, input: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The normalized values."""
        if not self.training:
            return super().forward(input)
        precise = input.to(torch.promote_types(input.dtype, torch.float32))
        moments = combined(_moments(precise.detach()), self.gather)
        self._remember(moments)
        value: Tensor = _Normalise.apply(precise, self.weight, self.bias, moments, self.eps, self.gather)
        return value.to(input.dtype)

    def _remember(self, moments: Moments) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(moments.mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(moments.unbiased().to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)


class _Normalise(torch.autograd.Function):
    """factor·ŷ + bias with ŷ = (y − mean)·rstd, where mean and rstd depend on the values of all processes.

    d_factor = Σ g·ŷ and d_bias = Σ g over the values here; dy = factor·rstd·(g − Σg/m − ŷ·Σ(g·ŷ)/m) with the sums
    over the values of all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, factor: Tensor, bias: Tensor, moments: Moments, eps: float, gather: Gather
    ) -> Tensor:
        rstd = torch.rsqrt(moments.variance + eps)
        assert isinstance(moments.n_values, Tensor)
        ctx.save_for_backward(y, factor, moments.mean, rstd, moments.n_values)
        ctx.gather = gather
        scale = factor * rstd
        return y * _wide(scale) + _wide(bias - moments.mean * scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        y, factor, mean, rstd, n_values = ctx.saved_tensors
        (g,) = gradients
        normed = (y - _wide(mean)) * _wide(rstd)
        own = torch.stack((g.sum(dim=(0, 2, 3)), (g * normed).sum(dim=(0, 2, 3))))
        total, slope = (ctx.gather(own).sum(dim=0) / n_values).unbind()
        d_y = _wide(factor * rstd) * (g - _wide(total) - normed * _wide(slope))
        return d_y, own[1], own[0], None, None, None


def share_statistics(module: nn.Module, gather: Gather) -> None:
    """Let every ``nn.BatchNorm2d`` of a module take its statistics over the batch of all processes.

    The state dict stays as it is, and so do the parameters themselves. All processes have to call the module, and
    its backward, alike.

    Args:
        module: The module; changed in place.
        gather: How a process learns what the others computed.

    Raises:
        ArgumentError: A normalization has no running statistics, momentum or parameters.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(3), channels=2)
        >>> share_statistics(net, lambda own: own[None])  # a single process
        >>> type(net.node("v1").norm3x3).__name__
        'SharedBatchNorm2d'
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, SharedBatchNorm2d.of(child, gather))


def _moments(y: Tensor) -> Moments:
    variance, mean = torch.var_mean(y, dim=(0, 2, 3), correction=0)
    return Moments(mean, variance, y.numel() // y.shape[1])


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None]
