"""Graphs in files of torch: a torch-geometric ``Data``, or a dict of tensors with ``edge_index``."""

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import igraph

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts
from graphtask.storage.geometric_parts import geometric_parts, is_data
from graphtask.storage.limits import check_size
from graphtask.storage.npz import array_parts
from graphtask.storage.values import one_line

_LOADING = threading.Lock()  # the classes that torch may create belong to the whole process
_UNKNOWN = re.compile(r"Unsupported (?:global: GLOBAL|class) ([\w.]{1,100})")  # in messages of torch


def dumps(graph: igraph.Graph) -> bytes:
    """Return the file of the graph; `torch.load` reads it."""
    import torch

    from graphtask.storage.geometric import to_geometric

    buffer = io.BytesIO()
    torch.save(to_geometric(graph), buffer)
    return buffer.getvalue()


def parse(content: bytes) -> Parts:
    """Return the parts of the graph in a file of torch.

    The file is read with ``weights_only``: of all classes, only tensors and those of torch-geometric that hold a graph
    are created, and nothing is executed.

    Raises:
        FormatError: The file holds something else, or is damaged.
        GraphtaskError: torch-geometric is not installed.
    """
    import torch

    from graphtask.storage.geometric import data_class

    kind = data_class()
    try:
        with warnings.catch_warnings(), _only_safe(_safe_classes(kind)):
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # noqa: BLE001 - torch raises whatever its reader meets in a damaged file
        unknown = _UNKNOWN.search(str(error))
        reason = f"it holds a {unknown[1]}" if unknown else one_line(str(error).partition("\n")[0])
        raise FormatError(f"is not a file of torch that is safe to read ({reason})") from None
    if isinstance(found, torch.Tensor):
        return _from_tensor(found, n_bytes=len(content))
    try:
        return geometric_parts(_checked(found, kind, n_bytes=len(content)))
    except FormatError:
        raise
    except (AttributeError, TypeError, IndexError, RuntimeError, OverflowError, ValueError) as error:
        raise FormatError(f"holds a damaged graph ({one_line(str(error))})") from None


def _checked(found: Any, kind: Any, *, n_bytes: int) -> Any:
    """Return the ``Data`` that a file of ``n_bytes`` holds, whose tensors are no larger than the file."""
    if isinstance(found, dict) and "edge_index" in found and all(isinstance(key, str) for key in found):
        found = kind(**found)
    if isinstance(found, list | tuple) and len(found) == 1:
        found = found[0]
    if not is_data(found):
        raise FormatError(
            f"must hold a torch_geometric.data.Data or an adjacency matrix, got {type(found).__name__}; "
            "store one graph per file"
        )
    if getattr(found, "edge_index", None) is None:
        raise FormatError("has no edge_index")
    # A tensor of stride 0 repeats one stored value any number of times.
    if any(getattr(value, "numel", int)() > n_bytes for value in found.to_dict().values()):
        raise FormatError("holds a tensor of more elements than the file has bytes")
    found = kind.from_dict(found.to_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the number of nodes may be inferred from the edges
        n_nodes = int(found.num_nodes or 0)
    check_size(n_nodes, int(found.edge_index.shape[-1]), n_cells=0, n_bytes=n_bytes)
    return found


def _from_tensor(tensor: Any, *, n_bytes: int) -> Parts:
    """Return the parts of an adjacency matrix or of an edge list, as in a ``.npy`` file."""
    if str(tensor.layout) != "torch.strided" or tensor.numel() > n_bytes:
        raise FormatError("must hold a dense tensor, of no more elements than the file has bytes")
    if tensor.is_floating_point():
        tensor = tensor.double()  # numpy lacks bfloat16
    try:
        array = tensor.detach().numpy()
    except (TypeError, RuntimeError) as error:  # a quantized or a conjugated one
        raise FormatError(f"holds a tensor that is no matrix ({one_line(str(error))})") from None
    return array_parts(array)


@contextlib.contextmanager
def _only_safe(classes: list[Any]) -> Iterator[None]:
    """Let torch create these classes, and none of those that other libraries have declared safe."""
    from torch import serialization

    with _LOADING:
        others = serialization.get_safe_globals()
        serialization.clear_safe_globals()
        serialization.add_safe_globals(classes)
        try:
            yield
        finally:
            serialization.clear_safe_globals()
            serialization.add_safe_globals(others)


def _empty(*_: object) -> dict[Any, Any]:
    return {}


def _safe_classes(kind: Any) -> list[Any]:
    from torch_geometric.data import data, storage

    names = ("DataTensorAttr", "DataEdgeAttr")
    stores = ("GlobalStorage", "BaseStorage", "NodeStorage", "EdgeStorage", "AttrType")
    return [
        kind,
        (_empty, "collections.defaultdict"),  # fields that torch-geometric has looked up; it can do without
        set,
        *(getattr(data, name) for name in names if hasattr(data, name)),
        *(getattr(storage, name) for name in stores if hasattr(storage, name)),
    ]
