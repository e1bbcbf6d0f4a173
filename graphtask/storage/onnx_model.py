"""Computation graph of an ONNX model, read by the package onnx; the model is never executed."""

from typing import Any

from graphtask.errors import FormatError, GraphtaskError
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import GraphBuilder
from graphtask.storage.limits import MAX_NODES, n_elements
from graphtask.storage.values import one_line
from graphtask.validation import install_hint

OP = "op"


def parse(content: bytes) -> Parts:
    """Return the parts of the computation graph of an ONNX model.

    Each operation is a node with the attributes ``op`` (its type), ``shape`` (of its first output, as text such as
    ``1x8x16x16``, if the model declares it) and ``parameters`` (elements of its initializers). The inputs and outputs
    of the model are nodes with the operations ``input`` and ``output``. Constants, and operations on nothing but constants,
    are part of the operation that reads them; integers of 64 bits, such as shapes and axes, are no parameters. An
    operation with subgraphs, such as ``If``, also reads what they read. Weights in external files are not read, and no
    shape is inferred.

    Raises:
        FormatError: The bytes are not an ONNX model.
        GraphtaskError: onnx is not installed.
    """
    graph = _model(content).graph
    sizes, operations = _constants(graph)
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    if len(graph.node) > MAX_NODES:
        raise FormatError(f"has more than {MAX_NODES:,} operations; graphs of that size are not read")
    builder = GraphBuilder(n_bytes=len(content))
    maker: dict[str, str] = {}
    for value in graph.input:
        if value.name not in sizes:
            _add(builder, maker, value.name, OP_INPUT, [value.name], shapes)
    labels = [
        _add(builder, maker, node.name or node.op_type, node.op_type, node.output, shapes)
        for node in operations
    ]
    for node, label in zip(operations, labels, strict=True):
        inputs = _inputs(node)
        n_parameters = sum(sizes.get(name, 0) for name in inputs)
        if n_parameters:
            builder.add_node(label, {"parameters": n_parameters})
        _link(builder, maker, inputs, label)
    for value in graph.output:
        label = _add(builder, maker, f"output:{value.name}", "output", [], shapes)
        builder.add_node(label, {"shape": shapes[value.name]} if shapes.get(value.name) else None)
        _link(builder, maker, [value.name], label)
    builder.graph_values["format"] = "ONNX"
    return builder.parts()


OP_INPUT = "input"


def _model(content: bytes) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise GraphtaskError(
            f"onnx cannot be imported ({error}); install it with: {install_hint('onnx')}"
        ) from error
    try:
        model = onnx.ModelProto()
        model.ParseFromString(content)
    except Exception as error:  # noqa: BLE001 - the class of the error depends on the release of protobuf
        raise FormatError(f"is not an ONNX model ({one_line(str(error))})") from None
    if not model.graph.node:
        raise FormatError("is not an ONNX model with operations")
    return model


def _constants(graph: Any) -> tuple[dict[str, int], list[Any]]:
    """Return the parameters behind each constant value, by name, and the operations that are no constants."""
    sizes = {tensor.name: _n_parameters(tensor) for tensor in graph.initializer}
    sizes |= {tensor.values.name: n_elements(tensor.values.dims) for tensor in graph.sparse_initializer}
    operations = []
    for node in graph.node:
        inputs = [name for name in _inputs(node) if name]
        if node.op_type == "Constant":
            sizes.update(dict.fromkeys(node.output, 0))
        elif inputs and all(name in sizes for name in inputs):
            n_parameters = sum(sizes[name] for name in inputs)
            sizes.update(
                dict.fromkeys(node.output, 0) | {node.output[0]: n_parameters} if node.output else {}
            )
        else:
            operations.append(node)
    return sizes, operations


def _n_parameters(tensor: Any) -> int:
    import onnx

    return 0 if tensor.data_type == onnx.TensorProto.INT64 else n_elements(tensor.dims)


def _inputs(node: Any) -> list[str]:
    """Return the values that an operation reads, also in its subgraphs."""
    found = list(node.input)
    waiting = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
    while waiting:
        graph = waiting.pop()
        own = {value.name for value in (*graph.input, *graph.initializer)}
        own.update(name for inner in graph.node for name in inner.output)
        found += [name for inner in graph.node for name in inner.input if name not in own]
        found += [value.name for value in graph.output if value.name not in own]
        waiting += [
            g
            for inner in graph.node
            for attribute in inner.attribute
            for g in (attribute.g, *attribute.graphs)
        ]
    return found


def _add(
    builder: GraphBuilder, maker: dict[str, str], wish: str, op: str, outputs: Any, shapes: dict[str, str]
) -> str:
    """Add a node under a new name and return the name."""
    name = builder.new_name(wish)
    shape = next((shapes[output] for output in outputs if shapes.get(output)), "")
    builder.add_node(name, {OP: op} | ({"shape": shape} if shape else {}))
    for output in outputs:
        if output:
            maker[output] = name
    return name


def _link(builder: GraphBuilder, maker: dict[str, str], inputs: Any, label: str) -> None:
    """Add one edge from each node whose output is read; an operation that reads one twice has one edge."""
    for source in dict.fromkeys(maker[name] for name in inputs if name in maker):
        if source != label:
            builder.add_edge(source, label)


def _shape(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    return "x".join(str(dim.dim_value) if dim.dim_value else (dim.dim_param or "?") for dim in dims)
