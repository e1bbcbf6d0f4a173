"""Data of the interactive drawings: a graph, its weights, its edge history and its sweep as JSON values."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.columns import shown_score, with_accuracy
from graphtask.graph import NAME, WEIGHT, edge_array, node_order, provenance, stages
from graphtask.runs.history import EdgeHistory

if TYPE_CHECKING:
    import pandas as pd

_MOST_EPOCHS = 16  # points of a sparkline


def explorer_data(
    graph: igraph.Graph,
    *,
    name: str,
    label: str = "",
    threshold: float = 0.0,
    history: EdgeHistory | None = None,
    sweep: "pd.DataFrame | None" = None,
    positions: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Return a graph as JSON values for the explorer.

    Weights keep every digit, so that thresholds give the same edges in the browser as `graphtask.prune`.

    Args:
        graph: A valid architecture graph.
        name: Name in the list of graphs.
        label: Group of the graph, such as its data set.
        threshold: Threshold that is shown first.
        history: Edge history of its training, for the sparklines; downsampled to at most 16 epochs and 8 bits.
        sweep: Threshold sweep of its run (`graphtask.sweep`), for the scores of its task.
        positions: Position of each node by name; by default a layout of this graph.

    Example:
        >>> import graphtask as gt
        >>> data = explorer_data(gt.chain_dag(3, stages=1), name="chain")
        >>> data["nodes"], data["source"], data["target"], data["weight"]
        (['v0', 'v1', 'v2'], [0, 1], [1, 2], None)
    """
    order = node_order(graph)
    place = {vertex: index for index, vertex in enumerate(order)}
    edges = [(place[source], place[target]) for source, target in edge_array(graph).tolist()]
    names = [str(graph.vs[vertex][NAME]) for vertex in order]
    points = positions or layout_positions(graph)
    initial = provenance(graph).get("initial")
    return {
        "name": name,
        "label": label,
        "threshold": threshold,
        "nodes": names,
        "stage": [int(stages(graph)[vertex]) for vertex in order],
        "x": [points[node][0] for node in names],
        "y": [points[node][1] for node in names],
        "source": [source for source, _ in edges],
        "target": [target for _, target in edges],
        "weight": [float(weight) for weight in graph.es[WEIGHT]] if WEIGHT in graph.es.attributes() else None,
        "initial": initial if isinstance(initial, dict) else None,
        "history": None if history is None else _history(graph, history),
        "sweep": None if sweep is None else _sweep(sweep),
    }


def layout_positions(graph: igraph.Graph) -> dict[str, tuple[float, float]]:
    """Return drawing positions by node name, scaled to the unit square, y pointing down."""
    from graphtask.drawing.layout import kamada_kawai

    points = np.asarray(kamada_kawai(graph), dtype=np.float64)
    span = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0)
    scaled[:, span == 0] = 0.5
    return {
        str(node): (round(float(x), 4), round(1 - float(y), 4))
        for node, (x, y) in zip(graph.vs[NAME], scaled, strict=True)
    }


def shared_positions(graphs: "list[igraph.Graph]") -> dict[str, tuple[float, float]]:
    """Return positions that graphs with common node names share: the layout of the union of their edges."""
    from graphtask.graph import STAGE, as_architecture, edge_names

    stage = {
        str(node): int(s) for graph in graphs for node, s in zip(graph.vs[NAME], stages(graph), strict=True)
    }
    rank = {
        str(graph.vs[vertex][NAME]): position
        for graph in sorted(graphs, key=lambda graph: graph.vcount())
        for position, vertex in enumerate(node_order(graph))
    }
    names = sorted(stage, key=lambda node: (stage[node], rank[node]))
    union = igraph.Graph(directed=True)
    union.add_vertices(len(names), {NAME: names, STAGE: [stage[node] for node in names]})
    union.add_edges(sorted({edge for graph in graphs for edge in edge_names(graph)}))
    return layout_positions(as_architecture(union))


def _history(graph: igraph.Graph, history: EdgeHistory) -> dict[str, Any] | None:
    from graphtask.graph import edge_names

    column = {edge: index for index, edge in enumerate(history.edges)}
    edges = edge_names(graph)
    if not column.keys() >= set(edges):
        return None
    magnitudes = history.magnitudes[:, [column[edge] for edge in edges]]
    rows = np.unique(
        np.linspace(0, len(magnitudes) - 1, min(_MOST_EPOCHS, len(magnitudes))).round().astype(int)
    )
    return {"epochs": rows.tolist(), "values": _packed(magnitudes[rows])}


def _packed(values: npt.NDArray[np.float64]) -> str:
    """Encode values in [0, 1] as bytes, base64; rows are epochs."""
    return base64.b64encode(np.clip(np.rint(values * 255), 0, 255).astype(np.uint8).tobytes()).decode()


def _sweep(table: "pd.DataFrame") -> dict[str, Any]:
    table, score = with_accuracy(table)
    connected = table[table["status"] == "connected"]
    values = [float(value) for value in connected["test_accuracy"]]
    return {
        "score": score,
        "threshold": [float(value) for value in connected["threshold"]],
        "edges": [int(value) for value in connected["edges"]],
        "values": values,
        "texts": [shown_score(value, score, digits=2) for value in values],
    }
