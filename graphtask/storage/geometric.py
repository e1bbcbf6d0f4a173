"""Architecture graphs as torch-geometric ``Data``.

======================  =======================================  ==========================================
field of ``Data``       type                                     meaning
======================  =======================================  ==========================================
``edge_index``          int64 tensor, shape (2, edges)           edges, in the order of the graph
``num_nodes``           int                                      number of vertices
``names``               list of str                              vertex names
``stage``               int64 tensor, shape (nodes,)             stages
``weight``, ``w``       float64 tensors, shape (edges,)          trained weights, if the graph has them
``provenance``          str                                      provenance as JSON, if the graph has one
``node_attr_<name>``    tensor or list, one entry a vertex       every other vertex attribute
``edge_attr_<name>``    tensor or list, one entry an edge        every other edge attribute
``graph_attributes``    dict                                     every other graph attribute, if there is one
``x``                   float32 tensor, shape (nodes, features)  node features, on request
``node_feature_names``  list of str                              names of the columns of ``x``
``edge_attr``           float32 tensor, shape (edges, features)  edge features, on request
``edge_feature_names``  list of str                              names of the columns of ``edge_attr``
======================  =======================================  ==========================================

A column is a tensor (float64, int64, bool) if all its values are of that type, else a list.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import igraph
import numpy as np

from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.graph import NAME, PROVENANCE, RAW_WEIGHT, STAGE, WEIGHT, edge_array, stages
from graphtask.storage.geometric_parts import (
    EDGE_FEATURES,
    EDGE_PREFIX,
    GRAPH_ATTRIBUTES,
    NODE_FEATURES,
    NODE_PREFIX,
)
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.storage.values import plain, provenance_text
from graphtask.types import FloatArray
from graphtask.validation import install_hint

if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Data

_INT64 = range(-(2**63), 2**63)


def to_geometric(graph: GraphLike, *, features: Sequence[str] = ()) -> "Data":
    """Convert a graph to ``torch_geometric.data.Data`` with all its attributes (fields: see the module).

    `graphtask.from_geometric` gives back the same graph; only ``weight`` and ``w`` that were ints come back as floats.

    Args:
        graph: A valid architecture graph.
        features: Columns of ``x`` and ``edge_attr`` for a graph neural network: ``"stage"`` (one column),
            ``"one_hot_stage"`` (one column a stage), ``"position"`` (place in the order of the vertices, in [0, 1]),
            ``"in_degree"``, ``"out_degree"``, ``"degree"`` and numeric vertex attributes go to ``x``; ``"weight"``,
            ``"w"``, ``"stage_step"`` (stage of the target minus that of the source) and numeric edge attributes go to
            ``edge_attr``.

    Raises:
        GraphError: The graph breaks a rule, or its provenance is more than JSON can hold.
        ArgumentError: A feature is neither built in nor a numeric attribute.
        GraphtaskError: torch-geometric is not installed.

    Example:
        >>> import graphtask as gt
        >>> data = gt.to_geometric(gt.full_dag(3, stages=3), features=["stage", "in_degree"])
        >>> data.edge_index.tolist(), data.stage.tolist(), data.names
        ([[0, 0, 1], [1, 2, 2]], [0, 1, 2], ['v0', 'v1', 'v2'])
        >>> data.x.tolist()
        [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    """
    graph = valid_graph(graph)
    data = data_class()(
        edge_index=_edge_index(graph),
        num_nodes=graph.vcount(),
        names=graph.vs[NAME],
        stage=_column(graph.vs[STAGE]),
    )
    for name in (WEIGHT, RAW_WEIGHT):
        if name in graph.es.attributes():
            data[name] = _column([float(value) for value in graph.es[name]])
    for name in sorted(set(graph.vs.attributes()) - {NAME, STAGE}):
        data[NODE_PREFIX + name] = _column(graph.vs[name])
    for name in sorted(set(graph.es.attributes()) - {WEIGHT, RAW_WEIGHT}):
        data[EDGE_PREFIX + name] = _column(graph.es[name])
    others = {name: graph[name] for name in graph.attributes() if name != PROVENANCE}
    if others:
        data[GRAPH_ATTRIBUTES] = others
    if PROVENANCE in graph.attributes():
        data[PROVENANCE] = provenance_text(graph[PROVENANCE])
    _add_features(data, graph, features)
    return data


def data_class() -> Any:
    """Return the class ``Data``.

    Raises:
        GraphtaskError: torch-geometric is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its import warns about deprecations in torch
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
    """Return a tensor if one keeps every value as it is, else the list."""
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


# Features ----------------------------------------------------------------------------------------------------------


def _one_hot_stage(graph: igraph.Graph) -> FloatArray:
    stage = stages(graph)
    one_hot: FloatArray = np.eye(int(stage.max()) + 1)[stage]
    return one_hot


def _position(graph: igraph.Graph) -> FloatArray:
    return np.linspace(0.0, 1.0, graph.vcount())


def _stage_step(graph: igraph.Graph) -> FloatArray:
    ends: FloatArray = stages(graph)[edge_array(graph)].astype(np.float64)
    return np.subtract(ends[:, 1], ends[:, 0])


_Feature = Callable[[igraph.Graph], Any]
_NODE_BUILDERS: dict[str, _Feature] = {
    "stage": stages,
    "one_hot_stage": _one_hot_stage,
    "position": _position,
    "degree": igraph.Graph.degree,
    "in_degree": igraph.Graph.indegree,
    "out_degree": igraph.Graph.outdegree,
}
_EDGE_BUILDERS: dict[str, _Feature] = {"stage_step": _stage_step}


def _add_features(data: Any, graph: igraph.Graph, features: Sequence[str]) -> None:
    import torch

    for field, names_field, builders, items in (
        ("x", NODE_FEATURES, _NODE_BUILDERS, graph.vs),
        ("edge_attr", EDGE_FEATURES, _EDGE_BUILDERS, graph.es),
    ):
        columns, names = [], []
        for feature in features:
            if feature in builders:
                values = np.asarray(builders[feature](graph), dtype=np.float64)
            elif feature in items.attributes() and not _belongs_elsewhere(feature, items, graph):
                values = _numeric(feature, items[feature])
            else:
                continue
            table = values.reshape(len(items), -1)
            columns.append(table)
            names += [feature] if table.shape[1] == 1 else [f"{feature}_{i}" for i in range(table.shape[1])]
        if columns:
            data[field] = torch.from_numpy(np.concatenate(columns, axis=1)).to(torch.float32)
            data[names_field] = names
    known = {*_NODE_BUILDERS, *_EDGE_BUILDERS, *graph.vs.attributes(), *graph.es.attributes()}
    unknown = [feature for feature in features if feature not in known]
    if unknown:
        raise ArgumentError(
            f"features must be attributes of the graph or among {', '.join((*_NODE_BUILDERS, *_EDGE_BUILDERS))}, "
            f"got {unknown[0]!r}",
            argument="features",
        )


def _belongs_elsewhere(feature: str, items: Any, graph: igraph.Graph) -> bool:
    """Return True for an edge attribute whose name a built-in node feature has."""
    return items is not graph.vs and feature in _NODE_BUILDERS


def _numeric(feature: str, values: list[Any]) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"features must be numeric, got {feature!r}, which is not", argument="features"
        ) from None
