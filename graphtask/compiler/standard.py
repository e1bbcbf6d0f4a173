"""Whether a block is the standard one as it was made, so that what it computes, and its backward, are known.

This is asked of every block in every step, so parts are read from where PyTorch keeps them: ``block.conv3x3.weight``
takes five times as long.
"""

from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import ConvBlock
from graphtask.compiler.fast_memory import Shape
from graphtask.compiler.sync_batch_norm import Gather, SharedBatchNorm2d

_TENSORS = {Tensor, nn.Parameter}  # and not what looks like one, but is distributed or quantized
_NORMS = {nn.BatchNorm2d, SharedBatchNorm2d}
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
# What a call of a part runs through.
_METHODS = {"forward", "_call_impl", "_conv_forward", "_check_input_dim"}
_PARTS = ("conv3x3", "norm3x3", "conv1x1", "norm1x1")


class Parts(NamedTuple):
    """The parts of a standard block."""

    conv3: nn.Conv2d
    norm3: nn.BatchNorm2d
    conv1: nn.Conv2d
    norm1: nn.BatchNorm2d
    parameters: list[Tensor]
    """Weight of conv3, weight and bias of norm3, weight of conv1, weight and bias of norm1."""

    @property
    def training(self) -> bool:
        """Whether the statistics are those of the batch."""
        return self.norm3.training

    @property
    def gather(self) -> Gather | None:
        """How the statistics are shared with other processes; None if they are not."""
        return _shared_by(self.norm3)

    def fit(self, source: Shape, target: Shape, stride: int, *, weights: torch.dtype) -> bool:
        """Whether the block has the shapes of its place, weights of this dtype, and enough values to normalize."""
        weight3, factor3, bias3, weight1, factor1, bias1 = self.parameters
        widths = (target.channels, source.channels)
        by_channel = [factor3, bias3, factor1, bias1]
        by_channel += [norm._buffers[name] for norm in (self.norm3, self.norm1) for name in _BUFFERS[:2]]  # type: ignore[misc]  # noqa: SLF001
        return (
            (weight3.shape, weight1.shape) == ((*widths, 3, 3), (*widths, 1, 1))
            and self.conv3.stride == (stride, stride)
            and all(values.shape == widths[:1] for values in by_channel)
            and all(values.dtype == weights for values in (weight3, weight1, *by_channel))
            and not (self.training and target.pixels == 1)  # of which PyTorch complains
        )


def standard_parts(block: nn.Module) -> Parts | None:
    """The parts of a block that computes what `ConvBlock` says and nothing else; None of any other block."""
    if type(block) is not ConvBlock or is_altered(block) or not vars(block).keys().isdisjoint(_PARTS):
        return None
    conv3, norm3, conv1, norm1 = (block._modules.get(name) for name in _PARTS)  # noqa: SLF001  # see above
    if not (_is_conv(conv3, 3) and _is_conv(conv1, 1) and _is_norm(norm3) and _is_norm(norm1)):
        return None
    alike = (
        conv3.stride == conv1.stride
        and (norm3.training, norm3.eps) == (norm1.training, norm1.eps)
        and _shared_by(norm3) == _shared_by(norm1)
    )
    found = [
        tensor
        for conv, norm in ((conv3, norm3), (conv1, norm1))
        for tensor in (_tensor(conv, "weight"), _tensor(norm, "weight"), _tensor(norm, "bias"))
    ]
    parameters = [tensor for tensor in found if tensor is not None and type(tensor) in _TENSORS]
    return Parts(conv3, norm3, conv1, norm1, parameters) if alike and len(parameters) == len(found) else None


def is_altered(module: nn.Module) -> bool:
    """Whether something of a user's own runs with every call of a module, or in its place."""
    own = vars(module)
    return bool(
        not _METHODS.isdisjoint(own)
        or own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
    )


def _is_conv(conv: nn.Module | None, size: int) -> TypeGuard[nn.Conv2d]:
    return (
        type(conv) is nn.Conv2d
        and not is_altered(conv)
        and _tensor(conv, "bias") is None
        and conv.padding_mode == "zeros"
        and (conv.kernel_size, conv.padding) == ((size, size), (size // 2, size // 2))
        and (conv.dilation, conv.groups) == ((1, 1), 1)
    )


def _is_norm(norm: nn.Module | None) -> TypeGuard[nn.BatchNorm2d]:
    return (
        isinstance(norm, nn.BatchNorm2d)
        and type(norm) in _NORMS
        and not is_altered(norm)
        and norm.track_running_stats
        and norm.momentum is not None
        and all(norm._buffers.get(name) is not None for name in _BUFFERS)  # noqa: SLF001  # see above
    )


def _tensor(module: nn.Module, name: str) -> Tensor | None:
    own = vars(module)  # where a replica has it, and what Python takes first
    found: Tensor | None = own[name] if name in own else module._parameters.get(name)  # noqa: SLF001  # see above
    return found


def _shared_by(norm: nn.BatchNorm2d) -> Gather | None:
    return norm.gather if type(norm) is SharedBatchNorm2d else None
