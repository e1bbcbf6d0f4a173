"""Architecture graphs as torch-geometric ``Data`` and back.

====================  =======================================  ==========================================
field of ``Data``     type                                     meaning
====================  =======================================  ==========================================
``edge_index``        int64 tensor, shape (2, edges)           the edges, in the order of the graph
``num_nodes``         int                                      number of vertices
``names``             list of str                              vertex names
``stage``             int64 tensor, shape (nodes,)             stages
``weight``, ``w``     float64 tensors, shape (edges,)          trained weights, if the graph has them
``provenance``        str                                      provenance as JSON, if the graph has one
``node_attr_<name>``  tensor or list, one entry a vertex       every other vertex attribute
``edge_attr_<name>``  tensor or list, one entry an edge        every other edge attribute
``graph_attributes``  dict                                     every other graph attribute, if there is one
====================  =======================================  ==========================================

A column is a tensor (float64, int64, bool) if all its values are of that type, else a list.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import igraph

from graphtask.errors import GraphError, GraphtaskError
from graphtask.graph import NAME, PROVENANCE, RAW_WEIGHT, STAGE, WEIGHT, check_graph, edge_array
from graphtask.storage.assembly import Parts, assemble, with_names
from graphtask.storage.values import from_json, plain, to_json
from graphtask.validation import counted, install_hint

if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Data

_NODE_PREFIX = "node_attr_"
_EDGE_PREFIX = "edge_attr_"
_GRAPH_ATTRIBUTES = "graph_attributes"
_INT64 = range(-(2**63), 2**63)


def to_geometric(graph: igraph.Graph) -> "Data":
    """The graph as ``torch_geometric.data.Data`` with everything that is known about it (fields: see the module).

    `from_geometric` gives back the same graph; only ``weight`` and ``w`` that were ints come back as floats.

    Args:
        graph: A valid architecture graph.

    Raises:
        GraphError: The graph breaks a rule, or its provenance is more than JSON can hold.
        GraphtaskError: torch-geometric is not installed.

    Example:
        >>> import graphtask as gt
        >>> data = gt.to_geometric(gt.full_dag(3, stages=3))
        >>> data.edge_index.tolist(), data.stage.tolist(), data.names
        ([[0, 0, 1], [1, 2, 2]], [0, 1, 2], ['v0', 'v1', 'v2'])
    """
    check_graph(graph)
    data = _data_class()(
        edge_index=_edge_index(graph),
        num_nodes=graph.vcount(),
        names=graph.vs[NAME],
        stage=_column(graph.vs[STAGE]),
    )
    for name in (WEIGHT, RAW_WEIGHT):
        if name in graph.es.attributes():
            data[name] = _column([float(value) for value in graph.es[name]])
    for name in sorted(set(graph.vs.attributes()) - {NAME, STAGE}):
        data[_NODE_PREFIX + name] = _column(graph.vs[name])
    for name in sorted(set(graph.es.attributes()) - {WEIGHT, RAW_WEIGHT}):
        data[_EDGE_PREFIX + name] = _column(graph.es[name])
    others = {name: graph[name] for name in graph.attributes() if name != PROVENANCE}
    if others:
        data[_GRAPH_ATTRIBUTES] = others
    if PROVENANCE in graph.attributes():
        data[PROVENANCE] = _provenance_text(graph[PROVENANCE])
    return data


def from_geometric(
    data: "Data", *, stages: int | Sequence[int] | None = None, join: bool = False
) -> igraph.Graph:
    """The architecture graph of a torch-geometric ``Data``, with all its fields.

    Fields that `to_geometric` writes come back as the attributes they were. Of any other ``Data``, fields with an
    entry for each node (edge) become vertex (edge) attributes, and all others graph attributes; tensors become
    numbers and lists.

    Args:
        data: A homogeneous graph with an ``edge_index`` whose edges are directed.
        stages: For data without ``stage``: the number of stages, or their sizes.
        join: Whether several inputs (outputs) get one new vertex before (after) them; otherwise they are an error.

    Raises:
        GraphError: There is no usable ``edge_index``, a field does not fit it, or the graph breaks a rule.
        ArgumentError: ``stages`` does not fit the number of nodes.
        GraphtaskError: torch-geometric is not installed.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(4, stages=2)
        >>> gt.from_geometric(gt.to_geometric(graph)).get_edgelist() == graph.get_edgelist()
        True
    """
    _check_data(data)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # without node fields the number is that of the edges' ends, as it should be
        n_nodes = int(data.num_nodes or 0)
    edges = _edges(data, n_nodes)
    graph_values: dict[str, Any] = {}
    columns: dict[str, dict[str, list[Any]]] = {"node": {}, "edge": {}}
    for scope, name, value in _fields(data):
        if scope == "graph":
            graph_values[name] = value
        else:
            columns[scope][name] = _checked(value, name, scope, n_nodes if scope == "node" else len(edges))
    parts = Parts(
        n_nodes=n_nodes,
        edges=edges,
        graph_values=graph_values,
        vertex_columns=with_names(
            columns["node"], columns["node"].get(NAME, [f"v{index}" for index in range(n_nodes)])
        ),
        edge_columns=columns["edge"],
    )
    return assemble(parts, stages=stages, join=join)


def _data_class() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its import warns of what torch means to change
            from torch_geometric.data import Data
    except ImportError as error:
        raise GraphtaskError(
            f"torch-geometric cannot be imported ({error}); install it with: {install_hint('geometric')}"
        ) from error
    return Data


def _edge_index(graph: igraph.Graph) -> "torch.Tensor":
    import torch

    return torch.from_numpy(edge_array(graph).T.copy())


def _column(values: list[Any]) -> "torch.Tensor | list[Any]":
    """A tensor if one keeps every value as it is, else the list."""
    import torch

    values = [plain(value) for value in values]
    kinds = {type(value) for value in values}
    if kinds == {float}:
        return torch.tensor(values, dtype=torch.float64)
    if kinds == {bool}:
        return torch.tensor(values, dtype=torch.bool)
    if kinds == {int} and all(value in _INT64 for value in values):
        return torch.tensor(values, dtype=torch.int64)
    return values


def _provenance_text(value: Any) -> str:
    try:
        return to_json(value)
    except ValueError as error:
        raise GraphError(
            f"the graph attribute 'provenance' cannot be converted: it holds {error}; use numbers, strings, booleans, "
            f"None, and lists, tuples and dicts of them"
        ) from None


def _check_data(data: Any) -> None:
    import torch

    if not isinstance(data, _data_class()):
        raise GraphError(f"a torch_geometric.data.Data is needed, not {type(data).__name__}")
    index = data.edge_index
    if (
        not isinstance(index, torch.Tensor)
        or index.ndim != 2
        or index.shape[0] != 2
        or index.is_floating_point()
    ):
        raise GraphError("`edge_index` has to be an integer tensor of shape (2, edges)")


def _edges(data: Any, n_nodes: int) -> list[tuple[int, int]]:
    index = data.edge_index
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < n_nodes:
        raise GraphError(
            f"`edge_index` names nodes from {int(index.min())} to {int(index.max())}, but there are {n_nodes} nodes"
        )
    sources, targets = index.tolist()
    return list(zip(sources, targets, strict=True))


def _fields(data: Any) -> Iterator[tuple[str, str, Any]]:
    """What each field of ``data`` is an attribute of (graph, node, edge), the attribute's name, and its value."""
    for key in data.keys():  # noqa: SIM118 - iterating over Data gives pairs
        value = _listed(data[key])
        if key in {"edge_index", "num_nodes"}:
            continue
        if key == "names":
            yield "node", NAME, value
        elif key == PROVENANCE:
            yield "graph", PROVENANCE, _provenance(value)
        elif key == _GRAPH_ATTRIBUTES and isinstance(value, dict):
            yield from (("graph", name, content) for name, content in value.items())
        elif key in {WEIGHT, RAW_WEIGHT}:
            yield "edge", key, value
        elif key.startswith(_NODE_PREFIX):
            yield "node", key.removeprefix(_NODE_PREFIX), value
        elif key.startswith(_EDGE_PREFIX):
            yield "edge", key.removeprefix(_EDGE_PREFIX), value
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


def _provenance(value: Any) -> Any:
    try:
        return from_json(value) if isinstance(value, str) else value
    except ValueError:
        return value
