"""The fast execution of a compiled graph: the same function as the plain one, in less time and memory.

A stage's values lie in the rows of one table: first those that reduce blocks brought from earlier stages, then those
of its own nodes. So the weighted sums are matrix products over the table, in blocks of a few nodes (`fast_sums`). The
backward pulls: each node leaves the gradient of its sum in a second table, over the sum, and the gradient of a node's
value is a product over the rows of the nodes after it (`fast_step`). Nothing of the size (predecessors × activation)
is ever made, and the whole network is one node of the autograd graph.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

from graphtask.compiler.fast_memory import Pool
from graphtask.compiler.fast_step import Network, Training, infer, read_network
from graphtask.compiler.fast_sums import SumPlan
from graphtask.compiler.plan import Plan
from graphtask.compiler.planner import plan_stages
from graphtask.errors import GraphtaskError

if TYPE_CHECKING:
    from graphtask.compiler.module import GraphModule


class FastExecution:
    """Computes the logits of modules of a plan.

    Args:
        plan: The plan.
        checkpoint: The numbers of the stages whose sums and convolutions the backward computes again, instead of
            keeping them; with all of them, less than half as much is kept.
        channels_last: Whether the channels of a pixel lie side by side in memory; None is what is known to be faster:
            on the CPU they do, elsewhere they do not.
    """

    def __init__(
        self, plan: Plan, *, checkpoint: Collection[int] = (), channels_last: bool | None = None
    ) -> None:
        self.stages = plan_stages(plan)
        self.checkpoint = frozenset(checkpoint)
        self.channels_last = channels_last
        self._pool = Pool()
        self._sums: dict[torch.device, list[SumPlan]] = {}

    def __call__(
        self, module: "GraphModule", images: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits.

        Raises:
            ArgumentError: A block of the module's own making gives another shape than the network needs.
            GraphtaskError: A transform of ``torch.func``, a forward-mode derivative, or tensors without numbers; or
                a block of the module's own making reads a tensor with gradients that it does not own.
        """
        if is_transformed():
            raise GraphtaskError(
                "the fast execution knows neither transforms of torch.func (grad, vmap, jvp …) nor forward-mode "
                "derivatives: compile the graph with execution='auto' or 'plain'"
            )
        if isinstance(images, FakeTensor):
            raise GraphtaskError(
                "the fast execution needs images with numbers, not fake tensors: compile the graph with "
                "execution='auto' or 'plain'"
            )
        return self.run(module, images, self.read(module, images))

    def read(self, module: "GraphModule", images: Tensor) -> Network:
        """What a step on such images needs to know of the module; none of their numbers."""
        channels_last = images.device.type == "cpu" if self.channels_last is None else self.channels_last
        return read_network(
            module,
            images,
            stages=self.stages,
            sums=self.sum_plans(images.device),
            channels_last=channels_last,
        )

    def run(self, module: "GraphModule", images: Tensor, network: Network) -> Tensor:
        """The logits, by a network that was just read."""
        gates = module.edge_weights()
        parameters = [parameter for block in network.blocks for parameter in block.parameters]
        if torch.is_grad_enabled() and any(value.requires_grad for value in (images, gates, *parameters)):
            step = Training(network, images, gates, pool=self._pool, checkpoint=self.checkpoint)
            value = _Network.apply(step, images, gates, *parameters)
        else:
            with torch.no_grad():  # whatever hooks ask for: the memory is not of one step alone
                value = infer(network, images, gates, pool=self._pool)
        logits: Tensor = module.head(value)
        return logits

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: indices on devices are made again."""
        return {**self.__dict__, "_sums": {}}

    def sum_plans(self, device: torch.device) -> list[SumPlan]:
        """The indices of the stages' sums on a device; made once."""
        if device not in self._sums:
            self._sums[device] = [SumPlan(stage, device) for stage in self.stages]
        return self._sums[device]


class _Network(torch.autograd.Function):
    """From images, gates and the blocks' parameters to the value of the output node."""

    @staticmethod
    def forward(
        ctx: Any,
        step: Training,
        images: Tensor,
        gates: Tensor,
        *parameters: Tensor,  # noqa: ARG004  # for autograd
    ) -> Tensor:
        # What is saved may not be changed before the backward.
        ctx.save_for_backward(*([images] if step.reads_images_again else []), gates, *step.read_again)
        ctx.step = step
        return step.forward()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise GraphtaskError(
                "the fast execution has no second derivative: compile the graph with execution='plain' to use "
                "create_graph=True"
            )
        if _is_batched(gradients[0]):
            raise GraphtaskError(
                "the backward of the fast execution takes one gradient at a time: compile the graph with "
                "execution='plain' to use is_grads_batched=True or torch.vmap"
            )
        ctx.saved_tensors  # noqa: B018  # raises if one was changed since the forward, or if the graph is freed
        step: Training | None = ctx.step
        if step is None:
            raise GraphtaskError(
                "an earlier backward through this graph was interrupted, and has written over what this one would "
                "need: compute the logits again"
            )
        keep = _keeps_graph()
        if not keep:
            ctx.step = None  # the memory is free for the next step, also while the loss is still referred to
        with step.lock, torch.autocast(gradients[0].device.type, enabled=False):  # nothing is to be cast here
            found = step.backward(gradients[0], ctx.needs_input_grad[1:], keep=keep)
        return (None, *found)


def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` or a forward-mode derivative is under way; no, if PyTorch does not tell."""
    if getattr(forward_ad, "_current_level", -1) >= 0:
        return True
    ask = getattr(torch._C, "_are_functorch_transforms_active", None)  # noqa: SLF001  # no public way
    return False if ask is None else bool(ask())


def _is_batched(gradient: Tensor) -> bool:
    """Whether a gradient stands for several of them; no, if this PyTorch does not tell."""
    functorch = getattr(torch._C, "_functorch", None)  # noqa: SLF001  # no public way
    questions = (getattr(functorch, name, None) for name in ("is_batchedtensor", "is_legacy_batchedtensor"))
    return any(ask is not None and ask(gradient) for ask in questions)


def _keeps_graph() -> bool:
    """Whether the running backward leaves its graph for another one; yes, if this PyTorch does not tell."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)  # noqa: SLF001  # no public way
    return True if ask is None else bool(ask())
