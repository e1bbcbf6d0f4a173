"""Parts of a torch-geometric ``Data``; never imports torch."""

import warnings
from collections.abc import Iterator
from typing import Any

from graphtask.errors import GraphError
from graphtask.graph import NAME, PROVENANCE, RAW_WEIGHT, STAGE, WEIGHT
from graphtask.storage.assembly import Parts, with_names
from graphtask.validation import abbreviated, counted

NODE_PREFIX = "node_attr_"
EDGE_PREFIX = "edge_attr_"
GRAPH_ATTRIBUTES = "graph_attributes"
NAMES = "names"
NODE_FEATURES = "node_feature_names"
EDGE_FEATURES = "edge_feature_names"
_FEATURES = {NODE_FEATURES: "x", EDGE_FEATURES: "edge_attr"}
_FOREIGN_WEIGHT = "edge_weight"  # the name in torch-geometric


def is_data(value: object) -> bool:
    """Return True for a homogeneous graph of torch-geometric, without importing it."""
    return any(
        kind.__module__ == "torch_geometric.data.data" and kind.__name__ == "Data"
        for kind in type(value).__mro__
    )


def remedy(value: object) -> str:
    """Return how a ``HeteroData`` or a ``Batch`` becomes a ``Data``; nothing for any other object."""
    names = {
        kind.__name__ for kind in type(value).__mro__ if kind.__module__.startswith("torch_geometric.data.")
    }
    if "HeteroData" in names:
        return "data.to_homogeneous() makes one graph of it"
    return "batch.to_data_list() splits it" if "Batch" in names else ""


def geometric_parts(data: Any) -> Parts:
    """Return the parts of a ``Data``.

    Fields that `graphtask.to_geometric` writes become the attributes they were. Of any other ``Data``, fields with an
    entry for each node (edge) become vertex (edge) attributes, and all others graph attributes; ``edge_weight`` is
    ``weight``; tensors become numbers and lists.

    Raises:
        GraphError: There is no usable ``edge_index``, or a field does not fit it.
    """
    if not is_data(data):
        raise GraphError(
            f"data must be a torch_geometric.data.Data, got {abbreviated(data)}", remedy=remedy(data)
        )
    n_graphs = getattr(data, "num_graphs", None)  # of a Batch
    if n_graphs == 1:
        data = data.get_example(0)
    elif n_graphs is not None:
        raise GraphError(f"data must be one graph, got a batch of {n_graphs}", remedy=remedy(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without node fields the number of nodes is inferred from the edges
        n_nodes = int(data.num_nodes or 0)
    edges = _edges(data, n_nodes)
    graph_values: dict[str, Any] = {}
    columns: dict[str, dict[str, list[Any]]] = {"node": {}, "edge": {}}
    for scope, name, value in _fields(data):
        if scope == "graph":
            graph_values[name] = value
        else:
            columns[scope][name] = _checked(value, name, scope, n_nodes if scope == "node" else len(edges))
    is_ours = NAMES in data and STAGE in data
    ids = columns["node"].get(NAME, [f"v{index}" for index in range(n_nodes)])
    return Parts(
        n_nodes=n_nodes,
        edges=edges,
        graph_values=graph_values,
        vertex_columns=with_names(columns["node"], ids, is_ours=is_ours),
        edge_columns=columns["edge"],
        is_ours=is_ours,
    )


def _edges(data: Any, n_nodes: int) -> list[tuple[int, int]]:
    index = data.edge_index
    is_tensor = hasattr(index, "is_floating_point") and index.ndim == 2 and index.shape[0] == 2
    if not is_tensor or index.is_floating_point():
        raise GraphError("`edge_index` must be an integer tensor of shape (2, edges)")
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < n_nodes:
        raise GraphError(
            f"`edge_index` names nodes from {int(index.min())} to {int(index.max())}, but there are {n_nodes} nodes"
        )
    sources, targets = index.tolist()
    return list(zip(sources, targets, strict=True))


def _fields(data: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield for each field its scope (graph, node, edge), the name of the attribute, and its value."""
    keys = list(data.keys())
    derived = {_FEATURES[key] for key in keys if key in _FEATURES}  # copies of other fields, for a GNN
    for key in keys:
        if key in {"edge_index", "num_nodes", *_FEATURES, *derived}:
            continue
        value = _listed(data[key])
        if key == NAMES:
            yield "node", NAME, value
        elif key == PROVENANCE:
            yield "graph", PROVENANCE, value
        elif key == GRAPH_ATTRIBUTES and isinstance(value, dict):
            yield from (("graph", name, content) for name, content in value.items())
        elif key in {WEIGHT, RAW_WEIGHT}:
            yield "edge", key, value
        elif key == _FOREIGN_WEIGHT and WEIGHT not in keys:
            yield "edge", WEIGHT, value
        elif key.startswith(NODE_PREFIX):
            yield "node", key.removeprefix(NODE_PREFIX), value
        elif key.startswith(EDGE_PREFIX):
            yield "edge", key.removeprefix(EDGE_PREFIX), value
        elif key == STAGE or data.is_node_attr(key):
            yield "node", key, value
        else:
            yield ("edge" if data.is_edge_attr(key) else "graph"), key, value


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _checked(value: Any, name: str, scope: str, n_elements: int) -> list[Any]:
    if not isinstance(value, list | tuple) or len(value) != n_elements:
        values = counted(len(value), "value") if isinstance(value, list | tuple) else "no list of values"
        raise GraphError(f"the {scope} attribute {name!r} has {values} for {counted(n_elements, scope)}")
    return list(value)
