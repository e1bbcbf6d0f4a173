"""The network as the method was published: at every node cat the inputs, multiply them by the gates, and sum."""

import torch
from torch import Tensor

from graphtask.compiler.module import GraphModule


def run_published(module: GraphModule, images: Tensor) -> Tensor:
    """The logits of a module, from its own parameters."""
    gates = module.edge_weights()
    values: dict[tuple[int, int], Tensor] = {}
    for position, node in enumerate(module.plan.nodes):
        block = module.nodes[node.key]
        if node.incoming:
            stacked = torch.cat([values[edge.source, node.stage].unsqueeze(0) for edge in node.incoming])
            weights = gates[[edge.edge for edge in node.incoming]].view(-1, 1, 1, 1, 1)
            value = block((stacked * weights).sum(dim=0))
        else:
            value = block(images)
        values[position, node.stage] = value
        for reduction in node.reduces:
            values[position, reduction.stage] = module.reduces[reduction.key](value)
    return module.head(value)
