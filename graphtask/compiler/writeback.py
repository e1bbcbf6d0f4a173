"""From a trained module back to graphs: edge weights on the graph, and parameters in a smaller module."""

import copy
from collections.abc import Collection

import igraph
import torch
from torch import nn

from graphtask.compiler.fold import fold_constants
from graphtask.compiler.module import GraphModule, compile
from graphtask.errors import GraphError
from graphtask.graph import (
    NAME,
    RAW_WEIGHT,
    WEIGHT,
    check_graph,
    edge_names,
    input_node,
    output_node,
    provenance,
    stages,
    with_initial_size,
    with_provenance,
)
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.validation import invalid

_SHOWN = 5  # how many offenders an error message names


def unwrapped(module: nn.Module) -> GraphModule:
    """Return the `GraphModule` inside the usual wrappers of PyTorch.

    Args:
        module: A `GraphModule`, or one in ``DataParallel``, ``DistributedDataParallel``, ``AveragedModel`` or
            ``torch.compile``, in any nesting.

    Raises:
        ArgumentError: There is no `GraphModule` inside.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(3), channels=2)
        >>> unwrapped(nn.DataParallel(net)) is net
        True
    """
    inner: object = module
    while not isinstance(inner, GraphModule):
        following = getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)
        if not isinstance(inner, nn.Module) or not isinstance(following, nn.Module):
            raise invalid("module", "a GraphModule, or a wrapper whose module is one", type(module).__name__)
        inner = following
    return inner


def write_back(module: nn.Module, graph: GraphLike) -> igraph.Graph:
    """Return a copy of the graph with the module's edge weights: raw in ``w``, and their magnitude in ``weight``.

    ``weight`` is ``|gate(w)|``. The edges are matched by the names of their ends. The provenance of the copy records
    the arguments of `compile` (``channels``, ``in_channels``, ``n_classes``, ``gate``) and, unless an initial size is
    recorded already, the size of the graph. A ``threshold`` there becomes None, because these weights have not been
    pruned. Without a gate a magnitude above 1 is written as ``weight`` = 1, and in full in ``w``.

    Args:
        module: The (trained) network of the graph, or a wrapper of it such as ``DistributedDataParallel`` or
            ``AveragedModel``; see `unwrapped`.
        graph: The graph that the module was compiled from. The order of vertices and edges is free, but the recompiled
            graph has the module's ``edge_weight`` only with the same order of edges.

    Raises:
        ArgumentError: The module neither is nor wraps a `GraphModule`.
        GraphError: The graph is not valid, has other nodes, stages or edges than the module, or a weight is NaN.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(3)
        >>> trained = write_back(gt.compile(graph, channels=2), graph)
        >>> trained.es["weight"]
        [0.5, 0.5, 0.5]
        >>> gt.provenance(trained)["gate"]
        'tanh'
    """
    module = unwrapped(module)
    graph = valid_graph(graph)
    _check_subgraph(module, graph)
    pairs = edge_names(graph)
    lost = set(edge_names(module.graph)) - set(pairs)
    if lost:
        raise GraphError(
            f"the graph must have all edges of the module, but lacks {_listed(lost)}; write back first, and prune after"
        )
    index = torch.tensor([module.edge_index(*pair) for pair in pairs], device="cpu")
    with torch.no_grad():
        raw = module.edge_weight.cpu().double()[index]
        magnitude = module.edge_weights().cpu().double()[index].abs().clamp(max=1)
    result = with_provenance(
        with_initial_size(graph),
        channels=module.channels,
        in_channels=module.in_channels,
        n_classes=module.n_classes,
        gate=module.gate,
        **({"threshold": None} if "threshold" in provenance(graph) else {}),
    )
    result.es[RAW_WEIGHT] = raw.tolist()
    result.es[WEIGHT] = magnitude.tolist()
    check_graph(result)
    return result


