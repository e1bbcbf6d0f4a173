"""Tensor operations of a module on an example, and the data flow between them."""

import copy
import io
import logging
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import ExportGraphSignature
from torch.fx import Node
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from graphtask.errors import ArgumentError
from graphtask.validation import invalid

_LOOKS_AT_SHAPES_ONLY = ("new_", "zeros_like", "ones_like", "full_like", "empty_like", "rand")
_USUAL_NAMES = {"_native_batch_norm_legit_no_training": "batch_norm", "_unsafe_view": "view"}


class Call(NamedTuple):
    """One call of a submodule; a module that is called twice makes two."""

    key: str
    """Tells this call from all others."""
    path: str
    """Where the module is, as in ``module.get_submodule(path)``."""
    kind: str
    """The name of its class."""


class Operation(NamedTuple):
    """One tensor operation whose result depends on the example, or one tensor of the example."""

    name: str
    """As PyTorch calls it, such as "conv2d"; for a tensor of the example, the name of the argument."""
    reads: tuple[int, ...]
    """The earlier operations whose results it reads."""
    parameters: frozenset[str]
    """The parameters that it reads, also by way of values that are computed from parameters alone."""
    calls: tuple[Call, ...]
    """The calls of submodules that it is part of, outermost first."""
    shape: tuple[int | None, ...]
    """The shape of its (first) result; None where that depends on the values of the example."""
    strides: tuple[int, ...]
    """Those of a convolution or pooling; empty for all others."""


class Captured(NamedTuple):
    """Operations of one call of a module, in the order of execution."""

    operations: list[Operation]
    n_inputs: int
    """Number of operations, at the front, that are the tensors of the example."""
    outputs: list[int]
    """Operations whose results the module returns, of those that depend on the example."""
    parameter_sizes: dict[str, int]


def capture(module: nn.Module, example: Tensor | Sequence[Any] | Mapping[str, Any]) -> Captured:
    """Return the operations of ``module.eval()`` on an example, found by `torch.export` without computing them.

    In-place operations and writes into views count as operations that return a new tensor. Values computed from
    parameters, buffers and shapes alone are not operations.

    Args:
        module: Any module; a copy that shares its parameters is traced, so it stays as it is.
        example: Arguments of the module: one tensor, a sequence of positional arguments, or a mapping of
            keyword arguments.

    Raises:
        ArgumentError: The module fails on the example, or cannot be traced; the message has the reason.
    """
    if not isinstance(module, nn.Module):
        raise invalid("module", "a torch.nn.Module", module)
    if any(is_lazy(value) for value in module.parameters()):
        raise ArgumentError(
            f"{_kind(module)} has lazy parameters without a shape; call it once before tracing it"
        )
    args, kwargs = _arguments(example)
    evaluated = _evaluated_copy(module)
    sizes = {name: value.numel() for name, value in evaluated.named_parameters()}
    first_names = {id(value): name for name, value in evaluated.named_parameters()}
    every_name = evaluated.named_parameters(remove_duplicate=False)
    aliases = {name: first_names[id(value)] for name, value in every_name}
    return _described(_exported(evaluated, args, kwargs), sizes=sizes, aliases=aliases)


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(example, Mapping):
        kwargs = dict(example)
    elif isinstance(example, Sequence) and not isinstance(example, str):
        args = tuple(example)
    else:
        args = (example,)
    if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves((args, kwargs))):
        raise ArgumentError(
            f"example must hold a tensor, got {_kind(example)}; pass the arguments of the module: a tensor such as "
            f"torch.zeros(1, 3, 224, 224), a tuple of arguments, or a dict of keyword arguments",
            argument="example",
        )
    detached: tuple[tuple[Any, ...], dict[str, Any]]
    detached = pytree.tree_map_only(Tensor, Tensor.detach, (args, kwargs))
    return detached


def _evaluated_copy(module: nn.Module) -> nn.Module:
    shared = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    try:
        return copy.deepcopy(module, shared).eval()
    except Exception as error:
        raise ArgumentError(f"{_kind(module)} cannot be copied for tracing: {_first_line(error)}") from error


