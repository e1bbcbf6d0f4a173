"""Attributes of other programs that share a name with ours, parallel edges, and isolated nodes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphtask.graph import PROVENANCE, RAW_WEIGHT, WEIGHT
from graphtask.storage.assembly import Parts, free_name
from graphtask.storage.builder import number_or_text
from graphtask.storage.values import from_json

GROUP = "group"
"""Vertex attribute: the group of yEd, the cluster of DOT or the parent around a vertex."""
MARKER = "graphtask"
MARKER_VALUE = "1"
"""Graph attribute that graphtask writes where a format has no other place, so that ``w`` is read as ours."""


def usable(parts: Parts, *, join: bool = False) -> Parts:
    """Return the parts with our attributes only where they have our meaning.

    - An edge attribute ``weight`` becomes ``file_weight`` if it cannot be a trained one: a value is missing or
      outside [0, 1], or edges without a value are going to be added.
    - An edge attribute ``w`` becomes ``file_w`` unless graphtask wrote the file, or the graph has a provenance of
      graphtask: training starts from ``w``, and a column of that name may hold anything.
    - Provenance that is JSON text becomes a dict again; provenance of any other type is renamed.

    Parts that graphtask wrote stay as they are, but for provenance: entries with an invalid value are removed, because
    a file may be damaged.

    Args:
        parts: Content of the file.
        join: Whether several inputs (outputs) are going to be joined.

    Example:
        >>> foreign = usable(Parts(2, [(0, 1)], {}, {}, {"w": [3.0]}))
        >>> foreign.edge_columns, foreign.notes
        ({'file_w': [3.0]}, ("edge attribute 'w' renamed to 'file_w' (not written by graphtask)",))
    """
    parts = _with_valid_provenance(parts)
    if parts.is_ours:
        return parts
    added = join and _n_added_nodes(parts) > 0
    parts = _with_numeric_weights(parts)
    weights = parts.edge_columns.get(WEIGHT)
    if weights is not None and (added or not all(map(is_weight, weights))):
        reason = "edges without one are added" if added else "not all in [0, 1]"
        parts = _renamed(parts, WEIGHT, reason)
    return parts if _has_our_provenance(parts) else _renamed(parts, RAW_WEIGHT, "not written by graphtask")


def merged(parts: Parts) -> Parts:
    """Return the parts with one edge for each pair of nodes.

    Of the edges from one node to another (in an undirected graph: between two nodes), the one with the largest
    ``weight`` stays, with all its attributes; without weights, the first.

    Example:
        >>> from graphtask.storage.assembly import Parts
        >>> twice = Parts(2, [(0, 1), (0, 1)], {}, {}, {"weight": [0.25, 0.5], "kind": ["thin", "thick"]})
        >>> merged(twice).edges, merged(twice).edge_columns
        ([(0, 1)], {'weight': [0.5], 'kind': ['thick']})
    """
    parts = _with_numeric_weights(parts)
    weights = parts.edge_columns.get(WEIGHT)
    if weights is None or not all(map(is_weight, weights)):
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


def without_isolated(parts: Parts) -> Parts:
    """Return the parts without the nodes that have no edge.

    Example:
        >>> without_isolated(Parts(3, [(0, 2)], {}, {"name": ["a", "b", "c"]}, {})).vertex_columns
        {'name': ['a', 'c']}
    """
    kept = sorted({node for edge in parts.edges for node in edge})
    return _induced(parts, kept)


def with_groups(parts: Parts, groups: Mapping[int, int], names: Sequence[str]) -> Parts:
    """Return the parts with the attribute ``group``, without the nodes that only hold others and have no edge.

    Args:
        parts: A graph in which some nodes stand for groups.
        groups: From a node to the node of the innermost group around it.
        names: Label or id of each node.

    Example:
        >>> nested = Parts(3, [(1, 2)], {}, {"name": ["g", "a", "b"]}, {})
        >>> with_groups(nested, {1: 0}, ["stage 1", "a", "b"]).vertex_columns
        {'name': ['a', 'b'], 'group': ['stage 1', None]}
    """
    if not groups:
        return parts
    column = [names[groups[node]] if node in groups else None for node in range(parts.n_nodes)]
    columns = {**parts.vertex_columns, free_name(GROUP, parts.vertex_columns): column}
    empty = set(groups.values()) - {node for edge in parts.edges for node in edge}
    kept = [node for node in range(parts.n_nodes) if node not in empty]
    found = _induced(parts._replace(vertex_columns=columns), kept)
    filled = {
        name: values for name, values in found.vertex_columns.items() if any(v is not None for v in values)
    }
    return found._replace(vertex_columns=filled)


def is_weight(value: Any) -> bool:
    """Return True for a number in [0, 1]."""
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1


def _induced(parts: Parts, kept: list[int]) -> Parts:
    """Return the parts with some of the nodes, which no edge leaves."""
    if len(kept) == parts.n_nodes:
        return parts
    position = {node: index for index, node in enumerate(kept)}
    return parts._replace(
        n_nodes=len(kept),
        edges=[(position[source], position[target]) for source, target in parts.edges],
        vertex_columns={
            name: [values[node] for node in kept] for name, values in parts.vertex_columns.items()
        },
    )


def _n_added_nodes(parts: Parts) -> int:
    """Return how many vertices joining adds: one for several inputs, one for several outputs."""
    n_inputs = parts.n_nodes - len({target for _, target in parts.edges})
    n_outputs = parts.n_nodes - len({source for source, _ in parts.edges})
    return (n_inputs > 1) + (n_outputs > 1)


def _has_our_provenance(parts: Parts) -> bool:
    """Return True for a graph of graphtask that another program has read and written."""
    known = parts.graph_values.get(PROVENANCE)
    has_prior = isinstance(known, dict) and isinstance(known.get("prior"), dict)
    return has_prior and all(
        isinstance(value, float | int) for value in parts.edge_columns.get(RAW_WEIGHT, ())
    )


def _renamed(parts: Parts, name: str, reason: str) -> Parts:
    if name not in parts.edge_columns:
        return parts
    new = free_name(f"file_{name}", parts.edge_columns)
    columns = {new if key == name else key: values for key, values in parts.edge_columns.items()}
    note = f"edge attribute {name!r} renamed to {new!r} ({reason})"
    return parts._replace(edge_columns=columns, notes=(*parts.notes, note))


def _with_numeric_weights(parts: Parts) -> Parts:
    """Return the parts with weights that are texts, such as ``"0.5"``, as numbers, if all of them can be."""
    weights = parts.edge_columns.get(WEIGHT, [])
    if not any(isinstance(weight, str) for weight in weights):
        return parts
    numbers = [number_or_text(weight.strip()) if isinstance(weight, str) else weight for weight in weights]
    if any(isinstance(number, str) for number in numbers):
        return parts
    note = f"edge attribute {WEIGHT!r} converted from text"
    return parts._replace(edge_columns=parts.edge_columns | {WEIGHT: numbers}, notes=(*parts.notes, note))


def _with_valid_provenance(parts: Parts) -> Parts:
    if PROVENANCE not in parts.graph_values:
        return parts
    value = parts.graph_values[PROVENANCE]
    parsed = _parsed(value) if isinstance(value, str) else value
    if not isinstance(parsed, dict):
        return parts if parts.is_ours else _with_renamed_provenance(parts)
    invalid = [name for name, is_valid in _FACTS.items() if name in parsed and not is_valid(parsed[name])]
    known = {name: fact for name, fact in parsed.items() if name not in invalid}
    notes = tuple(f"provenance {name!r} removed (invalid value)" for name in invalid)
    return parts._replace(graph_values=parts.graph_values | {PROVENANCE: known}, notes=(*parts.notes, *notes))


def _with_renamed_provenance(parts: Parts) -> Parts:
    new = free_name(f"file_{PROVENANCE}", parts.graph_values)
    values = {new if key == PROVENANCE else key: value for key, value in parts.graph_values.items()}
    return parts._replace(graph_values=values)


def _is_prior(value: Any) -> bool:
    if not isinstance(value, dict):
        return isinstance(value, str)
    arguments, repaired = value.get("arguments", {}), value.get("repaired_edges", 0)
    return isinstance(value.get("name", ""), str) and isinstance(arguments, dict) and _is_count(repaired)


def _is_size(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(
        _is_count(count)
        if isinstance(count, int | float)
        else isinstance(count, list) and all(map(_is_count, count))
        for count in value.values()
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_finite_or_none(value: Any) -> bool:
    if value is None:
        return True
    # Compared, because an integer of a file may be too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


_MAX_COUNT = 1 << 62
_FACTS: Mapping[str, Callable[[Any], bool]] = {
    "prior": _is_prior,
    "initial": _is_size,
    "channels": _is_count_or_none,
    "in_channels": _is_count_or_none,
    "n_classes": _is_count_or_none,
    "threshold": _is_finite_or_none,
    "relative_threshold": _is_finite_or_none,
    "reading": _are_texts,
}
"""Entries of the provenance that the library uses, and the check of each."""


def _parsed(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return text
