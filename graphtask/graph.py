"""The architecture graph: a plain igraph DAG whose vertices are named and staged.

==============  ======  ==========  ==============================================================
attribute       on      type        meaning
==============  ======  ==========  ==============================================================
``name``        vertex  str         identity of the node; survives pruning
``stage``       vertex  int ≥ 0     resolution stage; never decreases along an edge
``weight``      edge    float       magnitude of the trained connection, in [0, 1]; absent before training
``w``           edge    float       the raw trainable value, with its sign; absent before training
``provenance``  graph   dict        origin of the graph (JSON values), and its initial size
==============  ======  ==========  ==============================================================

A valid graph is directed, has neither cycles, self-loops nor multi-edges, exactly one input (no predecessors)
and one output (no successors), and every vertex on a path from the input to the output.
"""

import copy
import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from numbers import Integral
from typing import Any, TypeGuard

import igraph
import numpy as np

from graphtask.errors import GraphError
from graphtask.types import BoolArray, IntArray
from graphtask.validation import abbreviated, integer, invalid

NAME = "name"
STAGE = "stage"
WEIGHT = "weight"
RAW_WEIGHT = "w"
PROVENANCE = "provenance"


MAX_STAGE = 30
"""Last stage of any graph: stage s halves the image s times, and no image has 2^31 pixels in a row."""

_SHOWN = 5  # offenders that an error message names


def check_graph(graph: igraph.Graph) -> None:
    """Raise unless ``graph`` is a valid architecture graph.

    Raises:
        GraphError: The first broken rule, with the offending vertices or edges and the remedy.
    """
    _check_simple(graph)
    _check_names(graph)
    _check_acyclic(graph)
    _check_ends(graph)
    _check_stages(graph)
    _check_weights(graph)


def as_architecture(
    graph: igraph.Graph, *, stages: int | Sequence[int] | None = None, join: bool = False
) -> igraph.Graph:
    """Convert any directed acyclic graph to a valid one; see `graphtask.as_architecture`.

    Raises:
        GraphError: The graph cannot be made valid; the message names the broken rule.
        ArgumentError: ``stages`` does not fit the number of vertices.
    """
    _check_simple(graph)
    result = graph.copy()
    if NAME not in result.vs.attributes():
        result.vs[NAME] = [f"v{index}" for index in range(result.vcount())]
    _check_names(result)
    _check_acyclic(result)
    for items, attribute in ((result.vs, STAGE), (result.es, WEIGHT), (result.es, RAW_WEIGHT)):
        if attribute in items.attributes():
            values = items[attribute]
            if any(issubclass(kind, np.generic) for kind in set(map(type, values))):
                items[attribute] = [_without_numpy(value) for value in values]
    if STAGE in result.vs.attributes():
        _check_stage_values(result)
    if join:
        result = _join_ends(result)
    if STAGE not in result.vs.attributes():
        if stages is None:
            raise GraphError(
                "no vertex has a `stage`",
                remedy="pass the number of stages: stages=3 cuts the topological order into three equal parts "
                "(on the command line: --stages 3)",
            )
        sizes = stage_sizes(result.vcount(), stages)
        ranks = np.empty(result.vcount(), dtype=np.int64)
        ranks[node_order(result)] = np.repeat(np.arange(len(sizes)), sizes)
        result.vs[STAGE] = ranks.tolist()
    result = _sorted(result)
    check_graph(result)
    return result


