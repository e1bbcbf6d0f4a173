"""Graphs in files of torch: a torch-geometric ``Data``, or a dict of tensors with ``edge_index``."""

import io
import warnings
from typing import Any

import igraph

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts
from graphtask.storage.geometric_parts import geometric_parts, is_data
from graphtask.storage.limits import check_size
from graphtask.storage.values import one_line


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
        with warnings.catch_warnings(), torch.serialization.safe_globals(_safe_classes(kind)):
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # noqa: BLE001 - torch raises whatever its reader meets in a damaged file
        reason = one_line(str(error).partition("\n")[0])
        raise FormatError(f"is not a file of torch that is safe to read ({reason})") from None
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
    if not is_data(found):
        raise FormatError(f"must hold a torch_geometric.data.Data, got {type(found).__name__}")
    # A tensor of stride 0 repeats one stored value any number of times.
    if any(getattr(value, "numel", int)() > n_bytes for value in found.to_dict().values()):
        raise FormatError("holds a tensor of more elements than the file has bytes")
    check_size(int(found.num_nodes or 0), int(found.edge_index.shape[-1]), n_cells=0, n_bytes=n_bytes)
    return found


def _safe_classes(kind: Any) -> list[Any]:
    from torch_geometric.data import data, storage

    names = ("DataTensorAttr", "DataEdgeAttr")
    stores = ("GlobalStorage", "BaseStorage", "NodeStorage", "EdgeStorage")
    return [
        kind,
        *(getattr(data, name) for name in names if hasattr(data, name)),
        *(getattr(storage, name) for name in stores if hasattr(storage, name)),
    ]
