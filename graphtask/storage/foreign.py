"""What other programs put into their files, as far as it means what our attributes mean."""

from typing import Any

from graphtask.graph import PROVENANCE, RAW_WEIGHT, WEIGHT
from graphtask.storage.assembly import Parts
from graphtask.storage.values import from_json


def usable(parts: Parts, *, join: bool) -> Parts:
    """The parts of a file, with the attributes of ours only where they mean what ours mean.

    An edge attribute ``weight`` (or ``w``) that cannot be the trained one, because a value is missing or outside
    [0, 1], or because edges without one are going to be added, becomes ``file_weight`` (``file_w``). Provenance that
    passed through another program as text is data again. Parts of a file of ours stay as they are.

    Args:
        parts: What the file holds.
        join: Whether several inputs (outputs) are going to be joined.
    """
    if parts.is_ours:
        return parts
    edge_columns = dict(parts.edge_columns)
    added = join and _n_added_nodes(parts) > 0
    for name, low, high in ((WEIGHT, 0.0, 1.0), (RAW_WEIGHT, float("-inf"), float("inf"))):
        values = edge_columns.get(name)
        if values is not None and (added or not all(_is_between(value, low, high) for value in values)):
            edge_columns = _renamed(edge_columns, name, f"file_{name}")
    graph_values = dict(parts.graph_values)
    if isinstance(graph_values.get(PROVENANCE), str):
        graph_values[PROVENANCE] = _parsed(graph_values[PROVENANCE])
    return parts._replace(graph_values=graph_values, edge_columns=edge_columns)


def merged(parts: Parts) -> Parts:
    """The parts with one edge for each pair of nodes.

    Of edges that lead from the same node to the same node (in an undirected graph: that connect the same two nodes),
    the one with the largest ``weight`` stays, with all its attributes; without weights, the first.

    Example:
        >>> from graphtask.storage.assembly import Parts
        >>> twice = Parts(2, [(0, 1), (0, 1)], {}, {}, {"weight": [0.25, 0.5], "kind": ["thin", "thick"]})
        >>> merged(twice).edges, merged(twice).edge_columns
        ([(0, 1)], {'weight': [0.5], 'kind': ['thick']})
    """
    weights = parts.edge_columns.get(WEIGHT)
    if weights is None or not all(_is_between(value, 0.0, 1.0) for value in weights):
        weights = [0.0] * len(parts.edges)
    best: dict[tuple[int, int], int] = {}
    for index, (source, target) in enumerate(parts.edges):
        pair = (source, target) if parts.directed else (min(source, target), max(source, target))
        if weights[index] > weights[best.setdefault(pair, index)]:
            best[pair] = index
    kept = list(best.values())
    return parts._replace(
        edges=[parts.edges[index] for index in kept],
        edge_columns={name: [values[index] for index in kept] for name, values in parts.edge_columns.items()},
    )


def _is_between(value: Any, low: float, high: float) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and low <= value <= high


def _n_added_nodes(parts: Parts) -> int:
    """How many vertices joining adds: one where there are several inputs, one where there are several outputs."""
    n_inputs = parts.n_nodes - len({target for _, target in parts.edges})
    n_outputs = parts.n_nodes - len({source for source, _ in parts.edges})
    return (n_inputs > 1) + (n_outputs > 1)


def _renamed(columns: dict[str, list[Any]], name: str, wish: str) -> dict[str, list[Any]]:
    while wish in columns:
        wish += "_"
    return {wish if key == name else key: values for key, values in columns.items()}


def _parsed(text: str) -> Any:
    """Provenance that passed through another program as text; what is no JSON object stays as it is."""
    try:
        value = from_json(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
