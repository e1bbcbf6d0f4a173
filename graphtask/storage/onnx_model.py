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
    of the model are nodes with the operations ``input`` and ``output``. Constants are part of the operation that reads
    them. Weights in external files are not read, and no shape is inferred.

    Raises:
        FormatError: The bytes are not an ONNX model.
        GraphtaskError: onnx is not installed.
    """
    graph = _model(content).graph
    sizes = {tensor.name: n_elements(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            sizes.update(dict.fromkeys(node.output, 0))
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    if len(graph.node) > MAX_NODES:
        raise FormatError(f"has more than {MAX_NODES:,} operations; graphs of that size are not read")
    builder = GraphBuilder(n_bytes=len(content))
    maker: dict[str, str] = {}
    for value in graph.input:
        if value.name not in sizes:
            _add(builder, maker, value.name, OP_INPUT, [value.name], shapes)
    operations = [node for node in graph.node if node.op_type != "Constant"]
    labels = [
        _add(builder, maker, node.name or node.op_type, node.op_type, node.output, shapes)
        for node in operations
    ]
    for node, label in zip(operations, labels, strict=True):
        n_parameters = sum(sizes.get(name, 0) for name in node.input)
        if n_parameters:
            builder.add_node(label, {"parameters": n_parameters})
        _link(builder, maker, node.input, label)
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
