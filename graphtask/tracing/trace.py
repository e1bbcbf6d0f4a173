"""Conversion of a PyTorch module to its architecture graph."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, count
from typing import Any, Literal, NamedTuple, TypeAlias

import igraph
from torch import Tensor, nn

from graphtask.errors import ArgumentError
from graphtask.graph import NAME, STAGE, as_architecture, live_nodes, with_initial_size, with_provenance
from graphtask.tracing.capture import Captured, Operation, capture
from graphtask.tracing.stages import halvings
from graphtask.tracing.units import Unit, block_units, leaf_units
from graphtask.validation import invalid

Granularity: TypeAlias = Literal["leaf", "layer", "block"]

GRANULARITIES = ("leaf", "layer", "block")

_MIXING_PREFIXES = ("conv", "deform_conv", "lstm", "gru", "rnn_")
_MIXING = {
    "linear",
    "matmul",
    "mm",
    "bmm",
    "mv",
    "addmm",
    "baddbmm",
    "einsum",
    "bilinear",
    "embedding",
    "embedding_bag",
}


class _Vertex(NamedTuple):
    name: str
    op: str
    stage: int
    shape: tuple[int | None, ...]
    parameters: int


def trace(
    module: nn.Module,
    example: Tensor | Sequence[Any] | Mapping[str, Any],
    *,
    granularity: Granularity = "leaf",
    blocks: Collection[str] | None = None,
) -> igraph.Graph:
    """Return the architecture graph of a PyTorch module: its computations, and the tensors between them.

    Vertices are the tensors of the example, and the units of computation that the granularity names:

    - ``leaf``: every call of a leaf module (one that calls no other module) and every other operation, if it reads
      parameters or is a join, where tensors of two or more vertices meet (add, cat, multiply, attention …).
    - ``layer``: of these, the ones that multiply by trained weights: convolutions, linear and recurrent layers,
      embeddings, attention with its projections. Normalization, scaling, and joins are not vertices.
    - ``block``: every outermost call of a block (BasicBlock, _DenseLayer, EncoderBlock …) that has such a layer in it
      is one vertex, and the layers outside of blocks.

    All other operations (activations, pooling, dropout, reshaping, slices …) are wire. An edge leads from u to v if v reads a
    tensor that comes from u by wire alone, so that a sum or a concatenation that is not a vertex gives an edge from
    each of its terms: in a DenseNet, every layer of a block is linked to all later ones. Several tensors from u to v
    are one edge. Parameters, buffers, constants, and values made from shapes alone are not vertices.

    A module that is called twice is two vertices, the second named ``path@1``. The network is traced in evaluation
    mode; the shape of the example matters, its values do not. Nothing is computed, and the module, its mode and the
    global random generators are not changed. Operations under ``torch.autocast`` inside
    of ``forward`` are named after the module around it.

    ============== ===== ==================================================================================
    vertex         type  meaning
    ============== ===== ==================================================================================
    ``name``       str   path of the module, or of the module around a function and the function's name
    ``op``         str   class of the module, name of the function, "input" or "output"
    ``stage``      int   number of halvings of the resolution before (`graphtask.tracing.stages.halvings`);
                         a running maximum, so a network that upsamples stays in its last stage
    ``shape``      str   shape of its (first) result, such as "1x64x56x56"; ? for a size that depends on values
    ``parameters`` int   number of trained values that it reads; shared ones count in each vertex that does
    ============== ===== ==================================================================================

    A tensor of the example is a vertex named ``input``; several keep the names of their arguments and get an
    ``input`` before them. A result that comes from one vertex ends in it; otherwise a vertex ``output`` reads all
    that do. Vertices without a path to the result are left out.

    Args:
        module: The module.
        example: Its arguments: one tensor, a sequence of positional arguments, or a mapping of keyword
            arguments. The first dimension is the batch; images are (batch, channels, height, width).
        granularity: "leaf", "layer" or "block".
        blocks: For "block": names of classes. By default, the classes that are called at least twice, call other
            modules, and are more than containers; a network without any is traced by layers.

    Returns:
        A valid architecture graph in topological order, whose provenance names the class and the arguments.

    Raises:
        ArgumentError: The module fails on the example, its control flow depends on the values of tensors, or it has
            no vertex.

    Example:
        >>> from torch import nn, zeros
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3))
        >>> graph = trace(net, zeros(1, 3, 32, 32))
        >>> graph.vs["name"], graph.vs["op"], graph.vs["stage"]
        (['input', '0', '2'], ['input', 'Conv2d', 'Conv2d'], [0, 1, 1])
    """
    _check_choice(granularity, blocks)
    captured = capture(module, example)
    if granularity == "block":
        units = block_units(captured.operations, start=captured.n_inputs, module=module, blocks=blocks)
    else:
        units = leaf_units(captured.operations, start=captured.n_inputs)
    graph = _graph(captured, units, with_joins=granularity == "leaf", module=type(module).__name__)
    arguments = {
        "module": type(module).__name__,
        "example": [list(operation.shape) for operation in captured.operations[: captured.n_inputs]],
        "granularity": granularity,
        "blocks": None if blocks is None else sorted(blocks),
    }
    return with_initial_size(with_provenance(graph, prior={"name": "trace", "arguments": arguments}))


def _check_choice(granularity: str, blocks: object) -> None:
    if granularity not in GRANULARITIES:
        raise invalid("granularity", f"one of {', '.join(GRANULARITIES)}", granularity)
    if blocks is None:
        return
    if isinstance(blocks, str) or not isinstance(blocks, Collection):
        raise invalid("blocks", "a list of class names, such as ['BasicBlock']", blocks)
    if granularity != "block":
        raise invalid("blocks", f"None for granularity={granularity!r}", blocks)


def _graph(captured: Captured, units: list[Unit], *, with_joins: bool, module: str) -> igraph.Graph:
    vertices, edges, ends = _vertices(captured, units, with_joins=with_joins)
    if len(ends) > 1:
        edges += [(end, len(vertices)) for end in ends]
        stage = max(vertices[end].stage for end in ends)
        vertices.append(_Vertex("output", "output", stage, (), 0))
        ends = [len(vertices) - 1]
    if not ends:
        raise ArgumentError(f"the result of {module} does not depend on the tensors of the example")
    graph = igraph.Graph(n=len(vertices), edges=edges, directed=True)
    graph.vs[NAME] = _unique([vertex.name for vertex in vertices])
    graph.vs[STAGE] = [vertex.stage for vertex in vertices]
    graph.vs["op"] = [vertex.op for vertex in vertices]
    graph.vs["shape"] = ["x".join("?" if size is None else str(size) for size in v.shape) for v in vertices]
    graph.vs["parameters"] = [vertex.parameters for vertex in vertices]
    live = live_nodes(graph, list(range(captured.n_inputs)), ends)
    graph.delete_vertices([node for node in range(graph.vcount()) if not live[node]])
    if graph.ecount() == 0:
        what = "reads parameters or joins tensors" if with_joins else "multiplies by weights"
        hint = "" if with_joins else "; use granularity='leaf'"
        raise ArgumentError(f"{module} has no graph: between its input and its result nothing {what}{hint}")
    return _joined(graph)


def _vertices(
    captured: Captured, units: list[Unit], *, with_joins: bool
) -> tuple[list[_Vertex], list[tuple[int, int]], list[int]]:
    """Return the vertices, those of the example first; the edges; and the vertices whose tensors are returned."""
    operations, stages = captured.operations, halvings(captured)
    names = (
        [operation.name for operation in operations[: captured.n_inputs]]
        if captured.n_inputs > 1
        else ["input"]
    )
    vertices = [_Vertex(name, "input", 0, operations[index].shape, 0) for index, name in enumerate(names)]
    edges: list[tuple[int, int]] = []
    origins: dict[int, frozenset[int]] = {index: frozenset({index}) for index in range(captured.n_inputs)}
    last_reader = _last_readers(captured)
    for unit in units:
        outside = {position for member in unit.operations for position in operations[member].reads}
        sources = frozenset().union(*(origins[position] for position in outside - set(unit.operations)))
        if _is_vertex(operations, unit, n_sources=len(sources), with_joins=with_joins):
            vertex = len(vertices)
            edges += [(source, vertex) for source in sorted(sources)]
            before = [vertices[source].stage for source in sources]
            stage = max([stages[member] for member in unit.operations] + before)
            results = [member for member in unit.operations if last_reader[member] >= unit.operations.stop]
            shape = operations[results[0]].shape if results else ()
            n_parameters = sum(captured.parameter_sizes[name] for name in _parameters(operations, unit))
            vertices.append(_Vertex(unit.name, unit.kind, stage, shape, n_parameters))
            sources = frozenset({vertex})
        origins |= dict.fromkeys(unit.operations, sources)
    ends = sorted(frozenset().union(*(origins[position] for position in captured.outputs)))
    return vertices, edges, ends


def _last_readers(captured: Captured) -> list[int]:
    """Return the last reader of each result: the operation itself if none, one after all others if it is returned."""
    last = list(range(len(captured.operations)))
    for reader, operation in enumerate(captured.operations):
        for position in operation.reads:
            last[position] = reader
    for position in captured.outputs:
        last[position] = len(captured.operations)
    return last


def _is_vertex(operations: list[Operation], unit: Unit, *, n_sources: int, with_joins: bool) -> bool:
    if with_joins:
        return n_sources > 1 or bool(_parameters(operations, unit))
    return any(
        operations[member].parameters and _is_mixing(operations[member].name) for member in unit.operations
    )


def _is_mixing(name: str) -> bool:
    return name in _MIXING or name.startswith(_MIXING_PREFIXES)


def _parameters(operations: list[Operation], unit: Unit) -> frozenset[str]:
    return frozenset().union(*(operations[member].parameters for member in unit.operations))


def _unique(names: list[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for name in names:
        repeats = (f"{name}@{number}" for number in count(1))
        free = next(wish for wish in chain([name], repeats) if wish not in taken)
        taken.add(free)
        result.append(free)
    return result


def _joined(graph: igraph.Graph) -> igraph.Graph:
    """Return the valid graph, with an input before several tensors of the example."""
    result = as_architecture(graph, join=True)
    for vertex in result.vs:
        if vertex["op"] is None:
            vertex.update_attributes(op="input", shape="", parameters=0)
    return result
