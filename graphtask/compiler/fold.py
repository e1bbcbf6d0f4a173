"""Constants of dead nodes, folded into offsets of the nodes that receive them.

A node that the input does not reach has an empty sum, but its normalizations turn that into a constant map, which
edges at or above the threshold carry on to live nodes. In evaluation the map depends on the size of the images only,
because padding changes it near the border. So it can be computed once and added to the sum of every receiving node:

    a_j = Σ_{i live} gate(w_ij) · T_ij(x_i) + b_j,    b_j = Σ_{i dead} gate(w_ij) · T_ij(c_i).

The pruned network then equals the trained one without its weak edges, up to rounding.
"""

import copy
from collections.abc import Mapping

import igraph
import torch
from torch import Tensor, nn

from graphtask.compiler.module import GraphModule
from graphtask.errors import ArgumentError
from graphtask.graph import NAME, provenance
from graphtask.validation import image_size


class OffsetBlock(nn.Module):
    """Block with a constant added to its argument.

    Args:
        block: The block of a node.
        offset: The constant, of shape (1, channels, height, width).

    Example:
        >>> OffsetBlock(nn.Identity(), torch.ones(1, 1, 1, 2))(torch.zeros(1, 1, 1, 2)).tolist()
        [[[[1.0, 1.0]]]]
    """

    offset: Tensor

    def __init__(self, block: nn.Module, offset: Tensor) -> None:
        super().__init__()
        self.block = block
        self.register_buffer("offset", offset)

    def forward(self, a: Tensor) -> Tensor:
        """Return the value of the block at ``a + offset``.

        Raises:
            ArgumentError: ``a`` belongs to images of another size than the offset.
        """
        if a.shape[2:] != self.offset.shape[2:]:
            height, width = self.offset.shape[2:]
            raise ArgumentError(
                f"images must have the size that the constants were folded for ({height}×{width} in this stage), "
                f"got {a.shape[2]}×{a.shape[3]}; fold again with that size"
            )
        value: Tensor = self.block(a + self.offset)
        return value


def fold_constants(
    module: GraphModule, small: GraphModule, graph: igraph.Graph, *, size: int | tuple[int, int]
) -> None:
    """Add the constants of the nodes that pruning removed to the receiving nodes of the small network.

    Args:
        module: The trained network.
        small: That of the pruned graph, with the parameters of ``module``; changed in place.
        graph: The pruned graph; its provenance has the threshold.
        size: Height and width of the images, in pixels; one number stands for both.

    Raises:
        ArgumentError: The provenance has no threshold, or the size is too small.
    """
    height, width = image_size(size, last_stage=module.plan.output.stage)
    strong = _strong_edges(module, graph)
    for name, offset in _offsets(module, set(graph.vs[NAME]), strong, (height, width)).items():
        key = next(node.key for node in small.plan.nodes if node.name == name)
        small.nodes[key] = OffsetBlock(small.nodes[key], offset)


def _strong_edges(module: GraphModule, graph: igraph.Graph) -> list[bool]:
    """Return True for the edges of the module at or above the thresholds of the pruned graph."""
    facts = provenance(graph)
    threshold, relative = facts.get("threshold"), facts.get("relative_threshold")
    if threshold is None and relative is None:
        raise ArgumentError(
            "graph must be pruned with a recorded threshold to fold constants, got none in its provenance; "
            "use graphtask.prune"
        )
    with torch.no_grad():
        magnitude = module.edge_weights().cpu().double().abs().clamp(max=1)
    strong = torch.ones_like(magnitude, dtype=torch.bool)
    if threshold is not None:
        strong &= magnitude >= threshold
    if relative is not None:
        target = torch.zeros(len(magnitude), dtype=torch.int64)
        for position, node in enumerate(module.plan.nodes):
            target[[edge.edge for edge in node.incoming]] = position
        strongest = torch.zeros(len(module.plan.nodes), dtype=magnitude.dtype)
        scale = strongest.scatter_reduce(0, target, magnitude, "amax")[target]
        strong &= torch.where(scale > 0, magnitude / scale, 0.0) >= relative
    return [bool(flag) for flag in strong]


@torch.no_grad()
def _offsets(
    module: GraphModule, live: set[str], strong: list[bool], size: tuple[int, int]
) -> Mapping[str, Tensor]:
    """Return the constant that every live node receives from dead ones, run node by node on one empty image."""
    gates = module.edge_weights().detach()
    values: dict[tuple[int, int], Tensor] = {}  # of dead nodes, by position and the stage that reads them
    offsets: dict[str, Tensor] = {}
    for position, node in enumerate(module.plan.nodes):
        terms = [
            gates[edge.edge] * values[edge.source, node.stage]
            for edge in node.incoming
            if strong[edge.edge] and (edge.source, node.stage) in values
        ]
        if node.name in live:
            if terms:
                offsets[node.name] = torch.stack(terms).sum(dim=0)
            continue
        if any(strong[edge.edge] and (edge.source, node.stage) not in values for edge in node.incoming):
            continue  # reached by the input, so that it does not reach the output
        shape = (1, module.channels << node.stage, *(-(-side // (1 << node.stage)) for side in size))
        total = torch.stack(terms).sum(dim=0) if terms else gates.new_zeros(shape)
        value = _frozen(module.nodes[node.key])(total)
        values[position, node.stage] = value
        for reduction in node.reduces:
            values[position, reduction.stage] = _frozen(module.reduces[reduction.key])(value)
    return offsets


def _frozen(block: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, so that running it changes no statistics."""
    return copy.deepcopy(block).eval()