def stage_sizes(n_nodes: int, stages: int | Sequence[int]) -> list[int]:
    """Return the number of nodes in each stage.

    Args:
        n_nodes: Number of nodes.
        stages: Number of equal parts (the first ones are one larger where they do not divide evenly), or the sizes.

    Raises:
        ArgumentError: There are more stages than nodes or than `MAX_STAGE` + 1, or the sizes do not add up to
            ``n_nodes``.

    Example:
        >>> stage_sizes(60, 3), stage_sizes(8, 3), stage_sizes(8, [5, 2, 1])
        ([20, 20, 20], [3, 3, 2], [5, 2, 1])
    """
    if isinstance(stages, Integral):
        n_stages = integer(stages, name="stages", most=min(n_nodes, MAX_STAGE + 1))
        return [n_nodes // n_stages + (stage < n_nodes % n_stages) for stage in range(n_stages)]
    if not _are_whole_numbers(stages):
        raise invalid("stages", "a number of stages (3) or their sizes ([20, 20, 20])", stages)
    sizes = [int(size) for size in stages]
    if not sizes or min(sizes) < 1 or sum(sizes) != n_nodes:
        raise invalid("stages", f"sizes of at least 1 that add up to {n_nodes}", sizes)
    if len(sizes) > MAX_STAGE + 1:
        raise invalid("stages", f"at most {MAX_STAGE + 1} sizes", sizes)
    return sizes


def input_node(graph: igraph.Graph) -> int:
    """Return the index of the input of a valid graph: the vertex without predecessors."""
    return int(np.flatnonzero(np.asarray(graph.indegree()) == 0)[0])


def output_node(graph: igraph.Graph) -> int:
    """Return the index of the output of a valid graph: the vertex without successors."""
    return int(np.flatnonzero(np.asarray(graph.outdegree()) == 0)[0])


def node_order(graph: igraph.Graph) -> list[int]:
    """Return a topological order of the vertices, stage by stage, with the smallest possible index first.

    Vertices that are already in such an order keep it; the order is deterministic.

    Raises:
        GraphError: The graph has a cycle.
    """
    edges = edge_array(graph)
    ranks = stages(graph) if STAGE in graph.vs.attributes() else np.zeros(graph.vcount(), dtype=np.int64)
    if bool((edges[:, 0] < edges[:, 1]).all()) and bool((np.diff(ranks) >= 0).all()):
        return list(range(graph.vcount()))
    waiting = np.asarray(graph.indegree()).tolist()
    successors = graph.get_adjlist(mode="out")
    rank = ranks.tolist()
    free = [(rank[node], node) for node, degree in enumerate(waiting) if degree == 0]
    heapq.heapify(free)
    order = []
    while free:
        _, node = heapq.heappop(free)
        order.append(node)
        for successor in successors[node]:
            waiting[successor] -= 1
            if waiting[successor] == 0:
                heapq.heappush(free, (rank[successor], successor))
    if len(order) < graph.vcount():
        _check_simple(graph)
        _check_acyclic(graph)
    return order


def edge_array(graph: igraph.Graph) -> IntArray:
    """Return the edges as an array of shape (edges, 2): indices of source and target, in the order of the graph."""
    ends = chain.from_iterable(graph.get_edgelist())
    return np.fromiter(ends, dtype=np.int64, count=2 * graph.ecount()).reshape(-1, 2)


def edge_names(graph: igraph.Graph) -> list[tuple[str, str]]:
    """Return the edges as pairs of vertex names, in the order of the graph; the identity of an edge."""
    names = graph.vs[NAME]
    return [(names[source], names[target]) for source, target in graph.get_edgelist()]


def stages(graph: igraph.Graph) -> IntArray:
    """Return the stage of every vertex, as an array of shape (nodes,)."""
    return np.asarray(graph.vs[STAGE], dtype=np.int64)


def live_nodes(graph: igraph.Graph, inputs: Sequence[int], outputs: Sequence[int]) -> BoolArray:
    """Return a mask of the vertices on a path from one of ``inputs`` to one of ``outputs``, in linear time."""
    return _reached(graph, inputs, "out") & _reached(graph, outputs, "in")


def size_by_stage(graph: igraph.Graph) -> dict[str, Any]:
    """Count nodes and edges, in total and per stage; an edge counts for a stage if both its ends are in it.

    Example:
        >>> import graphtask as gt
        >>> size_by_stage(gt.full_dag(4, stages=2))
        {'nodes': 4, 'edges': 6, 'nodes_per_stage': [2, 2], 'edges_per_stage': [1, 1]}
    """
    stage = stages(graph)
    n_stages = int(stage.max(initial=0)) + 1
    ends = stage[edge_array(graph)]
    inside = ends[ends[:, 0] == ends[:, 1], 0]
    return {
        "nodes": graph.vcount(),
        "edges": graph.ecount(),
        "nodes_per_stage": np.bincount(stage, minlength=n_stages).tolist(),
        "edges_per_stage": np.bincount(inside, minlength=n_stages).tolist(),
    }


def provenance(graph: igraph.Graph) -> dict[str, Any]:
    """Return a copy of the provenance of the graph; empty if it has none. See `graphtask.provenance`."""
    known = graph[PROVENANCE] if PROVENANCE in graph.attributes() else {}
    return copy.deepcopy(dict(known)) if isinstance(known, Mapping) else {}


def with_provenance(graph: igraph.Graph, **facts: Any) -> igraph.Graph:
    """Return a copy of the graph with ``facts`` (JSON values) added to its provenance; they replace earlier ones."""
    result = graph.copy()
    result[PROVENANCE] = {**provenance(graph), **facts}
    return result


def untrained(graph: igraph.Graph) -> igraph.Graph:
    """Return a copy of the graph without trained weights, so that its network is initialized from scratch."""
    result = graph.copy()
    for attribute in {WEIGHT, RAW_WEIGHT} & set(graph.es.attributes()):
        del result.es[attribute]
    return result


def with_initial_size(graph: igraph.Graph) -> igraph.Graph:
    """Return a copy of the graph with its initial size in the provenance: the recorded one, or else its size now."""
    known = provenance(graph)
    # A prior with its arguments identifies the initial graph; without one, a hash of its nodes and edges does.
    identity = {} if known.get("prior") else {"hash": wiring_hash(graph)}
    return with_provenance(graph, initial=known.get("initial") or {**size_by_stage(graph), **identity})


def wiring_hash(graph: igraph.Graph) -> str:
    """Return 16 hexadecimal digits that identify names, stages and edges, whatever their order.

    Example:
        >>> import graphtask as gt
        >>> wiring_hash(gt.chain_dag(4)) == wiring_hash(gt.full_dag(4))
        False
    """
    nodes = sorted(zip(graph.vs[NAME], graph.vs[STAGE], strict=True))
    content = json.dumps([nodes, sorted(edge_names(graph))])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _reached(graph: igraph.Graph, starts: Sequence[int], mode: str) -> BoolArray:
    reached = np.zeros(graph.vcount(), dtype=np.bool_)
    for start in starts:
        if not reached[start]:
            reached[graph.subcomponent(start, mode=mode)] = True
    return reached


def _sorted(graph: igraph.Graph) -> igraph.Graph:
    # Not igraph's permute_vertices: releases 0.11 and 1.0 read its argument in opposite directions.
    order = node_order(graph)
    if order == list(range(graph.vcount())):
        return graph
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    result = igraph.Graph(n=len(order), edges=position[edge_array(graph)].tolist(), directed=True)
    for attribute in graph.attributes():
        result[attribute] = graph[attribute]
    for attribute in graph.vs.attributes():
        values = graph.vs[attribute]
        result.vs[attribute] = [values[node] for node in order]
    for attribute in graph.es.attributes():
        result.es[attribute] = graph.es[attribute]
    return result


def _without_numpy(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _are_whole_numbers(values: object) -> TypeGuard[Sequence[int]]:
    if not isinstance(values, Sequence | np.ndarray):
        return False
    return all(isinstance(value, Integral) for value in values)


def _join_ends(graph: igraph.Graph) -> igraph.Graph:
    inputs = np.flatnonzero(np.asarray(graph.indegree()) == 0).tolist()
    outputs = np.flatnonzero(np.asarray(graph.outdegree()) == 0).tolist()
    joined = graph.copy()
    staged = STAGE in graph.vs.attributes()
    taken = set(graph.vs[NAME])
    if len(inputs) > 1:
        node = joined.add_vertex(**{NAME: _free_name("input", taken)}).index
        joined.add_edges([(node, end) for end in inputs])
        if staged:
            joined.vs[node][STAGE] = min(joined.vs[inputs][STAGE])
    if len(outputs) > 1:
        node = joined.add_vertex(**{NAME: _free_name("output", taken)}).index
        joined.add_edges([(end, node) for end in outputs])
        if staged:
            joined.vs[node][STAGE] = max(joined.vs[outputs][STAGE])
    return joined


def _free_name(wish: str, taken: set[str]) -> str:
    while wish in taken:
        wish += "_"
    return wish


def _check_simple(graph: igraph.Graph) -> None:
    if not graph.is_directed():
        raise GraphError(
            "the graph is undirected", remedy="direct its edges with graphtask.priors.orient_edges(graph)"
        )
    if graph.ecount() == 0:
        raise GraphError(
            "the graph has no edges", remedy="an architecture needs a path from its input to its output"
        )
    edges = edge_array(graph)
    loops = edges[edges[:, 0] == edges[:, 1], 0]
    if len(loops):
        raise GraphError(
            f"self-loops at {_vertices(graph, loops)}",
            remedy="remove them with simplify() of igraph, or read the graph (read, from_networkx) with order='ids' "
            "(on the command line: --order ids)",
        )
    keys = edges[:, 0] * graph.vcount() + edges[:, 1]
    unique, counts = np.unique(keys, return_counts=True)
    doubled = unique[counts > 1]
    if len(doubled):
        ends = np.stack(np.divmod(doubled, graph.vcount()), axis=1)
        raise GraphError(
            f"multi-edges {_edges(graph, ends)}",
            remedy="merge them with simplify() of igraph, or read the graph (read, from_networkx) with merge=True "
            "(on the command line: --merge)",
        )


def _check_names(graph: igraph.Graph) -> None:
    if NAME not in graph.vs.attributes():
        raise GraphError(
            "no vertex has a `name`", remedy="build the graph with graphtask.as_architecture(graph)"
        )
    names = graph.vs[NAME]
    unnamed = [index for index, name in enumerate(names) if not isinstance(name, str)]
    if unnamed:
        raise GraphError(
            f"the `name` of vertex {unnamed[0]} must be a string, got {abbreviated(names[unnamed[0]])}"
        )
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise GraphError(
            f"two vertices are named {twice!r}", remedy="names identify vertices and must be unique"
        )


def _check_acyclic(graph: igraph.Graph) -> None:
    if graph.is_dag():
        return
    component = next(part for part in graph.connected_components(mode="strong") if len(part) > 1)
    inside = set(component)
    path: dict[int, int] = {}
    node = component[0]
    while node not in path:
        path[node] = len(path)
        node = next(successor for successor in graph.successors(node) if successor in inside)
    cycle = [*list(path)[path[node] :], node]
    shown = " → ".join(_label(graph, index) for index in cycle[: _SHOWN + 1])
    if len(cycle) > _SHOWN + 1:
        shown += f" → … ({len(cycle) - 1} edges)"
    raise GraphError(
        f"the graph has a cycle, {shown}",
        remedy="remove or reverse one of these edges, or read the file with order='ids', which turns every edge "
        "forward (on the command line: --order ids)",
    )


def _check_ends(graph: igraph.Graph) -> None:
    inputs = np.flatnonzero(np.asarray(graph.indegree()) == 0)
    outputs = np.flatnonzero(np.asarray(graph.outdegree()) == 0)
    for ends, kind, lack in ((inputs, "inputs", "predecessors"), (outputs, "outputs", "successors")):
        if len(ends) > 1:
            raise GraphError(
                f"{len(ends)} {kind} (vertices without {lack}), {_vertices(graph, ends)}",
                remedy="an architecture has one: remove the others, or connect them to a new one with join=True "
                "(on the command line: --join)",
            )
    # A finite DAG with one source and one sink has every vertex on a path between them; nothing is left to check.


def _check_stages(graph: igraph.Graph) -> None:
    if STAGE not in graph.vs.attributes():
        raise GraphError(
            "no vertex has a `stage`",
            remedy="build the graph with graphtask.as_architecture(graph, stages=3)",
        )
    _check_stage_values(graph)
    edges = edge_array(graph)
    ends = stages(graph)[edges]
    back = edges[ends[:, 0] > ends[:, 1]]
    if len(back):
        source, target = back[0]
        raise GraphError(
            f"the stage decreases along {_edges(graph, back)} (from {graph.vs[source][STAGE]} to "
            f"{graph.vs[target][STAGE]})",
            remedy="stages never decrease along an edge: renumber them or reverse the edge",
        )


def _check_stage_values(graph: igraph.Graph) -> None:
    for index, stage in enumerate(graph.vs[STAGE]):
        if isinstance(stage, bool) or not isinstance(stage, int) or not 0 <= stage <= MAX_STAGE:
            raise GraphError(
                f"the `stage` of vertex {_label(graph, index)} must be an int in [0, {MAX_STAGE}], "
                f"got {abbreviated(stage)}",
                remedy="stage s halves the image s times",
            )


def _check_weights(graph: igraph.Graph) -> None:
    for attribute, low, high in ((WEIGHT, 0.0, 1.0), (RAW_WEIGHT, -np.inf, np.inf)):
        if attribute not in graph.es.attributes():
            continue
        values = graph.es[attribute]
        if set(map(type, values)) == {float} and _all_between(values, low, high):
            continue
        for index, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, float | int) or not low <= value <= high:
                edge = edge_array(graph)[index : index + 1]
                bounds = "a float in [0, 1]" if attribute == WEIGHT else "a float"
                raise GraphError(
                    f"the `{attribute}` of edge {_edges(graph, edge)} must be {bounds}, got {abbreviated(value)}",
                    remedy=f'rescale it, or remove it from all edges with del graph.es["{attribute}"]',
                )


def _all_between(values: list[float], low: float, high: float) -> bool:
    array = np.asarray(values, dtype=np.float64)
    return bool(((low <= array) & (array <= high)).all())


def _label(graph: igraph.Graph, index: int) -> str:
    return repr(graph.vs[index][NAME]) if NAME in graph.vs.attributes() else str(index)


def _vertices(graph: igraph.Graph, indices: IntArray) -> str:
    shown = ", ".join(_label(graph, int(index)) for index in indices[:_SHOWN])
    return shown + (f", … ({len(indices)} in all)" if len(indices) > _SHOWN else "")


def _edges(graph: igraph.Graph, edges: IntArray) -> str:
    shown = ", ".join(
        f"{_label(graph, int(source))} → {_label(graph, int(target))}" for source, target in edges[:_SHOWN]
    )
    return shown + (f", … ({len(edges)} in all)" if len(edges) > _SHOWN else "")