def _exported(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ExportedProgram:
    try:
        with _undisturbed():
            program: ExportedProgram = torch.export.export(module, args, kwargs, strict=False)
            # An empty table decomposes nothing: this only replaces in-place operations by functional ones.
            functional: ExportedProgram = program.run_decompositions({})
            return functional
    except Exception as error:
        raise ArgumentError(_reason(error, module, args, kwargs)) from error


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without gradients, random numbers taken from the global generator, or anything printed.

    With gradients on, operations under ``torch.no_grad()`` would be hidden in a subgraph.
    """
    disabled = logging.root.manager.disable
    with (
        torch.no_grad(),
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def _reason(error: Exception, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    name = _kind(module)
    if isinstance(error, GuardOnDataDependentSymNode):
        return (
            f"{name} cannot be traced: its control flow depends on the values of tensors{_place(error)}, so no single "
            f"graph stands for it; trace the submodules on either side of the decision"
        )
    try:
        with _undisturbed():
            own, own_args, own_kwargs = copy.deepcopy((module, args, kwargs))
            own(*own_args, **own_kwargs)
    except Exception as failure:  # noqa: BLE001 - any failure of the user's module is worth reporting as such
        return f"{name} fails on this example{_place(failure)}: {_first_line(failure)}"
    return f"{name} cannot be traced: torch.export reports {_first_line(error)!r}{_place(error)}"


def _place(error: Exception) -> str:
    """Return the place of the error in the code of the module; empty for an error within PyTorch."""
    torch_folder = f"{Path(torch.__file__).parent}{os.sep}"  # not that of torchvision
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((torch_folder, __file__, "<"))
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _kind(value: object) -> str:
    return type(value).__name__


def _described(program: ExportedProgram, *, sizes: dict[str, int], aliases: dict[str, str]) -> Captured:
    signature = program.graph_signature
    operations: list[Operation] = []
    index: dict[Node, int] = {}  # of those that depend on the example
    constants: dict[Node, frozenset[str]] = {}  # the others, and the parameters that each is computed from
    for node in program.graph.nodes:
        operation = _operation(node, index, constants, signature)
        if operation is None:
            constants[node] = _parameters(node, constants, signature, aliases)
        else:
            index[node] = len(operations)
            operations.append(operation)
    named = {node.name: position for node, position in index.items()}
    returned = [named[name] for name in signature.user_outputs if isinstance(name, str) and name in named]
    n_inputs = sum(node.op == "placeholder" for node in index)
    return Captured(operations, n_inputs, list(dict.fromkeys(returned)), sizes)


def _operation(
    node: Node,
    index: dict[Node, int],
    constants: dict[Node, frozenset[str]],
    signature: ExportGraphSignature,
) -> Operation | None:
    """Return the operation of a node; None if it does not depend on the example."""
    if node.op == "placeholder":
        is_example = node.name in signature.user_inputs and isinstance(node.meta.get("val"), Tensor)
        return Operation(node.name, (), frozenset(), (), _shape(node), ()) if is_example else None
    reads = tuple(index[argument] for argument in node.all_input_nodes if argument in index)
    if node.op != "call_function" or not reads or _name(node).startswith(_LOOKS_AT_SHAPES_ONLY):
        return None
    known = (constants.get(argument, frozenset()) for argument in node.all_input_nodes)
    return Operation(
        _name(node), reads, frozenset().union(*known), _calls(node), _shape(node), _strides(node)
    )


def _parameters(
    node: Node,
    constants: dict[Node, frozenset[str]],
    signature: ExportGraphSignature,
    aliases: dict[str, str],
) -> frozenset[str]:
    if node.name in signature.inputs_to_parameters:
        return frozenset({aliases[signature.inputs_to_parameters[node.name]]})
    return frozenset().union(*(constants.get(argument, frozenset()) for argument in node.all_input_nodes))


def _name(node: Node) -> str:
    target: Any = node.target
    packet = getattr(target, "overloadpacket", target)
    name = str(getattr(packet, "__name__", packet))
    return _USUAL_NAMES.get(name, name)


def _calls(node: Node) -> tuple[Call, ...]:
    entries = list(node.meta.get("nn_module_stack", {}).items())[1:]  # the first is the module itself
    return tuple(Call(key, path, str(kind).rpartition(".")[2]) for key, (path, kind) in entries)


def _shape(node: Node) -> tuple[int | None, ...]:
    tensors = [leaf for leaf in pytree.tree_leaves(node.meta.get("val")) if isinstance(leaf, Tensor)]
    sizes: Sequence[Any] = tensors[0].shape if tensors else ()
    return tuple(size if isinstance(size, int) else None for size in sizes)


def _strides(node: Node) -> tuple[int, ...]:
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema else []
    given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    if "stride" not in names:
        return ()
    strides = (
        given.get("stride") or given.get("kernel_size") or 1
    )  # a pooling moves by its own size unless told not to
    values = tuple(strides) if isinstance(strides, Sequence) else (strides,)
    return values if all(isinstance(value, int) for value in values) else ()
