"""Penalties on the edge weights: the paper's L1, and two that do not depend on their scale.

Batch normalization removes the common factor of the edges into a node, so the L1 penalty falls if all of them shrink
together, although the network computes the same. With g = gate(w) of the edge i → j:

    l1:        Σ_ij |g_ij|
    relative:  Σ_j Σ_i |g_ij| / max_k |g_kj|
    hoyer:     Σ_j (Σ_i |g_ij|)² / Σ_i g_ij²

The last two do not change if the edges into a node are multiplied by one factor. Both are effective numbers of edges:
k for a node with k equal edges, 1 for one with a single edge. Their gradients lower the weak edges into a node and raise
the strongest.

Source:
    Yang, Wen & Li, DeepHoyer: learning sparser neural network with differentiable scale-invariant sparsity measures,
    ICLR 2020 (arXiv:1908.09979), for the Hoyer-Square measure; here with one group for each node.
"""

import torch
from torch import Tensor

from graphtask.compiler.module import GraphModule
from graphtask.graph import edge_array
from graphtask.validation import choice


class EdgePenalty:
    """Penalty on the edges of a module, on its device.

    Args:
        module: The network.
        kind: ``l1``, ``relative`` or ``hoyer``.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(4), channels=1)
        >>> [round(EdgePenalty(net, kind)().item(), 6) for kind in ("l1", "relative", "hoyer")]
        [3.0, 6.0, 6.0]
    """

    def __init__(self, module: GraphModule, kind: str) -> None:
        self._module, self._kind = module, kind
        self._incoming = incoming_edges(module).to(module.edge_weight.device)

    def __call__(self) -> Tensor:
        """Return the penalty of the present weights, a scalar in float32 or better."""
        if self._kind == "l1":
            return self._module.resource_loss()
        weights = self._module.edge_weights()
        precise = weights.to(torch.promote_types(weights.dtype, torch.float32)).abs()
        return scale_free(precise, self._incoming, kind=self._kind)


def incoming_edges(module: GraphModule) -> Tensor:
    """Return the edges into every node but the input, the number of all edges where there are fewer, shape (nodes, most)."""
    graph = module.graph
    target = torch.from_numpy(edge_array(graph)[:, 1].copy())
    groups = [torch.nonzero(target == node).flatten() for node in range(graph.vcount())]
    return torch.nn.utils.rnn.pad_sequence(
        [own for own in groups if len(own)], batch_first=True, padding_value=graph.ecount()
    )


def scale_free(magnitudes: Tensor, incoming: Tensor, *, kind: str) -> Tensor:
    """Return the effective number of edges, a scalar; a node whose edges are all 0 counts as 0.

    Args:
        magnitudes: |gate(w)|, shape (edges,).
        incoming: Of `incoming_edges`.
        kind: ``relative`` or ``hoyer``.

    Example:
        >>> into_one_node = torch.tensor([[0, 1, 2]])
        >>> [
        ...     scale_free(torch.tensor([0.6, 0.6, 0.0]), into_one_node, kind=kind).item()
        ...     for kind in ("relative", "hoyer")
        ... ]
        [2.0, 2.0]
    """
    choice(kind, name="kind", choices=("relative", "hoyer"))
    padded = torch.cat([magnitudes, magnitudes.new_zeros(1)])[incoming]
    strongest = padded.amax(dim=1, keepdim=True).clamp_min(torch.finfo(padded.dtype).tiny)
    if kind == "relative":
        return (padded / strongest).sum()
    relative = (
        padded / strongest.detach()
    )  # the ratio does not depend on this factor; it avoids squares that underflow
    squares = relative.square().sum(dim=1).clamp_min(torch.finfo(padded.dtype).tiny)
    return (relative.sum(dim=1).square() / squares).sum()
