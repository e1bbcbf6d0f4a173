"""Computation graph of a ``torch.export`` program (.pt2), read as JSON: PyTorch is not loaded and nothing is executed."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts
from graphtask.storage.bounded_json import parse_json
from graphtask.storage.builder import GraphBuilder
from graphtask.storage.limits import MAX_NODES, check_bytes, n_elements

_MEMBERS = ("models/model.json", "serialized_exported_program.json")  # since PyTorch 2.8, and before
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError)
_MOST_EXPANDED = 32  # times the size of the file; PyTorch does not compress
_DAMAGED = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError)
_MOST_READ = 1_000  # parameters by way of values that are computed from parameters alone


def parse(content: bytes) -> Parts:
    """Return the parts of the computation graph of a program.

    Each operation that depends on an input of the program is a node with the attributes ``op`` (such as ``conv2d``),
    ``shape`` (of its first result, as text such as ``1x8x16x16``; free sizes have their name), ``module`` (the
    submodule that calls it) and ``parameters`` (elements of the parameters that it reads, also by way of values that
    are computed from parameters alone). The inputs and outputs of the program are nodes with the operations ``input``
    and ``output``.

    Raises:
        FormatError: The bytes are not a program, or it is too large.
    """
    document = _document(content)
    try:
        module = document["graph_module"]
        program = _Program(module["graph"], module["signature"], n_bytes=len(content))
        program.read()
    except FormatError:
        raise
    except _DAMAGED as error:
        raise FormatError(
            f"is not a complete torch.export program ({type(error).__name__}: {error})"
        ) from None
    return program.builder.parts()


def _document(content: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = _member(archive)
            check_bytes(member.file_size, limit=_MOST_EXPANDED * len(content))
            return parse_json(archive.read(member))
    except FormatError:
        raise
    except _ZIP_ERRORS as error:
        raise FormatError(f"is not a complete torch.export program ({error})") from None


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    for item in archive.infolist():
        if item.filename.endswith(_MEMBERS):
            return item
    raise FormatError("is not a torch.export program: it has no models/model.json")


class _Program:
    """Graph of a program under construction."""

    def __init__(self, graph: dict[str, Any], signature: dict[str, Any], *, n_bytes: int) -> None:
        if len(graph["nodes"]) > MAX_NODES:
            raise FormatError(f"has more than {MAX_NODES:,} operations; graphs of that size are not read")
        self.builder = GraphBuilder(n_bytes=n_bytes)
        self.builder.graph_values["format"] = "torch.export"
        self._graph, self._signature = graph, signature
        self._maker: dict[str, str] = {}  # of tensors that depend on an input: the node that computes them
        self._parameters: dict[
            str, frozenset[str]
        ] = {}  # of all others: the parameters they are computed from

    def read(self) -> None:
        """Add the inputs, the operations and the outputs."""
        for spec in self._signature["input_specs"]:
            for kind, value in spec.items():
                if kind == "parameter":
                    name = value["arg"]["name"]
                    self._parameters[name] = frozenset([name])
                elif kind == "user_input":
                    for name in _tensors(value["arg"]):
                        self._add(name, "input", [name], {})
        for node in self._graph["nodes"]:
            self._read_operation(node)
        for spec in self._signature["output_specs"]:
            for name in _tensors(spec.get("user_output", {})):
                if name in self._maker:
                    label = self._add(f"output:{name}", "output", [], self._shape([name]))
                    self.builder.add_edge(self._maker[name], label)

    def _read_operation(self, node: dict[str, Any]) -> None:
        reads, results = list(_tensors(node["inputs"])), list(_tensors(node["outputs"]))
        sources = dict.fromkeys(self._maker[name] for name in reads if name in self._maker)
        none: frozenset[str] = frozenset()
        parameters = none.union(*(self._parameters.get(name, none) for name in reads))
        if len(parameters) > _MOST_READ:
            raise FormatError(f"has an operation that reads more than {_MOST_READ:,} parameters")
        if not results:
            return
        if not sources:
            self._parameters.update(dict.fromkeys(results, parameters))
            return
        values = _module(node)
        if parameters:
            values["parameters"] = sum(self._n_elements(name) for name in parameters)
        label = self._add(results[0], _operation(str(node["target"])), results, values)
        for source in sources:
            self.builder.add_edge(source, label)

    def _add(self, wish: str, op: str, results: list[str], values: dict[str, Any]) -> str:
        name = self.builder.new_name(wish)
        self.builder.add_node(name, {"op": op} | self._shape(results) | values)
        self._maker.update(dict.fromkeys(results, name))
        return name

    def _sizes(self, name: str) -> list[Any]:
        return list(self._graph["tensor_values"].get(name, {}).get("sizes", ()))

    def _shape(self, results: list[str]) -> dict[str, Any]:
        texts = [_size(size) for size in self._sizes(results[0])] if results else []
        return {"shape": "x".join(texts)} if texts else {}

    def _n_elements(self, name: str) -> int:
        return n_elements([_integer(size) for size in self._sizes(name)])


def _tensors(value: Any) -> Iterator[str]:
    """Yield the names of all tensors in the arguments or results of an operation."""
    if isinstance(value, list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for kind, item in value.items():
            if kind == "as_tensor":
                yield item["name"]
            elif kind == "as_tensors":
                yield from (tensor["name"] for tensor in item)
            elif kind != "as_graph":  # its names are those of another graph
                yield from _tensors(item)


def _operation(target: str) -> str:
    """Return the usual name of an operator.

    Example:
        >>> _operation("torch.ops.aten.conv2d.default"), _operation("_operator.add")
        ('conv2d', 'add')
    """
    words = target.split(".")
    return words[-2] if len(words) > 2 else words[-1]


def _module(node: dict[str, Any]) -> dict[str, Any]:
    """Return the path of the submodule that an operation is part of, if it is part of one."""
    entries = str(node.get("metadata", {}).get("nn_module_stack", "")).split(";")
    path = entries[-1].split(",")[1] if "," in entries[-1] else ""
    return {"module": path} if path else {}


def _integer(size: dict[str, Any]) -> int:
    found = size["as_int"]
    if type(found) is not int or not -(2**63) <= found < 2**63:
        raise FormatError("has a size that is not an integer of 64 bits")
    return found


def _size(size: dict[str, Any]) -> str:
    if "as_int" in size:
        return str(_integer(size))
    text = str(size.get("as_expr", {}).get("expr_str", "?"))
    return text if text.isidentifier() else "?"