def extract_subnetwork(
    module: nn.Module, graph: GraphLike, *, fold: bool = False, size: int | tuple[int, int] = 32
) -> GraphModule:
    """Return the module of a pruned graph, with copies of the module's parameters and buffers.

    Values, dtype, device and training mode are those of the module; a ``w`` of the graph is ignored.

    Args:
        module: The network that the graph was pruned from, or a wrapper of it as in `write_back`.
        graph: A valid graph with the module's input and output, and some of its nodes and edges.
        fold: Add the constants of dead nodes to the nodes that receive them. In evaluation the result then equals
            the module without its weak edges, up to rounding; otherwise these constants are dropped, as in the paper.
            The graph must come from `graphtask.prune`, whose threshold its provenance records.
        size: Height and width of the images that the constants are folded for; one number stands for both.

    Raises:
        ArgumentError: The module neither is nor wraps a `GraphModule`, or ``fold`` has no threshold.
        GraphError: The graph is not valid, or has a node, stage, edge, input or output that the module lacks.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(4, stages=1)
        >>> net = gt.compile(graph, channels=2)
        >>> small = extract_subnetwork(net, graph.subgraph_edges([0, 3, 5], delete_vertices=False))
        >>> small
        GraphModule(4 nodes, 3 edges, 1 stage, 245 parameters, channels=2, in_channels=3, n_classes=10, gate='tanh', execution='auto')
        >>> torch.equal(small.node("v1").weight3x3, net.node("v1").weight3x3)
        True
    """
    module = unwrapped(module)
    graph = valid_graph(graph)
    _check_subgraph(module, graph)
    _check_same_ends(module, graph)
    small = compile(
        graph,
        channels=module.channels,
        in_channels=module.in_channels,
        n_classes=module.n_classes,
        gate=module.gate,
        execution=module.execution,
        recompute=set(module.recompute) & set(stages(graph).tolist()),
        block=module.block,
        head=module.make_head,
    )
    for key in small.nodes:
        small.nodes[key] = copy.deepcopy(module.nodes[key])
    for key in small.reduces:
        small.reduces[key] = copy.deepcopy(module.reduces[key])
    small.head = copy.deepcopy(module.head)
    weight = module.edge_weight
    index = torch.tensor([module.edge_index(*pair) for pair in edge_names(graph)], device=weight.device)
    small.edge_weight = nn.Parameter(weight.detach()[index], requires_grad=weight.requires_grad)
    for part in (small, small.nodes, small.reduces):
        part.training = module.training
    if fold:
        fold_constants(module, small, graph, size=size)
    return small


def _check_subgraph(module: GraphModule, graph: igraph.Graph) -> None:
    known = {node.name: node.stage for node in module.plan.nodes}
    for name, stage in zip(graph.vs[NAME], stages(graph).tolist(), strict=True):
        if name not in known:
            raise GraphError(
                f"the graph must be pruned from the module's, but the module has no node {name!r}"
            )
        if stage != known[name]:
            raise GraphError(
                f"stages must be those of the module, got {stage} for node {name!r}, which has {known[name]} there"
            )
    added = set(edge_names(graph)) - set(edge_names(module.graph))
    if added:
        raise GraphError(
            f"the graph must be pruned from the module's, but the module has no {_listed(added)}"
        )


def _check_same_ends(module: GraphModule, graph: igraph.Graph) -> None:
    ends = (
        ("input", input_node(graph), module.plan.input),
        ("output", output_node(graph), module.plan.output),
    )
    for kind, vertex, planned in ends:
        if graph.vs[vertex][NAME] != planned.name:
            raise GraphError(
                f"the {kind} node must be that of the module, {planned.name!r}, got {graph.vs[vertex][NAME]!r}"
            )


def _listed(pairs: Collection[tuple[str, str]]) -> str:
    shown = ", ".join(f"{source!r} → {target!r}" for source, target in sorted(pairs)[:_SHOWN])
    count = f", … ({len(pairs)} in all)" if len(pairs) > _SHOWN else ""
    return f"edge{'s' * (len(pairs) != 1)} {shown}{count}"
