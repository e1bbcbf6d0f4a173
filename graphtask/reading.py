"""Graphs from files of any format, and of any program: what `graphtask.read` does."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import igraph

from graphtask.errors import ArgumentError, GraphError, GraphtaskError
from graphtask.graph import PROVENANCE, STAGE, provenance, size_by_stage, stage_sizes
from graphtask.priors.orient import Order, orient_edges
from graphtask.storage.assembly import as_igraph, assemble
from graphtask.storage.content import about, load
from graphtask.storage.foreign import merged, usable
from graphtask.storage.formats import parse
from graphtask.validation import choice


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How graphs are read that are not as ours are; the arguments of `read`."""

    stages: int | Sequence[int] | None = None
    """For a graph without stages: their number, or their sizes."""
    join: bool = False
    """Whether several inputs (outputs) get one new vertex before (after) them."""
    merge: bool = False
    """Whether edges that lead from the same vertex to the same vertex become one."""
    order: Order | None = None
    """For a graph that is undirected or has cycles: the order in which every edge then leads forward."""

    def __post_init__(self) -> None:
        if self.order is not None:
            choice(self.order, name="order", choices=get_args(Order))


def read(
    path: str | os.PathLike[str],
    *,
    stages: int | Sequence[int] | None = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
) -> igraph.Graph:
    r"""Read an architecture graph from a file; its suffix says what it holds.

    ======================================  =====================================================================
    suffix                                  content
    ======================================  =====================================================================
    ``.graphml``                            GraphML of graphtask, igraph, networkx, Gephi or yEd
    ``.gml``                                GML of igraph, networkx, Gephi or yEd
    ``.json``                               JSON in node-link form (networkx, d3), with ``links`` or ``edges``
    ``.csv``, ``.tsv``                      an edge list, with or without names of columns; or an adjacency matrix
    ``.edges``, ``.edgelist``, ``.txt``     the same, separated by white space if by nothing else
    ``.npz``                                an adjacency matrix of scipy (``save_npz``) or numpy (``adjacency``)
    ======================================  =====================================================================

    A file that `write` made gives back the same graph: values, types, and the order of vertices and edges (vertices
    that did not stand in topological order are sorted). In files of other programs

    - vertices are named by their attribute ``name``, else by their ids or labels, as strings; a label of yEd becomes
      the attribute ``label``; drawings are left out;
    - a ``stage`` that was stored as a float is a whole number again;
    - an edge attribute ``weight`` (or ``w``) that cannot be the trained one, because a value is missing (or NaN) or
      outside [0, 1], is kept as ``file_weight`` (``file_w``);
    - attributes that no element has a value for are left out.

    Nothing in a file is ever executed, and none may be larger than 256 MiB (JSON and GML: 64 MiB).

    Args:
        path: The file.
        stages: For a graph without stages: their number, or their sizes. A graph that has stages keeps them.
        join: Whether several inputs (outputs) get one new vertex before (after) them; otherwise they are an error.
        merge: Whether edges that lead from the same vertex to the same vertex become one, that with the largest
            weight, else the first; otherwise they are an error.
        order: For a graph that is undirected or has cycles: the order of the vertices in which every edge then leads
            forward, ``"ids"`` (as in the file), ``"x"``, ``"radius"`` or ``"bifocal"``; see `orient_edges`, which drops
            self-loops and the attributes of edges, and needs ``stages``; other than after `orient_edges`, the initial size
            is then unknown. Otherwise such graphs are an error; directed graphs without cycles stay as they are.

    Raises:
        FormatError: The file cannot be read, is not what its suffix says, or is not safe to read.
        GraphError: The graph breaks a rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of vertices, or ``order`` is unknown.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.edges"
        >>> _ = path.write_text("a b 0.5\nb c 1.0\na c 0.25\n")
        >>> graph = gt.read(path, stages=3)
        >>> graph.vs["name"], graph.es["weight"]
        (['a', 'b', 'c'], [0.5, 1.0, 0.25])
    """
    options = ReadOptions(stages=stages, join=join, merge=merge, order=order)
    try:
        return from_bytes(load(path), name=os.fspath(path), options=options)
    except GraphtaskError as error:
        raise type(error)(about(path, error)) from None


def from_bytes(content: bytes, *, name: str, options: "ReadOptions") -> igraph.Graph:
    r"""The graph in the bytes of a file; see `read`.

    Args:
        content: The bytes.
        name: The name of the file, whose suffix says what they hold.
        options: How graphs are read that are not as ours are.

    Raises:
        FormatError: The bytes are not what the name says, or not safe to read.
        GraphError: The graph breaks a rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of vertices.

    Example:
        >>> from_bytes(b"0 1\n1 2\n", name="small.edges", options=ReadOptions(stages=1)).vs["name"]
        ['0', '1', '2']
    """
    parts = parse(content, name=name)
    if options.merge:
        parts = merged(parts)
    if options.order is not None:
        graph = as_igraph(parts)
        if not graph.is_dag():
            return _oriented(graph, order=options.order, stages=options.stages)
    if not parts.directed:
        raise GraphError(
            "the graph is undirected; order='ids' lets every edge lead forward in the order of the vertices "
            "(on the command line: --order ids; graphtask.orient takes a graph in memory)"
        )
    return assemble(usable(parts, join=options.join), stages=options.stages, join=options.join)


def kept_its_stages(graph: igraph.Graph, stages: int | Sequence[int] | None) -> bool:
    """Whether a graph that was read with ``stages`` has other ones, because its file has stages of its own.

    Example:
        >>> import graphtask as gt
        >>> kept_its_stages(gt.full_dag(6, stages=2), 3), kept_its_stages(gt.full_dag(6, stages=2), [3, 3])
        (True, False)
    """
    if stages is None:
        return False
    try:
        asked = stage_sizes(graph.vcount(), stages)
    except ArgumentError:  # nobody minded, so they were not used
        return True
    return bool(asked != size_by_stage(graph)["nodes_per_stage"])


def _oriented(graph: igraph.Graph, *, order: Order, stages: int | Sequence[int] | None) -> igraph.Graph:
    if stages is None:
        raise GraphError(
            f"order={order!r} gives the graph new stages; say how many: stages=3 (on the command line: --stages 3)"
        )
    if STAGE in graph.vs.attributes():
        del graph.vs[STAGE]
    result = orient_edges(graph.as_undirected(mode="collapse"), order=order, stages=stages)
    if "initial" not in provenance(graph):  # whoever wrote the file may have pruned it
        result[PROVENANCE] = {key: fact for key, fact in provenance(result).items() if key != "initial"}
    return result
