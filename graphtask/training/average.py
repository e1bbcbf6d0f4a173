"""Exponential moving average of the weights of a network in training."""

import copy
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from graphtask.compiler.module import GraphModule


class WeightAverage:
    """Exponential moving average of a network, ā ← decay · ā + (1 − decay) · a, which starts at the first step.

    The result is that of `torch.optim.swa_utils.AveragedModel` with ``get_ema_multi_avg_fn(decay)`` and
    ``use_buffers=True``: parameters and batch statistics are averaged, integers are copied. An update never waits for the
    device and works in place, so that it can be recorded in a CUDA graph.

    Args:
        module: The network in training; it stays on its device.
        decay: In [0, 1). The average spans about 1 / (1 − decay) steps.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(3), channels=1, gate="none")
        >>> average = WeightAverage(net, 0.75)
        >>> for step, value in enumerate([1.0, 0.0]):
        ...     _ = net.edge_weight.data.fill_(value)
        ...     average.update(is_first=step == 0)
        >>> average.module.edge_weight
        Parameter containing:
        tensor([0.7500, 0.7500, 0.7500])
    """

    def __init__(self, module: GraphModule, decay: float) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False)
        self._source = module
        self._blend = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        pairs = list(zip(_tensors(self.module), _tensors(module), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, *, is_first: bool, keeps_zeros: bool = False) -> None:
        """Take the network after a step into the average.

        Args:
            is_first: Copy the network, because there is no average yet.
            keeps_zeros: Make edges zero in the average that are exactly zero in the network.
        """
        for average, value in self._averaged + self._copied if is_first else self._copied:
            average.copy_(value)
        if not is_first:
            averages, values = zip(*self._averaged, strict=True)
            self._blend(averages, values, None)  # it does not use the number of steps
        if keeps_zeros:
            self.module.edge_weight.masked_fill_(self._source.edge_weight == 0, 0.0)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    return itertools.chain(module.parameters(), module.buffers())
